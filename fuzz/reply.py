"""Replies: the same in any chunking, a reply or a ``ProtocolError`` and nothing else, and every question answered."""

from __future__ import annotations

from fuzz.pieces import cut, head_and_rest
from wlsmtp.errors import ProtocolError
from wlsmtp.results.reply import Reply
from wlsmtp.wire.reply import MAX_LINE, ReplyParser, printable


def check(data: bytes) -> None:
    """The first octet says how the others are cut."""
    size, said = head_and_rest(data)
    whole, pieces = _heard([said]), _heard(cut(said, size))
    assert whole == pieces
    for reply in whole[0]:
        _check_answers(reply)
        _check_written_again(reply)


def _heard(pieces: list[bytes]) -> tuple[list[Reply], bool]:
    """The replies, and whether a mistake followed them."""
    parser = ReplyParser()
    heard: list[Reply] = []
    try:
        for piece in pieces:
            for reply in parser.feed(piece):
                heard.append(reply)  # noqa: PERF402 - extend() would keep nothing when the iterator fails
            assert len(parser.pending) <= MAX_LINE + 1
    except ProtocolError:
        return heard, True
    return heard, False


def _check_answers(reply: Reply) -> None:
    classes = (reply.is_positive, reply.is_intermediate, reply.is_transient, reply.is_permanent)
    assert sum(classes) == 1
    assert all(printable(line.encode()) == line for line in (*reply.lines, reply.text, str(reply)))
    assert reply.enhanced is None or reply.enhanced.klass == reply.code // 100
    assert reply.queue_id is None or reply.queue_id.strip() == reply.queue_id


def _check_written_again(reply: Reply) -> None:
    lines = [f"{reply.code}-{line}".encode() for line in reply.lines[:-1]]
    lines.append(f"{reply.code} {reply.lines[-1]}".encode())
    if max(map(len, lines)) <= MAX_LINE:
        assert list(ReplyParser().feed(b"".join(line + b"\r\n" for line in lines))) == [reply]
