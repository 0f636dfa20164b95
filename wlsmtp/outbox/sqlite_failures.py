"""The meaning of SQLite's errors for an outbox, by its result codes (sqlite.org/rescode.html)."""

from __future__ import annotations

import sqlite3


def is_busy(failure: BaseException) -> bool:
    """Return whether another program is writing."""
    return _code_of(failure) & 0xFF == sqlite3.SQLITE_BUSY


def takes_no_writes(failure: BaseException) -> bool:
    """Return whether the file, its directory or the connection is read-only. A file that was moved is another case."""
    code = _code_of(failure)
    return code & 0xFF == sqlite3.SQLITE_READONLY and code != sqlite3.SQLITE_READONLY_DBMOVED


def is_passing(failure: BaseException) -> bool:
    """Return whether the same may succeed later."""
    return isinstance(failure, sqlite3.OperationalError) and not takes_no_writes(failure)


def _code_of(failure: BaseException) -> int:
    return getattr(failure, "sqlite_errorcode", 0) if isinstance(failure, sqlite3.Error) else 0
