"""The worker: claims due mail from an outbox, passes it to a transport, and stores the results.

A mail is leased to the worker from before its first octet is sent until its outcome is stored. The death of the program
leaves a doubt only in that time.
"""

from __future__ import annotations

import uuid
from collections import deque
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING

from wlsmtp.errors import ConfigError, MessageError, OutboxError, SMTPError, Stage
from wlsmtp.events import Interrupted, Retrying, log
from wlsmtp.io.order import Rank
from wlsmtp.outbox.clock import Clock
from wlsmtp.outbox.lifecycle import State, WorkerLife
from wlsmtp.outbox.verdict import abandoned, after_try, concerns_all, expired, was_raised
from wlsmtp.receipt import Outcome, Status
from wlsmtp.retry import pause_between

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence

    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO, Task
    from wlsmtp.message.content import Content
    from wlsmtp.message.mail import Mail
    from wlsmtp.outbox.audit import AuditedOutbox
    from wlsmtp.outbox.base import Entry
    from wlsmtp.outbox.verdict import Rules
    from wlsmtp.receipt import Receipt
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.transports.base import Transport

CLAIMED = 100
"""Mails leased at once: few, so that a death leaves few in doubt, and urgent mail need not wait long."""
FIRST_CLAIM = 10
"""Mails leased by a worker that has not delivered any yet."""
RECENT = 1.0
"""Seconds that count for how many mails are leased at once."""
POLL_INTERVAL = 1.0
"""Seconds after which a shared outbox is checked for the mail of other programs."""
IDLE_EXIT_AFTER = 1.0
"""Seconds for which a worker without work stays, in case more is put."""
LISTEN_INTERVAL = 1.0
"""Seconds after which a listener checks whether its worker has ended."""
UNCALLED_INTERVAL = 10.0
"""Seconds after which an outbox of this program alone is checked without a notification."""
PURGE_INTERVAL = 3600.0
"""Seconds between two purges."""
EMPTY_CLAIM_PAUSE = 0.05
"""Seconds until the next look when mail is due and none could be claimed several times, as by a third-party outbox."""
MOST_PURGES = 1000
"""Calls of a purge, each for a part: a third-party outbox may always have something to purge."""
LONGEST_PROBE_PAUSE = 60.0
"""The longest pause after a failure that affects all mail. Then one mail probes the server."""
WRITE_TRIES = 30
"""How often storing an outcome is retried when the outbox cannot be used."""
WRITE_RETRY_PAUSE = 1.0
"""Seconds between two such attempts."""


