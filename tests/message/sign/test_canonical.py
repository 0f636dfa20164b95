"""The relaxed canonical forms, beside a reading of RFC 6376 §3.4 that takes one sentence after the other."""

from __future__ import annotations

import hashlib
import itertools
import re
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wlsmtp.message.sign.canonical import BodyHash, body_hash, relaxed_value

PIECES = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b".", b"\xc3\xa9", b"  \t ", b"\r\n\r\n", b" \r\n"]))


def by_the_book(body: bytes) -> bytes:
    """RFC 6376 §3.4.4."""
    lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


@given(PIECES, st.lists(st.integers(0, 40)))
@example([], [])
@example([b"\r\n"], [1])
@example([b" ", b"\r\n", b"a"], [1, 2])
@example([b"a", b" \r\n", b" \r\n"], [1, 2, 3, 4])
def test_a_body_has_the_hash_of_the_book_wherever_its_chunks_end(pieces: list[bytes], cuts: list[int]) -> None:
    body = b"".join(pieces)
    borders = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    chunks = [body[start:end] for start, end in itertools.pairwise(borders)]
    assert body_hash(chunks) == hashlib.sha256(by_the_book(body)).digest()


def test_every_border_between_two_chunks() -> None:
    body = b"\r\n Hello \t world \r\n\r\n \t\r\n\tend  \r\n \r\n\r\n"
    expected = hashlib.sha256(by_the_book(body)).digest()
    for one in range(len(body) + 1):
        for other in range(one, len(body) + 1):
            assert body_hash([body[:one], body[one:other], body[other:]]) == expected


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n", b" \t\r\n", b"   "])
def test_a_body_without_text_is_empty(body: bytes) -> None:
    assert body_hash([body]) == hashlib.sha256(b"").digest()


def test_the_hash_may_be_asked_for_before_the_end() -> None:
    hashed = BodyHash()
    hashed.update(b"a \r\n")
    assert hashed.digest() == hashlib.sha256(b"a\r\n").digest()
    hashed.update(b"b")
    assert hashed.digest() == hashlib.sha256(b"a\r\nb\r\n").digest()


@pytest.mark.parametrize("filling", [b"\r\n" * 32768, b" \r\n" * 21845, b" " * 65536, b"a b\t c \r\n" * 7281])
def test_a_body_of_any_length_takes_no_memory(filling: bytes) -> None:
    hashed = BodyHash()
    hashed.update(filling)
    tracemalloc.start()
    try:
        for _ in range(50):
            hashed.update(filling)
        hashed.update(b"end")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b" a\r\n", b"a"), (b"\r\n a \t b\r\n\tc \r\n", b"a b c"), (b"\r\n", b""), (b" \xc3\xa9\t\r\n", b"\xc3\xa9")],
)
def test_a_value_is_unfolded(value: bytes, expected: bytes) -> None:
    assert relaxed_value(value) == expected
