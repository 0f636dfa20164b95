"""Mail to one server: its connections, what is known about it, and one message over them."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Protocol

from wlsmtp.errors import DeadlineExceeded, ReplyError, SMTPError, Stage
from wlsmtp.io.order import Rank
from wlsmtp.io.place import Kept
from wlsmtp.io.thread import Lock
from wlsmtp.relay.pace import Pace
from wlsmtp.relay.pool import Pool
from wlsmtp.results.statistics import PoolStatistics
from wlsmtp.retry import again_after
from wlsmtp.smtp import judge
from wlsmtp.smtp.hints import advise
from wlsmtp.smtp.opening import open_connection
from wlsmtp.smtp.quirks import ServerQuirks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO, Task
    from wlsmtp.receipt import Outcome
    from wlsmtp.relay.dispatch import Dispatch
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.smtp.connection import Connection
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.plan import Plan
    from wlsmtp.wire.extensions import Capabilities


class Reclaimable(Protocol):
    """Holds a connection while the caller reads its results: a ``Pipeline``."""

    @property
    def is_parked(self) -> bool:
        """True if it has a connection while its reader is busy elsewhere."""
        ...

    async def reclaim_if_parked(self) -> None:
        """Settle what is in flight and release the connection, if the reader is busy elsewhere."""
        ...


class Relay:
    """Delivers to one server, for any number of senders at once."""

    def __init__(self, config: SessionConfig, io: IO, announce: Announcer) -> None:
        self.config = config
        self.io = io
        self.quirks: ServerQuirks = ServerQuirks()
        self.capabilities: Capabilities | None = None
        """The capabilities that the server offered on the latest connection."""
        self._early_content = config.pipelining.early_content
        self.all_or_nothing: bool = config.all_or_nothing
        """True if a message goes to all its recipients or to nobody."""
        self._announce = announce
        self._pools = Kept(io.here, self._make_pool, self._forget_pool)
        self._pipelines: Kept[set[Reclaimable]] = Kept(io.here, lambda _: set())
        self._reclaiming: Kept[list[Task[None]]] = Kept(io.here, lambda _: [])
        self._forgotten = PoolStatistics()
        """The counts of pools that were lost with a fork or the end of an event loop."""
        self._is_closed = False
        rate = config.pool.messages_per
        self._pace = Pace(*rate) if rate is not None else None
        self.has_pace: bool = rate is not None
        """True if the rate of messages is limited."""
        self._lock = Lock(Rank.PACE)

    @property
    def pool(self) -> Pool:
        """The pool of this process and, under asyncio, of the running event loop."""
        return self._pools.get()

    @property
    def pipelines(self) -> set[Reclaimable]:
        """The pipelines of this process and event loop that have not ended."""
        return self._pipelines.get()

    @property
    def statistics(self) -> PoolStatistics:
        """Counts of connections since the session was made."""
        counts = [pool.count() for pool in self._pools.all()]  # read first, as it may forget some
        counts = [self._forgotten, *(counts or [PoolStatistics(allowed=self.config.pool.max_connections)])]
        return PoolStatistics(*map(sum, zip(*map(astuple, counts), strict=True)))

    def _make_pool(self, _: Sequence[Pool]) -> Pool:
        return Pool(self.io, self.config.pool, self._connect, self._make_room, is_closed=self._is_closed)

    def _forget_pool(self, pool: Pool) -> None:
        count = pool.forget()
        self._forgotten.opened += count.opened
        self._forgotten.resumed += count.resumed
        self._forgotten.lost += count.lost + count.open

    async def open(self) -> None:
        """Accept messages, also after ``close``."""
        self._is_closed = False
        await self.pool.open()

    async def close(self, deadlines: Deadlines) -> None:
        """Close all connections; those in use once they are released."""
        self._is_closed = True
        await self.pool.close(deadlines)

    async def deliver(self, dispatch: Dispatch) -> Outcome:
        """Deliver one message that is not part of a pipeline."""
        while dispatch.outcome is None:
            if self.has_pace and (pause := self.pause(dispatch)) > 0:
                if pause >= dispatch.deadlines.remaining:
                    words = f"The rate of {self.config.pool.rate} allows no message in this time"
                    dispatch.fail(DeadlineExceeded(words, stage=Stage.MAIL))
                    break
                await self.io.sleep(pause)
            pool = self.pool
            caller = pool.hold()
            try:
                outcome = await self._deliver_over_one(pool, dispatch)
            except SMTPError as error:
                dispatch.fail(error)
            else:
                if outcome is not None:
                    if outcome.error is None:
                        pool.succeeded()
                    dispatch.apply(outcome, self.quirks, all_or_nothing=self.all_or_nothing)
            finally:
                pool.end_hold(caller)
        assert dispatch.outcome is not None
        return dispatch.outcome

    def pause(self, dispatch: Dispatch) -> float:
        """Return how many seconds the pace delays this message; it is delayed once."""
        if dispatch.has_paced or self._pace is None:
            return 0.0
        dispatch.has_paced = True
        with self._lock:
            return self._pace.reserve(self.io.now())

    def plan(self, connection: Connection, dispatch: Dispatch, *, expects_more: bool) -> Plan:
        """Plan what to send next for a message. Raises ``MessageError`` or ``ExtensionMissing``."""
        dispatch.tls, part = connection.info.tls, dispatch.envelope
        if connection.planner.may_split():
            part = dispatch.next_part(connection, all_or_nothing=self.all_or_nothing)
        plan = connection.plan(part, dispatch.content, expects_more=expects_more)
        if dispatch.mail.is_suspect:
            plan.is_suspect = True
        return plan

    def is_resent_at_once(self, dispatch: Dispatch, outcome: Outcome, connection: Connection) -> bool:
        """Return whether a message is sent again at once, because it did not cause what failed."""
        error = outcome.error
        if error is None:
            return False
        advise(error, connection.scene, self.config.address)
        if isinstance(error, ReplyError) and (connection.is_closing or connection.link.ended):
            dispatch.suspect()
        if error.reply is not None and (judge.names_connections(error.reply) or judge.names_rate(error.reply)):
            self.pool.shrink(connection)
        again = again_after(
            outcome, connection, had_free_retry=dispatch.had_free_retry, has_others=self.pool.has_others
        )
        return dispatch.is_resent_at_once(outcome, again, self.io.now(), all_or_nothing=self.all_or_nothing)

    async def _deliver_over_one(self, pool: Pool, dispatch: Dispatch) -> Outcome | None:
        """Return the result of one transaction; None if another one must follow at once, over another connection. The
        connection is released whatever is raised."""
        content, deadlines = dispatch.content, dispatch.deadlines
        may_wait = content.size > self._early_content or content.is_streamed or self.all_or_nothing
        # A message with which a connection ended follows no other, so that this cannot repeat again and again.
        size = None if may_wait or dispatch.mail.is_suspect else content.size
        lease = await pool.acquire(deadlines, size=size, opened_after=dispatch.not_before, is_picky=dispatch.is_picky)
        connection = lease.connection
        assert connection is not None
        try:
            # A program that sends one message skips what pays off only with several.
            expects_more = self.quirks.has_delivered or connection.users > 1
            plan = self.plan(connection, dispatch, expects_more=expects_more)
            dispatch.transaction = transaction = connection.window.add(plan)
            await connection.window.settle(transaction, deadlines)
            outcome = transaction.outcome
            assert outcome is not None
            is_resent_at_once = outcome.error is not None and self.is_resent_at_once(dispatch, outcome, connection)
            await pool.release(lease, deadlines)
        except SMTPError:
            await pool.release(lease, deadlines)
            raise
        except BaseException:
            try:
                if lease.is_taken:
                    await abandon_if_unsure(connection)
            finally:
                await pool.release(lease, deadlines)
            raise
        finally:
            lease.drop()
        return None if is_resent_at_once else outcome

    async def _make_room(self) -> None:
        """Reclaim parked pipelines: the caller that waits may be the very one that reads such a pipeline's results."""
        reclaiming = self._reclaiming.get()
        reclaiming[:] = [task for task in reclaiming if not task.is_done]
        for pipeline in tuple(self.pipelines):
            if not pipeline.is_parked:
                continue
            try:
                reclaiming.append(self.io.spawn(pipeline.reclaim_if_parked(), "wlsmtp-reclaim"))
            except OSError:  # no thread can be started, so this caller does the work
                await pipeline.reclaim_if_parked()

    async def _connect(self, deadlines: Deadlines) -> Connection:
        connection = await open_connection(self.io, self.config, self._announce, deadlines, self.quirks)
        self.capabilities = connection.info.capabilities
        return connection


async def abandon_if_unsure(connection: Connection) -> None:
    """Abandon a connection whose sender was cancelled mid-operation: the connection state is unknown. A thread may be
    interrupted anywhere, a task only where it waits."""
    if not connection.link.stream.keeps_unread:
        await connection.window.abandon()
