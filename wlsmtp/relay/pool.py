"""A connection pool: connections are kept, shared when the limit is reached, and replaced when they are old, used up or
dead.

A connection that is no longer wanted is sent QUIT at once, and its reply is read later: no message waits for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING

from wlsmtp.errors import DeadlineExceeded, SMTPError, Stage
from wlsmtp.io.order import Rank
from wlsmtp.relay.lease import Lease, closed_error, cut_off, end_all, take_back, waits_for_itself
from wlsmtp.results.statistics import PoolStatistics
from wlsmtp.smtp.connection import ConnectionState
from wlsmtp.smtp.judge import names_connections

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.settings.limits import PoolLimits
    from wlsmtp.smtp.connection import Connection
    from wlsmtp.smtp.deadlines import Deadlines

REGROW_AFTER = 50
"""Messages that must succeed before one more connection is allowed, after the server said that there are too many."""
POLL_INTERVAL = 1.0
"""Seconds after which a waiting caller checks again without being notified."""
OPEN_TIMEOUT = 5.0
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
        self._io, self._now = io, io.clock()
        # Read for each message, which takes long from a model of settings.
        self._max_connections, self._max_age = limits.max_connections, limits.max_age
        self._idle_timeout = limits.idle_timeout
        self._connect = connect
        self._make_room = make_room
        self.waiting: int = 0
        """Number of callers that wait for a connection, or for all to return."""
        self._idle: list[Connection] = []
        self._shared: list[Connection] = []
        self._quitting: deque[Connection] = deque()
        """Connections that were sent QUIT and have not answered yet."""
        self._lost: deque[Lease] = deque()
        """What callers did not release, as there was no memory for that."""
        self._holders: dict[Hashable, int] = {}
        """How many connections each thread or task has, or is about to have."""
        self._is_closed = is_closed
        self._closers = 0
        """Number of calls of ``close`` in progress."""
        self._home = io.here()
        self._mutex = io.mutex(Rank.POOL)
        self._changed = io.condition(Rank.POOL_CHANGED)
        self._waiters = 0
        """Number of callers that wait for a change. They check again once they are counted here, so that none misses
        it."""
        self._successes = 0
        self._slowest = 0.0
        """The longest time in seconds that a connection took to become ready."""
        self._excess: set[Connection] = set()
        """Open connections that accept no more messages because there are too many: no other one need be closed for
        them."""
        self.statistics: PoolStatistics = PoolStatistics(allowed=limits.max_connections)

    async def acquire(
        self,
        deadlines: Deadlines,
        *,
        size: int | None = None,
        opened_after: float | None = None,
        is_picky: bool = False,
    ) -> Lease:
        """Return a lease on a ready connection, kept or new. With ``size``, the octets of a message that may share, it
        may be one that others use. Kept connections opened before ``opened_after`` are not used: another one of that
        age has just turned out to be dead. ``is_picky``: another connection was one too many, so that one which has
        delivered a message is worth some seconds. Every lease must be given to ``release``."""
        expired: list[Connection] = []
        lease = Lease(size, opened_after, lost=self._lost)
        if is_picky and self._holders.get(self._io.caller(), 0) <= 1:
            lease.picky_until = self._now() + OPEN_TIMEOUT
        try:
            self._try_acquire(lease, expired)
            if expired or self._quitting:
                await self._quit(expired, deadlines)
            while lease.connection is None:
                if not lease.is_taken:
                    await self._wait_for_slot(lease, expired, deadlines)
                    continue
                lease.connection = await self._open_another(lease, deadlines)
                if lease.connection is not None and size is not None:
                    with self._mutex:
                        lease.connection.life.to(ConnectionState.SHARED)
                        self._shared.append(lease.connection)
                    await self._wake()
        except BaseException:
            try:
                if lease.connection is not None:
                    await self.release(lease, deadlines, reason="interrupted")
                elif lease.is_taken:
                    await self._free_slot(lease)
                await cut_off(expired)
            finally:
                lease.drop()
            raise
        return lease

    def hold(self) -> Hashable:
        """Register the caller before ``acquire``; give the result to ``end_hold`` after ``release``. No thread or task
        then waits for itself."""
        caller = self._io.caller()
        self._holders[caller] = self._holders.get(caller, 0) + 1
        return caller

    def end_hold(self, caller: Hashable) -> None:
        """End what ``hold`` began."""
        self._holders[caller] -= 1
        if not self._holders[caller]:
            del self._holders[caller]

    async def release(self, lease: Lease, deadlines: Deadlines, *, reason: str | None = None) -> None:
        """Return a connection, once. An unusable one is closed when nobody uses it any more. ``reason`` says why it is
        unknown which reply would come next."""
        connection = lease.connection
        if connection is None or not lease.is_taken:
            return
        try:
            if self.is_foreign:  # for example, a generator that ends in a forked child
                await connection.link.stream.close()
                return
            if reason is not None:
                connection.link.end(reason)
            with self._mutex:
                if not lease.is_taken:
                    return
                connection.users -= 1
                lease.is_taken = False
                lease.owes_slot = connection.users <= 0 and self._keep_locked(connection)
        except BaseException:
            connection.users -= lease.is_taken
            lease.is_taken, lease.owes_slot = False, connection.users <= 0
            await self._recover(lease, connection)
            raise
        try:
            if lease.owes_slot:
                await self._end(lease, connection, deadlines)
            elif self._waiters:
                await self._wake()
        finally:
            if connection.link.pending_events:
                connection.link.emit_events()

    def _keep_locked(self, connection: Connection) -> bool:
        """Keep a connection that nobody uses any more; return whether it must be closed instead."""
        if connection in self._shared:
            self._shared.remove(connection)
        now = self._now()
        if self._is_closed or self._has_too_many or not connection.is_reusable or self.is_expired(connection, now):
            connection.life.to(ConnectionState.ENDED)
            return True
        connection.life.to(ConnectionState.IDLE)
        connection.keep(now)
        self._idle.append(connection)
        return False

    async def _recover(self, lease: Lease, connection: Connection) -> None:
        """Close a connection that an interrupt has left between states, and free its slot."""
        connection.link.end("interrupted")
        with self._mutex:
            if connection.users > 0:  # others still use it
                return
            for kept in (self._idle, self._shared):
                if connection in kept:
                    kept.remove(connection)
        await connection.link.close()
        await self._free_slot(lease)

    def retire(self, connection: Connection) -> None:
        """Let a connection accept no more messages; it is closed when nobody uses it any more."""
        with self._mutex:
            self._retire_locked(connection)

    def _retire_locked(self, connection: Connection) -> None:
        if connection.life.is_in(ConnectionState.ACQUIRED, ConnectionState.SHARED):
            connection.life.to(ConnectionState.RETIRED)

    async def open(self) -> None:
        """Accept callers again after ``close``."""
        self._is_closed = False
        await self._wake()

    async def close(self, deadlines: Deadlines) -> None:
        """Accept no more callers, close idle connections, and wait for those in use, so that mail in flight is
        finished. Connections that the caller itself holds, as in a listener, are not waited for."""
        idle: list[Connection] = []
        is_counted, end = False, 0.0  # an interrupted caller waits for no reply to QUIT
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
            await self._quit(idle, deadlines)
            await self._wait_until_returned(deadlines)
            end = deadlines.end
        finally:
            with self._mutex:
                self._closers -= is_counted
                quitting, self._quitting = self._quitting, deque()
            await end_all(quitting, idle, end)

    async def _wait_until_returned(self, deadlines: Deadlines) -> None:
        """Wait until all connections have returned. A stream with a connection may be parked at any time, so room is
        made repeatedly. Opening the session ends the wait."""
        caller = self._io.caller()
        self._count_waiting(1)
        lost: list[Connection] = []
        try:
            while self._is_closed and self.statistics.open > self._holders.get(caller, 0):
                await self._make_room()
                with self._mutex:
                    self.statistics.open -= take_back(self._lost, lost, self._idle, self._shared)
                await self._quit(lost, deadlines)
                async with self._changed:
                    self._waiters += 1
                    try:
                        if self._is_closed and self.statistics.open > self._holders.get(caller, 0):
                            await self._wait_a_while(deadlines)
                    finally:
                        self._waiters -= 1
        except TimeoutError:
            return
        finally:
            self._count_waiting(-1)

    @property
    def is_foreign(self) -> bool:
        """True if it is the pool of another process or event loop. Only ``forget`` and ``release`` work here then."""
        here = self._io.here()
        return here is not self._home and here != self._home

    def check_place(self, what: str) -> None:
        """Raise ``ConfigError`` if ``what`` was begun in another process or event loop, with connections of this
        pool."""
        if self.is_foreign:
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
        return counts.open > counts.allowed and counts.open - len(self._excess) > counts.allowed

    def shrink(self, connection: Connection | None = None) -> None:
        """Allow one connection less: the server said that there are too many, or too much mail at once. Repeated
        refusals over one ``connection`` count once."""
        with self._mutex:
            if connection is not None and connection.exceeds_limit:
                return
            if connection is not None:
                connection.exceeds_limit = True
                if connection.is_spent:
                    self._excess.add(connection)
            self._shrink_locked()

    def _shrink_locked(self) -> None:
        self._successes = 0
        self.statistics.allowed = max(1, min(self.statistics.allowed, self.statistics.open) - 1)

    def succeeded(self, count: int = 1) -> None:
        """Count successful messages: after enough of them one more connection is allowed again."""
        if self.statistics.allowed == self._max_connections:
            return
        self._successes += count
        if self._successes >= REGROW_AFTER:
            self._successes = 0
            self.statistics.allowed += 1

    def count(self) -> PoolStatistics:
        """Return the current counts."""
        self.statistics.idle = len(self._idle)
        return self.statistics

    def is_expired(self, connection: Connection, now: float) -> bool:
        """Return whether it has reached its number of messages or its age."""
        age = self._max_age
        return connection.is_spent or (age is not None and now - connection.opened_at > age)

    async def _open_another(self, lease: Lease, deadlines: Deadlines) -> Connection | None:
        """Open a new connection. Returns None, and frees the slot, if the server refuses it, or sends no greeting,
        while others are open: one of those will do. Raises the error if there is none to wait for."""
        await self._close_quitting()
        began, is_another = self._now(), self.has_others  # the first connection has the full time
        try:
            hurried = deadlines.within(max(OPEN_TIMEOUT, 3 * self._slowest)) if is_another else deadlines
            connection = await self._connect(hurried)
        except SMTPError as error:
            with self._mutex:
                has_others = self.has_others
                is_late = isinstance(error, DeadlineExceeded) and deadlines("connect") > self._now()
                is_stuck = is_late and (is_another or has_others)
                # Whatever the reply, a server that serves other connections has nothing but their number against this.
                is_one_too_many = error.stage is Stage.GREETING and bool(self._idle or self._shared)
                if not is_stuck and (error.reply is None or not (error.temporary or is_one_too_many)):
                    raise
                if has_others or (error.reply is not None and names_connections(error.reply)):
                    self._shrink_locked()
            if not has_others and not is_stuck:
                raise
            await self._free_slot(lease)
            return None
        self._slowest = max(self._slowest, self._now() - began)
        connection.users = 1
        self.statistics.opened += 1
        self.statistics.resumed += connection.info.tls is not None and connection.info.tls.resumed
        return connection

    def _try_acquire(self, lease: Lease, expired: list[Connection]) -> None:
        """Take a connection, or the right to open one, if there is any. Expired ones go to ``expired``. The counts and
        ``lease`` change without a call between."""
        with self._mutex:
            if self._is_closed:
                raise closed_error()
            if self._lost:
                self.statistics.open -= take_back(self._lost, expired, self._idle, self._shared)
            size, now = lease.size, self._now()
            only_proven = now < lease.picky_until and self._may_prove_locked(now)
            if not only_proven and (kept := self._next_idle_locked(expired, lease.opened_after, now)) is not None:
                lease.connection, kept.users, lease.is_taken = kept, 1, True
                self._idle.remove(kept)
                kept.resume(now)
                kept.life.to(ConnectionState.ACQUIRED if size is None else ConnectionState.SHARED)
                if size is not None:
                    self._shared.append(kept)
            elif not only_proven and self.statistics.open < self.statistics.allowed:
                self.statistics.open += 1
                lease.is_taken = True
            elif (shared := self._least_loaded_locked(size, now, only_proven=only_proven)) is not None:
                shared.users += 1
                lease.connection, lease.is_taken = shared, True

    async def _wait_for_slot(self, lease: Lease, expired: list[Connection], deadlines: Deadlines) -> None:
        if self._holders.get(self._io.caller(), 0) > 1:
            raise waits_for_itself()
        self._count_waiting(1)
        try:
            while not lease.is_taken:
                # No lock is held here: this may start threads.
                await self._make_room()
                async with self._changed:
                    await self._look_again(lease, expired, deadlines)
                if expired:
                    await self._quit(expired, deadlines)
        except TimeoutError as error:
            words = f"None of the {self._max_connections} connections became free in time"
            hint = "Allow more with PoolLimits(max_connections=…), or more time with timeout=…"
            raise DeadlineExceeded(words, stage=Stage.CONNECT, hint=hint) from error
        finally:
            self._count_waiting(-1)

    async def _look_again(self, lease: Lease, expired: list[Connection], deadlines: Deadlines) -> None:
        """Try to acquire; if that fails, try again once something has changed or after a while."""
        self._waiters += 1
        try:
            self._try_acquire(lease, expired)
            if not lease.is_taken:
                await self._wait_a_while(deadlines)
                self._try_acquire(lease, expired)
        finally:
            self._waiters -= 1

    async def _wait_a_while(self, deadlines: Deadlines) -> None:
        """Wait until something has changed or it is time to check again. Raises ``TimeoutError`` at the deadline."""
        soon = self._now() + POLL_INTERVAL
        try:
            await self._changed.wait(min(soon, deadlines.end))
        except TimeoutError:
            if soon >= deadlines.end:
                raise

    def _count_waiting(self, difference: int) -> None:
        with self._mutex:
            self.waiting += difference

    async def _wake(self) -> None:
        if self._waiters:
            async with self._changed:
                self._changed.notify_all()

    def _next_idle_locked(self, expired: list[Connection], opened_after: float | None, now: float) -> Connection | None:
        """Return the most recently used idle connection, after removing those that cannot be used."""
        while self._idle:
            connection = self._idle[-1]
            is_new_enough = opened_after is None or connection.opened_at > opened_after
            if is_new_enough and not self._has_too_many and self._is_usable(connection, now):
                return connection
            expired.append(connection)
            self.statistics.open -= 1
            self._idle.remove(connection)
            connection.life.to(ConnectionState.ENDED)
        return None

    def _may_prove_locked(self, now: float) -> bool:
        """Return whether a connection in use may be, or become, one that has delivered a message, and no idle one has.
        Those that have are used first from then on."""
        self._idle.sort(key=lambda connection: connection.has_delivered)
        has_none = not self._idle or not self._idle[-1].has_delivered
        return has_none and any(not self.is_expired(one, now) for one in self._shared)

    def _least_loaded_locked(self, size: int | None, now: float, *, only_proven: bool) -> Connection | None:
        candidates = [one for one in self._shared if one.has_delivered or not only_proven] if size is not None else []
        with_room = [one for one in candidates if not self.is_expired(one, now) and one.has_room(size or 0)]
        return min(with_room, key=lambda connection: connection.users, default=None)

    async def _end(self, lease: Lease, connection: Connection, deadlines: Deadlines) -> None:
        self.statistics.lost += connection.link.ended
        try:
            await self._quit([connection], deadlines)
        finally:
            self._excess.discard(connection)
            await self._free_slot(lease)

    async def _quit(self, connections: list[Connection], deadlines: Deadlines) -> None:
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
                await connection.end_quit(self._now())
        for _ in range(len(self._quitting)):
            with self._mutex:
                quitting = self._quitting.popleft() if self._quitting else None
                if quitting is not None and not quitting.has_answered_quit:
                    self._quitting.append(quitting)
                    quitting = None
            if quitting is not None:
                await quitting.end_quit(self._now())

    async def _close_quitting(self) -> None:
        """Before another connection is opened, close those whose reply to QUIT is missing instead of waiting for it."""
        while True:
            with self._mutex:
                is_full = self.statistics.open + len(self._quitting) > self.statistics.allowed
                quitting = self._quitting.popleft() if is_full and self._quitting else None
            if quitting is None:
                return
            await quitting.end_quit(self._now())

    async def _free_slot(self, lease: Lease) -> None:
        with self._mutex:
            self.statistics.open -= lease.is_taken or lease.owes_slot
            lease.is_taken = lease.owes_slot = False
        await self._wake()

    def _is_usable(self, connection: Connection, now: float) -> bool:
        """Return whether an idle connection can be used. A server that has closed, or has sent something, shows on the
        socket without a round trip."""
        limit = self._idle_timeout
        is_stale = limit is not None and now - connection.idle_since > limit
        return not (is_stale or self.is_expired(connection, now) or connection.link.stream.has_input())
