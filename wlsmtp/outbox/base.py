"""What an outbox is: it keeps mail, lends it to one worker at a time, and remembers what came of it.

An outbox decides nothing and sends nothing: ``verdict.py`` says what becomes of a mail, ``worker.py`` carries it out.
All times are seconds since 1970.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from wlsmtp.errors import OutboxError
from wlsmtp.io.base import IO
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mail import Mail
from wlsmtp.receipt import OutboxReceipt, Status
from wlsmtp.settings.options import DeliveryOptions

PRIORITIES = range(-10, 11)
"""Greater goes first. Few, so that to claim the best of 100,000 mails is a look at each level and no search."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One mail in an outbox: a value, which is replaced when something becomes of the mail."""

    receipt: OutboxReceipt
    sender: str
    """The reverse-path; "" is the null one."""
    options: DeliveryOptions | None
    waiting: tuple[str, ...]
    """The recipients to whom the next try goes; those who were served or refused for good are not among them."""
    size: int
    """Octets of the content."""
    created: float
    due: float | None
    """When the mail is tried next; None once it is finished."""
    finished: float | None = None
    expires: float | None = None
    """When it is given up."""
    priority: int = 0
    key: str | None = None
    """The idempotency key: there is one entry with it at most."""
    owner: str | None = None
    """The worker that has the mail on its way, by its lease."""
    content: Content | None = None
    """Only in entries that were put, claimed or left."""

    @property
    def mail(self) -> Mail:
        """What a transport is given."""
        assert self.content is not None, "only claimed mail has its content"
        return Mail(
            Envelope(self.sender, self.waiting, self.options), self.content, had_free_retry=self.receipt.attempts > 0
        )

    @property
    def is_finished(self) -> bool:
        """Whether no further try follows."""
        return self.due is None

    def waits_until(self, due: float, receipt: OutboxReceipt, waiting: tuple[str, ...]) -> Entry:
        """The mail, to be tried at ``due``, or given up at its expiry if that comes first."""
        when = due if self.expires is None else min(due, self.expires)
        shown = receipt.changed(status=Status.PENDING, next_attempt=datetime.fromtimestamp(when, UTC))
        return replace(self, receipt=shown, waiting=waiting, due=when, finished=None, owner=None)

    def ends(self, now: float, receipt: OutboxReceipt) -> Entry:
        """The mail, of which ``receipt`` is the last word."""
        last = receipt.changed(next_attempt=None, elapsed=max(0.0, now - self.created))
        return replace(self, receipt=last, waiting=(), due=None, finished=now, owner=None)


@dataclass(frozen=True, slots=True)
class Agenda:
    """What is ahead in an outbox; with neither, no mail is pending."""

    due: float | None
    """When the next mail is due, of those that nobody has on its way; in the past when it waits for its turn."""
    lease: float | None
    """When the first lease ends, of mail that is on its way."""

    @property
    def next(self) -> float | None:
        """When there will be something to do."""
        return min((time for time in (self.due, self.lease) if time is not None), default=None)


@dataclass(frozen=True, slots=True)
class OutboxStatistics:
    """How many mails an outbox has, by what became of them."""

    pending: int = 0
    in_flight: int = 0
    """Of the pending ones: those that a worker has on their way."""
    deferred: int = 0
    """Of the pending ones: those that were tried already, and are to be tried again."""
    sent: int = 0
    partial: int = 0
    error: int = 0
    unknown: int = 0
    unreadable: int = 0
    """Not counted above: those whose record this version cannot read. They are kept, and tried again."""
    interruptions: int = 0
    """How often a mail was on its way when its worker died, so that it may have arrived twice."""
    next_due: datetime | None = None
    """When the next mail is to be tried; in the past when it waits for its turn."""
    oldest: datetime | None = None
    """When the oldest pending mail was put; None without one, or in an outbox that does not tell."""


class OutboxNotEmpty(OutboxError):
    """A session was closed while its outbox, which is in memory only, still has mail. Nothing is lost yet: ``left`` has
    every message, and ``open()`` goes on with them."""

    left: Sequence[Entry] = ()
    """What was not sent: each with its ``mail``, an envelope and a content, and its ``receipt``."""


class Outbox(ABC):
    """Keeps mail. Any number of tasks or threads may use it at once.

    Failures of the place where mail is kept are ``OutboxError``; nothing is half done then.
    """

    io: IO
    """The world in which it works; set by the session before the first call."""
    is_durable = True
    """Whether mail outlives the program."""
    is_shared = True
    """Whether other programs may put and claim mail at the same time."""
    lease: float = 60.0
    """Seconds after which a mail is taken away from a worker that gave no sign of life. Workers renew in time."""
    keep: float | None = 7 * 86400.0
    """Seconds for which finished mail is remembered, so that its receipt can be asked for. None: for ever."""

    @abstractmethod
    async def open(self) -> None:
        """Get ready; again after ``close``, in another event loop, and in a forked child, where nothing that the parent
        has open may be used. Without harm when it is open."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of files; what is kept stays."""

    @abstractmethod
    async def put(self, entries: Sequence[Entry], deadline: float | None = None) -> list[Entry]:
        """Keep mail, all of it or (on an error) none. In place of one whose key is known, the entry with that key is
        given back, and nothing is stored. ``deadline``, on the clock of ``IO.now``, is until when the caller waits for
        an outbox that others use; None: as long as the outbox finds right."""

    @abstractmethod
    async def claim(self, owner: str, limit: int) -> list[Entry]:
        """Lend up to ``limit`` mails that are due to ``owner``, the most urgent first, with their contents. No mail is
        lent to two."""

    @abstractmethod
    async def renew(self, owner: str) -> None:
        """Let the leases of ``owner`` begin anew."""

    @abstractmethod
    async def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """Take mail back from ``owner`` as it is now: finished, or to be tried again. Gives the ids that ``owner`` had
        lost meanwhile; these stay as they are."""

    @abstractmethod
    async def reclaim(self, owner: str) -> list[Entry]:
        """Take back what other workers than ``owner`` had on its way when their leases ended, for another try at once.
        It counts as an interruption: they may have delivered it. A lease must not be taken for ended because a clock
        was set. Called when a worker begins, when the agenda says that a lease ends, and when the clock was set: mail
        that was never to wait is due at once then."""

    @abstractmethod
    async def get(self, id: str) -> Entry | None:
        """A mail without its content, finished ones included."""

    @abstractmethod
    async def page(self, statuses: Collection[Status], after: Entry | None, limit: int) -> list[Entry]:
        """Mails without their contents, in the order in which they were put, from the one that follows ``after``."""

    @abstractmethod
    async def change(self, old: Entry, new: Entry) -> bool:
        """Replace a mail by what became of it by hand (cancelled, or to be tried again). False when it is not ``old``
        any more, or a worker has it on its way."""

    @abstractmethod
    async def agenda(self) -> Agenda:
        """What is ahead."""

    @abstractmethod
    async def statistics(self) -> OutboxStatistics:
        """Counts."""

    @abstractmethod
    async def purge(self, before: float) -> int:
        """Forget some of what was finished before then; returns how many. 0 says that all of it is gone."""

    async def left(self) -> list[Entry]:
        """All mail that is not finished, with its contents: what would be lost. Asked when ``is_durable`` is False."""
        return []
