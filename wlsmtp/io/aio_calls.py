"""Lets other threads call a coroutine function of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from wlsmtp.errors import ConfigError, Stage

T = TypeVar("T")

LONGEST_WAIT = 5.0
"""Seconds that a thread waits for an event loop that is busy."""


def from_any_thread(function: Callable[[], Coroutine[Any, Any, T]]) -> Callable[[], T | None]:
    """Return a function that any thread may call for the result of ``function``, which runs in the current event loop.

    In the thread of that loop nothing can be waited for: there it returns the result of the call before, and asks for
    the next one. It returns None without a result: at first, after the loop has ended, and when the loop was busy
    for ``LONGEST_WAIT`` seconds. Raises ``ConfigError`` outside of an event loop.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        hint = "Call it in a coroutine, in the event loop of the AsyncSMTPSession"
        raise ConfigError("There is no running event loop", stage=Stage.SETTINGS, hint=hint) from None
    latest: list[T] = []
    tasks = set[asyncio.Task[T]]()

    async def refresh() -> T:
        latest[:] = [await function()]
        return latest[0]

    def call() -> T | None:
        if loop.is_closed() or not loop.is_running():
            return None
        if asyncio._get_running_loop() is loop:
            task = loop.create_task(refresh())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            return latest[0] if latest else None
        future = asyncio.run_coroutine_threadsafe(refresh(), loop)
        try:
            return future.result(LONGEST_WAIT)
        except TimeoutError:  # of the wait, or of the outbox
            if future.done():
                raise
            if not loop.is_closed():
                future.cancel()
            return None

    return call
