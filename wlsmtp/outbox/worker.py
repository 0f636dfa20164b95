"""The worker: takes due mail out of an outbox, has a transport carry it, and writes down what came of it.

A mail is lent to the worker from before its first octet goes out until its outcome is written down. Between the two,
and only there, the death of the program leaves a doubt.
"""

from __future__ import annotations

import uuid
from collections import deque
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from wlsmtp.errors import MessageError, OutboxError, SMTPError
from wlsmtp.events import Interrupted, Retrying, log
from wlsmtp.outbox.verdict import abandoned, after_try, concerns_all, expired
from wlsmtp.receipt import Outcome
from wlsmtp.retry import pause_between

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO, Task
    from wlsmtp.message.mail import Mail
    from wlsmtp.outbox.base import Entry, Outbox
    from wlsmtp.outbox.verdict import Rules
    from wlsmtp.receipt import Receipt
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.transports.base import Transport

CLAIMED = 100
"""Mails lent at once: few enough that a death leaves few in doubt, and that urgent mail need not wait for long."""
LOOKS = 1.0
"""Seconds after which a shared outbox is looked into for the mail of other programs."""
LINGERS = 1.0
"""Seconds for which a worker without work stays, in case more is put."""
PURGES = 3600.0
"""Seconds between two cleanings."""
PROBES = 60.0
"""The longest pause after a failure that stands in the way of all mail. Then one mail goes ahead to see."""
WRITES = 30
"""How often it is tried to write down what came of mail when the outbox cannot be used."""
REST = 1.0
"""Seconds between two such tries."""


