"""Many messages in one stream: their receipts come in the order of the input, however the messages fare.

What is to be tried again joins the stream when its time has come, so that no other message waits for it. The number of
messages that wait for an earlier one is bounded, so an endless input is fine.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ExtensionMissing, MessageError, SMTPError
from wlsmtp.events import Streamed, log
from wlsmtp.message.mail import Mail
from wlsmtp.message.merge import MergeRow
from wlsmtp.receipt import Status
from wlsmtp.retry import Campaign
from wlsmtp.smtp.deadlines import Deadlines

if TYPE_CHECKING:
    from wlsmtp.accounts import Accounts
    from wlsmtp.intake import Intake, Item
    from wlsmtp.io.base import IO
    from wlsmtp.receipt import Outcome, Receipt
    from wlsmtp.transports.base import Context, Transport

_END: Any = object()

SLOW = 0.05
"""Seconds. An input that takes longer for one message gains nothing by sending ahead: its receipts come at once."""
MOST_WAITING = 16
"""Times as many messages as fit the window may wait for the receipt of an earlier one."""


class _Entry:
    """One message, from the input to its receipt."""

    __slots__ = ("absent", "campaign", "due", "mail", "outcome", "receipt", "started")

    def __init__(self, mail: Mail | None, started: float, absent: float) -> None:
        self.mail = mail
        self.started = started
        self.absent = absent
        """What ``Batch._absent`` was when it started."""
        self.campaign: Campaign | None = None
        self.outcome: Outcome | None = None
        self.due = 0.0
        self.receipt: Receipt | None = None

    def __lt__(self, other: _Entry) -> bool:
        return self.due < other.due


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
        self._connections = connections
        self._entries: deque[_Entry] = deque()
        """In the order of the input, up to the first whose receipt was not given yet."""
        self._on_their_way: deque[_Entry] = deque()
        self._waiting: list[_Entry] = []
        """A heap of those to be tried again, by the time when that is due."""
        self._obstacle: SMTPError | None = None
        """What went wrong with one message, and would go wrong with all."""
        self._failure_of_input: Exception | None = None
        self._absent = 0.0
        """Seconds in which whoever takes the receipts was busy elsewhere: none of the time that messages have."""
        self._messages = self._failed = 0
        """How many have a receipt, and how many of these nobody got."""
        width = connections or 1
        self._most = MOST_WAITING * self._config.pipelining.max_in_flight * width

    async def receipts(self) -> AsyncGenerator[list[Receipt], None]:
        """The receipts, as many at a time as there are. Raises what stands in the way of all messages, once each that
        was read has its receipt: what was on its way then may have been delivered. So does an error of the input."""
        io = self._io
        if io.abandoned:
            await close_abandoned(io)
        began = io.now()
        deadlines = partial(Deadlines, io, self._config.timeout)
        stream = self._transport.deliver_many(self._feed(), deadlines, self._connections)
        try:
            async for outcomes in stream:
                for outcome in outcomes:
                    self._take(self._on_their_way.popleft(), outcome)
                if ready := self._ready():
                    left_at = io.now()
                    yield ready
                    self._absent += io.now() - left_at
        finally:
            await stream.aclose()
        self._give_up_waiting()
        self._report(io.now() - began - self._absent)
        if ready := self._ready():
            yield ready
        if self._obstacle is not None:
            raise self._obstacle
        if self._failure_of_input is not None:
            raise self._failure_of_input

    def _report(self, seconds: float) -> None:
        if self._announce.wants_successes or self._failed:
            error = self._obstacle
            self._announce(Streamed(self._messages, self._failed, self._transport.name, seconds, error))

    async def _feed(self) -> AsyncIterator[Mail | None]:
        """What is to be sent next; None asks for the outcomes of what is on its way."""
        items = self._items
        later = aiter(items) if isinstance(items, AsyncIterable) else None
        at_hand = iter(items) if not isinstance(items, AsyncIterable) else iter(())
        is_slow, is_over = False, False
        while self._obstacle is None:
            entry = self._next_due() if self._waiting else None
            if entry is None and not is_over and not self._is_held_up():
                if is_slow and self._on_their_way:
                    yield None
                    continue
                asked = self._io.now()
                try:
                    item = next(at_hand, _END) if later is None else await anext(later, _END)
                    entry = self._enter(item) if item is not _END else None
                except Exception as error:  # raised once those that were read have their receipts
                    self._failure_of_input = error
                    entry = None
                if entry is None:
                    is_over = True
                    continue
                is_slow = entry.started - asked > SLOW
                if entry.receipt is not None and self._on_their_way:
                    continue
            if entry is not None and entry.mail is not None:
                self._on_their_way.append(entry)
                yield entry.mail
            elif entry is not None or self._on_their_way:
                yield None
            elif self._waiting:
                await self._io.sleep(max(0.0, self._waiting[0].due - self._io.now()))
            else:
                return

    def _is_held_up(self) -> bool:
        """Whether no more is taken for now: too many wait for an earlier one, or nothing can be sent at all."""
        if len(self._entries) >= self._most:
            return True
        return bool(self._waiting) and any(_concerns_all(entry.outcome) for entry in self._waiting)

    def _next_due(self) -> _Entry | None:
        if self._waiting[0].due <= self._io.now():
            return heapq.heappop(self._waiting)
        return None

    def _enter(self, item: Item) -> _Entry:
        started = self._io.now()
        try:
            mail = self._intake.mail_of(item, entered_at=started)
            if isinstance(item, MergeRow):  # its row may have made it slowly, as an input may give it
                mail.entered_at = started = self._io.now()
            entry = _Entry(mail, started, self._absent)
        except (MessageError, ExtensionMissing) as error:
            entry = _Entry(None, started, self._absent)
            entry.receipt = self._accounts.not_a_message(error, is_streamed=True)
            self._messages, self._failed = self._messages + 1, self._failed + 1
        self._entries.append(entry)
        return entry

    def _take(self, entry: _Entry, outcome: Outcome) -> None:
        assert entry.mail is not None
        whole = outcome if entry.outcome is None else entry.outcome.updated_by(outcome)
        attempts = entry.campaign.attempts + 1 if entry.campaign is not None else 1
        if whole.error is None or self._obstacle is not None or not self._wait_for_another_try(entry, whole):
            self._conclude(entry, whole, attempts)

    def _conclude(self, entry: _Entry, outcome: Outcome, attempts: int) -> None:
        assert entry.mail is not None
        entry.receipt = self._accounts.receipt_for(
            outcome, entry.mail.content, attempts, entry.started, is_streamed=True
        )
        entry.mail = None
        self._messages += 1
        self._failed += outcome.error is not None and entry.receipt.status is not Status.PARTIAL
        if outcome.error is not None and self._obstacle is None and _concerns_all(outcome):
            self._obstacle = outcome.error

    def _give_up_waiting(self) -> None:
        """No further try for anybody: what came of the latest stands."""
        for entry in self._waiting:
            assert entry.outcome is not None and entry.campaign is not None
            self._conclude(entry, entry.outcome, entry.campaign.attempts)
        self._waiting.clear()

    def _wait_for_another_try(self, entry: _Entry, outcome: Outcome) -> bool:
        assert entry.mail is not None
        if entry.campaign is None:
            entry.campaign = Campaign(entry.mail.envelope, self._config, self._announce, entry.mail.content.message_id)
        now = self._io.now()
        used = now - entry.started - (self._absent - entry.absent)
        pause = entry.campaign.pause_after(outcome, self._config.timeout.total - used, used)
        if pause is None:
            return False
        entry.outcome = outcome
        envelope, mail = entry.campaign.rest(outcome), entry.mail
        entry.mail = Mail(envelope, mail.content, mail.had_free_retry, mail.is_suspect)
        entry.due = now + pause
        heapq.heappush(self._waiting, entry)
        return True

    def _ready(self) -> list[Receipt]:
        """The receipts up to the first message that has none yet."""
        ready: list[Receipt] = []
        entries = self._entries
        while entries and (receipt := entries[0].receipt) is not None:
            entries.popleft()
            ready.append(receipt)
        return ready


def _concerns_all(outcome: Outcome | None) -> bool:
    """Whether the failure concerns the session and not one message."""
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
