"""What is in an .eml file is in the message that is made of it, or is named as lost."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from email.message import EmailMessage
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any

import pytest

from wlsmtp.errors import MessageError
from wlsmtp.message.eml import unflowed
from wlsmtp.message.model import Attachment, Message
from wlsmtp.wire.address import Mailbox, parse_address
from wlsmtp.wire.mailboxes import Group

LOGO = Attachment.inline(b"gif", "logo@x", filename="logo.gif")
CSV = Attachment(b"x", "t", "text/plain")
ATTACHED = b"From: a@x.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nX-Folded: a\r\n b\r\n\r\n8bit: \xc3\xbc\r\n"
SAMPLES: list[dict[str, Any]] = [
    {"text": "Hello\n"},
    {"text": ""},
    {"html": "<p>Grüße\n"},
    {"text": "Hello\n.\nFrom here\n" + "long " * 300 + "\n", "html": "<p>Hello\n"},
    {"text": "Hello\n", "attachments": [("a.pdf", b"octets"), ("Größe.csv", "a;b\n"), CSV]},
    {"attachments": [("a.bin", bytes(range(256)) * 99)]},
    {"html": '<img src="cid:logo@x">\n', "attachments": [LOGO]},
    {"text": "Hello\n", "html": '<img src="cid:logo@x">\n', "attachments": [LOGO, ("a.pdf", b"octets")]},
    {"text": "Hello\n", "attachments": [("m.eml", ATTACHED, "message/rfc822")]},
    {"text": "x\n", "subject": "Grüße " * 30, "to": ["Bob <bob@example.org>", ("Lee, Cy", "cy@example.org")]},
    {"text": "x\n", "to": Group("Team", (Mailbox("Ä", parse_address("a@x.org")),)), "reply_to": "office@example.com"},
    {"text": "x\n", "to": "undisclosed-recipients:;", "cc": "jörg@bücher.example"},
    {"text": "x\n", "headers": {"X-A": ["1", "zwei ü"], "List-Id": "News <x.example>", "References": "<a@b> <c@d>"}},
    {"text": "x\n", "headers": {"Sender": "Büro <office@example.com>"}, "date": datetime(2024, 2, 29, tzinfo=UTC)},
]  # fmt: skip


@pytest.mark.parametrize("fields", SAMPLES, ids=range(len(SAMPLES)))
def test_a_message_comes_back_to_the_octet(fields: dict[str, Any], tmp_path: Path) -> None:
    message = Message(**{"sender": "Änn <ann@example.com>", "to": "bob@example.org", "subject": "Hi", **fields})
    octets = message.as_bytes()
    path = tmp_path / "message.eml"
    path.write_bytes(octets)
    assert Message.from_eml(octets).as_bytes() == octets
    assert Message.from_eml(path).as_bytes() == Message.from_eml(str(path)).as_bytes() == octets
    with path.open("rb") as file:
        assert Message.from_eml(file).as_bytes() == octets
    assert Message.from_eml(octets.replace(b"\r\n", b"\n")).as_bytes() == octets


def draft(head: str = "", body: str = "Hello", kind: str = "text/plain") -> bytes:
    return (
        f"From: Ann <ann@example.com>\nTo: bob@example.org\nBcc: eve@example.net\nSubject: Hi\n{head}"
        f"Date: Thu, 29 Feb 2024 12:00:00 +0100\nMessage-ID: <a@b>\nMIME-Version: 1.0\nContent-Type: {kind}\n\n{body}"
    ).encode()


def test_a_draft_becomes_a_letter() -> None:
    letter = Message.from_eml(draft("X-Mozilla-Draft-Info: internal/draft\n"))
    assert [str(box) for box in (letter.sender, *letter.to, *letter.bcc)] == [
        '"Ann" <ann@example.com>', "bob@example.org", "eve@example.net",
    ]  # fmt: skip
    assert (letter.subject, letter.text, letter.html, letter.message_id) == ("Hi", "Hello", None, "<a@b>")
    assert letter.date.isoformat() == "2024-02-29T12:00:00+01:00"
    assert letter.headers == {"X-Mozilla-Draft-Info": ("internal/draft",)}
    other = letter.but(to="cy@example.net")
    assert other.message_id != "<a@b>" and other.date > letter.date


def test_a_draft_may_name_nobody() -> None:
    letter = Message.from_eml(b"Subject: Hi\n\nHello")
    assert not letter.has_sender and letter.to == () and letter.text == "Hello"


def test_an_invitation_comes_back_as_one() -> None:
    """From Google, as an alternative and a file; from Exchange, as an alternative; from others, by itself."""
    name = 'name="invite.ics"'
    invite = f"Content-Type: application/ics; {name}\nContent-Disposition: attachment; file{name}\n\n{ICALENDAR}"
    texts = 'Content-Type: multipart/alternative; boundary="+"\n\n--+\n'
    texts += f"{TEXT}\n--+\n{HTML}\n--+\n{CALENDAR}\n--+--"
    for octets in (
        parts("alternative", TEXT, HTML, CALENDAR),
        parts("mixed", texts, invite),
        parts("mixed", texts, "Content-Type: image/gif\n\nx", invite),
        parts("mixed", CALENDAR, invite),
        draft(kind="text/calendar; charset=utf-8; method=request", body=ICALENDAR),
    ):
        letter = Message.from_eml(octets)
        assert letter.calendar == ICALENDAR.replace("\n", "\r\n")
        assert [one.content_type for one in letter.attachments] == ["image/gif"] * (b"image/gif" in octets)
        written = letter.as_bytes()
        assert Message.from_eml(written).as_bytes() == written
        assert written.count(b"invite.ics") == 2 and b"text/calendar; method=REQUEST" in written


def test_a_calendar_that_is_a_file_stays_one() -> None:
    other = ICALENDAR.replace("UID:u", "UID:v")
    name = 'Content-Disposition: attachment; filename="invite.ics"'
    letter = Message.from_eml(parts("mixed", CALENDAR, f"Content-Type: application/ics\n{name}\n\n{other}"))
    assert letter.calendar and [one.filename for one in letter.attachments] == ["invite.ics"]
    letter = Message.from_eml(parts("mixed", TEXT, f"Content-Type: text/calendar; method=REQUEST\n{name}\n\n{other}"))
    assert letter.calendar is None and letter.attachments[0].content_type == 'text/calendar; method="REQUEST"'


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-8", "windows-1252"])
def test_texts_of_other_charsets_and_encodings_are_read(charset: str) -> None:
    email = EmailMessage()
    email["Subject"] = "Grüße"
    email.set_content("Grüße, naïve café\n", charset=charset)
    email.add_alternative("<p>Grüße\n", subtype="html", charset=charset, cte="base64")
    message = Message.from_eml(email.as_bytes())
    assert (message.subject, message.text, message.html) == ("Grüße", "Grüße, naïve café\n", "<p>Grüße\n")


def test_a_picture_around_alternatives_is_kept() -> None:
    """As Apple's program has it: the alternatives within multipart/related."""
    texts = MIMEMultipart("alternative", _subparts=[MIMEText("Hello\n"), MIMEText('<img src="cid:logo">\n', "html")])
    logo = MIMEImage(b"gif", "gif")
    logo["Content-ID"] = "<logo>"
    email = MIMEMultipart("related", _subparts=[texts, logo])
    message = Message.from_eml(email.as_bytes())
    assert (message.text, message.html) == ("Hello\n", '<img src="cid:logo">\n')
    [found] = message.attachments
    assert found.is_inline and (found.content_id, found.content_type, found.read()) == ("logo", "image/gif", b"gif")


