"""The real servers do what the tests that use them take for granted. The client is the standard library's."""

from __future__ import annotations

import base64
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from . import Daemon, ServerFailed, lives, poll
from .postfix import SIZE_LIMIT, SMALL_SIZE_LIMIT, PostfixServer

Connect = Callable[[PostfixServer], AbstractContextManager[smtplib.SMTP]]

SENDER = "sender@example.test"
TIMEOUT = 10.0
CONTENT = b"Subject: hello\r\n\r\n.A line that starts with a dot\r\n"


def tls_context(postfix: PostfixServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=postfix.ca_file)


@contextmanager
def plain(postfix: PostfixServer, host: str = "127.0.0.1") -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(host, postfix.plain_port, timeout=TIMEOUT) as client:
        client.ehlo()
        yield client


@contextmanager
def submission(postfix: PostfixServer) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(postfix.host, postfix.submission_port, timeout=TIMEOUT) as client:
        client.starttls(context=tls_context(postfix))
        client.ehlo()
        yield client


@contextmanager
def smtps(postfix: PostfixServer) -> Iterator[smtplib.SMTP]:
    context = tls_context(postfix)
    with smtplib.SMTP_SSL(postfix.host, postfix.smtps_port, timeout=TIMEOUT, context=context) as client:
        client.ehlo()
        yield client


def auth_plain(client: smtplib.SMTP, username: str, password: str) -> tuple[int, bytes]:
    # smtplib's login() cannot say a password that is not ASCII.
    response = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
    return client.docmd("AUTH", f"PLAIN {response}")


def test_a_plain_delivery_can_be_read_back_with_its_envelope(postfix: PostfixServer, mailbox: str) -> None:
    with plain(postfix) as client:
        client.sendmail(SENDER, mailbox, CONTENT)
    (message,) = postfix.wait_for_message(mailbox)
    assert f"Return-Path: <{SENDER}>\n".encode() in message
    assert f"Delivered-To: {mailbox}\n".encode() in message
    assert message.endswith(b"\n\n.A line that starts with a dot\n")


def test_every_port_answers_on_every_loopback_address(postfix: PostfixServer) -> None:
    for host in postfix.hosts:
        for port in (postfix.plain_port, postfix.small_port, postfix.submission_port, postfix.smtps_port):
            socket.create_connection((host, port), timeout=TIMEOUT).close()


def test_a_message_to_two_recipients_is_found_once_under_each(postfix: PostfixServer) -> None:
    recipients = [postfix.mailbox(), postfix.mailbox()]
    with plain(postfix) as client:
        client.sendmail(SENDER, recipients, CONTENT)
    assert [len(postfix.wait_for_message(recipient)) for recipient in recipients] == [1, 1]


def test_content_cannot_pretend_to_another_recipient(postfix: PostfixServer, mailbox: str) -> None:
    stranger = postfix.mailbox()
    with plain(postfix) as client:
        client.sendmail(SENDER, mailbox, f"Delivered-To: {stranger}\r\n".encode() + CONTENT)
    postfix.wait_for_message(mailbox)
    assert postfix.messages(stranger) == []


def test_waiting_for_mail_that_does_not_come_ends(postfix: PostfixServer, mailbox: str) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 messages"):
        postfix.wait_for_message(mailbox, timeout=0.1)


def test_the_plain_port_offers_the_extensions_that_matter_and_no_tls(postfix: PostfixServer) -> None:
    with plain(postfix) as client:
        offered = set(client.esmtp_features)
    assert offered >= {"pipelining", "size", "8bitmime", "smtputf8", "chunking", "dsn", "enhancedstatuscodes"}
    assert offered.isdisjoint({"starttls", "auth"})


def test_addresses_outside_ascii_are_delivered_to(postfix: PostfixServer) -> None:
    recipient = f"zoë-{postfix.mailbox()}"
    with plain(postfix) as client:
        client.sendmail(SENDER, recipient, CONTENT, mail_options=["SMTPUTF8"])
    assert len(postfix.wait_for_message(recipient)) == 1


def test_unknown_recipients_are_refused(postfix: PostfixServer) -> None:
    with plain(postfix) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        client.sendmail(SENDER, postfix.unknown_mailbox(), CONTENT)
    ((code, text),) = caught.value.recipients.values()
    assert (code, text[:5]) == (550, b"5.1.1")


def test_no_mail_leaves_the_domain(postfix: PostfixServer) -> None:
    with plain(postfix) as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail(SENDER, "someone@elsewhere.test", CONTENT)
    with submission(postfix) as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        auth_plain(client, postfix.username, postfix.password)
        client.sendmail(SENDER, "someone@elsewhere.test", CONTENT)


