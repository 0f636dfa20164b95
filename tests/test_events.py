"""What events say beyond their names: how long things took, over which server, and what an outbox carries along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.outbox.stores import KINDS, url_of
from tests.worlds import World
from wlsmtp import Message, RetryPolicy, SMTPError, Stage
from wlsmtp.events import Connected, Event, Failed, Retrying, Sent, Streamed, listener
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", subject="Hi", text="x")


def test_a_connection_says_how_long_each_stage_took(world: World) -> None:
    heard: list[Connected] = []
    with SMTPServer(security="tls", users={"ann": "s3cret"}) as server:
        session = world.session(
            "localhost", server.port, security="tls", tls={"ca_file": server.ca_file}, username="ann",
            password="s3cret", listeners=[listener(Connected)(heard.append)],
        )  # fmt: skip
        with session:
            session.verify()
    assert [stage for stage, _ in heard[0].stages] == [
        Stage.CONNECT, Stage.GREETING, Stage.EHLO, Stage.TLS, Stage.EHLO, Stage.AUTH,
    ]  # fmt: skip
    assert all(seconds >= 0 for _, seconds in heard[0].stages) and sum(seconds for _, seconds in heard[0].stages) > 0


def test_a_message_says_how_long_it_took_and_over_what(world: World) -> None:
    heard: list[Sent] = []
    with SMTPServer() as server:
        with world.session(server.host, server.port, listeners=[listener(Sent)(heard.append)]) as session:
            receipt = session.send(MESSAGE)
        assert heard[0].transport == f"{server.host}:{server.port}"
    assert heard[0].seconds == receipt.elapsed > 0 and not heard[0].is_streamed


def test_a_stream_is_summed_up_at_its_end(world: World) -> None:
    heard: list[Event] = []
    with SMTPServer() as server:
        server.reply_to("RCPT", "550 5.1.1 No such user", times=1)
        listeners = [listener(Sent, Failed, Streamed)(heard.append)]
        with world.session(server.host, server.port, listeners=listeners) as session:
            session.send_all([MESSAGE] * 3)
    *messages, last = heard
    assert all(isinstance(event, Sent | Failed) and event.is_streamed for event in messages) and len(messages) == 3
    assert isinstance(last, Streamed) and (last.messages, last.failed, last.error) == (3, 1, None)


def test_what_ends_a_stream_is_said(world: World) -> None:
    heard: list[Streamed] = []
    with SMTPServer() as server:
        server.reply_to("CONNECT", "554 5.7.1 Go away")
        session = world.session(server.host, server.port, listeners=[listener(Streamed)(heard.append)])
        with session, pytest.raises(SMTPError) as caught:
            session.send_all([MESSAGE])
    assert heard[0].error is caught.value and heard[0].failed == 1


def test_another_try_names_its_message(world: World) -> None:
    heard: list[Retrying] = []
    with SMTPServer() as server:
        server.reply_to("MAIL", "451 4.3.0 Later", times=1)
        retry = RetryPolicy(backoff=0.01, jitter=0)
        listeners = [listener(Retrying)(heard.append)]
        with world.session(server.host, server.port, retry=retry, listeners=listeners) as session:
            receipt = session.send(MESSAGE)
    assert [event.message_id for event in heard] == [receipt.message_id]


class Carrier:
    """A listener that gives an outbox something to keep with each message."""

    def __init__(self) -> None:
        self.found: list[Mapping[str, str]] = []
        self.fails = self.is_odd = False

    def carry(self) -> Mapping[str, str]:
        if self.fails:
            raise RuntimeError("no")
        if self.is_odd:
            return {"traceparent": b"00-1-2-01"}  # type: ignore[dict-item]
        return {"traceparent": "00-1-2-01"}

    def __call__(self, event: Any) -> None:
        self.found.append(event.receipt.carried)


@pytest.mark.parametrize("kind", KINDS)
def test_an_outbox_keeps_what_a_listener_carries(
    world: World, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    outbox = url_of(kind, request, tmp_path)
    carrier = Carrier()
    with SMTPServer() as server:
        listeners = [listener(Sent, Failed)(carrier)]
        with world.session(server.host, server.port, mode="async", outbox=outbox, listeners=listeners) as session:
            session.send(MESSAGE)
            session.flush()
            carrier.fails = True  # which costs no mail
            session.send(MESSAGE)
            session.flush()
            carrier.fails, carrier.is_odd = False, True  # nor does that
            session.send(MESSAGE)
            session.flush()
    assert carrier.found == [{"traceparent": "00-1-2-01"}, {}, {}]


@pytest.mark.parametrize("kind", KINDS)
def test_an_outbox_says_since_when_its_oldest_message_waits(
    world: World, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    outbox = url_of(kind, request, tmp_path)
    with SMTPServer() as server, world.session(server.host, server.port, mode="async", outbox=outbox) as session:
        assert session.outbox_statistics().oldest is None
        first = session.send(MESSAGE, send_at=600)
        since = session.outbox_statistics().oldest
        second = session.send(MESSAGE, send_at=500)
        assert since is not None and session.outbox_statistics().oldest == since
        session.cancel(first.id)
        later = session.outbox_statistics().oldest
        assert later is not None and later > since
        session.cancel(second.id)
