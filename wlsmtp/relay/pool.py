"""A connection pool: connections are kept, shared when the limit is reached, and replaced when they are old, used up or
dead.

A connection that is no longer wanted is sent QUIT at once, and its reply is read later: no message waits for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, DeadlineExceeded, SMTPError, Stage
from wlsmtp.io.order import Rank
from wlsmtp.relay.loan import Loan
from wlsmtp.results.statistics import PoolStatistics
from wlsmtp.smtp.connection import ConnectionState
from wlsmtp.smtp.judge import names_connections

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.settings.limits import PoolLimits
    from wlsmtp.smtp.connection import Connection
    from wlsmtp.smtp.deadlines import Deadlines

GROWTH = 50
"""Messages that must succeed before one more connection is allowed, after the server said that there are too many."""
LOOKS = 1.0
"""Seconds after which a waiting caller checks again without being notified."""
PATIENCE = 5.0
"""Seconds for one more connection to become ready, or three times what the slowest took. A server at its limit may
accept the next connection and not greet it."""


class Pool:
    """Holds at most ``max_connections`` open connections. Beyond that, callers share one that has room, or wait."""

    def __init__(
        self,
        io: IO,
        limits: PoolLimits,
        connect: Callable[[Deadlines], Awaitable[Connection]],
        make_room: Callable[[], Awaitable[None]],
        *,
        is_closed: bool = False,
    ) -> None:
        """``make_room`` is awaited before a caller waits. A pool belongs to the process and event loop that made it."""
        self._io = io
        self._limits = limits
        self._connect = connect
        self._make_room = make_room
        self.waiting: int = 0
        """Number of callers that wait for a connection, or for all to return."""
        self._idle: list[Connection] = []
        self._shared: list[Connection] = []
        self._quitting: deque[Connection] = deque()
        """Connections that were sent QUIT and have not answered yet."""
        self._holders: dict[Hashable, int] = {}
        """How many connections each thread or task has, or is about to have."""
        self._is_closed = is_closed
        self._closers = 0
        """Number of calls of ``close`` in progress."""
        self._home = io.here()
        self._mutex = io.mutex(Rank.POOL)
        self._changed = io.condition(Rank.POOL_CHANGED)
        self._sleepers = 0
        """Number of callers that wait for a change. They check again once they are counted here, so that none misses
        it."""
        self._successes = 0
        self._slowest = 0.0
        """The longest time in seconds that a connection took to become ready."""
        self._leaving: set[Connection] = set()
        """Open connections that accept no more messages because there are too many: no other one need be closed for
        them."""
        self.statistics: PoolStatistics = PoolStatistics(allowed=limits.max_connections)

    async def acquire(
        self, deadlines: Deadlines, *, size: int | None = None, opened_after: float | None = None
    ) -> Loan:
        """Return a lease on a ready connection, kept or new. With ``size``, the octets of a message that may share, it
        may be one that others use. Kept connections opened before ``opened_after`` are not used: another one of that
        age has just turned out to be dead. Every lease must be given to ``release``."""
        worn: list[Connection] = []
        place = Loan(size, opened_after)
        try:
            self._look_for_place(place, worn)
            if worn or self._quitting:
                await self._part_with(worn, deadlines)
            while place.connection is None:
                if not place.is_taken:
                    await self._wait_for_place(place, worn, deadlines)
                    continue
                place.connection = await self._open_another(place, deadlines)
                if place.connection is not None:
                    await self._lend(place.connection, shared=size is not None)
        except BaseException:
            for old in worn:
                await old.link.close()
            if place.connection is not None:
                await self.release(place, deadlines, reason="interrupted")
            elif place.is_taken:
                await self._give_up(place)
            raise
        return place

    def hold(self) -> Hashable:
        """Register the caller before ``acquire``; give the result to ``end_hold`` after ``release``. No thread or task
        then waits for itself."""
        caller = self._io.caller()
        self._holders[caller] = self._holders.get(caller, 0) + 1
        return caller

    def let_go(self, caller: Hashable) -> None:
        """End what ``hold`` began."""
        left = self._holders[caller] - 1
        if left:
            self._holders[caller] = left
        else:
            del self._holders[caller]

    async def release(self, loan: Loan, deadlines: Deadlines, *, reason: str | None = None) -> None:
        """Return a connection, once. An unusable one is closed when nobody uses it any more. ``reason`` says why it is
        unknown which reply would come next."""
        connection = loan.connection
        if connection is None or not loan.is_taken:
            return
        try:
            if self.is_elsewhere:  # for example, a generator that ends in a forked child
                await connection.link.stream.close()
                return
            if reason is not None:
                connection.link.end(reason)
            with self._mutex:
                if not loan.is_taken:
                    return
                connection.users -= 1
                loan.is_taken = False
                is_over = connection.users <= 0 and self._take_back(connection)
        except BaseException:
            connection.users -= loan.is_taken
            loan.is_taken = False
            await self._recover(connection)
            raise
        try:
            if is_over:
                await self._end(connection, deadlines)
            elif self._sleepers:
                await self._wake()
        finally:
            if connection.link.news:
                connection.link.tell()

    def _take_back(self, connection: Connection) -> bool:
        """Keep a connection that nobody uses any more; return whether it must be closed instead."""
        if connection in self._shared:
            self._shared.remove(connection)
        now = self._io.now()
        is_good = connection.is_reusable and not self.is_worn(connection, now)
        if self._is_closed or not is_good or self._has_too_many:
            connection.life.to(ConnectionState.ENDED)
            return True
        connection.life.to(ConnectionState.IDLE)
        connection.keep(now)
        self._idle.append(connection)
        return False

    async def _recover(self, connection: Connection) -> None:
        """Close a connection that an interrupt has left between states, and free its slot."""
        connection.link.end("interrupted")
        with self._mutex:
            if connection.users > 0:  # others still use it
                return
            for kept in (self._idle, self._shared):
                if connection in kept:
                    kept.remove(connection)
        await connection.link.close()
        await self._give_up(Loan(is_taken=True))

    def retire(self, connection: Connection) -> None:
        """Let a connection accept no more messages; it is closed when nobody uses it any more."""
        with self._mutex:
            self._retire_locked(connection)

    def _retire_locked(self, connection: Connection) -> None:
        if connection.life.is_in(ConnectionState.LENT, ConnectionState.SHARED):
            connection.life.to(ConnectionState.RETIRED)

    async def open(self) -> None:
        """Accept callers again after ``close``."""
        self._is_closed = False
        await self._wake()

    async def close(self, deadlines: Deadlines) -> None:
        """Accept no more callers, close idle connections, and wait for those in use, so that mail in flight is
        finished. Connections that the caller itself holds, as in a listener, are not waited for."""
        idle: list[Connection] = []
        is_counted = False
        try:
            with self._mutex:
                self._is_closed = is_counted = True
                self._closers += 1
                for connection in self._shared:
                    self._retire_locked(connection)
                count = len(self._idle)
                idle, self._idle = self._idle, idle
                self.statistics.open -= count  # no call since the line before, so that no interrupt comes between
                for connection in idle:
                    connection.life.to(ConnectionState.ENDED)
            await self._wake()
            await self._part_with(idle, deadlines)
            await self._until_given_back(deadlines)
        finally:
            while idle:  # interrupted
                await idle.pop().link.close()
            with self._mutex:
                self._closers -= is_counted
                quitting, self._quitting = self._quitting, deque()
            while quitting:
                await quitting.popleft().end_quit(deadlines.end)

    async def _until_given_back(self, deadlines: Deadlines) -> None:
        """Wait until all connections have returned. A stream with a connection may be parked at any time, so room is
        made repeatedly. Opening the session ends the wait."""
        caller = self._io.caller()
        self._count_waiting(1)
        try:
            while self._is_closed and self.statistics.open > self._holders.get(caller, 0):
                await self._make_room()
                async with self._changed:
                    self._sleepers += 1
                    try:
                        if self._is_closed and self.statistics.open > self._holders.get(caller, 0):
                            await self._wait_a_while(deadlines)
                    finally:
                        self._sleepers -= 1
        except TimeoutError:
            return
        finally:
            self._count_waiting(-1)

    @property
    def is_elsewhere(self) -> bool:
        """True if it is the pool of another process or event loop. Only ``forget`` and ``release`` work here then."""
        here = self._io.here()
        return here is not self._home and here != self._home

    def check_place(self, what: str) -> None:
        """Raise ``ConfigError`` if ``what`` was begun in another process or event loop, with connections of this
        pool."""
        if self.is_elsewhere:
            raise self._home.error(what)

    def forget(self) -> PoolStatistics:
        """Drop the connections of a process or event loop that is gone, without sending anything; return the counts. No
        lock is taken, as those of a parent process may be held for ever."""
        for connection in (*self._idle, *self._shared):
            connection.link.stream.abort()
        return self.count()

    @property
    def has_others(self) -> bool:
        """True if more than one connection is open or being opened."""
        return self.statistics.open > 1

    @property
    def _has_too_many(self) -> bool:
        counts = self.statistics
        return counts.open > counts.allowed and counts.open - len(self._leaving) > counts.allowed

    def shrink(self, connection: Connection | None = None) -> None:
        """Allow one connection less: the server said that there are too many, or too much mail at once. Repeated
        refusals over one ``connection`` count once."""
        with self._mutex:
            if connection is not None and connection.is_one_too_many:
                return
            if connection is not None:
                connection.is_one_too_many = True
                if connection.is_spent:
                    self._leaving.add(connection)
            self._shrink_locked()

    def _shrink_locked(self) -> None:
        self._successes = 0
        self.statistics.allowed = max(1, min(self.statistics.allowed, self.statistics.open) - 1)

    def succeeded(self, count: int = 1) -> None:
        """Count successful messages: after enough of them one more connection is allowed again."""
        if self.statistics.allowed == self._limits.max_connections:
            return
        self._successes += count
        if self._successes >= GROWTH:
            self._successes = 0
            self.statistics.allowed += 1

    def count(self) -> PoolStatistics:
        """Return the current counts."""
        self.statistics.idle = len(self._idle)
        return self.statistics

    def is_worn(self, connection: Connection, now: float) -> bool:
        """Return whether it has reached its number of messages or its age."""
        age = self._limits.max_age
        return connection.is_spent or (age is not None and now - connection.opened_at > age)

    async def _open_another(self, place: Loan, deadlines: Deadlines) -> Connection | None:
        """Open a new connection. Returns None, and frees the slot, if the server refuses it for now or sends no
        greeting while others are open: one of those will do. Raises the error if there is none to wait for."""
        await self._make_place()
        began, is_another = self._io.now(), self.has_others  # the first connection has the full time
        try:
            hurried = deadlines.within(max(PATIENCE, 3 * self._slowest)) if is_another else deadlines
            connection = await self._connect(hurried)
        except SMTPError as error:
            with self._mutex:
                has_others = self.has_others
                is_late = isinstance(error, DeadlineExceeded) and deadlines("connect") > self._io.now()
                is_stuck = is_late and (is_another or has_others)
                if not is_stuck and (error.reply is None or not error.temporary):
                    raise
                if has_others or (error.reply is not None and names_connections(error.reply)):
                    self._shrink_locked()
            if not has_others and not is_stuck:
                raise
            await self._give_up(place)
            return None
        self._slowest = max(self._slowest, self._io.now() - began)
        connection.users = 1
        self.statistics.opened += 1
        self.statistics.resumed += connection.info.tls is not None and connection.info.tls.resumed
        return connection

    async def _lend(self, connection: Connection, *, shared: bool) -> None:
        if not shared:
            return
        with self._mutex:
            connection.life.to(ConnectionState.SHARED)
            self._shared.append(connection)
        await self._wake()

    def _look_for_place(self, place: Loan, worn: list[Connection]) -> None:
        """Take a connection, or the right to open one, if there is any. Expired ones go to ``worn``. The counts and
        ``place`` change without a call between."""
        with self._mutex:
            if self._is_closed:
                raise closed_error()
            size, now = place.size, self._io.now()
            if (kept := self._next_idle(worn, place.opened_after, now)) is not None:
                place.connection, kept.users, place.is_taken = kept, 1, True
                self._idle.remove(kept)
                kept.resume(now)
                kept.life.to(ConnectionState.LENT if size is None else ConnectionState.SHARED)
                if size is not None:
                    self._shared.append(kept)
            elif self.statistics.open < self.statistics.allowed:
                self.statistics.open += 1
                place.is_taken = True
            elif size is not None and (shared := self._roomiest(size, now)) is not None:
                shared.users += 1
                place.connection, place.is_taken = shared, True

    async def _wait_for_place(self, place: Loan, worn: list[Connection], deadlines: Deadlines) -> None:
        if self._holders.get(self._io.caller(), 0) > 1:
            raise self._waits_for_itself()
        self._count_waiting(1)
        try:
            while not place.is_taken:
                # No lock is held here: this may start threads.
                await self._make_room()
                async with self._changed:
                    await self._look_again(place, worn, deadlines)
                if worn:
                    await self._part_with(worn, deadlines)
        except TimeoutError as error:
            words = f"None of the {self._limits.max_connections} connections became free in time"
            hint = "Allow more with PoolLimits(max_connections=…), or more time with timeout=…"
            raise DeadlineExceeded(words, stage=Stage.CONNECT, hint=hint) from error
        finally:
            self._count_waiting(-1)

    async def _look_again(self, place: Loan, worn: list[Connection], deadlines: Deadlines) -> None:
        """Try to acquire; if that fails, try again once something has changed or after a while."""
        self._sleepers += 1
        try:
            self._look_for_place(place, worn)
            if not place.is_taken:
                await self._wait_a_while(deadlines)
                self._look_for_place(place, worn)
        finally:
            self._sleepers -= 1

    async def _wait_a_while(self, deadlines: Deadlines) -> None:
        """Wait until something has changed or it is time to check again. Raises ``TimeoutError`` at the deadline."""
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

    def _next_idle(self, worn: list[Connection], opened_after: float | None, now: float) -> Connection | None:
        """Return the most recently used idle connection, after removing those that cannot be used."""
        while self._idle:
            connection = self._idle[-1]
            is_new_enough = opened_after is None or connection.opened_at > opened_after
            if is_new_enough and not self._has_too_many and self._is_fit(connection, now):
                return connection
            worn.append(connection)
            self.statistics.open -= 1
            self._idle.remove(connection)
            connection.life.to(ConnectionState.ENDED)
        return None

    def _roomiest(self, size: int, now: float) -> Connection | None:
        with_room = [one for one in self._shared if not self.is_worn(one, now) and one.has_room(size)]
        return min(with_room, key=lambda connection: connection.users, default=None)

    async def _end(self, connection: Connection, deadlines: Deadlines) -> None:
        if connection.link.ended:
            self.statistics.lost += 1
        try:
            await self._part_with([connection], deadlines)
        finally:
            self._leaving.discard(connection)
            await self._give_up(Loan(is_taken=True))

    async def _part_with(self, connections: list[Connection], deadlines: Deadlines) -> None:
        """Send QUIT over ``connections``, and close those that have answered it. Does not wait."""
        while connections:
            connection = connections.pop()
            if not await connection.begin_quit(deadlines):
                continue
            with self._mutex:
                has_closed = self._is_closed and not self._closers
                if not has_closed:
                    self._quitting.append(connection)
            if has_closed:
                await connection.end_quit(self._io.now())
        for _ in range(len(self._quitting)):
            with self._mutex:
                quitting = self._quitting.popleft() if self._quitting else None
                if quitting is not None and not quitting.has_answered_quit:
                    self._quitting.append(quitting)
                    quitting = None
            if quitting is not None:
                await quitting.end_quit(self._io.now())

    async def _make_place(self) -> None:
        """Before another connection is opened, close those whose reply to QUIT is missing instead of waiting for it."""
        while True:
            with self._mutex:
                is_full = self.statistics.open + len(self._quitting) > self.statistics.allowed
                quitting = self._quitting.popleft() if is_full and self._quitting else None
            if quitting is None:
                return
            await quitting.end_quit(self._io.now())

    def _waits_for_itself(self) -> ConnectionFailed:
        words = "The connections that could become free are in use by this caller"
        hint = (
            "A listener, or an input of send_many, that sends through its own session needs a connection more: "
            "PoolLimits(max_connections=…)"
        )
        error = ConnectionFailed(words, stage=Stage.CONNECT, hint=hint)
        error.is_lasting = True
        return error

    async def _give_up(self, place: Loan) -> None:
        with self._mutex:
            self.statistics.open -= place.is_taken
            place.is_taken = False
        await self._wake()

    def _is_fit(self, connection: Connection, now: float) -> bool:
        """Return whether an idle connection can be used. A server that has closed, or has sent something, shows on the
        socket without a round trip."""
        limit = self._limits.idle_timeout
        is_stale = limit is not None and now - connection.idle_since > limit
        return not (is_stale or self.is_worn(connection, now) or connection.link.stream.has_input())


def closed_error() -> ConnectionFailed:
    """Return the error for a send after ``close``."""
    error = ConnectionFailed("The session is closed", stage=Stage.CONNECT, hint="Call open() to use it again")
    error.is_lasting = True
    return error
