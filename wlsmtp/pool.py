"""Connections lent to senders: kept, shared when there are no more, and replaced when they are old, tired or dead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, DeadlineExceeded, SMTPError, Stage
from wlsmtp.smtp.judge import names_connections

if TYPE_CHECKING:
    from wlsmtp.config import PoolLimits
    from wlsmtp.io.base import IO
    from wlsmtp.smtp.connection import Connection
    from wlsmtp.smtp.deadlines import Deadlines

GROWTH = 50
"""Messages that must go well before one more connection is allowed, after the server had said that there are too
many."""
LOOKS = 1.0
"""Seconds after which who waits looks again, unasked: what is given back by the garbage collector, in this very thread,
may be given back just before it begins to wait."""


@dataclass(slots=True)
class PoolStatistics:
    """Counts of connections."""

    opened: int = 0
    """Since the session was made."""
    resumed: int = 0
    """Of those, the ones that went on with the TLS session of an earlier one."""
    lost: int = 0
    """Of those, the ones that ended in any other way than by QUIT."""
    open: int = 0
    idle: int = 0
    allowed: int = 0
    """How many may be open now."""


class Pool:
    """Never more than ``max_connections`` open. Who comes then shares one that has room, or waits."""

    def __init__(
        self,
        io: IO,
        limits: PoolLimits,
        connect: Callable[[Deadlines], Awaitable[Connection]],
        make_room: Callable[[], Awaitable[None]],
        *,
        is_closed: bool = False,
    ) -> None:
        """``make_room`` is awaited before somebody waits. A pool belongs to the place where it is made."""
        self._io = io
        self._limits = limits
        self._connect = connect
        self._make_room = make_room
        self.waiting = 0
        """How many wait for a connection."""
        self._idle: list[Connection] = []
        self._shared: list[Connection] = []
        self._is_closed = is_closed
        self._home = io.here()
        # A stream that nobody reads to its end gives its connection back when it is collected: in any place.
        self._mutex = io.mutex(reentrant=True)
        self._changed = io.condition()
        self._sleepers = 0
        """How many wait for a change. They look again once they are counted here, so that none is missed."""
        self._successes = 0
        self._leaving: set[Connection] = set()
        """Open ones that carry no other message, as they are too many: no other one need be closed for them."""
        self.statistics = PoolStatistics(allowed=limits.max_connections)

    async def acquire(
        self, deadlines: Deadlines, *, size: int | None = None, opened_after: float | None = None
    ) -> Connection:
        """A connection that is ready, kept or new; with ``size``, the octets of a message that may share it, perhaps
        one that others use. Kept ones that were opened before ``opened_after`` are not used: another one of that age
        has just turned out to be dead. Every connection must come back through ``release``."""
        tired: list[Connection] = []
        connection: Connection | None = None
        has_place = False
        try:
            has_place, connection = self._look_for_place(tired, size, opened_after)
            while tired:
                await tired.pop().quit(deadlines)
            if not has_place:
                connection = await self._wait_for_place(tired, deadlines, size, opened_after)
                has_place = True
            while connection is None:
                connection = await self._open_another(deadlines)
                if connection is not None:
                    await self._lend(connection, shared=size is not None)
                    break
                has_place = False
                connection = await self._wait_for_place(tired, deadlines, size, opened_after)
                has_place = True
        except BaseException:
            for old in tired:
                await old.link.close()
            if connection is not None:
                await self.release(connection, deadlines, reason="interrupted")
            elif has_place:
                await self._give_up_place()
            raise
        return connection

    async def release(self, connection: Connection, deadlines: Deadlines, *, reason: str | None = None) -> None:
        """Take a connection back. One that cannot be used again is closed once nobody uses it; ``reason`` says that
        nobody knows any more which reply would come next."""
        if self.is_elsewhere:  # a generator ends in a forked child, say
            await connection.link.stream.close()
            return
        try:
            if reason is not None:
                connection.link.end(reason)
        finally:
            with self._mutex:
                is_over = self._take_back(connection)
            if is_over:
                await self._end(connection, deadlines)
            elif self._sleepers:
                await self._wake()

    def _take_back(self, connection: Connection) -> bool:
        """Keep a connection that nobody uses any more; return whether it is to be closed."""
        connection.users -= 1
        if connection.users > 0:
            return False
        if connection in self._shared:
            self._shared.remove(connection)
        if self._is_closed or not connection.is_reusable or self.is_worn(connection):
            return True
        if self._has_too_many:
            return True
        connection.keep(self._io.now())
        self._idle.append(connection)
        return False

    async def open(self) -> None:
        """Lend again after ``close``."""
        self._is_closed = False

    async def close(self, deadlines: Deadlines) -> None:
        """Lend no more, close what is idle, and wait for what is lent, so that mail on its way is finished."""
        with self._mutex:
            self._is_closed = True
            for connection in self._shared:
                connection.retire()
            idle, self._idle = self._idle, []
            self.statistics.open -= len(idle)
        await self._wake()
        for connection in idle:
            await connection.quit(deadlines)
        async with self._changed:
            self._sleepers += 1
            try:
                while self.statistics.open > 0:
                    await self._wait_a_while(deadlines)
            except TimeoutError:
                return
            finally:
                self._sleepers -= 1

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is the pool of another process or event loop, of which only ``forget`` and ``release`` can be used
        here."""
        here = self._io.here()
        return here is not self._home and here != self._home

    def check_place(self, what: str) -> None:
        """Raise ``ConfigError`` for ``what`` has begun elsewhere, with connections of this pool."""
        if self.is_elsewhere:
            raise self._home.error(what)

    def forget(self) -> PoolStatistics:
        """Let go of the connections of a place that is gone, without a word to the server; return the counts. No lock
        is held, as those of a parent may be held for ever."""
        for connection in (*self._idle, *self._shared):
            connection.link.stream.abort()
        return self.count()

    @property
    def has_others(self) -> bool:
        """Whether more than one connection is open, or on the way to be."""
        return self.statistics.open > 1

    @property
    def _has_too_many(self) -> bool:
        return self.statistics.open - len(self._leaving) > self.statistics.allowed

    def shrink(self, connection: Connection | None = None) -> None:
        """The server has said that there are too many connections, or too much mail at once: one connection less. That
        it says so of each message of one ``connection`` counts once."""
        with self._mutex:
            if connection is not None and connection.is_one_too_many:
                return
            if connection is not None:
                connection.is_one_too_many = True
                if connection.is_spent:
                    self._leaving.add(connection)
            self._successes = 0
            self.statistics.allowed = max(1, min(self.statistics.allowed, self.statistics.open) - 1)

    def succeeded(self, count: int = 1) -> None:
        """Messages went well: after enough of them there may be one more connection again."""
        if self.statistics.allowed == self._limits.max_connections:
            return
        self._successes += count
        if self._successes >= GROWTH:
            self._successes = 0
            self.statistics.allowed += 1

    def count(self) -> PoolStatistics:
        """The counts of now."""
        self.statistics.idle = len(self._idle)
        return self.statistics

    def is_worn(self, connection: Connection) -> bool:
        """Whether it has had its messages, or its time."""
        age = self._limits.max_age
        return connection.is_spent or (age is not None and self._io.now() - connection.opened_at > age)

    async def _open_another(self, deadlines: Deadlines) -> Connection | None:
        """A new connection; None, and the place is given up, when the server refuses it for now while others are open:
        one of those will do. Raises the error when there is none to wait for."""
        try:
            connection = await self._connect(deadlines)
        except SMTPError as error:
            if error.reply is None or not error.temporary:
                raise
            with self._mutex:
                has_others = self.has_others
                if has_others or names_connections(error.reply):
                    self.shrink()
            if not has_others:
                raise
            await self._give_up_place()
            return None
        connection.users = 1
        self.statistics.opened += 1
        self.statistics.resumed += connection.info.tls is not None and connection.info.tls.resumed
        return connection

    async def _lend(self, connection: Connection, *, shared: bool) -> None:
        if not shared:
            return
        with self._mutex:
            self._shared.append(connection)
        await self._wake()

    def _look_for_place(
        self, tired: list[Connection], size: int | None, opened_after: float | None
    ) -> tuple[bool, Connection | None]:
        """Whether there is one, and the connection; None for the right to open one. Those that have had their time go
        to ``tired``."""
        with self._mutex:
            if self._is_closed:
                raise closed_error()
            if (kept := self._take_idle(tired, opened_after)) is not None:
                kept.users = 1
                kept.resume(self._io.now())
                if size is not None:
                    self._shared.append(kept)
                return True, kept
            if self.statistics.open < self.statistics.allowed:
                self.statistics.open += 1
                return True, None
            # The search may set the garbage collector off, and that give back the very one that was found.
            if size is not None and (shared := self._roomiest(size)) is not None and shared in self._shared:
                shared.users += 1
                return True, shared
            return False, None

    async def _wait_for_place(
        self, tired: list[Connection], deadlines: Deadlines, size: int | None, opened_after: float | None
    ) -> Connection | None:
        self._count_waiting(1)
        try:
            while True:
                # Nothing is held meanwhile: it may start threads.
                await self._make_room()
                async with self._changed:
                    has_place, connection = await self._look_again(tired, deadlines, size, opened_after)
                while tired:
                    await tired.pop().quit(deadlines)
                if has_place:
                    return connection
        except TimeoutError as error:
            words = f"None of the {self._limits.max_connections} connections became free in time"
            hint = "Allow more with PoolLimits(max_connections=…), or more time with timeout=…"
            raise DeadlineExceeded(words, stage=Stage.CONNECT, hint=hint) from error
        finally:
            self._count_waiting(-1)

    async def _look_again(
        self, tired: list[Connection], deadlines: Deadlines, size: int | None, opened_after: float | None
    ) -> tuple[bool, Connection | None]:
        """What there is now or, if that is nothing, once something has changed, or after a while."""
        self._sleepers += 1
        try:
            found = self._look_for_place(tired, size, opened_after)
            if not found[0]:
                await self._wait_a_while(deadlines)
                found = self._look_for_place(tired, size, opened_after)
            return found
        finally:
            self._sleepers -= 1

    async def _wait_a_while(self, deadlines: Deadlines) -> None:
        """Until something has changed, or it is time to look again. Raises ``TimeoutError`` at the deadline."""
        soon = self._io.now() + LOOKS
        try:
            await self._changed.wait(min(soon, deadlines.end))
        except TimeoutError:
            if soon >= deadlines.end:
                raise

    def _count_waiting(self, difference: int) -> None:
        with self._mutex:
            self.waiting += difference

    async def _wake(self) -> None:
        if self._sleepers:
            async with self._changed:
                self._changed.notify_all()

    def _take_idle(self, tired: list[Connection], opened_after: float | None) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            is_new_enough = opened_after is None or connection.opened_at > opened_after
            if is_new_enough and not self._has_too_many and self._is_fit(connection):
                return connection
            tired.append(connection)
            self.statistics.open -= 1
        return None

    def _roomiest(self, size: int) -> Connection | None:
        with_room = [one for one in self._shared if not self.is_worn(one) and one.has_room(size)]
        return min(with_room, key=lambda connection: connection.users, default=None)

    async def _end(self, connection: Connection, deadlines: Deadlines) -> None:
        if connection.link.ended:
            self.statistics.lost += 1
        try:
            await connection.quit(deadlines)
        finally:
            self._leaving.discard(connection)
            await self._give_up_place()

    async def _give_up_place(self) -> None:
        with self._mutex:
            self.statistics.open -= 1
        await self._wake()

    def _is_fit(self, connection: Connection) -> bool:
        """A server that has hung up, or wants to say something, shows on the socket without a round trip."""
        limit = self._limits.idle_timeout
        is_stale = limit is not None and self._io.now() - connection.idle_since > limit
        return not (is_stale or self.is_worn(connection) or connection.link.stream.has_input())


def closed_error() -> ConnectionFailed:
    """The answer to a send after ``close``."""
    error = ConnectionFailed("The session is closed", stage=Stage.CONNECT, hint="Call open() to use it again")
    error.is_lasting = True
    return error
