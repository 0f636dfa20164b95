"""The result of a message: what is known for each recipient, and the server's final reply.

Values only; ``smtp/judge.py`` derives a receipt from replies.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import Any, Protocol, Self

from wlsmtp.habits import OF_RECEIPT, Habits
from wlsmtp.results.reply import Reply
from wlsmtp.results.secured import TLSInfo


class Status(StrEnum):
    """The state of a message."""

    SENT = "sent"
    """The server acknowledged the content for every recipient."""
    PARTIAL = "partial"
    """The server acknowledged the content for some recipients; the others were refused or are unknown."""
    PENDING = "pending"
    """Stored, not yet sent (mode ``async``)."""
    ERROR = "error"
    """Certainly not delivered to anybody."""
    UNKNOWN = "unknown"
    """The end of the content was written and no reply came: the message may or may not have been delivered."""


class RecipientStatus(StrEnum):
    """The state of one recipient of a message."""

    ACCEPTED = "accepted"
    """The server accepted responsibility for delivery: 2xx to RCPT and 2xx to the content."""
    REFUSED = "refused"
    """The server refused the recipient, the sender or the content; ``reply`` is 4xx (later) or 5xx."""
    NOT_SENT = "not sent"
    """Certainly not delivered, without a refusal: the server was not reached, or not asked."""
    UNKNOWN = "unknown"
    """Perhaps delivered: no reply came to the end of the content."""


@dataclass(slots=True, unsafe_hash=True, repr=False)  # not frozen, as that would make creating one three times slower
class RecipientResult:
    """The result for one recipient; immutable."""

    address: str
    status: RecipientStatus
    reply: Reply | None = None
    error: SMTPError | None = None
    """The error for this recipient, if several attempts or servers have answered for one message."""

    @property
    def is_permanent(self) -> bool:
        """True if the server refused permanently: 5xx, unless its words name a limit on mail per period of time."""
        return self.reply is not None and self.reply.is_permanent and not self.reply.may_pass

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as ``Receipt.as_dict`` has them for each recipient."""
        from wlsmtp.results import plain

        return plain.recipient_as_dict(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        from wlsmtp.results import plain

        return plain.pydantic_schema(cls, handler)

    def __repr__(self) -> str:
        words = f": {_cut(str(self.reply))}" if self.reply is not None else ""
        return f"<{type(self).__name__} {self.address} {self.status}{words}>"


class Kind(Enum):
    """The kinds of fields of a receipt."""

    ID = auto()
    STATUS = auto()
    RECIPIENTS = auto()
    REPLY = auto()
    TEXT = auto()
    """A ``str``, or None."""
    COUNT = auto()
    ERROR = auto()
    SECONDS = auto()
    TLS = auto()
    TIME = auto()


FIELDS = {
    "id": Kind.ID,
    "status": Kind.STATUS,
    "recipients": Kind.RECIPIENTS,
    "reply": Kind.REPLY,
    "queue_id": Kind.TEXT,
    "message_id": Kind.TEXT,
    "attempts": Kind.COUNT,
    "error": Kind.ERROR,
    "elapsed": Kind.SECONDS,
    "tls": Kind.TLS,
    "next_attempt": Kind.TIME,
    "interruptions": Kind.COUNT,
}
"""The fields of a receipt, in the order of ``as_dict``. Plain values (``plain.py``), JSON schemas (``plain_fields.py``)
and the records of outboxes (``outbox/records.py``) follow this table."""
DERIVED = frozenset({"queue_id"})
"""The fields that are derived from others."""


class Receipt(Habits):
    """The result of one message. True when every recipient was accepted.

    ``json.dumps(receipt.as_dict())`` is suitable for an API response or a log; a pydantic model may have a ``Receipt``
    as a field.

    ``reply`` is the server's final reply to the content. ``attempts`` is the number of times the message was offered to
    a server. ``error`` is the reason if not everything was delivered. ``elapsed`` is the duration of the delivery in
    seconds, from the call to the last reply. ``tls`` describes the security of the connection that carried the message
    (the latest, if there were several). It is None if any of it was sent in plain text.

    A message in an outbox (mode ``async``) is ``PENDING`` at first. ``next_attempt`` is then the time of the next
    attempt, and ``error`` the reason why the last one failed. ``interruptions`` counts the programs that died while
    sending the message. Each may have delivered it without a record, so there may be that many extra copies.
    """

    next_attempt: datetime | None = None
    interruptions: int = 0
    _elsewhere = OF_RECEIPT
    carried: Mapping[str, str] = MappingProxyType({})
    """Values that listeners gave a message on its way through an outbox, such as the context of a trace."""

    __slots__ = ("attempts", "elapsed", "error", "id", "message_id", "recipients", "reply", "status", "tls")

    def __init__(
        self,
        id: str,
        status: Status,
        recipients: tuple[RecipientResult, ...],
        reply: Reply | None = None,
        message_id: str | None = None,
        attempts: int = 1,
        error: SMTPError | None = None,
        elapsed: float = 0.0,
        tls: TLSInfo | None = None,
    ) -> None:
        # Not a frozen dataclass: its assignments would take a tenth of the time of a whole message.
        self.id: str = id
        self.status: Status = status
        self.recipients: tuple[RecipientResult, ...] = recipients
        self.reply: Reply | None = reply
        self.message_id: str | None = message_id
        self.attempts: int = attempts
        self.error: SMTPError | None = error
        self.elapsed: float = elapsed
        self.tls: TLSInfo | None = tls

    @property
    def queue_id(self) -> str | None:
        """The identifier under which the server queued the message, if its reply names one."""
        return self.reply.queue_id if self.reply is not None and self.reply.is_positive else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for ``json.dumps``: ``id``, ``status``, ``recipients`` (each with ``address``,
        ``status``, ``reply``, ``error``), ``reply``, ``queue_id``, ``message_id``, ``attempts``, ``error``,
        ``elapsed``, ``tls``, ``next_attempt``, ``interruptions``. A reply is ``code``, ``enhanced``, ``text`` and
        ``lines``; an error its ``type`` and attributes. They contain no message and no secret."""
        from wlsmtp.results import plain

        return plain.receipt_as_dict(self)

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Receipt:
        """Return a receipt from what ``as_dict`` returned, for example after JSON. It is a snapshot: ``wait`` returns
        at once. Raises ``ValueError`` for anything else."""
        from wlsmtp.results import plain

        return plain.receipt_from_dict(fields)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        from wlsmtp.results import plain

        return plain.pydantic_schema(cls, handler)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Iterate over the names and values of ``as_dict``, for ``dict(receipt)``, which web frameworks call."""
        return iter(self.as_dict().items())

    def __repr__(self) -> str:
        count = f"{len(self.accepted)} of {len(self.recipients)} accepted"
        why = self.error or self.reply
        return f"<Receipt {self.id} {self.status}: {count}" + (f", {_cut(str(why))}>" if why is not None else ">")

    def __bool__(self) -> bool:
        return self.status is Status.SENT

    @property
    def accepted(self) -> tuple[RecipientResult, ...]:
        """The recipients for whom the server accepted the message."""
        return self._with(RecipientStatus.ACCEPTED)

    @property
    def refused(self) -> tuple[RecipientResult, ...]:
        """The recipients that the server refused, each with its reply."""
        return self._with(RecipientStatus.REFUSED)

    @property
    def unknown(self) -> tuple[RecipientResult, ...]:
        """The recipients that may or may not have been reached."""
        return self._with(RecipientStatus.UNKNOWN)

    def _with(self, status: RecipientStatus) -> tuple[RecipientResult, ...]:
        return tuple(result for result in self.recipients if result.status is status)

    def raise_for_status(self) -> Self:
        """Return the receipt if any recipient was accepted; otherwise raise ``error``, which carries the receipt."""
        if self.error is not None and self.status not in (Status.SENT, Status.PARTIAL):
            raise self.error
        return self

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once the message is finished, or after ``timeout`` seconds, then still ``PENDING``. For
        receipts of an ``SMTPSession``. Those of an ``AsyncSMTPSession`` raise ``ConfigError``; they are awaited:
        ``receipt = await receipt``."""
        return self

    def __await__(self) -> Generator[Any, None, Receipt]:
        return self._final().__await__()

    async def _final(self) -> Receipt:
        return self

    def __str__(self) -> str:
        count = f"{len(self.accepted)} of {len(self.recipients)} recipients accepted"
        if self.error is not None:
            return f"{self.status}: {count}. {self.error}"
        words = f", {self.reply}" if self.reply is not None else ""
        return f"{self.status}: {count}{words}"


class Follower(Protocol):
    """Follows a message in an outbox."""

    def wait(self, id: str, timeout: float | None) -> Receipt:
        """Block until the message is finished, or for ``timeout`` seconds; return what is known then."""
        ...

    def follow(self, id: str) -> Coroutine[Any, Any, Receipt]:
        """Wait until the message is finished."""
        ...


@dataclass(frozen=True, slots=True)
class Unread:
    """Fields that a newer version has written into the record of a receipt, kept although unknown here."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    recipients: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """By address: the state if that is unknown here, else None, and the values after the known ones."""
    tls: tuple[TLSInfo, Mapping[str, Any]] | None = None
    """The value that was read, and the record it was read from."""


NOTHING_UNREAD = Unread()
_new = object.__new__
_PENDING = Status.PENDING  # a member is slow to read from its class in Python 3.11


class OutboxReceipt(Receipt):
    """A ``Receipt`` of a message in an outbox; immutable, replaced by ``changed``."""

    __slots__ = ("_follower", "carried", "interruptions", "next_attempt", "unread")

    def __init__(
        self,
        *args: Any,
        next_attempt: datetime | None = None,
        interruptions: int = 0,
        carried: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(*args, **fields)
        self.carried: Mapping[str, str] = carried or {}
        self.next_attempt: datetime | None = next_attempt
        self.interruptions: int = interruptions
        self.unread: Unread = NOTHING_UNREAD
        """Fields of its record from a newer version."""
        self._follower: Follower | None = None

    @classmethod
    def pending(
        cls,
        id: str,
        recipients: tuple[RecipientResult, ...],
        message_id: str | None,
        next_attempt: datetime,
        carried: Mapping[str, str],
    ) -> Self:
        """Return the receipt of a message that was not tried yet. It is made in a third of the time of a call of the
        class."""
        new = _new(cls)
        new.id, new.status, new.recipients, new.message_id = id, _PENDING, recipients, message_id
        new.reply = new.error = new.tls = new._follower = None
        new.attempts = new.interruptions = 0
        new.elapsed = 0.0
        new.next_attempt = next_attempt
        new.carried = carried or {}
        new.unread = NOTHING_UNREAD
        return new

    def changed(self, **fields: object) -> Self:
        """Return the same receipt with some fields replaced."""
        new = self._copied()
        for name, value in fields.items():
            setattr(new, name, value)
        return new

    def followed_by(self, follower: Follower) -> Self:
        """Return the same receipt, which can be waited for."""
        new = self._copied()
        new._follower = follower
        return new

    def _copied(self) -> Self:
        new = _new(type(self))  # each field by its name, as that takes a fraction of the time of a loop
        new.id, new.status, new.recipients, new.reply = self.id, self.status, self.recipients, self.reply
        new.message_id, new.attempts, new.error = self.message_id, self.attempts, self.error
        new.elapsed, new.tls, new.next_attempt = self.elapsed, self.tls, self.next_attempt
        new.interruptions, new.carried, new.unread = self.interruptions, self.carried, self.unread
        new._follower = self._follower
        return new

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """Pickle only what is known, not the session, which belongs to its process and has secrets."""
        return None, {name: getattr(self, name) for name in _FIELDS if name != "_follower"} | {"_follower": None}

    def __copy__(self) -> Self:
        return self.changed()

    def __deepcopy__(self, memo: object) -> Self:
        return self.changed()

    def wait(self, timeout: float | None = None) -> Receipt:
        """Return the receipt once the message is finished; see ``Receipt.wait``."""
        if self._follower is None or self.status is not Status.PENDING:
            return self
        return self._follower.wait(self.id, timeout)

    async def _final(self) -> Receipt:
        if self._follower is None or self.status is not Status.PENDING:
            return self
        return await self._follower.follow(self.id)


_FIELDS = (*Receipt.__slots__, *OutboxReceipt.__slots__)


def _cut(text: str) -> str:
    """Return the beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:119]}…"


