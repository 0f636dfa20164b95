"""Pure: conclusions from clocks. The system's clock is changed now and then, and each process sees its own jump.

Decisions of one process use its monotonic clock. Times that several processes share are stored in the system's time,
and read with caution: a lease is over when its owner gave no sign of life *while this process watched*.
"""

from __future__ import annotations

from collections.abc import Mapping

TOLERANCE = 5.0
"""Seconds by which the two clocks may drift apart without counting as a jump."""
STEADY = 3600.0
"""Seconds after which a clock that did not jump is trusted: a wrong one is corrected sooner."""


class Watch:
    """Watches other workers for signs of life: they renew their leases."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._seen: dict[str, tuple[float, float]] = {}
        """By owner: the lease, and when it was first seen with that value, on the monotonic clock."""

    def look(self, leases: Mapping[str, float], wall: float, now: float) -> dict[str, float]:
        """Return the seconds until each owner counts as dead, unless its lease changes before; 0 for the dead.

        A worker renews its lease three times before it ends. If a lease is over by the system's clock, its owner is
        watched for half a lease before that is believed, otherwise for a whole lease.
        """
        before = self._seen
        self._seen = {
            owner: before[owner] if owner in before and before[owner][0] == lease else (lease, now)
            for owner, lease in leases.items()
        }
        return {owner: self._rest(*seen, wall, now) for owner, seen in self._seen.items()}

    def _rest(self, lease: float, since: float, wall: float, now: float) -> float:
        when_over = max(lease - wall, since + self._lease / 2 - now)
        return max(0.0, min(when_over, since + self._lease - now))


class Clock:
    """The system's clock, as far as a process can trust it after watching it for a while."""

    def __init__(self, evidence: float, wall: float, now: float) -> None:
        """``evidence`` is a point in time that has certainly passed, such as the age of the newest record."""
        self._evidence = evidence
        self._since = self._steady_since = now
        self._offset = wall - now

    def has_jumped(self, wall: float, now: float) -> bool:
        """Return whether the clock was changed since the last check."""
        if abs(wall - now - self._offset) <= TOLERANCE:
            return False
        self._offset, self._steady_since = wall - now, now
        return True

    def excess(self, wall: float, now: float) -> float:
        """Return by how many seconds the clock may be ahead: what evidence does not prove, unless it was steady for
        long."""
        if not self.has_jumped(wall, now) and now - self._steady_since >= STEADY:
            return 0.0
        return max(0.0, wall - (self._evidence + now - self._since))
