"""A real PostgreSQL whose clock is set, forwards and backwards, while workers are at work (by libfaketime)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.outbox.endurance import NO_DOUBLE_CLAIM
from tests.postgres import Postgres, missing, what_is_missing
from tests.real import poll
from wlsmtp import MemoryTransport, Message, PostgresOutbox, SMTPSession, Status

LEASE = 1.5
MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="Hello")


class ServerWithClock(Postgres):
    """A server that adds to the time what a file says."""

    def __init__(self, library: Path) -> None:
        super().__init__()
        self._clock = self.directory / "clock"
        self.set_clock(0)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set_clock(self, seconds: int) -> None:
        """Set it ahead or back, by seconds from the real time."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.chmod(0o644)
        new.replace(self._clock)


@pytest.fixture
def server() -> Iterator[ServerWithClock]:
    if (reason := what_is_missing()) is not None:
        missing(reason)
    libraries = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
    if not libraries:
        missing("there is no libfaketime (Debian: faketime)")
    server = ServerWithClock(libraries[0])
    try:
        server.start()
        yield server
    finally:
        server.remove()


class Held(MemoryTransport):
    """Holds what it is given until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.holds, self.released = threading.Event(), threading.Event()

    async def deliver(self, *arguments: Any) -> Any:
        self.holds.set()
        while not self.released.is_set():
            await self.io.sleep(0.02)
        return await super().deliver(*arguments)


def test_a_clock_that_is_set_takes_no_mail_from_the_living_and_holds_up_none(server: ServerWithClock) -> None:
    outbox = server.outbox("mail", lease=LEASE)
    held, quick = Held(), MemoryTransport()
    first = SMTPSession(transport=held, mode="async", outbox=outbox)
    second = SMTPSession(transport=quick, mode="async", outbox=outbox)
    with closing(first), closing(second):
        first.outbox_statistics()
        server.query(NO_DOUBLE_CLAIM.replace("{schema}", "mail"))
        first.send_all([MESSAGE] * 5)
        first.open()
        assert held.holds.wait(30)
        leased = server.query("SELECT owner, lent FROM mail.workers WHERE lent > 0")
        second.open()
        for seconds in (600, -600):
            server.set_clock(seconds)
            renewals = set[float]()

            def has_been_renewed(renewals: set[float] = renewals) -> bool:
                renewals.update(lease for (lease,) in server.query("SELECT lease FROM mail.workers WHERE lent > 0"))
                return len(renewals) > 4  # for longer than a lease

            assert second.send(MESSAGE).wait(30).status is Status.SENT
            assert second.send(MESSAGE, send_at=0.1).wait(30).status is Status.SENT
            assert poll(has_been_renewed, 30)
        assert set(leased) <= set(server.query("SELECT owner, lent FROM mail.workers WHERE lent > 0"))
        held.released.set()
        assert first.flush(30) == 0
        counts = first.outbox_statistics()
    assert (counts.sent, counts.interruptions) == (9, 0) and len(held.messages) + len(quick.messages) == 9
    assert server.query("SELECT * FROM mail.doubles") == []


def test_what_a_dead_worker_had_waits_no_longer_than_a_lease(server: ServerWithClock) -> None:
    dead = PostgresOutbox(server.outbox("mail").partition("?")[0], schema="mail", lease=LEASE)
    io = dead.io = SMTPSession._io()
    io.run_blocking(dead.open())
    outbox, transport = server.outbox("mail", lease=LEASE), MemoryTransport()
    with SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False) as producer:
        producer.send(MESSAGE)
        [_] = io.run_blocking(dead.claim("dead", 1))
        io.run_blocking(dead.close())
        server.set_clock(-600)
        producer.send(MESSAGE)
    with SMTPSession(transport=transport, mode="async", outbox=outbox) as session:
        session.open()
        assert session.flush(30) == 0
        assert session.outbox_statistics().interruptions == 1
    assert len(transport.messages) == 2
