"""The SQLite file behind ``sqlite.py``: its schema and its statements, as plain blocking functions.

A mail is one row, its content rows of their own, so that what looks for work never reads a content. Everything that is
asked often is answered by an index, at a cost that does not grow with the number of mails.
"""

from __future__ import annotations

import json
import os
import sqlite3
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wlsmtp.errors import MessageError, OutboxError, Stage
from wlsmtp.outbox import records
from wlsmtp.outbox.base import Agenda, Entry, OutboxStatistics
from wlsmtp.outbox.content import StoredContent, traits_of
from wlsmtp.outbox.verdict import interrupted
from wlsmtp.receipt import Status

APPLICATION = 0x776C736D
"""``wlsm``, the mark of our files (PRAGMA application_id)."""
PATIENCE = 30.0
"""Seconds to wait for another program that writes."""
SMALL = 256 * 1024
"""Octets up to which a content is read when its mail is claimed; a larger one is streamed when it is sent."""
CLAIMED = 8 * 1024 * 1024
"""Octets of small contents that one claim brings into memory at most."""
PAGES = 4000
"""Pages that are written to the log before they are brought into the file: most are changed again and again."""
PURGED = 1000
"""Mails forgotten, and pages given back to the file system, in one transaction, so that others get their turn."""
PARTS = 1 << 20
"""The row of part 3 of the content of mail 7 is 7 * PARTS + 3: one tree, read in its order."""

MIGRATIONS = (
    """
    CREATE TABLE mails (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key TEXT,
        status TEXT NOT NULL,
        priority INTEGER NOT NULL,
        due REAL,
        owner TEXT,
        lease REAL,
        created REAL NOT NULL,
        expires REAL,
        finished REAL,
        sender TEXT NOT NULL,
        options TEXT,
        waiting TEXT NOT NULL,
        size INTEGER NOT NULL,
        traits INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        interruptions INTEGER NOT NULL,
        receipt TEXT NOT NULL
    );
    CREATE TABLE contents (part INTEGER PRIMARY KEY, octets BLOB NOT NULL);
    CREATE UNIQUE INDEX mails_keys ON mails (key) WHERE key IS NOT NULL;
    CREATE INDEX mails_waiting ON mails (priority, due) WHERE due IS NOT NULL AND owner IS NULL;
    CREATE INDEX mails_lent ON mails (lease, owner) WHERE owner IS NOT NULL;
    CREATE INDEX mails_by_status ON mails (status, id);
    CREATE INDEX mails_finished ON mails (finished) WHERE finished IS NOT NULL;
    CREATE INDEX mails_deferred ON mails (attempts) WHERE due IS NOT NULL AND attempts > 0;
    CREATE INDEX mails_interrupted ON mails (interruptions) WHERE interruptions > 0;
    """,
)
"""What makes each version of the schema of the one before; the first makes it of nothing. Only ever added to."""

_COLUMNS = (
    "number, id, key, status, priority, due, owner, created, expires, finished, sender, options, waiting, size, "
    "traits, receipt"
)
_WAITS = "due IS NOT NULL AND owner IS NULL"


