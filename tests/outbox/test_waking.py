"""Workers are woken by the mail of other programs (NOTIFY), and find it without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.outbox.stores import Store
from tests.postgres import PgBouncer, Postgres, missing, pgbouncer
from tests.real import poll
from tests.worlds import World
from wlsmtp import ConfigError, MemoryTransport, Message, PostgresOutbox, SMTPSession
from wlsmtp.outbox.choice import make_outbox
from wlsmtp.outbox.memory import MemoryOutbox
from wlsmtp.outbox.postgres.schema import channel_of


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hello", **fields})


def keeping(outbox: str | PostgresOutbox) -> SMTPSession:
    """A session that only keeps messages."""
    return SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False)


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers check the outbox once an hour."""
    monkeypatch.setattr("wlsmtp.outbox.worker.POLL_INTERVAL", 3600.0)


@pytest.fixture
def heard(postgres: Postgres) -> Iterator[Callable[[str], int]]:
    """The number of notifications of a schema since the last call."""
    connections: dict[str, psycopg.Connection[Any]] = {}

    def count(schema: str) -> int:
        if schema not in connections:
            connections[schema] = postgres.connect()
            connections[schema].execute(f"LISTEN {channel_of(schema)}".encode())
        connection = connections[schema]
        connection.execute("SELECT 1")  # what was committed before has arrived with its answer
        return len(list(connection.notifies(timeout=0)))

    yield count
    for connection in connections.values():
        connection.close()


def listeners(postgres: Postgres, schema: str) -> list[int]:
    """The connections that listen, and wait."""
    query = "SELECT pid FROM pg_stat_activity WHERE query = %s AND state = 'idle'"
    return [pid for (pid,) in postgres.query(query, f'LISTEN "{channel_of(schema)}"')]


def eventually(world: World, condition: Callable[[], Any]) -> bool:
    """Whether it comes to hold, while the event loop runs."""

    def holds() -> bool:
        if world.name == "asyncio":
            world.run(asyncio.sleep(0.01))
        return bool(condition())

    return poll(holds, 30)


@contextmanager
def two_programs(world: World, postgres: Postgres, schema: str, transport: MemoryTransport) -> Iterator[SMTPSession]:
    """Open a session whose worker listens; yield the session of another program on its outbox."""
    url = postgres.outbox(schema)
    with (
        world.session("localhost", mode="async", outbox=url, transport=transport) as session,
        keeping(url) as other,
    ):
        session.open()
        assert eventually(world, lambda: listeners(postgres, schema))
        yield other


@pytest.mark.usefixtures("seldom")
class TestWorker:
    def test_it_is_woken_by_what_another_program_puts(self, world: World, postgres: Postgres) -> None:
        schema, transport = postgres.schema(), MemoryTransport()
        with two_programs(world, postgres, schema, transport) as other:
            other.send(message())
            assert eventually(world, lambda: len(transport.messages) == 1)

    def test_it_listens_again_when_its_connection_has_died(self, world: World, postgres: Postgres) -> None:
        schema, transport = postgres.schema(), MemoryTransport()
        with two_programs(world, postgres, schema, transport) as other:
            [dead] = listeners(postgres, schema)
            postgres.query("SELECT pg_terminate_backend(%s)", dead)
            assert eventually(world, lambda: listeners(postgres, schema) not in ([], [dead]))
            other.send(message())
            assert eventually(world, lambda: len(transport.messages) == 1)

    def test_one_that_does_not_stay_listens_to_nobody(self, world: World, postgres: Postgres) -> None:
        schema, transport = postgres.schema(), MemoryTransport()
        with world.session("localhost", mode="async", outbox=postgres.outbox(schema), transport=transport) as session:
            assert session.wait(session.send(message()), 30)
            assert listeners(postgres, schema) == []

    def test_its_connection_is_closed_with_the_session(self, world: World, postgres: Postgres) -> None:
        schema = postgres.schema()
        session = world.session(transport=MemoryTransport(), mode="async", outbox=postgres.outbox(schema))
        session.open()
        assert eventually(world, lambda: listeners(postgres, schema))
        session.close()
        assert eventually(world, lambda: not listeners(postgres, schema))


def test_through_pgbouncer_mail_is_found_at_the_next_check(world: World, postgres: Postgres) -> None:
    if pgbouncer() is None:
        missing("there is no pgbouncer (Debian: pgbouncer)")
    bouncer, schema, transport = PgBouncer(postgres), postgres.schema(), MemoryTransport()
    try:
        outbox, others = (PostgresOutbox(bouncer.url, schema=schema) for _ in range(2))
        with world.session(transport=transport, mode="async", outbox=outbox) as session, keeping(others) as other:
            session.open()
            for number in range(3):
                other.send(message(subject=str(number)))
                assert eventually(world, lambda: len(transport.messages) == number + 1)  # noqa: B023
    finally:
        bouncer.stop()


class TestNotify:
    def test_it_is_only_said_when_no_mail_was_waiting(
        self, postgres: Postgres, heard: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wlsmtp.outbox.postgres.notices.NOTIFY_INTERVAL", 0.0)
        schema = postgres.schema()
        heard(schema)
        with keeping(postgres.outbox(schema)) as session:
            session.send_all([message(), message()])
            session.send(message())
            assert heard(schema) == 1
            outbox = session._mailer.spooler._outbox
            assert len(outbox.io.run_blocking(outbox.claim("me", 10))) == 3
            session.send(message(), send_at=60)
            assert heard(schema) == 0
            session.send(message())
            assert heard(schema) == 1

    def test_a_process_says_it_once_a_second(
        self, postgres: Postgres, heard: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        schema = postgres.schema()
        heard(schema)
        with keeping(postgres.outbox(schema)) as session:
            outbox: Any = session._mailer.spooler._outbox
            session.outbox_statistics()
            now = outbox.io.now()
            monkeypatch.setattr(outbox.io, "now", lambda: now)
            for ahead, expected in ((0.0, 1), (0.9, 0), (1.1, 1)):
                monkeypatch.setattr(outbox.io, "now", lambda ahead=ahead: now + ahead)
                session.send(message())
                outbox.io.run_blocking(outbox.claim("me", 10))
                assert heard(schema) == expected

    def test_in_a_transaction_it_is_said_with_the_commit(self, postgres: Postgres, heard: Callable[[str], int]) -> None:
        schema = postgres.schema()
        heard(schema)
        with keeping(postgres.outbox(schema)) as session, psycopg.connect(postgres.url) as connection:
            session.outbox_statistics()
            session.send(message(), within=connection)
            assert heard(schema) == 0
            connection.commit()
            assert heard(schema) == 1

    def test_it_can_be_switched_off(self, world: World, postgres: Postgres, heard: Callable[[str], int]) -> None:
        schema, transport = postgres.schema(), MemoryTransport()
        url = postgres.outbox(schema, notify="no")
        heard(schema)
        with world.session(transport=transport, mode="async", outbox=url) as session, keeping(url) as other:
            session.open()
            other.send(message())
            assert eventually(world, lambda: len(transport.messages) == 1)
            assert heard(schema) == 0 and listeners(postgres, schema) == []
        with pytest.raises(ConfigError, match="notify must be yes or no"):
            make_outbox(postgres.outbox(notify="perhaps"))


def test_an_outbox_that_tells_nothing_waits_as_long_as_it_is_told(world: World) -> None:
    store = Store(world, MemoryOutbox())
    assert not store.outbox.wakes and store.wait(0.01) is False
