"""Sources of connections to PostgreSQL: a connection string, or a pool of the program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from wlsmtp.errors import ConfigError, OutboxError, Stage
from wlsmtp.outbox.postgres.failures import READ_ONLY, Unreachable
from wlsmtp.outbox.postgres.schema import migrate

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

Connection = psycopg.Connection[Any]

CONNECT_OPTIONS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Detects a silently lost database within a minute, unless the user sets these options."""
TEXT = {"client_encoding": "UTF8"}
"""Whatever the role, the database or the environment has; by SQL_ASCII, text would be read as bytes."""
ISOLATION = psycopg.IsolationLevel.READ_COMMITTED
"""Each statement is a transaction, and sees what others have committed before it. By a stricter isolation, workers
would fail each other's claims again and again."""
POOL_TIMEOUT = 10.0
"""Seconds to wait for a connection of a pool."""

inherited: list[object] = []
"""Connections of the process that forked this one. They are never closed here: that would end them there."""


class Source:
    """Returns one connection after the other, each ready for statements that are transactions of their own."""

    def __init__(self, conninfo: str, pool: ConnectionPool[Any] | None, schema: str) -> None:
        """Raises ``ConfigError`` for a connection string that cannot be read."""
        self.pool: ConnectionPool[Any] | None = pool
        self.schema: str = schema
        known = None
        with suppress(psycopg.ProgrammingError):  # its text may repeat the password
            known = conninfo_to_dict(conninfo)
        if known is None:
            problem = "outbox: is not a connection string of PostgreSQL, as in postgresql://user@host/database"
            raise ConfigError(problem, stage=Stage.SETTINGS)
        given = {name: str(value) for name, value in known.items() if value is not None}
        self.conninfo: str = make_conninfo(**{**CONNECT_OPTIONS, "application_name": "wlsmtp", **given, **TEXT})
        where = known.get("host") or known.get("hostaddr") or "localhost"
        self.name: str = f"postgresql://{where}/{known.get('dbname') or ''}" if pool is None else "in PostgreSQL"
        self._kept: Connection | None = None
        self._process = os.getpid()
        self._is_migrated = False
        self.begins: bool = False
        """True if each statement needs a BEGIN, as the default isolation of the role is not ours."""

    @property
    def is_open(self) -> bool:
        """True if a connection is kept."""
        return self._kept is not None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Return a connection, which is kept for the next time unless it was lost, or an exception was raised that is
        not a database error. Raises ``psycopg.Error`` and ``OutboxError``."""
        if self.pool is not None:
            connection = self._of_pool(self.pool)
            try:
                with _as_ours(connection):
                    self._prepare(connection)
                    yield connection
            finally:
                self.pool.putconn(connection)
            return
        kept, self._kept = self._kept, None
        connection = kept if kept is not None and not kept.closed else self.connect()
        try:
            self._prepare(connection)
            yield connection
        except Exception as failure:
            if getattr(failure, "sqlstate", None) == READ_ONLY:
                connection.close()  # the next connection may find the server that takes writes
            self._keep(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self._keep(connection)

    def connect(self) -> Connection:
        """Return a new connection. Raises ``Unreachable``."""
        try:
            connection = psycopg.connect(self.conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError as error:
            raise Unreachable.of(error) from error
        connection.isolation_level = ISOLATION
        return connection

    @staticmethod
    def _of_pool(pool: ConnectionPool[Any]) -> Connection:
        if pool.closed:
            words = f"The pool {pool.name!r} of the outbox is closed"
            raise OutboxError(words, stage=Stage.SETTINGS, hint="Close it after the session")
        try:
            connection: Connection = pool.getconn(POOL_TIMEOUT)
        except psycopg.OperationalError as error:
            raise Unreachable(f"the pool {pool.name!r} of the program gave no connection: {error}") from error
        return connection

    def _keep(self, connection: Connection) -> None:
        if connection.closed:
            return
        if connection.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
            connection.close()
            return
        self._kept = connection

    def _prepare(self, connection: Connection) -> None:
        if not self._is_migrated:
            self.begins = migrate(connection, self.schema).isolation != "read committed"
            self._is_migrated = True

    def close(self) -> None:
        """Close the kept connection."""
        kept, self._kept = self._kept, None
        if kept is not None:
            with suppress(psycopg.Error):
                kept.close()

    def after_fork(self) -> None:
        """Called in both processes."""
        if self._process != os.getpid():
            self._process = os.getpid()
            inherited.append(self._kept)
            self._kept = None


@contextmanager
def _as_ours(connection: Connection) -> Iterator[None]:
    """Adjust a connection of the program's pool for our use, temporarily."""
    before = connection.autocommit, connection.prepare_threshold, connection.isolation_level
    connection.autocommit, connection.prepare_threshold, connection.isolation_level = True, None, ISOLATION
    try:
        yield
    finally:
        if not connection.closed:
            connection.autocommit, connection.prepare_threshold, connection.isolation_level = before
