"""Transfer encodings: the standard library reads back what was written, in lines that every relay takes."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Callable

from fuzz.pieces import cut, head_and_rest
from wlsmtp.message.transfer import (
    MAX_LINE,
    base64_lines,
    base64_size,
    encode_text,
    is_7bit,
    is_safe_text,
    measure_7bit,
    quoted_printable,
)
from wlsmtp.wire.content import has_clean_line_ends, with_clean_line_ends

_DECODE: dict[str, Callable[[bytes], bytes]] = {
    "7bit": bytes,
    "quoted-printable": quopri.decodestring,
    "base64": base64.b64decode,
}
_BOUNDARY = b"=_0"


def check(data: bytes) -> None:
    """The first octet says how the others are cut."""
    size, octets = head_and_rest(data)
    written = base64_lines(octets)
    assert base64.b64decode(written) == octets and len(written) == base64_size(len(octets))
    _check_lines(written, 76)
    text = with_clean_line_ends(octets)
    _check_text(text)
    is_plain = is_7bit(text) and _BOUNDARY not in text
    assert measure_7bit(cut(text, size), but=_BOUNDARY) == (len(text) if is_plain else None)


def _check_text(text: bytes) -> None:
    encoding, written = encode_text(text, but=_BOUNDARY)
    assert _DECODE[encoding](written) == text
    assert _BOUNDARY not in written and written.isascii()
    _check_lines(written, MAX_LINE if encoding == "7bit" else 76)
    _check_lines(quoted_printable(text), 76)
    assert is_safe_text(text) <= is_7bit(text)


def _check_lines(written: bytes, limit: int) -> None:
    assert has_clean_line_ends(written)
    lines = written.split(b"\r\n")
    assert max(map(len, lines)) <= limit
    assert not any(line.endswith((b" ", b"\t")) for line in lines)