@pytest.mark.parametrize(
    ("given", "wanted", "del_sp"),
    [
        ("Hello \nworld\nnew", "Hello world\nnew", False),
        ("Hel \nlo", "Hello", True),
        ("> a \n> b\n>> c \nd", "> a b\n>> c \nd", False),
        ("-- \nAnn", "-- \nAnn", False),
        (" >from\n\nx", ">from\n\nx", False),
        ("", "", False),
    ],
)
def test_flowed_text_has_a_line_for_a_paragraph(given: str, wanted: str, del_sp: bool) -> None:
    assert unflowed(given, del_sp=del_sp) == wanted
    kind = f"text/plain; charset=utf-8; format=flowed{'; delsp=yes' if del_sp else ''}"
    assert Message.from_eml(draft(kind=kind, body=given)).text == wanted


def parts(kind: str, *parts_: str) -> bytes:
    body = "".join(f"--=\n{part}\n" for part in parts_)
    return draft(kind=f"multipart/{kind}; boundary==", body=f"{body}--=--\n")


TEXT, HTML = "Content-Type: text/plain\n\nHello", "Content-Type: text/html\n\n<p>"
EVENT = "BEGIN:VEVENT\nUID:u\nDTSTAMP:20260101T000000Z\nDTSTART:20260101T000000Z\nSUMMARY:Gr\u00fc\u00dfe\nEND:VEVENT\n"
ICALENDAR = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nMETHOD:REQUEST\n{EVENT}END:VCALENDAR\n"
CALENDAR = f"Content-Type: text/calendar; charset=utf-8; method=REQUEST\n\n{ICALENDAR}"


