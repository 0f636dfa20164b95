"""Requests to the servers on a message's way, beyond delivery: typed, checked values, and the parameters of MAIL and
RCPT for them (RFC 3461, 2852, 6710, 4865, 4954, 8689).

A new option is a field and a row in ``_SAID``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Set
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Required, Self, TypedDict, Unpack

from pydantic import AwareDatetime, Field, field_validator, model_validator

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.patterns import later
from wlsmtp.settings.validation import Validated
from wlsmtp.wire.command import xtext

if TYPE_CHECKING:
    from wlsmtp.wire.extensions import Capabilities

When = datetime | timedelta | float
"""A point in time: a ``datetime`` (without a time zone: local time), or from now a ``timedelta`` or seconds."""
Kind = Literal["success", "failure", "delay", "never"]
CanBeOptional = Literal["dsn", "deliver_by", "priority", "hold_for", "hold_until", "submitter"]
_MAX_SECONDS = 999_999_999


class _Options(Validated):
    _error = MessageError
    _stage = Stage.MESSAGE

    if TYPE_CHECKING:  # otherwise it would have no parameters, as it has no fields

        def __init__(self, **options: Any) -> None: ...


class _NotifyKeywords(TypedDict, total=False):
    notify: Kind | tuple[Kind, ...] | list[Kind] | Set[Kind] | None
    """When to report on a recipient: ``success``, ``failure``, ``delay``, several of them, or ``never``. None: the
    servers' default, which is on failure and, often, on delay."""


