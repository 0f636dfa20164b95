"""Names in fields made with the standard library arrive as readers show them, although the fields are written anew."""

from __future__ import annotations

from email import message_from_bytes, message_from_string, policy
from email.header import Header
from email.message import EmailMessage
from email.message import Message as OldMessage
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr
from typing import Any

import pytest

from wlsmtp.message.render import content_of, envelope_of


def sent(message: Any) -> Any:
    """The message as the standard library reads it on the other side."""
    return message_from_bytes(b"".join(content_of(message).chunks()), policy=policy.default)


def names(field: Any) -> list[tuple[str, str]]:
    return [(address.display_name, address.addr_spec) for address in field.addresses]


def test_a_name_in_a_comment_stays_a_name() -> None:
    mail = EmailMessage()
    mail["From"] = "ann@example.com (Ann Example)"
    mail["To"] = (
        "Team: bob@example.org (Bob), carl@example.net;, dan@example.net (=?utf-8?q?D=C3=A4n?=), Jörg <j@x.org>"
    )
    mail["Cc"] = "Eve <eve@example.net> (at work)"
    read = sent(mail)
    assert names(read["From"]) == [("Ann Example", "ann@example.com")]
    assert names(read["To"]) == [
        ("Bob", "bob@example.org"), ("", "carl@example.net"), ("Dän", "dan@example.net"), ("Jörg", "j@x.org")
    ]  # fmt: skip
    assert read["To"].groups[0].display_name == "Team" and names(read["Cc"]) == [("Eve", "eve@example.net")]
    old = MIMEText("x")
    old["From"], old["To"] = "ann@example.com (Ann)", "bob@example.org (Bob \\) x), Jörg <j@x.org>"
    assert names(sent(old)["To"]) == [("Bob ) x", "bob@example.org"), ("Jörg", "j@x.org")]
    assert content_of(old).message_id is None and b"ann@example.com (Ann)" in b"".join(content_of(old).chunks())


def test_an_encoded_name_in_quotes_is_not_encoded_twice() -> None:
    mail = MIMEText("x")
    mail["From"] = "ann@example.com"
    mail["To"] = f'"{Header("Müller, Jörg", "utf-8").encode()}" <j@x.org>, Änne <a@x.org>, "a =?x?= b" <b@x.org>'
    read = sent(mail)
    assert names(read["To"]) == [("Müller, Jörg", "j@x.org"), ("Änne", "a@x.org"), ("a =?x?= b", "b@x.org")]


def test_a_field_that_the_standard_library_takes_for_text_keeps_its_name() -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "ann@example.com", "bob@example.org"
    mail["Disposition-Notification-To"] = formataddr(("Müller, Jörg", "j@x.org"))
    (field,) = [
        value for name, value in message_from_bytes(b"".join(content_of(mail).chunks())).items() if "Notif" in name
    ]
    assert field == "=?utf-8?b?TcO8bGxlciwgSsO2cmc=?= <j@x.org>"


@pytest.mark.parametrize("name", ["Übersicht für März.pdf", "会議.doc", 'q"ü.txt', "é" * 90 + ".txt", "résumé; v2.pdf"])
@pytest.mark.parametrize("is_quoted", [True, False])
def test_a_file_name_that_was_written_into_the_field_stays_one(name: str, is_quoted: bool) -> None:
    if not is_quoted and (";" in name or '"' in name):
        name = "für dich.txt"
    part = MIMEApplication(b"x")
    escaped = name.replace('"', '\\"')
    part["Content-Disposition"] = f'attachment; filename="{escaped}"' if is_quoted else f"attachment; filename={name}"
    part.set_param("name", name)
    mail = MIMEMultipart()
    mail["From"], mail["To"] = "ann@example.com", "bob@example.org"
    mail.attach(part)
    (read,) = sent(mail).iter_attachments()
    assert (read.get_filename(), read.get_content_disposition()) == (name, "attachment")
    assert read["Content-Type"].params["name"] == name


def test_what_is_before_and_behind_the_parts_may_be_decoded_text() -> None:
    mail = message_from_string(
        "From: a@x.org\nTo: b@x.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        "Für Sie\n--b\n\nHello\n--b--\nTschüss\n"
    )
    read = sent(mail)
    assert [part.get_payload() for part in read.iter_parts()] == ["Hello"]
    assert "Für Sie".encode() in b"".join(content_of(mail).chunks())
    assert b"".join(content_of(mail).as_7bit().chunks()).isascii()


def test_the_envelope_is_the_same() -> None:
    mail = OldMessage()
    mail["From"], mail["To"] = "a@x.org (Ann)", 'b@x.org (B), "=?utf-8?q?c=40x=2Eorg?=" <d@x.org>'
    assert envelope_of(mail).addresses == ("b@x.org", "d@x.org")
