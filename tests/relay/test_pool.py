"""Connections are kept, replaced when they have had their time, and never more than allowed."""

from __future__ import annotations

import asyncio
import gc
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import anyio
import pytest

import wlsmtp
from tests.clock import Clock
from tests.worlds import World
from wlsmtp import AsyncSMTPSession, Message, PoolLimits, RetryPolicy, SMTPSession
from wlsmtp.events import Disconnected, Event, Line, listener
from wlsmtp.io.blocking import BlockingIO, run
from wlsmtp.relay.pool import Pool
from wlsmtp.relay.relay import Relay
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.testing import SMTPServer
from wlsmtp.transports.smtp import SMTPTransport

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


@pytest.mark.parametrize("failing", [("release",), ("_end",), ("_free_slot",), ("_keep_locked", "_recover")])
@pytest.mark.parametrize("shares", [True, False])
def test_a_connection_that_could_not_be_released_for_lack_of_memory_is_taken_back(
    world: World, failing: Sequence[str], shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryError

    limits = PoolLimits(max_connections=1, max_messages=1)
    with SMTPServer() as server:
        session = world.session(
            server.host,
            server.port,
            pool=limits,
            timeout=wlsmtp.Timeouts(total=5),
            partial="deliver" if shares else "abort",
        )
        for _ in range(3):
            with monkeypatch.context() as patch:
                for name in failing:
                    patch.setattr(Pool, name, fail)
                with pytest.raises(MemoryError):
                    session.send(MESSAGE)
            assert session.send(MESSAGE)
            assert session.statistics().connections_open == 0
        session.close()


ONCE = {"retry": RetryPolicy(attempts=1), "timeout": wlsmtp.Timeouts(greeting=1)}


class ServesOneAtATime(SMTPServer):
    """Accepts every connection, and greets it once the one before has ended."""

    def __init__(self, **options: Any) -> None:
        self.turn = threading.Lock()
        super().__init__(**options)

    def _serve(self, sock: socket.socket, number: int) -> None:
        with self.turn:
            super()._serve(sock, number)


class TestAServerThatServesOneConnectionAtATime:
    """The others are left without a greeting, while the first one is kept: nobody waits for that."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wlsmtp.relay.pool.OPEN_TIMEOUT", 0.1)

    def test_senders_share_what_there_is(self, world: World) -> None:
        with ServesOneAtATime() as server, world.session(server.host, server.port, **ONCE) as session:
            receipts = world.together(*((None, partial(session.face.send, MESSAGE)) for _ in range(8)))
            assert all(receipt.status is wlsmtp.Status.SENT for receipt in receipts), receipts
            assert len(server.messages) == 8

    @pytest.mark.parametrize("extensions", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
    def test_streams_share_what_there_is(self, world: World, extensions: Sequence[str]) -> None:
        with (
            ServesOneAtATime(extensions=extensions) as server,
            world.session(server.host, server.port, **ONCE) as session,
        ):
            assert all(session.send_many([MESSAGE] * 40, connections=4))
            assert len(server.messages) == 40

    def test_alone_a_connection_has_all_the_time_that_it_was_given(self, world: World) -> None:
        with ServesOneAtATime() as server, world.session(server.host, server.port, timeout=5) as session:
            assert server.turn.acquire(timeout=5)
            threading.Timer(0.3, server.turn.release).start()
            assert session.send(MESSAGE) and server.connections == 1


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
@pytest.mark.parametrize("search", ["_next_idle_locked", "_least_loaded_locked"])
@pytest.mark.usefixtures("no_collection")
def test_a_stream_that_is_collected_in_the_middle_of_a_search_gives_its_connection_back(
    search: str, in_flight: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(Pool, search)

    def collecting(pool: Pool, *arguments: Any, **named: Any) -> Any:
        found = real(pool, *arguments, **named)
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


def relay_of(session: SMTPSession) -> Relay:
    assert isinstance(session.transport, SMTPTransport)
    return session.transport.relay


@pytest.mark.parametrize("what", ["acquire", "close"])
def test_who_waits_looks_again_even_if_nobody_wakes_it(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the garbage collector gives back just before the wait begins wakes nobody."""

    async def nobody(_pool: Pool) -> None:
        """Wakes."""

    monkeypatch.setattr(Pool, "_wake", nobody)
    monkeypatch.setattr("wlsmtp.relay.pool.POLL_INTERVAL", 0.01)
    with SMTPServer() as server, SMTPSession(server.host, server.port) as session:
        io = BlockingIO()
        deadlines = Deadlines(io, session.config.timeout)
        pool = Pool(io, PoolLimits(max_connections=1), relay_of(session)._connect, nothing)
        lent = run(pool.acquire(deadlines))
        waiter = threading.Thread(target=lambda: run(getattr(pool, what)(deadlines)), daemon=True)
        waiter.start()
        while not pool._waiters:
            threading.Event().wait(0.001)
        run(pool.release(lent, deadlines))
        waiter.join(10)
        assert not waiter.is_alive()
        assert lent.connection is not None
        run(lent.connection.link.close())


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

        pool = Pool(io, PoolLimits(max_connections=1), relay_of(session)._connect, make_room)
        lent = run(pool.acquire(deadlines))
        again = run(pool.acquire(deadlines))
        assert again.connection is lent.connection and pool.waiting == 0
        run(pool.release(again, deadlines))
        run(pool.close(deadlines))


def test_a_connection_comes_back_once_however_often_it_is_released() -> None:
    """An interrupted caller does not know whether ``release`` had begun."""
    with SMTPServer() as server, SMTPSession(server.host, server.port) as session:
        io = BlockingIO()
        deadlines = Deadlines(io, session.config.timeout)
        pool = Pool(io, PoolLimits(max_connections=1), relay_of(session)._connect, nothing)
        first, second = (run(pool.acquire(deadlines, size=1)) for _ in range(2))
        assert first.connection is second.connection
        for _ in range(3):
            run(pool.release(first, deadlines))
        assert pool.count().idle == 0 and second.is_taken
        run(pool.release(second, deadlines))
        assert pool.count().idle == 1
        run(pool.close(deadlines))


async def leave_idle(transport: Any, count: int) -> None:
    deadlines = Deadlines(transport.io, transport.config.timeout)
    for lease in [await transport.relay.pool.acquire(deadlines) for _ in range(count)]:
        await transport.relay.pool.release(lease, deadlines)


class TestTheEndOfAConnection:
    """It does not concern the messages."""

    PATIENT = wlsmtp.Timeouts(quit=600.0)

    @pytest.mark.parametrize(
        "limits",
        [
            PoolLimits(max_connections=1, max_messages=1),
            PoolLimits(max_connections=1, idle_timeout=30),
            PoolLimits(max_connections=1, max_age=30),
            PoolLimits(max_connections=4, max_messages=1),
        ],
        ids=["expired", "stale", "old", "expired among others"],
    )
    def test_keeps_no_message_waiting(self, world: World, clock: Clock, limits: PoolLimits) -> None:
        with SMTPServer() as server:
            server.reply_to("QUIT", server.SILENCE)
            session = world.session(server.host, server.port, pool=limits, timeout=self.PATIENT)
            for _ in range(6):
                assert session.send(MESSAGE, timeout=20)
                clock.leap(60)
            assert server.connections == 6
            assert session.statistics().connections_open <= 1
            session.close(timeout=0.05)
            assert session.statistics().connections_open == 0

    def test_is_answered_before_the_session_is_closed(self, world: World) -> None:
        with SMTPServer() as server:
            session = world.session(server.host, server.port, pool=PoolLimits(max_messages=2), timeout=self.PATIENT)
            for _ in range(5):
                assert session.send(MESSAGE)
            session.close()
            said = [(number, line[:3]) for number, who, line in server.transcript if who == "S"]
        assert sorted(number for number, reply in said if reply == b"221") == sorted({number for number, _ in said})

    def test_comes_for_all_idle_ones_at_once(self, world: World) -> None:
        """So the time that one of them takes is the time that all take."""
        order: list[str] = []

        def hear(event: Event) -> None:
            if isinstance(event, Disconnected) or (isinstance(event, Line) and event.text == "QUIT"):
                order.append(type(event).__name__)

        with SMTPServer() as server:
            timeout = wlsmtp.Timeouts(quit=0.05)
            with world.session(server.host, server.port, timeout=timeout, listeners=(hear,)) as session:
                left = leave_idle(session.face.transport, 4)
                run(left) if world.name == "blocking" else world.run(left)
                assert session.statistics().connections_idle == 4
                server.reply_to("QUIT", server.SILENCE)
        assert order == ["Line"] * 4 + ["Disconnected"] * 4


class TestWhoWaitsForItself:
    """The input of a stream sends a message through the session of the stream."""

    FULL: dict[str, Any] = {"pool": PoolLimits(max_connections=1), "pipelining": False}

    def test_is_told_so_at_once_in_the_blocking_world(self) -> None:
        def items() -> Iterator[Message]:
            yield MESSAGE
            session.send(MESSAGE)

        with SMTPServer() as server, SMTPSession(server.host, server.port, **self.FULL) as session:
            receipts = session.send_many(items())
            assert next(receipts)
            with pytest.raises(wlsmtp.ConnectionFailed, match="in use by this caller"):
                next(receipts)
            assert session.send(MESSAGE) and session.statistics().connections_open == 1

    def test_is_told_so_at_once_in_asyncio(self) -> None:
        async def main(server: SMTPServer) -> None:
            async def items() -> AsyncIterator[Message]:
                yield MESSAGE
                await session.send(MESSAGE)

            async with AsyncSMTPSession(server.host, server.port, **self.FULL) as session:
                receipts = session.send_many(items())
                assert await anext(receipts)
                with pytest.raises(wlsmtp.ConnectionFailed, match="in use by this caller"):
                    await anext(receipts)
                assert await session.send(MESSAGE) and session.statistics().connections_open == 1

        with SMTPServer() as server:
            asyncio.run(main(server))

    def test_shares_its_connection_where_there_is_room(self) -> None:
        def items() -> Iterator[Message]:
            yield MESSAGE
            assert session.send(MESSAGE)
            yield MESSAGE

        limits = PoolLimits(max_connections=1)
        with SMTPServer() as server, SMTPSession(server.host, server.port, pool=limits) as session:
            assert all(session.send_many([MESSAGE] * 3))
            assert all(session.send_many(items()))
            assert len(server.messages) == 6


class TestClosing:
    def test_goes_on_when_the_session_is_opened_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wlsmtp.relay.pool.POLL_INTERVAL", 600.0)
        with SMTPServer() as server, SMTPSession(server.host, server.port) as session:
            io = BlockingIO()
            deadlines = Deadlines(io, session.config.timeout)
            pool = Pool(io, PoolLimits(max_connections=1), relay_of(session)._connect, nothing)
            lent = run(pool.acquire(deadlines))
            closer = threading.Thread(target=lambda: run(pool.close(deadlines)), daemon=True)
            closer.start()
            while not pool._waiters:
                threading.Event().wait(0.001)
            run(pool.open())
            closer.join(10)
            assert not closer.is_alive()
            run(pool.release(lent, deadlines))
            assert pool.count().idle == 1
            run(pool.close(deadlines))

    def test_settles_a_stream_whose_reader_turns_away_meanwhile(self) -> None:
        """It was reading when the session began to close, and then never asks for more."""
        has_read, is_over = threading.Event(), threading.Event()

        @listener(Line)
        def hold(event: Line) -> None:
            if event.who == "server" and event.text.startswith("250 2.0.0 Ok: queued"):
                has_read.set()
                while not pool.waiting:
                    threading.Event().wait(0.001)

        def read() -> None:
            receipts = session.send_many([MESSAGE] * 20)
            assert next(receipts)
            is_over.wait(30)

        with SMTPServer() as server:
            session = SMTPSession(server.host, server.port, listeners=(hold,))
            pool = relay_of(session).pool
            reader = threading.Thread(target=read, daemon=True)
            reader.start()
            assert has_read.wait(10)
            closer = threading.Thread(target=session.close, kwargs={"timeout": 600}, daemon=True)
            closer.start()
            closer.join(20)
            is_over.set()
            reader.join(10)
            assert not closer.is_alive() and session.statistics().connections_open == 0

    @pytest.mark.parametrize("repeatedly", [False, True], ids=["once", "again and again"])
    @pytest.mark.parametrize("members", [1, 2])
    def test_that_is_cancelled_leaves_no_connection_open(self, members: int, repeatedly: bool) -> None:
        """The servers do not answer QUIT. A scope of AnyIO cancels each wait, also those of the cleaning up."""

        async def close(session: AsyncSMTPSession, scope: anyio.CancelScope) -> None:
            with scope:
                await session.close(timeout=600)

        async def main(servers: Sequence[SMTPServer]) -> None:
            urls = ", ".join(server.url for server in servers)
            session = AsyncSMTPSession(transport=f"failover({urls})", timeout=wlsmtp.Timeouts(quit=600.0))
            await session.open()
            if members == 1:
                await leave_idle(cast(Any, session.transport)._members[0].transport, 3)
            scope = anyio.CancelScope()
            task = asyncio.create_task(close(session, scope))
            while not any(line == b"QUIT" for _, _, line in servers[0].transcript):  # noqa: ASYNC110 - the server is in threads
                await asyncio.sleep(0.001)
            scope.cancel() if repeatedly else task.cancel()
            await asyncio.wait([task], timeout=20)
            assert task.done() and session.statistics().connections_open == 0
            async with asyncio.timeout(20):
                while any(server.open_connections for server in servers):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)

        with ExitStack() as stack:
            servers = [stack.enter_context(SMTPServer()) for _ in range(members)]
            for server in servers:
                server.reply_to("QUIT", server.SILENCE)
            asyncio.run(main(servers))
