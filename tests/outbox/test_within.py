"""A message in the transaction of the application: it goes out if and only if that commits."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio

from tests.contrib import project
from tests.postgres import Postgres
from tests.worlds import World
from wlsmtp import AsyncSMTPSession, ConfigError, MemoryTransport, Message, OutboxError, SMTPSession, Status

ORDER = "INSERT INTO {table} VALUES (4711)"


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hello", **fields})


@dataclass
class Shop:
    """An application with a table of orders in the database of the outbox."""

    url: str
    outbox: str
    table: str
    count: Callable[[], int]

    @property
    def order(self) -> str:
        return ORDER.format(table=self.table)

    def session(self) -> SMTPSession:
        return SMTPSession("localhost", mode="async", outbox=self.outbox, outbox_worker=False)

    def async_session(self) -> AsyncSMTPSession:
        return AsyncSMTPSession("localhost", mode="async", outbox=self.outbox, outbox_worker=False)

    def pending(self) -> int:
        with self.session() as session:
            return session.outbox_statistics().pending

    def state(self) -> tuple[int, int]:
        return self.count(), self.pending()


@pytest.fixture
def postgres_shop(postgres: Postgres) -> Shop:
    table = postgres.schema()
    postgres.query(f"CREATE TABLE {table} (number integer)")
    shop = Shop(postgres.url, postgres.outbox(), table, lambda: postgres.query(f"SELECT count(*) FROM {table}")[0][0])
    shop.pending()
    return shop


@pytest.fixture
def sqlite_shop(tmp_path: Path) -> Shop:
    path = tmp_path / "shop.db"

    def count() -> int:
        with closing(sqlite3.connect(path)) as other:
            found: int = other.execute("SELECT count(*) FROM orders").fetchone()[0]
            return found

    shop = Shop(str(path), f"sqlite:///{path}", "orders", count)
    shop.pending()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE orders (number integer)")
    return shop


class Rollback(Exception):
    """The application changes its mind."""


@contextmanager
def psycopg_connection(shop: Shop) -> Iterator[Any]:
    with psycopg.connect(shop.url) as connection:
        connection.execute(shop.order.encode())
        yield connection


@contextmanager
def psycopg_cursor(shop: Shop) -> Iterator[Any]:
    with psycopg.connect(shop.url) as connection, connection.cursor() as cursor:
        yield cursor
        cursor.execute(shop.order.encode())


@contextmanager
def psycopg_block(shop: Shop) -> Iterator[Any]:
    with psycopg.connect(shop.url, autocommit=True) as connection, connection.transaction():
        connection.execute(shop.order.encode())
        yield connection


def engine_of(shop: Shop, driver: str) -> sqlalchemy.Engine:
    url = shop.url.replace("postgresql:", f"{driver}:") if "://" in shop.url else f"sqlite:///{shop.url}"
    return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)


@contextmanager
def sqlalchemy_connection(shop: Shop) -> Iterator[Any]:
    with engine_of(shop, "postgresql+psycopg").begin() as connection:
        yield connection
        connection.execute(sqlalchemy.text(shop.order))


@contextmanager
def sqlalchemy_connection_that_commits(shop: Shop) -> Iterator[Any]:
    with engine_of(shop, "postgresql+psycopg").connect() as connection:
        yield connection  # nothing was executed yet, so no transaction has begun
        connection.execute(sqlalchemy.text(shop.order))
        connection.commit()


@contextmanager
def sqlalchemy_session(shop: Shop) -> Iterator[Any]:
    with orm.Session(engine_of(shop, "postgresql+psycopg")) as session, session.begin():
        session.execute(sqlalchemy.text(shop.order))
        yield session


@contextmanager
def sqlalchemy_scoped_session(shop: Shop) -> Iterator[Any]:
    session = orm.scoped_session(orm.sessionmaker(engine_of(shop, "postgresql+psycopg")))
    try:
        yield session
        session.execute(sqlalchemy.text(shop.order))
        session.commit()
    finally:
        session.remove()


@contextmanager
def sqlite_connection(shop: Shop) -> Iterator[Any]:
    with closing(sqlite3.connect(shop.url)) as connection, connection:
        yield connection
        connection.execute(shop.order)


@contextmanager
def sqlite_block(shop: Shop) -> Iterator[Any]:
    with closing(sqlite3.connect(shop.url, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        try:
            connection.execute(shop.order)
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


@contextmanager
def django_in_autocommit(shop: Shop) -> Iterator[Any]:
    """A connection of Django as it is outside of ``transaction.atomic``."""
    from django.db.utils import ConnectionHandler

    project.set_up()
    if "://" in shop.url:
        info = psycopg.conninfo.conninfo_to_dict(shop.url)
        names = {"USER": "user", "HOST": "host", "PORT": "port", "NAME": "dbname"}
        settings = {"ENGINE": "django.db.backends.postgresql", **{key: info[name] for key, name in names.items()}}
    else:
        settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": shop.url}
    connection = ConnectionHandler({"default": settings})["default"]
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def django_connection(shop: Shop) -> Iterator[Any]:
    from django.db import transaction

    atomic = transaction.Atomic(None, savepoint=True, durable=False)
    with django_in_autocommit(shop) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(transaction, "get_connection", lambda using=None: connection)
        with atomic, connection.cursor() as cursor:
            cursor.execute(shop.order)
            yield connection


POSTGRES = [
    psycopg_connection, psycopg_cursor, psycopg_block, sqlalchemy_connection, sqlalchemy_connection_that_commits,
    sqlalchemy_session, sqlalchemy_scoped_session, django_connection,
]  # fmt: skip
SQLITE = [
    sqlite_connection, sqlite_block, sqlalchemy_connection, sqlalchemy_connection_that_commits, sqlalchemy_session,
    django_connection,
]  # fmt: skip


CASES = [*(("postgres", kind) for kind in POSTGRES), *(("sqlite", kind) for kind in SQLITE)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} {case[1].__name__}")
def begin(request: pytest.FixtureRequest) -> tuple[Shop, Any]:
    database, kind = request.param
    return request.getfixturevalue(f"{database}_shop"), kind


class TestBlocking:
    def test_commit_is_one_mail_and_rollback_is_none(self, begin: tuple[Shop, Any]) -> None:
        shop, kind = begin
        with shop.session() as session:
            with pytest.raises(Rollback), kind(shop) as within:
                receipt = session.send(message(), within=within)
                assert receipt.status is Status.PENDING
                raise Rollback
            assert shop.state() == (0, 0)
            with kind(shop) as within:
                receipt = session.send(message(), within=within)
            assert shop.state() == (1, 1)
            assert session.status(receipt.id) is Status.PENDING

    def test_a_list_and_large_contents_and_keys_too(self, begin: tuple[Shop, Any]) -> None:
        shop, kind = begin
        many = [message(text="x" * 300_000), message(), message(text="y")]
        with shop.session() as session:
            with pytest.raises(Rollback), kind(shop) as within:
                session.send_all(many, within=within)
                raise Rollback
            assert shop.state() == (0, 0)
            with kind(shop) as within:
                first = session.send(message(), within=within, idempotency_key="order 4711")
                again = session.send(message(), within=within, idempotency_key="order 4711")
                assert first.id == again.id
                assert all(receipt.status is Status.PENDING for receipt in session.send_all(many, within=within))
            assert shop.state() == (1, 4)

    def test_a_worker_sends_it_after_the_commit_and_not_before(self, begin: tuple[Shop, Any]) -> None:
        shop, kind = begin
        transport = MemoryTransport()
        with SMTPSession(transport=transport, mode="async", outbox=shop.outbox) as session:
            with kind(shop) as within:
                receipt = session.send(message(), within=within)
                assert session.outbox_statistics().pending == 0 and not transport.messages
            assert receipt.wait(30)
        assert len(transport.messages) == 1


class TestAsyncio:
    """Async connections, and what is blocking in an event loop."""

    @pytest.mark.parametrize("kind", ["connection", "cursor", "AsyncConnection", "AsyncSession", "blocking"])
    def test_commit_is_one_mail_and_rollback_is_none(self, postgres_shop: Shop, kind: str) -> None:
        shop = postgres_shop

        async def order(session: AsyncSMTPSession, fails: bool) -> None:
            if kind in ("connection", "cursor"):
                async with await psycopg.AsyncConnection.connect(shop.url) as connection:
                    await connection.execute(shop.order.encode())
                    await put(session, connection if kind == "connection" else connection.cursor(), fails)
            elif kind == "blocking":
                with psycopg.connect(shop.url) as blocking:
                    blocking.execute(shop.order.encode())
                    await put(session, blocking, fails)
            else:
                url = shop.url.replace("postgresql:", "postgresql+psycopg_async:")
                engine = sqlalchemy_asyncio.create_async_engine(url, poolclass=sqlalchemy.NullPool)
                if kind == "AsyncConnection":
                    async with engine.connect() as one:
                        await put(session, one, fails)
                        await one.execute(sqlalchemy.text(shop.order))
                        await one.commit()
                else:
                    async with sqlalchemy_asyncio.AsyncSession(engine) as other, other.begin():
                        await put(session, other, fails)
                        await other.execute(sqlalchemy.text(shop.order))

        async def put(session: AsyncSMTPSession, within: object, fails: bool) -> None:
            receipts = [await session.send(message(), within=within)]
            receipts += await session.send_all([message(text="x" * 300_000), message()], within=within)
            assert all(receipt.status is Status.PENDING for receipt in receipts)
            if fails:
                raise Rollback

        async def main() -> None:
            async with shop.async_session() as session:
                with pytest.raises(Rollback):
                    await order(session, True)
                assert await asyncio.to_thread(shop.state) == (0, 0)
                await order(session, False)
                assert await asyncio.to_thread(shop.state) == (1, 3)

        asyncio.run(main())


class TestRefused:
    @pytest.mark.parametrize("within", ["a connection", object(), 7])
    def test_anything_else_names_what_is_accepted(self, begin: tuple[Shop, Any], within: object) -> None:
        shop, _ = begin
        with shop.session() as session:
            with pytest.raises(ConfigError, match=r"psycopg 3 connection or cursor.*SQLAlchemy.*Django"):
                session.send(message(), within=within)
            assert session.outbox_statistics().pending == 0

    def test_a_connection_that_commits_each_statement(self, postgres_shop: Shop, sqlite_shop: Shop) -> None:
        connection = psycopg.connect(postgres_shop.url, autocommit=True)
        other = sqlite3.connect(sqlite_shop.url, isolation_level=None)
        for shop, within in ((postgres_shop, connection), (sqlite_shop, other)):
            with closing(within), shop.session() as session, pytest.raises(ConfigError, match="commits each statement"):
                session.send(message(), within=within)

    def test_a_connection_to_another_file(self, sqlite_shop: Shop, tmp_path: Path) -> None:
        other, match = sqlite3.connect(tmp_path / "other.db"), "does not lead to the file"
        with closing(other), sqlite_shop.session() as session, pytest.raises(ConfigError, match=match):
            session.send(message(), within=other)

    def test_an_async_connection_without_an_event_loop(self, postgres_shop: Shop) -> None:
        async def connection() -> Any:
            return await psycopg.AsyncConnection.connect(postgres_shop.url)

        async def close(other: Any) -> None:
            await other.close()

        with asyncio.Runner() as runner, postgres_shop.session() as session:
            other = runner.run(connection())
            with pytest.raises(ConfigError, match="AsyncSMTPSession"):
                session.send(message(), within=other)
            runner.run(close(other))

    def test_a_session_without_an_outbox_or_with_one_in_memory(self, world: World, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
            with world.session("localhost") as session, pytest.raises(ConfigError, match="within"):
                session.send(message(), within=connection)
            with world.session("localhost", mode="async") as session, pytest.raises(ConfigError, match="within"):
                session.send(message(), within=connection)


@pytest.mark.parametrize("database", ["postgres", "sqlite"])
def test_outside_of_a_transaction_of_django_it_is_kept_at_once(database: str, request: pytest.FixtureRequest) -> None:
    shop: Shop = request.getfixturevalue(f"{database}_shop")
    with django_in_autocommit(shop) as connection, shop.session() as session:
        session.send_all([message(text="x" * 300_000), message()], within=connection)
        assert shop.pending() == 2


def test_a_transaction_that_has_failed_says_so(postgres_shop: Shop) -> None:
    with psycopg.connect(postgres_shop.url) as connection, postgres_shop.session() as session:
        with pytest.raises(psycopg.Error):
            connection.execute("nonsense")
        with pytest.raises(OutboxError, match="transaction"):
            session.send(message(), within=connection)
        connection.rollback()
    assert postgres_shop.state() == (0, 0)


def test_a_connection_in_a_pipeline_is_refused(postgres_shop: Shop) -> None:
    with psycopg.connect(postgres_shop.url) as connection, postgres_shop.session() as session:
        with connection.pipeline(), pytest.raises(ConfigError, match="pipeline"):
            session.send(message(), within=connection)
        session.send(message(), within=connection)
    assert postgres_shop.pending() == 1


def test_a_key_that_another_transaction_puts_is_waited_for(postgres_shop: Shop) -> None:
    from threading import Thread

    shop = postgres_shop
    ids: list[str] = []

    def order() -> None:
        with psycopg.connect(shop.url) as connection, shop.session() as session:
            ids.append(session.send(message(), within=connection, idempotency_key="k").id)

    with psycopg.connect(shop.url) as connection, shop.session() as session:
        ids.append(session.send(message(), within=connection, idempotency_key="k").id)
        other = Thread(target=order)
        other.start()
        connection.commit()
        other.join(30)
    assert len(ids) == 2 and ids[0] == ids[1] and shop.pending() == 1
