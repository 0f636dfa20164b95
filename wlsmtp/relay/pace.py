"""Limits the number of messages in any period to what a provider allows."""

from __future__ import annotations

from collections import deque


class Pace:
    """Remembers when the last messages were sent, and says how long the next one must wait."""

    def __init__(self, count: int, seconds: float) -> None:
        """Allow ``count`` messages in any ``seconds``."""
        self._seconds = seconds
        self._times: deque[float] = deque(maxlen=count)

    def reserve(self, now: float) -> float:
        """Reserve the next slot; return the number of seconds until it comes."""
        is_full = len(self._times) == self._times.maxlen
        at = max(now, self._times[0] + self._seconds) if is_full else now
        # Nobody overtakes: the slot after one that was reserved ahead of time is not before it.
        at = max(at, self._times[-1]) if self._times else at
        self._times.append(at)
        return at - now
