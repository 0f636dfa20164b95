"""What an ``Email`` becomes when it is sent."""

from __future__ import annotations

import re
import threading
from email import message_from_string, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from wlsmtp.wlanguage import *


def letter() -> EmailVariable:
    message = Email()
    message.Sender, message.Recipient = "Ann <ann@example.com>", "bob@example.org"
    message.Subject, message.Message = "Grüße", "Hällo"
    return message


def written(message: EmailVariable) -> EmailMessage:
    assert EmailBuildSource(message), ErrorInfo()
    return message_from_string(message.Source, policy=policy.default)


def test_the_members_become_header_fields_and_text() -> None:
    message = letter()
    message.Cc, message.Bcc, message.SenderAddress = "cc@example.org", "bcc@example.org", "replies@example.com"
    message.MessageID, message.Reference = "<1@example.com>", "<0@example.com>"
    email = written(message)
    assert (email["From"], email["To"], email["Cc"]) == ("Ann <ann@example.com>", "bob@example.org", "cc@example.org")
    assert (email["Reply-To"], email["Subject"], email["Bcc"]) == ("replies@example.com", "Grüße", None)
    assert (email["Message-ID"], email["References"]) == ("<1@example.com>", "<0@example.com>")
    assert email.get_content().strip() == "Hällo"


def test_an_address_may_be_in_brackets() -> None:
    message = letter()
    message.Sender = "<ann@example.com>"
    assert written(message)["From"] == "ann@example.com"


@pytest.mark.parametrize(
    ("sender", "address", "from_", "reply_to"),
    [
        ("Support", "support@example.com", "Support <support@example.com>", None),
        ("Ann @ Work, Lee", "ann@example.com", '"Ann @ Work, Lee" <ann@example.com>', None),
        ("Société Générale", "sg@example.com", "Société Générale <sg@example.com>", None),
        ("", "ann@example.com", "ann@example.com", None),
        ("Support", "<support@example.com>", "Support <support@example.com>", None),
        ("ann@example.com", "replies@example.com", "ann@example.com", "replies@example.com"),
        ("Ann <ann@example.com>", "replies@example.com", "Ann <ann@example.com>", "replies@example.com"),
    ],
)
def test_a_sender_may_be_a_name_that_has_its_address_beside_it(
    sender: str, address: str, from_: str, reply_to: str | None
) -> None:
    message = letter()
    message.Sender, message.SenderAddress, message.DispositionNotification = sender, address, True
    email = written(message)
    assert (email["From"], email["Reply-To"]) == (from_, reply_to)
    confirmed = email["Disposition-Notification-To"]
    assert confirmed == (sender if "@example" in sender else address.strip("<>"))


@pytest.mark.parametrize(("sender", "address"), [("Support", ""), ("nobody@", "ann@example.com, bob@example.com")])
def test_a_name_without_an_address_is_an_error(sender: str, address: str) -> None:
    message = letter()
    message.Sender, message.SenderAddress = sender, address
    assert message.BuildSource() is False and ErrorInfo(errCode) == 2 and "Sender" in ErrorInfo()


def test_html_alone_needs_no_text_and_both_are_alternatives() -> None:
    message = letter()
    message.Message, message.HTML = "", "<p>Hi</p>"
    assert written(message).get_content_type() == "text/html"
    message.Message = "Hi"
    assert written(message).get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    ("member", "value", "fields"),
    [
        ("DispositionNotification", True, {"Disposition-Notification-To": "Ann <ann@example.com>"}),
        ("ReturnReceipt", True, {"Return-Receipt-To": "Ann <ann@example.com>"}),
        ("Importance", emailHighPriority, {"Importance": "high"}),
        ("Importance", emailLowPriority, {"Importance": "low"}),
        ("Priority", emailHighPriority, {"Priority": "urgent", "X-Priority": "1 (Highest)"}),
        ("Priority", emailLowPriority, {"Priority": "non-urgent", "X-Priority": "5 (Lowest)"}),
        ("Sensitivity", emailPersonal, {"Sensitivity": "Personal"}),
        ("Sensitivity", emailPrivate, {"Sensitivity": "Private"}),
        ("Sensitivity", emailCompanyConfidential, {"Sensitivity": "Company-Confidential"}),
    ],
)
def test_wishes_become_header_fields_and_by_default_there_are_none(
    member: str, value: int, fields: dict[str, str]
) -> None:
    message = letter()
    plain = written(message)
    setattr(message, member, value)
    email = written(message)
    for name, text in fields.items():
        assert email[name] == text and plain[name] is None


