"""Folds header lines of messages made elsewhere: lines over 998 octets (RFC 5322 §2.1.1) are folded, all others are
unchanged.

A line is folded before white space, where every field allows it. Without white space, an address list is rewritten, a
list of identifiers gets spaces, and free text becomes encoded words; anything else is refused.
"""

from __future__ import annotations

import email.message
import re
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message import headers
from wlsmtp.message.headers import MAX_LINE
from wlsmtp.message.section import fields_of, start_of
from wlsmtp.wire.mailboxes import parse_address_list

if TYPE_CHECKING:
    AnyEmail = email.message.Message[Any, Any]

_AIM = 78
_PIECE = re.compile(r"[ \t]*[^ \t]+(?:[ \t]+\Z)?")
_TIGHT = re.compile(r'(?<=>)(?=<)|(?<=>,)(?=<)|(?<=;)(?=[^ \t])|("(?:[^"\\]|\\.)*+(?:"|\Z)|<[^<>]*>)')
"""Where a space may be added in a structured field: between identifiers, after a URL, between parameters."""
_SIGNATURES = re.compile(
    rb"^(?:(?:DKIM|DomainKey)-Signature|ARC-(?:Message-Signature|Seal))[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_SIGNED_PARTS = re.compile(rb"^Content-Type[ \t]*:[ \t\r\n]*multipart/signed\b", re.IGNORECASE | re.MULTILINE)
_FREE_TEXT = frozenset({"subject", "comments", "organization", "content-description", "x-mailer"})


def has_long_line(head: bytes) -> bool:
    """Return whether a line of a header section is too long to be sent."""
    return len(head) > MAX_LINE and max(map(len, head.split(b"\r\n"))) > MAX_LINE


def has_signature(head: bytes) -> bool:
    """Return whether a signature covers this header section and what it belongs to."""
    return _SIGNATURES.search(head) is not None


def signs_parts(head: bytes) -> bool:
    """Return whether a signature covers the parts of what this header section belongs to: that of ``multipart/signed``
    (RFC 1847) does not cover the fields beside it."""
    return has_signature(head) or _SIGNED_PARTS.search(head) is not None


def fold_head(head: bytes, *, is_signed: bool = False) -> bytes:
    """Return a header section, with CRLF line ends, in which each line that was too long is folded. Raises
    ``MessageError`` for a line that cannot be folded or is not a field, and where a signature covers it; ``is_signed``
    if another header section says so."""
    is_signed = is_signed or has_signature(head)
    fields = [_folded_field(field, is_signed) if has_long_line(field[0]) else field[0] for field in fields_of(head)]
    return b"".join((head[: start_of(head)], *fields))


def _folded_field(field: re.Match[bytes], is_signed: bool) -> bytes:
    name, value = field[1].decode("ascii"), field[2].decode("ascii", "surrogateescape")
    folded = fold(name, value.removesuffix("\r\n").removeprefix(" "), is_signed=is_signed)
    return f"{name}: {folded}\r\n".encode("ascii", "surrogateescape")


def fold(name: str, value: str, *, is_signed: bool) -> str:
    """Fold the value of a field; it is unchanged if all its lines are short enough. Raises ``MessageError``, see
    ``fold_head``."""
    if len(name) + len(": ") + len(value) <= MAX_LINE // 4 or _fits(name, value):
        return value
    if is_signed:
        raise _refusal(name, "cannot be folded, as the message is signed", "Fold its fields before it is signed")
    for way in (_as_it_is, _spaced_out, _rewritten):
        if _fits(name, folded := _folded(name, way(name, value))):
            return folded
    raise _refusal(name, "has a word that is too long for a line", "Shorten the value")


def _fits(name: str, value: str) -> bool:
    return max(map(_octets, re.split(r"\r?\n", f"{name}: {value}"))) <= MAX_LINE


def _octets(line: str) -> int:
    return len(line.encode("utf-8", "surrogateescape"))


def _folded(name: str, value: str) -> str:
    lines = re.split(r"\r?\n", value)
    first = len(name) + len(": ")
    return "\r\n".join(_folded_line(line, 0 if number else first) for number, line in enumerate(lines))


def _folded_line(line: str, column: int) -> str:
    if column + _octets(line) <= MAX_LINE:
        return line
    pieces: list[str] = []
    for piece in _PIECE.findall(line):
        if pieces and column + len(piece) > _AIM:
            pieces.append("\r\n")
            column = 0
        pieces.append(piece)
        column += len(piece)
    # An empty line would end the header section.
    return "".join(pieces) or line[:1]


def _as_it_is(_name: str, value: str) -> str:
    return value


def _spaced_out(name: str, value: str) -> str:
    return value if name.lower() in _FREE_TEXT else _TIGHT.sub(lambda found: found[1] or " ", value)


def _rewritten(name: str, value: str) -> str:
    """Rewrite an address list, or free text, in this library's own form."""
    try:
        text = re.sub(r"\r?\n(?=[ \t])", "", value).encode("utf-8", "surrogateescape").decode()
        if name.lower() in headers.ADDRESS_FIELDS:
            field = headers.address_field(name, parse_address_list(text))
        elif name.lower() in _FREE_TEXT or name.lower().startswith("x-"):
            field = headers.text_field(name, text)
        else:
            return value
    except (MessageError, UnicodeError):
        return value
    return field[len(name) + 1 :].removesuffix("\r\n").removeprefix(" ")


def _refusal(name: str, why: str, hint: str) -> MessageError:
    words = f"The header {name[:80]!r} {why}: a line has 998 octets at most (RFC 5322 §2.1.1)"
    return MessageError(words, stage=Stage.MESSAGE, hint=hint)
