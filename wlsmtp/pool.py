"""Connections lent to one sender at a time, kept for the next one, and replaced when they are old, tired or dead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, DeadlineExceeded, Stage

if TYPE_CHECKING:
    from wlsmtp.config import PoolLimits
    from wlsmtp.io.base import IO
    from wlsmtp.smtp.conversation import Connection
    from wlsmtp.smtp.deadlines import Deadlines


class Pool:
    """Never more than ``max_connections`` open; whoever comes then waits for one to be given back."""

    def __init__(self, io: IO, limits: PoolLimits, connect: Callable[[Deadlines], Awaitable[Connection]]) -> None:
        self._io = io
        self._limits = limits
        self._connect = connect
        self._idle: list[Connection] = []
        self._open = 0
        self._is_closed = False
        self._changed = io.condition()

    async def acquire(self, deadlines: Deadlines) -> Connection:
        """A connection that is ready, kept or new. Every one must come back through ``release``."""
        tired: list[Connection] = []
        async with self._changed():
            connection = await self._wait_for_place(tired, deadlines)
        try:
            for old in tired:
                await old.quit(deadlines)
            return connection or await self._connect(deadlines)
        except BaseException:
            if connection is not None:
                connection.link.end("interrupted")
            await self._give_up_place()
            raise

    async def release(self, connection: Connection, deadlines: Deadlines) -> None:
        """Take a connection back; one that cannot be used again is closed."""
        if self._is_closed or not connection.link.is_usable or self._is_worn(connection):
            await self.retire(connection, deadlines)
            return
        connection.was_kept, connection.idle_since = True, self._io.now()
        async with self._changed():
            self._idle.append(connection)
            self._changed.notify_all()

    async def retire(self, connection: Connection, deadlines: Deadlines) -> None:
        """Close a lent connection."""
        try:
            await connection.quit(deadlines)
        finally:
            await self._give_up_place()

    async def discard(self, connection: Connection, reason: str) -> None:
        """Drop a lent connection at once, because nobody knows any more which reply would come next."""
        connection.link.end(reason)
        await self._give_up_place()

    async def open(self) -> None:
        """Lend again after ``close``."""
        self._is_closed = False

    async def close(self, deadlines: Deadlines) -> None:
        """Lend no more, close what is idle, and wait for what is lent, so that mail on its way is finished."""
        async with self._changed():
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._open -= len(idle)
            self._changed.notify_all()
        for connection in idle:
            await connection.quit(deadlines)
        async with self._changed():
            try:
                while self._open > 0:
                    await self._changed.wait(deadlines.end)
            except TimeoutError:
                return

    async def _wait_for_place(self, tired: list[Connection], deadlines: Deadlines) -> Connection | None:
        """A kept connection, or None for the right to open one. Those that have had their time go to ``tired``."""
        while True:
            if self._is_closed:
                raise closed_error()
            while self._idle:
                connection = self._idle.pop()
                if self._is_fit(connection):
                    return connection
                tired.append(connection)
                self._open -= 1
            if self._open < self._limits.max_connections:
                self._open += 1
                return None
            try:
                await self._changed.wait(deadlines.end)
            except TimeoutError as error:
                words = f"None of the {self._limits.max_connections} connections became free in time"
                hint = "Allow more with PoolLimits(max_connections=…), or more time with timeout=…"
                raise DeadlineExceeded(words, stage=Stage.CONNECT, hint=hint) from error

    async def _give_up_place(self) -> None:
        async with self._changed():
            self._open -= 1
            self._changed.notify_all()

    def _is_fit(self, connection: Connection) -> bool:
        """A server that has hung up, or wants to say something, shows on the socket without a round trip."""
        limit = self._limits.idle_timeout
        is_stale = limit is not None and self._io.now() - connection.idle_since > limit
        return not (is_stale or self._is_worn(connection) or connection.link.stream.has_input())

    def _is_worn(self, connection: Connection) -> bool:
        count, age = self._limits.max_messages, self._limits.max_age
        is_old = age is not None and self._io.now() - connection.opened_at > age
        return is_old or (count is not None and connection.messages >= count)


def closed_error() -> ConnectionFailed:
    """The answer to a send after ``close``."""
    error = ConnectionFailed("The session is closed", stage=Stage.CONNECT, hint="Call open() to use it again")
    error.is_lasting = True
    return error
