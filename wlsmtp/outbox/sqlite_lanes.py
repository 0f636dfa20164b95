"""The lanes of the mail that waits in an SQLite file: which of them may send now, and when the next may."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from wlsmtp.outbox.pace import Pace

HEAD = 200
"""The number of mails whose lanes are looked at before all others."""
_WAITS = "due IS NOT NULL AND owner IS NULL"


class Lanes:
    """Within one transaction, and at one time."""

    def __init__(self, connection: sqlite3.Connection, pace: Pace, now: float) -> None:
        self._connection = connection
        self._pace = pace
        self._now = now

    def of(self, priority: int) -> Iterator[tuple[float, str]]:
        """Yield the lanes of a priority, each with the time at which its first mail is due; the earliest first. Those
        of the first mails come without a look at the others."""
        head = f"SELECT lane, due FROM mails WHERE {_WAITS} AND priority = ? AND due <= ? ORDER BY due LIMIT {HEAD}"
        found = self._connection.execute(
            f"SELECT lane, min(due) FROM ({head}) GROUP BY lane ORDER BY 2", (priority, self._now)
        ).fetchall()
        yield from ((due, lane) for lane, due in found)
        seen = {lane for lane, _ in found}
        yield from sorted((due, lane) for due, lane in self._each(priority) if lane not in seen)

    def _each(self, priority: int) -> Iterator[tuple[float, str]]:
        """Yield the lanes of a priority, each found by one index access."""
        question = f"SELECT lane, due FROM mails WHERE {_WAITS} AND priority = ?"
        order = "ORDER BY lane, due LIMIT 1"
        found = self._connection.execute(f"{question} {order}", (priority,)).fetchone()
        while found is not None:
            lane, due = found
            yield due, lane
            found = self._connection.execute(f"{question} AND lane > ? {order}", (priority, lane)).fetchone()

    def allowed(self, lane: str, wanted: int) -> int:
        """Return how many mails of a lane may be sent now, at most ``wanted``."""
        rate = self._pace.rate_of(lane)
        return wanted if rate is None else min(wanted, rate.allowed(self._tat(lane), self._now))

    def count(self, lane: str, sent: int) -> None:
        """Account for mails of a lane."""
        rate = self._pace.rate_of(lane)
        if rate is not None and sent:
            tat = rate.after(self._tat(lane), self._now, sent)
            question = "INSERT INTO lanes VALUES (?, ?) ON CONFLICT (lane) DO UPDATE SET tat = excluded.tat"
            self._connection.execute(question, (self._pace.prefix + lane, tat))

    def next_due(self, priority: int) -> float | None:
        """Return when the next mail of a priority may be sent; any time in the past if that is now."""
        earliest = None
        for due, lane in self.of(priority):
            time = max(due, self._free_at(lane))
            if time <= self._now:
                return time
            earliest = time if earliest is None else min(earliest, time)
        return earliest

    def _free_at(self, lane: str) -> float:
        rate = self._pace.rate_of(lane)
        return 0.0 if rate is None else rate.free_at(self._tat(lane), self._now)

    def _tat(self, lane: str) -> float:
        found = self._connection.execute("SELECT tat FROM lanes WHERE lane = ?", (self._pace.prefix + lane,)).fetchone()
        return 0.0 if found is None else float(found[0])
