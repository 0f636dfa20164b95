"""What rooms above ``io`` need of threads: values that each thread has for itself, and a lock."""

from __future__ import annotations

import threading
from contextlib import suppress
from threading import local

from wlsmtp.io.order import Rank, order
from wlsmtp.io.place import Kept, this_process

ThreadLocal = local


class Lock:
    """A lock of threads for moments. A forked child has one of its own: who held the parent's is not there."""

    def __init__(self, rank: Rank | None) -> None:
        """None is for one that stands outside of all others, around whole calls of a session."""
        self._rank = rank
        self._locks = Kept(this_process, lambda _: threading.Lock())

    def acquire(self, timeout: float) -> bool:
        """Hold it; False when it was not free within ``timeout`` seconds."""
        return self._locks.get().acquire(timeout=timeout)

    def release(self) -> None:
        """Let go of it; without effect in a child that was forked while it was held."""
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


__all__ = ["Lock", "ThreadLocal"]
