"""Answers to a message and messages that pass it on, with the header fields of RFC 5322 §3.6.3 and §3.6.4."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.attachment import Attachment, attachments_of
from wlsmtp.message.content import head_of
from wlsmtp.message.render import Sendable, content_of
from wlsmtp.message.section import read_fields
from wlsmtp.message.values import mailbox, mailboxes
from wlsmtp.wire.address import Mailbox
from wlsmtp.wire.encoded_words import decode_words
from wlsmtp.wire.mailboxes import mailboxes_in, parse_mailbox_list

_IDENTIFIER = re.compile(r"<[!-;=?-~]{1,900}>")
_REPLIED = re.compile(r"re\s*:", re.IGNORECASE)
_FORWARDED = re.compile(r"(?:fwd?|wg)\s*:", re.IGNORECASE)
_NO_FILE_NAME = re.compile(r'[\\/:*?"<>|]+')
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_LONGEST = 30
"""References in a field; of a longer conversation the first and the latest remain."""


class _Original:
    """What is said in the header section of the message that is answered."""

    def __init__(self, original: Sendable) -> None:
        self.octets = b"".join(content_of(original).chunks())
        self._fields: dict[str, str] = {}
        for name, value in read_fields(head_of(self.octets)):
            text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            self._fields.setdefault(name.lower(), text.replace("\r\n", ""))

    def mailboxes(self, *names: str) -> list[Mailbox]:
        """The mailboxes in the first of the fields that is there."""
        text = next((self._fields[name] for name in names if self._fields.get(name, "").strip()), "")
        try:
            return mailboxes_in(parse_mailbox_list(text)) if text else []
        except MessageError as error:
            words = f"The original's {names[0].title()}: {error.message}"
            raise MessageError(words, stage=Stage.MESSAGE, hint="Give to=") from None

    @property
    def subject(self) -> str:
        return _CONTROLS.sub(" ", decode_words(self._fields.get("subject", ""))).strip()

    def identifiers(self, name: str) -> list[str]:
        return _IDENTIFIER.findall(self._fields.get(name, ""))

    @property
    def references(self) -> list[str]:
        """The conversation up to this message, it included."""
        earlier = self.identifiers("references")
        answered = self.identifiers("in-reply-to")
        if not earlier and len(answered) == 1:
            earlier = answered
        found = list(dict.fromkeys([*earlier, *self.identifiers("message-id")[:1]]))
        return found if len(found) <= _LONGEST else [found[0], *found[1 - _LONGEST :]]


def reply_fields(original: Sendable, to_all: bool, own: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the answer; see ``Message.reply``."""
    it = _Original(original)
    sender = [mailbox(fields["sender"])] if fields.get("sender") is not None else []
    oneself = {_key(box) for box in (*sender, *mailboxes_in(mailboxes(own)))}
    to = _but(it.mailboxes("reply-to", "from"), oneself) or _but(it.mailboxes("to"), oneself)
    found: dict[str, Any] = {"to": to, "subject": _marked("Re", _REPLIED, it.subject)}
    if to_all:
        found["cc"] = _but([*it.mailboxes("to"), *it.mailboxes("cc")], oneself | {_key(box) for box in to})
    if identifiers := it.identifiers("message-id")[:1]:
        found["in_reply_to"] = identifiers
    if references := it.references:
        found["references"] = references
    return {**found, **fields}


def forward_fields(original: Sendable, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the message that passes it on; see ``Message.forward``."""
    it = _Original(original)
    name = _NO_FILE_NAME.sub("_", it.subject)[:60].strip(" .") or "message"
    attached = Attachment(it.octets, f"{name}.eml", "message/rfc822")
    found: dict[str, Any] = {"subject": _marked("Fwd", _FORWARDED, it.subject)}
    if references := it.references:
        found["references"] = references
    return {**found, **fields, "attachments": (*attachments_of(fields.get("attachments")), attached)}


def _marked(mark: str, marked: re.Pattern[str], subject: str) -> str:
    return subject if marked.match(subject) else f"{mark}: {subject}".strip()


def _but(boxes: Iterable[Mailbox], others: set[tuple[str, str]]) -> list[Mailbox]:
    """Each once, without the others."""
    unique = {_key(box): box for box in reversed(list(boxes))}
    return [box for key, box in reversed(unique.items()) if key not in others]


def _key(box: Mailbox) -> tuple[str, str]:
    # Nobody has two mailboxes that differ in case only, though RFC 5321 §2.4 allows it.
    return box.address.local.lower(), box.address.wire_domain.lower()
