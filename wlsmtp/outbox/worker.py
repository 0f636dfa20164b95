"""The worker: claims due mail from an outbox, passes it to a transport, and stores the results.

A mail is leased to the worker from before its first octet is sent until its outcome is stored. The death of the program
leaves a doubt only in that time.
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from wlsmtp.errors import ConfigError, MessageError, OutboxError, SMTPError
from wlsmtp.events import Interrupted, Retrying, log
from wlsmtp.io.order import Rank
from wlsmtp.outbox.clock import Clock
from wlsmtp.outbox.leased import CLAIMED, Given, Leased, Renewal, Share, Tried, prepared
from wlsmtp.outbox.lifecycle import State, WorkerLife
from wlsmtp.outbox.verdict import abandoned, after_try, concerns_all, expired, interrupted, may_pass, was_raised
from wlsmtp.receipt import Outcome
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
        self._renewal = Renewal(outbox, io)
        self._changed = io.condition(Rank.WORKER_CHANGED)
        self._leased = Leased()
        self._owed: list[Entry] = []
        """New states of leased mail that could not be stored."""
        self._given_at: dict[str, float] = {}
        """When each was given to the transport, by the ids of their receipts."""
        self._feed_failure: OutboxError | None = None
        """Why no more mail could be claimed in this round."""
        self._was_asked = False
        """True if the transport has asked for mail in this round."""
        self._empty_rounds = 0
        """Consecutive rounds in which there was no mail to claim."""
        self._share = Share()
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
        self.is_dismissed = False
        """True if ``stop`` was called, or its event loop is ending."""
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
            self.is_dismissed = True
            self.lifecycle.move(State.STOPPING)
            self._changed.notify_all()

    async def sit_out(self, seconds: float) -> None:
        """Do nothing for a pause after ``run`` has failed; ``stop`` ends it. Another worker goes on after it."""
        self.lifecycle.move(State.STOPPING)
        self._paused_until = self._io.now() + seconds
        self._is_in_round = False
        async with self._changed:
            self._calls += 1
            while not self.is_dismissed and self.is_paused:
                with suppress(TimeoutError):
                    await self._changed.wait(self._paused_until)

    async def run(self, *, once: bool = False) -> None:
        """Work until nothing is left to do or it was stopped; with ``once``, on what is due now. The caller ends it."""
        self.caller = self._io.caller()
        self._has_clock_jumped()  # from here on the clocks are watched
        self._clock_is_ahead_by(self._outbox.unix_time())
        if not self.lifecycle.move(State.RUNNING):
            return  # stopped before it began, or abandoned by its creator
        try:
            self._answered = self._calls
            await self._run_round()
            while not once and await self._has_more_to_do():
                await self._run_round()
        except BaseException as failure:  # what fails below may hide it
            self.is_dismissed = self.is_dismissed or not isinstance(failure, Exception)
            raise
        finally:
            try:
                self._owe()
                with suppress(OutboxError):  # the leases end
                    await self._pay()
            finally:
                await self._end()

    async def _has_more_to_do(self) -> bool:
        try:
            return await self._wait_for_work()
        except Exception:  # for example of a signal handler
            log.exception("the worker of the outbox failed, and goes on after a pause")
            await self._io.sleep(WRITE_RETRY_PAUSE)
            return self.state is State.RUNNING

    async def _end(self) -> None:
        self.lifecycle.move(State.STOPPING)
        if self._listener is not None:
            self._listener.cancel()  # a thread ends within a LISTEN_INTERVAL, and nobody waits for it
        await self._renewal.end()

    def _conclude(self, failure: Exception | None = None) -> tuple[Tried, Given]:
        """Decide about all mail that the transport has: after its ``failure``, or if it was interrupted. Return
        outcomes that may not be stored yet, and the mail of which it reports nothing."""
        reported, in_flight = self._leased.unfinished()
        doubts: Given = []
        for entry, mail in in_flight:
            if failure is not None:
                reported.append((entry, abandoned(entry, failure, mail.known)))
            elif mail.known is None:
                doubts.append((entry, mail))
            elif mail.known.is_certainly_not_sent:
                self._leased.claimed.append(entry)
            else:
                reported.append((entry, mail.known))
        self._leased.conclude(reported, doubts)
        return reported, doubts

    def _owe(self) -> None:
        """Keep the states of all leased mail until the outbox can be used again; its leases are renewed until then.
        What may have been delivered counts as interrupted."""
        now = self._outbox.unix_time()
        reported, in_flight = self._conclude()
        doubts = [interrupted(entry, now) for entry, _ in in_flight]
        self._owed += doubts + [after_try(entry, outcome, self._rules, now) for entry, outcome in reported]
        self._leased.conclude([], [])
        self._reclaims = True
        for entry in doubts:
            self._announce(Interrupted(entry.receipt))

    async def _pay(self) -> None:
        """Store what is owed, and return what was claimed before the outbox or this worker failed."""
        if self._owed:
            await self._record([entry for entry in self._owed if await self._has(entry)])
            self._owed = []
        if self._leased.is_claiming:
            await self._leased.find_claims(self._outbox, self._renewal.owner)
        await self._give_back()
        self._renewal.rename(at_once=self._reclaims)

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
            self._reclaims = True
            return POLL_INTERVAL
        now = self._io.now()
        rest = self.rest
        if has_jumped := self._has_clock_jumped():
            log.warning("the system's clock was changed")
        self._reclaims = self._reclaims or has_jumped or self._renewal.is_old
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
            self._renewal.start()
            await self._pay()
            await self._housekeeping()
            await self._work()
        except OutboxError as error:
            log.error("the outbox cannot be used: %s", error)
            self._owe()
            self._pause(error, is_passing=True)
        except Exception as failure:  # for example of a signal handler
            log.exception("the worker of the outbox failed, and goes on after a pause")
            self._owe()
            self._pause(SMTPError(f"The worker of the outbox failed: {type(failure).__name__}"), is_passing=True)
        self._is_in_round = False
        await self._finish([])

    async def _work(self) -> None:
        """Send all due mail, as one stream through the transport."""
        self._was_asked, self._feed_failure = False, None
        self._empty_rounds += 1
        self._given_at.clear()
        try:
            async with (
                aclosing(self._feed()) as mails,
                aclosing(self._transport.deliver_many(mails, self._deadlines)) as delivering,
            ):
                async for outcomes in delivering:
                    await self._settle(self._leased.reported(outcomes))
                    self._leased.stored()
            if self._feed_failure is not None:
                raise self._feed_failure
            if not self._was_asked:  # a third-party one, which would end each stream like this one
                self._pause(
                    SMTPError(f"{self._transport.name} ended the stream before it had read any mail"), is_passing=True
                )
        except OutboxError:
            raise
        except Exception as failure:  # a transport must not raise; its mail is in doubt then
            log.exception("the transport failed")
            await self._settle_interrupted(failure)
            self._pause(SMTPError(f"The transport failed: {type(failure).__name__}"), is_passing=True)
        except BaseException:  # the event loop is ending
            await self._settle_interrupted()
            raise
        finally:
            try:
                await self._give_back()
            except OutboxError:
                self._reclaims = True  # the next round returns it

    async def _settle_interrupted(self, failure: Exception | None = None) -> None:
        """Store what is certain about the mail in flight, and return what was certainly not sent."""
        reported, doubts = self._conclude(failure)
        await self._settle([(entry, outcome) for entry, outcome in reported if await self._has(entry)])
        if self._leased.is_claiming:
            await self._leased.find_claims(self._outbox, self._renewal.owner)
        self._leased.conclude([], doubts)

    async def _has(self, entry: Entry) -> bool:
        """Return whether a mail is still leased to this worker."""
        known = await self._outbox.get(entry.receipt.id)
        return known is not None and known.owner == self._renewal.owner

    async def _feed(self) -> AsyncGenerator[Mail, None]:
        """Yield due mail, claimed as the transport takes it. It ends rather than wait, and when the outbox fails: so
        the transport finishes."""
        self._was_asked = True
        is_probe = self._failures > 0
        claimed = self._leased.claimed
        try:
            while self._may_go_on and await self._claim(1 if is_probe else self._most_claims):
                while claimed and self._may_go_on:
                    entry = claimed[0]
                    if (mail := await self._mail_of(entry)) is None:
                        claimed.popleft()
                        continue
                    self._given_at[entry.receipt.id] = self._io.now()
                    self._leased.give(mail)
                    yield mail
                    if is_probe:
                        return
        except OutboxError as error:
            self._feed_failure = error

    async def _mail_of(self, entry: Entry) -> Mail | None:
        """Return the mail for the transport; None if its outcome is known without, and stored."""
        now = self._outbox.unix_time()
        known = self._outbox.recalled(entry)
        if known is None and entry.expires is not None and entry.expires <= now:
            known = expired(entry, now)
        if known is None:
            try:
                return await prepared(entry, self._sign, self._io)
            except (MessageError, ConfigError, OutboxError) as failure:
                known = after_try(entry, Outcome.failed(entry.waiting, failure), self._rules, now)
        await self._record([known])
        return None

    @property
    def _most_claims(self) -> int:
        return self._share.at(self._io.now()) if self._outbox.is_shared else CLAIMED

    async def _claim(self, limit: int) -> bool:
        self._leased.is_claiming = True
        claimed = await self._outbox.claim(self._renewal.owner, limit)
        self._leased.add(claimed)
        if claimed:
            self._empty_rounds = 0
        return bool(self._leased.claimed)

    @property
    def _may_go_on(self) -> bool:
        return self.state is State.RUNNING and not self.is_paused

    async def _settle(self, tried: Sequence[tuple[Entry, Outcome]]) -> None:
        now = self._outbox.unix_time()
        self._share.add(len(tried), self._io.now())
        for _, outcome in tried:
            if not (concerns_all(outcome.error) or was_raised(outcome.error)):
                self._failures = 0
            elif outcome.error is not None and self._may_go_on:
                self._pause(outcome.error, is_passing=may_pass(outcome.error))
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
                lost = set(await self._outbox.settle(self._renewal.owner, entries))
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
        if claimed := self._leased.claimed:
            untried = [entry.waits_until(entry.due or 0.0, entry.receipt, entry.waiting, 0.0) for entry in claimed]
            await self._outbox.settle(self._renewal.owner, untried)
            claimed.clear()

    async def _housekeeping(self) -> None:
        lease = (await self._outbox.agenda()).lease
        if self._reclaims or (lease is not None and lease <= self._outbox.unix_time()):
            self._reclaims = False
            for entry in await self._outbox.reclaim(self._renewal.owner):
                self._announce(Interrupted(entry.receipt))
        if self._outbox.keep is not None and self._io.now() >= self._purges_at:
            self._purges_at = self._io.now() + PURGE_INTERVAL
            for _ in range(MOST_PURGES):
                if not await self._outbox.purge(self._outbox.unix_time() - self._outbox.keep):
                    break