class Worker:
    """Works until it is stopped or, unless it ``stays``, until nothing is left to do. See ``State``."""

    def __init__(
        self, outbox: AuditedOutbox, transport: Transport, rules: Rules, io: IO, announce: Announcer,
        deadlines: Callable[[], Deadlines], count: Callable[[Receipt, float], None],
        sign: Callable[[Content], Content],
        finish: Callable[[Sequence[Entry]], Awaitable[None]], stays: Callable[[], bool],
    ) -> None:  # fmt: skip
        """``count`` and ``finish`` receive mail with a final, stored outcome. ``stays`` says whether to look for more
        work when there is none."""
        self.lifecycle: WorkerLife = WorkerLife(io.mutex(Rank.LIFE))
        self._outbox = outbox
        self._transport = transport
        self._rules = rules
        self._io = io
        self._announce = announce
        self._deadlines = deadlines
        self._count = count
        self._sign = sign
        self._finish = finish
        self._stays = stays
        self._owner = uuid.uuid4().hex
        self._changed = io.condition(Rank.WORKER_CHANGED)
        self._ending = io.condition(Rank.WORKER_CHANGED)
        self._claimed: deque[Entry] = deque()
        """Mail leased to this worker, and not given to the transport yet."""
        self._has_no_leases = False
        """True if everything that it had claimed is settled or returned."""
        self._in_flight: deque[tuple[Entry, Mail]] = deque()
        """Mail given to the transport, in order, without an outcome yet."""
        self._given_at: dict[str, float] = {}
        """When each was given to the transport, by the ids of their receipts."""
        self._given: list[tuple[Entry, Outcome]] = []
        """Outcomes that are being stored."""
        self._was_asked = False
        """True if the transport has asked for mail in this round."""
        self._empty_rounds = 0
        """Consecutive rounds in which there was no mail to claim."""
        self._is_claiming = False
        """True if the outbox may have leased mail that the worker does not know of."""
        self._delivered: deque[tuple[float, int]] = deque()
        """When there were outcomes, by ``IO.now``, and how many."""
        self._failures = 0
        """Consecutive failures that affect all mail."""
        self._paused_until = 0.0
        """On the clock of ``IO.now``, like all decisions of this process alone: the system's clock may be changed."""
        self._purges_at = 0.0
        """On the same clock."""
        self._reclaims = True
        """True if there may be mail of earlier workers, or mail that waits because the clock was changed."""
        self._clock: Clock | None = None
        self._age_clock: Clock | None = None
        """By which the age of mail is measured: a clock that jumps ahead gives nothing up."""
        self._listener: Task[None] | None = None
        """Waits for the mail of other programs."""
        self._calls = 0
        self._answered = 0
        """Number of notifications after which the outbox was checked."""
        self._is_in_round = False
        self.caller: Hashable = None
        """The thread or task in which it runs."""

    @property
    def state(self) -> State:
        """The worker's state."""
        return self.lifecycle.state

    @property
    def is_busy(self) -> bool:
        """True if it is sending mail, or is about to look for some and correct times of a wrong clock."""
        return self._is_in_round or (self._reclaims and not self.is_paused)

    @property
    def is_paused(self) -> bool:
        """True if it pauses because the last attempts did not reach the server."""
        return self.rest > 0

    @property
    def rest(self) -> float:
        """Seconds left of the pause; at most 0 if there is none."""
        return self._paused_until - self._io.now()

    @property
    def has_missed_calls(self) -> bool:
        """True if it was notified when it no longer checked the outbox."""
        return self._calls != self._answered

    async def call(self) -> State:
        """Notify it of work, and return its state. A ``STOPPING`` worker takes no more mail; ``has_missed_calls`` is
        checked at its end."""
        async with self._changed:
            self._calls += 1
            self._changed.notify_all()
            return self.state

    async def stop(self) -> None:
        """Let it end once everything that it is sending has an outcome."""
        async with self._changed:
            self.lifecycle.move(State.STOPPING)
            self._changed.notify_all()

    async def run(self, *, once: bool = False) -> None:
        """Work until nothing is left to do or it was stopped; with ``once``, on what is due now. The caller ends it."""
        self.caller = self._io.caller()
        self._has_clock_jumped()  # from here on the clocks are watched
        self._clock_is_ahead_by(self._outbox.unix_time())
        if not self.lifecycle.move(State.RUNNING):
            return  # stopped before it began, or abandoned by its creator
        keeper = self._lease_keeper()
        try:
            self._answered = self._calls
            await self._run_round()
            while not once and await self._wait_for_work():
                await self._run_round()
        finally:
            await self._end(keeper)

    def _lease_keeper(self) -> Task[None] | None:
        try:
            return self._io.spawn(self._keep_leases(), "wlsmtp-outbox-leases")
        except OSError:
            if self._io.is_ending:  # what is on its way is lost to others after a lease
                return None
            raise

    async def _end(self, keeper: Task[None] | None) -> None:
        self.lifecycle.move(State.STOPPING)
        if self._listener is not None:
            self._listener.cancel()  # a thread ends within a LISTEN_INTERVAL, and nobody waits for it
        async with self._ending:
            self._has_no_leases = True
            self._ending.notify_all()
        if keeper is not None:
            with suppress(TimeoutError):
                await keeper.wait(self._io.now() + self._outbox.lease)

    def _abandon_claims(self) -> None:
        """Give up mail in flight without an outcome: it belongs to the old owner name, whose leases nobody renews."""
        self._owner = uuid.uuid4().hex
        self._in_flight.clear()
        self._reclaims = True

    async def _wait_for_work(self) -> bool:
        """Return True once there may be work; False when it is time to end."""
        has_waited = False
        self._listen()
        while self.state is State.RUNNING:
            calls = self._answered = self._calls
            pause = await self._pause_before_next_look()
            if pause is not None and pause <= 0:
                if self._empty_rounds > 2:
                    await self._io.sleep(EMPTY_CLAIM_PAUSE)
                return True
            async with self._changed:
                if calls != self._calls or self.state is not State.RUNNING:
                    has_waited = False
                    continue
                # An interrupted sender may have put mail without a notification, hence the check after the wait.
                if pause is None and has_waited and not self._stays() and not self._io.is_ending:
                    self.lifecycle.move(State.STOPPING)
                    return False
                seconds = self._at_most(IDLE_EXIT_AFTER if pause is None else pause)
                try:
                    await self._changed.wait(self._io.now() + seconds)
                except TimeoutError:
                    has_waited = True
        return False

    def _listen(self) -> None:
        """Begin to wait for the mail of other programs, if the outbox tells of it."""
        if self._listener is None and self._outbox.wakes and self._stays():
            with suppress(OSError):  # there is no thread for it: the regular checks find the mail
                self._listener = self._io.spawn(self._call_when_woken(), "wlsmtp-outbox-listener")

    async def _call_when_woken(self) -> None:
        while self.state is State.RUNNING and self._stays():
            if await self._outbox.wait(LISTEN_INTERVAL):
                await self.call()
        self._listener = None

    def _at_most(self, seconds: float) -> float:
        return min(seconds, POLL_INTERVAL if self._outbox.is_shared else UNCALLED_INTERVAL)

    async def _pause_before_next_look(self) -> float | None:
        """Return the seconds until there may be something to do; None if nothing is ahead."""
        try:
            due = (await self._outbox.agenda()).next
        except OutboxError as error:
            log.error("the outbox cannot be read: %s", error)
            return POLL_INTERVAL
        now = self._io.now()
        rest = self.rest
        if self._has_clock_jumped():
            log.warning("the system's clock was changed")
            self._reclaims = True
        pause = None if due is None else max(due - self._outbox.unix_time(), rest)
        if self._reclaims:
            pause = rest
        until_purge = self._purges_at - now
        return pause if not self._stays() else min(until_purge if pause is None else pause, until_purge)

    def _has_clock_jumped(self) -> bool:
        wall, now = self._outbox.unix_time(), self._io.now()
        if self._clock is None:
            self._clock = Clock(wall, wall, now)
        return self._clock.has_jumped(wall, now)

    def _clock_is_ahead_by(self, wall: float) -> float:
        now = self._io.now()
        if self._age_clock is None:
            self._age_clock = Clock(wall, wall, now)
        return self._age_clock.excess(wall, now)

    async def _run_round(self) -> None:
        """Send all due mail, whatever happens to the outbox."""
        self._is_in_round = True
        try:
            await self._housekeeping()
            await self._work()
        except OutboxError as error:
            log.error("the outbox cannot be used: %s", error)
            self._abandon_claims()
            self._pause(error, is_passing=True)
        self._is_in_round = False
        await self._finish([])

    async def _work(self) -> None:
        """Send all due mail, as one stream through the transport."""
        self._given, self._is_claiming, self._was_asked = [], False, False
        self._empty_rounds += 1
        self._given_at.clear()
        try:
            async with (
                aclosing(self._feed()) as mails,
                aclosing(self._transport.deliver_many(mails, self._deadlines)) as delivering,
            ):
                async for outcomes in delivering:
                    self._given = [(self._in_flight.popleft()[0], outcome) for outcome in outcomes]
                    await self._settle(self._given)
                    self._given = []
            if not self._was_asked:  # a third-party one, which would end each stream like this one
                self._pause(
                    SMTPError(f"{self._transport.name} ended the stream before it had read any mail"), is_passing=True
                )
        except OutboxError:
            raise
        except Exception as failure:  # a transport must not raise; its mail is in doubt then
            log.exception("the transport failed")
            await self._settle([(entry, abandoned(entry, failure, mail.known)) for entry, mail in self._taken()])
            self._pause(SMTPError(f"The transport failed: {type(failure).__name__}"), is_passing=True)
        except BaseException:  # the event loop is ending
            await self._settle_interrupted()
            raise
        finally:
            await self._give_back()

    async def _settle_interrupted(self) -> None:
        """Store what is certain about the mail in flight, and return what was certainly not sent. Mail that the
        transport does not report on is reclaimed later, as after the death of the program."""
        tried = [(entry, outcome) for entry, outcome in self._given if await self._has(entry)]
        in_flight = self._taken()
        for entry, mail in in_flight:
            if mail.known is not None and mail.known.is_certainly_not_sent:
                self._claimed.append(entry)
            elif mail.known is not None:
                tried.append((entry, mail.known))
        await self._settle(tried)
        if self._is_claiming:
            self._is_claiming = False
            await self._find_claims({entry.receipt.id for entry, _ in in_flight})

    async def _has(self, entry: Entry) -> bool:
        """Return whether the outcome of a mail is not stored yet."""
        known = await self._outbox.get(entry.receipt.id)
        return known is not None and known.owner == self._owner

    async def _find_claims(self, known: set[str]) -> None:
        """Find mail leased by a claim whose result was lost: nobody else could have it before its lease ends."""
        page = await self._outbox.page((Status.PENDING,), None, CLAIMED)
        while page:
            mine = (entry for entry in page if entry.owner == self._owner)
            self._claimed.extend(entry for entry in mine if entry.receipt.id not in known)
            page = await self._outbox.page((Status.PENDING,), page[-1], CLAIMED)

    def _taken(self) -> list[tuple[Entry, Mail]]:
        taken = list(self._in_flight)
        self._in_flight.clear()
        return taken

    async def _feed(self) -> AsyncGenerator[Mail, None]:
        """Yield due mail, claimed as the transport takes it. It ends rather than wait: so the transport finishes."""
        self._was_asked = True
        is_probe = self._failures > 0
        while self._may_go_on and await self._claim(1 if is_probe else self._share()):
            while self._claimed and self._may_go_on:
                entry = self._claimed.popleft()
                if (known := self._outbox.recalled(entry)) is not None:
                    await self._record([known])
                elif entry.expires is not None and entry.expires <= self._outbox.unix_time():
                    await self._record([expired(entry, self._outbox.unix_time())])
                elif (mail := await self._mail_of(entry)) is not None:
                    self._in_flight.append((entry, mail))
                    self._given_at[entry.receipt.id] = self._io.now()
                    yield mail
                    if is_probe:
                        return

    async def _mail_of(self, entry: Entry) -> Mail | None:
        """Return the mail for the transport; what this version does not accept any more is an error of that mail
        alone."""
        try:
            mail = entry.mail
            # To sign what is streamed, a part of it is read.
            is_streamed = mail.content.is_streamed
            mail.content = (
                await self._io.run_in_thread(partial(self._sign, mail.content))
                if is_streamed
                else self._sign(mail.content)
            )
            return mail
        except (MessageError, ConfigError) as error:
            failure = error
        except Exception as error:
            words = f"The message in the outbox cannot be used ({type(error).__name__})"
            failure = MessageError(words, stage=Stage.MESSAGE)
            failure.__cause__ = error
        outcome = Outcome.failed(entry.waiting, failure)
        await self._record([after_try(entry, outcome, self._rules, self._outbox.unix_time())])
        return None

    def _share(self) -> int:
        """How many mails to claim: of an outbox that others work on too, as many as the transport has delivered in the
        last moments, so that several workers share what is there and none holds what it cannot send soon."""
        if not self._outbox.is_shared:
            return CLAIMED
        since = self._io.now() - RECENT
        while len(self._delivered) > 1 and self._delivered[0][0] < since:
            self._delivered.popleft()
        return min(CLAIMED, sum(count for _, count in self._delivered)) or FIRST_CLAIM

    async def _claim(self, limit: int) -> bool:
        self._is_claiming = True
        claimed = await self._outbox.claim(self._owner, limit)
        self._claimed.extend(claimed)
        self._is_claiming = False
        if claimed:
            self._empty_rounds = 0
        return bool(self._claimed)

    @property
    def _may_go_on(self) -> bool:
        return self.state is State.RUNNING and not self.is_paused

    async def _settle(self, tried: Sequence[tuple[Entry, Outcome]]) -> None:
        now = self._outbox.unix_time()
        if tried:
            self._delivered.append((self._io.now(), len(tried)))
        for _, outcome in tried:
            if not (concerns_all(outcome.error) or was_raised(outcome.error)):
                self._failures = 0
            elif outcome.error is not None and self._may_go_on:
                self._pause(outcome.error, is_passing=outcome.error.temporary or was_raised(outcome.error))
        ahead = self._clock_is_ahead_by(now) if any(outcome.error is not None for _, outcome in tried) else 0.0
        await self._record([after_try(entry, outcome, self._rules, now, ahead) for entry, outcome in tried])

    def _pause(self, error: SMTPError, *, is_passing: bool) -> None:
        """Pause, longer each time. After a failure that stays, such as a wrong password, the pause is the longest one
        at once: more attempts would lock the account."""
        self._failures += 1
        pause = min(pause_between(self._rules.policy, self._failures, error), LONGEST_PROBE_PAUSE)
        pause = pause if is_passing else self._rules.policy.max_backoff
        self._paused_until = self._io.now() + pause
        self._announce(Retrying(error, self._failures + 1, pause))

    async def _record(self, entries: Sequence[Entry]) -> None:
        """Store outcomes persistently: mail with a lost outcome would be sent again."""
        lost: set[str] = set()
        for tries in range(WRITE_TRIES, -1, -1):
            try:
                lost = set(await self._outbox.settle(self._owner, entries))
                break
            except OutboxError as error:
                log.error("the results of %d messages could not be stored: %s", len(entries), error)
                if not tries or not error.temporary:
                    raise
                await self._io.sleep(WRITE_RETRY_PAUSE)
        for entry in entries:
            if entry.receipt.id in lost:
                log.warning("message %s was taken over by another worker, and may arrive twice", entry.receipt.id)
        await self._tell([entry for entry in entries if entry.receipt.id not in lost])

    async def _tell(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            receipt, error = entry.receipt, entry.receipt.error
            began = self._given_at.pop(receipt.id, None)
            if error is not None:
                error.receipt = receipt
            if entry.due is not None:
                pause = entry.due - self._outbox.unix_time()
                if error is not None:
                    self._announce(Retrying(error, receipt.attempts + 1, max(0.0, pause), receipt.message_id))
            else:
                self._count(receipt, 0.0 if began is None else self._io.now() - began)
        await self._finish([entry for entry in entries if entry.is_finished])

    async def _give_back(self) -> None:
        """Return what was claimed and never tried, unchanged."""
        untried = [entry.waits_until(entry.due or 0.0, entry.receipt, entry.waiting, 0.0) for entry in self._claimed]
        self._claimed.clear()
        if untried:
            with suppress(OutboxError):  # their leases end
                await self._outbox.settle(self._owner, untried)

    async def _housekeeping(self) -> None:
        lease = (await self._outbox.agenda()).lease
        if self._reclaims or (lease is not None and lease <= self._outbox.unix_time()):
            self._reclaims = False
            for entry in await self._outbox.reclaim(self._owner):
                self._announce(Interrupted(entry.receipt))
        if self._outbox.keep is not None and self._io.now() >= self._purges_at:
            self._purges_at = self._io.now() + PURGE_INTERVAL
            for _ in range(MOST_PURGES):
                if not await self._outbox.purge(self._outbox.unix_time() - self._outbox.keep):
                    break

    async def _keep_leases(self) -> None:
        """Renew the leases, whatever the transport waits for."""
        while not self._has_no_leases:
            async with self._ending:
                if not self._has_no_leases:
                    with suppress(TimeoutError):
                        await self._ending.wait(self._io.now() + self._outbox.lease / 3)
            with suppress(OutboxError):  # the next renewal may succeed; if not, the leases end
                await self._outbox.renew(self._owner)
