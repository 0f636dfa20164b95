"""Replies that tell the test when the server has come to them, and wait for its word: nobody sleeps to be right."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from wlsmtp.testing import SILENCE


class Reached:
    """No reply; ``event`` is set once the server should give one."""

    def __init__(self, then: str = SILENCE) -> None:
        self.event = threading.Event()
        self._then = then

    def __iter__(self) -> Iterator[str]:
        self.event.set()
        yield self._then


class Gate(Reached):
    """``reply``, once ``opened`` is set."""

    def __init__(self, reply: str) -> None:
        super().__init__()
        self.opened = threading.Event()
        self._reply = reply

    def __iter__(self) -> Iterator[str]:
        self.event.set()
        assert self.opened.wait(30)
        yield self._reply
