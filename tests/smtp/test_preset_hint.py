"""A known provider's server with a port that the provider does not take logins on: the error names the preset, and
nothing does where all is well."""

from __future__ import annotations

import logging
import re
import socket
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, Network, RetryPolicy
from wlsmtp.testing import SMTPServer

MAIL = Message(sender="ann@gmail.com", to="bob@example.org", text="x")
PRESET = r'SMTPSession\.from_preset\("gmail", …\) uses port 587 with security="tls"'


def failing(_: str, __: int) -> socket.socket:
    raise ConnectionRefusedError(111, "refused")


def hint_of(world: World, server: str = "smtp.gmail.com", **settings: Any) -> str:
    settings = {"username": "ann", "password": "x", "network": Network(connector=failing), **settings}
    with world.session(server, retry=RetryPolicy(attempts=1), **settings) as session:
        with pytest.raises(wlsmtp.SMTPError) as caught:
            session.send(MAIL)
        return caught.value.hint or ""


@pytest.mark.parametrize(
    "settings", [{}, {"port": 465}, {"port": 25, "security": "tls"}, {"port": 587, "security": "ssl"}]
)
@pytest.mark.parametrize("server", ["smtp.gmail.com", "SMTP.gmail.com."])
def test_an_error_names_the_preset(world: World, server: str, settings: dict[str, Any]) -> None:
    assert re.search(PRESET, hint_of(world, server, **settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"username": None, "password": None},
        {"port": 587, "security": "tls"},
        {"port": 587},
        {"security": "ssl"},
        {"server": "smtp.example.com"},
    ],
    ids=str,
)
def test_an_error_with_other_reasons_does_not(world: World, settings: dict[str, Any]) -> None:
    assert "from_preset" not in hint_of(world, **settings)


def test_a_server_without_a_login_on_that_port_does(world: World) -> None:
    with SMTPServer() as server:
        connector = lambda *_: socket.create_connection((server.host, server.port))  # noqa: E731
        assert "from_preset" in hint_of(world, network=Network(connector=connector))


def test_a_refused_login_does_not_and_success_says_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="wlsmtp")
    with SMTPServer(users={"ann": "x"}) as server:
        network = Network(connector=lambda *_: socket.create_connection((server.host, server.port)))
        options: dict[str, Any] = {"network": network, "allow_cleartext_auth": True}
        assert "from_preset" not in hint_of(world, password="wr0ng", **options)
        with world.session("smtp.gmail.com", username="ann", password="x", **options) as session:
            assert session.send(MAIL)
    assert "preset" not in caplog.text
