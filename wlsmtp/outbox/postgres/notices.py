"""LISTEN and NOTIFY: a program that puts mail wakes the workers of others, so that they need not wait for their next
check. Nothing relies on it: notifications do not pass pgbouncer in transaction mode, and may be lost.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from wlsmtp.outbox.postgres.schema import channel_of
from wlsmtp.outbox.postgres.source import Connection, Source, inherited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.io.base import IO
    from wlsmtp.outbox.base import Entry

NOTIFY_INTERVAL = 1.0
"""Seconds between two notifications of a process: transactions that notify are committed one after the other."""


class Notices:
    """Those of one schema, for one process and event loop."""

    def __init__(self, io: IO, source: Source) -> None:
        """``source`` is for listening alone."""
        self._io = io
        self._source = source
        self._may_notify_at = 0.0
        self._kept: list[Connection] = []
        self._is_closed = False
        self._process = os.getpid()

    def wanted(self, entries: Sequence[Entry], now: float) -> bool:
        """Return whether to notify others of entries that are put at ``now``, unless mail is waiting already."""
        if self._io.now() < self._may_notify_at or all((entry.due or 0.0) > now for entry in entries):
            return False
        self._may_notify_at = self._io.now() + NOTIFY_INTERVAL
        return True

    async def wait(self, timeout: float) -> bool:
        """Wait for a notification, as ``Outbox.wait``."""
        self._is_closed = False
        deadline = self._io.now() + timeout
        connection: Connection | None = None
        try:
            if not self._kept:
                await self._io.run_in_thread(self._connect)
            connection = self._kept.pop()
            if not await self._io.readable(connection.fileno(), deadline):
                self._keep(connection)
                return False
            heard = _heard(connection)
            self._keep(connection)
            return heard
        except (psycopg.Error, IndexError):  # the database is away, as the clerk tells; or closed meanwhile
            _close(connection)
            await self._io.sleep(max(0.0, deadline - self._io.now()))
            return False
        except BaseException:
            _close(connection)
            raise

    def close(self) -> None:
        """Close the connection, or have the one that waits close it."""
        self._is_closed = True
        while self._kept:
            _close(self._kept.pop())

    def after_fork(self) -> None:
        """Called in both processes: a child leaves the connection to its parent."""
        if self._process != os.getpid():
            self._process = os.getpid()
            inherited.extend(self._kept)
            self._kept = []

    def _connect(self) -> None:
        """Make a connection and keep it, as the caller may be cancelled meanwhile."""
        connection = self._source.connect()
        try:
            connection.execute(f'LISTEN "{channel_of(self._source.schema)}"'.encode())
        except BaseException:
            connection.close()
            raise
        self._keep(connection)

    def _keep(self, connection: Connection) -> None:
        self._kept.append(connection)
        if self._is_closed:
            self.close()


def _heard(connection: Connection) -> bool:
    """Read what has arrived, without waiting; return whether it has a notification. Raises ``psycopg.Error`` if it is
    the end."""
    connection.pgconn.consume_input()
    heard = False
    while connection.pgconn.notifies() is not None:
        heard = True
    return heard


def _close(connection: Connection | None) -> None:
    if connection is not None:
        with suppress(psycopg.Error):
            connection.close()
