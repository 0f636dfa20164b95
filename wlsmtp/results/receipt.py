"""Result of a message: for each recipient what is known, and the server's final words.

Values only; how replies become a receipt is decided in ``smtp/judge.py``.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Any, Protocol, Self

from wlsmtp.results.reply import Reply
from wlsmtp.results.secured import TLSInfo


class Status(StrEnum):
    """The state of a message."""

    SENT = "sent"
    """The server acknowledged the content for every recipient."""
    PARTIAL = "partial"
    """The server acknowledged the content for some recipients; the others were refused or are not known."""
    PENDING = "pending"
    """Stored, not yet sent (mode ``async``)."""
    ERROR = "error"
    """Certainly not delivered to anybody."""
    UNKNOWN = "unknown"
    """The end of the content was written and no answer came: perhaps delivered, perhaps not."""


class RecipientStatus(StrEnum):
    """The state of one recipient of a message."""

    ACCEPTED = "accepted"
    """The server took the responsibility for delivery: 2xx to RCPT and 2xx to the content."""
    REFUSED = "refused"
    """The server refused the recipient, the sender or the content; ``reply`` has its words: 4xx (later) or 5xx."""
    NOT_SENT = "not sent"
    """Certainly not delivered, and the server did not say no: it was not reached, or not asked."""
    UNKNOWN = "unknown"
    """Perhaps delivered: no answer came to the end of the content."""


@dataclass(slots=True, unsafe_hash=True, repr=False)  # not frozen: that would take three times as long to make
class RecipientResult:
    """What is known of one recipient; nothing changes it."""

    address: str
    status: RecipientStatus
    reply: Reply | None = None
    error: SMTPError | None = None
    """Why the message did not get there, where several tries or servers have answered for one message."""

    @property
    def is_permanent(self) -> bool:
        """Whether the server refused for good: 5xx, unless that names a limit on mail in a stretch of time."""
        return self.reply is not None and self.reply.is_permanent and not self.reply.may_pass

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as ``Receipt.as_dict`` has them for each recipient."""
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
    """What a field of a receipt holds."""

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
"""What a receipt says, in the order of ``as_dict``: its plain values (``plain.py``), what they are for JSON schemas
(``plain_fields.py``) and the records of outboxes (``outbox/records.py``) follow this table."""
DERIVED = frozenset({"queue_id"})
"""The fields that follow from others."""


