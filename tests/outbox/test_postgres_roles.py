"""PostgreSQL as an administrator may have set it up: the settings of roles, their rights and limits, and other
databases than those in UTF-8 that take writes."""

from __future__ import annotations

import gettext
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from tests.outbox.stores import Store
from tests.postgres import Postgres
from tests.real import poll
from tests.worlds import World
from wlsmtp import MemoryOutbox, MemoryTransport, Message, OutboxError, PostgresOutbox, SMTPSession, Status
from wlsmtp.outbox.postgres import schema as migrations
from wlsmtp.outbox.postgres.database import Put, Text, putting
from wlsmtp.outbox.postgres.failures import Unreachable
from wlsmtp.outbox.postgres.schema import LOCK_CLASS, lock_of


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hello", **fields})


def keeping(outbox: str | PostgresOutbox) -> SMTPSession:
    """A session that only keeps messages."""
    return SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False)


@pytest.fixture
def schema(postgres: Postgres) -> str:
    """One that has its tables."""
    schema = postgres.schema()
    with keeping(postgres.outbox(schema)) as session:
        session.outbox_statistics()
    return schema


class Role:
    """A role with settings, and the outbox by it."""

    def __init__(self, postgres: Postgres, schema: str, *settings: str, is_superuser: bool = True) -> None:
        self.name, self._postgres = postgres.schema(), postgres
        self.url = postgres.outbox(schema).replace("tester@", f"{self.name}@")
        self.database = postgres.url.replace("tester@", f"{self.name}@")
        postgres.query(f"CREATE ROLE {self.name} LOGIN {'SUPERUSER' if is_superuser else ''}")
        for setting in settings:
            self.alter(f"SET {setting}")
        if not is_superuser:
            postgres.query(f"GRANT USAGE ON SCHEMA {schema} TO {self.name}")
            postgres.query(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {self.name}")

    def alter(self, what: str) -> None:
        self._postgres.query(f"ALTER ROLE {self.name} {what}")


@contextmanager
def locked(postgres: Postgres, statement: str) -> Iterator[None]:
    """Another session holds a lock."""
    with postgres.connect() as connection, connection.transaction():
        connection.execute(statement.encode())
        yield


def test_a_statement_timeout_is_a_temporary_error_that_names_it(
    postgres: Postgres, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wlsmtp.outbox.postgres.database import Database

    put, tries = Database.put, list[int]()

    def counted(database: Database, what: Any) -> Any:
        tries.append(1)
        return put(database, what)

    monkeypatch.setattr(Database, "put", counted)
    role = Role(postgres, schema, "statement_timeout = 200")
    with keeping(role.url) as session, locked(postgres, f"LOCK {schema}.mails IN EXCLUSIVE MODE"):
        with pytest.raises(OutboxError, match="statement_timeout") as caught:
            session.send(message())
        assert caught.value.temporary
        assert len(tries) == 1, "it would take as long again"


def test_a_lock_timeout_is_a_temporary_error_that_names_it(postgres: Postgres, schema: str) -> None:
    role = Role(postgres, schema, "lock_timeout = 50")
    with keeping(role.url) as session:
        with locked(postgres, f"LOCK {schema}.mails"), pytest.raises(OutboxError, match="lock_timeout") as caught:
            session.send(message())
        assert caught.value.temporary
        session.send(message())
        other = postgres.schema()
        migrating = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {lock_of(other)})"
        with locked(postgres, migrating), pytest.raises(OutboxError, match="lock_timeout") as caught:
            keeping(role.url.replace(schema, other)).send(message())
        assert caught.value.temporary


def test_tables_are_made_and_migrated_whatever_time_the_role_gives_a_statement(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema, before = postgres.schema(), migrations.MIGRATIONS
    slow = (*before[:2], "SELECT pg_sleep(0.15); LOCK {schema}.mails; " + before[2])
    role = Role(postgres, schema, "statement_timeout = 100", "lock_timeout = 10")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", before[:2])
        postgres.query(migrations.script(schema))
    monkeypatch.setattr(migrations, "MIGRATIONS", slow)
    with ThreadPoolExecutor(1) as thread:
        with locked(postgres, f"LOCK {schema}.mails IN ACCESS SHARE MODE"):
            sending = thread.submit(lambda: keeping(role.url).send(message()).status)
            waiting = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{schema}.mails'::regclass"
            assert poll(lambda: postgres.query(waiting) == [(1,)], 30)
            time.sleep(0.02)  # more than the lock_timeout of the role
        assert sending.result() is Status.PENDING
    assert postgres.query(f"SELECT number FROM {schema}.version") == [(len(slow),)]


class TestPasswords:
    """A server that wants the password of a role."""

    @pytest.fixture
    def role(self, postgres: Postgres, schema: str) -> Iterator[Role]:
        role = Role(postgres, schema, is_superuser=False)
        role.alter("PASSWORD 'right'")
        path = Path(postgres.query("SHOW hba_file")[0][0])
        before = path.read_text()
        path.write_text(f"host all {role.name} 127.0.0.1/32 scram-sha-256\n{before}")
        postgres.query("SELECT pg_reload_conf()")

        def asks() -> bool:
            try:
                psycopg.connect(role.database).close()
            except psycopg.OperationalError:
                return True
            return False

        assert poll(asks, 10)
        yield role
        path.write_text(before)
        postgres.query("SELECT pg_reload_conf()")

    @pytest.mark.parametrize("password", ["", ":wrong"], ids=["none", "wrong"])
    def test_a_wrong_password_is_a_permanent_error(self, world: World, role: Role, password: str) -> None:
        url = role.url.replace("@", f"{password}@")
        with world.session("localhost", mode="async", outbox=url, outbox_worker=False) as session:
            with pytest.raises(OutboxError, match=r"password.*PGPASSWORD") as caught:
                session.send(message())
            assert not caught.value.temporary and "wrong" not in str(caught.value)
        right = role.url.replace("@", ":right@")
        with world.session("localhost", mode="async", outbox=right, outbox_worker=False) as session:
            session.send(message())

    def test_it_is_known_in_each_language_of_the_server(self) -> None:
        catalogs = sorted(Path("/usr/share/locale").glob("*/LC_MESSAGES/postgres-[0-9]*.mo"))
        if not catalogs:
            pytest.skip("no translations of PostgreSQL are installed")
        for path in catalogs:
            with path.open("rb") as file:
                texts = gettext.GNUTranslations(file)
            for is_it, words in ((True, 'password authentication failed for user "%s"'), (False, "out of memory")):
                said = Unreachable.of(psycopg.OperationalError(f"connection failed: FATAL: {texts.gettext(words)}"))
                assert said.wants_password is is_it, path


def test_a_content_that_comes_too_slowly_is_a_temporary_error(
    postgres: Postgres, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wlsmtp.outbox.postgres import database

    parts, role = database._parts, Role(postgres, schema, "idle_in_transaction_session_timeout = 20")
    with keeping(role.url) as session:

        def slow(entry: Any) -> Iterator[bytes]:
            for part in parts(entry):
                time.sleep(0.1)
                yield part

        with monkeypatch.context() as patch:
            patch.setattr(database, "_parts", slow)
            with pytest.raises(OutboxError, match="idle_in_transaction_session_timeout") as caught:
                session.send(message(text="x" * 600_000))
        assert caught.value.temporary
        assert session.outbox_statistics().pending == 0


def test_sessions_that_may_not_be_idle_are_replaced(postgres: Postgres, schema: str) -> None:
    role, transport = Role(postgres, schema, "idle_session_timeout = 200"), MemoryTransport()
    ended = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{role.name}' AND query NOT LIKE 'LISTEN%'"
    with SMTPSession(transport=transport, mode="async", outbox=role.url) as session:
        for _ in range(3):
            assert session.send(message()).wait(30)
            while postgres.query(ended) != [(0,)]:
                pass


@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
def test_an_isolation_of_the_role_fails_nobody(
    postgres: Postgres, isolation: str, caplog: pytest.LogCaptureFixture
) -> None:
    schema = postgres.schema()
    role = Role(postgres, schema, f"default_transaction_isolation = '{isolation}'")

    def put(_: int) -> list[str]:
        with keeping(role.url) as session:
            return [session.send(message(), idempotency_key=str(key)).id for key in range(5)]

    with ThreadPoolExecutor(4) as threads:
        assert len({tuple(ids) for ids in threads.map(put, range(4))}) == 1
    transports = [MemoryTransport() for _ in range(3)]
    workers = [SMTPSession(transport=transport, mode="async", outbox=role.url) for transport in transports]
    with keeping(role.url) as session:
        session.send_all([message() for _ in range(295)])
        for worker in workers:
            worker.open()
        assert [worker.flush(30) for worker in workers] == [0, 0, 0]
    for worker in workers:
        worker.close()
    assert sum(len(transport.messages) for transport in transports) == 300
    assert "cannot be used" not in caplog.text and "could not be stored" not in caplog.text


def test_a_pool_has_the_isolation_that_it_had(postgres: Postgres, schema: str) -> None:
    serializable = psycopg.IsolationLevel.SERIALIZABLE
    with ConnectionPool(postgres.url, min_size=1, max_size=1, open=True) as pool:
        with pool.connection() as connection:
            connection.isolation_level = serializable
        with keeping(PostgresOutbox(pool=pool, schema=schema)) as session:
            session.send(message())
        with pool.connection() as connection:
            assert connection.isolation_level is serializable


@pytest.mark.parametrize("state", ["40001", "40P01"], ids=["serialization failure", "deadlock"])
def test_what_is_rolled_back_for_another_transaction_is_done_again(
    world: World, postgres: Postgres, schema: str, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each change of a mail fails twice: a put, a claim and a settle."""
    postgres.query(
        f"CREATE SEQUENCE {schema}.tries; CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF nextval('{schema}.tries') % 3 <> 0 THEN RAISE 'in the way' USING ERRCODE = '{state}'; END IF; "
        f"RETURN NEW; END $$; CREATE TRIGGER fails BEFORE INSERT OR UPDATE ON {schema}.mails "
        f"FOR EACH ROW EXECUTE FUNCTION {schema}.fail()"
    )
    transport, outbox = MemoryTransport(), postgres.outbox(schema)
    with world.session("localhost", transport=transport, mode="async", outbox=outbox) as session:
        assert session.wait(session.send(message()), 30)
    assert len(transport.messages) == 1 and "in the way" not in caplog.text
    assert postgres.query(f"SELECT last_value FROM {schema}.tries") == [(9,)]


def test_what_is_always_rolled_back_is_a_temporary_error(postgres: Postgres, schema: str) -> None:
    postgres.query(
        f"CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE 'in the way' USING ERRCODE = '40P01'; END $$; "
        f"CREATE TRIGGER fails BEFORE INSERT ON {schema}.mails EXECUTE FUNCTION {schema}.fail()"
    )
    with keeping(postgres.outbox(schema)) as session, pytest.raises(OutboxError, match="in the way") as caught:
        session.send(message())
    assert caught.value.temporary


def test_too_many_connections_are_a_temporary_error_that_says_what_to_do(postgres: Postgres, schema: str) -> None:
    role = Role(postgres, schema, is_superuser=False)
    role.alter("CONNECTION LIMIT 1")
    with keeping(role.url) as session:
        with pytest.raises(OutboxError, match=r"too many connections.*pgbouncer") as caught:
            session.send(message())
        assert caught.value.temporary
        role.alter("CONNECTION LIMIT 2")
        session.send(message())


def test_a_pool_that_has_no_connection_says_so(
    postgres: Postgres, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wlsmtp.outbox.postgres.source.POOL_TIMEOUT", 0.1)
    pool = ConnectionPool(postgres.url, min_size=1, max_size=1, open=True)
    session = keeping(PostgresOutbox(pool=pool, schema=schema))
    with pool.connection(), pytest.raises(OutboxError, match="gave no connection") as caught:
        session.send(message())
    assert caught.value.temporary
    session.send(message())
    pool.close()
    with pytest.raises(OutboxError, match=r"is closed\. Close it after the session") as caught:
        session.send(message())
    assert not caught.value.temporary


@pytest.mark.parametrize("table", ["mails", "contents", "workers", "lanes", "version"])
def test_rows_that_may_be_hidden_are_an_error_and_not_lost_mail(postgres: Postgres, schema: str, table: str) -> None:
    role = Role(postgres, schema, is_superuser=False)
    postgres.query(f"ALTER TABLE {schema}.{table} ENABLE ROW LEVEL SECURITY")
    with pytest.raises(OutboxError, match=f"may hide rows of the table '{table}'.*BYPASSRLS") as caught:
        keeping(role.url).send(message())
    assert not caught.value.temporary
    role.alter("BYPASSRLS")
    with keeping(role.url) as session:
        session.send(message())


def test_a_key_whose_mail_is_purged_in_between_is_a_temporary_error() -> None:
    store = Store(World("blocking"), MemoryOutbox())
    steps = putting(Put([replace(store.entry(), key="k")]), Text("mail"))
    next(steps)
    steps.send([(store.now, 0, [], None)])  # it was there
    with pytest.raises(OutboxError, match="idempotency_key 'k' is in the outbox, and cannot be read") as caught:
        steps.send([])
    assert caught.value.temporary


@pytest.mark.parametrize("missing", ["USAGE ON SCHEMA {}", "SELECT ON {}.version", "INSERT ON {}.mails"])
def test_a_right_that_is_missing_is_named(postgres: Postgres, schema: str, missing: str) -> None:
    role = Role(postgres, schema, is_superuser=False)
    postgres.query(f"REVOKE {missing.format(schema)} FROM {role.name}")
    with pytest.raises(OutboxError, match=r"permission denied.*GRANT") as caught:
        keeping(role.url).send(message())
    assert not caught.value.temporary


def test_a_server_that_takes_no_writes_for_a_while_is_a_temporary_error(postgres: Postgres, schema: str) -> None:
    """As while a standby is promoted: a connection to the one that became read-only is not used again."""
    role = Role(postgres, schema, "default_transaction_read_only = on")
    with keeping(role.url) as session:
        with pytest.raises(OutboxError, match=r"read-only.*default_transaction_read_only") as caught:
            session.send(message())
        assert caught.value.temporary
        role.alter("RESET default_transaction_read_only")
        session.send(message())
        assert session.outbox_statistics().pending == 1


def test_a_server_that_takes_no_writes_and_has_no_tables_says_where_to_make_them(postgres: Postgres) -> None:
    role = Role(postgres, postgres.schema(), "default_transaction_read_only = on")
    with pytest.raises(OutboxError, match=r"takes no writes.*On the primary.*wlsmtp outbox migrate") as caught:
        keeping(role.url).send(message())
    assert caught.value.temporary


KEY, SENDER = "\u6f22", "\u00e4@example.com"


@pytest.fixture(scope="module", params=["SQL_ASCII", "LATIN1"])
def database(request: pytest.FixtureRequest, postgres: Postgres) -> tuple[str, str]:
    """The URL of a database in another encoding than UTF-8, and the encoding."""
    name = postgres.schema()
    postgres.query(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}' LOCALE 'C'")
    return postgres.url.removesuffix("postgres") + name, request.param


def test_a_database_in_another_encoding_has_what_it_can(database: tuple[str, str]) -> None:
    url, encoding = database
    with keeping(url) as session, psycopg.connect(url) as connection:
        first = session.send(message(sender=SENDER, subject=KEY), idempotency_key="\u00fc")
        again = session.send(message(), within=connection, idempotency_key="\u00fc")
        assert first.id == again.id
        if encoding == "LATIN1":
            with pytest.raises(OutboxError, match="UTF8"):
                session.send(message(), idempotency_key=KEY)
            return
        ids = [session.send(message(sender=SENDER), within=connection, idempotency_key=KEY).id for _ in range(2)]
        assert ids[0] == ids[1] and connection.info.parameter_status("client_encoding") == encoding


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_the_encoding_of_a_role_does_not_matter(postgres: Postgres, schema: str, encoding: str) -> None:
    role = Role(postgres, schema, f"client_encoding = '{encoding}'")
    with keeping(role.url) as session, psycopg.connect(role.database) as connection:
        receipt = session.send(message(sender=SENDER), idempotency_key=KEY)
        assert session.status(receipt.id) is Status.PENDING
        assert session.send(message(), within=connection, idempotency_key=KEY).id == receipt.id
        assert connection.execute("SHOW client_encoding").fetchone() in [(encoding,), (encoding.encode(),)]
