"""The mail that is leased to a worker, and how far each has come.

It is exact wherever an exception strikes: no mail is delivered again whose outcome is known, and none waits for the end
of its lease.
"""

from __future__ import annotations

import uuid
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from wlsmtp.errors import ConfigError, MessageError, OutboxError, Stage
from wlsmtp.events import log
from wlsmtp.io.order import Rank
from wlsmtp.receipt import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wlsmtp.io.base import IO, Task
    from wlsmtp.message.content import Content
    from wlsmtp.message.mail import Mail
    from wlsmtp.outbox.audit import AuditedOutbox
    from wlsmtp.outbox.base import Entry
    from wlsmtp.receipt import Outcome

CLAIMED = 100
"""Mails leased at once: few, so that a death leaves few in doubt, and urgent mail need not wait long."""
FIRST_CLAIM = 10
"""Mails leased by a worker that has not delivered any yet."""
NAMED_FOR = 10
"""Leases for which a worker keeps its name."""
RECENT = 1.0
"""Seconds that count for how many mails are leased at once."""

Tried = list[tuple["Entry", "Outcome"]]
Given = list[tuple["Entry", "Mail"]]


class Leased:
    """Mail is added where it goes before it is removed where it was. So an interrupt finds it in one place or in two,
    and never in none."""

    def __init__(self) -> None:
        self.claimed: deque[Entry] = deque()
        """Mail not given to the transport yet."""
        self.is_claiming: bool = False
        """True if the outbox may have leased mail that the worker does not know of."""
        self._given: deque[tuple[Entry, Mail]] = deque()
        """Mail given to the transport, in order, whose outcome is not stored yet."""
        self._reported: Tried = []
        """Outcomes that are being stored."""

    def add(self, entries: Sequence[Entry]) -> None:
        """Add what a claim has returned."""
        self.claimed.extend(entries)
        self.is_claiming = False

    def give(self, mail: Mail) -> None:
        """Note that the first claimed mail is given to the transport."""
        self._given.append((self.claimed[0], mail))
        self.claimed.popleft()

    def reported(self, outcomes: Sequence[Outcome]) -> Tried:
        """Return the mail whose outcomes these are: what was given first."""
        self._reported = [(self._given[place][0], outcome) for place, outcome in enumerate(outcomes)]
        return self._reported

    def stored(self) -> None:
        """Forget the outcomes that were returned last, as they are stored."""
        for _ in self._reported:
            self._given.popleft()
        self._reported = []

    def unfinished(self) -> tuple[Tried, Given]:
        """Return the outcomes that may not be stored yet, and the mail that the transport has beside these."""
        reported = list(self._reported)
        others = {id(entry) for entry, _ in reported} | {id(entry) for entry in self.claimed}
        return reported, [(entry, mail) for entry, mail in self._given if id(entry) not in others]

    def conclude(self, reported: Tried, given: Given) -> None:
        """Keep these outcomes and this mail in place of what ``unfinished`` returns."""
        self._reported, self._given = reported, deque(given)

    async def find_claims(self, outbox: AuditedOutbox, owner: str) -> None:
        """Find mail leased by a claim whose result was lost: nobody else could have it while this worker lives."""
        reported, given = self.unfinished()
        known = {
            entry.receipt.id for entry in (*self.claimed, *(one for one, _ in reported), *(one for one, _ in given))
        }
        page = await outbox.page((Status.PENDING,), None, CLAIMED)
        while page:
            self.claimed.extend(entry for entry in page if entry.owner == owner and entry.receipt.id not in known)
            page = await outbox.page((Status.PENDING,), page[-1], CLAIMED)
        self.is_claiming = False


