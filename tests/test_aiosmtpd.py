"""Sessions against aiosmtpd, a server that offers no PIPELINING: plain, STARTTLS with AUTH, and TLS from the first
byte."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

import wlsmtp
from tests.worlds import World
from wlsmtp import Message
from wlsmtp.testing import Certificates

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd")


class Handler:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 2.0.0 OK"


def check_login(_server: Any, _session: Any, _envelope: Any, mechanism: str, secrets: Any) -> AuthResult:
    good = isinstance(secrets, LoginPassword) and (secrets.login, secrets.password) == (b"ann", b"s3cret")
    return AuthResult(success=good, handled=good)


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    yield Certificates()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]  # type: ignore[no-any-return]


def serve(certificates: Certificates, kind: str) -> tuple[Controller, Handler]:
    handler = Handler()
    context: ssl.SSLContext = certificates.server_context()
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": free_port(), "ready_timeout": 10}
    if kind == "implicit":
        options["ssl_context"] = context
    if kind == "starttls":
        options |= {"tls_context": context, "require_starttls": True, "auth_required": True,
                    "authenticator": check_login}  # fmt: skip
    return Controller(handler, **options), handler


@pytest.mark.parametrize("kind", ["plain", "starttls", "implicit"])
def test_delivers(kind: str, world: World, certificates: Certificates) -> None:
    controller, handler = serve(certificates, kind)
    controller.start()
    try:
        security = {"plain": "default", "starttls": "tls", "implicit": "ssl"}[kind]
        login = {"username": "ann", "password": "s3cret"} if kind == "starttls" else {}
        tls = wlsmtp.TLS(ca_file=certificates.ca_file)
        with world.session("127.0.0.1", controller.port, security=security, tls=tls, **login) as session:
            for number in range(3):
                assert session.send(Message(sender="a@example.com", to="b@example.com", text=f".{number}\n..\n"))
    finally:
        controller.stop()
    assert [envelope.rcpt_tos for envelope in handler.envelopes] == [["b@example.com"]] * 3
    assert b"\r\n.2\r\n..\r\n" in (handler.envelopes[2].original_content or b"")
