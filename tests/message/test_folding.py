"""No header line over 998 octets leaves, whatever came in, and no other line is changed."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.worlds import World
from wlsmtp.errors import MessageError
from wlsmtp.message.folding import fold
from wlsmtp.message.render import content_of, envelope_of
from wlsmtp.testing import SMTPServer

MANY = [f"user{number}@example.org" for number in range(100)]
START = b"From: a@x.org\r\nTo: b@x.org\r\n"


def octets(mail: Any) -> bytes:
    return b"".join(content_of(mail).chunks())


def longest(data: bytes) -> int:
    return max(map(len, data.split(b"\r\n")))


def old_message(**fields: str) -> MIMEText:
    mail = MIMEText("x")
    for name, value in {"From": "a@x.org", "To": "b@x.org", **fields}.items():
        mail[name.replace("_", "-")] = value
    return mail


def unfolded(data: bytes, name: str) -> str:
    return re.sub(r"\r?\n", "", str(message_from_bytes(data)[name]))


@pytest.mark.parametrize("between", [", ", ","])
def test_a_hundred_recipients_in_one_line_are_all_there(between: str, world: World) -> None:
    mail = old_message(To=between.join(MANY))
    raw = mail.as_bytes(policy=policy.SMTP.clone(refold_source="none", max_line_length=None))
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        for form in (mail, message_from_bytes(raw), message_from_bytes(raw, policy=policy.default), raw):
            session.send(form)
    for received in server.messages:
        assert longest(received.content) <= 78 and list(received.recipients) == MANY
        found: Any = message_from_bytes(received.content, policy=policy.default)["To"]
        assert [item.addr_spec for item in found.addresses] == MANY


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Subject", "word " * 400 + "end"),
        ("Subject", "two  spaces and\ta tab " * 60 + "end"),
        ("Subject", "w" * 2000),
        ("Comments", "w" * 2000),
        ("X-Json", '{"to": ["a@b"], "sub": {"x": [1]}} ' * 50),
        ("References", " ".join(f"<{number}.abcdefgh@example.org>" for number in range(60))),
        ("Received", "from a by b (c d) with e; " * 60),
        ("Content-Type", 'text/plain; title="' + "some words " * 100 + 'x"'),
    ],
)
def test_a_long_field_reads_back(name: str, value: str) -> None:
    mail = old_message()
    del mail[name]
    mail[name] = value
    raw = f"{name}: {value}\r\n".encode() + START + b"\r\nx\r\n"
    for sent in (octets(mail), octets(message_from_bytes(raw)), octets(raw)):
        assert longest(sent) <= 78
        read: Any = message_from_bytes(sent, policy=policy.default)[name]
        assert str(read) == value if "=?" in unfolded(sent, name) else unfolded(sent, name).strip() == value.strip()


@pytest.mark.parametrize(
    ("name", "separator", "item"),
    [
        ("References", "", "<{}.abcdefgh@example.org>"),
        ("List-Unsubscribe", ",", "<https://example.org/{};a=b>"),
        ("Content-Disposition", ";", "p{}=abcdefghijklmn"),
    ],
)
def test_where_a_field_has_no_space_one_is_added_where_it_means_nothing(name: str, separator: str, item: str) -> None:
    items = [item.format(number) for number in range(100)]
    value = separator.join(items)
    sent = octets(f"{name}: {value}\r\n".encode() + START + b"\r\nx\r\n")
    assert longest(sent) <= 78 and unfolded(sent, name).replace(" ", "") == value
    assert all(one in unfolded(sent, name) for one in items)


def test_what_was_folded_stays_as_it_was() -> None:
    folded = b"X-A: a\r\n\tb  c\r\n d\r\n"
    near = b"X-B: " + b"y" * 993 + b"\r\n"
    raw = folded + near + START + b"Subject: " + b"word " * 300 + b"\r\n\r\n" + b"body " * 190 + b"\r\n"
    for form in (raw, message_from_bytes(raw), message_from_bytes(raw, policy=policy.default)):
        sent = octets(form)
        assert sent.startswith(folded + near + START) and longest(sent) == 998
        assert sent.endswith(b"\r\n\r\n" + b"body " * 190 + b"\r\n")


@pytest.mark.parametrize("name", ["Message-ID", "DKIM-Key", "Return-Path", "List-Unsubscribe"])
def test_a_word_that_no_line_can_hold_is_refused(name: str) -> None:
    raw = START + f"{name}: <{'y' * 2000}>\r\n\r\nx\r\n".encode()
    for form in (raw, message_from_bytes(raw)):
        with pytest.raises(MessageError, match=f"{name}.*998"):
            content_of(form)
    with pytest.raises(MessageError, match="not a field"):
        content_of(START + b"no field " * 200 + b"\r\n\r\nx\r\n")


LONG: Any = policy.compat32.clone(max_line_length=None)


def test_a_signed_message_is_refused_rather_than_changed() -> None:
    mail = old_message(DKIM_Signature="v=1; b=abc")
    before = octets(mail)
    assert octets(before) == before
    mail["Subject"] = "word " * 300
    for form in (mail, mail.as_bytes(policy=LONG)):
        with pytest.raises(MessageError, match=r"Subject.*signed"):
            content_of(form)


def test_the_signature_of_a_multipart_covers_its_parts_and_not_the_fields_beside_it() -> None:
    mail = MIMEMultipart("signed")
    mail["From"], mail["To"] = "a@x.org", "b@x.org"
    mail["References"] = " ".join(f"<{number}.abcdefgh@mail.example.com>" for number in range(60))
    part = MIMEText("x")
    mail.attach(part)
    for form in (mail, mail.as_bytes(policy=LONG)):
        sent = octets(form)
        assert longest(sent) <= 998
        assert part.as_bytes(policy=policy.SMTP).rstrip() in sent
        assert message_from_bytes(sent)["References"].split() == mail["References"].split()
    part["Content-Description"] = "word " * 300
    for form in (mail, mail.as_bytes(policy=LONG)):
        with pytest.raises(MessageError, match=r"Content-Description.*signed"):
            content_of(form)


def test_fields_of_parts_are_folded_too() -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "a@x.org", "b@x.org"
    mail.set_content("x")
    part: Any = MIMEBase("application", "pdf")
    part["Content-Description"] = "word " * 300
    part["Content-ID"] = "<" + "y" * 900 + ">"
    mail.add_attachment(b"x", maintype="a", subtype="b", filename="é" * 500)
    mail.attach(part)
    sent = octets(mail)
    assert longest(sent) <= 998
    read: Any = message_from_bytes(sent, policy=policy.default)
    assert next(read.iter_attachments()).get_filename() == "é" * 500


PIECES = [
    "a",
    "w" * 500,
    "w" * 1000,
    " ",
    "\t",
    " " * 1000,
    '"',
    "<",
    ">",
    ",",
    ";",
    "é",
    "\udce9",
    "\r\n ",
    "\n\t",
    "@x",
]
NAMES = ["Subject", "To", "References", "Content-Type", "X-Other", "Archived-At"]


@given(st.sampled_from(NAMES), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example("Received", " " * 2000)
@example("Received", "a\r\n" + " " * 2000 + "\r\n b")
def test_a_folded_value_has_short_lines_none_of_them_empty(name: str, value: str) -> None:
    try:
        folded = fold(name, value, is_signed=False)
    except MessageError:
        return
    lines = re.split("\r?\n", f"{name}: {folded}")
    assert max(len(line.encode("utf-8", "surrogateescape")) for line in lines) <= 998
    assert all(line[:1] in " \t" and line for line in lines[1:])
    assert fold(name, folded, is_signed=True) == folded


def test_the_envelope_of_a_long_field_is_whole() -> None:
    assert len(envelope_of(old_message(To=",".join(MANY))).recipients) == 100
