"""``wlsmtp.contrib.smtplib`` for programs written for ``smtplib``; CPython's own tests are in ``tests/cpython``."""

from __future__ import annotations

import inspect
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from wlsmtp import TLS, AuthenticationFailed
from wlsmtp.contrib import smtplib as ours
from wlsmtp.testing import ScriptedPeer, SMTPServer

Factory = Callable[..., SMTPServer]


def a_message() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Bcc"] = "ann@example.com", "bob@example.org", "eve@example.net"
    message["Subject"] = "Hi"
    message.set_content("Hello")
    return message


def test_the_usual_program_runs_unchanged(smtp_server_factory: Factory) -> None:
    server = smtp_server_factory(security="tls", users={"ann": "s3cret"}, require_auth=True)
    context = ssl.create_default_context(cafile=server.ca_file)
    with ours.SMTP("localhost", server.port, timeout=10) as smtp:
        assert smtp.ehlo()[0] == 250 and smtp.has_extn("STARTTLS")
        assert smtp.starttls(context=context)[0] == 220
        smtp.ehlo_or_helo_if_needed()
        assert smtp.has_extn("auth") and not smtp.has_extn("starttls")
        assert smtp.login("ann", "s3cret")[0] == 235
        assert smtp.send_message(a_message()) == {}
        assert smtp.quit()[0] == 221
    (received,) = server.messages
    assert received.recipients == ("bob@example.org", "eve@example.net") and received.header("Bcc") is None
    assert received.username == "ann" and received.tls is not None


def test_tls_from_the_first_octet(smtp_server_factory: Factory) -> None:
    server = smtp_server_factory(security="ssl")
    context = ssl.create_default_context(cafile=server.ca_file)
    with ours.SMTP_SSL("localhost", server.port, context=context) as smtp:
        smtp.sendmail("ann@example.com", "bob@example.org", "Subject: Hi\n\nHello\n")
    assert server.messages[0].tls is not None


def test_certificates_are_verified_by_default(smtp_server_factory: Factory) -> None:
    server = smtp_server_factory(security="tls")
    with ours.SMTP("localhost", server.port) as smtp, pytest.raises(ssl.SSLCertVerificationError) as caught:
        smtp.starttls()
    assert any("certificate" in note for note in caught.value.__notes__)


def test_a_derived_class_has_settings_that_smtplib_has_no_argument_for(smtp_server_factory: Factory) -> None:
    server = smtp_server_factory(security="tls")

    class Ours(ours.SMTP):
        settings = {"tls": TLS(ca_file=server.ca_file)}

    with Ours("localhost", server.port) as smtp:
        smtp.starttls()
        smtp.send_message(a_message())
    assert server.messages[0].tls is not None


def test_a_context_that_verifies_nothing_is_the_callers_choice(smtp_server_factory: Factory) -> None:
    server = smtp_server_factory(security="tls")
    with ours.SMTP("localhost", server.port) as smtp:
        smtp.starttls(context=ssl._create_unverified_context())
        smtp.send_message(a_message())
    assert len(server.messages) == 1


def test_after_a_refused_login_another_password_may_be_tried(smtp_server_factory: Factory) -> None:
    server = smtp_server_factory(users={"ann": "s3cret"}, require_auth=True)
    with ours.SMTP(server.host, server.port) as smtp:
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            smtp.login("ann", "wrong")
        assert caught.value.smtp_code == 535 and isinstance(caught.value.__cause__, AuthenticationFailed)
        smtp.login("ann", "s3cret")
        smtp.send_message(a_message())
    assert server.messages[0].username == "ann"


