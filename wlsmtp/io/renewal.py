"""A value that is valid for a while and slow to create, shared by threads, blocking or asyncio."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from wlsmtp.errors import SMTPError
from wlsmtp.io.order import Rank
from wlsmtp.io.thread import Lock


class _Renewal:
    """One attempt to create a new value, shared by all who ask meanwhile."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.is_done = threading.Event()
        self.waiting = 0
        self.error: BaseException | None = None
        self.value: str | None = None


class Renewable:
    """Created by one thread at a time while the others wait for the result; renewed ``early`` seconds before its end.
    ``make`` must end in time.

    ``make`` returns the value and the seconds for which it is valid.
    """

    def __init__(self, make: Callable[[], tuple[str, float]], early: float) -> None:
        self._make = make
        self._early = early
        self._lock = Lock(Rank.TOKEN)
        self._value: str | None = None
        self._renew_at = self._ends_at = 0.0
        self._renewal: _Renewal | None = None

    @property
    def waiting(self) -> int:
        """Number of callers that wait for a new value from another caller."""
        renewal = self._renewal
        return 0 if renewal is None else renewal.waiting

    def get(self) -> str:
        """Return the value. A failed renewal does no harm while the old value is valid."""
        with self._lock:
            if self._value is not None and time.monotonic() < self._renew_at:
                return self._value
            renewal = self._renewal
            # The thread of the parent process does not exist here.
            is_mine = renewal is None or renewal.process != os.getpid()
            if renewal is None or is_mine:
                renewal = self._renewal = _Renewal()
            else:
                renewal.waiting += 1
        if is_mine:
            self._renew(renewal)
        else:
            renewal.is_done.wait()
        if renewal.value is not None:
            return renewal.value
        assert renewal.error is not None
        raise renewal.error

    def forget(self, value: str | None) -> None:
        """Create a new value next time, if ``value`` is the current one: another thread may have renewed it
        meanwhile."""
        with self._lock:
            if self._value == value:
                self._value = None

    def _renew(self, renewal: _Renewal) -> None:
        asked_at = time.monotonic()
        try:
            value, seconds = self._make()
            with self._lock:
                self._value, self._ends_at = value, asked_at + seconds
                # A value that lives less than twice the margin would otherwise be renewed all the time.
                self._renew_at = self._ends_at - min(self._early, seconds / 2)
            renewal.value = value
        except BaseException as error:
            renewal.error = error
            if isinstance(error, SMTPError) and self._value is not None and time.monotonic() < self._ends_at:
                renewal.value = self._value
        finally:
            with self._lock:
                self._renewal = None
            renewal.is_done.set()
