"""What may hang is left behind at the deadline: name look-ups, token providers, connectors. It keeps neither the
message nor the end of the program."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wlsmtp
from tests.io.test_tasks import play
from tests.worlds import World
from wlsmtp import Message, Network, RetryPolicy
from wlsmtp.io import aside
from wlsmtp.io.base import IO
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")


@pytest.fixture
def hang() -> Iterator[Callable[..., Any]]:
    """A function that does not return before the test is over."""
    is_over = threading.Event()
    yield lambda *_, **__: is_over.wait(60)
    is_over.set()


@pytest.fixture(params=["name", "token", "connector"])
def what_hangs(
    request: pytest.FixtureRequest, hang: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Settings of a session that hangs when it connects."""
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, **options: Any) -> Any:
        return hang() if host == "mail.example" else real(host, port, *args, **options)

    if request.param == "name":
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return {"server": "mail.example"}
    if request.param == "token":
        return {"username": "ann", "token": hang}
    return {"network": Network(connector=hang)}


def test_the_deadline_of_a_message_holds(world: World, what_hangs: dict[str, Any]) -> None:
    with SMTPServer(users={"ann": "x"}, mechanisms=("XOAUTH2",)) as server:
        options = {"server": server.host, "port": server.port, "retry": RetryPolicy(attempts=1), **what_hangs}
        with world.session(options.pop("server"), options.pop("port"), **options) as session:
            with pytest.raises(wlsmtp.DeadlineExceeded):
                session.send(MESSAGE, timeout=0.05)
            assert session.statistics().connections_open == 0


PROGRAM = """
import asyncio, socket, sys, threading
from wlsmtp import AsyncSMTPSession, DeadlineExceeded, Message, Network, RetryPolicy, SMTPSession

def hang(*_, **__):
    threading.Event().wait()

world, port = sys.argv[1:]
message = Message(sender="ann@example.com", to="bob@example.org", text="x")
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *args, **options: (
    hang() if host == "mail.example" else real(host, *args, **options)
)

async def main(options):
    async with AsyncSMTPSession(**options) as session:
        await session.send(message, timeout=0.05)

for what in (
    {"server": "mail.example"}, {"username": "ann", "token": hang}, {"network": Network(connector=hang)}
):
    options = {"retry": RetryPolicy(attempts=1), "server": "127.0.0.1", "port": int(port), **what}
    try:
        asyncio.run(main(options)) if world == "asyncio" else SMTPSession(**options).send(message, timeout=0.05)
    except DeadlineExceeded:
        print("told")
"""


def test_the_program_ends(world: World) -> None:
    with SMTPServer(users={"ann": "x"}, mechanisms=("XOAUTH2",)) as server:
        command = [sys.executable, "-c", PROGRAM, world.name, str(server.port)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (run.stdout, run.stderr, run.returncode) == ("told\n" * 3, "", 0)


def test_a_connection_that_comes_too_late_is_closed(world: World) -> None:
    may_go_on, has_gone_on = threading.Event(), threading.Event()
    made: list[socket.socket] = []

    def connect(host: str, port: int) -> socket.socket:
        sock = socket.create_connection((host, port))
        made.append(sock)
        may_go_on.wait(30)
        has_gone_on.set()
        return sock

    async def core(io: IO) -> None:
        with pytest.raises(TimeoutError):
            await io.connect(server.host, server.port, io.now() + 0.1, Network(connector=connect))

    with SMTPServer() as server:
        play(world, core)
        may_go_on.set()
        assert has_gone_on.wait(30)
        while made[0].fileno() >= 0:
            threading.Event().wait(0.001)


def test_what_is_called_has_the_context_of_its_caller(world: World) -> None:
    from contextvars import ContextVar

    tenant = ContextVar("tenant", default="nobody")

    async def core(io: IO) -> str:
        tenant.set("ann")
        return await io.call(tenant.get, io.now() + 10)

    assert play(world, core) == "ann"


def test_no_thread_is_started_for_a_message_over_a_kept_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        names.append(thread.name)
        real(thread)

    with SMTPServer() as server, world.session(server.host, server.port) as session:
        assert session.send(MESSAGE)
        monkeypatch.setattr(threading.Thread, "start", start)
        for _ in range(3):
            assert session.send(MESSAGE)
        assert [name for name in names if "wlsmtp-testing" not in name] == []


def test_where_no_thread_can_be_started_the_last_mail_of_a_program_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.12 starts none once the main thread has ended, and the outbox is still to be drained."""

    def refuse(_: object) -> Any:
        raise OSError(errno.EAGAIN, "can't create new thread at interpreter shutdown")

    monkeypatch.setattr(aside, "start_aside", refuse)
    with pytest.raises(OSError, match="new thread"):
        aside.call_aside(lambda: "found", 1.0)
    monkeypatch.setattr(threading, "main_thread", threading.Thread)  # one that does not run
    assert aside.call_aside(lambda: "found", 1.0) == "found"
