"""Parses header sections in octets, for everyone who looks for addresses in them or removes a field."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wlsmtp.errors import MessageError, Stage

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)")
_MAY_BE_BCC = re.compile(rb"^[ \t]*(?:Resent-)?Bcc[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MAILBOX_LINE = (b"From ", b">From ")
"""The line that begins a message in a mailbox file; it is not part of the message (RFC 4155)."""
_HINT = "A line that begins with neither a name and a colon nor a space may belong to the field before it"


def start_of(head: bytes) -> int:
    """Return where the fields begin: after the line of a mailbox file, if present."""
    is_from_a_file = head.startswith(_MAILBOX_LINE) and not _FIELD.match(head)
    return head.find(b"\n") + 1 if is_from_a_file else 0


def fields_of(head: bytes) -> Iterator[re.Match[bytes]]:
    """Return the fields of a header section with CRLF line ends: name, and value with its folds and its last CRLF.
    Raises ``MessageError`` for a line that belongs to no field, as readers disagree on such lines."""
    position = start_of(head)
    while position < len(head):
        field = _FIELD.match(head, position)
        if field is None:
            raise _refusal(head[position:].partition(b"\r\n")[0])
        yield field
        position = field.end()


def read_fields(head: bytes) -> list[tuple[str, str]]:
    """Return the names and values of the fields, with raw octets as surrogates, as the standard library does."""
    return [
        (field[1].decode("ascii"), field[2].decode("ascii", "surrogateescape").strip(" \t\r\n"))
        for field in fields_of(head)
    ]


def without_bcc(head: bytes) -> bytes:
    """Return the header section without Bcc and Resent-Bcc; unchanged if there are none. Raises ``MessageError``, see
    ``fields_of``."""
    if not _MAY_BE_BCC.search(head):
        return head
    kept = [field[0] for field in fields_of(head) if field[1].lower() not in (b"bcc", b"resent-bcc")]
    return b"".join((head[: start_of(head)], *kept))


def _refusal(line: bytes) -> MessageError:
    shown = line.decode("ascii", "backslashreplace")
    shown = shown if len(shown) <= 80 else f"{shown[:77]}…"
    return MessageError(
        f"The header section has a line that is not a field: {shown!r}", stage=Stage.MESSAGE, hint=_HINT
    )
