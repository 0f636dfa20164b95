"""Runs the core's coroutines over blocking I/O. It imports nothing that does I/O."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Releasable(Protocol):
    """A condition."""

    def release(self) -> None:
        """Release it if this thread still holds it."""
        ...


class Held(threading.local):
    """The conditions that this thread holds, or was about to acquire or release when it was interrupted."""

    def __init__(self) -> None:
        self.locks: list[Releasable] = []


held: Held = Held()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a core coroutine to its end: over blocking I/O it never suspends, so one step does it.

    A signal handler may raise anywhere in the main thread, even right after a lock was taken or before it is released.
    Conditions that are still held at the end are released here, or all other threads would wait for them for ever.
    """
    before = len(held.locks)
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    except BaseException:
        while len(held.locks) > before:
            held.locks.pop().release()
        raise
    coroutine.close()
    raise RuntimeError("a coroutine suspended over blocking I/O")


def advance(generator: AsyncGenerator[T, None], abandoned: deque[AsyncGenerator[Any, None]]) -> T:
    """Return the next value of ``generator``. Raises ``StopAsyncIteration`` at its end.

    The garbage collector may run in any thread, under any lock. The generator, and those first used inside it, are
    therefore not closed by it. They are kept in ``abandoned`` for the next caller of the session.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, abandoned.append)
    try:
        return run(_next(generator))
    finally:
        sys.set_asyncgen_hooks(*hooks)


async def _next(generator: AsyncGenerator[T, None]) -> T:
    return await anext(generator)
