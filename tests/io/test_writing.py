"""A write goes on although the server wants its replies to be taken first."""

from __future__ import annotations

import socket
import threading

from tests.io.test_tasks import play
from tests.worlds import World
from wlsmtp.io.base import IO, MAX_UNREAD

REPLIES = MAX_UNREAD - 500_000
COMMANDS = 8_000_000


def test_replies_are_kept_while_a_write_waits(world: World) -> None:
    read: list[int] = []

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as sock:
            sock.sendall(b"x" * REPLIES)
            left = COMMANDS
            while left and (data := sock.recv(65536)):
                left -= len(data)
            read.append(COMMANDS - left)

    async def core(listener: socket.socket, io: IO) -> int:
        host, port = listener.getsockname()
        stream = await io.connect(host, port, io.now() + 10)
        await stream.write(b"y" * COMMANDS, io.now() + 10)
        heard = 0
        while data := await stream.read(io.now() + 10):
            heard += len(data)
        await stream.close()
        return heard

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        assert play(world, lambda io: core(listener, io)) == REPLIES
        server.join(10)
    assert read == [COMMANDS]