def test_a_confirmation_of_reading_goes_before_a_receipt() -> None:
    message = letter()
    message.ReturnReceipt = message.DispositionNotification = True
    email = written(message)
    assert email["Disposition-Notification-To"] and email["Return-Receipt-To"] is None


def test_files_are_attached_by_their_path_and_by_their_octets(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_bytes(b"numbers")
    message = letter()
    message.HTML = '<img src="cid:logo">'
    Add(message.Attach, str(report))
    message.Attach[2].Name = "logo.gif"  # type: ignore[union-attr]
    message.Attach[2].Content = b"GIF89a"  # type: ignore[union-attr]
    message.Attach[2].Identifier = "logo"  # type: ignore[union-attr]
    parts = {part.get_filename(): part for part in written(message).walk() if part.get_filename()}
    assert parts["report.txt"].get_content() == "numbers"
    assert parts["logo.gif"].get_content() == b"GIF89a" and parts["logo.gif"].get_content_type() == "image/gif"
    assert parts["logo.gif"]["Content-ID"] == "<logo>"


def test_the_media_type_of_an_attached_file_may_be_given() -> None:
    message, file = letter(), emailAttach()
    file.Name, file.Content, file.ContentType = "data", "Ä", "application/x-own"
    message.Attach = file
    (part,) = written(message).iter_attachments()
    assert part.get_content_type() == "application/x-own" and part.get_content() == "Ä".encode()


def test_a_file_without_a_name_is_refused_rather_than_left_out() -> None:
    message = letter()
    message.Attach[1].Content = b"GIF89a"  # type: ignore[union-attr]
    assert EmailBuildSource(message) is False
    assert ErrorOccurred and "Name" in ErrorInfo() and ErrorInfo(errCode) == 2


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("Sender", "", "Sender:"),
        ("Recipient", "nobody", "Recipient"),
        ("Subject", "one\r\nBcc: two@example.org", "Subject: .*control character"),
        ("Attach", "no such file", "no such file"),
        ("Certificate", "no such file", "Certificate: no such file cannot be read"),
        ("MessageID", "with spaces", "MessageID:"),
    ],
)
def test_what_cannot_be_sent_is_told_by_the_name_of_its_member(member: str, value: object, words: str) -> None:
    message = letter()
    setattr(message, member, value)
    assert message.BuildSource() is False
    assert re.search(words, ErrorInfo()) and ErrorInfo(errCode) == 2


def test_a_count_that_is_too_large_is_an_error() -> None:
    message = letter()
    message.NbRecipient = 2
    assert message.BuildSource() is False
    assert "Recipient[2] is empty" in ErrorInfo()


def test_bcc_is_in_the_source_on_demand_only() -> None:
    message = letter()
    message.Bcc = ['"One, first" <one@example.org>', "two@example.org"]
    assert written(message)["Bcc"] is None
    assert message.BuildSource(emailOptionHeaderBcc + emailOptionEncodeHeader)
    assert message_from_string(message.Source, policy=policy.default)["Bcc"] == "one@example.org, two@example.org"


def test_the_structure_is_there_without_being_declared_and_reset_empties_it() -> None:
    Email.Sender, Email.Recipient, Email.Subject = "ann@example.com", "bob@example.org", "Hello"
    assert EmailBuildSource() and "Subject: Hello" in Email.Source
    EmailReset()
    assert (Email.Sender, Email.NbRecipient, Email.Subject) == ("", 0, "")


def test_a_variable_is_not_the_structure() -> None:
    message = Email()
    message.Subject, Email.Subject = "one", "two"
    assert (message.Subject, Email.Subject) == ("one", "two")


def test_every_thread_has_its_own_structure() -> None:
    Email.Subject = "mine"
    seen: list[str] = []

    def other() -> None:
        seen.append(Email.Subject)
        Email.Subject = "theirs"

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [""] and Email.Subject == "mine"


@pytest.mark.parametrize("value", ["bob@example.org", EmailMessage(), 1])
def test_what_is_not_an_email_is_never_taken_for_the_structure(value: object) -> None:
    with pytest.raises(WLanguageError, match="an email is an Email variable"):
        EmailBuildSource(value)  # type: ignore[arg-type]


def test_a_certificate_signs_the_email(tmp_path: Path) -> None:
    pem = tmp_path / "ann.pem"
    trustme.CA().issue_cert("ann@example.com").private_key_and_cert_chain_pem.write_to_path(pem)
    message = letter()
    message.Certificate, message.Bcc = pem, "eve@example.org"
    email = written(message)
    assert email.get_content_type() == "multipart/signed" and email["Bcc"] is None
    assert [part.get_content_type() for part in email.iter_parts()] == ["text/plain", "application/pkcs7-signature"]
