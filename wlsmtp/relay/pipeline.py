"""A stream of messages over one connection at a time, with as many in flight as the window allows. Outcomes come in the
order of the input."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from contextlib import suppress
from enum import auto
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import SMTPError
from wlsmtp.io.order import Rank
from wlsmtp.lifecycle import Lifecycle, QuickEnum
from wlsmtp.relay.dispatch import Dispatch, dispatches_of
from wlsmtp.relay.relay import abandon_if_unsure
from wlsmtp.smtp.connection import LONG_IDLE
from wlsmtp.smtp.run import Run

if TYPE_CHECKING:
    from wlsmtp.message.mail import Mail
    from wlsmtp.receipt import Outcome
    from wlsmtp.relay.lease import Lease
    from wlsmtp.relay.relay import Relay
    from wlsmtp.smtp.connection import Connection
    from wlsmtp.smtp.deadlines import Deadlines

FLUSH = 32 * 1024
"""Octets of content that are written at once, while the next messages are being made."""
DEADLINE_GROUPING = 0.01
"""Seconds within which messages that arrive share one deadline."""
_END: Any = object()
ABSENT_AFTER = 0.001
"""Seconds of absence after which the reader's time no longer counts against its messages."""


class PipelineState(QuickEnum):
    """The states of a pipeline: who works on it. See docs/explanation/lifecycle.md."""

    READING = auto()
    """Its reader has asked for outcomes."""
    PARKED = auto()
    """Outcomes were returned, and the reader is busy elsewhere: messages may be in flight."""
    RECLAIMED = auto()
    """Another sender needs the connection and settles the messages in flight in place of the reader."""
    ENDED = auto()


ALLOWED = {
    PipelineState.READING: frozenset({PipelineState.PARKED, PipelineState.ENDED}),
    PipelineState.PARKED: frozenset({PipelineState.READING, PipelineState.RECLAIMED, PipelineState.ENDED}),
    PipelineState.RECLAIMED: frozenset({PipelineState.PARKED, PipelineState.ENDED}),
    PipelineState.ENDED: frozenset[PipelineState](),
}
"""The states that may follow each state."""


