"""Thread primitives for packages above ``io``: thread-local values, and a lock."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from threading import local

from wlsmtp.io.order import Rank, order
from wlsmtp.io.place import Kept, this_process

ThreadLocal = local


def check_threads() -> None:
    """Raise ``RuntimeError`` if the interpreter is being torn down, as by ``__del__`` at its end: the start of a thread
    would wait for ever, as no other thread runs any more. Newer versions say so themselves."""
    if sys.is_finalizing():
        raise RuntimeError("can't start a new thread at the end of the interpreter")


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


__all__ = ["Lock", "ThreadLocal", "check_threads"]
