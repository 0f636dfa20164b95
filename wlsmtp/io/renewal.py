"""A value that is good for a while and costs a wait to make anew, shared by threads of any world."""

from __future__ import annotations

import time
from collections.abc import Callable

from wlsmtp.errors import SMTPError
from wlsmtp.io.thread import Lock


class Renewable:
    """Made by one thread at a time, while the others wait for it; renewed ``early`` seconds before its end.

    ``make`` returns the value and the seconds that it is good for.
    """

    def __init__(self, make: Callable[[], tuple[str, float]], early: float) -> None:
        self._make = make
        self._early = early
        self._lock = Lock()
        self._value: str | None = None
        self._renew_at = self._ends_at = 0.0

    def get(self) -> str:
        """The value. A renewal that fails does no harm while the old value is good."""
        with self._lock:
            if self._value is not None and time.monotonic() < self._renew_at:
                return self._value
            try:
                return self._renew()
            except SMTPError:
                if self._value is None or time.monotonic() >= self._ends_at:
                    raise
                return self._value

    def forget(self, value: str | None) -> None:
        """Make a new one next time, if ``value`` is the present one: another thread may have renewed it meanwhile."""
        with self._lock:
            if self._value == value:
                self._value = None

    def _renew(self) -> str:
        asked_at = time.monotonic()
        self._value, seconds = self._make()
        self._ends_at = asked_at + seconds
        # What lives shorter than twice the margin would else be renewed all the time.
        self._renew_at = self._ends_at - min(self._early, seconds / 2)
        return self._value
