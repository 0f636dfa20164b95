"""Invitations: where they stand in the message, and what icalendar and ical.js (npm) read in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest

from tests.corpus.readers import INSTALLED
from tests.worlds import World
from wlsmtp import Invitation
from wlsmtp.errors import MessageError
from wlsmtp.message.model import Message
from wlsmtp.testing import SMTPServer

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
MEETING = Invitation(
    datetime(2026, 7, 1, 10, tzinfo=BERLIN), HOUR, "Grüße; plan, more", location="Room 4", uid="u1",
    description="One\nMETHOD:CANCEL\n\\n two", url="https://example.com/?a=1;b,c",
)  # fmt: skip


def message(calendar: Any, **fields: Any) -> Message:
    given = {"sender": "Ann Ä <ann@example.com>", "to": ('Lee, "B"', "bob@example.org"), "text": "Come", **fields}
    return Message(calendar=calendar, **given)


def parsed(message: Message) -> EmailMessage:
    return message_from_bytes(message.as_bytes(), policy=policy.default.clone(cte_type="8bit"))


def read_by_node(text: str) -> dict[str, Any]:
    modules = INSTALLED / "node" / "node_modules"
    if not (shutil.which("node") and (modules / "ical.js").is_dir()):
        reason = "ical.js is not installed: sh scripts/install-mail-readers.sh (it needs npm)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    environment = {**os.environ, "NODE_PATH": str(modules), "TZ": "UTC"}
    script = Path(__file__).parent / "ical.js"
    done = subprocess.run(["node", script], input=text.encode(), capture_output=True, env=environment, timeout=50)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_is_the_last_alternative_and_a_file(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        session.send(message(MEETING, html="<p>Come", attachments=[("a.txt", "A")]))
    email = server.messages[0].email
    assert email.get_content_type() == "multipart/mixed"
    texts, attached, invite = email.iter_parts()
    assert isinstance(texts, EmailMessage) and isinstance(attached, EmailMessage) and isinstance(invite, EmailMessage)
    plain, html, calendar = texts.iter_parts()
    assert [part.get_content_type() for part in (plain, html)] == ["text/plain", "text/html"]
    assert isinstance(calendar, EmailMessage) and calendar.get_content_type() == "text/calendar"
    assert calendar["Content-Disposition"] is None and calendar.get_param("method") == "REQUEST"
    assert attached.get_filename() == "a.txt"
    assert invite.get_content_type() == "application/ics" and invite.get_filename() == "invite.ics"
    octets = invite.get_content()
    assert octets == calendar.get_payload(decode=True) and b"\r\nMETHOD:REQUEST\r\n" in octets
    assert octets.count(b"\n") == octets.count(b"\r\n") and max(map(len, octets.split(b"\r\n"))) <= 75


def test_ical_js_reads_what_was_said() -> None:
    found = read_by_node(message(MEETING).calendar or "")
    assert found == {
        "method": "REQUEST", "start": "2026-07-01T08:00:00.000Z", "end": "2026-07-01T09:00:00.000Z",
        "zone": "Europe/Berlin", "isDay": False, "summary": "Grüße; plan, more", "location": "Room 4", "uid": "u1",
        "description": "One\nMETHOD:CANCEL\n\\n two", "sequence": 0, "status": "CONFIRMED",
        "url": "https://example.com/?a=1;b,c",
        "organizer": {"address": "mailto:ann@example.com", "name": "Ann Ä"},
        "attendees": [
            {
                "address": "mailto:bob@example.org", "name": 'Lee, "B"', "status": "NEEDS-ACTION", "rsvp": "TRUE",
            }
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 3, 30)),
        ("Europe/Berlin", datetime(2026, 10, 25, 2, 30, fold=1)),
        ("America/New_York", datetime(2026, 3, 8, 3, 0)),
        ("America/New_York", datetime(2026, 11, 1, 0, 59)),
        ("Australia/Lord_Howe", datetime(2026, 10, 4, 2, 45)),
        ("Asia/Tokyo", datetime(2026, 5, 1, 9)),
        ("America/Sao_Paulo", datetime(2026, 1, 1, 0, 0)),
        ("Africa/Casablanca", datetime(2026, 2, 20, 12)),
    ],
)
def test_time_zones_are_those_of_the_place(zone: str, moment: datetime) -> None:
    """Among them the hours beside a change, which a reader finds by the VTIMEZONE."""
    start = moment.replace(tzinfo=ZoneInfo(zone))
    text = message(replace(MEETING, start=start)).calendar or ""
    found_zones: list[Any] = icalendar.Calendar.from_ical(text).walk("VTIMEZONE")
    [component] = found_zones
    assert component["TZID"] == zone
    if not moment.fold:  # iCalendar has no second hour (RFC 5545 §3.3.5)
        found = datetime.fromisoformat(read_by_node(text)["start"])
        assert found == start.astimezone(UTC)
    offsets = {
        datetime.combine(date(2026, month, day), moment.time(), ZoneInfo(zone)).utcoffset()
        for month in range(1, 13) for day in (1, 15, 28)
    }  # fmt: skip
    assert {part["TZOFFSETTO"].td for part in component.subcomponents} == offsets


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("UTC"), timezone(timedelta(hours=2))])
def test_a_time_without_a_place_is_in_utc(zone: Any) -> None:
    text = message(replace(MEETING, start=datetime(2026, 7, 1, 10, tzinfo=zone))).calendar or ""
    hour = "08" if zone.utcoffset(None) else "10"
    assert f"DTSTART:20260701T{hour}0000Z\r\n" in text and "VTIMEZONE" not in text


def test_days_have_no_time() -> None:
    text = message(replace(MEETING, start=date(2026, 7, 1), end=timedelta(days=2))).calendar or ""
    assert "DTSTART;VALUE=DATE:20260701\r\n" in text and "DTEND;VALUE=DATE:20260703\r\n" in text


def test_a_meeting_is_moved_cancelled_and_answered_by_its_identifier() -> None:
    moved = message(replace(MEETING, start=datetime(2026, 7, 2, 10, tzinfo=BERLIN), sequence=1))
    off = message(replace(MEETING, sequence=2, method="CANCEL"))
    reply = replace(MEETING, method="REPLY", answer="DECLINED")
    answer = message(reply, sender="bob@example.org", to="ann@example.com")
    assert "UID:u1\r\nSEQUENCE:1\r\n" in (moved.calendar or "")
    found = read_by_node(off.calendar or "")
    assert (found["method"], found["status"], found["sequence"], found["uid"]) == ("CANCEL", "CANCELLED", 2, "u1")
    assert b"method=CANCEL" in off.as_bytes()
    found = read_by_node(answer.calendar or "")
    assert found["method"] == "REPLY" and found["organizer"]["address"] == "mailto:ann@example.com"
    assert found["attendees"] == [{"address": "mailto:bob@example.org", "status": "DECLINED"}]


def test_two_invitations_are_two_events() -> None:
    first, second = (Invitation(MEETING.start, HOUR, "x") for _ in range(2))
    assert first.uid != second.uid


def test_who_comes_may_be_others_than_who_gets_the_message() -> None:
    it = replace(MEETING, organizer="boss@example.com", attendees=["c%d@x.org", ("Dee", "dee@ü.example")])
    found = read_by_node(message(it).calendar or "")
    assert found["organizer"]["address"] == "mailto:boss@example.com"
    assert [one["address"] for one in found["attendees"]] == ["mailto:c%25d@x.org", "mailto:dee@xn--tda.example"]


def test_a_varied_message_invites_its_own_recipients() -> None:
    letter = message(MEETING)
    assert letter.but(subject="x").calendar is letter.calendar
    assert read_by_node(letter.but(to="eve@x.org").calendar or "")["attendees"][0]["address"] == "mailto:eve@x.org"
    assert letter.but(calendar=None).calendar is None and b"calendar" not in letter.but(calendar=None).as_bytes()


@pytest.mark.parametrize("kind", ["text", "bytes", "object"])
def test_a_calendar_of_another_program_is_taken_as_it_is(kind: str) -> None:
    calendar = icalendar.Calendar()
    for name, value in (("prodid", "-//x//"), ("version", "2.0"), ("method", "publish")):
        calendar.add(name, value)
    event = icalendar.Event()
    event.add("uid", "u2")
    event.add("dtstart", datetime(2026, 7, 1, 10, tzinfo=UTC))
    event.add("summary", "x" * 200)
    calendar.add_component(event)
    octets = calendar.to_ical()
    given = {"text": octets.decode().replace("\r\n", "\n"), "bytes": octets, "object": calendar}[kind]
    email = parsed(message(given))
    [part] = [one for one in email.walk() if one.get_content_type() == "text/calendar"]
    assert part.get_payload(decode=True) == octets and part.get_param("method") == "PUBLISH"


@pytest.mark.parametrize(
    ("calendar", "words"),
    [
        ("no calendar", "is not iCalendar text"),
        (5, "must be an Invitation"),
        ("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n", "must have one METHOD"),
        ("BEGIN:VCALENDAR\r\nMETHOD:DANCE\r\nEND:VCALENDAR\r\n", "must have one METHOD"),
        (replace(MEETING, start=datetime(2026, 7, 1)), "need a time zone"),
        (replace(MEETING, end=date(2026, 7, 2)), "two datetimes or two dates"),
        (replace(MEETING, end=timedelta(0)), "must end after it starts"),
        (replace(MEETING, summary="a\r\nMETHOD:CANCEL"), "control character"),
        (replace(MEETING, uid="a\nb"), "control character"),
        (replace(MEETING, url="https://x\r\nMETHOD:CANCEL"), "control character"),
        (replace(MEETING, method="DANCE"), "method must be"),  # type: ignore[arg-type]
        (replace(MEETING, answer="PERHAPS", method="REPLY"), "answer must be"),  # type: ignore[arg-type]
        (replace(MEETING, organizer="nobody"), "'nobody' is not an email address"),
        (replace(MEETING, method="REPLY", attendees=["a@x.org", "b@x.org"]), "a REPLY is from one attendee"),
    ],
)  # fmt: skip
def test_what_is_no_invitation_is_refused(calendar: Any, words: str) -> None:
    with pytest.raises(MessageError, match=f"^calendar: .*{words}"):
        message(calendar)


def test_an_invitation_needs_an_organizer() -> None:
    with pytest.raises(MessageError, match=r"^calendar: needs organizer=, or a sender"):
        Message(to="bob@example.org", calendar=MEETING)


def test_a_preview_says_that_there_is_an_invitation() -> None:
    assert "Calendar: REQUEST" in message(MEETING).preview().splitlines()
