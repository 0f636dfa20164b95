"""What a message may ask of the servers on its way beyond being delivered. Values only, typed and checked;
``wire/parameters.py`` has the words of MAIL and RCPT that say them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Required, Self, TypedDict, Unpack

from pydantic import AwareDatetime, Field, field_validator, model_validator

from wlsmtp.errors import MessageError, Stage
from wlsmtp.settings.validation import Validated

Kind = Literal["success", "failure", "delay", "never"]
CanBeOptional = Literal["dsn", "deliver_by", "priority", "hold_for", "hold_until", "submitter"]
_MAX_SECONDS = 999_999_999


class _Options(Validated):
    _error = MessageError
    _stage = Stage.MESSAGE

    if TYPE_CHECKING:  # else it would have no parameters, as it has no fields

        def __init__(self, **options: Any) -> None: ...


class _NotifyKeywords(TypedDict, total=False):
    notify: Kind | tuple[Kind, ...] | list[Kind] | Set[Kind] | None
    """When to report on a recipient: ``success``, ``failure``, ``delay``, several of them, or ``never``. None: as the
    servers like, which is on failure and, often, on delay."""


class _Notifying(_Options):
    notify: tuple[Kind, ...] | None = None

    if TYPE_CHECKING:  # else it would have a parameter for its only field

        def __init__(self, **options: Any) -> None: ...

    @field_validator("notify", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("notify")
    @classmethod
    def _never_is_alone(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (not value or ("never" in value and len(value) > 1) or len(set(value)) < len(value)):
            raise ValueError("is 'never', or some of 'success', 'failure' and 'delay', each once")
        return value


class RecipientDSNKeywords(_NotifyKeywords, total=False):
    """What ``RecipientDSN`` asks for, each as a keyword."""

    address: Required[str]
    """The recipient, as in the envelope."""
    original: str | None
    """The address that the message was sent to at first, which reports then name (ORCPT)."""


class RecipientDSN(_Notifying):
    """What differs for one recipient."""

    address: str
    original: str | None = None

    _keywords = (_NotifyKeywords, RecipientDSNKeywords)

    def __init__(self, **options: Unpack[RecipientDSNKeywords]) -> None:
        super().__init__(**options)

    @field_validator("address", "original")
    @classmethod
    def _printable(cls, value: str | None) -> str | None:
        if value is not None and (not value.isprintable() or not 3 <= len(value) <= 320 or "@" not in value):
            raise ValueError("must be an address, without a name")
        return value


class DSNKeywords(_NotifyKeywords, total=False):
    """What ``DSN`` asks for, each as a keyword."""

    ret: Literal["full", "headers"] | None
    """How much of the message a report on a failure returns. None: as the server likes."""
    envid: str | None
    """An identifier of yours that each report repeats: up to 100 printable ASCII characters."""
    recipients: Iterable[RecipientDSN]
    """What differs for some recipients."""


class DSN(_Notifying):
    """Delivery status notifications: reports on what became of a message, sent to its envelope sender (RFC 3461)."""

    ret: Literal["full", "headers"] | None = None
    envid: str | None = None
    recipients: tuple[RecipientDSN, ...] = ()

    _keywords = (_NotifyKeywords, DSNKeywords)

    def __init__(self, **options: Unpack[DSNKeywords]) -> None:
        super().__init__(**options)

    @field_validator("envid")
    @classmethod
    def _identifier(cls, value: str | None) -> str | None:
        if value is not None and not (value and value.isascii() and value.isprintable() and len(value) <= 100):
            raise ValueError("must be 1 to 100 printable ASCII characters (RFC 3461 §4.4)")
        return value

    @cached_property
    def by_address(self) -> dict[tuple[str, str], RecipientDSN]:
        """What differs for some recipients, by the parts of their addresses."""
        return {parts_of(own.address): own for own in self.recipients}

    def of(self, address: str) -> tuple[tuple[Kind, ...] | None, str | None]:
        """When to report on a recipient, and the address that reports name."""
        own = self.by_address.get(parts_of(address))
        return (own.notify or self.notify, own.original) if own is not None else (self.notify, None)


def parts_of(address: str) -> tuple[str, str]:
    """By what addresses compare: a domain is the same in upper and lower case, a local part is not."""
    local, _, domain = address.rpartition("@")
    return local, domain.lower()


class DeliverByKeywords(TypedDict, total=False):
    """What ``DeliverBy`` asks for, each as a keyword."""

    within: Required[timedelta | float]
    """A ``timedelta``, or seconds, from when the message is handed over."""
    late: Literal["return", "notify"]
    """What to do with it afterwards: give it back undelivered, or deliver it all the same and tell the sender."""
    trace: bool
    """Whether each server on the way reports that it passed the message on."""


class DeliverBy(_Options):
    """A time within which a message is of use (RFC 2852)."""

    within: timedelta
    late: Literal["return", "notify"] = "return"
    trace: bool = False

    _keywords = (DeliverByKeywords,)

    def __init__(self, **options: Unpack[DeliverByKeywords]) -> None:
        super().__init__(**options)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if abs(self.within.total_seconds()) > _MAX_SECONDS:
            raise ValueError(f"within: at most {_MAX_SECONDS} seconds")
        if self.late == "return" and self.within < timedelta(seconds=1):
            raise ValueError("within: must be at least a second when late mail is returned")
        return self


class DeliveryKeywords(TypedDict, total=False):
    """What ``DeliveryOptions`` asks for, each as a keyword."""

    dsn: DSN | None
    """Reports on the delivery (DSN, RFC 3461)."""
    deliver_by: DeliverBy | None
    """A time within which to deliver (DELIVERBY, RFC 2852)."""
    priority: int | None
    """From -9 to 9, where 0 is normal and more is more urgent (MT-PRIORITY, RFC 6710)."""
    hold_for: timedelta | float | None
    """A ``timedelta``, or seconds, for which the server holds the message back (FUTURERELEASE, RFC 4865)."""
    hold_until: datetime | str | None
    """A time with its time zone until which it does so."""
    submitter: str | None
    """The address of who submitted the message first, which a trusted relay passes on; "" for unknown (AUTH=, RFC 4954
    §5)."""
    require_tls: bool
    """Whether each server must pass the message on over verified TLS, or else return it (REQUIRETLS, RFC 8689)."""
    optional: Collection[CanBeOptional]
    """The fields that are left out when the server does not offer what they need."""


class DeliveryOptions(_Options):
    """What to ask of the server for a message. Whatever is asked for must be offered by the server: if not, nothing is
    sent and ``ExtensionMissing`` says so, save for what ``optional`` names."""

    dsn: DSN | None = None
    deliver_by: DeliverBy | None = None
    priority: Annotated[int, Field(ge=-9, le=9)] | None = None
    hold_for: timedelta | None = None
    hold_until: AwareDatetime | None = None
    submitter: str | None = None
    require_tls: bool = False
    optional: frozenset[CanBeOptional] = frozenset()

    _keywords = (DeliveryKeywords,)

    def __init__(self, **options: Unpack[DeliveryKeywords]) -> None:
        super().__init__(**options)

    @field_validator("hold_for")
    @classmethod
    def _whole_seconds(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and not 1 <= value.total_seconds() <= _MAX_SECONDS:
            raise ValueError(f"must be between 1 and {_MAX_SECONDS} seconds")
        return value

    @field_validator("hold_until")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    @field_validator("submitter")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value and (not value.isprintable() or not value.isascii() or "@" not in value or len(value) > 254):
            raise ValueError('must be an address in ASCII, without a name, or ""')
        return value

    @model_validator(mode="after")
    def _one_hold(self) -> Self:
        if self.hold_for is not None and self.hold_until is not None:
            raise ValueError("hold_for: cannot go with hold_until; give one of them")
        return self

    def check_recipients(self, addresses: Iterable[str]) -> None:
        """Raise ``MessageError`` when ``dsn.recipients`` names somebody who is no recipient of the message."""
        if self.dsn is None or not self.dsn.recipients:
            return
        if strangers := self.dsn.by_address.keys() - set(map(parts_of, addresses)):
            words = f"options.dsn.recipients: {'@'.join(min(strangers))!r} is no recipient of the message"
            raise MessageError(words, stage=Stage.MESSAGE)
