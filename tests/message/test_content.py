"""Content is sized, normalised and re-readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp.errors import ExtensionMissing, MessageError
from wlsmtp.message.content import Body, BytesContent, ComposedContent


@given(st.binary(max_size=200))
def test_the_size_is_that_of_the_chunks_each_time(data: bytes) -> None:
    content = BytesContent(data)
    first = b"".join(content.chunks())
    assert first == b"".join(content.chunks()) and content.size == len(first)
    assert not first or first.endswith(b"\r\n")


def test_large_content_comes_in_chunks() -> None:
    data = b"x" * 70 + b"\r\n"
    content = BytesContent(data * 5000)
    chunks = list(content.chunks())
    assert len(chunks) > 1 and max(map(len, chunks)) <= 65536 and b"".join(chunks) == data * 5000


@pytest.mark.parametrize(
    ("data", "is_8bit", "in_headers"),
    [
        (b"A: b\n\nc", False, False),
        (b"A: b\n\n\xe9", True, False),
        (b"A: \xc3\xa9\n\nc", True, True),
        (b"A: \xe9\n\nc", True, False),
        (b"\n\xe9", True, False),
    ],
)
def test_what_it_needs_of_the_server(data: bytes, is_8bit: bool, in_headers: bool) -> None:
    content = BytesContent(data)
    assert (content.is_8bit, content.has_utf8_headers) == (is_8bit, in_headers)
    if is_8bit:
        with pytest.raises(ExtensionMissing, match="SMTPUTF8" if in_headers else "8BITMIME"):
            content.as_7bit()
    else:
        assert content.as_7bit() is content


@pytest.mark.parametrize(
    ("data", "identifier"),
    [
        (b"message-id: <a@b>\n\n", "<a@b>"),
        (b"A: b\nMessage-ID:\n <a@b>\n\n", "<a@b>"),
        (b"A: b\n\nMessage-ID: <a@b>\n", None),
        (b"Message-ID:\n<a@b>: c\n\n", None),
    ],
)
def test_the_message_id_is_that_of_the_header_section(data: bytes, identifier: str | None) -> None:
    assert BytesContent(data).message_id == identifier


def test_what_fits_a_chunk_is_not_copied() -> None:
    data = b"A: b\r\n\r\nc\r\n"
    content = BytesContent(data)
    assert next(content.chunks()) is data and content.data is data
    assert content.as_binary() is content and not content.is_binary and not content.is_streamed


@pytest.mark.parametrize("given", [b"abc", b"ab", b"abcd", b""])
def test_a_body_of_another_size_is_an_error_that_names_it(given: bytes) -> None:
    body = Body("big.bin", 3, lambda: iter([given]), is_file=True)
    content = ComposedContent([b"A: b\r\n", b"\r\n", body, b"\r\n"], "<a@b>")
    assert content.size == 13 and content.is_streamed
    if len(given) == 3:
        assert b"".join(content.chunks()) == b"A: b\r\n\r\nabc\r\n"
        return
    with pytest.raises(MessageError, match=r"big\.bin"):
        b"".join(content.chunks())
