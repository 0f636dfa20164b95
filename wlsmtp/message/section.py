"""Header sections in octets, read in one way by whoever looks for addresses in them or takes a field out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wlsmtp.errors import MessageError, Stage

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)")
_MAY_BE_BCC = re.compile(rb"^(?:Resent-)?Bcc[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MAILBOX_LINE = (b"From ", b">From ")
"""Begins a message in a mailbox file, and is no part of the message (RFC 4155)."""
_HINT = "A line that begins with neither a name and a colon nor a space may belong to the field before it"


def start_of(head: bytes) -> int:
    """Where the fields begin: behind the line that a mailbox file has before them, if it is there."""
    is_from_a_file = head.startswith(_MAILBOX_LINE) and not _FIELD.match(head)
    return head.find(b"\n") + 1 if is_from_a_file else 0


def fields_of(head: bytes) -> Iterator[re.Match[bytes]]:
    """The fields of a header section whose lines end in CRLF: name, and value with its folds and its last CRLF. Raises
    ``MessageError`` for a line that is no part of a field: nobody can tell what others will make of it."""
    position = start_of(head)
    while position < len(head):
        field = _FIELD.match(head, position)
        if field is None:
            raise _refusal(head[position:].partition(b"\r\n")[0])
        yield field
        position = field.end()


def read_fields(head: bytes) -> list[tuple[str, str]]:
    """The names and values of the fields, with raw octets as surrogates, as the standard library has them."""
    return [
        (field[1].decode("ascii"), field[2].decode("ascii", "surrogateescape").strip(" \t\r\n"))
        for field in fields_of(head)
    ]


def without_bcc(head: bytes) -> bytes:
    """The header section without Bcc and Resent-Bcc; as it is when there are none, whatever else is in it. Raises
    ``MessageError``, see ``fields_of``."""
    if not _MAY_BE_BCC.search(head):
        return head
    kept = [field[0] for field in fields_of(head) if field[1].lower() not in (b"bcc", b"resent-bcc")]
    return b"".join((head[: start_of(head)], *kept))


def _refusal(line: bytes) -> MessageError:
    shown = line.decode("ascii", "backslashreplace")
    shown = shown if len(shown) <= 80 else f"{shown[:77]}…"
    return MessageError(f"The header section has a line that is no field: {shown!r}", stage=Stage.MESSAGE, hint=_HINT)
