"""An ``Invitation`` written as iCalendar (RFC 5545), with the time zones that it names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from wlsmtp.message.invitation import Invitation, icalendar_package
from wlsmtp.message.values import exactly_str, line, mailbox, mailboxes, text_or_none, with_domains
from wlsmtp.wire.address import Mailbox
from wlsmtp.wire.mailboxes import mailboxes_in

_SAFE = "@!$&'*+-/=^_`{|}~."


def written(it: Invitation, fields: Mapping[str, Any]) -> str:
    """The text of the calendar. Raises ``ValueError`` for what cannot be said."""
    ics = icalendar_package()
    start, end = _times(it)
    if it.method not in ("REQUEST", "CANCEL", "REPLY", "PUBLISH"):
        raise ValueError(f"method must be 'REQUEST', 'CANCEL', 'REPLY' or 'PUBLISH', not {it.method!r}")
    if it.answer not in ("ACCEPTED", "TENTATIVE", "DECLINED"):
        raise ValueError(f"answer must be 'ACCEPTED', 'TENTATIVE' or 'DECLINED', not {it.answer!r}")
    if type(it.sequence) is not int or not 0 <= it.sequence < 2**31:
        raise ValueError(f"sequence must be a number from 0 on, not {str(it.sequence)[:40]!r}")
    calendar, event = ics.Calendar(), ics.Event()
    for name, value in (("prodid", "-//wlsmtp//EN"), ("version", "2.0"), ("method", it.method)):
        calendar.add(name, value)
    zones = {one.tzinfo for one in (start, end) if isinstance(one, datetime) and one.tzinfo is not UTC}
    for zone in sorted(zones, key=str):
        calendar.add_component(_timezone(zone, start.year, end.year))
    event.add("uid", line(it.uid))
    event.add("dtstamp", datetime.now(UTC).replace(microsecond=0))
    event.add("dtstart", start)
    event.add("dtend", end)
    event.add("summary", line(it.summary))
    event.add("sequence", it.sequence)
    if it.method != "REPLY":
        event.add("status", "CANCELLED" if it.method == "CANCEL" else "CONFIRMED")
    for name in ("description", "location", "url"):
        if (value := getattr(it, name)) is not None:
            event.add(name, exactly_str(text_or_none(value)) if name == "description" else line(value))
    _add_people(event, it, fields)
    calendar.add_component(event)
    text: bytes = calendar.to_ical()
    return text.decode()


def _add_people(event: Any, it: Invitation, fields: Mapping[str, Any]) -> None:
    sender = [fields["sender"]] if fields["sender"].address.local else []
    recipients = mailboxes_in([*fields["to"], *fields["cc"]])
    organizer = [mailbox(it.organizer)] if it.organizer is not None else []
    attendees = mailboxes_in(mailboxes(it.attendees))
    with_domains([*organizer, *attendees])
    is_reply = it.method == "REPLY"
    organizer = organizer or (recipients if is_reply else sender)[:1]
    attendees = attendees or (sender if is_reply else recipients)
    if not organizer or (is_reply and len(attendees) != 1):
        words = "a REPLY is from one attendee to the organizer" if is_reply else "needs organizer=, or a sender"
        raise ValueError(words)
    event.add("organizer", _person(organizer[0]), encode=0)
    for one in attendees if it.method != "PUBLISH" else ():
        status = it.answer if is_reply else "NEEDS-ACTION"
        asked = {} if is_reply else {"ROLE": "REQ-PARTICIPANT", "RSVP": "TRUE"}
        event.add("attendee", _person(one, PARTSTAT=status, **asked), encode=0)


def _person(box: Mailbox, **parameters: str) -> Any:
    person = icalendar_package().vCalAddress(f"mailto:{quote(box.address.wire, safe=_SAFE)}")
    person.params.update({"CN": box.name} if box.name else {}, **parameters)
    return person


def _times(it: Invitation) -> tuple[Any, Any]:
    start, end = it.start, it.end
    if isinstance(end, timedelta) and isinstance(start, date):
        end = start + end
    if (
        not isinstance(start, date)
        or not isinstance(end, date)
        or isinstance(start, datetime) != isinstance(end, datetime)
    ):
        raise ValueError("start and end must be two datetimes or two dates")
    if isinstance(start, datetime) and isinstance(end, datetime):
        if start.utcoffset() is None or end.utcoffset() is None:
            raise ValueError("start and end need a time zone: datetime(…, tzinfo=ZoneInfo('Europe/Berlin'))")
        start, end = _zoned(start), _zoned(end)
    if end <= start:
        raise ValueError("must end after it starts")
    return start, end


def _zoned(moment: datetime) -> datetime:
    """The same time, in a zone that has a name or in UTC."""
    zone = moment.tzinfo
    has_name = isinstance(zone, ZoneInfo) and zone.key not in (None, "UTC", "Etc/UTC")
    return moment if has_name else moment.astimezone(UTC)


@lru_cache(maxsize=32)
def _timezone(zone: ZoneInfo, first: int, last: int) -> Any:
    """The VTIMEZONE for some years (RFC 5545 §3.6.5). That of icalendar begins summer an hour late."""
    ics = icalendar_package()
    component = ics.Timezone()
    component.add("tzid", zone.key)
    now, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    onset, before = now, zone.utcoffset(now.astimezone(zone))
    while True:
        local = onset.astimezone(zone)
        after = local.utcoffset()
        part = ics.TimezoneDaylight() if local.dst() else ics.TimezoneStandard()
        part.add("dtstart", (onset + (before or timedelta())).replace(tzinfo=None))
        part.add("tzname", local.tzname())
        part.add("tzoffsetfrom", before)
        part.add("tzoffsetto", after)
        component.add_component(part)
        while onset < end and onset.astimezone(zone).utcoffset() == after:
            now, onset = onset, onset + timedelta(days=1)
        if onset >= end:
            return component
        while onset - now > timedelta(seconds=1):
            middle = now + (onset - now) // 2
            now, onset = (middle, onset) if middle.astimezone(zone).utcoffset() == after else (now, middle)
        before, onset = after, onset.replace(microsecond=0)
