"""The session of WLanguage against a real Postfix: its security, its login, the results of its emails.

The rule of the original: LOGIN and PLAIN. A server that offers one of them and refuses makes the start fail; with one
that offers neither the session continues without authentication.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import trustme

from tests.real.postfix import PostfixServer
from tests.wlanguage.conftest import fresh as fresh
from tests.wlanguage.page import examples, run
from wlsmtp.wlanguage import *


@pytest.fixture(autouse=True)
def trusted(postfix: PostfixServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenSSL's own variable makes the throw-away authority part of the system's trust store."""
    monkeypatch.setenv("SSL_CERT_FILE", str(postfix.ca_file))
    yield


@pytest.fixture
def port(request: pytest.FixtureRequest, postfix: PostfixServer) -> int:
    number: int = getattr(postfix, f"{request.param}_port")
    return number


def compose(mailbox: str) -> None:
    Email.Sender = "ann@example.test"
    Email.Recipient[1] = mailbox
    Email.NbRecipient = 1
    Email.Subject = "Grüße"
    Email.Message = "Hällo"


SECURED = [("submission", emailOptionSecuredTLS), ("smtps", emailOptionSecuredSSL), ("login", emailOptionDefault)]


@pytest.mark.parametrize(("port", "option"), SECURED, indirect=["port"], ids=["TLS", "SSL", "in the clear"])
def test_an_authenticated_session_delivers(port: int, option: int, postfix: PostfixServer, mailbox: str) -> None:
    assert EmailStartSMTPSession(postfix.username, postfix.password, "localhost", port, False, option), ErrorInfo()
    compose(mailbox)
    assert EmailSendMessage(postfix.username), ErrorInfo()
    assert not ErrorOccurred and EmailStatus(Email.MailIdentifier) == emailSent
    EmailCloseSession(postfix.username)
    (stored,) = postfix.wait_for_message(mailbox)
    email = message_from_bytes(stored, policy=policy.default)
    body = email.get_body(("plain",))
    assert email["Subject"] == "Grüße" and body is not None and body.get_content().strip() == "Hällo"
    assert f"Authenticated sender: {postfix.username}" in str(email["Received"])


@pytest.mark.parametrize(("port", "option"), SECURED, indirect=["port"], ids=["TLS", "SSL", "in the clear"])
def test_a_refused_password_makes_the_start_fail(port: int, option: int, postfix: PostfixServer) -> None:
    assert EmailStartSMTPSession(postfix.username, "wr0ng", "localhost", port, False, option) is False
    assert ErrorOccurred and ErrorInfo(errCode) == 535
    assert "535 5.7.8" in ErrorInfo() and "wr0ng" not in ErrorInfo(errFullDetails)


@pytest.mark.parametrize("port", ["plain", "cram"], indirect=True)
def test_where_neither_login_nor_plain_is_offered_the_session_starts_without(
    port: int, postfix: PostfixServer, mailbox: str
) -> None:
    assert EmailStartSMTPSession("ann", "any password", "localhost", port), ErrorInfo()
    compose(mailbox)
    assert EmailSendMessage("ann"), ErrorInfo()
    EmailCloseSession("ann")
    (stored,) = postfix.wait_for_message(mailbox)
    assert b"Authenticated sender" not in stored


@pytest.mark.parametrize("port", ["login"], indirect=True)
def test_without_a_password_nobody_logs_in_and_the_server_says_what_it_thinks_of_it(port: int, mailbox: str) -> None:
    assert EmailStartSMTPSession("ann", "localhost", port)
    compose(mailbox)
    assert EmailSendMessage("ann") is False
    assert ErrorInfo(errCode) == 554 and "Access denied" in ErrorInfo() and "Access denied" in Email.Error
    EmailCloseSession("ann")


