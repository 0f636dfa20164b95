"""Keeps the mail of an inbox in SQLite: in memory, or in a file that several processes use at once.

What it holds is bounded: beyond ``max_messages`` or ``max_octets`` the oldest messages are deleted, and counted.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.inbox.fields import Summary, clean_tag, summarise
from wlsmtp.inbox.search import Condition, condition_of

MAX_MESSAGES = 10_000
MAX_OCTETS = 256 * 1024 * 1024
PATIENCE = 10.0
"""Seconds to wait for another process that writes."""

_FORMAT = 2
"""The version of the tables, which the file states."""
_TABLES = """
CREATE TABLE IF NOT EXISTS messages(
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, received REAL NOT NULL, size INTEGER NOT NULL,
    is_read INTEGER NOT NULL DEFAULT 0, attachments INTEGER NOT NULL, inline INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS message_sizes ON messages(size);
CREATE INDEX IF NOT EXISTS messages_read ON messages(is_read);
CREATE TABLE IF NOT EXISTS contents(
    number INTEGER PRIMARY KEY, summary TEXT NOT NULL, facts TEXT NOT NULL, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tags(number INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY(number, tag)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS messages_of_tag ON tags(tag);
CREATE TABLE IF NOT EXISTS counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5(
    sender, recipients, cc, bcc, reply_to, subject, message_id, body, tokenize='trigram', columnsize=0);
INSERT INTO search(search, rank) VALUES('automerge', 8);
CREATE VIRTUAL TABLE IF NOT EXISTS trigrams USING fts5vocab(search, row)
"""
_ENTRIES = (
    "SELECT number, id, received, size, is_read, attachments, inline, summary, facts FROM messages JOIN contents "
    "USING (number)"
)
_PAGE = """
WITH found AS MATERIALIZED (SELECT number, is_read FROM messages WHERE {condition})
SELECT count(*), count(*) FILTER (WHERE is_read = 0) FROM found
UNION ALL SELECT * FROM (SELECT number, 0 FROM found ORDER BY number DESC LIMIT ? OFFSET ?)
"""
_FIRST_PAGE = """
SELECT count(*), (SELECT count(*) FROM messages WHERE is_read = 0) FROM messages
UNION ALL SELECT * FROM (SELECT number, 0 FROM messages ORDER BY number DESC LIMIT ? OFFSET ?)
"""
"""How many messages a search finds and how many of them are unread, then the numbers of some: of all messages without a
search. The table of messages is narrow, so that to look at all of them is quick."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The SMTP facts of a message: its envelope, and the connection it came over."""

    sender: str = ""
    recipients: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    """Those of MAIL, and under each recipient those of its RCPT."""
    username: str | None = None
    tls: str | None = None
    via: str = "DATA"
    """``DATA``, ``BDAT``, or ``inbox`` for a message that came without SMTP."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that is kept, without its content."""

    number: int
    id: str
    received: float
    size: int
    is_read: bool
    attachments: int
    inline: int
    summary: dict[str, Any]
    """The fields of ``Summary`` but for the text."""
    facts: Facts
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is."""

    messages: int
    unread: int
    octets: int
    dropped: int
    """Messages that were deleted because there was no more room."""


_opening = threading.Lock()


def opening() -> threading.Lock:
    """The lock under which the stores of this process are opened, each by one thread."""
    return _opening


def _forget_threads() -> None:
    global _opening
    _opening = threading.Lock()  # the thread that held it is not in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Change the mode of a new file. SQLite does not wait when another connection is about to do the same."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


class Store:
    """The mail of an inbox. Any number of threads may use it at once.

    ``path``: a file, made when it is missing and readable by its owner only; None keeps everything in memory. Raises
    ``ConfigError`` for a file that cannot be opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        max_messages: int = MAX_MESSAGES,
        max_octets: int = MAX_OCTETS,
    ) -> None:
        self.path: Path | None = None if path is None else Path(path).absolute()
        self.max_messages: int = max_messages
        self.max_octets: int = max_octets
        self._listeners: set[Callable[[], None]] = set()
        self._open()

    def _open(self) -> None:
        """Open the file. Raises ``ConfigError``; nothing has changed then."""
        connection = None
        try:
            if self.path is not None:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(
                self.path or ":memory:", timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA secure_delete=OFF")
            self._make_tables(connection)
        except (OSError, sqlite3.Error, ConfigError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"inbox: {self.path} cannot be used ({error})", stage=Stage.SETTINGS) from error
        self._connection, self._lock = connection, threading.RLock()
        self._process, self._changes = os.getpid(), 0

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        """Make the tables of a new file. Raises ``ConfigError`` for a file of another version of wlsmtp."""
        if connection.execute("PRAGMA user_version").fetchone()[0] == _FORMAT:
            return
        connection.execute("BEGIN IMMEDIATE")  # another process may be about to do the same
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        is_old = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'messages'").fetchone()[0]
        if version not in (0, _FORMAT) or (version == 0 and is_old):
            connection.execute("ROLLBACK")
            raise ConfigError(
                f"inbox: {self.path} was made by another version of wlsmtp; give another file", stage=Stage.SETTINGS
            )
        if version == 0:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
        connection.execute("COMMIT")

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        if self._process != os.getpid() and self.path is not None:  # a connection must not be used after a fork
            with opening():
                if self._process != os.getpid():
                    self._open()
        with self._lock:
            yield self._connection

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            self._changes += 1
        for listener in tuple(self._listeners):
            listener()

    def close(self) -> None:
        """Close the file; what is in memory is lost."""
        with self._lock, suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Changes, by this process and others.

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` in the thread of each change that this process makes; returns what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def revision(self) -> tuple[int, int]:
        """Another value after each change, also one that another process made."""
        if self.path is None:
            return self._changes, 0
        with self._using() as connection:
            return self._changes, connection.execute("PRAGMA data_version").fetchone()[0]

    # Messages.

    def add(self, raw: bytes, facts: Facts) -> Entry:
        """Keep a message, and delete the oldest ones if there is no more room."""
        received = time.time()
        summary = summarise(raw, facts.sender, facts.recipients, received)
        kept = asdict(summary)
        del kept["text"], kept["tags"]
        row = (secrets.token_hex(11), received, len(raw), summary.attachments, summary.inline)
        with self._changing() as connection:
            number = connection.execute(
                "INSERT INTO messages(id, received, size, attachments, inline) VALUES(?,?,?,?,?)", row
            ).lastrowid
            assert number is not None
            details = json.dumps(kept), json.dumps(asdict(facts))
            connection.execute("INSERT INTO contents VALUES(?,?,?,?)", (number, *details, raw))
            connection.executemany("INSERT INTO tags VALUES(?,?)", [(number, tag) for tag in summary.tags])
            connection.execute("INSERT INTO search(rowid, sender, recipients, cc, bcc, reply_to, subject, message_id, "
                               "body) VALUES(?,?,?,?,?,?,?,?,?)", (number, *_indexed(summary)))  # fmt: skip
            self._make_room(connection, number)
        return Entry(number, row[0], received, len(raw), False, *row[3:], kept, facts, summary.tags)

    def _make_room(self, connection: sqlite3.Connection, newest: int) -> None:
        count, octets = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM messages").fetchone()
        numbers = []
        oldest = connection.execute("SELECT number, size FROM messages WHERE number < ? ORDER BY number", (newest,))
        while count > self.max_messages or octets > self.max_octets:
            if (row := oldest.fetchone()) is None:
                break
            numbers.append(row[0])
            count, octets = count - 1, octets - row[1]
        if numbers:
            _remove(connection, numbers)
            connection.execute("INSERT INTO counters VALUES('dropped', ?) ON CONFLICT(name) DO UPDATE SET "
                               "value = value + excluded.value", (len(numbers),))  # fmt: skip

    def get(self, id: str) -> Entry | None:
        """The message with that id; the last one for ``"latest"``."""
        where, values = ("", ()) if id == "latest" else ("WHERE id = ?", (id,))
        with self._using() as connection:
            found = self._entries(connection, f"{where} ORDER BY number DESC LIMIT 1", values)
        return found[0] if found else None

    def raw(self, number: int) -> bytes:
        """The content of a message; empty if it was deleted meanwhile."""
        with self._using() as connection:
            row = connection.execute("SELECT raw FROM contents WHERE number = ?", (number,)).fetchone()
        return bytes(row[0]) if row else b""

    def find(self, query: str = "", start: int = 0, limit: int = 50, *, zone: str = "") -> list[Entry]:
        """Messages that a search finds, newest first; all of them for an empty one."""
        found = condition_of(query, zone)
        with self._using() as connection:
            return self._entries(
                connection, f"WHERE {found.sql} ORDER BY number DESC LIMIT ? OFFSET ?", (*found.values, limit, start)
            )

    def page(
        self, query: str = "", start: int = 0, limit: int = 50, *, zone: str = ""
    ) -> tuple[list[Entry], tuple[int, int]]:
        """Return what ``find`` and ``count`` return, by one search."""
        found = condition_of(query, zone)
        statement = _PAGE.format(condition=found.sql) if found.values or found.sql != "1" else _FIRST_PAGE
        with self._using() as connection:
            counted, *rows = connection.execute(statement, (*found.values, limit, start))
            shown = [row[0] for row in rows]
            entries = self._entries(
                connection, f"WHERE number IN ({','.join('?' * len(shown))}) ORDER BY number DESC", shown
            )
        return entries, counted

    def after(self, number: int, limit: int = 100) -> list[Entry]:
        """The messages behind that one, oldest first."""
        with self._using() as connection:
            return self._entries(connection, "WHERE number > ? ORDER BY number LIMIT ?", (number, limit))

    def _entries(self, connection: sqlite3.Connection, clause: str, values: Sequence[Any]) -> list[Entry]:
        rows = connection.execute(f"{_ENTRIES} {clause}", values).fetchall()
        marks = ",".join("?" * len(rows))
        tags: dict[int, list[str]] = {}
        for number, tag in connection.execute(
            f"SELECT number, tag FROM tags WHERE number IN ({marks}) ORDER BY tag", [row[0] for row in rows]
        ):
            tags.setdefault(number, []).append(tag)
        return [_entry(row, tuple(tags.get(row[0], ()))) for row in rows]

    def count(self, query: str = "", *, zone: str = "") -> tuple[int, int]:
        """How many messages a search finds, and how many of them are unread."""
        return self.page(query, 0, 0, zone=zone)[1]

    def totals(self) -> Totals:
        """How much there is."""
        with self._using() as connection:
            messages, octets = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM messages").fetchone()
            unread = connection.execute("SELECT count(*) FROM messages WHERE is_read = 0").fetchone()[0]
            dropped = connection.execute("SELECT value FROM counters WHERE name = 'dropped'").fetchone()
        return Totals(messages, unread, octets, dropped[0] if dropped else 0)

    def set_read(self, is_read: bool, ids: Sequence[str] | None = None, query: str = "", *, zone: str = "") -> None:
        """Mark messages as read or unread: those with these ids, or else all that a search finds."""
        chosen = _chosen(ids, query, zone)
        with self._changing() as connection:
            connection.execute(
                f"UPDATE messages SET is_read = ? WHERE is_read <> ? AND {chosen.sql}",
                (is_read, is_read, *chosen.values),
            )

    def delete(self, ids: Sequence[str] | None = None, query: str = "", *, zone: str = "") -> None:
        """Delete messages: those with these ids, or else all that a search finds."""
        chosen = _chosen(ids, query, zone)
        with self._changing() as connection:
            rows = connection.execute(f"SELECT number FROM messages WHERE {chosen.sql}", chosen.values).fetchall()
            _remove(connection, [row[0] for row in rows])

    # Tags.

    def tags(self) -> dict[str, int]:
        """All tags, with the number of their messages."""
        with self._using() as connection:
            return dict(connection.execute("SELECT tag, count(*) FROM tags GROUP BY tag ORDER BY tag"))

    def set_tags(self, ids: Sequence[str], tags: Sequence[str]) -> None:
        """Give these messages these tags, and no others."""
        chosen = _chosen(ids, "", "")
        with self._changing() as connection:
            numbers = [row[0] for row in connection.execute(
                f"SELECT number FROM messages WHERE {chosen.sql}", chosen.values)]  # fmt: skip
            connection.executemany("DELETE FROM tags WHERE number = ?", [(number,) for number in numbers])
            clean = {word for tag in tags if (word := clean_tag(tag))}
            rows = [(number, tag) for number in numbers for tag in clean]
            connection.executemany("INSERT INTO tags VALUES(?,?)", rows)

    def rename_tag(self, tag: str, new: str | None) -> None:
        """Give a tag another name; None removes it from all messages."""
        with self._changing() as connection:
            if new and (name := clean_tag(new)):
                connection.execute("UPDATE OR IGNORE tags SET tag = ? WHERE tag = ?", (name, tag))
                if name == tag:
                    return
            connection.execute("DELETE FROM tags WHERE tag = ?", (tag,))


def _chosen(ids: Sequence[str] | None, query: str, zone: str) -> Condition:
    if ids is None:
        return condition_of(query, zone)
    return Condition(f"id IN ({','.join('?' * len(ids))})", tuple(ids))


def _remove(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    for table, column in (("messages", "number"), ("contents", "number"), ("tags", "number"), ("search", "rowid")):
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(number,) for number in numbers])


def _indexed(summary: Summary) -> tuple[str, ...]:
    """The texts to search. Each ends in a space, so that any two letters are the beginning of three."""
    lists = (summary.to, summary.cc, summary.bcc, summary.reply_to)
    boxes = (" ".join(f"{box['Name']} {box['Address']}" for box in found) for found in ([summary.sender], *lists))
    return tuple(f"{text} " for text in (*boxes, summary.subject, summary.message_id, summary.text))


def _entry(row: Sequence[Any], tags: tuple[str, ...]) -> Entry:
    number, id, received, size, is_read, attachments, inline, summary, facts = row
    told = json.loads(facts)
    told["recipients"] = tuple(told["recipients"])
    return Entry(
        number, id, received, size, bool(is_read), attachments, inline, json.loads(summary), Facts(**told), tags
    )