class Receipt:
    """What came of one message. True when every recipient was accepted.

    ``json.dumps(receipt.as_dict())`` is what an API answers or a log keeps; a pydantic model may have a ``Receipt`` for
    a field.

    ``reply`` is the server's last word on the content, ``attempts`` how many times the message was offered to a server,
    ``error`` why not everything was delivered. ``elapsed`` is the time that the delivery took, in seconds, from the
    call to the last reply. ``tls`` is what secured the connection that carried the message (the latest, if there were
    several); None if any of it went in the clear.

    A message in an outbox (mode ``async``) is ``PENDING`` at first; ``next_attempt`` is when it will be tried, and
    ``error`` why the last try failed. ``interruptions`` counts the programs that died with the message on its way: each
    may have delivered it without anybody knowing, so there may be as many copies more.
    """

    next_attempt: datetime | None = None
    interruptions: int = 0

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
        # Not a frozen dataclass: its many assignments would take a tenth of the time that a whole message takes.
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
        """The identifier under which the server queued the message, as far as its words tell."""
        return self.reply.queue_id if self.reply is not None and self.reply.is_positive else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, which ``json.dumps`` takes: ``id``, ``status``, ``recipients`` (each with ``address``,
        ``status``, ``reply``, ``error``), ``reply``, ``queue_id``, ``message_id``, ``attempts``, ``error``,
        ``elapsed``, ``tls``, ``next_attempt``, ``interruptions``. A reply is ``code``, ``enhanced``, ``text`` and
        ``lines``; an error its ``type`` and what it answers. No message, and no secret, is in it."""
        from wlsmtp.results import plain

        return plain.receipt_as_dict(self)

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Receipt:
        """A receipt from what ``as_dict`` gave, perhaps by way of JSON. It says the same, and follows no message:
        ``wait`` returns at once. Raises ``ValueError`` for anything else."""
        from wlsmtp.results import plain

        return plain.receipt_from_dict(fields)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        from wlsmtp.results import plain

        return plain.pydantic_schema(cls, handler)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Names and values of ``as_dict``, for ``dict(receipt)``, which web frameworks call."""
        return iter(self.as_dict().items())

    def __repr__(self) -> str:
        count = f"{len(self.accepted)} of {len(self.recipients)} accepted"
        why = self.error or self.reply
        return f"<Receipt {self.id} {self.status}: {count}" + (f", {_cut(str(why))}>" if why is not None else ">")

    def __bool__(self) -> bool:
        return self.status is Status.SENT

    @property
    def accepted(self) -> tuple[RecipientResult, ...]:
        """The recipients for whom the server took the message."""
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
        """The receipt as it is once the message is finished, or after ``timeout`` seconds, ``PENDING`` still. For
        receipts of an ``SMTPSession``; raises ``ConfigError`` for those of an ``AsyncSMTPSession``, which are awaited:
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
    """Who knows how a message in an outbox goes on."""

    def wait(self, id: str, timeout: float | None) -> Receipt:
        """Block until the message is finished, or for ``timeout`` seconds; tell what is known then."""
        ...

    def follow(self, id: str) -> Coroutine[Any, Any, Receipt]:
        """Wait until the message is finished."""
        ...


@dataclass(frozen=True, slots=True)
class Unread:
    """What a newer version has written into the record of a receipt, and this one does not know: it is kept."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    recipients: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """By address: the state if that is not known, else None, and what follows what is known."""
    tls: tuple[TLSInfo, Mapping[str, Any]] | None = None
    """What was read, and what it was read from."""


class OutboxReceipt(Receipt):
    """See ``Receipt``; a value, which ``changed`` replaces."""

    __slots__ = ("_follower", "interruptions", "next_attempt", "unread")

    def __init__(self, *args: Any, next_attempt: datetime | None = None, interruptions: int = 0, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.next_attempt: datetime | None = next_attempt
        self.interruptions: int = interruptions
        self.unread: Unread = Unread()
        """What its record has of a newer version."""
        self._follower: Follower | None = None

    def changed(self, **fields: object) -> Self:
        """The same receipt with some fields replaced."""
        new = type(self).__new__(type(self))
        for name in _FIELDS:
            setattr(new, name, fields[name] if name in fields else getattr(self, name))
        return new

    def followed_by(self, follower: Follower) -> Self:
        """The same receipt, which can be waited for."""
        return self.changed(_follower=follower)

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """A pickle holds what is known, and not the session, which belongs to its process and has secrets."""
        return None, {name: getattr(self, name) for name in _FIELDS if name != "_follower"} | {"_follower": None}

    def __copy__(self) -> Self:
        return self.changed()

    def __deepcopy__(self, memo: object) -> Self:
        return self.changed()

    def wait(self, timeout: float | None = None) -> Receipt:
        """See ``Receipt.wait``."""
        if self._follower is None or self.status is not Status.PENDING:
            return self
        return self._follower.wait(self.id, timeout)

    async def _final(self) -> Receipt:
        if self._follower is None or self.status is not Status.PENDING:
            return self
        return await self._follower.follow(self.id)


_FIELDS = (*Receipt.__slots__, *OutboxReceipt.__slots__)


def _cut(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:119]}…"


_PERHAPS = (RecipientStatus.ACCEPTED, RecipientStatus.UNKNOWN)


@dataclass(slots=True)
class Outcome:
    """What came of one try: the part of a receipt that a transport knows."""

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
        """The same outcome for all."""
        return cls(tuple(RecipientResult(address, status, reply) for address in addresses), reply, error)

    @classmethod
    def failed(cls, addresses: Iterable[str], error: SMTPError) -> Outcome:
        """The same failure for all: unknown, refused or not sent, after what the error says."""
        if error.ambiguous:
            status = RecipientStatus.UNKNOWN
        else:
            status = RecipientStatus.REFUSED if error.reply is not None else RecipientStatus.NOT_SENT
        return cls.of(addresses, status, reply=error.reply, error=error)

    @property
    def is_certainly_not_sent(self) -> bool:
        """Whether nobody was reached, and nobody may have been."""
        return not any(result.status in _PERHAPS for result in self.recipients)

    def updated_by(self, later: Outcome) -> Outcome:
        """The latest word on each recipient, after one more try for some of them. A refusal that stood before it stands
        still, and so does a doubt: what the later try did not deliver an earlier one may have."""
        latest = {result.address: result for result in later._with_causes()}
        results = tuple(_latest_word(result, latest.get(result.address, result)) for result in self._with_causes())
        error = _error_of(results, later.error)
        return Outcome(results, later.reply or self.reply, error, self._tls_with(later))

    def _tls_with(self, later: Outcome) -> TLSInfo | None:
        """What secured both tries, as far as they carried anything: None if one of them went in the clear."""
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
    """The error that fits the results: one that is ambiguous if somebody is in doubt, and only then; rather the latest
    than an older one, but none about somebody who was served after all."""
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
"""What errors call it where its name is not known."""


# Here, as the two modules need each other; annotations are read with it.
from wlsmtp.results.errors import RecipientsRefused, SMTPError, Stage  # noqa: E402


def refusal(results: Sequence[RecipientResult], stage: Stage = Stage.RCPT, server: str = _SERVER) -> RecipientsRefused:
    """The error for those who were refused; ``server`` is what it calls the server."""
    refused = [result for result in results if result.status is RecipientStatus.REFUSED]
    names = ", ".join(result.address for result in refused[:3]) + (", …" if len(refused) > 3 else "")
    words = f"{server} refused {len(refused)} of {len(results)} recipients: {names}"
    # The most hopeful of the replies decides whether another try makes sense.
    said = sorted((result.reply for result in refused if result.reply), key=lambda reply: reply.code)
    return RecipientsRefused(words, stage=stage, reply=said[0] if said else None)


def overall_status(recipients: Iterable[RecipientResult]) -> Status:
    """The state of a message from the states of its recipients."""
    seen = {result.status for result in recipients}
    if seen == {RecipientStatus.ACCEPTED}:
        return Status.SENT
    if RecipientStatus.ACCEPTED in seen:
        return Status.PARTIAL
    return Status.UNKNOWN if RecipientStatus.UNKNOWN in seen else Status.ERROR
