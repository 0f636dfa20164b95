"""The interface of an outbox: it stores mail, leases it to one worker at a time, and remembers the results.

An outbox decides nothing and sends nothing: ``verdict.py`` decides about a mail, ``worker.py`` acts on it. All times
are seconds since 1970, by ``Outbox.unix_time``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from wlsmtp.errors import OutboxError
from wlsmtp.io.base import IO
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mail import Mail
from wlsmtp.outbox.pace import Pace
from wlsmtp.outbox.within import Within, refused
from wlsmtp.receipt import OutboxReceipt, Status
from wlsmtp.results.statistics import OutboxStatistics as OutboxStatistics
from wlsmtp.settings.options import DeliveryOptions
from wlsmtp.settings.urls import URL, wrong

PRIORITIES = range(-10, 11)
"""Higher goes first. There are few levels, so that claiming the best of 100,000 mails checks each level and searches
nothing."""


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as that would make creating one three times slower
class Entry:
    """One mail in an outbox; an immutable value, replaced when the state of the mail changes."""

    receipt: OutboxReceipt
    sender: str
    """The reverse-path; "" is the null one."""
    options: DeliveryOptions | None
    waiting: tuple[str, ...]
    """The recipients of the next attempt, without those already served or refused permanently."""
    size: int
    """Octets of the content."""
    created: float
    due: float | None
    """The time of the next attempt; None once the mail is finished."""
    finished: float | None = None
    expires: float | None = None
    """The time at which it is given up."""
    pause: float | None = None
    """Seconds from when ``due`` was set until then, so that a clock that is set back makes it wait no longer; None if
    ``due`` is a time that the user has named. Set only in entries that were made here, not in those that were read."""
    priority: int = 0
    lane: str = ""
    """Mails of one lane share a rate: see ``Pace``."""
    key: str | None = None
    """The idempotency key: at most one entry has it."""
    owner: str | None = None
    """The worker that is sending the mail, by its lease."""
    content: Content | None = None
    """Set only in entries that were put, claimed or left."""

    @property
    def mail(self) -> Mail:
        """The mail for a transport."""
        assert self.content is not None, "only claimed mail has its content"
        return Mail(
            Envelope(self.sender, [*self.waiting], self.options), self.content, had_free_retry=self.receipt.attempts > 0
        )

    @property
    def is_finished(self) -> bool:
        """True if no further attempt follows."""
        return self.due is None

    def waits_until(
        self, due: float, receipt: OutboxReceipt, waiting: tuple[str, ...], pause: float | None = None
    ) -> Entry:
        """Return the entry with an attempt at ``due``, or its expiry if that comes first. ``pause`` is the number of
        seconds from now until ``due``, if that is what matters."""
        when = due if self.expires is None else min(due, self.expires)
        shown = receipt.changed(status=Status.PENDING, next_attempt=datetime.fromtimestamp(when, UTC))
        return replace(self, receipt=shown, waiting=waiting, due=when, finished=None, owner=None, pause=pause)

    def ends(self, now: float, receipt: OutboxReceipt) -> Entry:
        """Return the finished entry, with ``receipt`` as its final result."""
        last = receipt.changed(next_attempt=None, elapsed=max(0.0, now - self.created))
        return replace(self, receipt=last, waiting=(), due=None, finished=now, owner=None)


@dataclass(frozen=True, slots=True)
class Agenda:
    """The next times in an outbox; without any, no mail is pending."""

    due: float | None
    """The time at which the next mail is due, of those not being sent; in the past if it waits for its turn. With a
    ``pace``, the time at which a mail that is due may be claimed."""
    lease: float | None
    """The end of the first lease of mail that is being sent."""

    @property
    def next(self) -> float | None:
        """The time at which there will be something to do."""
        return min((time for time in (self.due, self.lease) if time is not None), default=None)


class OutboxNotEmpty(OutboxError):
    """A session was closed while its outbox, which is in memory only, still has mail. Nothing is lost yet: ``left`` has
    every message, and ``open()`` continues with them."""

    left: Sequence[Entry] = ()
    """The unsent mail: each with its ``mail``, an envelope and a content, and its ``receipt``."""


class Outbox(ABC):
    """Stores mail. Any number of tasks or threads may use it at once.

    Failures of the storage are ``OutboxError``, and leave the store unchanged.
    """

    io: IO
    """The I/O to use; set by the session before the first call."""
    is_durable = True
    """True if mail outlives the program."""
    is_shared = True
    """True if other programs may put and claim mail at the same time."""
    wakes = False
    """True if ``wait`` ends early when another program puts mail."""
    keeps_pace = False
    """True if claims and the agenda keep to ``pace``."""
    pace: Pace | None = None
    """The rates of the lanes; set by the session before the first call. What would exceed the rate of its lane is not
    claimed, and holds up no other lane."""
    lease: float = 60.0
    """Seconds after which a mail is reclaimed from a worker that gave no sign of life. Workers renew in time."""
    keep: float | None = 7 * 86400.0
    """Seconds for which finished mail is remembered, so that its receipt is available. None: for ever."""
    exit_hint: str = "Call close(), or keep messages with outbox='sqlite:///path'"
    """The advice when a program ends with unsent mail that is in memory only."""

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """Make one of the setting ``outbox`` when that is a text. Raises ``ConfigError``."""
        raise wrong(f"outbox: {url.scheme} takes no URL")

    def unix_time(self) -> float:
        """The time, by the clock that counts for this mail: that of the machine, unless several have to agree."""
        return self.io.unix_time()

    @abstractmethod
    async def open(self) -> None:
        """Open the storage. May be called again: after ``close``, in another event loop, and in a forked child, which
        must not use anything that the parent has open. Harmless when it is open."""

    @abstractmethod
    async def close(self) -> None:
        """Release files; stored mail remains."""

    @abstractmethod
    async def put(self, entries: Sequence[Entry], deadline: float | None = None) -> list[Entry]:
        """Store mail, all of it or (on an error) none. If a key is known already, the entry with that key is returned
        instead and nothing is stored. ``deadline``, on the clock of ``IO.now``, limits the wait for an outbox that
        others use; None: the outbox decides."""

    async def put_while(self, entries: Sequence[Entry], meanwhile: Callable[[], None]) -> list[Entry]:
        """Store mail as ``put`` does, and call ``meanwhile`` once, which makes what is put next. An outbox in another
        process does both at the same time."""
        kept = await self.put(entries)
        meanwhile()
        return kept

    def packed(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return the entries, with what can be made of them before they are put. Called in
        ``meanwhile`` of ``put_while`` with what is put next. Raises ``MessageError`` for a content that cannot be
        read."""
        return entries

    async def put_within(self, entries: Sequence[Entry], within: Within) -> list[Entry]:
        """Store entries as ``put`` does, on a connection of the program and in its transaction: they exist once that is
        committed, and never if it is rolled back. Raises ``ConfigError`` if this outbox is not in a database, or the
        connection leads to another one."""
        raise refused(within.connection)

    @abstractmethod
    async def claim(self, owner: str, limit: int) -> list[Entry]:
        """Lease up to ``limit`` due mails to ``owner``, the most urgent first, with their contents. No mail is leased
        to two."""

    @abstractmethod
    async def renew(self, owner: str) -> None:
        """Renew the leases of ``owner``."""

    @abstractmethod
    async def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """Store the new states of mails leased to ``owner``: finished, or to be tried again. Returns the ids that
        ``owner`` had lost meanwhile; these are not changed."""

    @abstractmethod
    async def reclaim(self, owner: str) -> list[Entry]:
        """Reclaim mail of other workers than ``owner`` whose leases have ended, for another attempt at once. It counts
        as an interruption: they may have delivered it. A clock change must not end a lease. Called when a worker
        begins, when the agenda says that a lease ends, and when the clock was changed. Mail that was to wait a number
        of seconds (``Entry.pause``) is due no later than that from now, even if the clock was set back since."""

    @abstractmethod
    async def get(self, id: str) -> Entry | None:
        """Return an entry without its content, finished ones included."""

    @abstractmethod
    async def page(self, statuses: Collection[Status], after: Entry | None, limit: int) -> list[Entry]:
        """Return entries without their contents, in the order in which they were put, starting after ``after``."""

    @abstractmethod
    async def change(self, old: Entry, new: Entry) -> bool:
        """Replace an entry after a manual change (cancelled, or to be tried again). Returns False if it is no longer
        ``old``, or a worker is sending it."""

    @abstractmethod
    async def agenda(self) -> Agenda:
        """Return the next times."""

    @abstractmethod
    async def statistics(self) -> OutboxStatistics:
        """Return the counts."""

    @abstractmethod
    async def purge(self, before: float) -> int:
        """Forget some of the mail that was finished before then; return how many. 0 means that none is left."""

    async def wait(self, timeout: float) -> bool:
        """Wait for mail of other programs, ``timeout`` seconds at most; return whether some may be due. A worker that
        stays calls it beside its regular checks, which it never relies on, if ``wakes``. Raises nothing when the
        storage is away."""
        await self.io.sleep(timeout)
        return False

    async def left(self) -> list[Entry]:
        """Return all unfinished mail, with its contents: what would be lost. Called when ``is_durable`` is False."""
        return []


def options_of(url: URL, *names: str) -> dict[str, Any]:
    """Return the options after ``?`` in the URL of an outbox; ``lease`` and ``keep`` are seconds. Raises
    ``ConfigError`` for names that are not in ``names``."""
    if any(name not in names for name in url.options):
        raise wrong(f"outbox: one of the options {', '.join(url.options)} is not known")
    return {name: seconds(name, texts[-1]) if name in _SECONDS else texts[-1] for name, texts in url.options.items()}


_SECONDS = ("lease", "keep")


def seconds(name: str, text: str) -> float:
    """Return the value of an option. Raises ``ConfigError``."""
    try:
        return float(text)
    except ValueError:
        raise wrong(f"outbox: {name} must be a number of seconds") from None


def switch(name: str, text: str) -> bool:
    """Return the value of an option that is on or off. Raises ``ConfigError``."""
    if text.lower() not in _SWITCH:
        raise wrong(f"outbox: {name} must be yes or no")
    return _SWITCH[text.lower()]


_SWITCH = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