def test_refusals_are_smtplibs_own(smtp_server: SMTPServer) -> None:
    smtp_server.refuse("bob@example.org")
    with ours.SMTP(smtp_server.host, smtp_server.port) as smtp:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            smtp.sendmail("ann@example.com", ["bob@example.org"], "Hello")
        assert caught.value.recipients["bob@example.org"][0] == 550
        refused = smtp.sendmail("ann@example.com", ["bob@example.org", "cleo@example.org"], "Hello")
        assert list(refused) == ["bob@example.org"]
        smtp_server.reply_to("MAIL", "451 4.3.0 Later", times=1)
        with pytest.raises(smtplib.SMTPSenderRefused) as refusal:
            smtp.sendmail("ann@example.com", ["cleo@example.org"], "Hello")
        assert (refusal.value.smtp_code, refusal.value.sender) == (451, "ann@example.com")
        smtp_server.reply_to(".", "554 5.7.1 Spam", times=1)
        with pytest.raises(smtplib.SMTPDataError):
            smtp.sendmail("ann@example.com", ["cleo@example.org"], "Hello")
    assert len(smtp_server.messages) == 1


def test_a_recipient_of_lmtp_in_doubt_does_not_pass_for_served() -> None:
    dialogue = """
        S: 220 lmtp.example.org LMTP
        C: LHLO*
        S: 250 lmtp.example.org
        C: MAIL*
        S: 250 2.1.0 Ok
        C: RCPT TO:<bob@example.org>*
        S: 250 2.1.5 Ok
        C: RCPT TO:<eve@example.net>*
        S: 250 2.1.5 Ok
        C: DATA
        S: 354 Go on
        !content
        S: 250 2.0.0 <bob@example.org> Saved
        !close
    """
    with ScriptedPeer(dialogue) as peer, ours.LMTP("127.0.0.1", peer.port) as lmtp:
        assert lmtp.send_message(a_message()) == {"eve@example.net": (-1, b"")}


def test_who_is_not_there_is_an_error_of_the_system() -> None:
    with SMTPServer() as server:
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        ours.SMTP("127.0.0.1", port)


@pytest.mark.parametrize("name", ["SMTP", "SMTP_SSL", "LMTP"])
def test_arguments_have_the_order_of_smtplib(name: str) -> None:
    theirs, own = (inspect.signature(getattr(module, name)) for module in (smtplib, ours))
    assert set(theirs.parameters) <= set(own.parameters)
    positional = [one.name for one in theirs.parameters.values() if one.kind is not one.KEYWORD_ONLY]
    assert list(own.parameters)[: len(positional)] == positional


def test_a_certificate_that_cannot_be_read_is_an_error_of_the_system(smtp_server: SMTPServer) -> None:
    with pytest.raises(OSError, match="client_cert") as caught:
        ours.SMTP_SSL(smtp_server.host, smtp_server.port, certfile="missing.pem")
    assert not isinstance(caught.value, smtplib.SMTPException)


def test_a_timeout_that_is_not_given_is_that_of_sockets(smtp_server: SMTPServer) -> None:
    """Derived classes pass the default of ``smtplib`` on."""
    default = inspect.signature(smtplib.SMTP).parameters["timeout"].default
    ours.SMTP(smtp_server.host, smtp_server.port, timeout=default).quit()
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(0.1)
    try:
        smtp_server.reply_to("EHLO", SMTPServer.SILENCE)
        with pytest.raises(smtplib.SMTPServerDisconnected, match=r"0\.1"):
            ours.SMTP(smtp_server.host, smtp_server.port)
    finally:
        socket.setdefaulttimeout(before)


def test_a_derived_class_makes_its_own_sockets(smtp_server: SMTPServer) -> None:
    class ThroughAProxy(ours.SMTP):
        def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
            assert (host, port, timeout) == ("smtp.example.com", 2525, 10)
            return socket.create_connection(smtp_server.address)

    with ThroughAProxy("smtp.example.com", 2525, timeout=10) as smtp:
        smtp.send_message(a_message())
    assert len(smtp_server.messages) == 1