class Renewal:
    """Renews the leases of a worker, whatever its transport waits for."""

    def __init__(self, outbox: AuditedOutbox, io: IO) -> None:
        self._outbox = outbox
        self._io = io
        self.owner: str = uuid.uuid4().hex
        """The name by which the worker leases mail."""
        self._named_at = io.now()
        self._ending = io.condition(Rank.WORKER_CHANGED)
        self._has_ended = False
        """True if everything that was leased is settled or returned."""
        self._task: Task[None] | None = None

    @property
    def is_old(self) -> bool:
        """True once the worker has had its name for long."""
        limit: float = NAMED_FOR * self._outbox.lease
        return self._io.now() - self._named_at > limit

    def rename(self, *, at_once: bool) -> None:
        """Give the worker, which holds no mail, a new name if it has had its own for long, or ``at_once``. After a
        failover, a database may lease mail to a worker that knows nothing of it. The leases by an old name end, and the
        mail is sent again."""
        if at_once or self.is_old:
            self.owner, self._named_at = uuid.uuid4().hex, self._io.now()

    def start(self) -> None:
        """Begin, in a thread or task, if that has not begun. Raises ``OSError`` if there is none, unless the program is
        ending: what is on its way is lost to others after a lease then."""
        try:
            if self._task is None:
                self._task = self._io.spawn(self._renew(), "wlsmtp-outbox-leases")
        except OSError:
            if not self._io.is_ending:
                raise

    async def end(self) -> None:
        """End once the current renewal has."""
        async with self._ending:
            self._has_ended = True
            self._ending.notify_all()
        if self._task is not None:
            with suppress(TimeoutError):
                await self._task.wait(self._io.now() + self._outbox.lease)

    async def _renew(self) -> None:
        while not self._has_ended:
            # The next renewal may succeed; if not, the leases end. In asyncio a signal handler may raise here.
            with suppress(Exception):
                async with self._ending:
                    if not self._has_ended:
                        with suppress(TimeoutError):
                            await self._ending.wait(self._io.now() + self._outbox.lease / 3)
            with suppress(Exception):
                await self._outbox.renew(self.owner)


class Share:
    """How many mails to claim of an outbox that others work on too: as many as the transport has delivered in the last
    moments. So several workers share what is there, and none holds what it cannot send soon."""

    def __init__(self) -> None:
        self._delivered: deque[tuple[float, int]] = deque()
        """When there were outcomes, by ``IO.now``, and how many."""

    def add(self, count: int, now: float) -> None:
        """Count outcomes."""
        if count:
            self._delivered.append((now, count))

    def at(self, now: float) -> int:
        """Return how many mails to claim."""
        while len(self._delivered) > 1 and self._delivered[0][0] < now - RECENT:
            self._delivered.popleft()
        return min(CLAIMED, sum(count for _, count in self._delivered)) or FIRST_CLAIM


async def prepared(entry: Entry, sign: Callable[[Content], Content], io: IO) -> Mail:
    """Return the mail for a transport. Raises ``MessageError`` or ``ConfigError`` for what this version does not accept
    any more, and ``OutboxError`` for what may be different later."""
    try:
        return await _prepare(entry, sign, io)
    except (MessageError, ConfigError):
        raise
    except Exception:  # for example of a signal handler: only a fault that repeats is the message's
        log.exception("message %s could not be prepared, and is prepared once more", entry.receipt.id)
    try:
        return await _prepare(entry, sign, io)
    except (MessageError, ConfigError):
        raise
    except Exception as error:
        words = f"The message in the outbox cannot be used ({type(error).__name__})"
        if not isinstance(error, MemoryError | OSError | RuntimeError):
            raise MessageError(words, stage=Stage.MESSAGE) from error
        failure = OutboxError(words, stage=Stage.MESSAGE, hint="It is tried again, as the machine may lack something")
        failure.is_passing = True
        raise failure from error


async def _prepare(entry: Entry, sign: Callable[[Content], Content], io: IO) -> Mail:
    mail = entry.mail
    # To sign what is streamed, a part of it is read.
    is_streamed = mail.content.is_streamed
    mail.content = await io.run_in_thread(partial(sign, mail.content)) if is_streamed else sign(mail.content)
    return mail