class Database:
    """One connection to the file. Not for two threads at once."""

    def __init__(self, path: Path, synchronous: str) -> None:
        """Opens the file, and makes it what this version needs. Raises ``sqlite3.Error`` and ``OutboxError``."""
        self._path = path
        _make_private(path)
        self._connection = sqlite3.connect(path, PATIENCE, isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._connection.close).atexit = False
        self._prepare(synchronous)

    def _prepare(self, synchronous: str) -> None:
        self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._connection.execute("PRAGMA cache_size = -8000")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES}")
        self._connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        with self.transaction(writes=True):
            self._migrate()

    def _migrate(self) -> None:
        [version] = self._one("PRAGMA user_version")
        [mark] = self._one("PRAGMA application_id")
        [tables] = self._one("SELECT count(*) FROM sqlite_master")
        if tables and mark != APPLICATION:
            raise _unusable(self._path, "is a database of something else")
        if version > len(MIGRATIONS):
            raise _unusable(self._path, "was written by a newer version of wlsmtp")
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                self._connection.execute(statement)
        if version < len(MIGRATIONS):
            self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self._connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[None]:
        """All or nothing of what is done inside. Only one program writes at a time; to read, nobody waits."""
        self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk, for one, has rolled back already
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def part(self) -> Iterator[None]:
        """All or nothing of a part of a transaction."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):  # it may have been rolled back with all the rest
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    def put(self, entries: Sequence[Entry]) -> list[Entry]:
        """See ``Outbox.put``."""
        return [self._put(entry) for entry in entries]

    def _put(self, entry: Entry) -> Entry:
        if entry.key is not None and (known := self._row("key = ?", entry.key)) is not None:
            return self._entry(known)
        content, receipt = entry.content, entry.receipt
        assert content is not None
        number = self._connection.execute(
            "INSERT INTO mails (id, key, status, priority, due, created, expires, sender, options, waiting, size, "
            "traits, attempts, interruptions, receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (receipt.id, entry.key, receipt.status.value, entry.priority, entry.due, entry.created, entry.expires,
             entry.sender, records.dump_options(entry.options), json.dumps(entry.waiting), entry.size,
             traits_of(content), receipt.attempts, receipt.interruptions, records.dump(receipt)),
        ).lastrowid  # fmt: skip
        assert number is not None
        parts = enumerate(content.chunks(), number * PARTS)
        self._connection.executemany("INSERT INTO contents VALUES (?, ?)", parts)
        return entry

    def claim(self, owner: str, limit: int, now: float, lease: float) -> list[Entry]:
        """See ``Outbox.claim``; gives fewer than there are when their contents would take too much memory."""
        claimed: list[Entry] = []
        in_memory = 0
        for priority in self._levels():
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM mails WHERE {_WAITS} AND priority = ? AND due <= ? ORDER BY due LIMIT ?",
                (priority, now, limit - len(claimed)),
            ).fetchall()
            for row in rows:
                size = row[13] if row[13] <= SMALL else 0
                if claimed and in_memory + size > CLAIMED:
                    break
                in_memory += size
                claimed.append(self._lend(row, owner, now + lease))
            if len(claimed) == limit or in_memory > CLAIMED // 2:
                break
        return claimed

    def _levels(self) -> Iterator[int]:
        """The priorities of what waits, greatest first, each by one look into the index."""
        question = f"SELECT max(priority) FROM mails WHERE {_WAITS}"
        [level] = self._one(question)
        while level is not None:
            yield level
            [level] = self._one(f"{question} AND priority < ?", level)

    def _lend(self, row: Any, owner: str, lease: float) -> Entry:
        number, size = row[0], row[13]
        self._connection.execute("UPDATE mails SET owner = ?, lease = ? WHERE number = ?", (owner, lease, number))
        read = partial(iter, self._octets(number)) if size <= SMALL else partial(_stream, self._path, number)
        entry = self._entry(row)
        content = StoredContent(size, entry.receipt.message_id, row[14], size > SMALL, read)
        return replace(entry, owner=owner, content=content)

    def _octets(self, number: int) -> tuple[bytes, ...]:
        rows = self._connection.execute("SELECT octets FROM contents WHERE part BETWEEN ? AND ?", _parts(number))
        return tuple(octets for (octets,) in rows)

    def renew(self, owner: str, lease: float) -> None:
        """See ``Outbox.renew``."""
        self._connection.execute("UPDATE mails SET lease = ? WHERE owner = ?", (lease, owner))

    def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """See ``Outbox.settle``."""
        return [entry.receipt.id for entry in entries if not self._change(entry, "owner = ?", owner)]

    def change(self, old: Entry, new: Entry) -> bool:
        """See ``Outbox.change``."""
        return self._change(new, "owner IS NULL AND due IS ? AND attempts = ?", old.due, old.receipt.attempts)

    def _change(self, entry: Entry, condition: str, *values: object) -> bool:
        receipt = entry.receipt
        found = self._one(f"SELECT number FROM mails WHERE id = ? AND {condition}", receipt.id, *values)
        if found is None:
            return False
        self._connection.execute(
            "UPDATE mails SET status = ?, due = ?, owner = NULL, lease = NULL, finished = ?, waiting = ?, "
            "attempts = ?, interruptions = ?, receipt = ? WHERE number = ?",
            (receipt.status.value, entry.due, entry.finished, json.dumps(entry.waiting), receipt.attempts,
             receipt.interruptions, records.dump(receipt), found[0]),
        )  # fmt: skip
        if receipt.status is Status.SENT:
            self._drop_content(found[0])
        return True

    def reclaim(self, owner: str, now: float) -> list[Entry]:
        """See ``Outbox.reclaim``."""
        question = f"SELECT {_COLUMNS} FROM mails WHERE owner IS NOT NULL AND lease <= ? AND owner <> ?"
        rows = self._connection.execute(question, (now, owner)).fetchall()
        dead = [interrupted(self._entry(row), now) for row in rows]
        for row, entry in zip(rows, dead, strict=True):
            self._change(entry, "owner = ?", row[6])
        return dead

    def get(self, id: str) -> Entry | None:
        """See ``Outbox.get``."""
        row = self._row("id = ?", id)
        return None if row is None else self._entry(row)

    def page(self, statuses: Collection[Status], after: str, limit: int) -> list[Entry]:
        """See ``Outbox.page``."""
        places = ", ".join("?" * len(statuses))
        question = f"SELECT {_COLUMNS} FROM mails WHERE status IN ({places}) AND id > ? ORDER BY id LIMIT ?"
        rows = self._connection.execute(question, (*(status.value for status in statuses), after, limit))
        return [self._entry(row) for row in rows]

    def agenda(self) -> Agenda:
        """See ``Outbox.agenda``."""
        question = f"SELECT min(due) FROM mails WHERE {_WAITS} AND priority = ?"
        due = min((self._one(question, level)[0] for level in self._levels()), default=None)
        [lease] = self._one("SELECT min(lease) FROM mails WHERE owner IS NOT NULL")
        return Agenda(due, lease)

    def statistics(self) -> OutboxStatistics:
        """See ``Outbox.statistics``."""
        counts = dict(self._connection.execute("SELECT status, count(*) FROM mails GROUP BY status").fetchall())
        due = self.agenda().due
        return OutboxStatistics(
            **counts,
            in_flight=self._one("SELECT count(*) FROM mails WHERE owner IS NOT NULL")[0],
            deferred=self._one("SELECT count(*) FROM mails WHERE due IS NOT NULL AND attempts > 0")[0],
            interruptions=self._one("SELECT coalesce(sum(interruptions), 0) FROM mails WHERE interruptions > 0")[0],
            next_due=None if due is None else datetime.fromtimestamp(due, UTC),
        )

    def purge(self, before: float) -> int:
        """See ``Outbox.purge``."""
        question = "SELECT number FROM mails WHERE finished < ? LIMIT ?"
        rows = self._connection.execute(question, (before, PURGED)).fetchall()
        for (number,) in rows:
            self._drop_content(number)
            self._connection.execute("DELETE FROM mails WHERE number = ?", (number,))
        self._shrink()
        return len(rows)

    def _shrink(self) -> None:
        """Give free pages back to the file system, one by one, as the module steps through this statement once only."""
        [free] = self._one("PRAGMA freelist_count")
        for _ in range(min(free, PURGED)):
            self._connection.execute("PRAGMA incremental_vacuum(1)")

    def _drop_content(self, number: int) -> None:
        self._connection.execute("DELETE FROM contents WHERE part BETWEEN ? AND ?", _parts(number))

    def _row(self, condition: str, value: str) -> Any:
        return self._one(f"SELECT {_COLUMNS} FROM mails WHERE {condition}", value)

    def _one(self, question: str, *values: object) -> Any:
        return self._connection.execute(question, values).fetchone()

    @staticmethod
    def _entry(row: Any) -> Entry:
        _, id, key, status, priority, due, owner, created, expires, finished, sender, options, *rest = row
        waiting, size, _, receipt = rest
        loaded = records.load(id, Status(status), receipt)
        if due is not None:
            loaded = loaded.changed(next_attempt=datetime.fromtimestamp(due, UTC))
        return Entry(
            receipt=loaded, sender=sender, options=records.load_options(options), waiting=tuple(json.loads(waiting)),
            size=size, created=created, due=due, finished=finished, expires=expires, priority=priority, key=key,
            owner=owner,
        )  # fmt: skip


def _parts(number: int) -> tuple[int, int]:
    return number * PARTS, (number + 1) * PARTS - 1


def _stream(path: Path, number: int) -> Iterator[bytes]:
    """The octets of a large content, a part at a time, over a connection of its own, so that nobody waits for it."""
    address = f"file:{quote(str(path))}?mode=ro"
    question = "SELECT octets FROM contents WHERE part = ?"
    try:
        with closing(sqlite3.connect(address, PATIENCE, uri=True, check_same_thread=False)) as connection:
            part, last = _parts(number)
            while part <= last and (row := connection.execute(question, (part,)).fetchone()) is not None:
                yield row[0]
                part += 1
    except sqlite3.Error as error:
        raise MessageError(f"The content in the outbox cannot be read: {error}", stage=Stage.MESSAGE) from error


def _make_private(path: Path) -> None:
    """Make the file, if there is none, for its owner's eyes only: it will hold mail."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _unusable(path: Path, why: str) -> OutboxError:
    return OutboxError(f"The outbox {str(path)!r} {why}", stage=Stage.SETTINGS)
