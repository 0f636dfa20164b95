"""How a connection finds its way: address families, the address to come from, keep-alive, proxies, sockets made
elsewhere."""

from __future__ import annotations

import base64
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, Network, Proxy, RetryPolicy, SessionConfig, SMTPSession
from wlsmtp.io.sockets import choose
from wlsmtp.testing import ScriptedPeer, SMTPServer

NO_RETRY = RetryPolicy(attempts=1)
MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")
V4, V6 = socket.AF_INET, socket.AF_INET6
FOUND = [(V6, 1, 6, "", ("a",)), (V6, 1, 6, "", ("b",)), (V4, 1, 6, "", ("c",)), (V4, 1, 6, "", ("d",))]


@pytest.mark.parametrize(
    ("settings", "order"),
    [
        ({}, "acbd"),
        ({"family": "prefer_ipv4"}, "cadb"),
        ({"family": "prefer_ipv6"}, "acbd"),
        ({"family": "ipv4"}, "cd"),
        ({"family": "ipv6"}, "ab"),
        ({"local_address": "127.0.0.1"}, "cd"),
        ({"local_address": "::1", "family": "prefer_ipv4"}, "ab"),
    ],
    ids=str,
)
def test_addresses_are_tried_in_the_order_that_is_wanted(settings: dict[str, Any], order: str) -> None:
    assert "".join(address[0] for _, address in choose(FOUND, Network(**settings))) == order


def test_a_family_that_the_server_has_not_is_said_so(world: World) -> None:
    with (
        world.session("127.0.0.1", 25, network=Network(family="ipv6"), retry=NO_RETRY) as session,
        pytest.raises(wlsmtp.ConnectionFailed, match="no address of the family"),
    ):
        session.verify()


