"""SCRAM bound to the TLS connection, against GNU SASL."""

from __future__ import annotations

import base64
import os
import ssl
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp import TLS, AuthenticationFailed, RetryPolicy
from wlsmtp.testing import SMTPServer
from wlsmtp.testing.authentication import Examiner

from . import gsasl

PASSWORD = 'pä55 "w%rd'


@pytest.fixture(autouse=True)
def gnu_sasl(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Makes GNU SASL examine the clients of the embedded server; may be given another binding than the real one."""
    if (reason := gsasl.what_is_missing()) is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"missing: {reason}")
    other: dict[str, bytes] = {}

    def scram(self: Any, name: str, initial: str) -> str | None:
        assert isinstance(self._socket, ssl.SSLSocket)
        unique = other.get("binding") or self._socket.get_channel_binding("tls-unique") or b""

        def ask(challenge: str) -> str:
            return base64.b64encode(self._ask(base64.b64decode(challenge))).decode()

        in_base64 = base64.b64encode(unique).decode()
        return "ann" if gsasl.examine(name, PASSWORD, in_base64, initial, ask) else None

    monkeypatch.setattr(Examiner, "_scram", scram)
    return other


def log_in(world: World, mechanism: str, password: str = PASSWORD) -> str | None:
    with SMTPServer(users={"ann": PASSWORD}, mechanisms=[mechanism], security="tls") as server:
        assert server.tls_context is not None
        server.tls_context.maximum_version = ssl.TLSVersion.TLSv1_2
        with world.session(
            "localhost", server.port, security="tls", tls=TLS(ca_file=server.ca_file), username="ann",
            password=password, retry=RetryPolicy(attempts=1), timeout=20,
        ) as session:  # fmt: skip
            return session.verify().mechanism


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"])
def test_gnu_sasl_agrees(world: World, mechanism: str) -> None:
    assert log_in(world, mechanism) == mechanism


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"])
def test_gnu_sasl_refuses_a_client_of_another_connection(
    world: World, mechanism: str, gnu_sasl: dict[str, bytes]
) -> None:
    gnu_sasl["binding"] = b"of another connection"
    with pytest.raises(AuthenticationFailed, match="535"):
        log_in(world, mechanism)


def test_gnu_sasl_refuses_a_wrong_password(world: World) -> None:
    with pytest.raises(AuthenticationFailed, match="535"):
        log_in(world, "SCRAM-SHA-256-PLUS", "wr0ng")
