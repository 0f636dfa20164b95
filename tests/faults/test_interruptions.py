"""An interrupted sender loses a connection and nothing else: the next send works at once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

import wlsmtp
from tests.faults.gates import Gate, Reached
from tests.faults.table import BOB, LARGE, SECRET, SENDER, SMALL, USER, Mode
from tests.worlds import World
from wlsmtp import AsyncSMTPSession, PoolLimits, RetryPolicy, Status
from wlsmtp.events import Event, Line, Sent
from wlsmtp.testing import DEAF, SMTPServer

ENVELOPE: dict[str, Any] = {"sender": SENDER, "recipients": BOB}
ONE = PoolLimits(max_connections=1)
"""A place that is not given back would keep the next send waiting."""


def server_of(mode: Mode) -> SMTPServer:
    return SMTPServer(extensions=mode.extensions, users={USER: SECRET})


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("stage", ["CONNECT", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", ".", "CONTENT"])
def test_a_cancelled_task_gives_up_its_connection_and_nothing_else(mode: Mode, stage: str) -> None:
    reached = Reached(DEAF)

    async def main(server: SMTPServer) -> None:
        async with AsyncSMTPSession(server.host, server.port, username=USER, password=SECRET, pool=ONE) as session:
            content = LARGE if stage == "CONTENT" else SMALL
            stuck = asyncio.create_task(session.send(content, **ENVELOPE))
            assert await asyncio.to_thread(reached.event.wait, 30)
            stuck.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stuck
            assert await session.send(SMALL, **ENVELOPE)

    with server_of(mode) as server:
        server.reply_to(stage, reached, 1)
        asyncio.run(main(server))
        assert len(server.messages) == 1 and server.connections == 2


def test_a_task_cancelled_while_it_waits_for_a_connection_leaves_no_trace() -> None:
    gate = Gate("250 2.0.0 Queued")

    async def main(server: SMTPServer) -> None:
        async with AsyncSMTPSession(server.host, server.port, pool=ONE) as session:
            holder = asyncio.create_task(session.send(SMALL, **ENVELOPE))
            assert await asyncio.to_thread(gate.event.wait, 30)
            waiter = asyncio.create_task(session.send(SMALL, **ENVELOPE))
            await asyncio.sleep(0)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            gate.opened.set()
            assert await holder and await session.send(SMALL, **ENVELOPE)

    with SMTPServer() as server:
        server.reply_to("STORED", gate, 1)
        asyncio.run(main(server))
        assert len(server.messages) == 2 and server.connections == 1


def test_a_task_cancelled_in_the_pause_before_a_retry_does_not_try_again() -> None:
    async def main(server: SMTPServer) -> None:
        paused = asyncio.Event()
        listeners = (lambda event: paused.set() if isinstance(event, wlsmtp.events.Retrying) else None,)
        policy = RetryPolicy(backoff=50, max_backoff=50)
        async with AsyncSMTPSession(server.host, server.port, pool=ONE, retry=policy, listeners=listeners) as session:
            task = asyncio.create_task(session.send(SMALL, **ENVELOPE))
            await paused.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await session.send(SMALL, **ENVELOPE)

    with SMTPServer() as server:
        server.reply_to("MAIL", "451 4.3.0 Later", 1)
        asyncio.run(main(server))
        assert len(server.messages) == 1


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("verb", ["EHLO", "AUTH", "MAIL", "RCPT"])
def test_an_interrupt_in_the_middle_passes_through_and_harms_nobody(mode: Mode, verb: str) -> None:
    """Ctrl-C strikes wherever the thread is, here in a listener."""
    pending = [KeyboardInterrupt()]

    def strike(event: Event) -> None:
        if pending and isinstance(event, Line) and event.who == "client" and event.text.startswith(verb):
            raise pending.pop()

    with (
        server_of(mode) as server,
        wlsmtp.SMTPSession(
            server.host, server.port, username=USER, password=SECRET, pool=ONE, listeners=(strike,)
        ) as session,
    ):
        with pytest.raises(KeyboardInterrupt):
            session.send(SMALL, **ENVELOPE)
        assert server.messages == []
        assert session.send(SMALL, **ENVELOPE)
        assert len(server.messages) == 1


INTERRUPTED = """
import signal, sys
from wlsmtp import SMTPSession

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts in the background ignore Ctrl-C

with SMTPSession("127.0.0.1", int(sys.argv[1])) as session:
    try:
        session.send(b"Subject: first\\r\\n\\r\\nx\\r\\n", sender="ann@example.com", recipients="bob@example.org")
    except KeyboardInterrupt:
        second = b"Subject: second\\r\\n\\r\\nx\\r\\n"
        print(session.send(second, sender="ann@example.com", recipients="bob@example.org"))
"""


@pytest.mark.parametrize("stage", ["CONNECT", "MAIL", "."])
def test_a_real_ctrl_c_ends_the_wait_at_once_and_the_next_send_works(stage: str) -> None:
    reached = Reached()
    with SMTPServer() as server:
        server.reply_to(stage, reached, 1)
        program = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, str(server.port)], stdout=subprocess.PIPE, text=True
        )
        assert reached.event.wait(30)
        program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=30)
        assert program.returncode == 0 and said.startswith("sent: 1 of 1")
        assert [message.header("Subject") for message in server.messages] == ["second"]


def test_closing_while_others_send_lets_them_finish_and_refuses_the_next(world: World) -> None:
    gate, another_sent = Gate("250 2.0.0 Queued"), threading.Event()

    def watch(event: Event) -> None:
        if isinstance(event, Sent):
            another_sent.set()
        elif isinstance(event, Line) and event.text == "QUIT":  # closing has begun, and waits for the other connection
            gate.opened.set()

    with SMTPServer() as server:
        server.reply_to("STORED", gate, 1)
        face = world.session(server.host, server.port, listeners=(watch,)).face
        first, second, closed = world.together(
            (None, lambda: face.send(SMALL, **ENVELOPE)),
            (gate.event, lambda: face.send(SMALL, **ENVELOPE)),
            (another_sent, face.close),
        )
        assert first.status is second.status is Status.SENT and closed is None
        with pytest.raises(wlsmtp.ConnectionFailed, match=r"open\(\)"):
            world.run(face.send(SMALL, **ENVELOPE))
        world.run(face.open())
        assert world.run(face.send(SMALL, **ENVELOPE))
        world.run(face.close())
        assert len(server.messages) == 3


def test_closing_does_not_wait_for_ever_for_what_hangs(world: World) -> None:
    reached = Reached()
    with SMTPServer() as server:
        server.reply_to(".", reached, 1)
        face = world.session(
            server.host, server.port, retry=RetryPolicy(attempts=1), timeout=wlsmtp.Timeouts(content=1.0, total=2.0)
        ).face
        hung, closed = world.together((None, lambda: face.send(SMALL, **ENVELOPE)), (reached.event, face.close))
        assert isinstance(hung, wlsmtp.OutcomeUnknown) and closed is None
