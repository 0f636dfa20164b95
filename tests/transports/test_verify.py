"""``verify`` and ``open``: whether a server is there, also one that does not know NOOP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import wlsmtp
from tests.worlds import Session, World
from wlsmtp import RetryPolicy
from wlsmtp.smtp.quirks import ServerQuirks, Trust
from wlsmtp.testing import CLOSE, SILENCE, SMTPServer
from wlsmtp.testing.conversation import Scripted
from wlsmtp.transports.smtp import SMTPTransport

RAW = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture
def session(world: World, server: SMTPServer) -> Iterator[Session]:
    with world.session(server.host, server.port, timeout=5, retry=RetryPolicy(attempts=1)) as session:
        yield session


def quirks_of(session: Session) -> ServerQuirks:
    transport = session.face.transport
    assert isinstance(transport, SMTPTransport)
    return transport.relay.quirks


def verbs(server: SMTPServer) -> list[bytes]:
    return [line.split(b" ")[0] for _, who, line in server.transcript if who == "C"]


def test_a_new_connection_needs_no_noop(session: Session, server: SMTPServer) -> None:
    assert session.verify().server == f"{server.host}:{server.port}"
    assert verbs(server) == [b"EHLO"]


@pytest.mark.parametrize(
    ("reply", "trust"),
    [
        ("250 2.0.0 Ok", Trust.PROVEN),
        ("500 5.5.1 Command not implemented", Trust.BROKEN),
        ("502 5.5.1 Not here", Trust.BROKEN),
        ("451 4.3.0 Later", Trust.UNPROVEN),
    ],
)
def test_any_reply_to_noop_shows_that_a_kept_connection_is_alive(
    session: Session, server: SMTPServer, reply: str, trust: Trust
) -> None:
    server.reply_to("NOOP", reply, times=None)
    session.open()
    session.verify()
    session.open()
    assert session.send(RAW, sender="ann@example.com", recipients="bob@example.org")
    assert verbs(server).count(b"EHLO") == 1 and verbs(server).count(b"NOOP") == 2
    assert quirks_of(session).noop is trust


@pytest.mark.parametrize(
    "reply",
    [
        "421 4.3.2 Bye", ("421 4.3.2 Bye", CLOSE), "451 4.4.2 Idle for too long", CLOSE,
        "354 Go ahead", b"600 What?\r\n", b"199 What?\r\n",
    ],
)  # fmt: skip
def test_a_kept_connection_that_ends_or_that_talks_nonsense_is_replaced(
    session: Session, server: SMTPServer, reply: Scripted
) -> None:
    session.verify()
    server.reply_to("NOOP", reply)
    session.verify()
    assert verbs(server).count(b"EHLO") == 2
    assert quirks_of(session).noop is Trust.UNPROVEN


def test_a_kept_connection_without_an_answer_is_replaced(world: World, server: SMTPServer) -> None:
    with world.session(server.host, server.port, timeout=0.4) as session:
        session.verify()
        server.reply_to("NOOP", SILENCE)
        session.verify()
    assert verbs(server).count(b"EHLO") == 2


def test_a_server_that_takes_nobody_fails_although_a_connection_was_kept(session: Session, server: SMTPServer) -> None:
    session.verify()
    server.reply_to("NOOP", ("421 4.3.2 Bye", CLOSE))
    server.reply_to("CONNECT", "554 5.7.1 Not you")
    with pytest.raises(wlsmtp.CommandRefused) as caught:
        session.verify()
    assert caught.value.reply is not None and caught.value.reply.code == 554
