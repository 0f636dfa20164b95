"""Delivers over SMTP, through a pool of connections to one server."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import astuple
from typing import TYPE_CHECKING

from wlsmtp.errors import DeadlineExceeded, ReplyError, SMTPError, Stage
from wlsmtp.io.place import Kept
from wlsmtp.io.thread import Lock
from wlsmtp.message.mail import Mail
from wlsmtp.relay.crew import Crew
from wlsmtp.relay.dispatch import Dispatch
from wlsmtp.relay.pace import Pace
from wlsmtp.relay.pipeline import Stream, abandon_if_unsure
from wlsmtp.relay.pool import Pool
from wlsmtp.retry import again_after
from wlsmtp.smtp import examination, judge
from wlsmtp.smtp.connection import Connection, ServerInfo
from wlsmtp.smtp.opening import open_connection
from wlsmtp.smtp.quirks import ServerQuirks, Trust
from wlsmtp.statistics import PoolStatistics
from wlsmtp.transports.base import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO, Task
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.receipt import Outcome
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.plan import Plan
    from wlsmtp.wire.extensions import Capabilities


class SMTPTransport(Transport):
    """The server of a session."""

    says_options = True

    def __init__(self, config: SessionConfig, io: IO, announce: Announcer) -> None:
        self.io = io
        self.config = config
        self.quirks = ServerQuirks()
        self._pools = Kept(io.here, self._make_pool, self._forget_pool)
        self._streams: Kept[set[Stream]] = Kept(io.here, lambda _: set())
        self._reclaiming: Kept[list[Task[None]]] = Kept(io.here, lambda _: [])
        self._forgotten = PoolStatistics()
        """The counts of pools that a fork or the end of an event loop took away."""
        self._is_closed = False
        self._announce = announce
        self._capabilities: Capabilities | None = None
        rate = config.pool.messages_per
        self._pace = Pace(*rate) if rate is not None else None
        self._lock = Lock()
        self.all_or_nothing = config.partial == "abort"
        """Whether a message is for all its recipients or for nobody."""

    @property
    def name(self) -> str:
        """The server."""
        return self.config.address

    @property
    def serves_local_names(self) -> bool:
        """Over LMTP or a unix socket: only then is a name that of somebody on the server's machine."""
        return self.config.is_lmtp or self.config.is_unix

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offered on the latest connection."""
        return self._capabilities

    @property
    def findings(self) -> Mapping[str, str]:
        """See ``Transport.findings``."""
        return self.quirks.findings()

    @property
    def pool(self) -> Pool:
        """The connections of this process and, in the asyncio world, of the running loop."""
        return self._pools.get()

    @property
    def streams(self) -> set[Stream]:
        """Those that are not at their end."""
        return self._streams.get()

    @property
    def statistics(self) -> PoolStatistics:
        """See ``Transport.statistics``."""
        counts = [pool.count() for pool in self._pools.all()]  # asked first, as it may forget some
        counts = [self._forgotten, *(counts or [PoolStatistics(allowed=self.config.pool.max_connections)])]
        return PoolStatistics(*map(sum, zip(*map(astuple, counts), strict=True)))

    def _make_pool(self, _: Sequence[Pool]) -> Pool:
        return Pool(self.io, self.config.pool, self._connect, self._make_room, is_closed=self._is_closed)

    def _forget_pool(self, pool: Pool) -> None:
        count = pool.forget()
        self._forgotten.opened += count.opened
        self._forgotten.resumed += count.resumed
        self._forgotten.lost += count.lost + count.open

    async def open(self, deadlines: Deadlines) -> None:
        """Connect and log in, also after ``close``."""
        self._is_closed = False
        await self.pool.open()
        await self.verify(deadlines)

    async def close(self, deadlines: Deadlines) -> None:
        """Close all connections, those in use once they are given back."""
        self._is_closed = True
        await self.pool.close(deadlines)

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Connect and log in, or ask a kept connection whether it is alive; a dead one is replaced."""
        self.quirks.refused_login = None
        pool = self.pool
        caller = pool.hold()
        try:
            while (info := await _verify_one(pool, deadlines)) is None:
                pass
        finally:
            pool.let_go(caller)
        return info

    async def examine(self, deadlines: Deadlines) -> Mapping[str, str]:
        """See ``Transport.examine``. What cannot be found out, as the server takes no connection for it, stays open."""
        found, pool = examination.known(self.quirks), self.pool
        caller = pool.hold()
        try:
            with suppress(SMTPError):
                await self._examine(pool, found, deadlines)
        finally:
            pool.let_go(caller)
        examination.keep(self.quirks, found)
        return {**self.findings, **{behaviour: trust.value for behaviour, trust in found.items()}}

    async def _examine(self, pool: Pool, found: dict[str, Trust], deadlines: Deadlines) -> None:
        connection: Connection | None = None
        try:
            for question in examination.QUESTIONS:
                answer, losses = None, 0
                while answer is None and losses < (question.losses or 1):
                    connection = connection or await pool.acquire(deadlines)
                    if not question.is_due(found, connection.info.capabilities):
                        break
                    answer = await question.put(connection.link, self.io.now(), deadlines)
                    # A kept connection may have been dead before it was asked.
                    losses += answer is None and not connection.went_stale
                    if answer is not None or (losses == question.losses and not connection.is_closing):
                        found[question.behaviour] = answer or Trust.BROKEN
                    if not connection.is_reusable:
                        used, connection = connection, None
                        await pool.release(used, deadlines)
        finally:
            if connection is not None:
                # Some servers count commands that are about no mail, and hang up.
                pool.retire(connection)
                await pool.release(connection, deadlines)

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """See ``Transport.deliver``. A kept connection that turns out to be dead is replaced silently: that the server
        had closed it is no failure of the message."""
        mail = Mail(envelope, content, deadlines.had_free_retry, deadlines.is_suspect)
        outcome = await self.deliver_dispatch(Dispatch(mail, deadlines))
        deadlines.had_free_retry, deadlines.is_suspect = mail.had_free_retry, mail.is_suspect
        return outcome

    async def deliver_dispatch(self, dispatch: Dispatch) -> Outcome:
        """Deliver one message that is not part of a stream."""
        while dispatch.outcome is None:
            if (pause := self.pause(dispatch)) > 0:
                if pause >= dispatch.deadlines.remaining:
                    words = f"The rate of {self.config.pool.rate} leaves no room for the message in time"
                    dispatch.fail(DeadlineExceeded(words, stage=Stage.MAIL))
                    break
                await self.io.sleep(pause)
            await self._deliver_part(dispatch)
        assert dispatch.outcome is not None
        return dispatch.outcome

    async def deliver_many(
        self, mails: AsyncIterator[Mail | None], deadlines: Callable[[], Deadlines], connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        """See ``Transport.deliver_many``."""
        width = min(connections or 1, self.config.pool.max_connections)
        stream = Stream(self, mails, deadlines) if width == 1 else Crew(self, mails, deadlines, width)
        outcomes = stream.outcomes()
        try:
            async for batch in outcomes:
                yield batch
        finally:
            await outcomes.aclose()

    @property
    def has_pace(self) -> bool:
        """Whether there is a limit on messages in a stretch of time."""
        return self._pace is not None

    def pause(self, dispatch: Dispatch) -> float:
        """How long the pace makes this message wait, in seconds; it is asked once."""
        if dispatch.has_turn or self._pace is None:
            return 0.0
        dispatch.has_turn = True
        with self._lock:
            return self._pace.reserve(self.io.now())

    def plan(self, connection: Connection, dispatch: Dispatch, *, expects_more: bool) -> Plan:
        """What to send next for a message. Raises ``MessageError`` or ``ExtensionMissing``."""
        part = dispatch.next_part(connection, all_or_nothing=self.all_or_nothing)
        plan = connection.plan(part, dispatch.content, expects_more=expects_more)
        if dispatch.is_suspect:
            plan.is_suspect = True
        return plan

    def is_sent_again(self, dispatch: Dispatch, outcome: Outcome, connection: Connection) -> bool:
        """Whether a message is sent again at once, as nothing that failed has to do with it."""
        error = outcome.error
        if error is None:
            return False
        if isinstance(error, ReplyError) and (connection.is_closing or connection.link.ended):
            dispatch.suspect()
        if error.reply is not None and (judge.names_connections(error.reply) or judge.names_rate(error.reply)):
            self.pool.shrink(connection)
        again = again_after(
            outcome, connection, had_free_retry=dispatch.had_free_retry, has_others=self.pool.has_others
        )
        return dispatch.is_sent_again(outcome, again, self.io.now(), all_or_nothing=self.all_or_nothing)

    def take(self, dispatch: Dispatch, outcome: Outcome, pool: Pool) -> bool:
        """Take what came of one transaction over a connection of ``pool``; return whether there must be another one."""
        if outcome.error is None:
            pool.succeeded()
        return dispatch.take(outcome, self.quirks, all_or_nothing=self.all_or_nothing)

    async def _deliver_part(self, dispatch: Dispatch) -> None:
        pool = self.pool
        caller = pool.hold()
        try:
            outcome = await self._deliver_over_one(pool, dispatch)
        except SMTPError as error:
            dispatch.fail(error)
        else:
            if outcome is not None:
                self.take(dispatch, outcome, pool)
        finally:
            pool.let_go(caller)

    async def _deliver_over_one(self, pool: Pool, dispatch: Dispatch) -> Outcome | None:
        """What came of one transaction; None when another one must follow at once, over another connection. The
        connection comes back whatever is raised."""
        content, deadlines = dispatch.content, dispatch.deadlines
        may_wait = content.size > self.config.pipelining.early_content or content.is_streamed or self.all_or_nothing
        size = None if may_wait else content.size
        connection = await pool.acquire(deadlines, size=size, opened_after=dispatch.not_before)
        try:
            outcome = await self._deliver_over(connection, dispatch)
            is_sent_again = self.is_sent_again(dispatch, outcome, connection)
        except SMTPError:
            await pool.release(connection, deadlines)
            raise
        except BaseException:
            try:
                await abandon_if_unsure(connection)
            finally:
                await pool.release(connection, deadlines)
            raise
        await pool.release(connection, deadlines)
        return None if is_sent_again else outcome

    async def _deliver_over(self, connection: Connection, dispatch: Dispatch) -> Outcome:
        # A program that sends one message is spared what only pays with several.
        expects_more = self.quirks.has_delivered or connection.users > 1
        plan = self.plan(connection, dispatch, expects_more=expects_more)
        dispatch.transaction = connection.add(plan)
        return await connection.window.settle(dispatch.transaction, dispatch.deadlines)

    async def _make_room(self) -> None:
        """Whoever waits for a connection may be the one that a stream waits for, with its connection in its hands."""
        reclaiming = self._reclaiming.get()
        reclaiming[:] = [task for task in reclaiming if not task.is_done]
        for stream in tuple(self.streams):
            if not stream.is_parked:
                continue
            try:
                reclaiming.append(self.io.spawn(stream.reclaim_if_parked(), "wlsmtp-reclaim"))
            except OSError:  # no thread can be started, so this one does the work
                await stream.reclaim_if_parked()

    async def _connect(self, deadlines: Deadlines) -> Connection:
        connection = await open_connection(self.io, self.config, self._announce, deadlines, self.quirks)
        self._capabilities = connection.info.capabilities
        return connection


async def _verify_one(pool: Pool, deadlines: Deadlines) -> ServerInfo | None:
    """What is known of the server over one connection; None when that was kept, and is dead."""
    connection = await pool.acquire(deadlines)
    try:
        if connection.was_kept:  # a new one has just answered
            await connection.noop(deadlines)
    except SMTPError as error:
        await pool.release(connection, deadlines, reason=error.message)
        return None
    except BaseException:
        await pool.release(connection, deadlines, reason="interrupted")
        raise
    await pool.release(connection, deadlines)
    return connection.info
