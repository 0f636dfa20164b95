"""A server that does not greet: it is slow, and is waited for, or it speaks TLS first, and that is found out soon."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, Network, RetryPolicy, SessionConfig, Stage, Timeouts
from wlsmtp.smtp import silence
from wlsmtp.smtp.quirks import ServerQuirks
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")
ALERT = b"\x15\x03\x03\0\2\2\x28"
Play = Callable[[socket.socket, socket.socket], None]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is asked at once, and given little time to answer."""
    monkeypatch.setattr(silence, "QUIET", 0.05)
    monkeypatch.setattr(silence, "TLS_ANSWERS_IN", 0.3)


@contextmanager
def server_that(play: Play) -> Iterator[int]:
    """Says nothing to a first connection until there is a second one, and plays its part with the two. Each further
    connection is served at once. The port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:

        def serve() -> None:
            first, second = (stack.enter_context(listener.accept()[0]) for _ in range(2))
            play(first, second)
            speak_smtp(first)
            while True:
                speak_smtp(stack.enter_context(listener.accept()[0]))

        def quietly() -> None:
            with suppress(OSError):  # the test is over
                serve()

        thread = threading.Thread(target=quietly)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def speak_smtp(sock: socket.socket) -> None:
    lines = sock.makefile("rb")
    sock.sendall(b"220 mail.example.com ESMTP\r\n")
    for line in lines:
        replies = {b"DATA": b"354 go", b"QUIT": b"221 bye"}
        sock.sendall(replies.get(line.split()[0].upper(), b"250 ok") + b"\r\n")
        if line.upper().startswith(b"DATA"):
            while lines.readline() != b".\r\n":
                pass
            sock.sendall(b"250 stored\r\n")


def asked(first: socket.socket, second: socket.socket) -> None:
    """The client has begun a handshake, and given up waiting for an answer."""
    while second.recv(4096):
        pass


@pytest.mark.parametrize("security", ["tls", "default"])
def test_tls_from_the_first_byte_is_found_out_and_not_tried_again(world: World, security: str) -> None:
    with (
        SMTPServer(security="ssl") as server,
        world.session(server.host, server.port, security=security, retry=RetryPolicy(backoff=0)) as session,
    ):
        with pytest.raises(wlsmtp.TLSError, match="answers a TLS handshake") as caught:
            session.send(MESSAGE)
        assert caught.value.receipt is not None and caught.value.receipt.attempts == 1
        assert server.connections == 2
    assert caught.value.stage is Stage.GREETING and not caught.value.temporary
    assert "security='ssl'" in str(caught.value.hint) and f"{server.host}:{server.port}" in caught.value.message


def test_an_alert_is_an_answer(world: World) -> None:
    def play(first: socket.socket, second: socket.socket) -> None:
        second.recv(4096)
        second.sendall(ALERT)
        first.recv(1)

    with server_that(play) as port, world.session("127.0.0.1", port) as session, pytest.raises(wlsmtp.TLSError):
        session.verify()


def test_a_slow_server_is_waited_for_and_asked_once(world: World) -> None:
    with server_that(asked) as port, world.session("127.0.0.1", port) as session:
        assert session.send(MESSAGE)
        session.close()
        session.open()
        assert session.send(MESSAGE)


def test_text_in_answer_to_the_handshake_is_no_tls(world: World) -> None:
    def play(first: socket.socket, second: socket.socket) -> None:
        second.sendall(b"220 mail.example.com ESMTP\r\n")
        asked(first, second)

    with server_that(play) as port, world.session("127.0.0.1", port) as session:
        assert session.send(MESSAGE)


def test_a_greeting_that_came_meanwhile_counts(world: World) -> None:
    def play(first: socket.socket, second: socket.socket) -> None:
        second.recv(4096)
        first.sendall(b"220-mail.example.com\r\n")
        second.sendall(ALERT)
        asked(first, second)

    with server_that(play) as port, world.session("127.0.0.1", port) as session:
        assert session.send(MESSAGE)


def test_a_second_connection_that_fails_says_nothing(world: World) -> None:
    def play(first: socket.socket, second: socket.socket) -> None:
        second.close()

    with server_that(play) as port, world.session("127.0.0.1", port) as session:
        assert session.send(MESSAGE)


def connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port))


@pytest.mark.parametrize(
    "options",
    [{"network": Network(connector=connect), "timeout": Timeouts(greeting=0.3)}, {"timeout": Timeouts(greeting=0.3)}],
    ids=["with a connector", "with little time"],
)
def test_the_server_is_not_asked(world: World, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if "network" in options:
        monkeypatch.setattr(silence, "LEAST_PATIENCE", 0.0)
    with (
        SMTPServer(security="ssl") as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=1), **options) as session,
        pytest.raises(wlsmtp.DeadlineExceeded, match="security='ssl'"),
    ):
        session.verify()
    assert server.connections == 1


@pytest.mark.parametrize(("server", "port", "is_asked"), [
    ("mail.example.com", 465, True), ("mail.example.com", 587, True), ("mail.example.com", 2525, True),
    ("mail.example.com", 25, False), ("/run/smtp.sock", 587, False),
])  # fmt: skip
def test_servers_among_themselves_and_sockets_are_not_asked(server: str, port: int, is_asked: bool) -> None:
    link: Any = SimpleNamespace(stream=SimpleNamespace(tls=None))
    assert silence._may_speak_tls(link, SessionConfig(server=server, port=port), ServerQuirks()) is is_asked
