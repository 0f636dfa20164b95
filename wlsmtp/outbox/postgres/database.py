"""The operations of an outbox in PostgreSQL, as plain blocking functions over one connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from itertools import accumulate
from typing import Any, NoReturn

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from wlsmtp.errors import MessageError, OutboxError, Stage
from wlsmtp.events import log
from wlsmtp.outbox.base import PRIORITIES, Entry, OutboxStatistics
from wlsmtp.outbox.content import StoredContent
from wlsmtp.outbox.pace import Pace
from wlsmtp.outbox.postgres import statements as say
from wlsmtp.outbox.postgres.arrays import array, let_take_arrays
from wlsmtp.outbox.postgres.schema import channel_of, lock_of, quoted
from wlsmtp.outbox.postgres.sent import telling
from wlsmtp.outbox.postgres.source import Connection, Source
from wlsmtp.outbox.rows import PUT, SETTLED, changes_of, entry_of, row_of
from wlsmtp.outbox.verdict import interrupted
from wlsmtp.receipt import Status

LEVELS = tuple(reversed(PRIORITIES))
PURGED = 1000
"""Mails to forget in one transaction."""
LOCK_PATIENCE = "500ms"
"""Maximum wait of a put for an idempotency key that another transaction holds, before others go first."""


class Packed(list[Entry]):
    """Entries, and the statement that stores them."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Raises ``MessageError`` for a content that cannot be read."""
        super().__init__(entries)
        self.statement, self.values = _put_mails(entries)


@dataclass(frozen=True, slots=True)
class Put:
    """Mail to be stored."""

    entries: Sequence[Entry]
    """``Packed``, or packed when they are stored."""
    notifies: bool = False
    """True to notify the workers of other programs, unless mail is waiting already."""


