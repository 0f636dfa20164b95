"""Connections are kept, replaced when they have had their time, and never more than allowed."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, PoolLimits, RetryPolicy, SMTPSession
from wlsmtp.io.blocking import BlockingIO, run
from wlsmtp.pool import Pool
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")


@pytest.mark.parametrize(
    ("limits", "connections"),
    [
        (PoolLimits(), 1),
        (PoolLimits(max_messages=2), 3),
        (PoolLimits(max_messages=1), 5),
        (PoolLimits(max_age=1e-9), 5),
        (PoolLimits(idle_timeout=1e-9), 5),
        (PoolLimits(max_messages=None, max_age=None, idle_timeout=None), 1),
    ],
    ids=["kept", "two messages", "one message", "age", "idle", "no limits"],
)
def test_connections_are_replaced_by_count_age_and_idleness(world: World, limits: PoolLimits, connections: int) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, pool=limits) as session:
        for _ in range(5):
            assert session.send(MESSAGE)
        assert server.connections == connections


def test_who_finds_no_free_connection_waits_no_longer_than_allowed() -> None:
    with SMTPServer(extensions=()) as server:
        server.reply_to(".", server.SILENCE, times=1)
        session = SMTPSession(
            server.host, server.port, pool=PoolLimits(max_connections=1), retry=RetryPolicy(attempts=1)
        )
        holder = threading.Thread(target=pytest.raises, args=(wlsmtp.OutcomeUnknown, session.send, MESSAGE))
        holder.start()
        while not any(line == b"DATA" for _, _, line in list(server.transcript)):
            threading.Event().wait(0.005)
        with pytest.raises(wlsmtp.DeadlineExceeded, match="max_connections"):
            session.send(MESSAGE, timeout=0.05)
        server.drop_connections()
        holder.join(10)
        assert session.send(MESSAGE)
        session.close()


def test_a_failed_opening_gives_its_place_back(world: World) -> None:
    with SMTPServer() as server:
        server.reply_to("CONNECT", "421 4.3.2 Busy", times=3)
        options = {"pool": PoolLimits(max_connections=1), "retry": RetryPolicy(attempts=1)}
        with world.session(server.host, server.port, **options) as session:
            for _ in range(3):
                with pytest.raises(wlsmtp.CommandRefused):
                    session.send(MESSAGE)
            assert session.send(MESSAGE)


class _Cycle:
    """What only the garbage collector takes away, with what it holds."""

    def __init__(self, held: object) -> None:
        self.held, self.itself = held, self


@pytest.fixture
def no_collection() -> Iterator[None]:
    """The garbage collector comes by when the test says so."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("in_flight", [1, 64])
@pytest.mark.parametrize("search", ["_take_idle", "_roomiest"])
@pytest.mark.usefixtures("no_collection")
def test_a_stream_that_is_collected_in_the_middle_of_a_search_gives_its_connection_back(
    search: str, in_flight: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(Pool, search)

    def collecting(pool: Pool, *arguments: Any) -> Any:
        found = real(pool, *arguments)
        gc.collect()
        return found

    limits, pipelining = PoolLimits(max_connections=1), wlsmtp.Pipelining(max_in_flight=in_flight)
    with SMTPServer() as server, SMTPSession(server.host, server.port, pool=limits, pipelining=pipelining) as session:
        session.send(MESSAGE)
        receipts = session.send_many(itertools.repeat(MESSAGE))
        assert next(receipts)
        _Cycle(receipts)
        del receipts
        monkeypatch.setattr(Pool, search, collecting)
        assert session.send(MESSAGE, timeout=5)
        assert session.send(MESSAGE, timeout=5)
        statistics = session.statistics()
        assert (statistics.connections_open, statistics.connections_idle) == (1, 1)


async def nothing() -> None:
    """No room is made."""


@pytest.mark.parametrize("what", ["acquire", "close"])
def test_who_waits_looks_again_even_if_nobody_wakes_it(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the garbage collector gives back just before the wait begins wakes nobody."""

    async def nobody(_pool: Pool) -> None:
        """Wakes."""

    monkeypatch.setattr(Pool, "_wake", nobody)
    monkeypatch.setattr("wlsmtp.pool.LOOKS", 0.01)
    with SMTPServer() as server, SMTPSession(server.host, server.port) as session:
        io = BlockingIO()
        deadlines = Deadlines(io, session.config.timeout)
        pool = Pool(io, PoolLimits(max_connections=1), session.transport._connect, nothing)  # type: ignore[attr-defined]
        lent = run(pool.acquire(deadlines))
        waiter = threading.Thread(target=lambda: run(getattr(pool, what)(deadlines)), daemon=True)
        waiter.start()
        while not pool._sleepers:
            threading.Event().wait(0.001)
        run(pool.release(lent, deadlines))
        waiter.join(10)
        assert not waiter.is_alive()
        run(lent.quit(deadlines))


def test_room_is_made_while_nothing_is_held() -> None:
    """It starts threads, and the garbage collector may give a connection back in one before it has begun."""
    with SMTPServer() as server, SMTPSession(server.host, server.port) as session:
        io = BlockingIO()
        deadlines = Deadlines(io, session.config.timeout)

        async def make_room() -> None:
            thread = threading.Thread(target=lambda: run(pool.release(lent, deadlines)))
            thread.start()
            thread.join(10)
            assert not thread.is_alive()

        pool = Pool(io, PoolLimits(max_connections=1), session.transport._connect, make_room)  # type: ignore[attr-defined]
        lent = run(pool.acquire(deadlines))
        assert run(pool.acquire(deadlines)) is lent and pool.waiting == 0
        run(pool.release(lent, deadlines))
        run(pool.close(deadlines))
