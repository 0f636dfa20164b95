"""A clock that can leap, so that no test waits for time to pass."""

from __future__ import annotations

import time

import pytest

from wlsmtp.io.blocking import BlockingIO


class Clock:
    """The clock of both worlds, for the duration of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        real = time.monotonic

        def now() -> float:
            return real() + self._ahead

        self.now = now
        monkeypatch.setattr(time, "monotonic", now)
        monkeypatch.setattr(BlockingIO, "now", staticmethod(now))

    def leap(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._ahead += seconds
