"""The outbox's interface to a session in mode ``async``: store a message, report its state, wait, close.

A worker runs while there is mail, and is notified when some is put. ``open`` makes it stay, so that it also finds the
mail of other programs. There is one at a time: a stopping worker still owns the mail that it is sending, and only when
it has ended may another one be started (``lifecycle.py``, docs/explanation/lifecycle.md).
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from wlsmtp.errors import ConfigError, NotInOutbox, OutboxError, SMTPError, Stage
from wlsmtp.events import log
from wlsmtp.io.order import Rank
from wlsmtp.outbox.base import OutboxNotEmpty
from wlsmtp.outbox.left import PAGE, report_at_exit, report_left
from wlsmtp.outbox.lifecycle import Phase, State
from wlsmtp.outbox.resources import Resources
from wlsmtp.outbox.schedule import Schedule
from wlsmtp.outbox.verdict import again, cancelled
from wlsmtp.outbox.within import within_of
from wlsmtp.outbox.worker import POLL_INTERVAL, Worker
from wlsmtp.receipt import Status
from wlsmtp.relay.lease import closed_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from wlsmtp.io.base import IO, Condition, Task
    from wlsmtp.message.mail import Mail
    from wlsmtp.outbox.base import Agenda, Entry, Outbox, OutboxStatistics
    from wlsmtp.outbox.pace import Pace
    from wlsmtp.receipt import Follower, Receipt
    from wlsmtp.settings.config import Callback, SessionConfig
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.transports.base import Transport

CALLBACK = 60.0
"""Maximum seconds for an async callback."""
FAILURE_PAUSE, LONGEST_FAILURE_PAUSE = 0.25, 60.0
"""Seconds between a worker that failed and the next one: at first, and at most. Each pause is twice the last one."""
A_DAY = 86400.0


class Spooler:
    """Stores messages in an outbox and ensures that a worker sends them."""

    def __init__(
        self, config: SessionConfig, outbox: Outbox, transport: Transport, io: IO,
        deadlines: Callable[[float | None], Deadlines], hire: Callable[..., Worker], follower: Follower,
        *, is_closed: bool = False, pace: Pace | None = None,
        after_send: Callable[[Receipt], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        """``hire`` creates a worker for this outbox; it is given ``finish`` and ``stays``. ``transport`` is opened and
        closed here, as it must not be closed while a worker is sending. A spooler belongs to the process and event loop
        that made it; ``follower`` follows a message wherever its receipt is used."""
        self._outbox = outbox
        self._outbox.io = io
        self._outbox.pace = pace
        self._resources = Resources(outbox, transport, io, is_closed=is_closed)
        self._io = io
        self._deadlines = deadlines
        self._hire = hire
        self._follower = follower
        self._after_send = after_send
        self._on_sent: Callback | None = config.on_sent
        self._on_error: Callback | None = config.on_error
        self._works = config.outbox_worker
        self._close_timeout = config.close_timeout
        self._mutex = io.mutex(Rank.SPOOLER)
        """Guards the worker and the rooms."""
        self._progress = io.condition(Rank.PROGRESS)
        self._rooms: WeakValueDictionary[str, Condition] = WeakValueDictionary()
        """The callers that wait for one message, by its id."""
        self._worker: Worker | None = None
        """The worker that is not ``ENDED``, if any."""
        self._task: Task[None] | None = None
        """Stored so that it is not garbage-collected."""
        self._failures = 0
        """How many workers have failed, one after the other."""
        self._phase = Phase.CLOSED if is_closed else Phase.ON_CALL
        self._is_exiting = False
        """True if the exit work has begun."""
        self._is_closed_by_exit = False
        """True if the end of the program closed it. What ``atexit`` runs after that may still send."""
        self._has_exit_work = False
        """True if the program is ending, and what is left at its end will be sent or reported."""
        self._is_closed_by_worker = False
        """True if ``close`` gave up waiting for the worker, so that the rest of closing is done when it has ended."""

    @property
    def is_at_work(self) -> bool:
        """True if it is using the outbox, or may do so at any moment."""
        return self._resources.is_outbox_open and not (self._phase is Phase.CLOSED and self._has_no_worker)

    def reopen(self) -> None:
        """Accept messages again after ``close``."""
        if self._phase is Phase.CLOSED:
            self._phase, self._is_closed_by_worker = Phase.ON_CALL, False

    async def open(self) -> None:
        """Begin to work, also on what other programs put, until ``close``."""
        self._phase, self._is_closed_by_worker = Phase.OPEN, False
        await self._call_worker()

    async def post_all(
        self, mails: Sequence[Mail], timeout: float | None = None, within: object = None, **schedule: Any
    ) -> list[Receipt]:
        """Store messages, all or none; ``schedule`` is a ``Schedule``. Raises ``OutboxError``, and stores nothing, if
        nobody could send them, or the outbox is not free within ``timeout`` seconds. They exist once the transaction of
        ``within`` is committed: the worker then stays, as the commit does not notify it."""
        self._refuse_when_closed()
        deadline = None if timeout is None else self._deadlines(timeout).end
        await self.ready()
        entries = self.entries(mails, **schedule)
        if within is None:
            return await self._keep(partial(self._outbox.put, entries, deadline))
        self._phase = Phase.OPEN if self._phase is Phase.ON_CALL else self._phase
        return await self._keep(partial(self._outbox.put_within, entries, await within_of(within)))

    def entries(self, mails: Sequence[Mail], **schedule: Any) -> list[Entry]:
        """Return entries of messages. Raises ``MessageError``."""
        return Schedule(**schedule).entries(mails, self._outbox.unix_time())

    def packed(self, mails: Sequence[Mail], **schedule: Any) -> Sequence[Entry]:
        """Return the entries that are to be stored by ``post_while``. Raises ``MessageError``."""
        return self._outbox.packed(self.entries(mails, **schedule))

    async def post_while(self, entries: Sequence[Entry], meanwhile: Callable[[], None]) -> list[Receipt]:
        """Store entries as ``post_all`` does, and call ``meanwhile`` once, at the same time if the outbox can."""
        self._refuse_when_closed()
        await self.ready()
        return await self._keep(partial(self._outbox.put_while, entries, meanwhile))

    async def _keep(self, put: Callable[[], Awaitable[list[Entry]]]) -> list[Receipt]:
        if self._works and self._has_no_worker and not self._io.is_over:
            self._try_to_hire()
        # The worker and the exit work exist before there is mail: an interrupted caller leaves none that nobody sends.
        try:
            kept = await put()
        finally:
            await self._call_worker_if_any()
        if self._works and self._io.is_over:
            await self._finish_at_exit(self._deadlines(self._close_timeout).end)
        return [self._shown(entry) for entry in kept]

    async def receipt(self, id: str | Receipt) -> Receipt:
        """Return the receipt of a message. Raises ``NotInOutbox``."""
        return self._shown(await self._get(id))

    async def receipts(self, *statuses: Status) -> AsyncGenerator[list[Receipt], None]:
        """Yield all messages in these states (none: all), in the order in which they were put, a page at a time."""
        statuses = statuses or tuple(Status)
        await self.ready()
        page = await self._outbox.page(statuses, None, PAGE)
        while page:
            yield [self._shown(entry) for entry in page]
            page = await self._outbox.page(statuses, page[-1], PAGE)

    async def cancel(self, id: str | Receipt) -> bool:
        """Cancel a message that is not being sent."""
        entry = await self._get(id)
        if entry.is_finished:
            return False
        gone = cancelled(entry, self._outbox.unix_time())
        if not await self._outbox.change(entry, gone):
            return False
        await self._finish([gone])
        return True

    async def retry(self, id: str | Receipt) -> bool:
        """Try a message again that is finished and did not reach all recipients, or that waits for its next attempt."""
        self._refuse_when_closed()
        entry = await self._get(id)
        new = again(entry, self._outbox.unix_time())
        if new is None or not await self._outbox.change(entry, new):
            return False
        await self._call_worker()
        return True

    async def statistics(self) -> OutboxStatistics:
        """Return the counts."""
        await self.ready()
        return await self._outbox.statistics()

    async def flush(self, timeout: float | None) -> int:
        """Wait until everything is sent that can be sent in time; return how many messages are pending."""
        self._refuse_when_closed()
        if not self._is_in_callback:
            await self._drain(self._deadlines(timeout).end)
        return (await self._outbox.statistics()).pending

    async def close(self, deadlines: Deadlines, *, drain: bool) -> None:
        """Close; see ``SMTPSession.close``."""
        self._phase, self._is_closed_by_worker = Phase.CLOSED, False
        try:
            if self._resources.is_outbox_open or await self._has_inherited():
                await self._finish_work(deadlines, drain=drain)
        finally:
            self._is_closed_by_worker = True
            if self._has_no_worker:
                await self._let_go(deadlines)

    async def _has_inherited(self) -> bool:
        """Return whether an event loop that has ended left mail that would be lost with the program."""
        if self._outbox.is_durable:
            return False
        try:
            await self.ready()
            return bool(await self._outbox.left())
        except OutboxError as error:
            log.error("the outbox cannot be read: %s", error)
            return False

    async def _finish_work(self, deadlines: Deadlines, *, drain: bool) -> None:
        if drain and self._works and not self._is_in_callback:
            try:
                await self._drain(deadlines.end, patient=not self._outbox.is_durable)
            except OutboxError as error:  # what is left is reported below
                log.error("the outbox could not be emptied: %s", error)
        await self._dismiss(deadlines.end)
        await report_left(self._outbox, is_late=self._io.now() >= deadlines.end)

    async def _let_go(self, deadlines: Deadlines) -> None:
        """Close the outbox and the connections, which no worker uses any more, unless the session is opened again."""
        await self._resources.close(deadlines, lambda: self._phase is Phase.CLOSED and self._has_no_worker)

    async def _drain(self, deadline: float, *, patient: bool = True) -> None:
        """Wait for due mail, and if ``patient`` also for mail that becomes due before the deadline."""
        await self.ready()
        await self._call_worker()
        while self._io.now() < deadline:
            async with self._progress:
                if self._is_drained(await self._outbox.agenda(), deadline, patient=patient):
                    return
                with suppress(TimeoutError):
                    await self._progress.wait(min(deadline, self._io.now() + POLL_INTERVAL))
            await self._call_worker()

    def _is_drained(self, agenda: Agenda, deadline: float, *, patient: bool) -> bool:
        if agenda.next is None:
            return True
        now, worker = self._outbox.unix_time(), self._worker
        if worker is not None and worker.is_busy:
            return False
        if patient:
            # After a wrong password or similar, the pause is longer than a close may take.
            rest = worker.rest if worker is not None else 0.0
            left = deadline - self._io.now()
            return agenda.lease is None and agenda.due is not None and max(agenda.due - now, rest) > left
        is_paused = worker is not None and worker.is_paused
        return agenda.due is None or agenda.due > now or is_paused

    @property
    def _has_no_worker(self) -> bool:
        worker = self._worker
        return worker is None or worker.state is State.ENDED

    async def _dismiss(self, deadline: float) -> None:
        """Let the worker finish what it is sending, and end. After the deadline it continues with that alone."""
        worker = self._worker
        if worker is None:
            return
        await worker.stop()
        if self._is_in_callback:
            return
        async with self._progress:
            with suppress(TimeoutError):
                while worker.state is not State.ENDED:
                    await self._progress.wait(deadline)

    @property
    def _is_in_callback(self) -> bool:
        """True if the caller is the worker itself, in ``on_sent`` or ``on_error``: it cannot wait for itself."""
        worker = self._worker
        return worker is not None and worker.state is not State.ENDED and worker.caller == self._io.caller()

    def _refuse_when_closed(self) -> None:
        if self._phase is Phase.CLOSED and not (self._is_closed_by_exit and self._io.is_over):
            raise closed_error()

    async def _at_exit(self) -> None:
        """Close a session at program exit that nobody has closed."""
        self._is_exiting = True  # whoever is hired from now on has no exit work: this is it
        if self._phase is not Phase.CLOSED:
            self._phase, self._is_closed_by_exit = Phase.CLOSED, True
        await self._finish_at_exit(self._io.now() + self._close_timeout)

    async def _finish_at_exit(self, deadline: float) -> None:
        """Send what would be lost with the program; what is left is reported. Raises ``OutboxNotEmpty``."""
        if not self._outbox.is_durable:
            with suppress(OutboxError):  # no thread may be available now; the remaining mail is reported below
                await self._drain(deadline)
        await self._dismiss(deadline)
        await report_at_exit(self._outbox, is_late=self._io.now() >= deadline)

    async def ready(self) -> None:
        """Open the outbox."""
        await self._resources.open_outbox()

    async def _call_worker(self) -> None:
        """Ensure that a worker checks the outbox. Raises ``OutboxError`` if none can be started."""
        await self.ready()
        if not self._works:
            return
        worker = self._worker
        # A stopping worker still owns mail: its successor is started when it has ended, see ``_run``.
        if (worker is None or await worker.call() is State.ENDED) and not self._try_to_hire():
            await self._work_here()

    def _try_to_hire(self) -> bool:
        """Start a worker, if there is none. Returns False if the program is ending, and a thread cannot be started any
        more, or would be cut off: then each caller does the work itself. Raises ``OutboxError`` if none can be started
        otherwise."""
        if self._io.is_over:
            return False
        try:
            self._hire_worker()
        except OutboxError:
            if self._io.is_ending:
                return False
            raise
        return True

    async def _work_here(self) -> None:
        """Do the work of a worker in the caller's thread, as far as it is due now."""
        with self._mutex:
            if not self._has_no_worker:
                return
            worker = self._worker = self._hire(finish=self._finish, stays=lambda: False)
        if not self._has_exit_work and not self._io.is_over:  # of what is left now, and reports what is left then
            self._has_exit_work = True
            self._io.at_exit(self._at_exit)
        await self._run(worker, lambda: None, once=True)

    def _hire_worker(self) -> None:
        """Start a worker atomically, wherever it is interrupted: either it exists with its thread or task, or not at
        all."""
        hired: Worker | None = None
        forget: Callable[[], None] | None = None
        try:
            with self._mutex:
                if not self._has_no_worker:
                    return  # another caller was faster
                hired = self._worker = self._hire(
                    finish=self._finish,
                    stays=lambda: self._phase is Phase.OPEN,
                )
            # Before the worker begins: the program may end before its thread has run.
            forget = self._io.at_exit(self._at_exit) if not self._is_exiting else lambda: None
            self._task = self._io.spawn(self._run(hired, forget), "wlsmtp-outbox")
        except BaseException as error:
            # If its thread has begun, it works; otherwise it finds that it was abandoned.
            if hired is not None and hired.lifecycle.move(State.ENDED, only_from=State.NEW):
                if forget is not None:
                    forget()
                if isinstance(error, OSError) and not isinstance(error, SMTPError):
                    words = f"No thread can be started to send the messages in the outbox ({error.strerror})"
                    failure = OutboxError(words, stage=Stage.SETTINGS)
                    failure.is_passing = True
                    raise failure from error
                self._hire_worker()  # this caller was interrupted; others may count on it
            raise

    async def _run(self, worker: Worker, forget: Callable[[], None], *, once: bool = False) -> None:
        goes_on = False
        try:
            goes_on = await self._let_work(worker, once=once)
        except BaseException:  # the event loop is ending, and nobody has closed the session
            try:
                await report_left(self._outbox, is_late=False)
            except OutboxNotEmpty as error:
                log.error("the event loop has ended, and nobody has closed the session: %s", error)
            raise
        finally:
            forget()
            if worker.lifecycle.move(State.ENDED):
                await self._after(worker, goes_on=goes_on)

    async def _let_work(self, worker: Worker, *, once: bool) -> bool:
        """Let it work to its end; return whether another one may follow. After a failure it stays for a pause, so that
        the next one does not fail at once."""
        began = self._io.now()
        try:
            if worker.state is State.NEW:
                await self._resources.open_transport(self._deadlines(None))
            await worker.run(once=once)
            self._failures = 0
        except Exception as failure:
            if once or worker.is_dismissed:
                log.exception("the worker of the outbox failed; the next message starts another one")
                return False
            self._failures = 1 if self._io.now() - began > LONGEST_FAILURE_PAUSE else self._failures + 1
            pause = min(FAILURE_PAUSE * 2.0 ** min(self._failures - 1, 100), LONGEST_FAILURE_PAUSE)
            words = "the worker of the outbox failed (%s); the next one begins after %g s"
            log.error(words, type(failure).__name__, pause, exc_info=self._failures == 1)
            with suppress(Exception):  # of a signal handler
                await worker.sit_out(pause)
        return True

    async def _after(self, worker: Worker, *, goes_on: bool) -> None:
        """Handle the end of a worker: notify those who wait for it, and continue with what it did not do."""
        async with self._progress:
            self._progress.notify_all()
        if self._phase is not Phase.CLOSED:
            if goes_on and worker.has_missed_calls:
                await self._call_worker_if_any()
        elif self._is_closed_by_worker:
            await self._let_go(self._deadlines(self._close_timeout))

    async def _call_worker_if_any(self) -> None:
        """Start a worker for mail that is stored already, and stays pending even if none can be started."""
        try:
            await self._call_worker()
        except OutboxError as error:
            log.error("the outbox has no worker until the next message: %s", error)

    async def _finish(self, entries: Sequence[Entry]) -> None:
        """Note the final result of these messages."""
        for entry in entries:
            room = self._rooms.get(entry.receipt.id)
            if room is not None:
                async with room:
                    room.notify_all()
        for entry in entries:
            await self._tell(entry.receipt)
        async with self._progress:
            self._progress.notify_all()

    async def _tell(self, receipt: Receipt) -> None:
        if self._after_send is not None:
            await self._after_send(receipt)
        callback = self._on_sent if receipt.status is Status.SENT else self._on_error
        if callback is None:
            return
        try:
            await self._io.call(partial(callback, receipt), self._io.now() + CALLBACK, in_place=True)
        except Exception:
            log.exception("a callback failed on message %s", receipt.id)

    async def follow(self, id: str, timeout: float | None = None) -> Receipt:
        """Wait until the message is finished, as ``Follower.follow``."""
        if timeout != 0 and self._is_in_callback:
            words = "The worker would wait for itself, as it waits for on_sent and on_error"
            hint = "Wait in another thread or task, or once the callback has returned"
            raise ConfigError(words, stage=Stage.SETTINGS, hint=hint)
        deadline = math.inf if timeout is None else self._io.now() + timeout
        # The one that had the message belonged to another loop.
        if self._has_no_worker and self._phase is not Phase.CLOSED:
            await self._call_worker_if_any()
        with self._mutex:
            room = self._rooms.setdefault(id, self._io.condition(Rank.ROOM))
        pause = POLL_INTERVAL / 10
        while True:
            await self.ready()
            # Looked up inside the room, so that a change cannot come between the look-up and the wait.
            async with room:
                receipt = self._shown(await self._known(id))
                if receipt.status is not Status.PENDING or self._io.now() >= deadline:
                    return receipt
                pause = min(2 * pause, POLL_INTERVAL) if self._outbox.is_shared or self._io.is_ending else A_DAY
                with suppress(TimeoutError):
                    await room.wait(min(deadline, self._io.now() + pause))
            if self._has_no_worker and self._io.is_ending:
                await self._call_worker_if_any()

    async def _get(self, message: str | Receipt) -> Entry:
        id = message if isinstance(message, str) else getattr(message, "id", None)
        if not isinstance(id, str):
            raise ConfigError("id: give the id of a receipt, or the receipt", stage=Stage.SETTINGS)
        await self.ready()
        return await self._known(id)

    async def _known(self, id: str) -> Entry:
        entry = await self._outbox.get(id)
        if entry is None:
            hint = "In memory there is only what this process has sent"
            if self._outbox.is_durable:
                hint = "What was put into an open transaction is there after its commit"
            raise NotInOutbox(f"The outbox knows no message {id!r}", stage=Stage.MESSAGE, hint=hint)
        return entry

    def _shown(self, entry: Entry) -> Receipt:
        return entry.receipt.followed_by(self._follower)
