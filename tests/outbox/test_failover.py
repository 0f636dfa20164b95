"""A PostgreSQL whose place is taken by its standby."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.postgres import NOT_DURABLE, Postgres, missing, program, what_is_missing
from tests.real import poll
from wlsmtp import MemoryTransport, Message, OutboxError, SMTPSession, Status

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="Hello")


@pytest.fixture
def servers() -> Iterator[tuple[Postgres, Postgres]]:
    """A primary and its synchronous standby."""
    if (reason := what_is_missing()) is not None:
        missing(reason)
    if program("pg_basebackup") is None:
        missing("there is no pg_basebackup (Debian: postgresql-client)")
    primary = Postgres((*NOT_DURABLE, "synchronous_standby_names=*", "synchronous_commit=local"))
    try:
        primary.start()
        standby = Postgres((*NOT_DURABLE, "synchronous_standby_names="), primary=primary)
        try:
            standby.start()
            replicas = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            assert poll(lambda: primary.query(replicas) == [(1,)], 30)
            yield primary, standby
        finally:
            standby.remove()
    finally:
        primary.remove()


def test_nothing_is_lost_and_nothing_goes_twice_when_a_standby_takes_over(servers: tuple[Postgres, Postgres]) -> None:
    primary, standby = servers
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    durable = "target_session_attrs=read-write&options=-csynchronous_commit%3Don"
    outbox = f"postgresql://tester@{hosts}/postgres?schema=mail&lease=2&{durable}"
    transport = MemoryTransport()
    with closing(SMTPSession(transport=transport, mode="async", outbox=outbox)) as session:
        session.open()
        ids = [session.send(MESSAGE, idempotency_key=str(number)).id for number in range(20)]
        primary.stop(signal.SIGQUIT)
        standby.query("SELECT pg_promote()")

        keys = ["3", "b", "a"]

        def have_gone() -> bool:
            with suppress(OutboxError):
                while keys:
                    ids.append(session.send(MESSAGE, idempotency_key=keys[-1]).id)
                    keys.pop()
            return not keys

        assert poll(have_gone, 30)
        assert session.flush(30) == 0
        receipts = [session.status(id) for id in ids]
        statistics = session.outbox_statistics()
    assert ids[-1] == ids[3] and len(set(ids)) == 22
    assert receipts == [Status.SENT] * 23 and statistics.sent == 22
    assert 22 <= len(transport.messages) <= 22 + statistics.interruptions