MIXED = "--=\nContent-Type: text/plain\n\nHello\n--=\n{}\n\nx\n--=--\n"
LOST: list[tuple[bytes, list[str]]] = [
    (draft("Received: from x by y; 29 Feb 2024 12:00:00 +0100\nReturn-Path: <a@b>\n"), ["Received", "Return-Path"]),
    (draft("DKIM-Signature: v=1; b=abc\nARC-Seal: i=1\n"), ["DKIM-Signature", "ARC-Seal"]),
    (draft("Resent-To: cy@example.net\n"), ["Resent-To"]),
    (draft("Content-Language: de\n"), ["Content-Language"]),
    (draft(kind="text/plain; charset=utf-8; reply-type=original"), ["reply-type"]),
    (draft(kind="multipart/mixed; boundary==", body=MIXED.format("Content-Description: a\nContent-Type: image/gif")),
     ["Content-Description"]),
    (draft(kind="multipart/mixed; boundary==",
           body=MIXED.format("Content-Type: image/gif\nContent-Disposition: inline; filename=a; size=1")), ["size"]),
    (parts("alternative", TEXT, CALENDAR.replace("; method", "; component=vevent; method")), ["component"]),
    (draft(kind="multipart/mixed; boundary==", body=MIXED.replace("text/plain", "text/plain\nContent-ID: <a@b>")
           .format("Content-Type: image/gif")), ["Content-ID"]),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "names"), LOST, ids=range(len(LOST)))
def test_what_is_lost_is_named_and_left_out_only_if_asked_for(octets: bytes, names: list[str]) -> None:
    with pytest.raises(MessageError, match=rf"no place for {', '.join(names)}\.") as caught:
        Message.from_eml(octets)
    assert caught.value.hint and f"leave_out=[{', '.join(map(repr, names))}]" in caught.value.hint
    for leave_out in (names, tuple(name.upper() for name in names)):
        octets_again = Message.from_eml(octets, leave_out=leave_out).as_bytes()
        assert b"Hello" in octets_again and not any(name.lower().encode() in octets_again.lower() for name in names)


