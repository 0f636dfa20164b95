"""Many messages in one stream. Receipts come in the order of the input, whatever the results.

A message to be retried joins the stream when it is due, so that no other message waits for it. The number of messages
that wait for an earlier one is bounded, so that the input may be endless.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ExtensionMissing, MessageError, SMTPError
from wlsmtp.events import Streamed, log
from wlsmtp.io.nested import nested
from wlsmtp.message.mail import Mail
from wlsmtp.message.merge import MergeRow
from wlsmtp.receipt import Status
from wlsmtp.results.accepted import accepted_receipt
from wlsmtp.retry import RetryState
from wlsmtp.smtp.deadlines import Deadlines

if TYPE_CHECKING:
    from wlsmtp.accounts import Accounts
    from wlsmtp.intake import Intake
    from wlsmtp.io.base import IO
    from wlsmtp.items import Item
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.receipt import Outcome, Receipt
    from wlsmtp.transports.base import Context, Transport
_END: Any = object()

SLOW = 0.05
"""Seconds. If the input takes longer per message, sending ahead gains nothing: receipts come at once."""
_QUICK = 32 * 1024
"""Octets of content below which a message is made in no time."""
MOST_WAITING = 16
"""How many times the window's capacity may wait for the receipt of an earlier message."""


class _Entry(Mail):
    """One message, from the input to its receipt."""

    __slots__ = ("absent", "receipt", "retry", "started")

    started: float
    absent: float
    """The value of ``Batch._absent`` when it started."""
    retry: _Retry | None
    """Set when it has failed and is tried again."""
    receipt: Receipt | None


_new = object.__new__


def _entry(envelope: Envelope, content: Content, started: float, absent: float) -> _Entry:
    """Return an entry. A function, as calling a class takes several times as long."""
    entry = _new(_Entry)
    entry.envelope, entry.content = envelope, content
    entry.entered_at = entry.started = started
    entry.absent = absent
    entry.had_free_retry = entry.is_suspect = False
    entry.known = entry.retry = entry.receipt = None
    return entry


@dataclass(slots=True)
class _Retry:
    """A message that is tried again."""

    entry: _Entry
    state: RetryState
    outcome: Outcome
    """That of its attempts so far."""
    due: float

    def __lt__(self, other: _Retry) -> bool:
        return self.due < other.due


class _Refused:
    """An item that is not a valid message."""

    __slots__ = ("receipt", "started")

    def __init__(self, receipt: Receipt, started: float) -> None:
        self.receipt: Receipt | None = receipt
        self.started = started


class Feed:
    """The input of a batch: an iterator for any transport. One that can send several messages at once takes those
    that need not be waited for."""

    def __init__(self, batch: Batch) -> None:
        self.take = batch.take
        self._mails = batch.feed()

    def __aiter__(self) -> Feed:
        return self

    def __anext__(self) -> Awaitable[Mail | None]:
        return self._mails.__anext__()