class _Notifying(_Options):
    notify: tuple[Kind, ...] | None = None

    if TYPE_CHECKING:  # otherwise it would have a parameter for its only field

        def __init__(self, **options: Any) -> None: ...

    @field_validator("notify", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("notify")
    @classmethod
    def _never_is_alone(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (not value or ("never" in value and len(value) > 1) or len(set(value)) < len(value)):
            raise ValueError("is 'never', or some of 'success', 'failure' and 'delay', each once")
        return value


class RecipientDSNKeywords(_NotifyKeywords, total=False):
    """The keywords of ``RecipientDSN``."""

    address: Required[str]
    """The recipient, as in the envelope."""
    original: str | None
    """The address that the message was originally sent to, which reports then name (ORCPT)."""


class RecipientDSN(_Notifying):
    """The reports for one recipient, if they differ."""

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
    """The keywords of ``DSN``."""

    ret: Literal["full", "headers"] | None
    """How much of the message a report on a failure returns. None: the server's default."""
    envid: str | None
    """Your identifier, which each report repeats: up to 100 printable ASCII characters."""
    recipients: Iterable[RecipientDSN]
    """The recipients with different reports."""


class DSN(_Notifying):
    """Delivery status notifications: reports on the delivery of a message, sent to its envelope sender (RFC 3461)."""

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
        """The recipients with different reports, by the parts of their addresses."""
        return {parts_of(own.address): own for own in self.recipients}

    def of(self, address: str) -> tuple[tuple[Kind, ...] | None, str | None]:
        """Return when to report on a recipient, and the address that reports name."""
        own = self.by_address.get(parts_of(address))
        return (own.notify or self.notify, own.original) if own is not None else (self.notify, None)


def parts_of(address: str) -> tuple[str, str]:
    """Return the parts by which addresses are compared: domains ignore case, local parts do not."""
    local, _, domain = address.rpartition("@")
    return local, domain.lower()


class DeliverByKeywords(TypedDict, total=False):
    """The keywords of ``DeliverBy``."""

    within: Required[timedelta | float]
    """A ``timedelta``, or seconds, from when the message is submitted."""
    late: Literal["return", "notify"]
    """The action after that time: return the message undelivered, or deliver it all the same and notify the sender."""
    trace: bool
    """True if each server on the way reports that it passed the message on."""


class DeliverBy(_Options):
    """A time within which a message is useful (RFC 2852)."""

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
    """The keywords of ``DeliveryOptions``."""

    dsn: DSN | None
    """Reports on the delivery (DSN, RFC 3461)."""
    deliver_by: DeliverBy | None
    """A time within which to deliver (DELIVERBY, RFC 2852)."""
    priority: int | None
    """From -9 to 9, where 0 is normal and more is more urgent (MT-PRIORITY, RFC 6710)."""
    hold_for: timedelta | float | None
    """A ``timedelta``, or seconds, for which the server holds the message (FUTURERELEASE, RFC 4865)."""
    hold_until: datetime | str | None
    """A time with its time zone until which the server holds the message."""
    submitter: str | None
    """The address of the original submitter, which a trusted relay passes on; "" for unknown (AUTH=, RFC 4954 §5)."""
    require_tls: bool
    """True if each server must pass the message on over verified TLS, or else return it (REQUIRETLS, RFC 8689)."""
    optional: Collection[CanBeOptional]
    """Fields that are left out when the server does not offer what they require."""


class DeliveryOptions(_Options):
    """Requests to the server for a message. The server must offer every requested extension: if not, nothing is sent
    and ``ExtensionMissing`` is raised, except for fields that ``optional`` names."""

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
            raise ValueError("hold_for: cannot be combined with hold_until; give one of them")
        return self

    def check_recipients(self, addresses: Iterable[str]) -> None:
        """Raise ``MessageError`` if ``dsn.recipients`` names an address that is not a recipient of the message."""
        if self.dsn is None or not self.dsn.recipients:
            return
        if strangers := self.dsn.by_address.keys() - set(map(parts_of, addresses)):
            words = f"options.dsn.recipients: {'@'.join(min(strangers))!r} is not a recipient of the message"
            raise MessageError(words, stage=Stage.MESSAGE)


MAX_ENVID, MAX_ORCPT = 100, 500
"""Maximum characters of a value as it is written (RFC 3461 §4.4, §4.2)."""


def mail_parameters(options: DeliveryOptions | None, capabilities: Capabilities) -> list[str]:
    """Return the parameters of MAIL for the options. Raises ``ExtensionMissing`` for required ones that are not
    offered, and ``MessageError`` for those beyond the server's limits."""
    if options is None:
        return []
    words: list[str] = []
    for field, (keyword, rfc, say) in _SAID.items():
        value = getattr(options, field)
        if value is None or value is False:
            continue
        if keyword in capabilities:
            words += say(value, capabilities)
        elif field not in options.optional:
            raise _missing(field, keyword, rfc, capabilities)
    return words


def rcpt_parameters(options: DeliveryOptions | None, address: str, capabilities: Capabilities) -> list[str]:
    """Return the parameters of RCPT for one recipient."""
    if options is None or options.dsn is None or "DSN" not in capabilities:
        return []
    notify, original = options.dsn.of(address)
    words = [f"NOTIFY={','.join(notify).upper()}"] if notify else []
    return [*words, orcpt(original)] if original else words


def orcpt(address: str) -> str:
    """Return the original recipient, typed (RFC 3461 §4.2); a non-ASCII one in the form that any server can pass on
    (RFC 6533 §3). Raises ``MessageError`` when it is too long."""
    written = f"rfc822;{xtext(address)}" if address.isascii() else f"utf-8;{_UNSAFE.sub(_escaped, address)}"
    if len(written) > MAX_ORCPT:
        words = f"options.dsn.recipients: an original address has more than {MAX_ORCPT} characters as it is written"
        raise MessageError(words, stage=Stage.MESSAGE)
    return f"ORCPT={written}"


_UNSAFE = later(r"[^!-*,-<>-\[\]-~]")  # everything except QCHAR of RFC 6533 §3: printable ASCII without + = \


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{{{ord(match[0]):02X}}}"


def _dsn(dsn: DSN, _: Capabilities) -> list[str]:
    words: list[str] = []
    if dsn.ret is not None:
        words.append("RET=FULL" if dsn.ret == "full" else "RET=HDRS")
    if dsn.envid is not None:
        envid = xtext(dsn.envid)
        if len(envid) > MAX_ENVID:
            problem = f"options.dsn.envid: has more than {MAX_ENVID} characters as it is written"
            raise MessageError(problem, stage=Stage.MESSAGE)
        words.append(f"ENVID={envid}")
    return words


def _deliver_by(wish: DeliverBy, capabilities: Capabilities) -> list[str]:
    seconds, shortest = _seconds(wish.within), _number(capabilities, "DELIVERBY")
    if wish.late == "return" and shortest is not None and seconds < shortest:
        words = f"options.deliver_by: {capabilities.name} requires at least {shortest} seconds (RFC 2852 §3)"
        raise MessageError(words, stage=Stage.MAIL)
    return [f"BY={seconds};{'R' if wish.late == 'return' else 'N'}{'T' if wish.trace else ''}"]


def _priority(priority: int, _: Capabilities) -> list[str]:
    return [f"MT-PRIORITY={priority}"]


def _hold_for(span: timedelta, capabilities: Capabilities) -> list[str]:
    seconds, longest = _seconds(span), _number(capabilities, "FUTURERELEASE")
    if longest is not None and seconds > longest:
        words = f"options.hold_for: {capabilities.name} holds a message for {longest} seconds at most (RFC 4865 §4)"
        raise MessageError(words, stage=Stage.MAIL)
    return [f"HOLDFOR={seconds}"]


def _hold_until(until: datetime, capabilities: Capabilities) -> list[str]:
    latest = _time(capabilities)
    if latest is not None and until > latest:
        words = f"options.hold_until: {capabilities.name} holds a message until {latest:%Y-%m-%dT%H:%M:%SZ} at most"
        raise MessageError(words, stage=Stage.MAIL)
    return [f"HOLDUNTIL={until:%Y-%m-%dT%H:%M:%SZ}"]


def _submitter(address: str, _: Capabilities) -> list[str]:
    return [f"AUTH={xtext(address) or '<>'}"]


def _require_tls(_: bool, __: Capabilities) -> list[str]:
    return ["REQUIRETLS"]


_SAID: dict[str, tuple[str, str, Callable[[Any, Capabilities], list[str]]]] = {
    "dsn": ("DSN", "RFC 3461", _dsn),
    "deliver_by": ("DELIVERBY", "RFC 2852", _deliver_by),
    "priority": ("MT-PRIORITY", "RFC 6710", _priority),
    "hold_for": ("FUTURERELEASE", "RFC 4865", _hold_for),
    "hold_until": ("FUTURERELEASE", "RFC 4865", _hold_until),
    "submitter": ("AUTH", "RFC 4954", _submitter),
    "require_tls": ("REQUIRETLS", "RFC 8689", _require_tls),
}


def _missing(field: str, keyword: str, rfc: str, capabilities: Capabilities) -> ExtensionMissing:
    words = f"options.{field}: needs {keyword} ({rfc}), which {capabilities.name} does not offer"
    hint = f"DeliveryOptions(optional={{{field!r}}}) sends the message without it"
    if field == "require_tls":
        hint = "The server's offer counts only over TLS with a verified certificate"
    return ExtensionMissing(words, stage=Stage.MAIL, hint=hint)


def _seconds(span: timedelta) -> int:
    return span.days * 86400 + span.seconds


def _number(capabilities: Capabilities, keyword: str) -> int | None:
    """Return the first parameter of an extension, if it is a number."""
    words = capabilities.extensions.get(keyword, ())
    return int(words[0]) if words and words[0].isascii() and words[0].isdigit() and len(words[0]) < 10 else None


def _time(capabilities: Capabilities) -> datetime | None:
    """Return the latest time that FUTURERELEASE allows, if the server gives a valid one."""
    try:
        latest = datetime.fromisoformat(capabilities.extensions["FUTURERELEASE"][1])
    except (IndexError, ValueError):
        return None
    return latest if latest.tzinfo else None
