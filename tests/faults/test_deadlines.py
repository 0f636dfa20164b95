"""Every wait ends: a stage has its time-out, a whole send its own, and what makes progress is not cut off."""

from __future__ import annotations

from typing import Any

import pytest

import wlsmtp
from tests.faults.gates import Gate
from tests.faults.opening import Drip
from tests.faults.table import BOB, LARGE, SENDER, SMALL
from tests.worlds import Session, World
from wlsmtp import TLS, PoolLimits, RetryPolicy, Stage, Status, Timeouts
from wlsmtp.events import Event, Failed
from wlsmtp.testing import DEAF, SILENCE, SMTPServer
from wlsmtp.testing.conversation import Scripted

PLAIN_EXTENSIONS = ("8BITMIME",)
STAGES: list[tuple[str, Stage, Status]] = [
    ("CONNECT", Stage.GREETING, Status.ERROR),
    ("EHLO", Stage.EHLO, Status.ERROR),
    ("AUTH", Stage.AUTH, Status.ERROR),
    ("MAIL", Stage.MAIL, Status.ERROR),
    ("RCPT", Stage.RCPT, Status.ERROR),
    ("DATA", Stage.DATA, Status.ERROR),
    (".", Stage.CONTENT, Status.UNKNOWN),
]


ENVELOPE: dict[str, Any] = {"sender": SENDER, "recipients": BOB}


def send(session: Session, content: bytes = SMALL, **options: Any) -> wlsmtp.Receipt:
    return session.send(content, **ENVELOPE, **options)


@pytest.mark.parametrize(("verb", "stage", "status"), STAGES, ids=[row[0] for row in STAGES])
@pytest.mark.parametrize("reply", [SILENCE, Drip(b"250-")], ids=["silence", "an octet at a time"])
def test_the_time_for_a_whole_send_ends_it_at_any_stage(
    world: World, verb: str, stage: Stage, status: Status, reply: Scripted
) -> None:
    """The stages themselves would have had minutes, and there would have been tries left."""
    with (
        SMTPServer(extensions=PLAIN_EXTENSIONS, users={"ann": "s3cret-Pa55"}) as server,
        world.session(server.host, server.port, username="ann", password="s3cret-Pa55") as session,
    ):
        server.reply_to(verb, reply, 1)
        with pytest.raises((wlsmtp.DeadlineExceeded, wlsmtp.OutcomeUnknown)) as caught:
            send(session, timeout=0.3)
        assert caught.value.stage is stage and caught.value.receipt is not None
        assert caught.value.receipt.status is status and caught.value.receipt.attempts == 1
        assert send(session) and len(server.messages) == 1


def test_the_time_for_a_whole_send_holds_for_the_content_too(world: World) -> None:
    with (
        SMTPServer(extensions=("PIPELINING",)) as server,
        world.session(server.host, server.port) as session,
    ):
        server.reply_to("CONTENT", DEAF, 1)
        with pytest.raises(wlsmtp.DeadlineExceeded) as caught:
            send(session, LARGE, timeout=0.4)
        assert caught.value.stage is Stage.CONTENT and not caught.value.ambiguous
        assert send(session) and len(server.messages) == 1


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_time_that_cannot_be_is_refused_before_anything_is_sent(world: World, timeout: float) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        with pytest.raises(wlsmtp.ConfigError, match="timeout"):
            send(session, timeout=timeout)
        assert server.connections == 0


@pytest.mark.parametrize("security", ["default", "ssl"])
@pytest.mark.parametrize("extensions", [PLAIN_EXTENSIONS, ("PIPELINING", "CHUNKING")], ids=["DATA", "CHUNKING"])
def test_a_slow_upload_goes_on_as_long_as_it_goes_on(world: World, security: str, extensions: tuple[str, ...]) -> None:
    """The whole takes longer than any stage may; each block arrives in time."""
    with (
        SMTPServer(security=security, extensions=extensions, pace=0.002 if security == "ssl" else 0.01) as server,
        world.session(
            server.host, server.port, security=security, tls=TLS(ca_file=server.ca_file) if server.ca_file else TLS(),
            timeout=Timeouts(block=1.0), retry=RetryPolicy(attempts=1),
        ) as session,
    ):  # fmt: skip
        receipt = send(session, LARGE)
        assert receipt and receipt.elapsed > 1.0
        assert server.messages[0].content == LARGE


def test_the_pause_before_a_retry_counts(world: World) -> None:
    policy = RetryPolicy(attempts=3, backoff=50, max_backoff=50, jitter=0)
    with SMTPServer() as server, world.session(server.host, server.port, retry=policy) as session:
        server.reply_to("MAIL", "451 4.3.0 Later", 1)
        with pytest.raises(wlsmtp.SenderRefused) as caught:
            send(session, timeout=20)
        assert caught.value.receipt is not None and caught.value.receipt.attempts == 1


def test_waiting_for_a_free_connection_counts(world: World) -> None:
    gate = Gate("250 2.0.0 Queued")

    def open_once_the_other_gave_up(event: Event) -> None:
        if isinstance(event, Failed):
            gate.opened.set()

    with (
        SMTPServer(extensions=()) as server,  # without PIPELINING no connection is shared
        world.session(
            server.host, server.port, pool=PoolLimits(max_connections=1), listeners=(open_once_the_other_gave_up,)
        ) as session,
    ):
        server.reply_to("STORED", gate, 1)
        face, envelope = session.face, ENVELOPE
        first, second = world.together(
            (None, lambda: face.send(SMALL, **envelope)),
            (gate.event, lambda: face.send(SMALL, **envelope, timeout=0.2)),
        )
        assert first and isinstance(second, wlsmtp.DeadlineExceeded) and second.stage is Stage.CONNECT
        assert send(session) and len(server.messages) == 2
