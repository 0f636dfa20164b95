"""A permanent problem of all emails of an asynchronous session is reported rather than waited for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wlsmtp.testing import SMTPServer
from wlsmtp.wlanguage import *
from wlsmtp.wlanguage import sessions, spool

Make = Callable[..., SMTPServer]


def compose() -> None:
    Email.Sender, Email.Recipient, Email.Subject, Email.Message = "ann@example.com", "bob@example.org", "Hello", "Hi"


@pytest.fixture(params=["in memory", "in files"])
def spooler(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the emails wait."""
    EmailConfigure(emailParameterSpooler, str(tmp_path) if request.param == "in files" else "")
    return str(request.param)


def until_it_was_tried(identifier: str) -> int:
    """Ask until the result of an email is known."""
    while (status := EmailStatus(identifier)) == emailPending:
        pass
    return status


def wrong_password(make: Make) -> tuple[Any, ...]:
    server = make(users={"ann": "right"})
    return "wrong", server.host, server.port, True


def untrusted_certificate(make: Make) -> tuple[Any, ...]:
    return None, "localhost", make(security="tls").port, True, emailOptionSecuredTLS


def no_starttls(make: Make) -> tuple[Any, ...]:
    server = make()
    return None, server.host, server.port, True, emailOptionSecuredTLS


def unknown_host(make: Make) -> tuple[Any, ...]:
    return None, "no.such.server.invalid", 25, True


def refused_client(make: Make) -> tuple[Any, ...]:
    server = make()
    server.reply_to("CONNECT", "554 5.7.1 Not you")
    return None, server.host, server.port, True


OBSTACLES = {
    wrong_password: "refused the login of 'ann'",
    untrusted_certificate: "certificate",
    no_starttls: "does not offer STARTTLS, and emailOptionSecuredTLS needs it",
    unknown_host: "no.such.server.invalid",
    refused_client: "554 5.7.1 Not you",
}
"""What no wait can mend, and a word of it."""
obstacles = pytest.mark.parametrize(
    ("obstacle", "words"), OBSTACLES.items(), ids=[function.__name__ for function in OBSTACLES]
)


@obstacles
def test_what_no_wait_can_mend_is_an_error_and_the_email_is_not_sent_later(
    obstacle: Callable[[Make], tuple[Any, ...]], words: str, smtp_server_factory: Make
) -> None:
    assert EmailStartSMTPSession("ann", *obstacle(smtp_server_factory)), ErrorInfo()
    compose()
    assert EmailSendMessage("ann")
    assert until_it_was_tried(Email.ID) == emailError
    assert words in ErrorInfo() and (ErrorInfo(errCode) != 12)
    assert EmailStatus(Email.ID) == emailError and words in ErrorInfo()
    EmailCloseSession("ann")
    assert ErrorOccurred and ErrorInfo().startswith("1 email was not sent: ") and words in ErrorInfo()
    EmailCloseSession("ann")
    assert "No SMTP session is started" in ErrorInfo()


@obstacles
def test_closing_names_what_no_wait_can_mend_and_does_not_wait_for_it(
    obstacle: Callable[[Make], tuple[Any, ...]], words: str, smtp_server_factory: Make
) -> None:
    EmailSetTimeOut(1000)
    assert EmailStartSMTPSession("ann", *obstacle(smtp_server_factory)), ErrorInfo()
    compose()
    assert EmailSendMessage("ann") and EmailSendMessage("ann")
    EmailCloseSession("ann")
    assert ErrorOccurred and ErrorInfo(errCode) == 12 and words in ErrorInfo()
    assert ErrorInfo().startswith("2 emails were not sent, and would be lost with the program: ")
    give_up("ann")


def give_up(name: str) -> None:
    """Close a session whose emails cannot be sent."""
    for identifier in list(spool._known):
        EmailStatus(identifier)
    EmailCloseSession(name)
    assert not sessions._registry


def test_in_a_file_an_email_behind_an_obstacle_waits_and_says_so(smtp_server_factory: Make, tmp_path: Path) -> None:
    EmailConfigure(emailParameterSpooler, str(tmp_path))
    server = smtp_server_factory(users={"ann": "right"})
    assert EmailStartSMTPSession("ann", "wrong", server.host, server.port, True)
    compose()
    assert EmailSendMessage("ann")
    while not ErrorOccurred:
        assert EmailStatus(Email.ID) == emailPending
    assert "refused the login of 'ann'" in ErrorInfo()
    EmailCloseSession("ann")
    assert ErrorOccurred and "stay in the spooler's file" in ErrorInfo() and "refused the login" in ErrorInfo()
    assert not sessions._registry
    assert EmailStartSMTPSession("ann", "right", server.host, server.port, True)
    EmailCloseSession("ann")
    server.wait_for_messages(1, timeout=30)
    assert not ErrorOccurred and len(server.messages) == 1


def test_a_session_that_is_started_again_with_the_right_password_sends_what_is_left(
    smtp_server_factory: Make, spooler: str
) -> None:
    server = smtp_server_factory(users={"ann": "right"})
    assert EmailStartSMTPSession("ann", "wrong", server.host, server.port, True)
    compose()
    identifiers = [Email.ID for _ in range(3) if EmailSendMessage("ann")]
    EmailCloseSession("ann")
    assert "refused the login of 'ann'" in ErrorInfo()
    assert EmailStartSMTPSession("ann", "right", server.host, server.port, True)
    server.wait_for_messages(3, timeout=30)
    EmailCloseSession("ann")
    assert not ErrorOccurred and not sessions._registry and len(server.messages) == 3
    assert [EmailStatus(identifier) for identifier in identifiers] == [emailSent] * 3


def test_a_variable_too_goes_on_with_what_is_left_once_its_password_is_right(smtp_server_factory: Make) -> None:
    server = smtp_server_factory(users={"ann": "right"})
    session = emailSMTPSession()
    session.ServerAddress, session.Port, session.Name = server.host, server.port, "ann"
    session.Password, session.Asynchronous = "wrong", True
    assert session.StartSession()
    compose()
    assert session.SendMessage()
    session.CloseSession()
    assert ErrorOccurred
    session.Password = "right"
    assert session.StartSession()
    session.CloseSession()
    assert not ErrorOccurred and EmailStatus(Email.ID) == emailSent and len(server.messages) == 1


def test_a_server_that_stays_down_is_named_each_time_the_name_is_closed(
    smtp_server: SMTPServer, smtp_server_factory: Make
) -> None:
    down = smtp_server_factory()
    down.close()
    EmailSetTimeOut("100 ms")
    assert EmailStartSMTPSession("ann", down.host, down.port, True)
    compose()
    assert EmailSendMessage("ann")
    first = Email.ID
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port, False)
    EmailCloseSession("ann")
    assert not ErrorOccurred
    for _ in range(2):
        EmailCloseSession("ann")
        assert ErrorOccurred and f":{down.port} could not be reached" in ErrorInfo()
    assert EmailStatus(first) == emailPending and not smtp_server.messages
    sessions._registry.clear()
    spool._known[first].running.session.cancel(first)  # type: ignore[union-attr]
    spool._known[first].running.session.close()  # type: ignore[union-attr]
