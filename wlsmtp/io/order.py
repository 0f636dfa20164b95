"""The order of locks, and a check of it for tests.

The holder of a lock may acquire only those that stand further down. Two threads can then never wait for each other.
While a mutex is held, nothing waits at all: no I/O, no condition, no ``await`` that could suspend.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from enum import IntEnum


class Rank(IntEnum):
    """The locks, from the outermost to the innermost. Those up to ``WINDOW_CHANGED`` are conditions, whose holders may
    wait; the others are mutexes."""

    PROGRESS = 1
    """Something in the outbox has changed."""
    ROOM = 2
    """One message of the outbox has changed."""
    OPENING = 3
    """The outbox is being opened."""
    WORKER_CHANGED = 4
    """The worker of the outbox was notified."""
    CREW = 5
    """Several streams pass on their results."""
    TURN = 6
    """A stream was reclaimed, and its reader may go on."""
    POOL_CHANGED = 7
    """A connection was returned to the pool."""
    LOGIN = 8
    """A login succeeded or failed."""
    WINDOW_CHANGED = 9
    """Messages were answered."""
    SPOOLER = 10
    """The current worker."""
    LIFE = 11
    """The state of a worker."""
    STREAM = 12
    """The state of a stream."""
    POOL = 13
    """The connections and their states."""
    WINDOW = 14
    """The messages in flight over a connection."""
    OUTBOX = 15
    """The messages of an outbox in memory."""
    SESSIONS = 16
    """The sessions of the WLanguage facade by their names."""
    PACE = 17
    """The time of the next message."""
    TLS_SESSIONS = 18
    """The TLS sessions that may be resumed."""
    TOKEN = 19
    """A token, and its renewal."""
    DATABASE = 20
    """The file of an outbox is in use."""
    FILES = 21
    """The files that are open in SQLite. The last of all, as a finalizer acquires it when it is free, whatever is
    held."""

    @property
    def is_mutex(self) -> bool:
        """True if nothing may wait while it is held."""
        return self > Rank.WINDOW_CHANGED


class Order:
    """Tracks which lock is held by whom. A violation is an ``AssertionError`` where it happens, whatever other threads
    do."""

    def __init__(self) -> None:
        self.is_checked = False
        """True if locks created from now on are checked."""
        self._held: dict[Hashable, list[Rank]] = {}

    def take(self, caller: Hashable, rank: Rank) -> None:
        """Note that ``caller`` is about to acquire a lock."""
        held = self._held.setdefault(caller, [])
        if held and max(held) >= rank:
            names = ", ".join(one.name for one in held)
            raise AssertionError(f"{rank.name} is taken by who holds {names}: see wlsmtp/io/order.py")
        held.append(rank)

    def leave(self, caller: Hashable, rank: Rank) -> None:
        """Note that ``caller`` has released a lock."""
        held = self._held.get(caller, [])
        if rank in held:
            held.remove(rank)
        if not held:
            self._held.pop(caller, None)

    def forget(self) -> None:
        """Forget everything: a forked child has none of its parent's threads, and new ones may have their names."""
        self._held.clear()

    def wait(self, caller: Hashable, rank: Rank | None = None) -> None:
        """Note that ``caller`` is about to wait: for a condition of this rank, which it holds, or for something
        else."""
        wrong = [one for one in self._held.get(caller, []) if one is not rank and (rank is not None or one.is_mutex)]
        if wrong:
            raise AssertionError(f"something waits under {', '.join(one.name for one in wrong)}")


order: Order = Order()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=order.forget)


class CheckedMutex:
    """A mutex that knows its rank."""

    def __init__(
        self, rank: Rank, caller: Callable[[], Hashable], lock: AbstractContextManager[object] | None = None
    ) -> None:
        """Without a ``lock``, nobody else may even try to acquire it while it is held, as in asyncio."""
        self._rank = rank
        self._caller = caller
        self._lock = lock if lock is not None else nullcontext()
        self._is_exclusive = lock is None
        self._is_held = False

    def __enter__(self) -> None:
        if self._is_exclusive and self._is_held:
            raise AssertionError(f"another task waits while it holds {self._rank.name}")
        order.take(self._caller(), self._rank)
        self._lock.__enter__()
        self._is_held = True

    def __exit__(self, *_: object) -> None:
        self._is_held = False
        self._lock.__exit__(None, None, None)
        order.leave(self._caller(), self._rank)
