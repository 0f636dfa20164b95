"""What a session in mode ``async`` asks: to keep a message, to tell how it goes, to wait, to end.

A worker runs while there is mail, and is called when some is put. ``open`` makes it stay, so that it also finds the
mail of other programs.
"""

from __future__ import annotations

import math
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from wlsmtp.errors import MessageError, NotInOutbox, OutboxNotEmpty, Stage
from wlsmtp.events import log
from wlsmtp.outbox.base import PRIORITIES, Entry
from wlsmtp.outbox.receipt import OutboxReceipt
from wlsmtp.outbox.verdict import again, cancelled
from wlsmtp.outbox.worker import LOOKS, Worker
from wlsmtp.pool import closed_error
from wlsmtp.receipt import RecipientResult, RecipientStatus, Status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from wlsmtp.config import Callback, SessionConfig
    from wlsmtp.io.base import IO, Condition, Task
    from wlsmtp.message.mail import Mail
    from wlsmtp.outbox.base import Agenda, Outbox, OutboxStatistics
    from wlsmtp.receipt import Receipt
    from wlsmtp.smtp.deadlines import Deadlines

When = datetime | float
"""A point in time: a ``datetime`` (without a time zone: local time), or seconds from now."""

FAREWELL = 10.0
"""Seconds that a program which ends without ``close()`` is kept for its mail at most."""
PAGE = 500
"""Records read from an outbox at once."""
CALLBACK = 60.0
"""Seconds that an async callback may take."""
A_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a message is sent, and in which order; see ``SMTPSession.send``."""

    send_at: When | None = None
    priority: int = 0
    expires: When | None = None
    idempotency_key: str | None = None

    def entry(self, mail: Mail, now: float) -> Entry:
        """The message as an outbox keeps it. Raises ``MessageError``."""
        due = now if self.send_at is None else _moment("send_at", self.send_at, now)
        expires = None if self.expires is None else _moment("expires", self.expires, now)
        if expires is not None and expires <= max(due, now):
            raise _wrong("expires: must be later than now, and than send_at")
        if self.priority not in PRIORITIES:
            raise _wrong(f"priority: must be a whole number from {PRIORITIES[0]} to {PRIORITIES[-1]}")
        key = self.idempotency_key
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= 255):
            raise _wrong("idempotency_key: must have 1 to 255 characters")
        addresses = mail.envelope.addresses
        receipt = OutboxReceipt(
            id=_new_id(now),
            status=Status.PENDING,
            recipients=tuple(RecipientResult(address, RecipientStatus.NOT_SENT) for address in addresses),
            message_id=mail.content.message_id,
            attempts=0,
            next_attempt=datetime.fromtimestamp(due, UTC),
        )
        return Entry(
            receipt=receipt,
            sender=str(mail.envelope.sender or ""),
            options=mail.envelope.options,
            waiting=addresses,
            size=mail.content.size,
            created=now,
            due=due,
            expires=expires,
            priority=int(self.priority),
            key=key,
            content=mail.content,
        )


class Spooler:
    """Keeps messages in an outbox and sees to it that a worker sends them."""

    def __init__(
        self, config: SessionConfig, outbox: Outbox, io: IO, deadlines: Callable[[float | None], Deadlines],
        hire: Callable[..., Worker],
    ) -> None:  # fmt: skip
        """``hire`` makes a worker for this outbox; it is given ``finish``."""
        self._outbox = outbox
        self._outbox.io = io
        self._io = io
        self._deadlines = deadlines
        self._hire = hire
        self._on_sent: Callback | None = config.on_sent
        self._on_error: Callback | None = config.on_error
        self._works = config.outbox_worker
        self._lock = io.condition()
        self._progress = io.condition()
        self._rooms: WeakValueDictionary[str, Condition] = WeakValueDictionary()
        """Where those wait who wait for one message."""
        self._worker: Worker | None = None
        self._task: Task[None] | None = None
        self._is_open = False
        self._is_closed = False
        self._stays = False
        self._reopens = False

    async def open(self) -> None:
        """Begin to work, also on what other programs put, until ``close``."""
        self._is_closed, self._stays = False, True
        if self._worker is not None:
            self._worker.stays = True
        await self._call_worker()

    async def post(self, mail: Mail, **schedule: Any) -> Receipt:
        """Keep a message, to be sent as ``Schedule`` says."""
        [receipt] = await self.post_all([mail], **schedule)
        return receipt

    async def post_all(self, mails: Sequence[Mail], **schedule: Any) -> list[Receipt]:
        """Keep messages, all or none."""
        self._refuse_when_closed()
        now = self._io.wall()
        # A microsecond apart, as their ids and their turns follow the time.
        entries = [Schedule(**schedule).entry(mail, now + place * 1e-6) for place, mail in enumerate(mails)]
        await self._ready()
        kept = await self._outbox.put(entries)
        await self._call_worker()
        return [self._shown(entry) for entry in kept]

    async def receipt(self, id: str) -> Receipt:
        """What is known of a message. Raises ``NotInOutbox``."""
        return self._shown(await self._get(id))

    async def receipts(self, *statuses: Status) -> AsyncGenerator[list[Receipt], None]:
        """All messages of these states (of none: all), in the order in which they were put, a page at a time."""
        statuses = statuses or tuple(Status)
        await self._ready()
        page = await self._outbox.page(statuses, None, PAGE)
        while page:
            yield [self._shown(entry) for entry in page]
            page = await self._outbox.page(statuses, page[-1], PAGE)

    async def cancel(self, id: str) -> bool:
        """Take a message back that is not on its way."""
        entry = await self._get(id)
        if entry.is_finished:
            return False
        gone = cancelled(entry, self._io.wall())
        if not await self._outbox.change(entry, gone):
            return False
        await self._finish([gone])
        return True

    async def retry(self, id: str) -> bool:
        """Try a message again that is finished and did not reach all, or that waits for its next try."""
        self._refuse_when_closed()
        entry = await self._get(id)
        new = again(entry, self._io.wall())
        if new is None or not await self._outbox.change(entry, new):
            return False
        await self._call_worker()
        return True

    async def statistics(self) -> OutboxStatistics:
        """Counts."""
        await self._ready()
        return await self._outbox.statistics()

    async def flush(self, timeout: float | None) -> int:
        """Wait until all is sent that can be sent in time; tell how many are pending."""
        self._refuse_when_closed()
        await self._drain(self._deadlines(timeout).end)
        return (await self._outbox.statistics()).pending

    async def close(self, *, drain: bool, timeout: float | None) -> None:
        """End; see ``SMTPSession.close``."""
        self._is_closed, self._stays, self._reopens = True, False, True
        if not self._is_open:
            return
        deadline = self._deadlines(timeout).end
        if drain and self._works:
            await self._drain(deadline, patient=not self._outbox.is_durable)
        await self._dismiss(deadline)
        await self._refuse_to_lose_mail()
        self._is_open = False
        await self._outbox.close()

    async def _drain(self, deadline: float, *, patient: bool = True) -> None:
        """Wait for what is due, and if ``patient`` also for what comes due before the deadline."""
        await self._ready()
        await self._call_worker()
        while self._io.now() < deadline:
            async with self._progress:
                if self._is_drained(await self._outbox.agenda(), deadline, patient=patient):
                    return
                with suppress(TimeoutError):
                    await self._progress.wait(min(deadline, self._io.now() + LOOKS))
            await self._call_worker()

    def _is_drained(self, agenda: Agenda, deadline: float, *, patient: bool) -> bool:
        if agenda.next is None:
            return True
        now = self._io.wall()
        if patient:
            return agenda.lease is None and agenda.due is not None and agenda.due > now + deadline - self._io.now()
        worker = self._worker
        is_paused = worker is not None and worker.is_paused
        is_busy = worker is not None and worker.is_busy
        return not is_busy and (agenda.due is None or agenda.due > now or is_paused)

    async def _dismiss(self, deadline: float) -> None:
        """Have the worker finish what is on its way, and end."""
        if self._worker is None or self._task is None:
            return
        await self._worker.stop()
        with suppress(TimeoutError):
            await self._task.wait(deadline)

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise closed_error()

    async def _refuse_to_lose_mail(self) -> None:
        if self._outbox.is_durable or not (left := await self._outbox.left()):
            return
        error = OutboxNotEmpty(
            f"{len(left)} messages in the outbox were not sent, and would be lost with the program",
            stage=Stage.SETTINGS,
            hint="They are in the error's left; open() goes on with them; outbox='sqlite:///path' keeps them",
        )
        error.left = tuple(left)
        raise error

    async def _at_exit(self) -> None:
        """The program ends, and nobody has closed the session."""
        deadline = self._io.now() + FAREWELL
        self._is_closed = True
        if not self._outbox.is_durable:
            await self._drain(deadline)
        await self._dismiss(deadline)
        left = () if self._outbox.is_durable else await self._outbox.left()
        if left:
            why = next((entry.receipt.error for entry in left if entry.receipt.error is not None), None)
            words = f"The program has ended with {len(left)} messages unsent, which are lost"
            hint = "Call close(), or keep messages with outbox='sqlite:///path'"
            raise OutboxNotEmpty(words + (f" ({why.message})" if why else ""), stage=Stage.SETTINGS, hint=hint)

    async def _ready(self) -> None:
        async with self._lock:
            if not self._is_open:
                await self._outbox.open()
                self._is_open = True

    async def _call_worker(self) -> None:
        """See to it that a worker looks at the outbox."""
        if not self._works:
            return
        worker, task = self._worker, self._task
        if worker is not None and task is not None and not task.is_done and await worker.call():
            return
        await self._ready()
        async with self._lock:
            if self._worker is worker:
                self._worker = self._hire(finish=self._finish)
                self._worker.stays, self._worker.reopens = self._stays, self._reopens
                # Before the worker begins: the program may end before its thread has had its first turn.
                forget = self._io.at_exit(self._at_exit)
                self._task = self._io.spawn(self._run(self._worker, forget), "wlsmtp-outbox")

    async def _run(self, worker: Worker, forget: Callable[[], None]) -> None:
        try:
            await worker.run()
        except Exception:
            log.exception("the worker of the outbox failed; the next message calls another one")
        except BaseException:  # the event loop ends, and nobody has closed the session
            await self._refuse_to_lose_mail()
            raise
        finally:
            forget()

    async def _finish(self, entries: Sequence[Entry]) -> None:
        """The last word on these messages is known."""
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
        callback = self._on_sent if receipt.status is Status.SENT else self._on_error
        if callback is None:
            return
        try:
            await self._io.call(partial(callback, receipt), self._io.now() + CALLBACK)
        except Exception:
            log.exception("a callback failed on message %s", receipt.id)

    def wait(self, id: str, timeout: float | None) -> Receipt:
        """See ``Follower.wait``."""
        return self._io.play(self.follow(id, timeout))

    async def follow(self, id: str, timeout: float | None = None) -> Receipt:
        """See ``Follower.follow``."""
        deadline = math.inf if timeout is None else self._io.now() + timeout
        async with self._lock:
            room = self._rooms.setdefault(id, self._io.condition())
        pause = LOOKS / 10
        while True:
            # Looked up inside the room, so that the news cannot come between the look and the wait.
            async with room:
                receipt = await self.receipt(id)
                if receipt.status is not Status.PENDING or self._io.now() >= deadline:
                    return receipt
                pause = min(2 * pause, LOOKS) if self._outbox.is_shared else A_DAY
                with suppress(TimeoutError):
                    await room.wait(min(deadline, self._io.now() + pause))

    async def _get(self, id: str) -> Entry:
        await self._ready()
        entry = await self._outbox.get(id)
        if entry is None:
            raise NotInOutbox(f"The outbox knows no message {id!r}", stage=Stage.MESSAGE)
        return entry

    def _shown(self, entry: Entry) -> Receipt:
        return entry.receipt.followed_by(self)


def _moment(name: str, when: When, now: float) -> float:
    if isinstance(when, datetime):
        return when.timestamp()
    if isinstance(when, bool) or not isinstance(when, int | float) or not 0 <= when < float("inf"):
        raise _wrong(f"{name}: must be a datetime, or a number of seconds from now")
    return now + when


def _wrong(words: str) -> MessageError:
    return MessageError(words, stage=Stage.MESSAGE)


_latest = 0
"""Microseconds of the newest id."""


def _new_id(now: float) -> str:
    """Random, and in the order of time, so that an index grows at its end. Within a program the order also holds when
    the system's clock is set back."""
    global _latest
    _latest = max(int(now * 1e6), _latest + 1)
    return f"{_latest:014x}{uuid.uuid4().hex[14:]}"
