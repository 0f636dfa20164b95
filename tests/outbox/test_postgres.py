"""PostgreSQL: what is shared by many machines, what happens when it is away, and what an administrator finds."""

from __future__ import annotations

import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email import message_from_bytes
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool

import wlsmtp
from tests.outbox.stores import LARGE, RAW, Store, ids, octets
from tests.postgres import PgBouncer, Postgres, PostgresStore, missing, pgbouncer
from tests.real import poll
from tests.worlds import World
from wlsmtp import ConfigError, MemoryTransport, Message, MessageError, OutboxError, PostgresOutbox, SMTPSession, Status
from wlsmtp.outbox.base import Entry
from wlsmtp.outbox.choice import make_outbox
from wlsmtp.outbox.postgres import statements
from wlsmtp.outbox.postgres.schema import COMPATIBLE, MIGRATIONS, script
from wlsmtp.testing import SMTPServer

Connect = Callable[..., psycopg.Connection[Any]]


@pytest.fixture
def store(world: World, postgres: Postgres) -> Iterator[Store]:
    store = Store(world, PostgresStore(postgres), lambda outbox, now: outbox.set_clock(now))  # type: ignore[attr-defined]
    yield store
    store.close()


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hello", **fields})


def keeping(outbox: str | PostgresOutbox, **options: Any) -> SMTPSession:
    """A session that only keeps messages."""
    return SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False, **options)


def subjects(transport: MemoryTransport) -> list[str]:
    return sorted(message_from_bytes(mail.content)["Subject"] for mail in transport.messages)


class TestSetting:
    def test_a_url_has_our_options_and_those_of_libpq(self, postgres: Postgres) -> None:
        outbox = make_outbox(postgres.outbox("of_a_url", lease=5, keep=60, application_name="shop"))
        assert isinstance(outbox, PostgresOutbox)
        assert (outbox.schema, outbox.lease, outbox.keep) == ("of_a_url", 5, 60)
        with keeping(outbox) as session:
            session.send(message())
            names = {name for (name,) in postgres.query("SELECT application_name FROM pg_stat_activity")}
        assert "shop" in names
        assert make_outbox("postgres://h/db").schema == "wlsmtp"  # type: ignore[attr-defined]

    def test_a_unix_socket_and_a_connection_string_will_do(self, postgres: Postgres) -> None:
        schema = postgres.schema()
        for conninfo in (postgres.socket_url, f"host=127.0.0.1 port={postgres.port} user=tester dbname=postgres"):
            with keeping(PostgresOutbox(conninfo, schema=schema)) as session:
                session.send(message())
        assert postgres.query(f"SELECT count(*) FROM {schema}.mails") == [(2,)]

    def test_a_pool_of_the_program_stays_as_it_is(self, postgres: Postgres, world: World) -> None:
        with ConnectionPool(postgres.url, min_size=1, max_size=2, open=True) as pool:
            outbox, transport = PostgresOutbox(pool=pool, schema=postgres.schema()), MemoryTransport()
            with world.session("localhost", mode="async", outbox=outbox, transport=transport) as session:
                assert session.wait(session.send(message(text="x" * 300_000)), 30)
            with pool.connection() as connection:
                assert not connection.autocommit
        assert len(transport.messages) == 1

    @pytest.mark.parametrize(
        "options",
        [
            {"schema": ""}, {"schema": "x" * 64}, {"lease": 0}, {"keep": -1},
            {"conninfo": "nonsense=1 password=s3cret"},
            {"conninfo": "postgresql://h/db", "pool": "a pool"}, {"pool": AsyncConnectionPool("", open=False)},
        ],
        ids=str,
    )  # fmt: skip
    def test_what_cannot_work_is_refused_without_its_secrets(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="outbox") as caught:
            PostgresOutbox(**options)
        assert "s3cret" not in repr(caught.value) + str(caught.value.__cause__) + str(caught.value.__context__)

    def test_its_repr_has_no_secret_and_a_copy_has_its_settings(self) -> None:
        outbox = PostgresOutbox("postgresql://ann:s3cret@db.example/shop", schema="mail", lease=5)
        assert repr(outbox) == "PostgresOutbox('postgresql://db.example/shop', schema='mail')"
        copy = pickle.loads(pickle.dumps(outbox))
        assert (copy._conninfo, copy.schema, copy.lease) == (outbox._conninfo, "mail", 5)

    def test_a_name_is_never_syntax(self, postgres: Postgres) -> None:
        schema = 'a"b; DROP TABLE x; -- %s'
        with keeping(PostgresOutbox(postgres.url, schema=schema)) as session:
            receipt = session.send(message(), idempotency_key="'; --")
            assert session.status(receipt.id) is Status.PENDING

    def test_a_key_that_it_cannot_keep_is_refused(self, postgres: Postgres) -> None:
        with keeping(postgres.outbox()) as session:
            for key in ("a\0b", "\ud800"):
                with pytest.raises(MessageError, match="idempotency_key"):
                    session.send(message(), idempotency_key=key)


