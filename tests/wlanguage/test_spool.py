"""Asynchronous sessions: emails wait in the spooler, and ``EmailStatus`` returns their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.outbox.programs import start
from wlsmtp import RetryPolicy
from wlsmtp.testing import SMTPServer
from wlsmtp.wlanguage import *
from wlsmtp.wlanguage import sessions, spool

Make = Callable[..., SMTPServer]


def compose() -> None:
    Email.Sender, Email.Recipient, Email.Subject, Email.Message = "ann@example.com", "bob@example.org", "Hello", "Hi"


def test_a_synchronous_email_has_a_status_too(smtp_server: SMTPServer) -> None:
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    compose()
    assert EmailSendMessage("ann")
    assert EmailStatus(Email.MailIdentifier) == emailSent and not ErrorOccurred
    EmailCloseSession("ann")


def test_an_email_that_was_never_sent_is_an_error() -> None:
    assert EmailStatus("no such identifier") == emailError
    assert ErrorOccurred and "No email with this identifier" in ErrorInfo()


def test_the_oldest_are_forgotten_first(smtp_server: SMTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_REMEMBERED", 2)
    monkeypatch.setattr(spool, "_known", {})
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    compose()
    identifiers = [Email.ID for _ in range(3) if EmailSendMessage("ann")]
    EmailCloseSession("ann")
    assert [EmailStatus(identifier) for identifier in identifiers] == [emailError, emailSent, emailSent]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emails that wait are tried again after a moment instead of some seconds."""
    policy = RetryPolicy(attempts=100, backoff=0.1, max_backoff=0.1, jitter=0)
    monkeypatch.setattr("wlsmtp.settings.config.OUTBOX_RETRY", policy)


