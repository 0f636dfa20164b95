"""Content goes over the wire so that it comes out the same, and nothing in it can end it early."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp.wire.content import DotStuffer, bdat, dot_stuffed, normalise, with_unix_line_ends

OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"a", b"\x00", b"\xff"])).map(b"".join) | st.binary()


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(borders)]


def on_the_wire(chunks: list[bytes]) -> bytes:
    stuffer = DotStuffer()
    return b"".join([stuffer.encode(chunk) for chunk in normalise(chunks)]) + stuffer.end()


def received(wire: bytes) -> bytes:
    """What a strict server makes of it (RFC 5321 §4.5.2)."""
    lines = wire.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end + 1 :] == [b""], "the content ended early"
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:end])


@given(OCTETS, st.lists(st.integers(0, 1000)))
def test_what_is_received_is_what_was_sent_whatever_the_chunks(data: bytes, cuts: list[int]) -> None:
    wire = on_the_wire(chunked(data, cuts))
    expected = re.sub(rb"\r\n|\r|\n", b"\r\n", data)
    if expected and not expected.endswith(b"\r\n"):
        expected += b"\r\n"
    assert received(wire) == expected
    assert wire == on_the_wire([data]) == dot_stuffed(normalise(chunked(data, cuts)))


@given(OCTETS, st.lists(st.integers(0, 1000)))
def test_no_bare_cr_or_lf_leaves(data: bytes, cuts: list[int]) -> None:
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", on_the_wire(chunked(data, cuts)))


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\r", b"\r\n.\r\n"])
def test_a_smuggled_end_of_content_is_only_text(end: bytes) -> None:
    attack = b"x" + end + b"MAIL FROM:<eve@example.com>\r\n"
    for size in (1, 2, 3, len(attack)):
        wire = on_the_wire([attack[start : start + size] for start in range(0, len(attack), size)])
        assert wire == b"x\r\n..\r\nMAIL FROM:<eve@example.com>\r\n.\r\n"


@given(OCTETS, st.lists(st.integers(0, 1000)))
def test_files_and_pipes_have_the_line_ends_of_unix_whatever_the_chunks(data: bytes, cuts: list[int]) -> None:
    clean = re.sub(rb"\r\n|\r|\n", b"\r\n", data)
    assert b"".join(with_unix_line_ends(chunked(clean, cuts))) == clean.replace(b"\r\n", b"\n")


def test_empty_content_is_a_lone_dot() -> None:
    assert on_the_wire([]) == on_the_wire([b""]) == b".\r\n"


def test_chunks_without_a_dot_are_not_copied() -> None:
    chunk = b"a line\r\n" * 100
    assert DotStuffer().encode(chunk) is chunk
    assert next(normalise([chunk])) is chunk


def test_bdat() -> None:
    assert bdat(10, last=False) == b"BDAT 10\r\n"
    assert bdat(0, last=True) == b"BDAT 0 LAST\r\n"
