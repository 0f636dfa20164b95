"""Writes stdlib messages of the usual shapes: texts, alternatives and attachments, as ``EmailMessage`` and ``MIMEText``
build them. The octets are those of the standard library's generator, which takes ten times as long.

Everything else is left to that generator: whatever is signed, encoded anew, attached as a message, or looks odd.
"""

from __future__ import annotations

import email.message
import random
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wlsmtp.message.recode import SIGNATURE_FIELDS, has_long_line
from wlsmtp.wire.content import with_clean_line_ends

if TYPE_CHECKING:
    AnyEmail = email.message.Message[Any, Any]
    FieldWriter = Callable[[str, Any], str]

_ENCODINGS = frozenset({"", "7bit", "8bit", "quoted-printable", "base64"})
_SAFE_VALUE = re.compile(r"[ -~]*+(?:\r\n[ \t][ -~]*+)*+")
"""ASCII, folded with CRLF or not at all: every version of the generator leaves it as it is."""
_TYPE = re.compile(r"([A-Za-z]+)/([A-Za-z0-9.+-]+)(?![^; ])")
_OTHER_SHAPES = frozenset({"multipart/signed", "multipart/encrypted"})
_WIDTH = len(repr(sys.maxsize - 1))
_LINE, _FOLD = 78, "\r\n "


class _Unusual(Exception):
    """The standard library's generator must write this message."""


def write_plain(message: AnyEmail, field: FieldWriter, left_out: frozenset[str]) -> bytes | None:
    """Return the message in octets without the fields in ``left_out``; None if its shape is not a usual one.
    ``field`` writes the value of a field, and may raise ``MessageError``."""
    try:
        return b"".join(_part(message, field, left_out))
    except _Unusual:
        return None


def is_unset(value: object) -> bool:
    """Return whether a field was set to None, as in ``message["Cc"] = None``. It has no value then, and an
    ``EmailMessage`` has the text "None" in place of one."""
    return value is None or (value == "None" and _names_none(value))


def _names_none(value: object) -> bool:
    return {address for group in getattr(value, "groups", ()) for address in group.addresses} == {None}


def _part(part: AnyEmail, field: FieldWriter, left_out: frozenset[str] = frozenset()) -> list[bytes]:
    lines: list[str] = []
    kind, encoding, place = ("text", "text/plain"), "", 0
    for name, value in part.raw_items():
        key = name.lower()
        if key in left_out or is_unset(value):
            continue
        if key in SIGNATURE_FIELDS:
            raise _Unusual
        text = field(name, value)
        if "\n" in text:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        if not _SAFE_VALUE.fullmatch(text):
            raise _Unusual
        if key == "content-type":
            kind, place = _kind(text), len(lines)
        elif key == "content-transfer-encoding":
            encoding = text.strip().lower()
        lines.append(f"{name}: {text}\r\n")
    if encoding not in _ENCODINGS or kind[1] in _OTHER_SHAPES:
        raise _Unusual
    payload: Any = part._payload  # type: ignore[attr-defined]  # get_payload() decodes
    if kind[0] == "multipart" and isinstance(payload, list):
        body, boundary = _parts(part, payload, field)
        if boundary is not None:
            lines[place] = _with_boundary(lines[place], boundary)
    elif kind[0] not in ("multipart", "message") and isinstance(payload, str):
        body = [_octets(payload)]
    else:
        raise _Unusual
    return ["".join(lines).encode("ascii"), b"\r\n", *body]


def _kind(text: str) -> tuple[str, str]:
    found = _TYPE.match(text)
    if found is None:
        raise _Unusual
    return found[1].lower(), found[0].lower()


def _octets(payload: str) -> bytes:
    try:
        octets = payload.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        raise _Unusual from None
    if b"\0" in octets or has_long_line(octets):
        raise _Unusual
    return with_clean_line_ends(octets)


def _parts(part: AnyEmail, children: list[Any], field: FieldWriter) -> tuple[list[bytes], str | None]:
    """Return the body of a multipart, and its boundary if that is a new one."""
    is_usual = all(isinstance(child, email.message.Message) for child in children)
    if not children or not is_usual or part.preamble is not None or part.epilogue:
        raise _Unusual
    written = [_part(child, field) for child in children]
    boundary, is_new = part.get_boundary(), False
    if boundary is None:
        boundary, is_new = _new_boundary(written), True
    elif not boundary.isascii() or not boundary.isprintable():
        raise _Unusual
    line = f"--{boundary}\r\n".encode("ascii")
    if not is_new and any(line[:-2] in piece for pieces in written for piece in pieces):
        raise _Unusual  # its parts would be taken for those of another
    body: list[bytes] = []
    for pieces in written:
        body += (b"\r\n" + line if body else line, *pieces)
    body.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    return body, boundary if is_new else None


def _new_boundary(written: list[list[bytes]]) -> str:
    """Return a boundary in the standard library's form that occurs in no part."""
    while True:
        boundary = f"{'=' * 15}{random.randrange(sys.maxsize):0{_WIDTH}d}=="
        line = f"--{boundary}".encode("ascii")
        if not any(line in piece for pieces in written for piece in pieces):
            return boundary


def _with_boundary(line: str, boundary: str) -> str:
    """Add the boundary to a Content-Type field without parameters, folded as the standard library does."""
    bare = line.removesuffix("\r\n")
    if ";" in bare or not bare:
        raise _Unusual
    parameter = f'boundary="{boundary}"'
    is_folded = len(bare) + len("; ") + len(parameter) > _LINE
    return f"{bare};{_FOLD if is_folded else ' '}{parameter}\r\n"