class Batch:
    """One call of ``send_many``."""

    def __init__(
        self,
        context: Context,
        transport: Transport,
        intake: Intake,
        accounts: Accounts,
        items: Iterable[Item] | AsyncIterable[Item],
        connections: int | None,
    ) -> None:
        self._config, self._io, self._announce = context.config, context.io, context.announce
        self._transport = transport
        self._intake = intake
        self._accounts = accounts
        self._items = items
        self._at_hand: Iterator[Item] = iter(())
        self._later: AsyncIterator[Item] | None = None
        self._is_slow = False
        """True if the latest item came so slowly that nothing is sent ahead."""
        self._is_over = False
        """True once the input has ended."""
        self._connections = connections
        self._entries: deque[_Entry | _Refused] = deque()
        """All entries from the first whose receipt was not returned yet, in the order of the input."""
        self._in_flight: deque[_Entry] = deque()
        self._waiting: list[_Retry] = []
        """A heap of messages to be tried again, by due time."""
        self._session_error: SMTPError | None = None
        """A failure that would affect all messages."""
        self._failure_of_input: Exception | None = None
        self._has_read_all = False
        """True once the transport has read everything that was to be sent."""
        self._absent = 0.0
        """Seconds in which the reader of the receipts was busy elsewhere; they do not count against the messages."""
        self._messages = self._failed = 0
        """How many have a receipt, and how many of these nobody got."""
        width = connections or 1
        self._most = MOST_WAITING * self._config.pipelining.max_in_flight * width

    async def receipts(self) -> AsyncGenerator[list[Receipt], None]:
        """Yield the receipts, as many at a time as are ready. Raises an error that affects all messages once each
        message that was read has its receipt: messages in flight may have been delivered. An error of the input is
        raised likewise."""
        io = self._io
        if io.abandoned:
            await close_abandoned(io)
        began = io.now()
        if isinstance(self._items, AsyncIterable):
            self._later = aiter(self._items)
        else:
            self._at_hand = iter(self._items)
        deadlines = partial(Deadlines, io, self._config.timeout)
        stream = self._transport.deliver_many(Feed(self), deadlines, self._connections)
        try:
            async for outcomes in nested(stream):
                self._take(outcomes)
                if ready := self._ready():
                    left_at = io.now()
                    yield ready
                    self._absent += io.now() - left_at
        finally:
            await stream.aclose()
        self._note_early_end()
        self._give_up_waiting()
        self._report(io.now() - began - self._absent)
        if ready := self._ready():
            yield ready
        if self._session_error is not None:
            raise self._session_error
        if self._failure_of_input is not None:
            raise self._failure_of_input

    def _report(self, seconds: float) -> None:
        self._intake.warn()
        if self._announce.wants_successes or self._failed:
            error = self._session_error
            self._announce(Streamed(self._messages, self._failed, self._transport.name, seconds, error))

    async def feed(self) -> AsyncGenerator[Mail | None, None]:
        """Yield what is to be sent next; None asks for the outcomes of everything in flight."""
        while self._session_error is None:
            entry: _Entry | _Refused | None = self._next_due() if self._waiting else None
            if entry is None and self._may_read:
                if self._is_slow and self._in_flight:
                    yield None
                    continue
                entry = self._read() if self._later is None else await self._read_later(self._later)
                if entry is None or (entry.receipt is not None and self._in_flight):
                    continue
            if isinstance(entry, _Entry):
                self._in_flight.append(entry)
                yield entry
            elif entry is not None or self._in_flight:
                yield None
            elif self._waiting:
                await self._io.sleep(max(0.0, self._waiting[0].due - self._io.now()))
            else:
                self._has_read_all = True
                return

    def take(self, count: int, octets: int) -> list[Mail]:
        """Return the next messages as ``feed`` would yield them: at most ``count``, until they have so many ``octets``.
        Empty if ``feed`` would wait or yield None."""
        taken: list[Mail] = []
        if self._later is not None or self._waiting or self._session_error is not None or self._is_slow:
            return taken
        most = 0 if self._is_over else max(0, min(count, self._most - len(self._entries)))
        before, now, in_flight = len(self._entries), self._io.clock(), self._in_flight
        asked = now()
        try:
            for item in islice(self._at_hand, most):
                started = now()
                entry = self._enter(item, asked, started)
                if isinstance(entry, _Entry):
                    in_flight.append(entry)
                    taken.append(entry)
                    size = entry.content.size
                    octets -= size
                    # Reading the clock takes a tenth of the time of such a message: one reading serves two items.
                    asked = started if size < _QUICK and type(item) is tuple else now()
                else:
                    asked = now()
                if octets <= 0 or self._is_slow:
                    break
            else:
                self._is_over = self._is_over or len(self._entries) - before < most
        except Exception as error:
            self._is_over, self._failure_of_input = True, error
        return taken

    @property
    def _may_read(self) -> bool:
        """True if there may be more input, and it may be read before some receipt is ready."""
        if self._is_over or len(self._entries) >= self._most:
            return False
        return not self._waiting or not self._must_wait()

    def _read(self) -> _Entry | _Refused | None:
        """Read the next item; None after the last. An error of the input is raised once those that were read have their
        receipts."""
        asked = self._io.now()
        try:
            if (item := next(self._at_hand, _END)) is not _END:
                return self._enter(item, asked, self._io.now())
            self._is_over = True
        except Exception as error:
            self._is_over, self._failure_of_input = True, error
        return None

    async def _read_later(self, items: AsyncIterator[Item]) -> _Entry | _Refused | None:
        """Read the next item of an asynchronous iterable, as ``_read``."""
        asked = self._io.now()
        try:
            if (item := await anext(items, _END)) is not _END:
                return self._enter(item, asked, self._io.now())
            self._is_over = True
        except Exception as error:
            self._is_over, self._failure_of_input = True, error
        return None

    def _must_wait(self) -> bool:
        """Return whether no more input is read for now, as nothing can be sent."""
        return any(_concerns_all(retry.outcome) for retry in self._waiting)

    def _next_due(self) -> _Entry | None:
        if self._waiting[0].due <= self._io.now():
            return heapq.heappop(self._waiting).entry
        return None

    def _enter(self, item: Item, asked: float, started: float) -> _Entry | _Refused:
        """Note an item that was waited for from ``asked`` to ``started``."""
        entry: _Entry | _Refused
        try:
            envelope, content = self._intake.parts_of(item)
            if type(item) is not tuple and isinstance(item, MergeRow):
                # Its row may have made it slowly, as a slow input.
                started = self._io.now()
            entry = _entry(envelope, content, started, self._absent)
        except (MessageError, ExtensionMissing) as error:
            entry = _Refused(self._accounts.not_a_message(error, is_streamed=True), started)
            self._messages, self._failed = self._messages + 1, self._failed + 1
        self._entries.append(entry)
        self._is_slow = started - asked > SLOW
        return entry

    def _take(self, outcomes: list[Outcome]) -> None:
        """Conclude the oldest messages in flight, except those that wait for another try."""
        now, in_flight, accounts = self._io.now(), self._in_flight, self._accounts
        is_silent, session, numbers = accounts.is_silent, accounts.session, accounts.numbers
        for outcome in outcomes:
            entry = in_flight.popleft()
            retry = entry.retry
            if outcome.error is None and retry is None and is_silent:  # the usual case
                message_id, elapsed = entry.content.message_id, now - entry.started
                entry.receipt = accepted_receipt(outcome, session, next(numbers), message_id, elapsed)
                accounts.sent += 1
                self._messages += 1
                del entry.content  # it may be large, and the receipt may wait for that of an earlier message
                continue
            whole = outcome if retry is None else retry.outcome.updated_by(outcome)
            attempts = 1 if retry is None else retry.state.attempts + 1
            if whole.error is None or self._session_error is not None or not self._wait_for_another_try(entry, whole):
                self._conclude(entry, whole, attempts, now)

    def _conclude(self, entry: _Entry, outcome: Outcome, attempts: int, now: float) -> None:
        entry.receipt = self._accounts.receipt_for(
            outcome, entry.content, attempts, now - entry.started, is_streamed=True
        )
        del entry.content  # it may be large, and the receipt may wait for that of an earlier message
        self._messages += 1
        if outcome.error is not None:
            self._failed += entry.receipt.status is not Status.PARTIAL
            if self._session_error is None and _concerns_all(outcome):
                self._session_error = outcome.error

    def _note_early_end(self) -> None:
        """Note that a third-party transport has ended the stream early, and the rest of the input was not sent."""
        if not self._has_read_all and self._session_error is None:
            words = f"{self._transport.name} ended the stream; the rest of the input was not sent"
            self._failure_of_input = self._failure_of_input or SMTPError(words)

    def _give_up_waiting(self) -> None:
        """Retry no more: the latest outcomes stand."""
        for retry in self._waiting:
            self._conclude(retry.entry, retry.outcome, retry.state.attempts, self._io.now())
        self._waiting.clear()

    def _wait_for_another_try(self, entry: _Entry, outcome: Outcome) -> bool:
        if entry.retry is not None:
            state = entry.retry.state
        else:
            state = RetryState(entry.envelope, self._config, self._announce, entry.content.message_id)
        now = self._io.now()
        used = now - entry.started - (self._absent - entry.absent)
        pause = state.pause_after(outcome, self._config.timeout.total - used, used)
        if pause is None:
            return False
        entry.retry = _Retry(entry, state, outcome, now + pause)
        entry.envelope = state.envelope_for_retry(outcome)
        entry.entered_at = None
        heapq.heappush(self._waiting, entry.retry)
        return True

    def _ready(self) -> list[Receipt]:
        """Return the receipts up to the first message that has none yet."""
        ready: list[Receipt] = []
        entries = self._entries
        while entries and (receipt := entries[0].receipt) is not None:
            entries.popleft()
            ready.append(receipt)
        return ready


def _concerns_all(outcome: Outcome | None) -> bool:
    """Return whether the failure concerns the session and not one message."""
    error = outcome.error if outcome is not None else None
    return error is not None and error.stage is not None and error.stage.is_before_mail


async def close_abandoned(io: IO) -> None:
    """Close streams that nobody reads any more, as the garbage collector has found."""
    abandoned = io.abandoned
    while abandoned:
        with suppress(IndexError):  # another thread may have taken the last
            generator = abandoned.popleft()
            try:
                await generator.aclose()
            except Exception:
                log.exception("an unfinished stream could not be closed")