class KeyInUse(Exception):
    """Another open transaction is putting mail with the same idempotency key."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """The result of a statement, and when it was obtained by the clock of the database."""

    now: float
    found: Any


class Text:
    """The statements, for one schema."""

    def __init__(self, schema: str, clock: str = say.CLOCK) -> None:
        self.schema: str = schema
        self.lock: int = lock_of(schema)
        self.channel: str = channel_of(schema)
        self._names = {"{schema}": quoted(schema), "{now}": clock}
        self.of: Callable[[str], bytes] = cache(self._of)

    def _of(self, statement: str) -> bytes:
        for name, value in self._names.items():
            statement = statement.replace(name, value)
        return statement.encode()


class Database:
    """Statements over one connection. Not for two threads at once."""

    def __init__(
        self, connection: Connection, text: Text, source: Source, tell: Callable[[], None] = lambda: None
    ) -> None:
        """``tell`` is called when a statement was sent, and PostgreSQL executes it."""
        self.connection: Connection = connection
        self._text = text
        self._source = source
        self._tell = tell

    def all(self, statement: str, **values: Any) -> list[Any]:
        """Return the rows of a statement."""
        with self._transaction(), self.connection.cursor(binary=True, row_factory=tuple_row) as cursor:
            let_take_arrays(cursor)
            with telling(self.connection, self._tell):
                cursor.execute(self._text.of(statement), values)
            return cursor.fetchall() if cursor.description is not None else []

    def one(self, statement: str, **values: Any) -> Any:
        """Return the first row."""
        return self.all(statement, **values)[0]

    def do(self, statement: str, **values: Any) -> int:
        """Return the number of changed rows."""
        with self._transaction():
            return self.connection.execute(self._text.of(statement), values).rowcount

    def _transaction(self) -> AbstractContextManager[object]:
        """Return a transaction around one statement, where the statement alone would not be one of our isolation."""
        if self._source.begins and self.connection.info.transaction_status is TransactionStatus.IDLE:
            return self.connection.transaction()
        return nullcontext()

    # Mail that is put.

    def put(self, put: Put) -> Agreed:
        """Store entries, as ``Outbox.put``. Raises ``KeyInUse``, and nothing is stored then."""
        if _are_small(put.entries):
            return self._play(putting(put, self._text))
        with self.connection.transaction():
            return self._play(putting(put, self._text))

    def put_patiently(self, put: Put) -> Agreed:
        """Store entries, waiting briefly for transactions that hold a key."""
        try:
            with self.connection.transaction():
                self.all(say.SET_LOCK_TIMEOUT, timeout=LOCK_PATIENCE)
                return self._play(putting(put, self._text, waits=True))
        except psycopg.errors.LockNotAvailable:
            raise KeyInUse from None

    def _play(self, steps: Steps) -> Agreed:
        rows = None
        try:
            while True:
                statement, values = steps.send(rows)
                rows = self.all(statement, **values)
        except StopIteration as end:
            agreed: Agreed = end.value
            return agreed

    # Leased mail.

    def claim(self, owner: str, limit: int, lease: float, starts: Mapping[int, float]) -> Agreed:
        """Lease due entries, as ``Outbox.claim``; each level is searched from ``starts`` on."""
        levels, froms = list(LEVELS), [starts.get(level, 0.0) for level in LEVELS]
        rows = self.all(say.CLAIM, owner=owner, limit=limit, lease=lease, levels=levels, starts=froms)
        return Agreed(rows[0][0], self._claimed(owner, rows))

    def claim_in_lanes(self, owner: str, limit: int, lease: float, pace: Pace, lanes: int) -> Agreed:
        """Lease due entries as the rates of their lanes allow, as ``Outbox.claim``. ``lanes`` is their number at the
        last claim. Of many lanes, those of the first mails are looked at, and all of them only if none of these mails
        may be sent. Returns the entries and the number of lanes."""
        values = {"owner": owner, "limit": limit, "lease": lease, "levels": list(LEVELS), **_rates(pace)}
        rows: list[Any] = []
        statement = say.CLAIM_IN_LANES
        for statement in (say.CLAIM_IN_FIRST_LANES, say.CLAIM_IN_LANES)[lanes <= say.MANY_LANES :]:
            rows = self.all(statement, **values)
            if rows[0][1][0]:  # there were lanes without a row
                rows = self.all(statement, **values)
            if statement is say.CLAIM_IN_LANES:
                lanes = rows[0][1][1]
            if rows[0][2] is not None:
                break
        return Agreed(rows[0][0], (self._claimed(owner, rows), lanes))

    def _claimed(self, owner: str, rows: list[Any]) -> list[Entry]:
        claimed: list[Entry] = []
        for _, _, *row, octets in rows:
            if row[0] is None:
                break
            try:
                entry = read(row)
            except OutboxError as error:
                self._set_aside(row[0], owner, error, was_leased=False)
                continue
            content = self._content(entry, traits=row[13], octets=octets)
            claimed.append(replace(entry, owner=owner, content=content))
        return claimed

    def _content(self, entry: Entry, *, traits: int, octets: bytes | None) -> StoredContent:
        id, is_large = entry.receipt.id, entry.size > say.SMALL
        large = partial(_stream, self._source, self._text, id)
        read = large if is_large else partial(iter, () if not octets else (octets,))
        return StoredContent(entry.size, entry.receipt.message_id, traits, is_large, read)

    def renew(self, owner: str, lease: float) -> None:
        """Renew leases, as ``Outbox.renew``."""
        self.do(say.RENEW, owner=owner, lease=lease)

    def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """Store the results of leased entries, as ``Outbox.settle``."""
        rows = self.all(say.SETTLE, owner=owner, **_by_id(entries))
        return [id for (id,) in rows]

    def change(self, old: Entry, new: Entry) -> bool:
        """Replace an entry, as ``Outbox.change``."""
        return bool(self.all(say.CHANGE, was_due=old.due, was_tried=old.receipt.attempts, **_by_id([new])))

    def agenda(self, starts: Mapping[int, float]) -> Agreed:
        """Return when the next mail is due, and the owners of leases with their ends."""
        levels, froms = list(LEVELS), [starts.get(level, 0.0) for level in LEVELS]
        now, due, owners, leases = self.one(say.AGENDA, levels=levels, starts=froms)
        return Agreed(now, (due, dict(zip(owners, leases, strict=True))))

    def agenda_in_lanes(self, pace: Pace, lanes: int) -> Agreed:
        """Return when the next mail may be sent, and the rest as ``agenda``; ``lanes`` as in ``claim_in_lanes``."""
        values = {"levels": list(LEVELS), **_rates(pace)}
        now, due, owners, leases = 0.0, None, [], []
        for statement in (say.AGENDA_IN_FIRST_LANES, say.AGENDA_IN_LANES)[lanes <= say.MANY_LANES :]:
            now, due, owners, leases = self.one(statement, **values)
            if due is not None and due <= now:
                break
        return Agreed(now, (due, dict(zip(owners, leases, strict=True))))

    def reclaim(self, dead: Mapping[str, float]) -> list[Entry]:
        """Reclaim entries, as ``Outbox.reclaim``; ``dead`` are owners with their ended leases."""
        with self.connection.transaction():
            [now, _] = self.one(say.NEWEST)
            reclaimed = self._take_up_again(now)
            self.do(say.MAKE_DUE, levels=list(LEVELS))
            self.do(say.SHORTEN_WAITS, levels=list(LEVELS))
            for owner, lease in sorted(dead.items()):
                if self.all(say.DISMISS, owner=owner, lease=lease):
                    reclaimed += self._reclaim(owner, now)
        return reclaimed

    def _reclaim(self, owner: str, now: float) -> list[Entry]:
        reclaimed: list[Entry] = []
        for row in self.all(say.LENT, owner=owner):
            try:
                reclaimed.append(interrupted(read(row), now))
            except OutboxError as error:
                self._set_aside(row[0], owner, error, was_leased=True)
        self.settle(owner, reclaimed)
        return reclaimed

    # Queries.

    def get(self, id: str) -> Entry | None:
        """Return an entry, as ``Outbox.get``. Raises ``OutboxError`` for a record that cannot be read."""
        rows = self.all(say.GET, id=id)
        return read(rows[0]) if rows else None

    def page(self, statuses: Collection[Status], after: str, limit: int) -> list[Entry]:
        """Return entries, as ``Outbox.page``."""
        names = sorted({status.value for status in statuses})
        entries: list[Entry] = []
        while not entries:
            rows = self.all(say.PAGE, statuses=names, after=after, limit=limit)
            for row in rows:
                after = row[0]
                try:
                    entries.append(read(row))
                except OutboxError as error:
                    log.error("%s", error.message)
            if len(rows) < limit:
                break
        return entries

    def newest(self) -> Agreed:
        """Return when the newest mail was put."""
        return Agreed(*self.one(say.NEWEST))

    def statistics(self) -> OutboxStatistics:
        """Return the counts, as ``Outbox.statistics``."""
        counts = self.all(say.COUNTS)
        agreed = self.agenda({})
        due, _ = agreed.found
        in_flight, deferred, interruptions, oldest = self.one(say.IN_FLIGHT)
        return OutboxStatistics(
            **dict(counts),
            in_flight=in_flight,
            deferred=deferred,
            interruptions=interruptions,
            next_due=None if due is None else datetime.fromtimestamp(due, UTC),
            oldest=None if oldest is None else datetime.fromtimestamp(oldest, UTC),
        ).as_of(agreed.now)

    def purge(self, before: float) -> int:
        """Forget finished mail, as ``Outbox.purge``."""
        [count] = self.one(say.PURGE, before=before, limit=PURGED)
        return int(count)

    def _set_aside(self, id: str, owner: str, error: OutboxError, *, was_leased: bool) -> None:
        """Set aside a record that cannot be read, with its content, out of the way of the others. If a worker died
        that may have sent it, the interruption is noted beside the record."""
        log.error("%s; it is set aside, and tried again by each worker that begins", error.message)
        self.do(say.SET_ASIDE, id=id, owner=owner, interruptions=int(was_leased))

    def _take_up_again(self, now: float) -> list[Entry]:
        """Restore mail whose record could not be read before and can be read now, for example by another version.
        Return what a dead worker may have sent."""
        may_be_sent: list[Entry] = []
        for *row, interruptions in self.all(say.ASIDE):
            with suppress(OutboxError):
                read([*row[:2], Status.PENDING.value, *row[3:]])
                self.do(say.TAKE_UP, id=row[0])
                entry = self.get(row[0])
                if entry is not None and interruptions > entry.receipt.interruptions:
                    may_be_sent.append(interrupted(entry, now))
                    self.change(entry, may_be_sent[-1])
        return may_be_sent


Steps = Generator[tuple[str, dict[str, Any]], Any, Agreed]
"""Statements to be carried out one after the other, each answered by its rows."""


def putting(put: Put, text: Text, *, waits: bool = False) -> Steps:
    """Store entries: small contents with the records in one statement, large ones after them, part by part, in a
    transaction of the caller's. In place of an entry with a known key, the entry that has it is returned. ``waits`` for
    other transactions that put the same key; without, that is a ``KeyInUse``, and nothing is stored."""
    entries = put.entries
    if waits:
        keys = [entry.key for entry in entries if entry.key is not None]
        yield say.LOCK_KEYS, {"lock": text.lock, "keys": keys}
    are_small = _are_small(entries)
    packed = entries if isinstance(entries, Packed) else Packed(entries)
    values = {
        **packed.values,
        "lock": text.lock,
        "channel": text.channel,
        "notifies": put.notifies,
        "levels": list(LEVELS),
        "count": len(entries),
    }
    [(now, locked, kept, _)] = yield packed.statement, values
    if locked:
        raise KeyInUse
    if kept is None and are_small:
        return Agreed(now, list(entries))
    ids_kept = {entry.receipt.id for entry in entries} if kept is None else set(kept)
    others = [entry for entry in entries if entry.receipt.id not in ids_kept]
    if not are_small:
        for entry in entries:
            for part, octets in enumerate(_parts(entry) if entry.receipt.id in ids_kept else ()):
                yield say.PUT_PART, {"mail": entry.receipt.id, "part": part, "octets": octets}
    if not others:
        return Agreed(now, list(entries))
    ids, keys = [entry.receipt.id for entry in others], [entry.key for entry in others if entry.key is not None]
    rows = yield say.KNOWN, {"ids": ids, "keys": keys}
    found = [read(row) for row in rows]
    by_id = {entry.receipt.id: entry for entry in found}
    by_key: dict[str | None, Entry] = {entry.key: entry for entry in found if entry.key is not None}
    for entry in others:
        if entry.receipt.id not in by_id:
            by_id[entry.receipt.id] = by_key.get(entry.key) or _hidden(entry)
    return Agreed(now, [by_id.get(entry.receipt.id, entry) for entry in entries])


def _hidden(entry: Entry) -> NoReturn:
    words = f"A message with the idempotency_key {entry.key!r} is in the outbox, and cannot be read"
    error = OutboxError(words, stage=Stage.SETTINGS)
    error.hint = "Send it again: it may be gone now. If it stays, the role may not see all rows of the outbox"
    error.is_passing = True
    raise error


def _are_small(entries: Sequence[Entry]) -> bool:
    return all(entry.size <= say.SMALL for entry in entries) and sum(entry.size for entry in entries) <= say.CLAIMED


def read(row: Any) -> Entry:
    """Return the entry of a row. Raises ``OutboxError`` for what another version, or a fault of the disk,
    has written."""
    try:
        return entry_of(row)
    except Exception as error:
        words = f"The record of message {row[0]} in PostgreSQL cannot be read ({type(error).__name__})"
        raise OutboxError(words, stage=Stage.SETTINGS, hint="It is kept, with its content") from error


def _rates(pace: Pace) -> dict[str, Any]:
    rates = [{"lane": lane, "step": rate.interval, "tolerance": rate.tolerance} for lane, rate in pace.rates.items()]
    return {"rates": json.dumps(rates), "prefix": pace.prefix}


def _put_mails(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
    """Return the statement that stores entries, with their contents if these are small, and its values."""
    columns: dict[str, Sequence[Any]] = dict(zip(PUT, zip(*map(row_of, entries), strict=True), strict=True))
    columns["start"] = [None] * len(entries)
    octets: list[bytes] = []
    if _are_small(entries):
        octets = [*map(_octets_of, entries)]
        columns["start"] = [*accumulate(map(len, octets[:-1]), initial=1)]
    own = say.OWN.union([name for name, column in columns.items() if column.count(column[0]) < len(column)])
    values: dict[str, Any] = {
        f"given_{name}": array(say.TYPES.get(name, "text"), column) if name in own else column[0]
        for name, column in columns.items()
    }
    return say.put_mails(own), values | {"octets": b"".join(octets)}


def _octets_of(entry: Entry) -> bytes:
    """Return a content. Raises ``MessageError`` if it is not of the size that it says."""
    assert entry.content is not None
    octets = b"".join(entry.content.chunks())
    if len(octets) != entry.size:
        words = f"The content has {len(octets)} octets, and says that it has {entry.size}"
        raise MessageError(words, stage=Stage.MESSAGE)
    return octets


def _by_id(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the changes of entries, as one object of objects, and their ids."""
    form = "%s:{" + ",".join(f'"{name}":%s' for name in SETTLED[1:]) + "}"
    changes = {entry.receipt.id: changes_of(entry) for entry in entries}
    rows = [form % row for row in _as_json(SETTLED, changes.values())]
    return {"rows": f"{{{','.join(rows)}}}", "ids": list(changes)}


