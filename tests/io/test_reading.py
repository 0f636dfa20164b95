"""A deadline that is over deserves one look at what is there."""

from __future__ import annotations

import socket

import pytest

from tests.io.test_tasks import play
from tests.worlds import World
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
