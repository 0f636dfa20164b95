"""Invitations: what is said of an event in iCalendar (RFC 5545, RFC 5546), for a part of a message (RFC 6047)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.attachment import Attachment
from wlsmtp.message.values import AddressesLike, AddressLike, text_or_none
from wlsmtp.wire.content import with_clean_line_ends

_METHOD = re.compile(r"^METHOD:([A-Z]+)\r?$", re.MULTILINE | re.IGNORECASE)
_METHODS = frozenset({"PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"})


@dataclass(frozen=True)
class Invitation:
    """One event, and what its organizer or an attendee says about it: ``Message(calendar=Invitation(…))``.

    >>> meeting = Invitation(start, timedelta(hours=1), "Planning", location="Room 4")
    >>> moved = dataclasses.replace(meeting, start=later, sequence=1)
    >>> off = dataclasses.replace(meeting, sequence=2, method="CANCEL")

    For repeated events, alarms and the like give an ``icalendar.Calendar`` in its place.
    """

    start: datetime | date
    """With a time zone; or a day."""
    end: datetime | date | timedelta
    """When it ends, or how long it takes. Of days, the one after the last (RFC 5545 §3.6.1)."""
    summary: str
    organizer: AddressLike | None = None
    """Default: the sender of the message; of a ``REPLY`` its first recipient."""
    attendees: AddressesLike = ()
    """Default: the To and Cc of the message; of a ``REPLY`` its sender."""
    description: str | None = None
    location: str | None = None
    url: str | None = None
    uid: str = field(default_factory=lambda: f"{os.urandom(16).hex()}@invitation.invalid")
    """The identifier that later messages about the same event repeat. Default: random."""
    sequence: int = 0
    """Greater with each change (RFC 5546 §2.1.4)."""
    method: Literal["REQUEST", "CANCEL", "REPLY", "PUBLISH"] = "REQUEST"
    answer: Literal["ACCEPTED", "TENTATIVE", "DECLINED"] = "ACCEPTED"
    """The answer of a ``REPLY``."""


class _Calendar(Protocol):
    """That of icalendar."""

    def to_ical(self) -> bytes: ...


CalendarLike: TypeAlias = Invitation | _Calendar | str | bytes


def _calendar(value: object) -> Any:
    """What the user gives, if it is one of the three kinds; as text unless it is an ``Invitation``. Raises
    ``ValueError``."""
    if isinstance(value, Invitation):
        return value
    if isinstance(value, bytes):
        value = value.decode()
    elif not isinstance(value, str) and callable(getattr(value, "to_ical", None)):
        try:
            value = value.to_ical().decode()  # type: ignore[attr-defined]
        except Exception as error:  # of the object
            raise ValueError(f"{type(value).__name__}.to_ical() failed: {type(error).__name__}: {error}") from error
    if not isinstance(value, str):
        raise ValueError(f"must be an Invitation, an icalendar.Calendar or its text, not {type(value).__name__}")
    text = with_clean_line_ends((text_or_none(value) or "").encode()).decode().removesuffix("\r\n") + "\r\n"
    try:
        found = icalendar_package().Calendar.from_ical(text)
    except ValueError as error:
        raise ValueError(f"is not iCalendar text (RFC 5545): {str(error)[:200]}") from None
    methods = methods_in(text)
    if found.name != "VCALENDAR" or len(methods) != 1 or methods[0] not in _METHODS:
        raise ValueError("must have one METHOD, such as METHOD:REQUEST (RFC 5546 §1.4): calendar.add('method', …)")
    return text


CHECKS: dict[str, Callable[[Any], Any]] = {"calendar": _calendar}
"""For each field what makes its value, or raises ``ValueError``."""


def expanded(fields: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The text of the calendar. Raises ``MessageError``."""
    calendar = given["calendar"]
    if isinstance(calendar, str):
        return {"calendar": calendar}
    from wlsmtp.message.ical import written

    try:
        return {"calendar": written(calendar, fields)}
    except (ValueError, OverflowError) as error:  # a date beyond the calendar of Python overflows
        words = error.message if isinstance(error, MessageError) else error
        raise MessageError(f"calendar: {words}", stage=Stage.MESSAGE) from None


def method_of(text: str) -> str:
    """The METHOD of a calendar, which the type of its part repeats (RFC 6047 §2.4)."""
    [method] = methods_in(text)
    return method


def methods_in(text: str) -> list[str]:
    """Return the METHOD of each calendar in a text, in upper case."""
    return [found.upper() for found in _METHOD.findall(text)]


def invite_file(text: str) -> Attachment:
    """The calendar as a file, for readers of mail that do not show it."""
    return Attachment(text.encode(), "invite.ics", "application/ics")


def icalendar_package() -> Any:
    """The module, imported when it is needed. Raises ``MessageError`` that says how to install it."""
    try:
        import icalendar
    except ModuleNotFoundError as error:
        hint = 'pip install "wlsmtp[calendar]"'
        raise MessageError("calendar: icalendar is not installed", stage=Stage.MESSAGE, hint=hint) from error
    return icalendar