def _as_json(names: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Return what ``%s`` makes JSON of, a column at a time, which takes half as long. Text keeps its letters: a
    database in SQL_ASCII has no other way."""
    columns: list[Iterable[Any]] = []
    for name, column in zip(names, zip(*rows, strict=True), strict=False):
        write = str if name in say.TYPES else json.encoder.encode_basestring
        if None in column:
            columns.append(["null" if value is None else write(value) for value in column])
        else:
            columns.append(map(write, column))
    return zip(*columns, strict=True)


def _parts(entry: Entry) -> Iterator[bytes]:
    """Yield the octets of a content in parts of one size, so that it is stored as it is rendered."""
    assert entry.content is not None
    waiting = bytearray()
    for chunk in entry.content.chunks():
        waiting += chunk
        while len(waiting) >= say.SMALL:
            yield bytes(waiting[: say.SMALL])
            del waiting[: say.SMALL]
    if waiting:
        yield bytes(waiting)


def _stream(source: Source, text: Text, id: str) -> Iterator[bytes]:
    """Yield the octets of a large content, a part at a time, over its own connection, so that nobody waits for it."""
    own = Source(source.conninfo, source.pool, source.schema)
    part = 0
    try:
        while True:
            with own.connection() as connection:
                rows = Database(connection, text, own).all(say.READ_PART, mail=id, part=part)
            if not rows:
                return
            yield rows[0][0]
            part += 1
    except psycopg.Error as error:
        words = f"The content in the outbox cannot be read: {error}"
        failure = OutboxError(words, stage=Stage.MESSAGE)
        failure.is_passing = True
        raise failure from error
    finally:
        own.close()
