"""``emailSMTPSession``: a session as a variable."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wlsmtp.testing import SMTPServer
from wlsmtp.wlanguage import *

Make = Callable[..., SMTPServer]


def variable(server: SMTPServer, name: str = "") -> emailSMTPSession:
    session = emailSMTPSession()
    session.ServerAddress, session.Port, session.Name = server.host, server.port, name
    return session


def letter() -> EmailVariable:
    message = Email()
    message.Sender, message.Recipient, message.Subject = "ann@example.com", "bob@example.org", "Hello"
    return message


def test_the_members_have_the_defaults_of_the_original() -> None:
    session = emailSMTPSession()
    assert (session.ServerAddress, session.Port, session.Name, session.Password) == ("", 25, "", "")
    assert (session.Option, session.Asynchronous, session.AuthToken) == (emailOptionDefault, emailSynchronous, "")


@pytest.mark.parametrize("start", ["StartSession", "OpenSession", "OuvreSession"])
def test_methods_start_send_and_close(start: str, smtp_server: SMTPServer) -> None:
    session = variable(smtp_server)
    assert getattr(session, start)() is True
    assert session.SendMessage(letter(), emailOptionEncodeHeader) is True
    session.CloseSession()
    assert session.SendMessage(letter()) is False and "not started" in ErrorInfo()
    assert len(smtp_server.messages) == 1


def test_functions_take_the_variable(smtp_server: SMTPServer) -> None:
    session = variable(smtp_server)
    assert EmailStartSession(session)
    assert EmailSendMessage(session, letter())
    EmailCloseSession(session)
    assert EmailSendMessage(session, letter()) is False
    assert len(smtp_server.messages) == 1


def test_functions_take_the_name_of_a_variable_that_is_started(smtp_server: SMTPServer) -> None:
    session = variable(smtp_server, "ann")
    assert session.StartSession()
    user = session.Name
    assert EmailSendMessage(user, letter())
    EmailCloseSession(user)
    assert session.SendMessage(letter()) is False
    EmailCloseSession(user)
    assert ErrorOccurred


def test_sessions_without_a_name_are_independent(smtp_server: SMTPServer, smtp_server_factory: Make) -> None:
    other = smtp_server_factory()
    one, two = variable(smtp_server), variable(other)
    assert one.StartSession() and two.StartSession()
    two.CloseSession()
    assert one.SendMessage(letter()) and two.SendMessage(letter()) is False
    one.CloseSession()
    assert (len(smtp_server.messages), len(other.messages)) == (1, 0)


def test_an_unreachable_server_is_told(smtp_server: SMTPServer) -> None:
    session = variable(smtp_server)
    smtp_server.close()
    assert session.StartSession() is False
    assert ErrorOccurred and ErrorInfo(errCode) == 3 and f"port (now {session.Port}" in ErrorInfo()


def test_starting_again_keeps_what_works_and_takes_over_what_has_changed(
    smtp_server: SMTPServer, smtp_server_factory: Make
) -> None:
    other = smtp_server_factory()
    session = variable(smtp_server)
    assert session.StartSession() and session.StartSession() and smtp_server.connections == 1
    session.Port = other.port
    assert session.StartSession() and session.SendMessage(letter())
    session.CloseSession()
    assert len(other.messages) == 1 and not smtp_server.messages


@pytest.mark.parametrize("token", ["t0ken", lambda: "t0ken"], ids=["text", "function"])
def test_a_token_goes_before_the_password(token: object, smtp_server_factory: Make) -> None:
    server = smtp_server_factory(users={"ann": "s3cret"}, tokens={"ann": "t0ken"}, require_auth=True)
    session = variable(server, "ann")
    session.Password, session.AuthToken = "wr0ng", token
    assert session.StartSession(), ErrorInfo()
    assert session.SendMessage(letter())
    session.CloseSession()
    assert server.messages[0].username == "ann"


def test_a_token_that_is_refused_or_has_no_use_makes_the_start_fail(smtp_server_factory: Make) -> None:
    for server in (smtp_server_factory(tokens={"ann": "another"}), smtp_server_factory()):
        session = variable(server, "ann")
        session.AuthToken = "t0ken"
        assert session.StartSession() is False
        assert ErrorInfo(errCode) in (535, 6) and "t0ken" not in ErrorInfo(errFullDetails)
