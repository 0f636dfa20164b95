"""Content transfer encodings (RFC 2045 §6): 7bit where the octets allow it, quoted-printable, base64.

Octets in, octets out; line ends are CRLF on both sides.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable
from struct import Struct

from wlsmtp.patterns import later
from wlsmtp.wire.content import has_clean_line_ends

MAX_LINE = 998
"""Octets in a line without its CRLF (RFC 5322 §2.1.1)."""

_OCTETS_IN_LINE = 57
_LINE = 76
_LINES = 840

BLOCK = _LINES * _OCTETS_IN_LINE
"""Octets read at a time: whole lines of base64, about 64 KiB of them."""

# b2a_qp makes lines of 77 characters, or 78 if one ends with white space.
_SPACE_TOO_FAR = later(rb"=(?:09|20)$(?<=[^\n]{77})", re.MULTILINE)

# Cutting a block into lines in one call takes a third of the time of slicing each.
_cut = Struct(f"{_LINE}s" * _LINES).unpack

_SAFE = bytes([octet if octet in b"\t\r\n" or 0x20 <= octet < 0x7F else 0x20 for octet in range(256)])
"""A table that changes all but printable ASCII, tabs and line ends. A translation without deletions takes half the
time, and gives the same object if it changes nothing."""
_FOREIGN = bytes(range(128, 256))
_ASCII_BUT_NUL = bytes(range(1, 128))


def base64_lines(octets: bytes) -> bytes:
    """Encode to base64 in lines of 76 characters (RFC 2045 §6.8), each with its CRLF."""
    whole = len(octets) - len(octets) % BLOCK
    lines: list[bytes] = []
    for start in range(0, whole, BLOCK):
        lines += _cut(binascii.b2a_base64(octets[start : start + BLOCK], newline=False))
    rest = binascii.b2a_base64(octets[whole:], newline=False)
    lines += [rest[start : start + _LINE] for start in range(0, len(rest), _LINE)]
    lines.append(b"")
    return b"\r\n".join(lines)


def base64_size(size: int) -> int:
    """Return the number of octets that ``base64_lines`` makes of ``size`` octets."""
    return (size + 2) // 3 * 4 + (size + _OCTETS_IN_LINE - 1) // _OCTETS_IN_LINE * 2


def encode_text(octets: bytes, *, but: bytes) -> tuple[str, bytes]:
    """Return the encoding that suits a UTF-8 text, and the encoded text. It never contains ``but``: a boundary, or
    empty."""
    if is_safe_text(octets) and not (but and but in octets):
        return "7bit", octets
    foreign = len(octets) - len(octets.translate(None, _FOREIGN))
    if foreign * 6 > len(octets):
        return "base64", base64_lines(octets)
    return "quoted-printable", quoted_printable(octets)


def quoted_printable(octets: bytes) -> bytes:
    """Encode to quoted-printable (RFC 2045 §6.7): lines of 76 characters at most."""
    written = _SPACE_TOO_FAR.sub(rb"=\n\g<0>", binascii.b2a_qp(octets.replace(b"\r\n", b"\n")))
    return written.replace(b"\n", b"\r\n")


def is_safe_text(octets: bytes) -> bool:
    """Return whether every relay leaves a text with CRLF line ends unchanged: printable, short lines, no trailing white
    space."""
    if octets.translate(_SAFE) != octets or octets.endswith((b" ", b"\t")) or octets.find(b" \r\n") >= 0:
        return False
    # The search for a single octet takes a fraction of the time.
    if octets.find(b"\t") >= 0 and octets.find(b"\t\r\n") >= 0:
        return False
    return not has_long_line_in(octets)


def is_7bit(octets: bytes) -> bool:
    """Return whether the octets are 7bit as RFC 2045 §2.7 defines it."""
    return not octets.translate(None, _ASCII_BUT_NUL) and not has_long_line_in(octets)


def is_8bit(octets: bytes) -> bool:
    """Return whether the octets are 8bit as RFC 2045 §2.8 defines it, or 7bit: short lines that end in CRLF, without
    NUL."""
    return b"\0" not in octets and has_clean_line_ends(octets) and not has_long_line_in(octets)


def measure_7bit(chunks: Iterable[bytes], *, but: bytes) -> int | None:
    """Return the number of octets if they are 7bit and do not contain ``but`` (which has no line end in it); else
    None."""
    return _measure(chunks, but, is_7bit)


def measure_8bit(chunks: Iterable[bytes], *, but: bytes) -> int | None:
    """Return the number of octets if they are 8bit and do not contain ``but``; else None."""
    return _measure(chunks, but, is_8bit)


def _measure(chunks: Iterable[bytes], but: bytes, is_fit: Callable[[bytes], bool]) -> int | None:
    size, held = 0, b""
    for chunk in chunks:
        octets = held + chunk
        end = octets.rfind(b"\r\n") + 2 if b"\r\n" in octets else 0
        lines, held = octets[:end], octets[end:]
        # A line that continues beyond the chunk is checked when it is complete, or too long already.
        if not is_fit(lines) or but in lines or len(held) > MAX_LINE + 1:
            return None
        size += len(chunk)
    return size if is_fit(held) and but not in held else None


def has_long_line_in(octets: bytes) -> bool:
    """Return whether a line has over ``MAX_LINE`` octets; few steps for many short lines. Lines end in CRLF."""
    start, size = 0, len(octets)
    while size - start > MAX_LINE:
        end = octets.rfind(b"\r\n", start, start + MAX_LINE + 2)
        if end < 0:
            return True
        start = end + 2
    return False
