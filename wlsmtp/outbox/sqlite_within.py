"""Mail that is put on a ``sqlite3`` connection of the program, in its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from wlsmtp.errors import ConfigError, OutboxError, Stage
from wlsmtp.outbox.base import Entry
from wlsmtp.outbox.database import Database, identity
from wlsmtp.outbox.sqlite_failures import is_busy, is_passing, takes_no_writes
from wlsmtp.outbox.within import Within, not_begun, refused


class _Guest(Database):
    """The same over a connection of the program, which stays open and keeps its transaction."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection


def put_within(path: Path, entries: Sequence[Entry], within: Within) -> list[Entry]:
    """Put mail in the transaction of a connection to the same file. Raises ``ConfigError`` and ``OutboxError``."""
    connection = within.connection
    if not isinstance(connection, sqlite3.Connection):
        raise refused(connection)
    has_begun = False
    before = connection.row_factory, connection.text_factory
    connection.row_factory, connection.text_factory = None, str
    try:
        files = {name: file for _, name, file in connection.execute("PRAGMA database_list")}
        if identity(Path(files["main"] or "/dev/null")) != identity(path):
            words = f"within: the connection does not lead to the file of the outbox, {str(path)!r}"
            raise ConfigError(words, stage=Stage.SETTINGS)
        commits_each = _commits_each_statement(connection)
        if not connection.in_transaction and commits_each and not within.may_autocommit:
            raise not_begun()
        if not connection.in_transaction and not commits_each:
            connection.execute("BEGIN")
            has_begun = True
        guest = _Guest(path, connection)
        with guest.part():
            return guest.put(entries)
    except sqlite3.Error as failure:
        if has_begun:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        if takes_no_writes(failure):
            hint = "Use one without PRAGMA query_only, and without mode=ro"
            words = "within: the connection takes no writes"
            raise ConfigError(words, stage=Stage.SETTINGS, hint=hint) from failure
        words = f"The message could not be put into the transaction: {failure}"
        error = OutboxError(words, stage=Stage.SETTINGS)
        error.is_passing = is_passing(failure)
        if is_busy(failure):
            error.hint = "Roll back and do it again: a transaction that begins with BEGIN IMMEDIATE waits for others"
        raise error from failure
    finally:
        connection.row_factory, connection.text_factory = before


def _commits_each_statement(connection: sqlite3.Connection) -> bool:
    """Return whether no transaction begins by itself: ``autocommit=True`` from Python 3.12 on, ``isolation_level=None``
    otherwise."""
    autocommit = getattr(connection, "autocommit", -1)
    return autocommit is True or (autocommit is not False and connection.isolation_level is None)