class Pipeline:
    """Sends its input over one connection at a time, which others may share when there are no more."""

    def __init__(self, relay: Relay, mails: AsyncIterator[Mail | None], deadlines: Callable[[], Deadlines]) -> None:
        self._relay, self._now = relay, relay.io.clock()
        self._mails = mails
        self._take: Callable[[int, int], list[Mail]] | None = getattr(mails, "take", None)
        """Returns messages that need not be waited for, at most so many, until they have so many octets."""
        self._must_record: bool = getattr(mails, "must_record", self._take is None)
        """True if the mails get their outcomes as well, for a reader that may be interrupted."""
        self._at_hand: list[Mail] = []
        """Messages that were read and not accepted yet."""
        self._deadlines = deadlines
        self._latest = deadlines()
        self._all: deque[Dispatch | Run] = deque()
        """All messages from the first whose outcome was not returned yet, in the order of the input."""
        self._to_send: deque[Dispatch] = deque()
        self._in_flight: deque[Dispatch | Run] = deque()
        self._connection: Connection | None = None
        self._lease: Lease | None = None
        """The lease of the connection, until that was released."""
        self._unflushed = 0
        """Octets of content that were queued since the last write."""
        self._is_full = False
        """True if there was no room for the next message beside those in flight, a moment ago."""
        self._life = Lifecycle(PipelineState.READING, ALLOWED)
        self._parked_at = self._entered_at = 0.0
        self._holder: Hashable | None = None
        self._mutex = relay.io.mutex(Rank.STREAM)
        self._pool = relay.pool
        self._has_pace = relay.has_pace
        self._turn = relay.io.condition(Rank.TURN)

    async def outcomes(self) -> AsyncGenerator[list[Outcome], None]:
        """Yield the outcomes, as many at a time as are ready."""
        mail: Any = None
        self._relay.pipelines.add(self)
        self._hold()
        try:
            while (mail := await self._next()) is not _END:
                if mail is not None:
                    dispatch = Dispatch(mail, self._deadlines_for(mail))
                    self._all.append(dispatch)
                    if self._try_send(dispatch):
                        await self._flush_if_due()
                        continue
                    self._to_send.append(dispatch)
                is_done = False
                while not is_done:
                    is_done = await self._advance(to_the_end=mail is None)
                    if (is_done and mail is None) or self._has_ready:
                        ready = self._ready()
                        await self._park()
                        yield ready
                        await self._resume()
            while self._all:
                await self._advance(to_the_end=True)
                ready = self._ready()
                await self._park()
                yield ready
                await self._resume()
        except GeneratorExit:
            raise
        except BaseException:
            if self._connection is not None and not self._pool.is_foreign:
                await abandon_if_unsure(self._connection)
            raise
        finally:
            self._relay.pipelines.discard(self)
            if not self._pool.is_foreign:
                self._record_known(mail)
            try:
                await self._end()
            finally:
                self._end_hold()

    async def _next(self) -> Any:
        """Send messages of the usual kind as long as they come and have room. Return the next other message, None for
        the request to settle all, or ``_END``."""
        while True:
            room = self._room()
            if not self._at_hand and room and self._take is not None:
                self._at_hand = self._take(room, FLUSH - self._unflushed)
            if not self._at_hand:
                mail = await anext(self._mails, _END)
                if mail is None or mail is _END:
                    return mail
                self._at_hand = [mail]
                room = self._room()  # another sender may have used the connection meanwhile
            if not room or not self._follow():
                mail, self._at_hand = self._at_hand[0], self._at_hand[1:]
                return mail
            await self._flush_if_due()

    def _room(self) -> int:
        """Return how many messages of the usual kind may follow now."""
        connection = self._connection
        if connection is None or self._to_send or self._has_pace:
            return 0
        return connection.window.allowance or connection.allow()

    def _follow(self) -> bool:
        """Send the messages at hand together, without a plan, up to the first that is not of the usual kind. Return
        whether any was sent."""
        connection = self._connection
        assert connection is not None
        run = Run(connection.info.tls, self._deadlines_for(self._at_hand[-1]))
        self._all.append(run)
        if not (count := connection.window.follow(run, self._at_hand)):
            self._all.pop()
            return False
        self._in_flight.append(run)
        self._at_hand = self._at_hand[count:]
        self._unflushed += run.octets
        return True

    def _record_known(self, latest: Any) -> None:
        """Store in each mail what is certain about it, since nobody takes the outcomes any more. The ``latest`` one may
        not have been accepted yet."""
        accepted = {id(mail) for one in self._all for mail in (one.mails if isinstance(one, Run) else (one.mail,))}
        for mail in (*self._at_hand, latest):
            if mail not in (None, _END) and mail.known is None and id(mail) not in accepted:
                Dispatch(mail, self._latest).interrupt(None)
        connection, is_reclaimed = self._connection, self._life.is_in(PipelineState.RECLAIMED)
        is_ours = connection is not None and connection.users == 1 and not is_reclaimed
        sent = connection.link.stream.sent if is_ours and connection is not None else None
        for one in self._all:
            if isinstance(one, Run):
                one.record_known()
            for dispatch in dispatches_of(one) if isinstance(one, Run) else (one,):
                dispatch.interrupt(sent)

    @property
    def is_parked(self) -> bool:
        """True if it has a connection while its reader is busy elsewhere."""
        return self._life.is_in(PipelineState.PARKED) and self._connection is not None

    async def reclaim_if_parked(self) -> None:
        """Settle the messages in flight and release the connection, if the reader is busy elsewhere. A session that is
        being closed, or another message, then need not wait for the reader."""
        with self._mutex:
            if not self._life.is_in(PipelineState.PARKED):
                return
            self._life.to(PipelineState.RECLAIMED)
        caller = self._pool.hold()
        try:
            self._extend_deadlines()
            while self._in_flight:
                await self._settle_some()
            await self._release()
        finally:
            with self._mutex:
                has_ended = self._life.is_in(PipelineState.ENDED)
                if not has_ended:
                    self._parked_at = self._now()
                    self._life.to(PipelineState.PARKED)
            try:
                if has_ended:
                    await self._release()
            finally:
                self._pool.end_hold(caller)
            async with self._turn:
                self._turn.notify_all()

    def _hold(self) -> None:
        self._holder = self._pool.hold()

    def _end_hold(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            self._pool.end_hold(holder)

    async def _park(self) -> None:
        """Mark the stream parked while the reader uses the outcomes."""
        self._end_hold()
        with self._mutex:
            self._parked_at = self._now()
            self._life.to(PipelineState.PARKED)
        # After parking: a sender that comes to wait checks in the opposite order, so that one of the two sees the
        # other.
        if self._pool.waiting:
            await self.reclaim_if_parked()

    async def _resume(self) -> None:
        """Continue after the reader has returned. After a long absence the server may have closed the connection, so
        that it is checked before content is sent. Raises ``ConfigError`` in a forked child: its parent sends these
        messages."""
        self._pool.check_place("The stream of messages")
        if not self._begin_reading():
            async with self._turn:
                while not self._begin_reading():
                    with suppress(TimeoutError):
                        await self._turn.wait(self._deadlines().end)
        self._holder = self._pool.hold()
        parked_at, now = self._parked_at, self._now()
        if now - parked_at > ABSENT_AFTER:
            self._extend_deadlines()
        if now - parked_at > LONG_IDLE:
            await self._refresh(parked_at)

    def _begin_reading(self) -> bool:
        with self._mutex:
            if self._life.state is PipelineState.RECLAIMED:
                return False
            self._life.to(PipelineState.READING)
            return True

    async def _refresh(self, left_at: float) -> None:
        """Treat the connection as idle since ``left_at``, a long time ago."""
        now = self._now()
        while self._in_flight:
            await self._settle_some()
        if self._connection is not None:
            self._connection.keep(left_at)
            self._connection.resume(now)

    def _extend_deadlines(self) -> None:
        """Extend the deadlines of the messages in flight by the time in which nobody took the outcomes."""
        away = self._now() - self._parked_at
        if away > ABSENT_AFTER:
            for deadlines in {id(dispatch.deadlines): dispatch.deadlines for dispatch in self._all}.values():
                deadlines.extend(away)

    async def _end(self) -> None:
        """End the stream: nobody takes outcomes any more. If another sender is settling them, that sender releases the
        connection, so that nobody waits here."""
        if self._pool.is_foreign:  # the holder of the mutex is gone
            await self._release()
            return
        with self._mutex:
            is_reclaimed = self._life.is_in(PipelineState.RECLAIMED)
            self._life.to(PipelineState.ENDED)
        if not is_reclaimed:
            try:
                await self._release()
            finally:
                if self._lease is not None:
                    self._lease.drop()

    async def _advance(self, *, to_the_end: bool) -> bool:
        """Send what is to be sent, and settle what must be settled first, or everything. Returns False when there is
        more to settle and outcomes must be returned before that."""
        while True:
            while self._to_send and not self._is_full and await self._send(dispatch := self._to_send[0]):
                self._to_send.remove(dispatch)  # others may stand before it by now, to be sent again
            if not self._in_flight or not (self._to_send or to_the_end):
                break
            self._is_full = False
            await self._settle_some()
            if to_the_end and self._has_ready:
                return False
        if to_the_end:
            await self._release()
        return True

    def _deadlines_for(self, mail: Mail) -> Deadlines:
        # Messages that arrive together share the start of their deadline.
        now = self._now() if mail.entered_at is None else mail.entered_at
        if now - self._entered_at > DEADLINE_GROUPING or not self._all:
            self._latest, self._entered_at = self._deadlines(), now
        return self._latest

    def _try_send(self, dispatch: Dispatch) -> bool:
        """Send one message if nothing must be waited for, the usual case."""
        connection = self._connection
        if connection is None or self._to_send or connection.is_spent or self._relay.has_pace:
            return False
        if connection.window.has_room(dispatch.content.size):
            return self._add(connection, dispatch)
        self._is_full = bool(self._in_flight)
        return False

    def _add(self, connection: Connection, dispatch: Dispatch) -> bool:
        """Let a message follow the others; return False if it must go alone."""
        try:
            plan = self._relay.plan(connection, dispatch, expects_more=True)
        except SMTPError as error:
            dispatch.fail(error)
            return True
        if plan.waits:
            return False
        dispatch.transaction = connection.window.add(plan)
        self._in_flight.append(dispatch)
        self._unflushed += plan.content.size
        return True

    async def _send(self, dispatch: Dispatch) -> bool:
        """Send one message; return False if others must be settled first."""
        try:
            connection = await self._connection_for(dispatch)
        except SMTPError as error:
            dispatch.fail(error)
            return True
        if connection is None:
            return False
        # Messages of other senders are not settled by this stream: there is always room for one of its own.
        if self._in_flight and not connection.window.has_room(dispatch.content.size):
            return False
        if self._relay.has_pace and (pause := self._relay.pause(dispatch)) > 0:
            # Waiting for the pace does not use up the time of this message or of those before it.
            while self._in_flight:
                await self._settle_some()
            left_at = self._now()
            await self._relay.io.sleep(pause)
            dispatch.deadlines = self._latest = self._deadlines()
            if self._now() - left_at > LONG_IDLE:
                await self._refresh(left_at)
            return await self._send(dispatch)
        if self._add(connection, dispatch):
            await self._flush_if_due()
            return True
        if self._in_flight:
            return False
        # A message that cannot share goes alone, over a connection that nobody else can join.
        await self._release()
        self._end_hold()
        try:
            await self._relay.deliver(dispatch)
        finally:
            self._hold()
        return True

    async def _connection_for(self, dispatch: Dispatch) -> Connection | None:
        """Return the connection; None if it must not be used any more but has messages in flight."""
        connection = self._connection
        if connection is not None and (connection.is_spent or not connection.link.accepts_commands):
            if self._in_flight:
                return None
            await self._release()
        if self._connection is None:
            await self._release()  # again, if the one who did it was interrupted
            self._lease = await self._pool.acquire(
                dispatch.deadlines,
                size=dispatch.content.size,
                opened_after=dispatch.not_before,
                is_picky=dispatch.is_picky,
            )
            self._connection = self._lease.connection
        return self._connection

    async def _flush_if_due(self) -> None:
        if self._unflushed >= FLUSH:
            self._unflushed = 0
            if self._connection is not None:
                await self._connection.window.flush(self._latest)

    async def _settle_some(self) -> None:
        """Wait until the oldest message in flight is settled, and collect all that are."""
        connection, oldest = self._connection, self._in_flight[0]
        assert connection is not None
        awaited = oldest if isinstance(oldest, Run) else oldest.transaction
        assert awaited is not None
        self._unflushed = 0
        await connection.window.settle(awaited, oldest.deadlines)
        again: list[Dispatch] = []
        delivered, in_flight = 0, self._in_flight
        while in_flight:
            one = in_flight[0]
            if isinstance(one, Run):
                delivered += self._collect(one)
                if in_flight and in_flight[0] is one:
                    break
                continue
            if (transaction := one.transaction) is None or (outcome := transaction.outcome) is None:
                break
            in_flight.popleft()
            if outcome.error is None:
                delivered += 1
                if one.is_whole:  # the usual case
                    one.transaction, outcome.tls, one.outcome = None, one.tls, outcome
                    continue
            self._apply(one, outcome, connection, again)
        if delivered:
            self._pool.succeeded(delivered)
        if again:
            # What the server itself refused goes last, as it may end the next connection as well.
            again.sort(key=lambda dispatch: dispatch.was_refused)
            self._to_send.extendleft(reversed(again))
        if connection.link.ended:
            await self._release()
        elif self._pool.is_expired(connection, self._now()):
            self._pool.retire(connection)

    def _apply(self, dispatch: Dispatch, outcome: Outcome, connection: Connection, again: list[Dispatch]) -> None:
        """Apply the outcome of one transaction; add the message to those that are sent ``again`` at once, if it is."""
        relay = self._relay
        if outcome.error is None or not relay.is_resent_at_once(dispatch, outcome, connection):
            dispatch.apply(outcome, relay.quirks, all_or_nothing=relay.all_or_nothing)
        if dispatch.outcome is None:
            again.append(dispatch)

    def _collect(self, run: Run) -> int:
        """Collect what is new of the oldest run in flight, which ends when all its messages are settled, and when it
        was spread. Return how many were delivered."""
        has_ended, count = bool(run.transactions), len(run.outcomes)
        delivered, run.seen = count - run.seen, count
        if has_ended:
            dispatches = dispatches_of(run)
            place = self._all.index(run)
            for dispatch in dispatches:
                self._all.insert(place := place + 1, dispatch)
            del run.mails[count:]
            if run.given == count:
                self._all.remove(run)
            self._in_flight.popleft()
            self._in_flight.extendleft(reversed(dispatches))
        elif count == len(run.mails):
            self._in_flight.popleft()
        return delivered

    @property
    def _has_ready(self) -> bool:
        return bool(self._all) and self._all[0].outcome is not None

    def _ready(self) -> list[Outcome]:
        """Return the outcomes up to the first message that has none yet."""
        ready: list[Outcome] = []
        everything = self._all
        while everything:
            one = everything[0]
            if isinstance(one, Run):
                count = len(one.outcomes)
                ready += one.outcomes[one.given : count]
                if self._must_record:
                    one.record_known()
                one.given = count
                if count < len(one.mails):
                    break
            elif (outcome := one.outcome) is None:
                break
            else:
                one.mail.known = outcome  # if the reader is interrupted before it has it
                ready.append(outcome)
            everything.popleft()
        return ready

    async def _release(self) -> None:
        lease, self._connection = self._lease, None
        if lease is not None:
            await self._pool.release(lease, self._latest)
            self._lease = None