def test_a_certificate_of_a_stranger_is_refused_until_its_authority_is_named(
    postfix: PostfixServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    arguments = ("ann", "localhost", postfix.submission_port, False, emailOptionSecuredTLS)
    assert EmailStartSMTPSession(*arguments) is False
    assert ErrorInfo(errCode) == 5 and "emailParameterCAFile" in ErrorInfo()
    EmailConfigure(emailParameterMode, 1)
    assert EmailStartSMTPSession(*arguments) is False and ErrorInfo(errCode) == 5
    EmailConfigure(emailParameterCAFile, str(postfix.ca_file))
    assert EmailStartSMTPSession(*arguments), ErrorInfo()
    EmailCloseSession("ann")


def test_the_wrong_option_for_a_port_is_named_by_its_name(postfix: PostfixServer) -> None:
    assert EmailStartSMTPSession("ann", "localhost", postfix.submission_port, False, emailOptionSecuredSSL) is False
    assert "Use emailOptionSecuredTLS" in ErrorInfo()


def test_an_email_goes_to_all_of_its_recipients_or_to_none(postfix: PostfixServer, mailbox: str) -> None:
    assert EmailStartSMTPSession("ann", "localhost", postfix.plain_port)
    compose(mailbox)
    Add(Email.Cc, postfix.unknown_mailbox())
    assert EmailSendMessage("ann") is False
    assert ErrorInfo(errCode) == 550 and "User unknown" in ErrorInfo(errFullDetails)
    Email.NbCc = 0
    assert EmailSendMessage("ann"), ErrorInfo()
    EmailCloseSession("ann")
    assert len(postfix.wait_for_message(mailbox)) == 1


def test_an_email_too_large_for_the_server_is_refused_in_words(postfix: PostfixServer, mailbox: str) -> None:
    session = emailSMTPSession()
    session.ServerAddress, session.Port = "localhost", postfix.small_port
    assert session.OpenSession()
    message = Email()
    message.Sender, message.Recipient, message.Message = "ann@example.test", mailbox, "x" * 200_000
    assert session.SendMessage(message) is False
    assert ErrorInfo(errCode) == 2 and "100000" in ErrorInfo().replace(",", "").replace(" ", "")
    session.CloseSession()


def test_a_source_that_was_built_is_sent_to_the_bcc_recipients_too(
    postfix: PostfixServer, mailbox: str, tmp_path: Path
) -> None:
    hidden = postfix.mailbox()
    compose(mailbox)
    Add(Email.Bcc, hidden)
    assert EmailBuildSource(Email, emailOptionHeaderBcc)
    file = tmp_path / "mail.eml"
    file.write_text(Email.Source, encoding="utf-8", newline="")
    assert EmailStartSMTPSession("ann", "localhost", postfix.plain_port)
    assert EmailSend("ann", str(file)), ErrorInfo()
    EmailCloseSession("ann")
    for address in (mailbox, hidden):
        (stored,) = postfix.wait_for_message(address)
        assert message_from_bytes(stored)["Bcc"] is None


def test_the_french_names_do_the_same(postfix: PostfixServer, mailbox: str) -> None:
    ma_session = emailSessionSMTP()
    ma_session.AdresseServeur = "localhost"
    ma_session.Port = postfix.submission_port
    ma_session.Nom = postfix.username
    ma_session.MotDePasse = postfix.password
    ma_session.Option = emailOptionSécuriséTLS
    assert ma_session.OuvreSession() == Vrai, ErreurInfo(errComplet)
    mon_message = Email()
    mon_message.Expediteur = "ann@example.test"
    Ajoute(mon_message.Destinataire, mailbox)
    mon_message.Sujet = "Grüße"
    mon_message.HTML = "<p>Bonjour</p>"
    assert EmailEnvoieMessage(ma_session, mon_message, emailOptionEncodeEntête) == Vrai
    EmailFermeSession(ma_session)
    assert not ErreurDétectée
    (stored,) = postfix.wait_for_message(mailbox)
    assert message_from_bytes(stored, policy=policy.default)["Subject"] == "Grüße"


PROGRAMS = [
    *(("plain", program) for program in examples("A server that is not secured")),
    *(("submission", program) for program in examples("A server with TLS on port 587")),
    *(("submission", program) for program in examples("In the background")),
]


@pytest.mark.parametrize(("port", "program"), PROGRAMS, indirect=["port"])
def test_a_program_of_the_migration_page_sends_its_email(
    port: int, program: str, postfix: PostfixServer, mailbox: str
) -> None:
    run(program, plain=port, secured=port, user=postfix.username, password=postfix.password, mailbox=mailbox)
    (stored,) = postfix.wait_for_message(mailbox)
    assert message_from_bytes(stored, policy=policy.default)["Subject"] == "Hello"


def test_a_signed_email_is_still_signed_when_it_arrives(postfix: PostfixServer, mailbox: str, tmp_path: Path) -> None:
    authority, hidden = trustme.CA(), postfix.mailbox()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("ann@example.test").private_key_and_cert_chain_pem.write_to_path(tmp_path / "ann.pem")
    assert EmailStartSMTPSession("ann", "localhost", postfix.plain_port)
    compose(mailbox)
    Email.Certificate, Email.Bcc = tmp_path / "ann.pem", hidden
    assert EmailSendMessage("ann"), ErrorInfo()
    EmailCloseSession("ann")
    for address in (mailbox, hidden):
        (stored,) = postfix.wait_for_message(address)
        assert message_from_bytes(stored)["Bcc"] is None
        (tmp_path / "stored").write_bytes(stored)
        command = ["openssl", "cms", "-verify", "-in", "stored", "-CAfile", "ca.pem", "-purpose", "any"]
        verified = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
        assert verified.returncode == 0, verified.stderr