_PERHAPS = (RecipientStatus.ACCEPTED, RecipientStatus.UNKNOWN)


@dataclass(slots=True)
class Outcome:
    """The result of one attempt: the part of a receipt that a transport knows."""

    recipients: tuple[RecipientResult, ...]
    reply: Reply | None = None
    error: SMTPError | None = None
    tls: TLSInfo | None = None

    @classmethod
    def of(
        cls,
        addresses: Iterable[str],
        status: RecipientStatus,
        *,
        reply: Reply | None = None,
        error: SMTPError | None = None,
    ) -> Outcome:
        """Return the same result for all recipients."""
        return cls(tuple(RecipientResult(address, status, reply) for address in addresses), reply, error)

    @classmethod
    def failed(cls, addresses: Iterable[str], error: SMTPError) -> Outcome:
        """Return the same failure for all recipients: unknown, refused or not sent, according to the error."""
        if error.ambiguous:
            status = RecipientStatus.UNKNOWN
        else:
            status = RecipientStatus.REFUSED if error.reply is not None else RecipientStatus.NOT_SENT
        return cls.of(addresses, status, reply=error.reply, error=error)

    @property
    def is_certainly_not_sent(self) -> bool:
        """True if no recipient was reached, or may have been."""
        return not any(result.status in _PERHAPS for result in self.recipients)

    def updated_by(self, later: Outcome) -> Outcome:
        """Return the latest result for each recipient after one more attempt for some of them. Earlier refusals and
        doubts are kept: what the later attempt did not deliver, an earlier one may have."""
        latest = {result.address: result for result in later._with_causes()}
        results = tuple(_latest_word(result, latest.get(result.address, result)) for result in self._with_causes())
        error = _error_of(results, later.error)
        return Outcome(results, later.reply or self.reply, error, self._tls_with(later))

    def _tls_with(self, later: Outcome) -> TLSInfo | None:
        """Return the security of both attempts, if they carried anything: None if one of them was in plain text."""
        if self.is_certainly_not_sent:
            return later.tls
        return self.tls if later.is_certainly_not_sent or self.tls is None else later.tls

    def _with_causes(self) -> Iterator[RecipientResult]:
        for result in self.recipients:
            needs_none = result.status is RecipientStatus.ACCEPTED or result.error is not None
            yield result if needs_none else replace(result, error=self.error)


