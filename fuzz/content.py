"""Content: no chunking changes what a server reads, and nothing in it ends it early; by DATA and by BDAT."""

from __future__ import annotations

from fuzz.pieces import cut, head_and_rest
from wlsmtp.message.content import BytesContent
from wlsmtp.wire.content import DotStuffer, bdat, has_clean_line_ends, normalise, with_clean_line_ends


def check(data: bytes) -> None:
    """The first octet says how the others are cut."""
    size, octets = head_and_rest(data)
    clean = with_clean_line_ends(octets)
    assert b"".join(normalise(cut(octets, size))) == clean
    assert has_clean_line_ends(clean) and with_clean_line_ends(clean) is clean
    assert clean.splitlines() == _lines(octets)
    content = BytesContent(octets)
    assert content.size == len(content.data) and content.data.startswith(clean)
    _check_data(content.data, size)
    _check_data(clean, size)
    _check_bdat(content.data, size)


def _lines(octets: bytes) -> list[bytes]:
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n").splitlines()


def _check_data(octets: bytes, size: int) -> None:
    stuffer = DotStuffer()
    sent = b"".join(map(stuffer.encode, cut(octets, size))) + stuffer.end()
    read, rest = _read_data(sent + b"NOOP\r\n")
    assert rest == b"NOOP\r\n"
    assert read == octets or read == octets + b"\r\n"


def _read_data(stream: bytes) -> tuple[bytes, bytes]:
    """What a server reads up to the lone dot (RFC 5321 §4.5.2), line by line, and what is left."""
    read = b""
    while stream:
        line, _, stream = stream.partition(b"\r\n")
        assert b"\r" not in line and b"\n" not in line
        if line == b".":
            return read, stream
        read += line.removeprefix(b".") + b"\r\n"
    raise AssertionError("The content has no end")


def _check_bdat(octets: bytes, size: int) -> None:
    *pieces, last_piece = cut(octets, size) or [b""]
    stream = b"".join(bdat(len(piece), False) + piece for piece in pieces)
    stream += bdat(len(last_piece), True) + last_piece + b"NOOP\r\n"
    read, is_last = b"", False
    while not is_last:
        line, _, stream = stream.partition(b"\r\n")
        verb, count, *last = line.split(b" ")
        assert verb == b"BDAT" and last in ([], [b"LAST"])
        read, stream, is_last = read + stream[: int(count)], stream[int(count) :], bool(last)
    assert (read, stream) == (octets, b"NOOP\r\n")