@pytest.fixture(params=["in memory", "in files"])
def spooler(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the emails wait."""
    EmailConfigure(emailParameterSpooler, str(tmp_path) if request.param == "in files" else "")
    yield request.param


def test_emails_are_sent_in_the_background_and_closing_waits_for_them(smtp_server: SMTPServer, spooler: str) -> None:
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port, True), ErrorInfo()
    compose()
    identifiers = [Email.MailIdentifier for _ in range(20) if EmailSendMessage("ann")]
    EmailCloseSession("ann")
    assert not ErrorOccurred and len(smtp_server.messages) == 20
    assert [EmailStatus(identifier) for identifier in identifiers] == [emailSent] * 20


@pytest.mark.parametrize("asynchronous", [True, emailAsynchronous])
def test_a_server_that_cannot_be_reached_keeps_nobody_waiting(
    asynchronous: int, smtp_server_factory: Make, spooler: str
) -> None:
    server = smtp_server_factory()
    server.reply_to("CONNECT", "421 4.3.2 Later", times=3)
    session = emailSMTPSession()
    session.ServerAddress, session.Port, session.Asynchronous = server.host, server.port, asynchronous
    assert session.StartSession()
    compose()
    assert session.SendMessage()
    assert EmailStatus(Email.ID) in (emailPending, emailSent)
    server.wait_for_messages(1, timeout=30)
    session.CloseSession()
    assert EmailStatus(Email.ID) == emailSent


def test_what_is_refused_for_good_is_an_error_in_the_servers_words(smtp_server: SMTPServer, spooler: str) -> None:
    smtp_server.refuse("bob@example.org", "550 5.1.1 No such user")
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port, emailAsynchronous)
    compose()
    assert EmailSendMessage("ann")
    EmailCloseSession("ann")
    assert EmailStatus(Email.ID) == emailError
    assert ErrorOccurred and ErrorInfo(errCode) == 550 and "550 5.1.1 No such user" in ErrorInfo()


def test_what_is_wrong_with_an_email_is_told_at_once(smtp_server: SMTPServer) -> None:
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port, True)
    compose()
    Email.Sender = "nobody"
    assert EmailSendMessage("ann") is False and ErrorInfo(errCode) == 2 and "Sender" in Email.Error
    EmailCloseSession("ann")


def test_closing_loses_nothing_that_is_in_memory_only(smtp_server_factory: Make) -> None:
    server = smtp_server_factory()
    server.reply_to("CONNECT", "421 4.3.2 Later", times=3)
    assert EmailStartSMTPSession("ann", server.host, server.port, True)
    compose()
    assert EmailSendMessage("ann")
    EmailSetTimeOut("100 ms")
    EmailCloseSession("ann")
    assert ErrorOccurred and "would be lost" in ErrorInfo()
    server.wait_for_messages(1, timeout=30)
    EmailSetTimeOut(10)
    EmailCloseSession("ann")
    assert not ErrorOccurred and EmailStatus(Email.ID) == emailSent and not sessions._registry


FORGETFUL = """
    import gc, sys
    from wlsmtp.outbox.spooler import Spooler
    from wlsmtp.wlanguage import *

    EmailStartSMTPSession("ann", None, sys.argv[1], int(sys.argv[2]), True)
    Email.Sender, Email.Recipient, Email.Message = "ann@example.com", "bob@example.org", "Hi"
    EmailSendMessage("ann")
    for spooler in (one for one in gc.get_objects() if isinstance(one, Spooler)):
        spooler._close_timeout = 0.3
"""


def test_a_program_that_ends_with_unsent_emails_says_so_in_words_of_wlanguage(closed_port: int) -> None:
    process = start(FORGETFUL, "127.0.0.1", closed_port)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and errors.count("\n") == 1
    assert "The program has ended with 1 messages unsent, which are lost" in errors
    assert "Call EmailCloseSession before the end" in errors and "close()" not in errors


def test_what_is_left_in_a_file_is_sent_by_the_next_session(smtp_server_factory: Make, tmp_path: Path) -> None:
    EmailConfigure(emailParameterSpooler, str(tmp_path))
    server = smtp_server_factory()
    server.reply_to("CONNECT", "421 4.3.2 Later", times=3)
    assert EmailStartSMTPSession("a/n", server.host, server.port, True), ErrorInfo()
    compose()
    assert EmailSendMessage("a/n")
    EmailSetTimeOut("100 ms")
    EmailCloseSession("a/n")
    assert not ErrorOccurred and EmailStatus(Email.ID) in (emailPending, emailSent)
    assert [file.name for file in tmp_path.glob("*.db")] == [f"a%2Fn%40{server.host}%3A{server.port}.db"]
    assert EmailStartSMTPSession("a/n", server.host, server.port, True)
    server.wait_for_messages(1, timeout=30)
    EmailSetTimeOut(10)
    EmailCloseSession("a/n")
    assert EmailStatus(Email.ID) == emailSent


def test_another_server_under_the_same_name_leaves_no_email_behind(
    smtp_server: SMTPServer, smtp_server_factory: Make
) -> None:
    down = smtp_server_factory()
    down.reply_to("CONNECT", "421 4.3.2 Later", times=3)
    EmailSetTimeOut("100 ms")
    assert EmailStartSMTPSession("ann", down.host, down.port, True)
    compose()
    assert EmailSendMessage("ann")
    first = Email.ID
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port, True)
    assert EmailSendMessage("ann")
    smtp_server.wait_for_messages(1, timeout=30)
    EmailCloseSession("ann")
    EmailCloseSession("ann")
    down.wait_for_messages(1, timeout=30)
    EmailSetTimeOut(10)
    if sessions._registry:
        EmailCloseSession("ann")
    assert (len(down.messages), len(smtp_server.messages)) == (1, 1)
    assert EmailStatus(first) == EmailStatus(Email.ID) == emailSent and not sessions._registry


def test_a_start_that_fails_leaves_the_emails_of_the_session_alone(smtp_server_factory: Make, spooler: str) -> None:
    server, other = smtp_server_factory(), smtp_server_factory()
    server.reply_to("CONNECT", "421 4.3.2 Later", times=3)
    other.reply_to("CONNECT", "554 5.3.2 No")
    assert EmailStartSMTPSession("ann", server.host, server.port, True)
    compose()
    assert EmailSendMessage("ann")
    assert EmailStartSMTPSession("ann", other.host, other.port) is False and ErrorInfo(errCode) == 554
    server.wait_for_messages(1, timeout=30)
    EmailCloseSession("ann")
    assert EmailStatus(Email.ID) == emailSent and not sessions._registry