class TestSchema:
    def test_programs_that_start_together_make_it_once(self, postgres: Postgres) -> None:
        url = postgres.outbox()

        def put(_: int) -> None:
            with keeping(url) as session:
                session.send(message())

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(put, range(6)))
        with keeping(url) as session:
            assert session.outbox_statistics().pending == 6

    def test_a_role_that_may_not_create_is_told_what_to_do(self, postgres: Postgres) -> None:
        role, schema = postgres.schema(), postgres.schema()
        postgres.query(f"CREATE ROLE {role} LOGIN")
        url = postgres.outbox(schema).replace("tester@", f"{role}@")
        with pytest.raises(OutboxError, match=r"wlsmtp outbox migrate") as caught:
            keeping(url).send(message())
        assert not caught.value.temporary
        with postgres.connect() as administrator:
            administrator.execute(script(schema).encode())
            administrator.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}".encode())
            grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
            administrator.execute(grant.encode())
        transport = MemoryTransport()
        with SMTPSession(transport=transport, mode="async", outbox=url) as session:
            assert session.send(message()).wait(30)

    def test_tables_of_an_older_version_are_migrated_with_their_mail(
        self, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = postgres.outbox()
        with monkeypatch.context() as patch, keeping(url) as session:
            patch.setattr("wlsmtp.outbox.postgres.schema.MIGRATIONS", MIGRATIONS[:2])
            receipts = session.send_all([message() for _ in range(3)])
        with SMTPSession(transport=MemoryTransport(), mode="async", outbox=url) as session:
            assert [receipt.id for receipt in session.pending()] == [receipt.id for receipt in receipts]
            session.open()
            assert session.flush(30) == 0

    def test_a_newer_version_is_left_alone(self, postgres: Postgres) -> None:
        schema = postgres.schema()
        with keeping(postgres.outbox(schema)) as session:
            session.send(message())
        postgres.query(f"UPDATE {schema}.version SET number = {len(MIGRATIONS) + 1}")
        with pytest.raises(OutboxError, match=r"newer version.*Upgrade wlsmtp here too"):
            keeping(postgres.outbox(schema)).send(message())

    def test_machines_are_upgraded_one_after_the_other(
        self, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A program of the version before goes on, and another one may start, after a compatible migration."""
        schema = postgres.schema()
        url = postgres.outbox(schema)
        version = f"SELECT number, applied FROM {schema}.version"
        with monkeypatch.context() as patch, keeping(url) as old:
            patch.setattr("wlsmtp.outbox.postgres.schema.MIGRATIONS", MIGRATIONS[:3])
            old.send(message())
            patch.undo()
            with keeping(url) as new:
                new.send(message())
            assert postgres.query(version) == [(3, 4)] and 4 in COMPATIBLE
            patch.setattr("wlsmtp.outbox.postgres.schema.MIGRATIONS", MIGRATIONS[:3])
            old.send(message())
            with keeping(url) as late:
                late.send(message())
            assert postgres.query(version) == [(3, 4)]
        transport = MemoryTransport()
        with SMTPSession(transport=transport, mode="async", outbox=url) as session:
            session.open()
            assert session.flush(30) == 0
        assert len(transport.messages) == 4

    def test_a_publication_of_all_tables_is_in_the_way_of_nothing(self, postgres: Postgres) -> None:
        """For logical replication PostgreSQL wants to know which row an update means."""
        name, transport = postgres.schema(), MemoryTransport()
        postgres.query(f"CREATE DATABASE {name}")
        url = postgres.url.removesuffix("postgres") + name
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE PUBLICATION everything FOR ALL TABLES")
        with SMTPSession(transport=transport, mode="async", outbox=url, pace={"*": "50/second"}) as session:
            assert session.send(message(text="x" * 300_000)).wait(30)
            assert session.outbox_statistics().sent == 1


class TestShared:
    def test_nobody_is_given_what_another_one_has(self, postgres: Postgres) -> None:
        schema = postgres.schema()
        with keeping(postgres.outbox(schema)) as session:
            put = {receipt.id for receipt in session.send_many([message() for _ in range(600)])}
        found: list[str] = []

        def work(number: int) -> None:
            outbox = PostgresOutbox(postgres.url, schema=schema)
            io = outbox.io = SMTPSession._io()
            io.run_blocking(outbox.open())
            while claimed := io.run_blocking(outbox.claim(f"worker {number}", 7)):
                found.extend(ids(claimed))
            io.run_blocking(outbox.close())

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, range(4)))
        assert len(found) == len(put) and set(found) == put

    def test_a_client_with_a_wrong_clock_neither_steals_nor_waits(self, world: World, postgres: Postgres) -> None:
        schema = postgres.schema()
        with keeping(postgres.outbox(schema)) as session:
            session.send_all([message() for _ in range(3)])
        stores = []
        for skew in (-120.0, 120.0):
            outbox = PostgresOutbox(postgres.url, schema=schema)
            store = Store(world, outbox)
            store.now += skew  # both are years behind
            stores.append(store)
        early, late = stores
        assert len(early.claim("early", 2)) == 2
        assert late.reclaim("late") == [] and len(late.claim("late", 10)) == 1
        for store in stores:
            store.close()

    def test_a_key_of_a_transaction_that_has_not_ended_holds_up_no_other_mail(self, postgres: Postgres) -> None:
        schema = postgres.schema()
        with keeping(postgres.outbox(schema)) as session, postgres.connect() as other:
            session.send(message())
            lock = make_outbox(postgres.outbox(schema))
            with other.transaction():
                other.execute("SELECT pg_advisory_xact_lock(%s, hashtext('k'))", (_lock_of(lock),))
                with pytest.raises(OutboxError, match="idempotency key") as caught:
                    session.send(message(), idempotency_key="k", timeout=0.7)
                assert caught.value.temporary
                session.send(message(), idempotency_key="other")
                waiting = threading.Thread(target=lambda: session.send(message(), idempotency_key="k", timeout=30))
                waiting.start()
            waiting.join(30)
            assert session.outbox_statistics().pending == 3


class Looking(PostgresOutbox):
    """Notes how many mails each claim asks for, and how many were sent by then."""

    def __init__(self, url: str, schema: str, transport: MemoryTransport) -> None:
        super().__init__(url, schema=schema)
        self.transport, self.looks = transport, list[tuple[int, int]]()

    async def claim(self, owner: str, limit: int) -> list[Entry]:
        self.looks.append((limit, len(self.transport.messages)))
        return await super().claim(owner, limit)


def test_a_worker_takes_no_more_than_it_has_sent_lately(world: World, postgres: Postgres) -> None:
    transport = MemoryTransport()
    outbox = Looking(postgres.url, postgres.schema(), transport)
    with world.session("localhost", transport=transport, mode="async", outbox=outbox) as session:
        list(session.send_many([message() for _ in range(150)]))
        assert session.flush(50) == 0
    assert outbox.looks[0] == (10, 0)
    assert all(1 <= limit <= min(100, max(10, sent)) for limit, sent in outbox.looks), outbox.looks


def _lock_of(outbox: Any) -> int:
    from wlsmtp.outbox.postgres.schema import lock_of

    return lock_of(outbox.schema)


def test_mail_is_settled_by_its_id_whatever_the_statistics_say(store: Store, postgres: Postgres) -> None:
    """While anybody keeps a snapshot, a search by owner finds all mail that a worker ever had."""
    schema = store.outbox.schema  # type: ignore[attr-defined]
    for _ in range(20):
        store.stored()
    columns = "status, priority, due, created, sender, options, waiting, size, traits, attempts, interruptions, receipt"
    postgres.query(
        f"INSERT INTO {schema}.mails (id, {columns}) SELECT to_hex(number), {columns} "
        f"FROM (SELECT * FROM {schema}.mails LIMIT 1) AS one, generate_series(1, 20000) AS number"
    )
    store.claim("me", 100)
    postgres.query(f"ANALYZE {schema}.mails")
    settle = statements.SETTLE.format(schema=schema)
    with postgres.connect() as connection:
        plan = "\n".join(
            line for (line,) in connection.execute(f"EXPLAIN {settle}", {"rows": "{}", "ids": ["1"], "owner": "me"})
        )
    assert "mails_pkey" in plan and "mails_lent" not in plan


class TestContents:
    def test_they_are_gone_once_the_mail_was_sent(self, store: Store, postgres: Postgres) -> None:
        for raw in (RAW, LARGE):
            store.stored(raw=raw)
        contents = f"SELECT count(*), max(octet_length(octets)) FROM {store.outbox.schema}.contents"  # type: ignore[attr-defined]
        [(count, longest)] = postgres.query(contents)
        assert count == 1 + -(-len(LARGE) // statements.SMALL) and longest <= statements.SMALL
        claimed = store.claim("me", 2)
        store.settle("me", [entry.ends(store.now, entry.receipt.changed(status=Status.SENT)) for entry in claimed])
        assert postgres.query(contents) == [(0, None)]

    def test_one_that_is_not_what_was_put_is_not_sent(self, store: Store, postgres: Postgres) -> None:
        for raw in (RAW, LARGE):
            store.stored(raw=raw)
        contents = f"{store.outbox.schema}.contents"  # type: ignore[attr-defined]
        postgres.query(
            f"DELETE FROM {contents} AS c WHERE part = (SELECT max(part) FROM {contents} WHERE mail = c.mail)"
        )
        for claimed in store.claim("me", 2):
            with pytest.raises(MessageError, match="not what was put"):
                octets(claimed)

    def test_a_list_that_cannot_be_read_keeps_nothing(self, world: World, postgres: Postgres, tmp_path: Any) -> None:
        file = tmp_path / "report.pdf"
        file.write_bytes(b"x" * 400_000)
        whole, broken = message(), message(attachments=[file])
        with world.session("localhost", mode="async", outbox=postgres.outbox(), outbox_worker=False) as session:
            file.unlink()
            receipts = list(session.send_many([whole, broken]))
            assert [receipt.status for receipt in receipts] == [Status.PENDING, Status.ERROR]
            assert session.outbox_statistics().pending == 1


class TestUnreadable:
    @pytest.mark.parametrize("column", ["options", "receipt", "waiting"])
    def test_one_is_set_aside_and_the_others_are_sent(
        self, world: World, postgres: Postgres, column: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        schema, transport = postgres.schema(), MemoryTransport()
        with keeping(postgres.outbox(schema)) as session:
            [_, broken, _] = session.send_all([message(subject=str(number)) for number in range(3)])
        [(good,)] = postgres.query(f"SELECT {column} FROM {schema}.mails WHERE id = %s", broken.id)
        postgres.query(f"UPDATE {schema}.mails SET {column} = '{{' WHERE id = %s", broken.id)
        with world.session("localhost", mode="async", outbox=postgres.outbox(schema), transport=transport) as session:
            session.open()
            assert session.flush() == 0
            counts = session.outbox_statistics()
            assert (counts.sent, counts.unreadable, counts.pending, counts.in_flight) == (2, 1, 0, 0)
            with pytest.raises(OutboxError, match="cannot be read"):
                session.receipt(broken.id)
        assert broken.id in caplog.text
        postgres.query(f"UPDATE {schema}.mails SET {column} = %s WHERE id = %s", good, broken.id)
        with world.session("localhost", mode="async", outbox=postgres.outbox(schema), transport=transport) as session:
            session.open()
            assert poll(lambda: session.flush(0.1) == 0 and len(transport.messages) == 3, 30)
        assert subjects(transport) == ["0", "1", "2"]

    def test_on_its_way_when_its_worker_died_is_set_aside_too(self, store: Store, postgres: Postgres) -> None:
        stored = [store.stored(), store.stored()]
        store.claim("dead", 2)
        mails, first = f"{store.outbox.schema}.mails", stored[0].receipt.id  # type: ignore[attr-defined]
        [(good,)] = postgres.query(f"SELECT receipt FROM {mails} WHERE id = %s", first)
        postgres.query(f"UPDATE {mails} SET receipt = '{{' WHERE id = %s", first)
        store.agenda()
        store.pass_by(61)
        assert ids(store.reclaim("me")) == ids(stored[1:])
        counts = store.statistics()
        assert (counts.unreadable, counts.in_flight, counts.pending) == (1, 0, 1)
        postgres.query(f"UPDATE {mails} SET receipt = %s WHERE id = %s", good, first)
        # The worker that died may have sent it: that is said as soon as the record can be read.
        [late] = store.reclaim("me")
        assert late.receipt.id == first and late.receipt.interruptions == 1
        assert store.statistics().unreadable == 0 and store.reclaim("me") == []
        assert {entry.receipt.interruptions for entry in store.claim("me", 2)} == {1}


class TestAway:
    """The database goes away, and comes back."""

    @pytest.fixture
    def server(self) -> Iterator[Postgres]:
        server = Postgres()
        server.start()
        yield server
        server.remove()

    def test_send_says_so_and_nothing_is_lost(
        self, world: World, server: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wlsmtp.outbox.worker.WRITE_RETRY_PAUSE", 0.05)
        monkeypatch.setattr("wlsmtp.outbox.worker.pause_between", lambda *_: 0.05)
        transport, url = MemoryTransport(), server.outbox()
        with world.session("localhost", mode="async", outbox=url, transport=transport) as session:
            session.open()
            assert session.wait(session.send(message(subject="before")), 30)
            later = session.send(message(subject="later"), send_at=0.5)
            server.stop(signal.SIGQUIT)
            with pytest.raises(OutboxError, match="cannot be used") as caught:
                session.send(message(subject="meanwhile"))
            assert caught.value.temporary and "127.0.0.1" in str(caught.value)
            server.start()
            session.send(message(subject="after"))
            assert session.wait(session.receipt(later.id), 30)
            assert session.flush(30) == 0
        assert subjects(transport) == ["after", "before", "later"]

    def test_a_kept_connection_that_has_died_is_replaced_in_silence(self, world: World, postgres: Postgres) -> None:
        url = postgres.outbox(application_name="dies")
        with world.session("localhost", mode="async", outbox=url, outbox_worker=False) as session:
            first = session.send(message())
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dies'"
            for _ in range(3):
                assert poll(lambda: not postgres.query(ended), 30)
                session.send(message())
                assert session.status(first.id) is Status.PENDING
            assert session.outbox_statistics().pending == 4

    def test_an_answer_that_is_lost_keeps_the_mail_once(
        self, world: World, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from wlsmtp.outbox.postgres.database import Database

        put = Database.put
        lost: list[bool] = []

        def put_and_lose(database: Database, entries: Any) -> Any:
            agreed = put(database, entries)
            if not lost:
                lost.append(True)
                database.connection.close()
                raise psycopg.OperationalError("the connection was lost")
            return agreed

        monkeypatch.setattr(Database, "put", put_and_lose)
        with world.session("localhost", mode="async", outbox=postgres.outbox(), outbox_worker=False) as session:
            receipt = session.send(message())
            assert lost and [one.id for one in session.receipts()] == [receipt.id]

    def test_a_large_content_that_cannot_be_read_now_is_sent_later(
        self, world: World, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from wlsmtp.outbox.postgres.source import Source

        connect = Source.connect
        failures: list[int] = []

        def fails_once(source: Source) -> Any:
            if len(failures) == 1:
                failures.append(2)
                raise psycopg.OperationalError("the server closed the connection unexpectedly")
            return connect(source)

        monkeypatch.setattr(Source, "connect", fails_once)
        retry = wlsmtp.RetryPolicy(attempts=5, backoff=0, jitter=0)
        with SMTPServer() as server:
            url = postgres.outbox()
            with world.session(server.host, server.port, mode="async", outbox=url, retry=retry) as session:
                session.outbox_statistics()
                receipt = session.send(message(text="x\n" * 300_000), send_at=0.2)
                failures.append(1)
                final = session.wait(receipt, 30)
            assert final.status is Status.SENT and failures == [1, 2], final
            assert len(server.messages) == 1


@pytest.fixture(scope="module")
def bouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    if pgbouncer() is None:
        missing("there is no pgbouncer (Debian: pgbouncer)")
    bouncer = PgBouncer(postgres)
    yield bouncer
    bouncer.stop()


class TestPgBouncer:
    """In transaction mode each statement may go over another connection of the server."""

    def test_mail_goes_through(self, world: World, postgres: Postgres, bouncer: PgBouncer) -> None:
        schema, transport = postgres.schema(), MemoryTransport()
        outbox = PostgresOutbox(bouncer.url, schema=schema)
        with world.session("localhost", mode="async", outbox=outbox, transport=transport) as session:
            for number in range(20):
                session.send(message(subject=str(number)), idempotency_key=str(number))
            receipts = list(session.send_many([message(subject="x", text="y" * 300_000) for _ in range(3)]))
            assert session.flush(30) == 0
            assert all(session.status(receipt.id) is Status.SENT for receipt in receipts)
        assert len(transport.messages) == 23


def test_without_psycopg_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "wlsmtp.outbox.postgres.source", raising=False)
    with pytest.raises(ConfigError, match=r"wlsmtp\[postgres\]"):
        PostgresOutbox("postgresql://h/db")


def test_the_connection_of_a_parent_is_left_alone(postgres: Postgres) -> None:
    import os

    with closing(keeping(postgres.outbox())) as session:
        session.send(message())
        child = os.fork()
        if child == 0:
            status = 1
            try:
                session.send(message())
                session.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        session.send(message())
        assert session.outbox_statistics().pending == 3
