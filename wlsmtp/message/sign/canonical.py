"""The relaxed canonical forms of DKIM (RFC 6376 §3.4): what a signature is made over. Octets in, octets out; constant
memory, whatever the body."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_WHITE = b" \t\r\n"
_CRLF = b"\r\n"
_CR_AS_SPACE = bytes.maketrans(b"\r", b" ")
_TOGETHER = 32 * 1024
"""Empty lines that are hashed at once."""


def relaxed(octets: bytes) -> bytes:
    """Runs of spaces and tabs as one space, and none before a CRLF (§3.4.4). Most octets need no change: one search in
    C finds that out. A run of any length is gone after a few rounds."""
    if b"\t" in octets:
        octets = octets.replace(b"\t", b" ")
    if b" " not in octets or b"  " not in octets.translate(_CR_AS_SPACE):
        return octets
    while b"  " in octets:
        octets = octets.replace(b"  ", b" ")
    return octets.replace(b" \r\n", _CRLF)


def relaxed_value(value: bytes) -> bytes:
    """The value of a header field: unfolded, runs of white space as one space, none at its ends (§3.4.2)."""
    line = value.replace(_CRLF, b"").replace(b"\t", b" ")
    while b"  " in line:
        line = line.replace(b"  ", b" ")
    return line.strip(b" ")


class BodyHash:
    """SHA-256 of a body in relaxed form, given in chunks with any borders. What may be the end of the body is kept
    back, as empty lines there do not count."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._empty_lines = 0
        """Line ends that count only if more text follows."""
        self._tail = b""
        """Begins the next chunk: a space, a CR, or both."""
        self._has_text = False

    def update(self, chunk: bytes) -> None:
        """The next octets, with CRLF line ends."""
        text = chunk.rstrip(_WHITE)
        white = chunk[len(text) :]
        if text:
            self._end_lines()
            self._hash.update(relaxed(self._tail + text))
            self._tail, self._has_text = b"", True
        if white:
            tail = relaxed(self._tail + white)
            lines = tail.count(_CRLF)
            self._empty_lines += lines
            self._tail = tail[2 * lines :]

    def _end_lines(self) -> None:
        while self._empty_lines:
            together = min(self._empty_lines, _TOGETHER)
            self._hash.update(_CRLF * together)
            self._empty_lines -= together

    def digest(self) -> bytes:
        """The hash of the whole. A body without text has no octets; any other ends with one CRLF."""
        whole = self._hash.copy()
        if self._has_text:
            whole.update(_CRLF)
        return whole.digest()


def body_hash(chunks: Iterable[bytes]) -> bytes:
    """The hash of a whole body."""
    hashed = BodyHash()
    for chunk in chunks:
        hashed.update(chunk)
    return hashed.digest()
