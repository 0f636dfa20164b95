"""The SQLite file behind ``sqlite.py``: its schema and its statements, as plain blocking functions.

A mail is one row and its content has rows of its own, so that looking for work never reads a content. Every frequent
query is answered by an index, at a cost that does not grow with the number of mails.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from wlsmtp.errors import MessageError, OutboxError, Stage
from wlsmtp.events import log
from wlsmtp.outbox.base import Entry, OutboxStatistics
from wlsmtp.outbox.connections import connect, disconnect, disconnect_dropped
from wlsmtp.outbox.content import StoredContent
from wlsmtp.outbox.pace import Pace
from wlsmtp.outbox.rows import COLUMNS, PUT, SETTLED, changes_of, entry_of, row_of
from wlsmtp.outbox.sqlite_lanes import Lanes
from wlsmtp.outbox.sqlite_schema import MIGRATIONS
from wlsmtp.outbox.verdict import interrupted
from wlsmtp.receipt import Status

APPLICATION = 0x776C736D
"""``wlsm``, the mark of our files (PRAGMA application_id)."""
BUSY = 0.2
"""Seconds per wait for another program that writes, so that readers get their turn."""
PATIENCE = 30.0
"""Seconds to wait for the content of a mail that is being sent."""
SMALL = 256 * 1024
"""Octets up to which a content is read when its mail is claimed; a larger one is streamed when it is sent."""
CLAIMED = 8 * 1024 * 1024
"""Maximum octets of small contents that one claim loads into memory."""
PAGES = 4000
"""Pages written to the log before they are moved into the file: most are changed repeatedly."""
PURGED = 1000
"""Mails to forget, and pages to release, per transaction, so that others get their turn."""
PARTS = 1 << 20
"""The row of part 3 of the content of mail 7 is 7 * PARTS + 3: one tree, read in its order."""

_COLUMNS = f"number, {COLUMNS}"
_PUT = f"INSERT INTO mails ({', '.join(PUT)}) VALUES ({', '.join('?' * len(PUT))})"
_WAITS = "due IS NOT NULL AND owner IS NULL"
_SHORTEN_WAITS = f"""
    WITH waits AS (
        SELECT number, due,
            CASE WHEN json_valid(receipt) THEN json_extract(receipt, '$.waits[0]') END AS was_due,
            CASE WHEN json_valid(receipt) THEN json_extract(receipt, '$.waits[1]') END AS pause
        FROM mails WHERE {_WAITS} AND due > :now
    )
    UPDATE mails SET due = :now + waits.pause,
        receipt = json_set(receipt, '$.waits', json_array(round(:now + waits.pause, 3), waits.pause))
    FROM waits WHERE mails.number = waits.number
        AND abs(waits.due - waits.was_due) < 0.01 AND waits.due > :now + waits.pause
