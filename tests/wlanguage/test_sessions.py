"""Sessions by the name of their user: started, used, shared, closed."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wlsmtp import wlanguage
from wlsmtp.testing import SILENCE, SMTPServer
from wlsmtp.wlanguage import *
from wlsmtp.wlanguage import sessions

Make = Callable[..., SMTPServer]


def compose() -> None:
    Email.Sender, Email.Recipient, Email.Subject, Email.Message = "ann@example.com", "bob@example.org", "Hello", "Hi"


def started(server: SMTPServer, *arguments: Any) -> bool:
    """Whether a session for ann is started with a password."""
    return EmailStartSMTPSession("ann", "s3cret", server.host, server.port, *arguments)


def test_an_email_is_sent_by_the_name_of_the_user(smtp_server: SMTPServer) -> None:
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port) is True
    compose()
    assert EmailSendMessage("ann") is True
    message = Email()
    message.Sender, message.Recipient, message.Subject = "ann@example.com", "eve@example.org", "Second"
    assert EmailSendMessage("ann", message) is True
    EmailCloseSession("ann")
    assert [mail.header("Subject") for mail in smtp_server.messages] == ["Hello", "Second"]
    assert smtp_server.connections == 1
    assert message.ID == message.MailIdentifier == message.AsynchronousEmailIdentifier != Email.ID


def test_a_session_that_is_closed_or_was_never_started_sends_nothing(smtp_server: SMTPServer) -> None:
    compose()
    assert EmailSendMessage("ann") is False and "No SMTP session is started by the name of 'ann'" in ErrorInfo()
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    EmailCloseSession("ann")
    assert not ErrorOccurred
    assert EmailSendMessage("ann") is False and EmailSend("ann", __file__) is False
    EmailCloseSession("ann")
    assert ErrorOccurred and not smtp_server.messages


@pytest.mark.parametrize("mechanisms", [("LOGIN",), ("PLAIN",), ("PLAIN", "LOGIN", "CRAM-MD5")])
def test_login_and_plain_authenticate(mechanisms: tuple[str, ...], smtp_server_factory: Make) -> None:
    server = smtp_server_factory(users={"ann": "s3cret"}, mechanisms=mechanisms, require_auth=True)
    assert started(server), ErrorInfo()
    compose()
    assert EmailSendMessage("ann"), ErrorInfo()
    EmailCloseSession("ann")
    assert server.messages[0].username == "ann"


@pytest.mark.parametrize("mechanisms", [("LOGIN",), ("PLAIN", "CRAM-MD5")])
def test_where_one_of_them_is_offered_and_refused_the_start_fails(
    mechanisms: tuple[str, ...], smtp_server_factory: Make
) -> None:
    server = smtp_server_factory(users={"ann": "another"}, mechanisms=mechanisms)
    assert started(server) is False
    assert ErrorOccurred and ErrorInfo(errCode) == 535 and "s3cret" not in ErrorInfo(errFullDetails)
    assert EmailSendMessage("ann") is False


@pytest.mark.parametrize("mechanisms", [("CRAM-MD5",), ()])
def test_where_neither_is_offered_the_session_goes_on_without(
    mechanisms: tuple[str, ...], smtp_server_factory: Make
) -> None:
    users = {"ann": "another"} if mechanisms else None
    server = smtp_server_factory(users=users, mechanisms=mechanisms)
    assert started(server), ErrorInfo()
    compose()
    assert EmailSendMessage("ann"), ErrorInfo()
    EmailCloseSession("ann")
    assert server.messages[0].username is None
    assert not [line for _, side, line in server.transcript if side == "C" and line.startswith(b"AUTH")]


def test_a_password_is_not_sent_in_the_clear_until_that_is_asked_for(
    smtp_server_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wlsmtp.smtp.authentication.is_loopback", lambda ip: False)
    server = smtp_server_factory(users={"ann": "s3cret"})
    assert started(server) is False
    assert ErrorInfo(errCode) == 6 and "EmailConfigure(emailParameterClearPassword, 1)" in ErrorInfo()
    EmailConfigure(emailParameterClearPassword, 1)
    assert started(server), ErrorInfo()
    EmailCloseSession("ann")


@pytest.mark.parametrize(("security", "option"), [("tls", emailOptionSecuredTLS), ("ssl", OptionSSL)])
def test_the_options_secure_the_session(security: str, option: int, smtp_server_factory: Make) -> None:
    server = smtp_server_factory(security=security, users={"ann": "s3cret"})
    EmailConfigure(emailParameterCAFile, server.ca_file or "")
    assert EmailStartSMTPSession("ann", "s3cret", "localhost", server.port, False, option), ErrorInfo()
    compose()
    assert EmailSendMessage("ann")
    EmailCloseSession("ann")
    assert server.messages[0].tls


def test_without_an_option_tls_is_used_when_offered_unless_switched_off(smtp_server_factory: Make) -> None:
    server = smtp_server_factory(security="tls")
    assert EmailStartSMTPSession("ann", "localhost", server.port) is False
    assert ErrorInfo(errCode) == 5 and "EmailConfigure(emailParameterOpportunisticTLS, 0)" in ErrorInfo()
    EmailConfigure(emailParameterOpportunisticTLS, 0)
    assert EmailStartSMTPSession("ann", "localhost", server.port), ErrorInfo()
    EmailCloseSession("ann")


def test_a_silent_server_fails_in_time_and_the_firewall_is_named(smtp_server: SMTPServer) -> None:
    smtp_server.reply_to("CONNECT", SILENCE)
    EmailSetTimeOut("100 ms")
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port) is False
    assert ErrorInfo(errCode) == 4
    assert f"firewall on the port used ({smtp_server.port})" in ErrorInfo()


def test_an_email_is_offered_once(smtp_server: SMTPServer) -> None:
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    smtp_server.reply_to(".", "451 4.3.0 Later")
    compose()
    assert EmailSendMessage("ann") is False
    assert ErrorInfo(errCode) == 451 and "451 4.3.0 Later" in Email.Error
    EmailCloseSession("ann")
    assert sum(line.startswith(b"MAIL") for _, _, line in smtp_server.transcript) == 1


def test_an_email_that_may_have_arrived_is_told_apart(smtp_server: SMTPServer) -> None:
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    smtp_server.reply_to(".", SMTPServer.CLOSE)
    compose()
    assert EmailSendMessage("ann") is False and ErrorInfo(errCode) == 10
    EmailCloseSession("ann")


def test_all_recipients_get_it_or_none(smtp_server: SMTPServer) -> None:
    smtp_server.refuse("eve@example.org")
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    compose()
    Add(Email.Recipient, "eve@example.org")
    assert EmailSendMessage("ann") is False and ErrorInfo(errCode) == 550
    assert "eve@example.org: refused 550" in ErrorInfo(errFullDetails)
    Email.NbRecipient = 1
    assert EmailSendMessage("ann") is True and Email.Error == ""
    EmailCloseSession("ann")
    assert len(smtp_server.messages) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ann", "a server"), "ServerAddress: must be a host name"),
        (("ann", ""), "ServerAddress: is empty"),
        (("ann", "s3cret", "a server"), "ServerAddress: must be a host name"),
        (("ann", "s3cret", "127.0.0.1", 70000), "Port: must be a number from 1 to 65535"),
        (("ann", "s3cret", "127.0.0.1", 25, False, 1), "Option: must be one of"),
        (("ann", "s3cret", "127.0.0.1", "70000"), "Port: must be a number from 1 to 65535"),
        (("", "s3cret", "127.0.0.1"), "Name: is missing"),
    ],
)
def test_arguments_that_cannot_be_are_told_and_nothing_is_started(arguments: tuple[Any, ...], words: str) -> None:
    assert EmailStartSMTPSession(*arguments) is False
    assert words in ErrorInfo() and "s3cret" not in ErrorInfo(errFullDetails)
    assert not sessions._registry


def test_a_name_stands_for_its_session_until_all_have_closed_it(smtp_server: SMTPServer) -> None:
    for _ in range(2):
        assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    compose()
    EmailCloseSession("ann")
    assert not ErrorOccurred and EmailSendMessage("ann")
    EmailCloseSession("ann")
    assert EmailSendMessage("ann") is False


def test_with_other_settings_the_new_session_takes_the_name(smtp_server: SMTPServer, smtp_server_factory: Make) -> None:
    other = smtp_server_factory()
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    assert EmailStartSMTPSession("ann", other.host, other.port)
    compose()
    assert EmailSendMessage("ann") and (len(smtp_server.messages), len(other.messages)) == (0, 1)
    EmailCloseSession("ann")
    EmailCloseSession("ann")
    assert not sessions._registry


def test_a_start_that_fails_leaves_the_session_of_that_name_alone(
    smtp_server: SMTPServer, smtp_server_factory: Make
) -> None:
    other = smtp_server_factory()
    other.reply_to("CONNECT", "554 5.3.2 No")
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    assert EmailStartSMTPSession("ann", other.host, other.port) is False and ErrorInfo(errCode) == 554
    compose()
    assert EmailSendMessage("ann") and len(smtp_server.messages) == 1
    EmailCloseSession("ann")


def test_threads_that_use_the_same_name_do_not_close_each_others_session(smtp_server: SMTPServer) -> None:
    results: list[bool] = []

    def work() -> None:
        for _ in range(5):
            results.append(EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port))
            compose()
            results.append(EmailSendMessage("ann"))
            EmailCloseSession("ann")
            results.append(not ErrorOccurred)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 120 and len(smtp_server.messages) == 40
    assert not sessions._registry


def test_a_file_is_sent_as_it_is_to_those_it_names(smtp_server: SMTPServer, tmp_path: Path) -> None:
    file = tmp_path / "mail.eml"
    file.write_bytes(b"From: ann@example.com\r\nTo: bob@example.org\r\nBcc: eve@example.org\r\nX-Own: 1\r\n\r\nHi\r\n")
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    assert EmailSend("ann", str(file)), ErrorInfo()
    assert EmailStatus(Email.MailIdentifier) == emailSent
    assert EmailSend("ann", str(tmp_path / "other.eml")) is False and "cannot be read" in ErrorInfo()
    EmailCloseSession("ann")
    (mail,) = smtp_server.messages
    assert mail.recipients == ("bob@example.org", "eve@example.org")
    assert mail.header("X-Own") == "1" and mail.header("Bcc") is None


WRONG: list[Callable[[], object]] = [
    lambda: EmailStartSMTPSession("ann"),  # type: ignore[call-overload]
    lambda: EmailStartSMTPSession("ann", None),  # type: ignore[call-overload]
    lambda: EmailStartSMTPSession("ann", "s3cret", "localhost", 25, False, 0, 0),  # type: ignore[call-overload]
    lambda: EmailStartSMTPSession("ann", "s3cret", "localhost", server="localhost"),  # type: ignore[call-overload]
    lambda: EmailStartSMTPSession("ann", host="localhost"),  # type: ignore[call-overload]
    lambda: EmailStartSMTPSession(5, "localhost"),  # type: ignore[call-overload]
    lambda: EmailStartSMTPSession("ann", "s3cret", "localhost", [25]),  # type: ignore[call-overload]
    lambda: EmailStartSMTPSession("ann", "s3cret", "localhost", 25, "yes"),  # type: ignore[call-overload]
    lambda: EmailStartSMTPSession("ann", "s3cret", "localhost", 25, False, "TLS"),  # type: ignore[call-overload]
    lambda: EmailStartSMTPSession("ann", b"s3cret", "localhost"),  # type: ignore[call-overload]
    lambda: EmailStartSession("ann"),  # type: ignore[call-overload]
    lambda: EmailStartSession(None, "s3cret", "pop3.example.com"),  # type: ignore[call-overload]
    lambda: EmailSend("ann", 5),  # type: ignore[arg-type]
    lambda: EmailSend("ann", None),  # type: ignore[arg-type]
    lambda: EmailStatus([]),  # type: ignore[arg-type]
    lambda: EmailStatus(7),  # type: ignore[arg-type]
    lambda: EmailBuildSource(None, "all"),  # type: ignore[arg-type]
    lambda: emailSMTPSession().SendMessage(Email, "all"),  # type: ignore[arg-type]
    lambda: EmailConfigure([], 1),  # type: ignore[arg-type]
    lambda: EmailConfigure(emailParameterCAFile, None),  # type: ignore[arg-type]
    lambda: EmailSetTimeOut([10]),  # type: ignore[arg-type]
    lambda: EmailCheckAddress(None),  # type: ignore[arg-type]
    lambda: EmailCheckAddress("ann@example.com", "strict"),  # type: ignore[arg-type]
    lambda: EmailImportHTML(None, b"<p>"),  # type: ignore[arg-type]
    lambda: EmailImportSource(None, 5),  # type: ignore[arg-type]
    lambda: EmailLoadAttachment(None, 5),  # type: ignore[arg-type]
    lambda: ErrorInfo("message"),  # type: ignore[arg-type]
    lambda: Add({}, "ann@example.com"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("call", WRONG)
def test_arguments_of_a_wrong_type_or_number_stop_the_program(call: Callable[[], object]) -> None:
    with pytest.raises(WLanguageError) as caught:
        call()
    assert "s3cret" not in str(caught.value)
    assert not re.search(r"\b(?:str|int|bytes|bool|list|dict|NoneType)\b", str(caught.value))
    assert not sessions._registry


@pytest.mark.parametrize("call", [WRONG[0], *WRONG[2:5], EmailStatus, EmailSendMessage, EmailStartSession])
def test_a_wrong_number_of_arguments_is_pythons_own_error_as_well(call: Callable[..., object]) -> None:
    with pytest.raises(TypeError):
        call()


FUNCTIONS: list[Callable[..., object]] = sorted(
    {value for name in wlanguage.__all__ if inspect.isfunction(value := getattr(wlanguage, name))}
    - {Error, Info, Trace},
    key=lambda function: function.__name__,
)
NEED_NONE = (EmailReset, EmailGetTimeOut, ErrorInfo, EmailBuildSource, EmailImportSource)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_wrong_number_of_arguments_stops_the_program_in_every_function(function: Callable[..., object]) -> None:
    for arguments in [(None,) * 9, *([] if function in NEED_NONE else [()])]:
        with pytest.raises(WLanguageError):
            function(*arguments)
        with pytest.raises(WLanguageError):
            function(*arguments, no_such_argument=1)


def test_a_wrong_number_of_arguments_stops_the_program_in_methods() -> None:
    variable, email = emailSMTPSession(), Email()
    methods: list[Callable[..., object]] = [
        variable.StartSession, variable.SendMessage, variable.CloseSession, variable.OuvreSession,
        email.BuildSource, email.ImportSource, email.ImportHTML, email.LoadAttachment, email.ConstruitSource,
        email.Recipient.Add, email.Recipient.Ajoute,
    ]  # fmt: skip
    for method in methods:
        with pytest.raises(WLanguageError, match="takes"):
            method(None, None, None, None, None)


def test_a_type_error_from_within_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise TypeError("internal error")

    monkeypatch.setattr(sessions, "_find", broken)
    with pytest.raises(TypeError, match="internal error"):
        EmailSendMessage("ann")


@pytest.mark.parametrize(
    ("arguments", "member"),
    [
        (("ann", "s3cret", None, 25), "ServerAddress"),
        (("ann", "s3cret", None, "25", False), "ServerAddress"),
        (("ann", "s3cret", None), "ServerAddress"),
        (("ann", "server.example", 25, None), "Asynchronous"),
        (("ann", "s3cret", "server.example", None), "Port"),
        ((None, "s3cret", "server.example"), "Name"),
    ],
)
def test_the_argument_that_is_null_is_the_one_that_is_named(arguments: tuple[Any, ...], member: str) -> None:
    with pytest.raises(WLanguageError, match=rf"\.{member}: must be .* not Null"):
        EmailStartSMTPSession(*arguments)
    assert not sessions._registry


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("ann",), {}),
        (("ann", None), {}),
        (("ann", "s3cret"), {}),
        (("ann",), {"password": "s3cret"}),
        ((), {"user": "ann", "password": "s3cret"}),
    ],
)
def test_arguments_are_given_by_place_or_by_name(
    arguments: tuple[Any, ...], named: dict[str, Any], smtp_server_factory: Make
) -> None:
    server = smtp_server_factory(users={"ann": "s3cret"})
    port = str(server.port)
    ways: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {"server": server.host, "port": port}),
        ((), {"server": server.host, "port": server.port, "asynchronous": False, "option": emailOptionDefault}),
    ]
    if not named:
        ways += [((server.host, port), {}), ((server.host, server.port), {}), ((server.host,), {"port": port})]
    for more, others in ways:
        start: Callable[..., bool] = EmailStartSMTPSession
        assert start(*arguments, *more, **named, **others), ErrorInfo()
        compose()
        assert EmailSendMessage("ann"), ErrorInfo()
        EmailCloseSession("ann")
        EmailStartSMTPSession(User="x", SERVER="no.such.server.invalid")  # type: ignore[call-overload]
        assert "no.such.server.invalid" in ErrorInfo()
    has_password = "s3cret" in (*arguments, *named.values())
    assert {mail.username for mail in server.messages} == {"ann" if has_password else None}


def test_of_the_form_with_a_pop3_server_the_half_that_sends_is_started(smtp_server_factory: Make) -> None:
    server = smtp_server_factory(users={"ann": "s3cret"}, require_auth=True)
    assert EmailStartSession("ann", "s3cret", "pop3.invalid", server.host, 110, server.port), ErrorInfo()
    compose()
    assert EmailSendMessage("ann") and server.messages[0].username == "ann"
    EmailCloseSession("ann")
    assert EmailStartSession("ann", "s3cret", "pop3.invalid", server.host, 110, server.port, True), ErrorInfo()
    assert EmailSendMessage("ann")
    EmailCloseSession("ann")
    assert EmailStatus(Email.ID) == emailSent
    assert EmailStartSession(
        user="ann", password="s3cret", pop3="pop3.invalid", smtp=server.host, smtp_port=str(server.port)
    ), ErrorInfo()
    EmailCloseSession("ann")


@pytest.mark.parametrize(
    ("arguments", "named", "words"),
    [
        (("ann", "s3cret", "pop3.invalid", "smtp.invalid", "abc"), {}, "pop3_port: must be a whole number"),
        (("ann", "s3cret", 5), {}, "pop3: must be a character string"),
        (("ann", "s3cret"), {}, "takes an emailSMTPSession variable, or user, password, pop3, smtp"),
        (("ann", "s3cret", "pop3.invalid"), {"user": "ann"}, "takes an emailSMTPSession variable"),
        (("ann", "s3cret", "pop3.invalid"), {"port": 25}, "takes an emailSMTPSession variable"),
    ],
)
def test_its_arguments_are_checked(arguments: Any, named: Any, words: str) -> None:
    with pytest.raises(WLanguageError, match=words):
        EmailStartSession(*arguments, **named)


def test_without_an_smtp_server_it_is_the_pop3_server_that_sends() -> None:
    assert EmailStartSession("ann", "s3cret", "no.such.server.invalid") is False
    assert "no.such.server.invalid" in ErrorInfo()


READING = [EmailReadMessage, EmailReadFirst, EmailReadNext, EmailReadPrevious, EmailReadLast, EmailSeekFirst]
READING += [EmailReadFirstHeader, EmailReadNextHeader, EmailReadPreviousHeader, EmailReadLastHeader]
IN_FRENCH = [EmailLitMessage, EmailLitPremier, EmailLitSuivant, EmailLitPrécédent, EmailLitDernier, EmailCherchePremier]
IN_FRENCH += [EmailLitEntêtePremier, EmailLitEntêteSuivant, EmailLitEntêtePrécédent, EmailLitEntêteDernier]


def test_the_functions_that_read_have_french_names() -> None:
    assert IN_FRENCH == READING


@pytest.mark.parametrize("read", READING, ids=lambda read: read.__name__)
def test_reading_is_an_error_that_says_to_use_pop3_or_imap(read: Any, smtp_server: SMTPServer) -> None:
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    with pytest.raises(WLanguageError, match=rf"{read.__name__}: .* only sends mail; use POP3 .* or IMAP"):
        read("ann")
    assert ErrorOccurred and "POP3" in ErrorInfo()
    EmailCloseSession("ann")


@pytest.mark.parametrize("session", [None, 1, SMTPServer])
def test_what_is_no_session_is_an_error(session: Any) -> None:
    for function in (EmailSendMessage, EmailCloseSession, lambda session: EmailSend(session, __file__)):
        with pytest.raises(WLanguageError, match="a session is a user name or an emailSMTPSession"):
            function(session)


def test_what_is_no_email_is_an_error(smtp_server: SMTPServer) -> None:
    assert EmailStartSMTPSession("ann", smtp_server.host, smtp_server.port)
    compose()
    with pytest.raises(WLanguageError, match="an email is an Email variable, not a character string"):
        EmailSendMessage("ann", "Hello")  # type: ignore[arg-type]
    EmailCloseSession("ann")
    assert not smtp_server.messages
