"""Mistakes of the first day are explained in a sentence that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import TLS, ConfigError, Message, MessageError, RetryPolicy, SMTPSession, Timeouts
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: SMTPSession("h", usrname="x"),  # type: ignore[call-arg]
            "usrname: is not known; did you mean username?",
        ),
        (
            lambda: TLS(cafile="x"),  # type: ignore[call-arg]
            "cafile: is not known; did you mean ca_file?",
        ),
        (
            lambda: Timeouts(conect=3),  # type: ignore[call-arg]
            "conect: is not known; did you mean connect?",
        ),
        (
            lambda: RetryPolicy(xyz=3),  # type: ignore[call-arg]
            "xyz: is not known; there are attempts, backoff",
        ),
        (lambda: SMTPSession("h", outbox="sqlite:///x.db"), "outbox: keeps messages with mode='async' only"),
    ],
)
def test_a_wrong_setting_is_told_with_the_right_one(make: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert words in str(caught.value)


@pytest.mark.parametrize("one", [MESSAGE, b"Subject: x\r\n\r\n", "text"])
def test_one_message_is_no_iterable_of_messages(world: World, one: Any) -> None:
    with world.session("localhost") as session, pytest.raises(MessageError, match=r"Use send\(message\)"):
        list(session.send_many(one))


def test_an_address_is_no_time_out() -> None:
    with SMTPSession("localhost") as session, pytest.raises(ConfigError, match="number of seconds"):
        session.verify("bob@example.org")  # type: ignore[arg-type]


def test_a_server_that_wants_a_login_is_told_as_such(world: World) -> None:
    with (
        SMTPServer(users={"ann": "s3cret-Pa55"}, require_auth=True) as server,
        world.session(server.host, server.port) as session,
        pytest.raises(wlsmtp.SenderRefused, match="set username and password") as caught,
    ):
        session.send(MESSAGE)
    assert "Authentication required" in str(caught.value.receipt)  # a receipt says why
