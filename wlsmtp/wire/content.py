"""Content on the wire: line ends, dot-stuffing (RFC 5321 §4.5.2) and the BDAT command (RFC 3030).

Octets in, octets out, in chunks of any size. Their meaning is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

CRLF = b"\r\n"
SMALL = 32 * 1024
"""Octets up to which replacing is the fastest way to look at line ends."""


def has_clean_line_ends(data: bytes) -> bool:
    """Return whether every CR and every LF is part of a CRLF. Small data is checked fastest by comparing it with its
    normalized form."""
    if len(data) <= SMALL:
        return data.replace(b"\r", b"").replace(b"\n", CRLF) == data
    pairs = data.count(CRLF)
    return pairs == data.count(b"\n") == data.count(b"\r")


def with_clean_line_ends(data: bytes) -> bytes:
    """Return ``data`` with CRLF for every bare CR and bare LF; ``data`` itself if there is none."""
    if data.find(b"\r") < 0:  # as texts are in memory
        return data.replace(b"\n", CRLF)
    if len(data) <= SMALL and data.replace(b"\r", b"").replace(b"\n", CRLF) == data:  # the usual case, without a call
        return data
    if has_clean_line_ends(data):
        return data
    return data.replace(CRLF, b"\n").replace(b"\r", b"\n").replace(b"\n", CRLF)


def normalise(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield the chunks with CRLF for every bare CR and bare LF, also across chunk borders (RFC 5321 §2.3.8).

    A server that accepts ``\n.\n`` or ``\r.\r`` as the end of the content would read what follows as commands: SMTP
    smuggling (CVE-2023-51764 and similar). Neither is ever sent.
    """
    held = b""
    for chunk in chunks:
        joined = held + chunk
        # A CR at the end may be the first half of a line end.
        held = b"\r" if joined.endswith(b"\r") else b""
        clean = with_clean_line_ends(joined[:-1] if held else joined)
        if clean:
            yield clean
    if held:
        yield CRLF


def with_unix_line_ends(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield normalised chunks with LF for each CRLF, also across chunk borders, as Unix files and pipes store mail."""
    held = b""
    for chunk in chunks:
        joined = held + chunk
        held = b"\r" if joined.endswith(b"\r") else b""
        if converted := (joined[:-1] if held else joined).replace(CRLF, b"\n"):
            yield converted
    if held:
        yield held


class DotStuffer:
    """Doubles the dot at the start of each line of normalised content, and ends it with the final dot."""

    def __init__(self) -> None:
        self._tail = CRLF

    def encode(self, chunk: bytes) -> bytes:
        """Return the next chunk, ready for the wire."""
        stuffed = chunk.replace(b"\r\n.", b"\r\n..") if b"\r\n." in chunk else chunk
        if self._tail == CRLF and chunk.startswith(b"."):
            stuffed = b"." + stuffed
        elif self._tail.endswith(b"\r") and chunk.startswith(b"\n."):
            stuffed = b"\n." + stuffed[1:]
        self._tail = (self._tail + chunk[-2:])[-2:]
        return stuffed

    def end(self) -> bytes:
        """Return what must follow the last chunk."""
        return b".\r\n" if self._tail == CRLF else b"\r\n.\r\n"


def dot_stuffed(chunks: Iterable[bytes]) -> bytes:
    """Return normalised content as it follows DATA, with its end."""
    content = b"".join(chunks)
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    return content + (b".\r\n" if content.endswith(CRLF) or not content else b"\r\n.\r\n")


def bdat(size: int, last: bool) -> bytes:
    """Return the command before a chunk of ``size`` octets, which is not dot-stuffed (RFC 3030 §2)."""
    return b"BDAT %d LAST\r\n" % size if last else b"BDAT %d\r\n" % size
