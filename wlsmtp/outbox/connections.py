"""Tracks the files that are open in SQLite, and those that were open when this process was forked.

SQLite's knowledge of its locks is copied with the memory of the process. In the child, no connection to such a file can
be used or closed, not even a new one (sqlite.org/howtocorrupt.html §2.6).
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from wlsmtp.errors import OutboxError, Stage
from wlsmtp.io.order import Rank
from wlsmtp.io.thread import Lock


class _Files:
    """The files of one process."""

    def __init__(self) -> None:
        self._lock = Lock(Rank.FILES)
        self._process = os.getpid()
        self._counts: Counter[Path] = Counter()
        self._inherited: set[Path] = set()
        self.never_closed: list[sqlite3.Connection] = []
        self._unclosed: deque[tuple[Path, sqlite3.Connection]] = deque()
        """Connections of outboxes that were dropped without ``close``, as their finalizers found them."""

    def add(self, path: Path, count: int) -> None:
        with self._lock:
            self._look_for_fork()
            self._counts[path] += count

    def is_inherited(self, path: Path) -> bool:
        with self._lock:
            self._look_for_fork()
            return path in self._inherited

    def leave(self, path: Path, connection: sqlite3.Connection) -> None:
        """Leave a connection to be closed; for finalizers, which may run anywhere and so must not wait. Closes it now
        if the lock is free."""
        self._unclosed.append((path, connection))
        if self._lock.acquire(0):
            self._lock.release()
            self.close_left()

    def close_left(self) -> None:
        """Close what finalizers could not."""
        while self._unclosed:
            with suppress(IndexError):  # another thread was faster
                disconnect(*self._unclosed.popleft())

    def _look_for_fork(self) -> None:
        if self._process != os.getpid():
            self._process = os.getpid()
            self._inherited.update(path for path, count in self._counts.items() if count > 0)
            self._counts.clear()


_files = _Files()


def connect(path: Path, address: str, timeout: float, **options: Any) -> sqlite3.Connection:
    """Return a connection to the file ``path`` by ``address``; it may be used in any thread. Raises ``OutboxError`` for
    a file that was open when this process was forked."""
    if _files.is_inherited(path):
        hint = "Fork before mail is sent, or let a new program (multiprocessing's 'spawn') use the outbox"
        raise OutboxError(f"The outbox {str(path)!r} was open during a fork", stage=Stage.SETTINGS, hint=hint)
    _files.close_left()
    connection: sqlite3.Connection = sqlite3.connect(address, timeout=timeout, check_same_thread=False, **options)
    _files.add(path, 1)
    return connection


def disconnect(path: Path, connection: sqlite3.Connection) -> None:
    """Close a connection, unless it is the parent's."""
    if _files.is_inherited(path):
        _files.never_closed.append(connection)
        return
    connection.close()
    _files.add(path, -1)


def disconnect_dropped(path: Path, connection: sqlite3.Connection) -> None:
    """Close the connection of a garbage-collected outbox, at the latest with the next ``connect``."""
    _files.leave(path, connection)
