"""Server-sent events: each open page hears of each message at once, also of those that another process stores."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

from wlsmtp.inbox import shapes
from wlsmtp.inbox.store import Store

MAX_LISTENERS = 64
HEARTBEAT = 15.0
"""Seconds between two comments that keep a silent connection open."""
LOOK_AT_FILE = 0.1
"""Seconds between two looks at a file that other processes may have written to."""
BURST = 50
"""Messages that are reported one by one; for more, the page is asked to reload the list."""


class Events:
    """Those who listen to a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners = 0
        self._closed = False

    def close(self) -> None:
        """End all streams, so that a server can stop."""
        self._closed = True

    @property
    def is_full(self) -> bool:
        """True if there is no room for one more."""
        return self._listeners >= MAX_LISTENERS

    async def stream(self) -> AsyncIterator[bytes]:
        """The events from now on, until the client goes."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        unsubscribe = self._store.subscribe(partial(_wake, loop, changed))
        self._listeners += 1
        try:
            last = entry.number if (entry := self._store.get("latest")) else 0
            seen, silent = self._store.revision(), 0.0
            yield b"retry: 1000\nevent: ready\ndata: {}\n\n"
            while not (self._closed or _server_stops()):
                step = LOOK_AT_FILE if self._store.path is not None else 0.5
                try:
                    await asyncio.wait_for(changed.wait(), step)
                except TimeoutError:
                    silent += step
                    if silent >= HEARTBEAT:
                        silent = 0.0
                        yield b": still here\n\n"
                changed.clear()
                if (now := await asyncio.to_thread(self._store.revision)) != seen:
                    seen, silent = now, 0.0
                    text, last = await asyncio.to_thread(self._news, last)
                    yield text
        finally:
            self._listeners -= 1
            unsubscribe()

    def _news(self, last: int) -> tuple[bytes, int]:
        """What happened behind message ``last``."""
        entries = self._store.after(last, BURST + 1)
        totals = self._store.totals()
        told = {"total": totals.messages, "unread": totals.unread, "dropped": totals.dropped}
        if not entries or len(entries) > BURST:
            newest = self._store.get("latest")
            return _event("changed", told), newest.number if newest else last
        messages = [_event("message", told | {"message": shapes.item(entry)}) for entry in entries]
        return b"".join(messages), entries[-1].number


def _server_stops() -> bool:
    """True once uvicorn, with which this may be mounted, was told to stop. It waits for open streams without a word to
    them; its signal handler is a method of the server."""
    server = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    return getattr(server, "should_exit", False) is True


def _wake(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(changed.set)


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
