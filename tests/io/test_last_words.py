"""The final replies of a server that closed are read, even if the close first shows in a failed write."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.io.test_tasks import play
from tests.worlds import World
from wlsmtp.io.base import IO
from wlsmtp.settings.config import TLS
from wlsmtp.testing.certificates import default_certificates

WORDS = b"250 2.0.0 Ok\r\n" * 2000 + b"421 4.7.0 Enough\r\n"
IN_THE_CLEAR, CLOSES_NOTIFIED = "in the clear", "TLS 1.3, with close_notify"
VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


@pytest.mark.parametrize("how", [IN_THE_CLEAR, *VERSIONS, CLOSES_NOTIFIED])
def test_what_was_said_before_a_write_failed_is_read(world: World, how: str) -> None:
    certificates = default_certificates()
    has_closed = threading.Event()

    def serve(listener: socket.socket) -> None:
        sock = listener.accept()[0]
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a reset forgets what waits
        if how != IN_THE_CLEAR:
            context = certificates.server_context()
            context.maximum_version = VERSIONS.get(how, ssl.TLSVersion.TLSv1_3)
            sock = context.wrap_socket(sock, server_side=True)
        assert sock.recv(1)  # the rest is unread, so that the connection is reset
        sock.sendall(WORDS)
        if how == CLOSES_NOTIFIED:
            assert isinstance(sock, ssl.SSLSocket)
            with pytest.raises(ssl.SSLError):  # it goes out, and data comes in answer
                sock.unwrap()
        sock.close()
        has_closed.set()

    async def core(listener: socket.socket, io: IO) -> bytes:
        host, port = listener.getsockname()
        stream = await io.connect(host, port, io.now() + 10)
        if how != IN_THE_CLEAR:
            await stream.start_tls(TLS(ca_file=Path(certificates.ca_file)), "localhost", io.now() + 10)
        await stream.write(b"x" * 20_000, io.now() + 10)
        has_closed.wait(10)  # and no event loop runs meanwhile
        with pytest.raises(OSError):
            for _ in range(100):
                await stream.write(b"y", io.now() + 10)
        heard = bytearray()
        with suppress(ConnectionError):
            while data := await stream.read(io.now() + 10):
                heard += data
        await stream.close()
        return bytes(heard)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        assert play(world, lambda io: core(listener, io)) == WORDS
        server.join(10)
