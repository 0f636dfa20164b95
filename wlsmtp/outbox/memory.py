"""An outbox in memory: fast, and gone with the program. A session refuses to be closed while it has mail."""

from __future__ import annotations

import heapq
import math
import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Self

from wlsmtp.io.order import Rank
from wlsmtp.outbox.base import Agenda, Entry, Outbox, OutboxStatistics, options_of
from wlsmtp.outbox.clock import Clock
from wlsmtp.outbox.verdict import interrupted
from wlsmtp.receipt import Status
from wlsmtp.settings.urls import URL, wrong

REMEMBERED = 100_000
"""Maximum number of finished mails that are remembered."""

GIVES_WAY_AFTER = 0.005
"""Seconds for which callers may put mail before others get their turn."""

Place = tuple[float, str]
"""The position of a waiting mail: by its due time, then by its id."""


class MemoryOutbox(Outbox):
    """Stores contents unchanged: what streams from a file is not copied."""

    is_durable = False
    is_shared = False
    keeps_pace = True

    def __init__(self, *, keep: float | None = 3600.0) -> None:
        """``keep`` is the number of seconds for which finished mail is remembered, at most 100,000 of them."""
        self.keep = keep
        self._mutex: Any = None
        """Held briefly. Not a condition: a thread may be interrupted while it acquires or releases one."""
        self._forget()

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """``memory:?keep=3600``. Raises ``ConfigError``."""
        if url.path or url.host:
            raise wrong("outbox: memory: takes no path")
        return cls(**options_of(url, "keep"))

    def __getstate__(self) -> dict[str, Any]:
        return {"keep": self.keep}

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]

    def _forget(self) -> None:
        self._process = os.getpid()
        self._entries: dict[str, Entry] = {}
        self._keys: dict[str, str] = {}
        self._queues: dict[tuple[int, str], list[Place]] = {}
        """What waits, by priority and lane; in one lane, "", unless there is a pace."""
        self._has_lanes = False
        self._arrivals: dict[str, float] = {}
        """The TATs of the lanes."""
        self._gives_way_at = -math.inf
        self._finished: deque[str] = deque()
        self._in_flight: set[str] = set()

    async def open(self) -> None:
        """Open the outbox. A forked child has none of its parent's mail."""
        if self._process != os.getpid():
            self._forget()
            self._mutex = None
        if self._mutex is None:
            wall = self.io.unix_time()
            self._clock = Clock(wall, wall, self.io.now())
            self._mutex = self.io.mutex(Rank.OUTBOX)  # last, as an interrupted call is repeated
        if self._has_lanes is not (self.pace is not None):
            self._sort_again()

    def _sort_again(self) -> None:
        """Put what waits into lanes, or into one, for another session."""
        with self._mutex:
            self._has_lanes = self.pace is not None
            self._queues = {}
            for entry in self._entries.values():
                if entry.due is not None:
                    heapq.heappush(self._queue_of(entry), (entry.due, entry.receipt.id))

    def _queue_of(self, entry: Entry) -> list[Place]:
        return self._queues.setdefault((entry.priority, entry.lane if self._has_lanes else ""), [])

    async def close(self) -> None:
        """Close the outbox; the mail remains."""

    async def put(self, entries: Sequence[Entry], deadline: float | None = None) -> list[Entry]:
        """Store entries, as ``Outbox.put``."""
        await self._let_others_run()
        with self._mutex:
            return [self._put(entry) for entry in entries]

    async def _let_others_run(self) -> None:
        """Give way to other tasks, such as the worker, after some time. A caller that puts one mail after the other
        waits for nothing else."""
        if self.io.now() >= self._gives_way_at:
            await self.io.sleep(0)
            self._gives_way_at = self.io.now() + GIVES_WAY_AFTER

    def _put(self, entry: Entry) -> Entry:
        if entry.key is not None:
            known = self._entries.get(self._keys.get(entry.key, ""))
            if known is not None:
                return known
            self._keys[entry.key] = entry.receipt.id
        self._store(entry)
        return entry

    def _store(self, entry: Entry) -> None:
        id = entry.receipt.id
        self._in_flight.discard(id)
        if entry.due is not None:
            # The position first: one without its mail is removed, but mail without a position would never be sent.
            heapq.heappush(self._queue_of(entry), (entry.due, id))
            self._entries[id] = entry
            return
        self._entries[id] = entry
        if entry.receipt.status is Status.SENT:
            self._entries[id] = replace(entry, content=None)
        self._finished.append(id)
        while len(self._finished) > REMEMBERED:
            self._drop(self._finished.popleft())

    async def claim(self, owner: str, limit: int) -> list[Entry]:
        """Lease due entries, as ``Outbox.claim``."""
        with self._mutex:
            claimed: list[Entry] = []
            now = self.io.unix_time()
            firsts = {key: place for key in list(self._queues) if (place := self._first(key)) is not None}
            # Of each priority, the lane whose first mail has waited longest.
            for key in sorted(firsts, key=lambda key: (-key[0], firsts[key])):
                found = [*self._claim(owner, key, self._allowed(key[1], limit - len(claimed), now))]
                self._count(key[1], now, len(found))
                claimed += found
            return claimed

    def _allowed(self, lane: str, wanted: int, now: float) -> int:
        rate = self.pace.rate_of(lane) if self.pace is not None else None
        return wanted if rate is None else min(wanted, rate.allowed(self._tat(lane), now))

    def _count(self, lane: str, now: float, count: int) -> None:
        rate = self.pace.rate_of(lane) if self.pace is not None and count else None
        if self.pace is not None and rate is not None:
            self._arrivals[self.pace.prefix + lane] = rate.after(self._tat(lane), now, count)

    def _tat(self, lane: str) -> float:
        return self._arrivals.get(self.pace.prefix + lane, 0.0) if self.pace is not None else 0.0

    def _claim(self, owner: str, key: tuple[int, str], limit: int) -> Iterator[Entry]:
        now = self.io.unix_time()
        while limit > 0 and (place := self._first(key)) is not None and place[0] <= now:
            self._in_flight.add(place[1])
            self._entries[place[1]] = entry = replace(self._entries[place[1]], owner=owner)
            heapq.heappop(self._queues[key])  # last: a mail with neither a place nor an owner would stay for ever
            yield entry
            limit -= 1

    def _first(self, key: tuple[int, str]) -> Place | None:
        """Return the next mail of a queue. Positions that a mail has left are removed here, and the queue with the last
        of them."""
        queue = self._queues.get(key, [])
        while queue:
            entry = self._entries.get(queue[0][1])
            if entry is not None and entry.owner is None and entry.due == queue[0][0]:
                return queue[0]
            heapq.heappop(queue)
        self._queues.pop(key, None)
        return None

    async def renew(self, owner: str) -> None:
        """Do nothing: a lease ends with its worker."""

    async def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """Store the results of leased entries, as ``Outbox.settle``."""
        with self._mutex:
            lost: list[str] = []
            for entry in entries:
                known = self._entries.get(entry.receipt.id)
                if known is not None and known.owner == owner:
                    self._store(entry)
                else:
                    lost.append(entry.receipt.id)
            return lost

    async def reclaim(self, owner: str) -> list[Entry]:
        """Reclaim all entries of other workers: there is only one worker."""
        with self._mutex:
            dead = [entry for entry in map(self._entries.__getitem__, self._in_flight) if entry.owner != owner]
            now = self.io.unix_time()
            reclaimed = [interrupted(entry, now) for entry in dead]
            for entry in reclaimed:
                self._store(entry)
            for entry in list(self._entries.values()):  # its time was set when the clock was ahead of its current value
                pause = entry.pause
                if entry.owner is None and entry.due is not None and pause is not None and entry.due > now + pause:
                    self._store(entry.waits_until(now + pause, entry.receipt, entry.waiting, pause))
            return reclaimed

    async def get(self, id: str) -> Entry | None:
        """Return an entry, as ``Outbox.get``."""
        return self._entries.get(id)

    async def page(self, statuses: Collection[Status], after: Entry | None, limit: int) -> list[Entry]:
        """Return entries, as ``Outbox.page``."""
        with self._mutex:
            ids = sorted(self._entries)
        start = 0 if after is None else bisect_right(ids, after.receipt.id)
        found = (self._entries.get(id) for id in ids[start:])
        wanted = (entry for entry in found if entry is not None and entry.receipt.status in statuses)
        return [entry for entry, _ in zip(wanted, range(limit), strict=False)]

    async def change(self, old: Entry, new: Entry) -> bool:
        """Replace an entry, as ``Outbox.change``."""
        with self._mutex:
            known = self._entries.get(old.receipt.id)
            if known is None or known is not old or known.owner is not None:
                return False
            if known.is_finished:
                self._finished.remove(old.receipt.id)
            self._store(replace(new, content=known.content))
            return True

    async def agenda(self) -> Agenda:
        """Return the next times, as ``Outbox.agenda``."""
        with self._mutex:
            now = self.io.unix_time()
            return Agenda(self._next_due(lambda lane: self._free_at(lane, now)), math.inf if self._in_flight else None)

    def _next_due(self, free_at: Callable[[str], float] = lambda _: 0.0) -> float | None:
        places = [(lane, self._first((level, lane))) for level, lane in list(self._queues)]
        return min((max(place[0], free_at(lane)) for lane, place in places if place is not None), default=None)

    def _free_at(self, lane: str, now: float) -> float:
        rate = self.pace.rate_of(lane) if self.pace is not None else None
        return 0.0 if rate is None else rate.free_at(self._tat(lane), now)

    async def statistics(self) -> OutboxStatistics:
        """Return the counts, as ``Outbox.statistics``."""
        with self._mutex:
            receipts = [entry.receipt for entry in self._entries.values()]
            due = self._next_due()
            pending = (entry.created for entry in self._entries.values() if entry.receipt.status is Status.PENDING)
            oldest = min(pending, default=None)
            return OutboxStatistics(
                **{status.value: sum(receipt.status is status for receipt in receipts) for status in Status},
                in_flight=len(self._in_flight),
                deferred=sum(receipt.status is Status.PENDING and receipt.attempts > 0 for receipt in receipts),
                interruptions=sum(receipt.interruptions for receipt in receipts),
                next_due=None if due is None else datetime.fromtimestamp(due, UTC),
                oldest=None if oldest is None else datetime.fromtimestamp(oldest, UTC),
            ).as_of(self.io.unix_time())

    async def purge(self, before: float) -> int:
        """Forget finished mail, as ``Outbox.purge``."""
        with self._mutex:
            before -= self._clock.excess(self.io.unix_time(), self.io.now())
            self._arrivals = {lane: tat for lane, tat in self._arrivals.items() if tat >= before}
            old = [id for id in self._finished if (self._entries[id].finished or 0.0) < before]
            kept = set(self._finished).difference(old)
            self._finished = deque(id for id in self._finished if id in kept)
            for id in old:
                self._drop(id)
            return len(old)

    def _drop(self, id: str) -> None:
        entry = self._entries.pop(id)
        if entry.key is not None:
            self._keys.pop(entry.key, None)

    async def left(self) -> list[Entry]:
        """Return all unfinished mail, the earliest due first."""
        places = chain.from_iterable(self._queues.values())
        ids = dict.fromkeys(chain(self._in_flight, (id for _, id in sorted(places))))
        entries = (self._entries.get(id) for id in ids)
        return [entry for entry in entries if entry is not None and not entry.is_finished]
