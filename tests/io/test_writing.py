"""A write goes on although the server wants its replies to be taken first."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from tests.io.test_tasks import play
from tests.worlds import World
from wlsmtp.io.base import IO, MAX_UNREAD
from wlsmtp.io.engine import TLSEngine
from wlsmtp.settings.config import TLS
from wlsmtp.testing.certificates import default_certificates

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


def test_a_write_waits_while_a_new_handshake_must_come_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with TLS 1.2, of which Python's own servers cannot be made to begin one."""
    certificates = default_certificates()
    asked, read = threading.Event(), list[bytes]()
    has_heard = False
    decrypt, encrypt = TLSEngine.decrypt, TLSEngine.encrypt

    def hear(engine: TLSEngine, octets: bytes) -> bytes:
        nonlocal has_heard
        text = decrypt(engine, octets)
        has_heard |= bool(text)
        return text

    def hear_first(engine: TLSEngine, data: bytes, sizes: None = None) -> bytes:
        if has_heard:
            return encrypt(engine, data, sizes)
        asked.set()
        return b""

    monkeypatch.setattr(TLSEngine, "decrypt", hear)
    monkeypatch.setattr(TLSEngine, "encrypt", hear_first)

    def serve(listener: socket.socket) -> None:
        with certificates.server_context().wrap_socket(listener.accept()[0], server_side=True) as sock:
            assert asked.wait(10)
            sock.sendall(b"250 Ok")
            read.append(sock.recv(65536))

    async def core(listener: socket.socket, io: IO) -> bytes:
        host, port = listener.getsockname()
        stream = await io.connect(host, port, io.now() + 10)
        await stream.start_tls(TLS(ca_file=Path(certificates.ca_file)), "localhost", io.now() + 10)
        await stream.write(b"QUIT", io.now() + 10)
        assert stream.sent == 4
        heard = await stream.read(io.now() + 10)
        await stream.close()
        return heard

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        assert play(world, lambda io: core(listener, io)) == b"250 Ok"
        server.join(10)
    assert read == [b"QUIT"]


class Soft(Exception):
    """What the handler of a signal raises."""


@pytest.mark.parametrize(
    ("raised", "is_sent"), [(Soft(), True), (KeyboardInterrupt(), True), (OSError(32, "x"), False)]
)
def test_what_raises_behind_the_system_call_leaves_the_octets_counted(
    world: World, monkeypatch: pytest.MonkeyPatch, raised: BaseException, is_sent: bool
) -> None:
    """Octets that may have been sent are never taken for unsent: the message would go twice."""
    counts: list[int] = []
    send = socket.socket.send

    def send_and_raise(sock: socket.socket, data: bytes, *flags: int) -> int:
        if bytes(data) == b"DATA":
            if is_sent:
                send(sock, data, *flags)
            raise raised
        return send(sock, data, *flags)

    async def core(listener: socket.socket, io: IO) -> None:
        host, port = listener.getsockname()
        stream = await io.connect(host, port, io.now() + 10)
        with monkeypatch.context() as patched, pytest.raises((Soft, KeyboardInterrupt, OSError)):
            patched.setattr(socket.socket, "send", send_and_raise, raising=False)
            await stream.write(b"DATA", io.now() + 10)
        counts.append(stream.sent)
        await stream.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        play(world, lambda io: core(listener, io))
    assert counts == [len(b"DATA") if is_sent else 0]
