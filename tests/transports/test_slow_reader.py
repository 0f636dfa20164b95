"""A reader of receipts may take its time: it is not the time of the messages that are on their way meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.clock import Clock
from tests.transports.test_stream import MODES, numbered, session_to, stored
from tests.worlds import Session, World
from wlsmtp import Pipelining, PoolLimits
from wlsmtp.events import Event, Line
from wlsmtp.testing import SMTPServer

LONG = 5000.0
"""Seconds: more than a message has in all, by default."""


def proven(world: World, server: SMTPServer, **options: Any) -> Session:
    """A session that has seen its server take messages ahead."""
    session = session_to(world, server, **options)
    assert all(session.send_many(numbered(5)))
    server.messages.clear()
    server.pace = 0.002  # so that messages are on their way while the reader is busy
    return session


def read_slowly(session: Session, clock: Clock, count: int, **options: Any) -> Iterator[Any]:
    for number, receipt in enumerate(session.send_many(numbered(count), **options)):
        yield receipt
        if number in (0, count // 2):
            clock.leap(LONG)


@MODES
def test_what_was_delivered_meanwhile_is_sent(world: World, clock: Clock, extensions: list[str]) -> None:
    with SMTPServer(extensions=extensions) as server, proven(world, server) as session:
        receipts = read_slowly(session, clock, 40)
        assert [str(receipt.error) for receipt in receipts if not receipt] == []
        assert sorted(stored(server)) == list(range(40))


def test_what_another_sender_settles_meanwhile_is_sent(world: World, clock: Clock) -> None:
    with SMTPServer() as server, proven(world, server, pool=PoolLimits(max_connections=1)) as session:
        receipts = []
        for receipt in session.send_many(numbered(40)):
            receipts.append(receipt)
            if len(receipts) == 1:
                clock.leap(LONG)
                assert session.verify()  # it needs the connection that the stream has
        assert all(receipts) and len(receipts) == 40


def test_what_failed_for_now_is_tried_again(world: World, clock: Clock) -> None:
    with SMTPServer() as server, proven(world, server) as session:
        for number in (3, 25):
            server.reply_to(f"RCPT <n{number}@example.org>", "450 4.2.1 Later", times=1)
        assert all(read_slowly(session, clock, 40))
        assert sorted(stored(server)) == list(range(40))


def test_a_stream_may_take_longer_than_one_of_its_messages(world: World, clock: Clock) -> None:
    """Each message has its own time, however long the stream goes on with a full window."""

    def let_time_pass(event: Event) -> None:
        if isinstance(event, Line) and event.text.startswith("250 2.0.0 Ok: queued"):
            clock.leap(LONG / 100)

    few = Pipelining(max_in_flight=4)
    with SMTPServer() as server, proven(world, server, pipelining=few, listeners=(let_time_pass,)) as session:
        assert all(session.send_many(numbered(120)))
