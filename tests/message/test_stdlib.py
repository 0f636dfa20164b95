"""Stdlib messages of the usual shapes are written without the standard library's generator, octet by octet the same."""

from __future__ import annotations

import email
import email.message
import random
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp.errors import MessageError
from wlsmtp.message import read, recode
from wlsmtp.message.folding import fold
from wlsmtp.message.render import content_of
from wlsmtp.message.stdlib import write_plain

AnyEmail = read.AnyEmail
LEFT_OUT = frozenset({"bcc", "resent-bcc"})


def by_the_generator(message: AnyEmail) -> bytes:
    random.seed(4711)
    is_signed = any(map(recode.is_signed, message.walk()))
    return recode.write(recode.in_lines(read._prepared(message, LEFT_OUT, is_signed=is_signed)))


def plain(message: AnyEmail) -> bytes | None:
    random.seed(4711)
    return write_plain(message, read._plain_field, LEFT_OUT)


def letter(**fields: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann Example <ann@example.com>"
    message["To"] = "bob@example.org, Cleo <cleo@example.net>"
    message["Bcc"] = "dan@example.org"
    message["Subject"] = "Report 7"
    message["Message-ID"] = "<1@example.com>"
    for name, value in fields.items():
        del message[name]
        message[name] = value
    return message


def text(content: str = "Hello\nBob\n", **options: Any) -> EmailMessage:
    message = letter()
    message.set_content(content, **options)
    return message


def with_everything() -> EmailMessage:
    message = text("Grüße\n")
    message.add_alternative("<p>Grüße <img src='cid:logo'></p>\n", subtype="html")
    related: Any = message.get_payload(1)
    related.add_related(b"GIF89a", "image", "gif", cid="<logo>")
    message.add_attachment(bytes(range(256)) * 5, maintype="application", subtype="pdf", filename="report 1.pdf")
    message.add_attachment("a;ü\n", filename="Tabelle ü.csv", subtype="csv")
    return message


def old_style() -> AnyEmail:
    message = MIMEMultipart("mixed")
    message["From"], message["To"], message["Subject"] = "ann@example.com", "bob@example.org", "Old"
    alternative = MIMEMultipart("alternative")
    alternative.attach(MIMEText("Grüße", "plain", "utf-8"))
    alternative.attach(MIMEText("<p>Hello</p>", "html"))
    message.attach(alternative)
    message.attach(MIMEApplication(b"\0\1\2" * 40, Name="data.bin"))
    return message


def parsed(message: AnyEmail, **options: Any) -> AnyEmail:
    return email.message_from_bytes(message.as_bytes(), **options)


def with_old_boundary() -> AnyEmail:
    message = old_style()
    message.set_boundary("a boundary of its own")
    return message


USUAL: dict[str, Callable[[], AnyEmail]] = {
    "text": text,
    "no last line end": lambda: text("Hello"),
    "empty text": lambda: text(""),
    "line ends of three kinds": lambda: text("a\rb\r\nc\nd"),
    "8bit": lambda: text("Grüße\n"),
    "7bit only": lambda: text("Grüße\n", cte="quoted-printable"),
    "base64": lambda: text("Grüße\n" * 90, cte="base64"),
    "latin-1": lambda: text("Grüße\n", charset="iso-8859-1"),
    "html": lambda: text("<p>Hello</p>\n", subtype="html"),
    "everything": with_everything,
    "old style": old_style,
    "old style, long subject": lambda: _changed(old_style(), Subject="Grüße " * 40),
    "own boundary": with_old_boundary,
    "parsed": lambda: parsed(with_everything()),
    "parsed by policy": lambda: parsed(with_everything(), policy=policy.default),
    "subject in two lines": lambda: _changed(text(), Subject="word " * 60),
    "encoded subject": lambda: _changed(text(), Subject="Grüße an alle"),
    "encoded name": lambda: _changed(text(), To="Müller, Jörg <joerg@example.org>".replace(",", "")),
    "quoted name": lambda: _changed(text(), To='"Lee, Cleo" <cleo@example.net>'),
    "group": lambda: _changed(text(), To="friends: bob@example.org, cleo@example.net;"),
    "header set to nothing": lambda: _changed(text(), **{"X-Empty": ""}),
    "unusual type parameters": lambda: text("x\n", params={"delsp": "yes", "format": "flowed"}),
}


def _changed(message: AnyEmail, **fields: str) -> AnyEmail:
    for name, value in fields.items():
        del message[name]
        message[name] = value
    return message


def signed() -> AnyEmail:
    message = text()
    message["DKIM-Signature"] = "v=1; d=example.com; s=s1; b=AAAA"
    return message


def with_preamble() -> AnyEmail:
    message = old_style()
    message.preamble = "This is a message in several parts.\n"
    return message


def with_attached_message() -> AnyEmail:
    message = text()
    message.add_attachment(text("inner\n"))
    return message


def with_payload(payload: Any, **fields: str) -> AnyEmail:
    message = email.message.Message()
    message["From"], message["To"] = "ann@example.com", "bob@example.org"
    message.set_payload(payload)
    return _changed(message, **fields)


UNUSUAL: dict[str, Callable[[], AnyEmail]] = {
    "signed": signed,
    "preamble": with_preamble,
    "attached message": with_attached_message,
    "nothing": letter,
    "a long line": lambda: with_payload("x" * 1200),
    "NUL": lambda: with_payload("a\0b"),
    "binary": lambda: with_payload("abc", **{"Content-Transfer-Encoding": "binary"}),
    "multipart/signed": lambda: with_payload([MIMEText("x")], **{"Content-Type": "multipart/signed"}),
    "multipart of text": lambda: with_payload("text", **{"Content-Type": "multipart/mixed; boundary=b"}),
    "no type": lambda: with_payload("text", **{"Content-Type": "text"}),
    "odd white space in a field": lambda: with_payload("text", **{"X-Odd": "a\v b"}),
}


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_shape_is_written_as_the_generator_writes_it(name: str) -> None:
    message = USUAL[name]()
    expected = by_the_generator(message)
    assert plain(message) == expected
    assert b"dan@example.org" not in expected


@pytest.mark.parametrize("name", UNUSUAL)
def test_everything_else_is_left_to_the_generator(name: str) -> None:
    assert plain(UNUSUAL[name]()) is None


def test_the_message_itself_is_not_changed() -> None:
    message = with_everything()
    before = [(part.items(), part._payload) for part in message.walk()]  # type: ignore[attr-defined]
    assert plain(message) is not None
    assert [(part.items(), part._payload) for part in message.walk()] == before  # type: ignore[attr-defined]


def test_what_is_changed_later_does_not_change_what_is_sent() -> None:
    message = text("Grüße\n", cte="8bit")
    content = content_of(message)
    del message["Subject"]
    message["Subject"] = "Other"
    message.set_payload("other")
    again = content.as_7bit()
    written = b"".join(again.chunks())
    assert b"Subject: Report 7" in written and written.isascii()
    assert email.message_from_bytes(written).get_payload(decode=True) == "Grüße\n".encode()


def test_a_new_boundary_occurs_in_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter([1, 2])
    monkeypatch.setattr(random, "randrange", lambda _: next(numbers))
    message = MIMEMultipart("mixed")
    message["From"] = "ann@example.com"
    message.attach(MIMEText(f"--{'=' * 15}{1:019d}==\n"))
    written = write_plain(message, read._plain_field, LEFT_OUT)
    assert written is not None and written.endswith(f"--{'=' * 15}{2:019d}==--\r\n".encode())


values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=90)
words = st.from_regex(r'[A-Za-z0-9 ,;:"()<>@._=?/-]{0,90}', fullmatch=True)
bodies = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)


@given(
    subject=values | words, other=words, body=bodies, file=st.binary(max_size=300), name=values, is_mixed=st.booleans()
)
def test_whatever_is_put_in_is_written_as_the_generator_writes_it(
    subject: str, other: str, body: str, file: bytes, name: str, is_mixed: bool
) -> None:
    message = letter()
    message["X-Other"] = other
    del message["Subject"]
    message["Subject"] = subject
    message.set_content(body)
    if is_mixed:
        message.add_attachment(file, maintype="application", subtype="x-test", filename=name)
    written = plain(message)
    if written is not None:
        assert written == by_the_generator(message)


@given(values | words)
def test_a_field_has_one_form(value: str) -> None:
    """The short way to a field's value gives what the long way gives."""
    message = EmailMessage()
    for name in ("Subject", "X-Other", "To", "Content-Type", "Content-Disposition", "Content-ID", "Date"):
        try:
            message[name] = value
        except (ValueError, IndexError, AttributeError):
            continue  # the standard library's own parser gives up
        stored = message[name]
        try:
            expected = fold(name, read._final(name, stored), is_signed=False)
        except MessageError:
            continue
        assert read._plain_field(name, stored) == expected
        del message[name]