def test_a_name_with_two_addresses_of_which_one_is_dead(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with SMTPServer() as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = [(V4, 1, 6, "", closed.getsockname()), (V4, 1, 6, "", (server.host, server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with world.session("two.example", 25, retry=NO_RETRY) as session:
            assert session.send(MESSAGE)


@contextmanager
def full(host: str) -> Iterator[tuple[str, int]]:
    """An address that does not answer: a listener whose queue is full."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen(0)
        address = listener.getsockname()
        queued = [socket.socket() for _ in range(2)]
        for sock in queued:
            sock.setblocking(False)
            sock.connect_ex(address)
        yield address
        for sock in queued:
            sock.close()


def test_a_silent_address_does_not_hold_up_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with SMTPServer() as server, full("127.0.0.1") as silent:
        found = [(V4, 1, 6, "", silent), (V4, 1, 6, "", (server.host, server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with world.session("two.example", 25, retry=NO_RETRY, timeout=20) as session:
            assert session.send(MESSAGE)


def test_silence_of_all_addresses_meets_the_deadline(world: World) -> None:
    with (
        full("127.0.0.1") as (host, port),
        world.session(host, port, timeout=wlsmtp.Timeouts(connect=0.1), retry=NO_RETRY) as session,
        pytest.raises(wlsmtp.DeadlineExceeded, match="could not be reached in time"),
    ):
        session.verify()


class TestSocket:
    def test_comes_from_the_address_that_is_given(self, world: World) -> None:
        with SMTPServer() as server:
            network = Network(local_address="127.0.0.2")
            with world.session(server.host, server.port, network=network) as session:
                session.send(MESSAGE)
        assert (1, "C", b"EHLO [127.0.0.2]") in server.transcript

    def test_an_address_of_another_machine_is_refused(self, world: World) -> None:
        network = Network(local_address="192.0.2.1")
        with (
            world.session("127.0.0.1", 25, network=network, retry=NO_RETRY) as session,
            pytest.raises(wlsmtp.ConnectionFailed, match=r"cannot connect from 192\.0\.2\.1"),
        ):
            session.verify()

    @pytest.mark.parametrize("seconds", [None, 7.0])
    def test_is_kept_alive(self, world: World, seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
        from wlsmtp.io import sockets

        opened: list[socket.socket] = []
        real = sockets.tune

        def tune(sock: socket.socket, network: Network) -> None:
            opened.append(sock)
            real(sock, network)

        monkeypatch.setattr(sockets, "tune", tune)
        network = Network(keepalive=seconds)
        with SMTPServer() as server, world.session(server.host, server.port, network=network) as session:
            session.verify()
            (sock,) = opened
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is (seconds is not None)
            if seconds:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7


class TestConnector:
    @pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
    def test_its_sockets_are_used(self, world: World, is_async: bool) -> None:
        asked: list[tuple[str, int]] = []
        with SMTPServer(security="tls") as server:

            def connect(host: str, port: int) -> socket.socket:
                asked.append((host, port))
                return socket.create_connection(server.address)

            async def connect_later(host: str, port: int) -> socket.socket:
                return connect(host, port)

            network = Network(connector=connect_later if is_async else connect)
            session = world.session(
                "localhost", 2525, network=network, security="tls", tls=wlsmtp.TLS(ca_file=server.ca_file),
                retry=NO_RETRY,
            )  # fmt: skip
            with session:
                if is_async and world.name == "blocking":
                    with pytest.raises(wlsmtp.ConfigError, match="must return a connected socket"):
                        session.verify()
                    return
                assert session.send(MESSAGE)
        assert asked == [("localhost", 2525)]

    @pytest.mark.parametrize("made", [None, "socket", lambda: socket.socket()], ids=["None", "text", "unconnected"])
    def test_what_is_no_connected_socket_is_refused(self, world: World, made: Any) -> None:
        result = made() if callable(made) else made
        network = Network(connector=lambda *_: result)
        with (
            world.session("x.example", 25, network=network, retry=NO_RETRY) as session,
            pytest.raises(wlsmtp.ConfigError, match="must return a connected socket"),
        ):
            session.verify()

    def test_one_that_fails_leaves_no_message_in_doubt(self, world: World) -> None:
        def connect(host: str, port: int) -> socket.socket:
            raise KeyError("the vault is sealed")

        options = {"network": Network(connector=connect), "retry": NO_RETRY}
        with world.session("x.example", 25, **options) as session:
            with pytest.raises(wlsmtp.ConnectionFailed, match="the connector failed") as caught:
                session.send(MESSAGE)
            assert isinstance(caught.value.__cause__, KeyError) and not caught.value.temporary
            assert caught.value.receipt is not None and caught.value.receipt.status is wlsmtp.Status.ERROR
        session = world.session("x.example", 25, mode="async", **options)
        pending = session.send(MESSAGE)
        while session.receipt(pending.id).error is None and session.status(pending.id) is wlsmtp.Status.PENDING:
            session.flush(0.02)
        assert isinstance(session.receipt(pending.id).error, wlsmtp.ConnectionFailed)
        assert session.receipt(pending.id).recipients[0].status is wlsmtp.RecipientStatus.NOT_SENT
        session.cancel(pending.id)
        session.close()

    def test_the_address_of_this_machine_is_not_given_away(self, world: World) -> None:
        with SMTPServer() as server:
            network = Network(
                connector=lambda *_: socket.create_connection(server.address, source_address=("127.0.0.9", 0))
            )
            with world.session("mail.example", network=network) as session:
                session.verify()
        assert (1, "C", b"EHLO [127.0.0.1]") in server.transcript

    def test_a_clear_link_of_unknown_reach_gets_no_password(self, world: World) -> None:
        with SMTPServer(users={"ann": "s3cret"}) as server:
            network = Network(connector=lambda *_: socket.create_connection(server.address))
            session = world.session("127.0.0.1", network=network, username="ann", password="s3cret", retry=NO_RETRY)
            with session, pytest.raises(wlsmtp.AuthenticationFailed, match="not encrypted"):
                session.verify()
        assert not any(line.startswith(b"AUTH") for _, _, line in server.transcript)


@contextmanager
def fake_proxy(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A proxy that does what no real one would let be arranged; the URL of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                answer(sock)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def answering(*pieces: bytes) -> Callable[[socket.socket], None]:
    def answer(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while b"\r\n\r\n" not in sock.recv(65536):
            pass
        for piece in pieces:
            sock.sendall(piece)
        sock.recv(65536)  # EHLO
        sock.sendall(b"421 4.3.2 Closing\r\n")

    return answer


GREETING = b"220 mail.example\r\n"


class TestProxy:
    @pytest.mark.parametrize(
        "pieces",
        [
            [b"HTTP/1.1 200 OK\r\n\r\n" + GREETING],
            [b"HTTP/1.1 200 OK\r\nVia: x\r\n", b"\r\n", GREETING],
            [bytes([octet]) for octet in b"HTTP/1.0 200 Connection established\r\nA: b\r\n\r\n" + GREETING],
        ],
        ids=["at once", "in pieces", "octet by octet"],
    )
    def test_the_greeting_behind_its_answer_is_not_lost(self, world: World, pieces: list[bytes]) -> None:
        """A server speaks first, so its greeting may come in one segment with the answer to CONNECT."""
        with fake_proxy(answering(*pieces)) as url:
            session = world.session("mail.example", 25, proxy=url, timeout=5, retry=NO_RETRY)
            with session, pytest.raises(wlsmtp.CommandRefused) as caught:
                session.verify()
        assert caught.value.stage is wlsmtp.Stage.EHLO

    @pytest.mark.parametrize(
        "answer", [b"", b"\x00" * 10, b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000, b"HTTP/1.1 99\r\n\r\n"],
        ids=["nothing", "noise", "endless", "refusal"],
    )  # fmt: skip
    def test_nonsense_is_a_failure_and_bounded(self, world: World, answer: bytes) -> None:
        def serve(sock: socket.socket) -> None:
            sock.recv(65536)
            try:
                sock.sendall(answer)
            except OSError:
                return

        with fake_proxy(serve) as url:
            session = world.session("mail.example", 25, proxy=url, timeout=5, retry=NO_RETRY)
            with session, pytest.raises(wlsmtp.SMTPError) as caught:
                session.verify()
        assert caught.value.stage is wlsmtp.Stage.CONNECT and "The proxy" in str(caught.value)

    def test_silence_meets_the_deadline(self, world: World) -> None:
        released = threading.Event()

        def say_nothing(_: socket.socket) -> None:
            released.wait(10)

        with fake_proxy(say_nothing) as url:
            session = world.session("mail.example", 25, proxy=url, timeout=wlsmtp.Timeouts(connect=0.1), retry=NO_RETRY)
            with session, pytest.raises(wlsmtp.DeadlineExceeded, match="through the proxy"):
                session.verify()
            released.set()

    def test_without_python_socks_it_says_what_to_install(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "python_socks", None)
        monkeypatch.delitem(sys.modules, "wlsmtp.io.proxy", raising=False)
        session = world.session("mail.example", 25, proxy="socks5://127.0.0.1:1", retry=NO_RETRY)
        with session, pytest.raises(wlsmtp.ConfigError, match=r"wlsmtp\[proxy\]"):
            session.verify()

    def test_a_proxy_out_of_reach_is_named(self, world: World) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"socks5://ann:s3cret@127.0.0.1:{closed.getsockname()[1]}"
            session = world.session("mail.example", 25, proxy=url, retry=NO_RETRY)
            with session, pytest.raises(wlsmtp.ConnectionFailed, match="The proxy socks5://127") as caught:
                session.verify()
        assert caught.value.temporary and "s3cret" not in str(caught.value)

    def test_its_password_is_shown_nowhere(self) -> None:
        config = SessionConfig(server="x", proxy="socks5://ann:s3cret@proxy.example:1080")
        assert config.proxy == Proxy(
            scheme="socks5", host="proxy.example", port=1080, username="ann", password="s3cret"
        )
        shown = f"{config!r}{config.proxy}{config.model_dump()}{config.model_dump_json()}{SMTPSession(config)!r}"
        assert "s3cret" not in shown and "proxy.example" in shown

    def test_a_url_or_the_environment_may_name_it(self) -> None:
        by_url = SessionConfig.from_url("smtp://x?proxy=socks5h%3A%2F%2Fann%3As3cret%40p%3A1080")
        by_env = SessionConfig.from_env({"WLSMTP_SERVER": "x", "WLSMTP_PROXY": "socks5://ann:s3cret@p:1080"})
        assert by_url.proxy == by_env.proxy == Proxy.from_url("socks5://ann:s3cret@p:1080")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"proxy": "ftp://ann:s3cret@p:1"}, "must look like"),
        ({"proxy": "socks5://ann:s3cret@p"}, "must look like"),
        ({"proxy": "socks5://ann:s3cret@p:x"}, "must look like"),
        ({"proxy": "socks5://ann:s3cret@p:1/path"}, "must look like"),
        ({"proxy": "https://ann:s3cret@p:1"}, "must look like"),
        ({"proxy": "socks4://ann:s3cret@p:1"}, "another kind than socks4"),
        ({"proxy": "socks5://ann:s3cr%C3%A9t@p:1"}, "ASCII"),
        ({"proxy": "socks5://ann:s3cr%0D%0Aet@p:1"}, "printable"),
        ({"proxy": "http://an%3An:s3cret@p:1"}, "colon"),
        ({"proxy": "http://p%20q:1"}, "proxy"),
        ({"proxy": 3}, "proxy"),
        ({"network": Network(connector=print), "proxy": "http://p:1"}, "cannot be combined with a proxy"),
        ({"server": "/run/smtp.sock", "proxy": "http://p:1"}, "unix socket"),
        ({"network": {"local_address": "eth0"}}, "must be an IP address"),
        ({"network": {"local_address": "192.0.2.1:25"}}, "must be an IP address"),
        ({"network": {"family": "ipv5"}}, "family"),
        ({"network": {"keepalive": 0}}, "keepalive"),
    ],
    ids=str,
)
def test_wrong_settings_are_named_without_the_secret(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(wlsmtp.ConfigError, match=words) as caught:
        SMTPSession(**{"server": "smtp.example.com", **fields})
    assert "s3cr" not in str(caught.value)


def test_a_proxy_that_repeats_the_password_is_not_quoted(world: World) -> None:
    credentials = base64.b64encode(b"ann:pr0xy-S3CR3T").decode()
    script = f"C: CONNECT *\nC: Host: *\nC: *\nC: *\nC: *\nS: HTTP/1.1 407 no {credentials} and pr0xy-S3CR3T\nS:"
    with ScriptedPeer(script) as peer:
        proxy = f"http://ann:pr0xy-S3CR3T@127.0.0.1:{peer.port}"
        with (
            world.session("smtp.example.com", proxy=proxy, retry=NO_RETRY) as session,
            pytest.raises(wlsmtp.ConnectionFailed, match=r"no \*{8} and \*{8}") as caught,
        ):
            session.send(MESSAGE)
    assert "S3CR3T" not in str(caught.value) and credentials[:10] not in str(caught.value)