def test_a_declared_size_over_the_limit_is_refused_at_mail(postfix: PostfixServer) -> None:
    with smtplib.SMTP(postfix.host, postfix.small_port, timeout=TIMEOUT) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(SMALL_SIZE_LIMIT)
        code, text = client.mail(SENDER, [f"SIZE={SMALL_SIZE_LIMIT + 1}"])
    assert (code, text[:5]) == (552, b"5.3.4")


def test_an_undeclared_size_over_the_limit_is_refused_after_the_content(postfix: PostfixServer, mailbox: str) -> None:
    with smtplib.SMTP(postfix.host, postfix.small_port, timeout=TIMEOUT) as client:
        client.helo()
        client.mail(SENDER)
        client.rcpt(mailbox)
        code, text = client.data(CONTENT + b"x" * 70 + b"\r\n" * SMALL_SIZE_LIMIT)
    assert (code, text[:5]) == (552, b"5.3.4")


def test_the_plain_port_takes_large_messages(postfix: PostfixServer, mailbox: str) -> None:
    line = b"x" * 76 + b"\r\n"
    body = line * (SIZE_LIMIT // 2 // len(line))
    with plain(postfix) as client:
        client.sendmail(SENDER, mailbox, b"Subject: large\r\n\r\n" + body)
    (message,) = postfix.wait_for_message(mailbox)
    assert message.partition(b"\n\n")[2] == body.replace(b"\r\n", b"\n")


def test_content_with_a_bare_line_feed_is_refused(postfix: PostfixServer, mailbox: str) -> None:
    with plain(postfix) as client:
        client.mail(SENDER)
        client.rcpt(mailbox)
        client.docmd("DATA")
        client.send(b"Subject: bare\r\n\r\none\ntwo\r\n.\r\n")
        code, text = client.getreply()
    assert (code // 100, text[:5]) == (5, b"5.5.2")


def test_submission_accepts_nothing_before_tls(postfix: PostfixServer) -> None:
    with smtplib.SMTP(postfix.host, postfix.submission_port, timeout=TIMEOUT) as client:
        client.ehlo()
        assert "starttls" in client.esmtp_features
        assert "auth" not in client.esmtp_features
        assert client.mail(SENDER)[0] == 530


def test_submission_accepts_nothing_before_authentication(postfix: PostfixServer, mailbox: str) -> None:
    with submission(postfix) as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail(SENDER, mailbox, CONTENT)


@pytest.mark.parametrize("connect", [submission, smtps], ids=["starttls", "implicit tls"])
class TestAuthentication:
    def test_the_mechanisms_are_offered(self, postfix: PostfixServer, connect: Connect) -> None:
        with connect(postfix) as client:
            assert set(client.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN", "CRAM-MD5"}

    def test_the_right_password_opens_the_way(self, postfix: PostfixServer, mailbox: str, connect: Connect) -> None:
        with connect(postfix) as client:
            assert auth_plain(client, postfix.username, postfix.password)[0] == 235
            client.sendmail(SENDER, mailbox, CONTENT)
        (message,) = postfix.wait_for_message(mailbox)
        assert f"(Authenticated sender: {postfix.username})".encode() in message

    def test_a_wrong_password_does_not(self, postfix: PostfixServer, connect: Connect) -> None:
        with connect(postfix) as client:
            code, text = auth_plain(client, postfix.username, "wrong")
        assert (code, text[:5]) == (535, b"5.7.8")


def test_the_certificate_is_trusted_through_the_authority_file_only(postfix: PostfixServer) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        smtplib.SMTP_SSL(postfix.host, postfix.smtps_port, timeout=TIMEOUT, context=ssl.create_default_context())


def test_a_second_server_runs_beside_the_first_and_leaves_nothing(postfix: PostfixServer) -> None:
    second = PostfixServer()
    second.start()
    directory = second.ca_file.parent
    second.stop()
    assert not directory.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((second.host, second.plain_port), timeout=TIMEOUT)
    with plain(postfix) as client:
        assert client.noop()[0] == 250


def test_a_program_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    daemon = Daemon([sys.executable, "-c", "raise SystemExit('port is taken')"], [tmp_path / "output"])
    with pytest.raises(ServerFailed, match=r"ended with status 1:\nport is taken"):
        daemon.wait_until(lambda: False, TIMEOUT)
    daemon.stop()


def test_a_killed_test_run_leaves_no_program_behind(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, signal, sys, tests.real as real\n"
        "daemon = real.Daemon(['sleep', '600'], [pathlib.Path(sys.argv[1])])\n"
        "print(daemon.group, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, str(tmp_path / "output")]
    killed = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, timeout=TIMEOUT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert poll(lambda: not lives(int(killed.stdout)), TIMEOUT)
