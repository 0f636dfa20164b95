"""Names beside addresses in fields made with the standard library, where neither it nor the grammar of RFC 5322 has the
names that readers show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from email.header import Header
from typing import Any

from wlsmtp.errors import MessageError
from wlsmtp.wire.address import Mailbox, parse_address, plain_address
from wlsmtp.wire.encoded_words import decode_words, is_encoded
from wlsmtp.wire.mailboxes import Group, mailboxes_in

_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?\s]*\?=")
_LONE = re.compile(r'([^"@<>]+)<([^"<>\s]+)>\s*')


def decoded(item: Mailbox | Group) -> Mailbox | Group:
    """Decode a name in quotes that is nothing but encoded words, as in ``"=?utf-8?q?J=C3=B6rg?=" <joerg@…>``: many
    programs write it, and most readers decode it, against RFC 2047 §5."""
    if isinstance(item, Group):
        return replace(item, members=tuple(_decoded(box) for box in item.members))
    return _decoded(item)


def _decoded(box: Mailbox) -> Mailbox:
    return replace(box, name=decode_words(box.name)) if is_encoded(box.name) else box


def has_comment(value: Any) -> bool:
    """Return whether a field that was set as text has a comment, which the standard library keeps in its parse tree
    alone."""
    waiting = [getattr(value, "_parse_tree", None)]
    while waiting:
        token = waiting.pop()
        if isinstance(token, list):
            if token.token_type == "comment":  # type: ignore[attr-defined]
                return True
            waiting += token
    return False


def commented(value: Any, items: Iterable[Mailbox | Group]) -> list[Mailbox | Group]:
    """Return the items of a field with the names that ``bob@example.org (Bob)`` gives in comments."""
    found = list(items)
    if not has_comment(value):
        return found
    comments = [_comment_of(box) for box in value._parse_tree.all_mailboxes]
    if len(mailboxes_in(found)) != len(comments):
        return found
    return list(_named(found, iter(comments)))


def _comment_of(mailbox: Any) -> str:
    comments = [str(comment) for comment in mailbox.comments]
    return decode_words(comments[0]).strip() if len(comments) == 1 else ""


def _named(items: Iterable[Mailbox | Group], comments: Iterator[str]) -> Iterator[Mailbox | Group]:
    for item in items:
        boxes = (item,) if isinstance(item, Mailbox) else item.members
        named = tuple(replace(box, name=box.name or comment) for box, comment in zip(boxes, comments, strict=False))
        yield named[0] if isinstance(item, Mailbox) else replace(item, members=named)


def hidden_mailboxes(value: Header) -> list[Mailbox]:
    """Return what a ``Header`` encodes together with its addresses, as ``Header("Jörg <joerg@…>", "utf-8")`` does:
    one mailbox, or several addresses without names. Empty if it shows its addresses, or could mean something else."""
    if "@" in _ENCODED_WORD.sub("", value.encode()):
        return []
    text = str(value)
    if (lone := lone_mailbox(text)) is not None:
        return [lone]
    addresses = [plain_address(piece.strip()) for piece in text.split(",")]
    return [Mailbox("", address) for address in addresses if address is not None] if all(addresses) else []


def lone_mailbox(text: str) -> Mailbox | None:
    """Return the mailbox that a decoded text is, if it is just one: the standard library decodes fields that it
    does not know for addresses, and a comma in ``=?utf-8?q?M=C3=BCller=2C_J?= <j@…>`` is then bare."""
    found = _LONE.fullmatch(text)
    try:
        return Mailbox(found[1].strip(), parse_address(found[2])) if found else None
    except MessageError:
        return None
