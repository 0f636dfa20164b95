"""Checks whether a socket can be read or written, without reading or writing."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable


class Readable:
    """Checks whether one socket can be read. This is done for every reply, so the socket is registered with the system
    once."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows has none
        if self._poll is not None:
            self._poll.register(sock.fileno(), select.POLLIN)

    def within(self, seconds: float) -> bool:
        """Wait ``seconds`` at most; return whether a read would return at once, with bytes, the end, or an error."""
        fileno = self._socket.fileno()
        if self._poll is None or fileno < 0:  # the descriptor of a closed socket may belong to another one by now
            return wait_until_ready(fileno, seconds)[0]
        try:
            return bool(self._poll.poll(seconds * 1000))
        except RuntimeError:  # another thread is checking
            return wait_until_ready(fileno, seconds)[0]


def wait_until_ready(fileno: int, seconds: float, *, reading: bool = True, writing: bool = False) -> tuple[bool, bool]:
    """Wait ``seconds`` at most until a read, or a write, would return at once; return which of the two would."""
    if fileno < 0:
        return reading, writing  # closed: both fail at once
    if not hasattr(select, "poll"):  # Windows
        watched = [fileno]
        readable, writable, broken = select.select(watched * reading, watched * writing, watched * writing, seconds)
        return bool(readable), bool(writable or broken)
    poll = select.poll()
    poll.register(fileno, select.POLLIN * reading | select.POLLOUT * writing)
    for _, events in poll.poll(seconds * 1000):
        failed = bool(events & (select.POLLERR | select.POLLHUP | select.POLLNVAL))
        return bool(events & select.POLLIN) or (failed and reading), bool(events & select.POLLOUT) or (
            failed and writing
        )
    return False, False


yield_processor: Callable[[], None] = getattr(os, "sched_yield", lambda: time.sleep(0))  # Windows has no sched_yield
"""Let others run that wait for a processor; return at once if there are none."""
