"""A rendered message reads back as what was put in, and is safe on any wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wlsmtp.message.model import Attachment, Message
from wlsmtp.wire.mailboxes import mailboxes_in, parse_mailbox_list

CHARACTERS = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
LINE = st.text(CHARACTERS, max_size=200) | st.text(' "\\,;:<>@()=?_aé€😀', max_size=120)
BODY = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n\t .="), max_size=400)


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "subject": "Hi", **fields})


def read(mail: Message) -> EmailMessage:
    octets = bytes(mail)
    assert octets.isascii() and max(map(len, octets.split(b"\r\n"))) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", octets)
    return message_from_bytes(octets, policy=policy.default)


def lines(text: str) -> str:
    """Text as it arrives: one kind of line end, and one at the end."""
    text = re.sub(r"\r\n|\r", "\n", text)
    return text if not text or text.endswith("\n") else text + "\n"


def text_of(part: Any) -> str:
    octets: bytes = part.get_payload(decode=True)
    return octets.decode("utf-8").replace("\r\n", "\n")


@given(LINE)
@example("Füße " * 40)
@example("=?utf-8?q?x?=")
@example("a" * 2000)
@example("two  spaces")
def test_a_subject_reads_back(subject: str) -> None:
    assert read(message(subject=subject))["Subject"] == subject


@given(st.lists(LINE.map(str.strip), min_size=1, max_size=4))
@example(['Example, Ann "A" \\'])
@example(["eve@evil.example, x <y@z>"] * 3)
@example(["x," * 150])
def test_names_read_back_and_make_no_second_address(names: list[str]) -> None:
    mail = message(to=[(name, f"r{number}@example.com") for number, name in enumerate(names)])
    assert [item.addr_spec for item in read(mail)["To"].addresses] == [
        str(box.address) for box in mailboxes_in(mail.to)
    ]
    assert [box.name for box in parse_mailbox_list(raw_header(mail, "To"))] == names


def raw_header(mail: Message, name: str) -> str:
    return str(message_from_bytes(bytes(mail))[name])


def test_what_formataddr_writes_is_read_and_a_pair_is_literal() -> None:
    ready = formataddr(("Jörg", "j@x.org"))
    assert ready.startswith("=?utf-8?")
    mail = read(message(sender=ready, to=[ready, ("=?utf-8?q?x?=", "b@x.org")], headers={"Sender": ready}))
    assert [mail[name].addresses[0].display_name for name in ("From", "To", "Sender")] == ["Jörg"] * 3
    assert mail["To"].addresses[1].display_name == "=?utf-8?q?x?="


@given(BODY, BODY)
@example("x" * 5000, "<p>" + "é" * 5000)
@example("From me\n.\n--=_x\n", "trailing \t\n ")
def test_bodies_read_back(text: str, html: str) -> None:
    plain, rich = read(message(text=text, html=html)).iter_parts()
    assert text_of(plain) == lines(text) and text_of(rich) == lines(html)


@given(st.lists(st.tuples(LINE.map(str.strip).filter(bool), st.binary(max_size=200)), min_size=1, max_size=3))
@example([('a"b\\c.txt', b"x"), ("résumé " * 30 + ".pdf", b"y"), ("100%'*.txt", b"\r\n.\r\n")])
def test_attachments_and_their_names_read_back(files: list[tuple[str, bytes]]) -> None:
    kind = "application/octet-stream"
    mail = message(text="x", attachments=[Attachment.from_bytes(data, name, kind) for name, data in files])
    # Not by get_filename(): it takes angle brackets and quotes off a name that has them.
    parts = list(read(mail).iter_attachments())
    assert [part["Content-Disposition"].params["filename"] for part in parts] == [name for name, _ in files]
    assert [part.get_payload(decode=True) for part in parts] == [data for _, data in files]


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({}, "text/plain"),
        ({"html": "x"}, "text/html"),
        ({"text": "x", "html": "x"}, "multipart/alternative text/plain text/html"),
        ({"html": "x", "attachments": ["inline"]}, "multipart/related text/html image/png"),
        (
            {"text": "x", "html": "x", "attachments": ["inline", "file"]},
            "multipart/mixed multipart/alternative text/plain multipart/related text/html image/png application/pdf",
        ),
        ({"attachments": ["file"]}, "multipart/mixed application/pdf"),
    ],
)
def test_the_parts_are_nested_as_clients_expect(fields: dict[str, Any], shape: str) -> None:
    inline = Attachment.inline(b"png", "logo", filename="l.png")
    parts = {"inline": inline, "file": Attachment.from_bytes(b"pdf", "f.pdf")}
    given = {**fields, "attachments": [parts[name] for name in fields.get("attachments", [])]}
    email = read(message(**given))
    assert " ".join(part.get_content_type() for part in email.walk()) == shape
    identifiers = [part["Content-ID"] for part in email.walk() if part["Content-ID"]]
    assert identifiers == ["<logo>"] * ("inline" in fields.get("attachments", []))


ADDRESS = st.builds(
    lambda local, label: f"{local}@{label}.example.com",
    st.text("ab.", min_size=1, max_size=64),
    st.text("cd", min_size=1),
).filter(lambda address: not re.search(r"^\.|\.\.|\.@", address))


@given(LINE, st.lists(st.tuples(LINE.map(str.strip), ADDRESS), min_size=1, max_size=4), LINE.filter(bool))
@example("word " * 40, [("Name " * 9, "a@x.org")], "x" * 78)
@example("x" * 70, [('"' * 24, "b" * 64 + "@x.org"), ("x" * 46, "a@x.org")], "a b" * 40)
def test_header_lines_are_short_where_they_can_be(subject: str, people: list[tuple[str, str]], filename: str) -> None:
    file = Attachment.from_bytes(b"", filename, "text/plain; charset=utf-8")
    head = {"Disposition-Notification-To": ", ".join(str(box) for box in message(to=people).to)}
    octets = bytes(message(subject=subject, to=people, reply_to=people[:1], headers=head, attachments=[file]))
    for line in octets.decode().split("\r\n"):
        words = line.split(": ", 1)[-1].split(" ")
        assert len(line) <= 78 or len(list(filter(None, words))) == 1


def test_bcc_is_in_no_header() -> None:
    assert b"secret" not in bytes(message(bcc="secret@example.com"))


def test_domains_are_in_a_labels_and_local_parts_in_utf8() -> None:
    assert b"To: bob@xn--bcher-kva.example\r\n" in bytes(message(to="bob@bücher.example"))
    mail = message(to="jörg@bücher.example")
    assert "To: jörg@xn--bcher-kva.example\r\n".encode() in bytes(mail)
    assert mail.render().has_utf8_headers and mail.envelope().needs_smtputf8


def test_a_long_identifier_stays_in_one_piece() -> None:
    identifier = f"<{'x' * 300}@example.com>"
    mail = message(message_id=identifier)
    assert f"Message-ID: {identifier}\r\n".encode() in bytes(mail) and mail.render().message_id == identifier


def test_further_headers_are_written() -> None:
    url = "<https://example.com/?a=?b=?" + "c" * 200 + ">"
    headers = {"List-Unsubscribe": url, "X-Many": ["1", "2"], "X-Text": "Füße", "Sender": '"Jörg, M" <j@x.org>'}
    email = read(message(headers=headers))
    assert email["List-Unsubscribe"] == url and email.get_all("X-Many") == ["1", "2"] and email["X-Text"] == "Füße"
    assert email["Sender"].address.display_name == "Jörg, M" and email["Sender"].address.addr_spec == "j@x.org"


@given(st.datetimes(min_value=datetime(1980, 1, 1), timezones=st.timezones()))
def test_a_date_is_written_as_the_standard_library_does(date: datetime) -> None:
    written = email_date(bytes(message(date=date)))
    assert written == format_datetime(date)


def test_one_moment_in_two_zones_is_written_in_each() -> None:
    noon = datetime(2024, 2, 29, 12, tzinfo=UTC)
    there = noon.astimezone(timezone(timedelta(hours=-5)))
    assert [email_date(bytes(message(date=date))) for date in (noon, there)] == [
        "Thu, 29 Feb 2024 12:00:00 +0000",
        "Thu, 29 Feb 2024 07:00:00 -0500",
    ]


def test_an_old_date_has_a_zone_in_minutes_all_the_same() -> None:
    zone = timezone(-timedelta(minutes=16, seconds=8))
    assert email_date(bytes(message(date=datetime(812, 1, 1, tzinfo=zone)))) == "Sun, 01 Jan 0812 00:00:08 -0016"


def email_date(octets: bytes) -> str:
    return str(message_from_bytes(octets)["Date"])


@pytest.mark.parametrize("title", ['"a;b"', '"a; name=b"', "plain", '"two  spaces"'])
def test_parameters_of_a_type_are_kept(title: str) -> None:
    file = Attachment.from_bytes(b"", "a.txt", f"text/plain; title={title}; charset=utf-8")
    (part,) = read(message(attachments=[file])).iter_attachments()
    assert part["Content-Type"].params == {"title": title.strip('"'), "charset": "utf-8", "name": "a.txt"}
    own = Attachment.from_bytes(b"", "a.txt", "text/plain; name=own.txt")
    assert b"own.txt" in bytes(message(attachments=[own])) and bytes(message(attachments=[own])).count(b" name=") == 1


def test_a_merge_shares_one_encoding_and_every_message_is_whole() -> None:
    data = bytes(range(256)) * 200
    letter = message(attachments=[Attachment.from_bytes(data, "a.bin")])
    for number in range(3):
        mail = letter.but(to=f"r{number}@x.org", text=f"Number {number}")
        (part,) = read(mail).iter_attachments()
        assert part.get_content() == data and text_of(read(mail).get_body()) == f"Number {number}\n"
        assert part["Content-Disposition"].params["filename"] == "a.bin"


def test_a_message_as_attachment_is_not_encoded() -> None:
    inner = bytes(message(subject="inner", text="x"))
    (part,) = read(
        message(text="x", attachments=[Attachment.from_bytes(inner, "a", "message/rfc822")])
    ).iter_attachments()
    assert part.get_content()["Subject"] == "inner"
    for data in (b"A: b\r\n\r\n\0", b"A: b\r\n\r\n" + b"\xe9" * 999):
        odd = Attachment.from_bytes(data, "a", "message/rfc822")
        (part,) = read(message(text="x", attachments=[odd])).iter_attachments()
        assert part.get_content_type() == "application/octet-stream" and part.get_content() == data
