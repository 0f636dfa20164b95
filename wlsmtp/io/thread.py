"""Thread primitives for packages above ``io``: thread-local values, and a lock."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from threading import local

from wlsmtp.io.order import Rank, order
from wlsmtp.io.place import Kept, this_process

ThreadLocal = local


START_TIMEOUT = 10.0
"""Seconds to wait for the first step of a thread."""


class _Started(threading.Event):
    """What ``Thread.start`` waits for, with a time limit: in Python 3.11 an exception that was set for a thread, as the
    time limits of Dramatiq are, may end the thread that it is just starting, and ``start`` would wait for ever."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(START_TIMEOUT if timeout is None else timeout)


def start_thread(thread: threading.Thread) -> None:
    """Start a thread. Raises ``RuntimeError`` if that is impossible, also while the interpreter is being torn down, as
    by ``__del__`` at its end: no other thread runs then, and older versions would wait for it for ever."""
    if sys.is_finalizing():
        raise RuntimeError("can't start a new thread at the end of the interpreter")
    if sys.version_info < (3, 12):
        thread._started = _Started()  # type: ignore[attr-defined]
    thread.start()
    if thread.ident is None:
        raise RuntimeError("the new thread was ended before its first step")


class Lock:
    """A lock of threads for short critical sections. A forked child has its own: the holder of the parent's does not
    exist there."""

    def __init__(self, rank: Rank | None) -> None:
        """``None`` is for a lock outside all others, around whole calls of a session."""
        self._rank = rank
        self._locks = Kept(this_process, lambda _: threading.Lock())

    def acquire(self, timeout: float) -> bool:
        """Acquire it; return False if it was not free within ``timeout`` seconds."""
        return self._locks.get().acquire(timeout=timeout)

    def release(self) -> None:
        """Release it; without effect in a child that was forked while it was held."""
        with suppress(RuntimeError):
            self._locks.get().release()

    def __enter__(self) -> None:
        if order.is_checked and self._rank is not None:
            order.take(threading.get_ident(), self._rank)
        self._locks.get().acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
        if order.is_checked and self._rank is not None:
            order.leave(threading.get_ident(), self._rank)


__all__ = ["Lock", "ThreadLocal", "start_thread"]
