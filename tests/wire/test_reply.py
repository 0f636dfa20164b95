"""Replies are read the same in any chunking, sloppy ones too; what is no reply is refused, and memory is bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import ProtocolError, Reply
from wlsmtp.wire.reply import MAX_LINE, MAX_LINES, ReplyParser, printable

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
replies = st.builds(Reply, st.integers(200, 599), st.lists(texts, min_size=1, max_size=5).map(tuple))


def octets(reply: Reply, end: bytes = b"\r\n") -> bytes:
    *first, last = reply.lines
    lines = [f"{reply.code}-{text}" for text in first] + [f"{reply.code} {last}"]
    return b"".join(line.encode() + end for line in lines)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(st.lists(replies, max_size=5), st.lists(st.integers(0, 10_000), max_size=20), st.sampled_from([b"\r\n", b"\n"]))
def test_any_chunking_gives_the_same_replies(said: list[Reply], cuts: list[int], end: bytes) -> None:
    parser = ReplyParser()
    data = b"".join(octets(reply, end) for reply in said)
    heard = [reply for piece in pieces(data, cuts) for reply in parser.feed(piece)]
    assert heard == said and parser.is_empty


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_whatever_comes_is_a_reply_or_a_protocol_error(chunks: list[bytes]) -> None:
    parser = ReplyParser()
    try:
        for chunk in chunks:
            for reply in parser.feed(chunk):
                assert 200 <= reply.code <= 599 and all(printable(line.encode()) == line for line in reply.lines)
    except ProtocolError:
        pass


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (b"250\r\n", ("",)),
        (b"250 \r\n", ("",)),
        (b"250-a\r\n250\r\n", ("a", "")),
        ("250 Größe\r\n".encode(), ("Größe",)),
        (b"250 a\x00b\x1b[31m\r\n", ("a\ufffdb\ufffd[31m",)),
        (b"250 \xff\r\n", ("\\xff",)),
    ],
)
def test_sloppy_servers_are_understood(line: bytes, lines: tuple[str, ...]) -> None:
    assert list(ReplyParser().feed(line)) == [Reply(250, lines)]


@pytest.mark.parametrize(
    "data",
    [b"hello\r\n", b"25 x\r\n", b"\r\n", b"099 x\r\n", b"150 x\r\n", b"650 x\r\n", b"250x\r\n", b"250-a\r\n251 b\r\n",
     b"2\xb2\xb3 x\r\n"],
)  # fmt: skip
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(ReplyParser().feed(data))


@pytest.mark.parametrize(
    "data", [b"x" * (MAX_LINE + 2), b"250-a\r\n" * (MAX_LINES + 1), (b"250-" + b"x" * 4000 + b"\r\n") * 80]
)
def test_an_endless_reply_is_cut_off(data: bytes) -> None:
    parser = ReplyParser()
    with pytest.raises(ProtocolError, match="more than"):
        for start in range(0, len(data), 100):
            list(parser.feed(data[start : start + 100]))


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\x15\x03\x01\x00\x02\x02\x0a\n", "security='ssl'"), (b"HTTP/1.1 400\r\n", "web server"),
     (b"* OK IMAP4rev1\r\n", "IMAP"), (b"+OK POP3\r\n", "POP3"), (b"SSH-2.0-x\r\n", "SSH")],
)  # fmt: skip
def test_other_protocols_are_recognised(data: bytes, words: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        list(ReplyParser().feed(data))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("code", "text", "enhanced", "rest"),
    [
        (250, "2.1.5 Ok", "2.1.5", "Ok"),
        (550, "5.1.1 No such user", "5.1.1", "No such user"),
        (550, "2.1.1 liar", None, "2.1.1 liar"),
        (250, "2.0.0", "2.0.0", ""),
        (250, "2.10.1000 x", None, "2.10.1000 x"),
        (250, "Ok 2.0.0", None, "Ok 2.0.0"),
    ],
)
def test_the_enhanced_code_counts_when_its_class_agrees(code: int, text: str, enhanced: str | None, rest: str) -> None:
    reply = Reply(code, (text,))
    assert (None if reply.enhanced is None else str(reply.enhanced)) == enhanced and reply.text == rest


@pytest.mark.parametrize(
    ("text", "queue_id"),
    [
        ("2.0.0 Ok: queued as 4XyZ0a1b2c", "4XyZ0a1b2c"),
        ("OK id=1tEx4m-000000001Ab-3xYz", "1tEx4m-000000001Ab-3xYz"),
        ("2.0.0 4AN8abcd012345 Message accepted for delivery", "4AN8abcd012345"),
        ("2.0.0 Ok: queued as <abc.def@example.com>", "abc.def@example.com"),
        ("OK", None),
        ("2.0.0 Ok", None),
        ("Message accepted", None),
    ],
)
def test_the_queue_id_is_found_in_the_words_of_real_servers(text: str, queue_id: str | None) -> None:
    assert Reply(250, (text,)).queue_id == queue_id
