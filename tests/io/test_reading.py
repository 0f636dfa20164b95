"""Each read has its own deadline, and one that is over deserves one look at what is there."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.clock import Clock
from tests.io.test_tasks import play
from tests.worlds import World
from wlsmtp.io.aio import AsyncioIO
from wlsmtp.io.base import IO


def test_what_came_by_the_deadline_is_read_after_it(world: World) -> None:
    async def core(io: IO) -> tuple[bytes, bool]:
        stream = await io.connect("127.0.0.1", listener.getsockname()[1], io.now() + 10)
        with listener.accept()[0] as peer:
            peer.sendall(b"250 2.0.0 Ok\r\n")
            read = await stream.read(io.now() - 1)
            with pytest.raises(TimeoutError):
                await stream.read(io.now() - 1)
        is_over = await stream.read(io.now() + 10) == b""
        await stream.close()
        return read, is_over

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert play(world, core) == (b"250 2.0.0 Ok\r\n", True)


def test_a_read_ends_at_its_deadline_and_not_at_that_of_the_one_before(clock: Clock) -> None:
    """asyncio's timers are dear, so that one is used for many reads."""

    async def core() -> None:
        io = AsyncioIO()
        stream = await io.connect("127.0.0.1", listener.getsockname()[1], io.now() + 10)

        async def begun(seconds: float) -> asyncio.Task[bytes]:
            reading = asyncio.create_task(stream.read(io.now() + seconds))
            await asyncio.sleep(0)
            return reading

        with listener.accept()[0] as peer:
            reading = await begun(5)
            peer.sendall(b"first")
            assert await reading == b"first"
            reading = await begun(100)
            clock.leap(50)
            for _ in range(3):
                await asyncio.sleep(0)
            assert not reading.done()
            peer.sendall(b"second")
            assert await reading == b"second"
            reading = await begun(1)
            clock.leap(2)
            async with asyncio.timeout(20):
                with pytest.raises(TimeoutError):
                    await asyncio.shield(reading)
            assert reading.done()
            await stream.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(core())