def _latest_word(earlier: RecipientResult, later: RecipientResult) -> RecipientResult:
    in_doubt = earlier.status is RecipientStatus.UNKNOWN and later.status is not RecipientStatus.ACCEPTED
    return replace(later, status=RecipientStatus.UNKNOWN, error=earlier.error) if in_doubt else later


def _error_of(results: Sequence[RecipientResult], latest: SMTPError | None) -> SMTPError | None:
    """Return the error that fits the results. It is ambiguous if and only if a recipient is in doubt. The latest error
    is preferred, but none about a recipient that was served after all."""
    states = {result.status for result in results}
    if states == {RecipientStatus.ACCEPTED}:
        return None
    in_doubt = RecipientStatus.UNKNOWN in states
    standing = [result.error for result in results if result.error is not None]
    fitting = [error for error in standing if error.ambiguous is in_doubt]
    if latest in fitting or fitting:
        return latest if latest in fitting else fitting[0]
    refused = [result.error for result in results if result.status is RecipientStatus.REFUSED]
    servers = dict.fromkeys(error.server for error in refused if error is not None and error.server is not None)
    return refusal(results, server=" and ".join(servers) or _SERVER)


_SERVER = "The server"
"""The server's name in errors where the real one is not known."""


# Imported here because the two modules refer to each other; annotations are evaluated with it.
from wlsmtp.results.errors import RecipientsRefused, SMTPError, Stage  # noqa: E402


def refusal(results: Sequence[RecipientResult], stage: Stage = Stage.RCPT, server: str = _SERVER) -> RecipientsRefused:
    """Return the error for the refused recipients; ``server`` is its name in the text."""
    refused = [result for result in results if result.status is RecipientStatus.REFUSED]
    names = ", ".join(result.address for result in refused[:3]) + (", …" if len(refused) > 3 else "")
    words = f"{server} refused {len(refused)} of {len(results)} recipients: {names}"
    # The most hopeful of the replies decides whether another attempt makes sense.
    said = sorted((result.reply for result in refused if result.reply), key=lambda reply: reply.code)
    return RecipientsRefused(words, stage=stage, reply=said[0] if said else None)


def overall_status(recipients: Iterable[RecipientResult]) -> Status:
    """Return the state of a message from the states of its recipients."""
    seen = {result.status for result in recipients}
    if seen == {RecipientStatus.ACCEPTED}:
        return Status.SENT
    if RecipientStatus.ACCEPTED in seen:
        return Status.PARTIAL
    return Status.UNKNOWN if RecipientStatus.UNKNOWN in seen else Status.ERROR
