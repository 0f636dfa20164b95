"""Pure: what can be told from clocks. The system's clock is set now and then, and each process sees its own jump.

What one process decides goes by its monotonic clock. What several must agree on is written down in the system's time,
and read with doubt: a lease is over when its owner gave no sign of life *while this process watched*.
"""

from __future__ import annotations

from collections.abc import Mapping

TOLERANCE = 5.0
"""Seconds by which the two clocks may drift apart without that being a jump."""
STEADY = 3600.0
"""Seconds after which a clock that did not jump is believed: a wrong one is mended sooner."""


class Watch:
    """The signs of life of other workers: their leases, which they renew."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._seen: dict[str, tuple[float, float]] = {}
        """By owner: the lease, and when it was first seen to be that, on the monotonic clock."""

    def look(self, leases: Mapping[str, float], wall: float, now: float) -> dict[str, float]:
        """Seconds until each owner counts as dead, unless its lease changes before; 0 for the dead.

        A worker renews its lease three times before it ends. One whose lease is over by the system's clock is watched
        for half a lease before that is believed, and any other one for a whole lease."""
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
    """The system's clock, as far as it can be trusted by a process that has watched it for a while."""

    def __init__(self, evidence: float, wall: float, now: float) -> None:
        """``evidence`` is a point in time that has certainly come, such as the age of the newest record."""
        self._evidence = evidence
        self._since = self._steady_since = now
        self._offset = wall - now

    def has_jumped(self, wall: float, now: float) -> bool:
        """Whether the clock was set since the last look."""
        if abs(wall - now - self._offset) <= TOLERANCE:
            return False
        self._offset, self._steady_since = wall - now, now
        return True

    def excess(self, wall: float, now: float) -> float:
        """By how many seconds the clock may be ahead: what is not proven by evidence, unless it was steady for long."""
        if not self.has_jumped(wall, now) and now - self._steady_since >= STEADY:
            return 0.0
        return max(0.0, wall - (self._evidence + now - self._since))
