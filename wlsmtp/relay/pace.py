"""No more messages in any stretch of time than a provider allows."""

from __future__ import annotations

from collections import deque


class Pace:
    """Remembers when the last messages went out; whoever comes then is told how long to wait."""

    def __init__(self, count: int, seconds: float) -> None:
        """``count`` messages in any ``seconds``."""
        self._seconds = seconds
        self._times: deque[float] = deque(maxlen=count)

    def reserve(self, now: float) -> float:
        """Take the next place; return in how many seconds it is."""
        is_full = len(self._times) == self._times.maxlen
        at = max(now, self._times[0] + self._seconds) if is_full else now
        # Nobody overtakes: the place after one that is taken ahead of time is not before it.
        at = max(at, self._times[-1]) if self._times else at
        self._times.append(at)
        return at - now
