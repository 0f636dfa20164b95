"""Whether a socket can be read or written, without reading or writing it."""

from __future__ import annotations

import os
import select
import time


def is_readable(fileno: int) -> bool:
    """Whether a read would return at once, be it with bytes, the end, or an error."""
    return wait_until_ready(fileno, 0.0)[0]


def wait_until_ready(fileno: int, seconds: float, *, reading: bool = True, writing: bool = False) -> tuple[bool, bool]:
    """Wait ``seconds`` at most until a read, or a write, would return at once; say which of the two would."""
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


def yield_processor() -> None:
    """Let others run who wait for a processor; return at once when nobody does."""
    if hasattr(os, "sched_yield"):
        os.sched_yield()
    else:  # Windows
        time.sleep(0)
