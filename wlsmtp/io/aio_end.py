"""Closes connections when their event loop ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet


class _Connection(Protocol):
    def abort(self) -> None: ...


class _End:
    """The connections of one event loop. ``asyncio.run`` and its like close suspended generators as the last step
    before they close the loop. A suspended generator therefore closes what is still open, which nobody could do
    later."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.open: WeakSet[_Connection] = WeakSet()
        self._waiting = self._wait()
        with suppress(StopIteration):
            self._waiting.__anext__().send(None)

    async def _wait(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            _ends.pop(self._loop, None)
            for connection in tuple(self.open):
                connection.abort()
            await asyncio.sleep(0)  # for asyncio to close the sockets


_ends: dict[asyncio.AbstractEventLoop, _End] = {}


def close_with_loop(connection: _Connection) -> None:
    """Close a connection when the running loop ends normally, unless it was closed before."""
    loop = asyncio.get_running_loop()
    end = _ends.get(loop)
    if end is None:
        for closed in [other for other in tuple(_ends) if other.is_closed()]:
            _ends.pop(closed, None)
        end = _ends[loop] = _End(loop)
    end.open.add(connection)