"""
"""The time of an older version, which leaves what it does not know as it was, is not that of the column."""
_UNREADABLE = "unreadable"
"""The status of a record that this version cannot read. It is set aside with its content: nobody claims, purges or
shows it, and the column of the lease keeps its due time."""


class Database:
    """One connection to the file. Not for two threads at once."""

    def __init__(self, path: Path, synchronous: str) -> None:
        """Open the file and migrate it to this version. Raises ``sqlite3.Error`` and ``OutboxError``."""
        self._path = path
        make_private(path)
        self._connection = connect(path, str(path), BUSY, isolation_level=None)
        self._finalizer = weakref.finalize(self, disconnect_dropped, path, self._connection)
        self._finalizer.atexit = False
        try:
            self._prepare(synchronous)
        except BaseException:
            self.close()
            raise
        self.identity: object = identity(path)
        """The identity of the file."""

    def _prepare(self, synchronous: str) -> None:
        # Wait for the lock only if there is something to write.
        [version] = self._one("PRAGMA user_version")
        if version == 0:
            self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._connection.execute("PRAGMA cache_size = -8000")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES}")
        self._connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        with self.transaction(writes=version < len(MIGRATIONS)):
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
        """Release the file."""
        if self._finalizer.detach() is not None:
            disconnect(self._path, self._connection)

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[None]:
        """Run a transaction: all or nothing of it is done. One program writes at a time; reading never waits."""
        try:
            self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # for example, a full disk has rolled back already
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def part(self) -> Iterator[None]:
        """Run a part of a transaction: all or nothing of it is done."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):  # it may have been rolled back with everything else
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    def put(self, entries: Sequence[Entry]) -> list[Entry]:
        """Store entries, as ``Outbox.put``."""
        return [self._put(entry) for entry in entries]

    def _put(self, entry: Entry) -> Entry:
        if entry.key is not None and (known := self._row("key = ?", entry.key)) is not None:
            return self._read(known)
        assert entry.content is not None
        number = self._connection.execute(_PUT, row_of(entry)).lastrowid
        assert number is not None
        parts = enumerate(entry.content.chunks(), number * PARTS)
        self._connection.executemany("INSERT INTO contents VALUES (?, ?)", parts)
        return entry

    def claim(self, owner: str, limit: int, now: float, lease: float, pace: Pace | None = None) -> list[Entry]:
        """Lease due entries, as ``Outbox.claim``; fewer if their contents would use too much memory."""
        lanes = Lanes(self._connection, pace, now) if pace is not None else None
        claimed: list[Entry] = []
        in_memory = 0
        for condition, values, lane in self._places(lanes):
            wanted = limit - len(claimed)
            if lanes is not None:
                wanted = lanes.allowed(lane, wanted)
            before = len(claimed)
            question = f"SELECT {_COLUMNS} FROM mails WHERE {_WAITS} AND {condition} AND due <= ? ORDER BY due LIMIT ?"
            for row in self._connection.execute(question, (*values, now, wanted)).fetchall():
                size = row[13] if row[13] <= SMALL else 0
                if claimed and in_memory + size > CLAIMED:
                    break
                if (entry := self._lend(row, owner, now + lease)) is not None:
                    in_memory += size
                    claimed.append(entry)
            if lanes is not None:
                lanes.count(lane, len(claimed) - before)
            if len(claimed) == limit or in_memory > CLAIMED // 2:
                break
        return claimed

    def _places(self, lanes: Lanes | None) -> Iterator[tuple[str, tuple[object, ...], str]]:
        """Yield conditions for where mail waits, the most urgent first, with their values and their lane."""
        for priority in self._levels():
            if lanes is None:
                yield "priority = ?", (priority,), ""
            else:
                for _, lane in lanes.of(priority):
                    yield "priority = ? AND lane = ?", (priority, lane), lane

    def _levels(self) -> Iterator[int]:
        """Return the priorities of waiting mail, highest first, each by one index access."""
        question = f"SELECT max(priority) FROM mails WHERE {_WAITS}"
        [level] = self._one(question)
        while level is not None:
            yield level
            [level] = self._one(f"{question} AND priority < ?", level)

    def _lend(self, row: Any, owner: str, lease: float) -> Entry | None:
        """Return the entry for its worker; None if it had to be set aside."""
        number, size = row[0], row[13]
        try:
            entry = self._read(row)
        except OutboxError as error:
            self._set_aside(row, error, was_leased=False)
            return None
        self._connection.execute("UPDATE mails SET owner = ?, lease = ? WHERE number = ?", (owner, lease, number))
        large = partial(_stream, self._path, self.identity, number)
        read = partial(iter, self._octets(number)) if size <= SMALL else large
        content = StoredContent(size, entry.receipt.message_id, row[14], size > SMALL, read)
        return replace(entry, owner=owner, content=content)

    def _octets(self, number: int) -> tuple[bytes, ...]:
        rows = self._connection.execute("SELECT octets FROM contents WHERE part BETWEEN ? AND ?", _parts(number))
        return tuple(octets for (octets,) in rows)

    def renew(self, owner: str, lease: float) -> None:
        """Renew leases, as ``Outbox.renew``."""
        self._connection.execute("UPDATE mails SET lease = ? WHERE owner = ?", (lease, owner))

    def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """Store the results of leased entries, as ``Outbox.settle``."""
        return [entry.receipt.id for entry in entries if not self._change(entry, "owner = ?", owner)]

    def change(self, old: Entry, new: Entry) -> bool:
        """Replace an entry, as ``Outbox.change``."""
        return self._change(new, "owner IS NULL AND due IS ? AND attempts = ?", old.due, old.receipt.attempts)

    def _change(self, entry: Entry, condition: str, *values: object) -> bool:
        id, *values_now = changes_of(entry)
        found = self._one(f"SELECT number FROM mails WHERE id = ? AND {condition}", id, *values)
        if found is None:
            return False
        changes = ", ".join(f"{name} = ?" for name in SETTLED[1:])
        question = f"UPDATE mails SET {changes}, owner = NULL, lease = NULL WHERE number = ?"
        self._connection.execute(question, (*values_now, found[0]))
        if entry.receipt.status is Status.SENT:
            self._drop_content(found[0])
        return True

    def leases(self) -> dict[str, float]:
        """Return the owners of leases, and when these end without a sign of life."""
        return dict(
            self._connection.execute("SELECT owner, max(lease) FROM mails WHERE owner IS NOT NULL GROUP BY owner")
        )

    def reclaim(self, dead: Mapping[str, float], now: float) -> list[Entry]:
        """Reclaim entries, as ``Outbox.reclaim``; ``dead`` are owners with their ended leases."""
        reclaimed = self._take_up_again(now)
        self._make_due(now)
        for owner in dead.items() & self.leases().items():
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM mails WHERE owner = ?", owner[:1]).fetchall()
            for row in rows:
                try:
                    entry = interrupted(self._read(row), now)
                except OutboxError as error:
                    self._set_aside(row, error, was_leased=True)
                    continue
                self._change(entry, "owner = ?", owner[0])
                reclaimed.append(entry)
        return reclaimed

    def _make_due(self, now: float) -> None:
        """Let mail wait no longer than it was to wait, although the clock was ahead when its time was set."""
        self._connection.execute(f"UPDATE mails SET due = ? WHERE {_WAITS} AND due > ? AND due = created", (now, now))
        if sqlite3.sqlite_version_info < (3, 38):  # may have no JSON
            return
        self._connection.execute(_SHORTEN_WAITS, {"now": now})

    def newest(self) -> float | None:
        """Return when the newest mail was put."""
        found = self._one("SELECT created FROM mails ORDER BY number DESC LIMIT 1")
        return None if found is None else cast(float, found[0])

    def get(self, id: str) -> Entry | None:
        """Return an entry, as ``Outbox.get``. Raises ``OutboxError`` for a record that cannot be read."""
        row = self._row("id = ?", id)
        return None if row is None else self._read(row)

    def page(self, statuses: Collection[Status], after: str, limit: int) -> list[Entry]:
        """Return entries, as ``Outbox.page``."""
        places = ", ".join("?" * len(statuses))
        question = f"SELECT {_COLUMNS} FROM mails WHERE status IN ({places}) AND id > ? ORDER BY id LIMIT ?"
        entries: list[Entry] = []
        while not entries:
            rows = self._connection.execute(question, (*(status.value for status in statuses), after, limit)).fetchall()
            for row in rows:
                after = row[1]
                try:
                    entries.append(self._read(row))
                except OutboxError as error:
                    log.error("%s", error.message)
            if len(rows) < limit:
                break
        return entries

    def next_due(self, pace: Pace | None = None, now: float = 0.0) -> float | None:
        """Return when the next mail is due, of those not being sent; with a ``pace``, when its lane may send it."""
        if pace is not None:
            lanes = Lanes(self._connection, pace, now)
            times = (lanes.next_due(level) for level in self._levels())
            return min((time for time in times if time is not None), default=None)
        question = f"SELECT min(due) FROM mails WHERE {_WAITS} AND priority = ?"
        return min((self._one(question, level)[0] for level in self._levels()), default=None)

    def statistics(self) -> OutboxStatistics:
        """Return the counts, as ``Outbox.statistics``."""
        counts = dict(self._connection.execute("SELECT status, count(*) FROM mails GROUP BY status").fetchall())
        due = self.next_due()
        question = "SELECT created FROM mails WHERE status = 'pending' ORDER BY id LIMIT 1"
        oldest = self._connection.execute(question).fetchone()
        return OutboxStatistics(
            **counts,
            in_flight=self._one("SELECT count(*) FROM mails WHERE owner IS NOT NULL")[0],
            deferred=self._one("SELECT count(*) FROM mails WHERE due IS NOT NULL AND attempts > 0")[0],
            interruptions=self._one("SELECT coalesce(sum(interruptions), 0) FROM mails WHERE interruptions > 0")[0],
            next_due=None if due is None else datetime.fromtimestamp(due, UTC),
            oldest=None if oldest is None else datetime.fromtimestamp(oldest[0], UTC),
        )

    def purge(self, before: float) -> int:
        """Forget finished mail, as ``Outbox.purge``."""
        question = "SELECT number FROM mails WHERE finished < ? LIMIT ?"
        rows = self._connection.execute(question, (before, PURGED)).fetchall()
        for (number,) in rows:
            self._drop_content(number)
            self._connection.execute("DELETE FROM mails WHERE number = ?", (number,))
        self._connection.execute("DELETE FROM lanes WHERE tat < ?", (before,))
        self._shrink()
        return len(rows)

    def _shrink(self) -> None:
        """Return free pages to the file system, one at a time, as the module steps through this statement only once."""
        [free] = self._one("PRAGMA freelist_count")
        for _ in range(min(free, PURGED)):
            self._connection.execute("PRAGMA incremental_vacuum(1)")

    def _drop_content(self, number: int) -> None:
        self._connection.execute("DELETE FROM contents WHERE part BETWEEN ? AND ?", _parts(number))

    def _row(self, condition: str, value: str) -> Any:
        return self._one(f"SELECT {_COLUMNS} FROM mails WHERE {condition}", value)

    def _one(self, question: str, *values: object) -> Any:
        return self._connection.execute(question, values).fetchone()

    def _set_aside(self, row: Any, error: OutboxError, *, was_leased: bool) -> None:
        """Set aside a record that cannot be read, with its content, out of the way of the others. If a worker died
        that may have sent it, the interruption is noted beside the record."""
        log.error("%s; it is set aside, and tried again by each worker that begins", error.message)
        question = (
            "UPDATE mails SET status = ?, due = NULL, owner = NULL, lease = ?, interruptions = interruptions + ? "
        )
        self._connection.execute(f"{question} WHERE number = ?", (_UNREADABLE, row[5], was_leased, row[0]))

    def _take_up_again(self, now: float) -> list[Entry]:
        """Restore mail whose record could not be read before and can be read now, for example by another version.
        Return what a dead worker may have sent."""
        may_be_sent: list[Entry] = []
        question = f"SELECT {_COLUMNS}, lease, interruptions FROM mails WHERE status = ?"
        for *row, due, interruptions in self._connection.execute(question, (_UNREADABLE,)).fetchall():
            row[3], row[5] = Status.PENDING.value, due
            with suppress(OutboxError):
                entry = self._read(row)
                question = "UPDATE mails SET status = ?, due = ?, lease = NULL WHERE number = ?"
                self._connection.execute(question, (Status.PENDING.value, due, row[0]))
                if interruptions > entry.receipt.interruptions:
                    may_be_sent.append(interrupted(entry, now))
                    self._change(may_be_sent[-1], "owner IS NULL")
        return may_be_sent

    def _read(self, row: Any) -> Entry:
        """Return the entry of a row. Raises ``OutboxError`` for one written by another version, or damaged."""
        try:
            return entry_of(row[1:])
        except Exception as error:
            words = f"The record of message {row[1]} in {str(self._path)!r} cannot be read ({type(error).__name__})"
            raise OutboxError(words, stage=Stage.SETTINGS, hint="It is kept, with its content") from error


