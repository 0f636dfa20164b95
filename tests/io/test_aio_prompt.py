"""asyncio takes in what a server answers at once without a pass through the event loop, and the loop stays fair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import pytest

from wlsmtp import AsyncSMTPSession
from wlsmtp.io import aio_prompt
from wlsmtp.io.aio import AsyncioStream, _wrap
from wlsmtp.testing import SMTPServer

SOON = 5.0


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**fixtures: object) -> None:
        asyncio.run(test(**fixtures))

    return run


@asynccontextmanager
async def connected(*, is_prompt: bool = True) -> AsyncIterator[tuple[AsyncioStream, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = await _wrap(ours)
    stream._prompt._is_prompt = is_prompt
    stream._prompt._turn_at = asyncio.get_running_loop().time()
    try:
        yield stream, theirs
    finally:
        theirs.close()
        await stream.close()


def deadline() -> float:
    return asyncio.get_running_loop().time() + SOON


def count_waits(stream: AsyncioStream, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    wait = stream._wire.until_received

    async def counted(deadline: float) -> None:
        waits.append(deadline)
        await wait(deadline)

    monkeypatch.setattr(stream._wire, "until_received", counted)
    return waits


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes its time."""
    monkeypatch.setattr(aio_prompt, "BUDGET", 60.0)


@in_a_loop
async def test_what_is_there_is_taken_in_without_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected() as (stream, theirs):
        waits = count_waits(stream, monkeypatch)
        theirs.send(b"250 one\r\n")
        assert await stream.read(deadline()) == b"250 one\r\n" and not waits
        theirs.send(b"250 two\r\n")
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the loop has it now
        assert await stream.read(deadline()) == b"250 two\r\n" and not waits


@in_a_loop
async def test_a_server_that_is_not_prompt_is_waited_for_by_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected() as (stream, theirs):
        waits = count_waits(stream, monkeypatch)
        asyncio.get_running_loop().call_later(0.01, theirs.send, b"250 late\r\n")
        assert await stream.read(deadline()) == b"250 late\r\n" and len(waits) == 1
        for number in range(3):
            theirs.send(b"250 %d\r\n" % number)
            assert await stream.read(deadline()) == b"250 %d\r\n" % number
        assert len(waits) == 4, "it is not taken for prompt soon again"


@in_a_loop
async def test_nothing_is_waited_for_while_anything_else_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected() as (stream, theirs):
        waits = count_waits(stream, monkeypatch)
        turns: list[int] = []
        asyncio.get_running_loop().call_soon(turns.append, 1)
        theirs.send(b"250 one\r\n")
        assert await stream.read(deadline()) == b"250 one\r\n" and len(waits) == 1 and turns


@in_a_loop
async def test_the_loop_has_its_turn_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio_prompt, "BUDGET", 0.0)
    async with connected() as (stream, theirs):
        waits = count_waits(stream, monkeypatch)
        theirs.send(b"250 one\r\n")
        assert await stream.read(deadline()) == b"250 one\r\n" and len(waits) == 1


@in_a_loop
async def test_the_end_and_a_reset_are_seen_as_ever() -> None:
    async with connected() as (stream, theirs):
        theirs.send(b"221 bye\r\n")
        theirs.close()
        assert [await stream.read(deadline()) for _ in range(2)] == [b"221 bye\r\n", b""]
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    listener.close()
    ours.setblocking(False)
    stream = await _wrap(ours)
    stream._prompt._is_prompt, stream._prompt._turn_at = True, asyncio.get_running_loop().time()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    with pytest.raises(ConnectionResetError):
        await stream.read(deadline())
    await stream.close()


@in_a_loop
async def test_what_strikes_while_octets_are_taken_in_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are lost, and no later reply may be paired in their place."""

    class Strike(BaseException):
        pass

    def strike(_: bytes) -> None:
        raise Strike

    async with connected() as (stream, theirs):
        theirs.send(b"250 one\r\n")
        monkeypatch.setattr(stream._wire, "data_received", strike)
        with pytest.raises(Strike):
            await stream.read(deadline())
        monkeypatch.undo()
        theirs.send(b"250 two\r\n")
        assert await stream.read(deadline()) == b""


@in_a_loop
async def test_a_loop_of_sends_leaves_timers_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio_prompt, "BUDGET", 1e-3)
    turns, loop = 0, asyncio.get_running_loop()

    def tick() -> None:
        nonlocal turns
        turns += 1
        loop.call_later(0.0005, tick)

    with SMTPServer() as server:
        async with AsyncSMTPSession(server.host, server.port) as session:
            tick()
            for number in range(100):
                await session.send(sender="ann@example.com", to=f"n{number}@example.org", text="Hello")
    assert len(server.messages) == 100 and turns > 5
