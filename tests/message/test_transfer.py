"""Transfer encodings, against those of the standard library."""

from __future__ import annotations

import base64
import quopri
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wlsmtp.message.transfer import (
    BLOCK,
    base64_lines,
    base64_size,
    encode_text,
    is_7bit,
    is_safe_text,
    measure_7bit,
    quoted_printable,
)

TEXT = st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"a", b"=", b".", b"\x00", b"\xc3\xa9", b"x" * 998])).map(
    b"".join
)


@given(st.binary(max_size=300))
@example(b"\xff" * BLOCK)
@example(b"\xff" * (BLOCK + 1))
@example(b"\xff" * (2 * BLOCK - 1))
def test_base64_is_that_of_the_standard_library_and_its_size_is_known(octets: bytes) -> None:
    encoded = base64_lines(octets)
    assert encoded == base64.encodebytes(octets).replace(b"\n", b"\r\n")
    assert len(encoded) == base64_size(len(octets))


@given(TEXT)
@example(b"x" * 75 + b"\t")
@example(b"x" * 74 + b" \r\n" + b"x" * 75 + b" \r\n" + b"x" * 76 + b" \r\n")
def test_quoted_printable_reads_back_and_is_safe(octets: bytes) -> None:
    encoded = quoted_printable(octets)
    assert quopri.decodestring(encoded) == octets
    assert is_safe_text(encoded) and max(map(len, encoded.split(b"\r\n"))) <= 76


@given(TEXT)
def test_a_text_is_safe_where_nothing_can_happen_to_it(octets: bytes) -> None:
    assert is_safe_text(octets) is not bool(re.search(rb"[^\t\r\n -~]|[^\r\n]{999}|[ \t](?:\r\n|\Z)", octets))
    assert is_7bit(octets) is not bool(re.search(rb"[\x00\x80-\xff]|[^\r\n]{999}", octets))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\r\n", "7bit"),
        ("Die Füße und so weiter und so fort\r\n", "quoted-printable"),
        ("日本語\r\n", "base64"),
        ("", "7bit"),
    ],
)
def test_the_encoding_suits_the_text(text: str, encoding: str) -> None:
    assert encode_text(text.encode(), but=b"boundary")[0] == encoding


def test_a_text_with_the_boundary_in_it_is_encoded() -> None:
    encoding, body = encode_text(b"--=_0123\r\n", but=b"=_0123")
    assert encoding == "quoted-printable" and b"=_0123" not in body


@given(st.lists(TEXT.filter(lambda piece: not piece.endswith(b"\r")), max_size=6))
@example([b"x" * 998, b"\r\n"])
@example([b"x" * 600, b"x" * 600, b"\r\n"])
@example([b"a=", b".\r\n"])
def test_octets_are_measured_in_any_chunks(chunks: list[bytes]) -> None:
    octets = b"".join(chunks)
    safe = is_7bit(octets) and b"=." not in octets
    assert measure_7bit(chunks, but=b"=.") == (len(octets) if safe else None)