def test_what_cannot_be_sent_is_an_error_of_either_kind(smtp_server: SMTPServer) -> None:
    with ours.SMTP(smtp_server.host, smtp_server.port) as smtp, pytest.raises(ours.SMTPMessageError) as caught:
        smtp.sendmail("ann@example.com", ["bob@example.org\r\nRCPT TO:<eve@example.net>"], "Hello")
    assert isinstance(caught.value, smtplib.SMTPException) and isinstance(caught.value, ValueError)


def test_options_are_the_sessions_or_an_error(smtp_server: SMTPServer) -> None:
    with ours.SMTP(smtp_server.host, smtp_server.port) as smtp:
        smtp.sendmail("ann@example.com", ["bob@example.org"], b"Hello", mail_options=["BODY=8BITMIME", "SMTPUTF8"])
        with pytest.raises(smtplib.SMTPNotSupportedError, match="NOTIFY"):
            smtp.sendmail("ann@example.com", ["bob@example.org"], b"Hello", rcpt_options=["NOTIFY=NEVER"])
        with pytest.raises(smtplib.SMTPNotSupportedError):
            smtp.docmd("EXPN", "staff")
        with pytest.raises(smtplib.SMTPNotSupportedError):
            smtp.getreply()
    assert len(smtp_server.messages) == 1


def test_names_without_a_domain_are_for_the_server_to_judge(smtp_server: SMTPServer) -> None:
    with ours.SMTP(smtp_server.host, smtp_server.port) as smtp:
        smtp.sendmail("cron", ["root"], "Subject: Report\n\nAll is well\n")
    assert smtp_server.messages[0].recipients == ("root",)


def test_a_connection_that_died_is_replaced(smtp_server: SMTPServer) -> None:
    with ours.SMTP(smtp_server.host, smtp_server.port) as smtp:
        smtp.send_message(a_message())
        smtp_server.reply_to("NOOP", SMTPServer.CLOSE, times=1)
        assert smtp.noop()[0] in (220, 250)
        smtp.send_message(a_message())
    assert len(smtp_server.messages) == 2 and smtp_server.connections == 2


def test_a_debug_level_shows_the_conversation(smtp_server: SMTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    smtp_server.users["ann"] = "s3cret"
    smtp = ours.SMTP()
    smtp.set_debuglevel(1)
    smtp.connect(smtp_server.host, smtp_server.port)
    smtp.login("ann", "s3cret")
    smtp.quit()
    shown = capsys.readouterr().err
    assert "send: EHLO" in shown and "reply: 221" in shown and "s3cret" not in shown


def test_without_a_connection_it_says_what_smtplib_says() -> None:
    for method in (ours.SMTP().noop, ours.SMTP().quit, ours.SMTP().ehlo):
        with pytest.raises(smtplib.SMTPServerDisconnected, match="run connect"):
            method()


PACKAGE_OF_OTHERS = """
import sys
import wlsmtp.contrib.smtplib
sys.modules["smtplib"] = wlsmtp.contrib.smtplib
import logging
from logging.handlers import SMTPHandler  # imports smtplib
handler = SMTPHandler(("127.0.0.1", int(sys.argv[1])), "ann@example.com", ["root"], "Alarm")
handler.handleError = lambda record: sys.exit("failed")
logging.getLogger("wlsmtp").setLevel("INFO")
logging.getLogger("wlsmtp").addHandler(logging.StreamHandler())
logging.getLogger("program").addHandler(handler)
logging.getLogger("program").error("The disk is full")
"""


def test_a_package_that_imports_smtplib_gets_it_without_knowing(smtp_server: SMTPServer) -> None:
    command = [sys.executable, "-c", PACKAGE_OF_OTHERS, str(smtp_server.port)]
    run = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    [message] = smtp_server.messages
    assert message.recipients == ("root",) and "connected to 127.0.0.1" in run.stderr  # as a session says
    assert ours.SMTP_PORT == smtplib.SMTP_PORT and ours.SMTPException is smtplib.SMTPException