def _parts(number: int) -> tuple[int, int]:
    return number * PARTS, (number + 1) * PARTS - 1


def _stream(path: Path, file: object, number: int) -> Iterator[bytes]:
    """Yield the octets of a large content, a part at a time, over its own connection, so that nobody waits for it."""
    if identity(path) != file:  # the same number may be another message in the file that is there now
        raise MessageError("The outbox that had the content was deleted or replaced", stage=Stage.MESSAGE)
    question = "SELECT octets FROM contents WHERE part = ?"
    try:
        connection = connect(path, f"file:{quote(str(path))}?mode=ro", PATIENCE, uri=True)
        try:
            part, last = _parts(number)
            while part <= last and (row := connection.execute(question, (part,)).fetchone()) is not None:
                yield row[0]
                part += 1
        finally:
            disconnect(path, connection)
    except sqlite3.Error as error:
        raise MessageError(f"The content in the outbox cannot be read: {error}", stage=Stage.MESSAGE) from error


def identity(path: Path) -> object:
    """Return a value that distinguishes a file from another one of the same name; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def make_private(path: Path) -> None:
    """Ensure that only its owner can read the file, if it is ours or is yet to be created: it contains mail. Raises
    ``OutboxError`` if that is impossible."""
    real = Path(os.path.realpath(path))  # SQLite would follow a link to a file that does not exist yet
    try:
        os.close(os.open(real, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return
    except FileExistsError:
        pass
    if os.name != "posix" or not _is_ours(real):
        return
    for name in (real, Path(f"{real}-wal"), Path(f"{real}-shm")):
        with suppress(FileNotFoundError):
            if stat.S_IMODE(name.stat().st_mode) & 0o077:
                try:
                    name.chmod(0o600)
                except OSError as error:
                    raise _unusable(
                        path, f"can be read by others, and that cannot be changed ({error.strerror})"
                    ) from error


def _is_ours(path: Path) -> bool:
    """Return whether a file is empty, or an outbox by its mark; other files are not changed."""
    with path.open("rb") as file:
        header = file.read(72)
    return not header or (header[:15] == b"SQLite format 3" and header[68:72] == APPLICATION.to_bytes(4, "big"))


def _unusable(path: Path, why: str) -> OutboxError:
    return OutboxError(f"The outbox {str(path)!r} {why}", stage=Stage.SETTINGS)
