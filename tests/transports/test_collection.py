"""The garbage collector may find a half-read stream at any place, in any thread: nothing waits there, and nobody waits
for ever afterwards."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import wlsmtp
from tests.transports.test_stream import numbered, session_to, stored
from tests.worlds import Session, World
from wlsmtp import Pipelining, PoolLimits
from wlsmtp.testing import SMTPServer

PACKAGE = str(Path(wlsmtp.__file__).parent)
TESTING = str(Path(PACKAGE, "testing"))
FEW = {"pool": PoolLimits(max_connections=1), "pipelining": Pipelining(max_in_flight=4)}


class _Cycle:
    """What only the garbage collector takes away, with what it holds."""

    def __init__(self, held: object) -> None:
        self.held, self.itself = held, self


class _Collector:
    """Collects at call ``number`` of a function of the package, in whatever thread that is."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            if frame.f_code.co_filename.startswith(TESTING):
                return
            self.left -= 1
            if self.left == 0:
                gc.collect()

    @property
    def has_collected(self) -> bool:
        return self.left <= 0

    def __enter__(self) -> _Collector:
        threading.setprofile(self)
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """The garbage collector comes by when the test says so."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def begin_to_read(session: Session, world: World, **options: Any) -> None:
    """Read one receipt of many, and leave the rest to the garbage collector."""
    receipts = session.face.send_many(numbered(12), **options)

    async def first() -> Any:
        return await anext(receipts)  # type: ignore[arg-type]

    assert next(receipts) if isinstance(receipts, Iterator) else world.run(first())
    _Cycle(receipts)


def send(session: Session) -> Any:
    return session.send(b"Subject: 99\r\n\r\n", sender="a@example.com", recipients="n99@example.org", timeout=20)


ACTIONS: dict[str, Callable[[Session], object]] = {
    "send": send,
    "verify": lambda session: session.verify(),
    "send_many": lambda session: list(session.send_many(numbered(3))),
    "close": lambda session: session.close(timeout=20),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.usefixtures("no_collection")
def test_at_any_call_a_collection_keeps_nobody_waiting(world: World, action: str) -> None:
    # Where a thread settles a stream for another one, each call counts; elsewhere some of them do.
    dense = (world.name, action) == ("blocking", "close")
    numbers = iter([*range(1, 20, 1 if dense else 9), *range(20, 4000, 170)])
    has_collected, longest = True, 0
    while has_collected:
        with SMTPServer() as server:
            session = session_to(world, server, **FEW)
            assert send(session)
            server.pace = 0.001
            begin_to_read(session, world)
            with _Collector(number := next(numbers)) as collector:
                assert within(20, world, ACTIONS[action], session), f"still waiting after a collection at call {number}"
            has_collected, longest = collector.has_collected, number
            session.open()
            assert send(session)
            session.close()
            assert session.statistics().connections_open == 0
        assert len([one for one in stored(server) if one == 99]) == (3 if action == "send" else 2)
        assert all(stored(server).count(one) <= (2 if action == "send_many" else 1) for one in range(12))
    assert longest > 30


def within(seconds: float, world: World, action: Callable[[Session], object], session: Session) -> bool:
    """Whether ``action`` comes to its end in time; in asyncio its own deadline says so."""
    if world.name == "asyncio":
        action(session)
        return True
    thread = threading.Thread(target=action, args=(session,), daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.usefixtures("no_collection")
def test_what_is_dropped_gives_its_connections_back_at_the_next_call(world: World, width: int) -> None:
    with SMTPServer() as server, session_to(world, server, pool=PoolLimits(max_connections=width)) as session:
        begin_to_read(session, world, connections=width)
        gc.collect()
        for _ in range(3):
            assert send(session)
        assert session.verify()
        statistics = session.statistics()
        assert statistics.connections_idle == statistics.connections_open


@pytest.mark.usefixtures("no_collection")
def test_a_session_that_is_dropped_with_a_half_read_stream_goes_without_waiting() -> None:
    with SMTPServer() as server:
        session = wlsmtp.SMTPSession(server.host, server.port)
        receipts = session.send_many(numbered(12))
        assert next(receipts)
        server.reply_to("QUIT", server.SILENCE)
        _Cycle((session, receipts))
        del session, receipts
        with pytest.warns(ResourceWarning, match="unclosed"):
            gc.collect()


@pytest.mark.usefixtures("no_collection")
def test_asyncio_has_nothing_to_complain_of() -> None:
    complaints: list[dict[str, Any]] = []

    async def main(server: SMTPServer) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with wlsmtp.AsyncSMTPSession(server.host, server.port) as session:
            receipts = session.send_many(numbered(12))
            assert await anext(receipts)
            _Cycle(receipts)
            del receipts
            gc.collect()
            await session.send(b"Subject: 99\r\n\r\n", sender="a@example.com", recipients="n99@example.org")

    with SMTPServer() as server:
        asyncio.run(main(server))
    assert complaints == []


def test_what_was_read_in_a_loop_that_is_closed_is_forgotten() -> None:
    from wlsmtp.reading import _being_read

    async def first(receipts: Any) -> Any:
        return await anext(receipts)

    async def all_of(server: SMTPServer) -> int:
        async with wlsmtp.AsyncSMTPSession(server.host, server.port) as session:
            return len([receipt async for receipt in session.send_many(numbered(3))])

    with SMTPServer() as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of asyncio, for the connection of the loop
        loop = asyncio.new_event_loop()
        receipts = wlsmtp.AsyncSMTPSession(server.host, server.port).send_many(numbered(12))
        assert loop.run_until_complete(first(receipts))
        loop.close()
        assert any(place.is_gone for place in _being_read.values())
        assert asyncio.run(all_of(server)) == 3
        assert not any(place.is_gone for place in _being_read.values())
        del receipts, loop
        gc.collect()