REFUSED: list[tuple[bytes, str]] = [
    (parts("signed", TEXT, "Content-Type: application/pgp-signature\n\nx"), "multipart/signed"),
    (parts("report", TEXT, "Content-Type: message/delivery-status\n\nx: y"), "multipart/report"),
    (parts("alternative", TEXT, HTML, "Content-Type: text/calendar\n\nx"), "calendar: is not iCalendar text"),
    (parts("alternative", TEXT, HTML, "Content-Type: text/enriched\n\nx"), "alternative of the type text/enriched"),
    (parts("alternative", CALENDAR, TEXT), "text behind the calendar"),
    (parts("alternative", TEXT, CALENDAR, CALENDAR), "Two calendars"),
    (parts("alternative", TEXT, CALENDAR.replace("=REQUEST", "=CANCEL")), "METHOD is not that of its part, 'CANCEL'"),
    (parts("alternative", TEXT, CALENDAR.replace("METHOD:REQUEST\n", "")), "METHOD is not that of its part, 'REQUEST'"),
    (parts("alternative", TEXT, CALENDAR.replace("METHOD:", "METHOD:CANCEL\nMETHOD:")), "METHOD is not that of its"),
    (parts("alternative", HTML, TEXT), "plain text behind the HTML"),
    (parts("alternative", TEXT, TEXT), "Two texts"),
    (parts("related", "Content-Type: image/gif\n\nx", HTML), "multipart/related around image/gif"),
    (parts("mixed", TEXT, 'Content-Type: multipart/mixed; boundary="+"\n\n--+\n\nx\n--+--'), "multipart/mixed has no"),
    (parts("mixed", TEXT)[:-6], "broken: CloseBoundaryNotFoundDefect"),
    (draft(kind="text/plain; charset=utf-8").replace(b"Hello", b"\xff"), "not in the charset 'utf-8'"),
    (draft(kind="text/plain; charset=x-unknown"), "not in the charset 'x-unknown'"),
    (draft("Content-Transfer-Encoding: x-uuencode\n"), "encoding that is not known"),
    (draft("Content-Transfer-Encoding: base64\n", body="####"), "cannot be decoded|broken"),
    (draft().replace(b"Subject: Hi", b"Subject: =?x-unknown?q?Hi?="), "Subject: has an encoded word"),
    (draft().replace(b"Subject: Hi", b"Subject: \xff"), "Subject: is neither ASCII nor UTF-8"),
    (draft("Subject: other\n"), "more than one Subject field"),
    (draft("From: eve@x.org\n"), "more than one From field"),
    (draft().replace(b"ann@example.com>", b"ann@example.com>, cy@x.org"), "From names more than one author"),
    (draft().replace(b"Thu, 29 Feb", b"someday"), "Date: .* is not a date"),
    (draft().replace(b"bob@example.org", b"bob@example.org; cy@x.org"), "To: "),
    (draft().replace(b"<a@b>", b"<a b>"), "message_id: "),
    (draft("no field\n"), "a line that is not a field"),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_has_no_place_is_refused(octets: bytes, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        Message.from_eml(octets)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/no/such/file.eml", r"/no/such/file\.eml.* cannot be read"),
        ("a\0b", "cannot be read"),
        (io.StringIO("text"), "open as text"),
        (5, "takes a path, bytes or an open binary file, not int"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_file_is_refused(source: Any, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        Message.from_eml(source)


def test_a_file_of_a_mailbox_begins_with_its_own_line() -> None:
    letter = Message.from_eml(b"From ann@example.com Thu Feb 29 12:00:00 2024\n" + draft())
    assert letter.text == "Hello" and letter.subject == "Hi"


def with_part(fields: bytes, text: bytes = b"Content-Type: text/plain; charset=utf-8;") -> bytes:
    """A message with a text and another part, as mail programs write them."""
    head = b"From: ann@example.com\r\nTo: bob@example.org\r\nMIME-Version: 1.0\r\n"
    head += b'Content-Type: multipart/mixed;\r\n boundary="=_b"\r\n\r\n--=_b\r\n'
    return head + text + b"\r\n\r\nHello\r\n--=_b\r\n" + fields + b"\r\n\r\nx\r\n--=_b--\r\n"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (b'Content-Disposition: attachment;\r\n\tfilename="a long\r\n name.pdf"', "a long name.pdf"),
        ('Content-Type: application/pdf; name="Größe.pdf"'.encode(), "Größe.pdf"),
        ('Content-Disposition: attachment; filename="Größe.pdf";'.encode(), "Größe.pdf"),
        (b"Content-Disposition: attachment; filename*0*=utf-8''%C3%BCx; filename*1=y.pdf", "üxy.pdf"),
    ],
)
def test_the_name_of_a_file_comes_back_however_it_is_written(fields: bytes, name: str) -> None:
    message = Message.from_eml(with_part(fields))
    assert message.text == "Hello" and [attached.filename for attached in message.attachments] == [name]
    assert Message.from_eml(message.as_bytes()).attachments[0].filename == name


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (with_part(b'Content-Disposition: attachment; filename="Gr\xf6\xdfe.pdf"'), "is neither ASCII nor UTF-8"),
        (with_part(b"Content-Disposition: attachment; filename*=utf-8''Gr%F6%DFe.pdf"), "filename cannot be decoded"),
        (with_part(b"Content-Disposition: attachment; filename*=undefined''a.pdf"), "filename cannot be decoded"),
        *(
            (with_part(b"Content-Type: a/b", b"Content-Type: text/plain; charset=" + charset), "not in the charset")
            for charset in (b"undefined", b"a\0b")
        ),
        (with_part(b"Content-Type: image/gif").replace(b"ann@example.com", b""), "From names no author"),
    ],
)
def test_what_cannot_be_decoded_is_refused_and_not_replaced(octets: bytes, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        Message.from_eml(octets)


def test_a_message_that_is_attached_stays_as_it_is() -> None:
    inner = with_part('Content-Type: image/gif;\r\n name="Größe.gif"'.encode()).replace(b"=_b", b"=_i")
    attached = Message.from_eml(with_part(b"Content-Type: message/rfc822\r\n\r\n" + inner[:-2])).attachments[0]
    octets = attached.read()
    # Raw octets in a header of an attached message are written as RFC 2231 parameters by Python 3.13.
    assert b'Content-Type: image/gif;\r\n name="Gr' in octets or b"name*=unknown-8bit''Gr%C3%B6" in octets