class Worker:
    """Works until it is told to stop, or (unless it ``stays``) until nothing is left to do."""

    def __init__(
        self, outbox: Outbox, transport: Transport, rules: Rules, io: IO, announce: Announcer,
        deadlines: Callable[[], Deadlines], count: Callable[[Receipt], None],
        finish: Callable[[Sequence[Entry]], Awaitable[None]],
    ) -> None:  # fmt: skip
        """``count`` and ``finish`` are told of mail of which the last word is written down."""
        self._outbox = outbox
        self._transport = transport
        self._rules = rules
        self._io = io
        self._announce = announce
        self._deadlines = deadlines
        self._count = count
        self._finish = finish
        self._owner = uuid.uuid4().hex
        self._changed = io.condition()
        self._ending = io.condition()
        self._claimed: deque[Entry] = deque()
        """Lent to us, and not given to the transport yet."""
        self._in_flight: deque[Entry] = deque()
        """Given to the transport, in order, without an outcome yet."""
        self._failures = 0
        """Failures in a row that stand in the way of all mail."""
        self._paused_until = 0.0
        self._purges_at = 0.0
        self._reclaims = True
        """Whether mail of earlier workers may lie about."""
        self._calls = 0
        self._is_stopping = False
        self.stays = False
        """Whether it goes on looking for work when there is none."""
        self.reopens = False
        """Whether the transport was closed, and must be opened again."""
        self.is_busy = False
        """Whether it has mail on its way, or is about to."""
        self.has_ended = False
        """Whether it will not look for work any more; only then may another worker begin."""

    @property
    def is_paused(self) -> bool:
        """Whether it leaves the server alone, because the last tries did not reach it."""
        return self._io.wall() < self._paused_until

    async def call(self) -> bool:
        """Have it look for work now. False when it has ended, or is about to."""
        async with self._changed:
            self._calls += 1
            self._changed.notify_all()
            return not (self.has_ended or self._is_stopping)

    async def stop(self) -> None:
        """Have it end once what is on its way has an outcome."""
        async with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    async def run(self) -> None:
        """Work."""
        keeper = self._io.spawn(self._keep_leases(), "wlsmtp-outbox-leases")
        try:
            if self.reopens:
                with suppress(SMTPError):  # that nobody answers shows later
                    await self._transport.open(self._deadlines())
            await self._work_in_peace()
            while await self._wait_for_work():
                await self._work_in_peace()
        finally:
            await self._end(keeper)

    async def _end(self, keeper: Task[None]) -> None:
        async with self._changed:
            self.has_ended = True
        async with self._ending:
            self._ending.notify_all()
        await keeper.wait(self._io.now() + self._outbox.lease)

    def _forsake(self) -> None:
        """Give up what is in flight without a word on it: it belongs to the old name, whose leases nobody renews."""
        self._owner = uuid.uuid4().hex
        self._in_flight.clear()
        self._reclaims = True

    async def _wait_for_work(self) -> bool:
        """True once there may be work; False when it is time to end."""
        while not self._is_stopping:
            calls = self._calls
            now = self._io.wall()
            due = await self._next_look()
            if due is not None and due <= now:
                return True
            is_idle = due is None and not self.stays
            pause = LINGERS if due is None else due - now
            async with self._changed:
                if calls != self._calls or self._is_stopping:
                    continue
                with suppress(TimeoutError):
                    await self._changed.wait(self._io.now() + self._at_most(pause))
                    continue
                if is_idle and calls == self._calls:
                    self.has_ended = True
                    return False
        return False

    def _at_most(self, seconds: float) -> float:
        return min(seconds, LOOKS) if self._outbox.is_shared else min(seconds, PURGES)

    async def _next_look(self) -> float | None:
        try:
            due = (await self._outbox.agenda()).next
        except OutboxError as error:
            log.error("the outbox cannot be read: %s", error)
            return self._io.wall() + LOOKS
        if self._reclaims:
            due = self._paused_until
        look = None if due is None else max(due, self._paused_until)
        return look if not self.stays else min(look or self._purges_at, self._purges_at)

    async def _work_in_peace(self) -> None:
        """One round, whatever happens to the outbox."""
        self.is_busy = True
        try:
            await self._housekeeping()
            await self._work()
        except OutboxError as error:
            log.error("the outbox cannot be used: %s", error)
            self._forsake()
            self._pause(error, is_passing=True)
        self.is_busy = False
        await self._finish([])

    async def _work(self) -> None:
        """All that is due, as one stream through the transport."""
        try:
            async with (
                aclosing(self._feed()) as mails,
                aclosing(self._transport.deliver_many(mails, self._deadlines)) as delivering,
            ):
                async for outcomes in delivering:
                    await self._settle([(self._in_flight.popleft(), outcome) for outcome in outcomes])
        except OutboxError:
            raise
        except Exception as failure:  # a transport must not raise; what it had is in doubt then
            log.exception("the transport failed")
            await self._settle([(entry, abandoned(entry, failure)) for entry in self._taken()])
            self._pause(SMTPError(f"The transport failed: {type(failure).__name__}"), is_passing=True)
        finally:
            await self._give_back()

    def _taken(self) -> list[Entry]:
        taken = list(self._in_flight)
        self._in_flight.clear()
        return taken

    async def _feed(self) -> AsyncGenerator[Mail, None]:
        """Due mail, claimed as the transport takes it. It ends rather than wait, so that the transport finishes."""
        is_probe = self._failures > 0
        while self._may_go_on and await self._claim(1 if is_probe else CLAIMED):
            while self._claimed and self._may_go_on:
                entry = self._claimed.popleft()
                if entry.expires is not None and entry.expires <= self._io.wall():
                    await self._record([expired(entry, self._io.wall())])
                elif (mail := await self._mail_of(entry)) is not None:
                    self._in_flight.append(entry)
                    yield mail
                    if is_probe:
                        return

    async def _mail_of(self, entry: Entry) -> Mail | None:
        """What the transport is given; what this version does not take any more is an error of that mail alone."""
        try:
            return entry.mail
        except MessageError as error:
            outcome = Outcome.failed(entry.waiting, error)
            await self._record([after_try(entry, outcome, self._rules, self._io.wall())])
            return None

    async def _claim(self, limit: int) -> bool:
        self._claimed.extend(await self._outbox.claim(self._owner, limit))
        return bool(self._claimed)

    @property
    def _may_go_on(self) -> bool:
        return not self._is_stopping and not self.is_paused

    async def _settle(self, tried: Sequence[tuple[Entry, Outcome]]) -> None:
        now = self._io.wall()
        for _, outcome in tried:
            if not concerns_all(outcome.error):
                self._failures = 0
            elif outcome.error is not None and self._may_go_on:
                self._pause(outcome.error, is_passing=outcome.error.temporary)
        await self._record([after_try(entry, outcome, self._rules, now) for entry, outcome in tried])

    def _pause(self, error: SMTPError, *, is_passing: bool) -> None:
        """Leave the server alone for a while, longer each time. What does not pass by itself, as a wrong password, is
        given the longest pause at once: more tries would lock the account."""
        self._failures += 1
        pause = min(pause_between(self._rules.policy, self._failures), PROBES)
        pause = pause if is_passing else self._rules.policy.max_backoff
        self._paused_until = self._io.wall() + pause
        self._announce(Retrying(error, self._failures + 1, pause))

    async def _record(self, entries: Sequence[Entry]) -> None:
        """Write down, with all patience, what came of mail: if it is not known later, it will be sent again."""
        for tries in range(WRITES, -1, -1):
            try:
                lost = set(await self._outbox.settle(self._owner, entries))
                break
            except OutboxError as error:
                log.error("what came of %d messages could not be written down: %s", len(entries), error)
                if not tries or not error.temporary:
                    raise
                await self._io.sleep(REST)
        for entry in entries:
            if entry.receipt.id in lost:
                log.warning("message %s was taken over by another worker, and may arrive twice", entry.receipt.id)
        await self._tell([entry for entry in entries if entry.receipt.id not in lost])

    async def _tell(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            receipt, error = entry.receipt, entry.receipt.error
            if error is not None:
                error.receipt = receipt
            if entry.due is not None:
                pause = entry.due - self._io.wall()
                if error is not None:
                    self._announce(Retrying(error, receipt.attempts + 1, max(0.0, pause)))
            else:
                self._count(receipt)
        await self._finish([entry for entry in entries if entry.is_finished])

    async def _give_back(self) -> None:
        """Return what was claimed and never tried, as it was."""
        untried = [entry.waits_until(entry.due or 0.0, entry.receipt, entry.waiting) for entry in self._claimed]
        self._claimed.clear()
        if untried:
            with suppress(OutboxError):  # their leases end
                await self._outbox.settle(self._owner, untried)

    async def _housekeeping(self) -> None:
        lease = (await self._outbox.agenda()).lease
        if self._reclaims or (lease is not None and lease <= self._io.wall()):
            self._reclaims = False
            for entry in await self._outbox.reclaim(self._owner):
                self._announce(Interrupted(entry.receipt))
        if self._outbox.keep is not None and self._io.wall() >= self._purges_at:
            self._purges_at = self._io.wall() + PURGES
            while await self._outbox.purge(self._io.wall() - self._outbox.keep):
                pass

    async def _keep_leases(self) -> None:
        """Give signs of life, whatever the transport waits for."""
        while not self.has_ended:
            async with self._ending:
                if not self.has_ended:
                    with suppress(TimeoutError):
                        await self._ending.wait(self._io.now() + self._outbox.lease / 3)
            with suppress(OutboxError):  # the next sign may come through; if not, the leases end
                await self._outbox.renew(self._owner)
