"""Sessions through real proxies to a real Postfix, which greets as soon as it is connected to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import wlsmtp
from tests.real.postfix import PostfixServer
from tests.real.proxies import RealProxy, what_is_missing
from tests.worlds import Session, World
from wlsmtp import TLS, Message, RetryPolicy
from wlsmtp.testing import SMTPServer

NO_RETRY = RetryPolicy(attempts=1)
SCHEMES = {"microsocks": ["socks5"], "dante": ["socks5", "socks4"], "tinyproxy": ["http"], "ssh": ["socks4", "socks5"]}
WITH_PASSWORD = ("microsocks", "tinyproxy")


def start(kind: str, **options: Any) -> RealProxy:
    if (reason := what_is_missing(kind)) is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    proxy = RealProxy(kind, **options)
    proxy.start()
    return proxy


@pytest.fixture(scope="module", params=SCHEMES)
def proxy(request: pytest.FixtureRequest) -> Iterator[RealProxy]:
    proxy = start(request.param)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module", params=WITH_PASSWORD)
def guarded_proxy(request: pytest.FixtureRequest) -> Iterator[RealProxy]:
    proxy = start(request.param, password=True)
    yield proxy
    proxy.stop()


def session_for(world: World, postfix: PostfixServer, proxy: str, **options: Any) -> Session:
    settings = {
        "security": "tls", "tls": TLS(ca_file=postfix.ca_file), "username": postfix.username,
        "password": postfix.password, "retry": NO_RETRY, **options,
    }  # fmt: skip
    return world.session(postfix.host, postfix.submission_port, proxy=proxy, **settings)


def test_mail_goes_through(world: World, postfix: PostfixServer, proxy: RealProxy) -> None:
    for scheme in SCHEMES[proxy.kind]:
        mailbox = postfix.mailbox()
        with session_for(world, postfix, proxy.url(scheme)) as session:
            receipt = session.send(Message(sender="ann@example.test", to=mailbox, subject=scheme, text="x"))
        assert receipt and receipt.tls is not None
        assert len(postfix.wait_for_message(mailbox)) == 1


def test_many_greetings_are_heard(world: World, postfix: PostfixServer, proxy: RealProxy) -> None:
    scheme = SCHEMES[proxy.kind][0]
    for _ in range(10):
        with world.session(postfix.host, postfix.plain_port, proxy=proxy.url(scheme), timeout=10) as session:
            assert session.verify().name == "mail.example.test"


# Dante resolves no name for SOCKS 4: that is the "a" of 4a, which OpenSSH has.
@pytest.mark.parametrize("kind", ["microsocks", "tinyproxy", "ssh"])
def test_the_proxy_resolves_the_name(
    kind: str, world: World, postfix: PostfixServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = start(kind)
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        return real(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        for scheme in SCHEMES[kind]:
            with world.session("localhost", postfix.plain_port, proxy=proxy.url(scheme)) as session:
                assert session.verify().name == "mail.example.test"
    finally:
        proxy.stop()
    assert set(asked) == {"127.0.0.1"}


def test_the_password_of_the_proxy(world: World, postfix: PostfixServer, guarded_proxy: RealProxy) -> None:
    (scheme,) = SCHEMES[guarded_proxy.kind]
    with session_for(world, postfix, guarded_proxy.url(scheme)) as session:
        assert session.verify().username == postfix.username
    for wrong in (guarded_proxy.url(scheme, "wr0ng"), f"{scheme}://127.0.0.1:{guarded_proxy.port}"):
        with (
            session_for(world, postfix, wrong, retry=RetryPolicy(attempts=3)) as session,
            pytest.raises(wlsmtp.ConnectionFailed, match=r"The proxy .* did not connect") as caught,
        ):
            session.send(Message(sender="ann@example.test", to="bob@example.test", text="x"))
        assert not caught.value.temporary and "wr0ng" not in f"{caught.value!s}{session.face.config!r}"
        assert caught.value.receipt is not None and caught.value.receipt.attempts == 1


def test_a_server_that_the_proxy_cannot_reach(world: World, proxy: RealProxy) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with (
            world.session(
                "127.0.0.1", closed.getsockname()[1], proxy=proxy.url(SCHEMES[proxy.kind][0]), retry=NO_RETRY
            ) as session,
            pytest.raises(wlsmtp.ConnectionFailed) as caught,
        ):
            session.verify()
    # OpenSSH and tinyproxy connect first, or say nothing of the reason; what counts is that a later try may do.
    assert caught.value.temporary and caught.value.stage is not None and caught.value.stage.is_before_mail


def test_what_the_ruleset_of_the_proxy_forbids_is_not_tried_again(world: World) -> None:
    proxy = start("dante")
    try:
        with (
            world.session("127.0.0.1", 9, proxy=proxy.url("socks5")) as session,
            pytest.raises(wlsmtp.ConnectionFailed, match="not allowed by ruleset") as caught,
        ):
            session.verify()
    finally:
        proxy.stop()
    assert not caught.value.temporary


def test_a_proxy_on_this_machine_does_not_make_a_clear_link_safe(world: World, proxy: RealProxy) -> None:
    with SMTPServer(users={"ann": "s3cret"}) as server:
        url = proxy.url(SCHEMES[proxy.kind][0])
        login = {"username": "ann", "password": "s3cret"}
        with (
            world.session(server.host, server.port, proxy=url, retry=NO_RETRY, **login) as session,
            pytest.raises(wlsmtp.AuthenticationFailed, match="not encrypted"),
        ):
            session.verify()
    assert not any(line.startswith(b"AUTH") for _, _, line in server.transcript)
