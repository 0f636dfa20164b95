"""A site of Django that sends over wlsmtp."""

from __future__ import annotations

import asyncio
import os
import pickle
import smtplib
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django")

from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, EmailMultiAlternatives, send_mail, send_mass_mail
from django.views.debug import ExceptionReporter

from tests.contrib import project
from tests.contrib.site import HAS_MAILERS, backend, mail_settings
from tests.lifecycle.child import in_child
from wlsmtp import ConfigError, PoolLimits, RetryPolicy, Status, Timeouts
from wlsmtp.contrib import django as ours
from wlsmtp.contrib.django import EmailBackend, receipt_of
from wlsmtp.testing import SMTPServer

SENDER, BOB = "ann@example.com", "bob@example.org"


@pytest.fixture(autouse=True)
def no_session_of_another_test() -> Iterator[None]:
    project.configure()
    yield
    ours.kept.close_all()


def to_bob(subject: str = "Hi", **more: Any) -> EmailMessage:
    return EmailMessage(subject, "Hello", SENDER, more.pop("to", [BOB]), **more)


def only_with(has_it: bool) -> Callable[[Callable[..., None]], Callable[..., None] | None]:
    """The test, for the Django that has what it is about: the other one is asked by ``make test-other``."""
    return lambda test: test if has_it else None


def commands(server: SMTPServer, verb: bytes) -> int:
    return sum(who == "C" and line.upper().startswith(verb) for _, who, line in server.transcript)


def test_a_hundred_calls_of_send_mail_use_one_connection(smtp_server: SMTPServer) -> None:
    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        assert [send_mail(f"{number}", "Hello", SENDER, [BOB]) for number in range(100)] == [1] * 100
    assert [message.header("Subject") for message in smtp_server.messages] == [f"{number}" for number in range(100)]
    assert smtp_server.connections == 1


def test_threads_share_the_session(smtp_server: SMTPServer) -> None:
    def send() -> None:
        barrier.wait()
        for _ in range(5):
            send_mail("Hi", "Hello", SENDER, [BOB])

    with mail_settings(host=smtp_server.host, port=smtp_server.port, pool=PoolLimits(max_connections=2)):
        threads = [threading.Thread(target=send) for _ in range(8)]
        barrier = threading.Barrier(len(threads))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(smtp_server.messages) == 40
    assert smtp_server.connections <= 2


def letters() -> list[EmailMessage]:
    fixed = {"Date": "Sun, 29 Nov 2026 12:00:00 -0000", "Message-ID": "<1@example.com>"}
    with_parts = EmailMultiAlternatives("Grüße", "Zeile\n.\nEnde\n", '"Änn" <ann@bücher.example>', [BOB], headers=fixed)
    with_parts.attach_alternative("<p>Hällo</p>", "text/html")
    with_parts.attach("a.bin", bytes(range(256)), "application/octet-stream")
    return [
        to_bob(headers=fixed),
        to_bob("é" * 100, bcc=["carol@example.net"], cc=['"Dan, D." <dan@bücher.example>'], headers=fixed),
        EmailMessage("Hi", "ü" * 2000, SENDER, [BOB], reply_to=["r@example.com"], headers=fixed),
        with_parts,
    ]


def test_what_arrives_is_what_djangos_own_backend_sends(smtp_server: SMTPServer) -> None:
    boundary = b"BOUNDARY"

    def sent_by(path: str) -> list[tuple[str, tuple[str, ...], bytes]]:
        smtp_server.messages.clear()
        with mail_settings(backend=path, host=smtp_server.host, port=smtp_server.port):
            for letter in letters():
                letter.send()
        found = []
        for message in smtp_server.messages:
            content = message.content
            for part in filter(None, (part.get_boundary() for part in message.email.walk())):
                content = content.replace(part.encode(), boundary)
            found.append((message.sender, message.recipients, content))
        return found

    theirs = sent_by("django.core.mail.backends.smtp.EmailBackend")
    assert sent_by("wlsmtp.contrib.django.EmailBackend") == theirs
    assert len(theirs) == 4


def test_names_without_a_domain_are_left_to_the_server(smtp_server: SMTPServer) -> None:
    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        EmailMessage("Hi", "Hello", "cron", ["root"]).send()
    assert (smtp_server.messages[0].sender, smtp_server.messages[0].recipients) == ("cron", ("root",))


def test_the_number_returned_is_that_of_accepted_messages(smtp_server: SMTPServer) -> None:
    smtp_server.refuse("no@example.net")
    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        partly = to_bob(to=[BOB, "no@example.net"])
        nobody = EmailMessage("Hi", "Hello", SENDER, [])
        assert backend().send_messages([partly, nobody, to_bob()]) == 2
        assert backend().send_messages([]) == 0
    receipt = receipt_of(partly)
    assert receipt is not None and receipt.status is Status.PARTIAL
    assert partly.wlsmtp_receipt is receipt  # type: ignore[attr-defined]
    assert receipt_of(nobody) is None


def test_a_refused_message_does_not_stop_the_others_and_is_raised_in_the_end(smtp_server: SMTPServer) -> None:
    smtp_server.refuse("no@example.net")
    mails = [to_bob("1"), to_bob("2", to=["no@example.net"]), to_bob("3")]
    refused = pytest.raises(smtplib.SMTPRecipientsRefused)
    with mail_settings(host=smtp_server.host, port=smtp_server.port), refused as caught:
        backend().send_messages(mails)
    assert [message.header("Subject") for message in smtp_server.messages] == ["1", "3"]
    receipts = [receipt_of(message) for message in mails]
    assert [receipt.status for receipt in receipts if receipt is not None] == [Status.SENT, Status.ERROR, Status.SENT]
    assert caught.value.recipients == {"no@example.net": (550, b"5.1.1 No such user here")}
    assert receipts[1] is not None and str(receipts[1].error) == str(caught.value)


@pytest.mark.parametrize(
    ("stage", "reply", "kind"),
    [
        ("MAIL", "550 5.7.1 Not you", smtplib.SMTPSenderRefused),
        ("RCPT", "550 5.1.1 Nobody", smtplib.SMTPRecipientsRefused),
        (".", "554 5.7.1 Spam", smtplib.SMTPDataError),
        ("CONNECT", "554 5.3.2 Closed", smtplib.SMTPResponseException),
    ],
)
def test_an_error_is_also_the_exception_of_smtplib(
    smtp_server: SMTPServer, stage: str, reply: str, kind: type[smtplib.SMTPException]
) -> None:
    smtp_server.reply_to(stage, reply)
    with mail_settings(host=smtp_server.host, port=smtp_server.port), pytest.raises(kind) as caught:
        to_bob().send()
    assert caught.value.smtp_code == int(reply[:3])  # type: ignore[attr-defined]
    assert caught.value.smtp_error == reply[4:].encode()  # type: ignore[attr-defined]
    assert isinstance(caught.value, OSError) and "hint" in vars(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and type(again).__module__ == "wlsmtp.errors"


def test_a_login_that_is_refused_is_an_smtpauthenticationerror() -> None:
    with SMTPServer(users={"ann": "right"}) as server:
        settings = mail_settings(host=server.host, port=server.port, username="ann", password="s3cret")
        with settings, pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            to_bob().send()
        assert caught.value.smtp_code == 535 and "s3cret" not in str(caught.value)


def test_a_certificate_that_is_not_trusted_is_an_sslerror_and_an_smtpexception() -> None:
    refused = pytest.raises(ssl.SSLError)
    with SMTPServer(security="ssl") as server, mail_settings(port=server.port, use_ssl=True), refused as caught:
        to_bob().send()
    assert isinstance(caught.value, smtplib.SMTPException)


NOT_THERE: dict[str, Any] = {"url": "smtp://127.0.0.1:9", "retry": RetryPolicy(attempts=1)}


def test_a_server_that_is_down_is_a_connectionerror() -> None:
    with mail_settings(**NOT_THERE), pytest.raises(ConnectionError) as caught:
        to_bob().send()
    assert isinstance(caught.value, smtplib.SMTPServerDisconnected)


def test_fail_silently_hides_what_the_server_and_the_network_do_and_no_mistake_of_the_program() -> None:
    silence: dict[str, Any] = {"fail_silently": True} if HAS_MAILERS else {}
    with mail_settings(**NOT_THERE, **silence):
        silent = backend() if HAS_MAILERS else mail.get_connection(fail_silently=True)
        assert silent.send_messages([to_bob(), to_bob()]) == 0
        assert silent.send_messages([to_bob()]) == 0
        assert silent.open() is None
        with pytest.raises(ValueError, match="Invalid address"):
            silent.send_messages([to_bob(bcc=["x@y@z"])])


def test_letters_before_the_at_that_are_not_ascii_are_not_made_another_address(smtp_server: SMTPServer) -> None:
    with mail_settings(host=smtp_server.host, port=smtp_server.port), pytest.raises(ValueError, match="non-ASCII"):
        to_bob(bcc=["nø@example.dk"]).send()
    assert not smtp_server.messages


def test_a_receipt_of_an_earlier_send_is_not_that_of_one_that_failed(smtp_server: SMTPServer) -> None:
    message = to_bob()
    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        message.send()
    with mail_settings(**NOT_THERE), pytest.raises(ConnectionError):
        EmailMessage.send(message) if HAS_MAILERS else backend().send_messages([message])
    assert receipt_of(message) is None or receipt_of(message).status is Status.ERROR  # type: ignore[union-attr]


def test_a_connection_that_is_opened_is_that_of_the_session(smtp_server: SMTPServer) -> None:
    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        with backend() as connection:
            assert connection.connection is connection.session
            assert connection.open() is False
            connection.send_messages([to_bob()])
        assert connection.connection is None
        to_bob().send()
    assert smtp_server.connections == 1


@only_with(not HAS_MAILERS)  # a mailer is not made with arguments
def test_a_backend_with_a_user_of_its_own_has_a_session_of_its_own(smtp_server: SMTPServer) -> None:
    smtp_server.users["carol"] = "pw"
    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        to_bob().send()
        own = EmailBackend(host=smtp_server.host, port=smtp_server.port, username="carol", password="pw")
        assert own.send_messages([to_bob()]) == 1
        to_bob().send()
        with own:
            own.send_messages([to_bob()])
            own.send_messages([to_bob()])
    assert [message.username for message in smtp_server.messages] == [None, "carol", None, "carol", "carol"]
    assert smtp_server.connections == 3


def test_settings_that_change_make_another_session() -> None:
    with SMTPServer() as one, SMTPServer() as other:
        for server in (one, other, one):
            with mail_settings(host=server.host, port=server.port):
                to_bob().send()
        assert (len(one.messages), len(other.messages)) == (2, 1)
        assert commands(one, b"QUIT") == commands(other, b"QUIT") == 1


def config_of(**settings: Any) -> Any:
    with mail_settings(**settings):
        return backend().config


def test_settings_are_those_of_a_session() -> None:
    config = config_of(url="smtp+tls://ann:pw@mail.example.com:2525?timeout=7", partial="abort")
    assert (config.address, config.security, config.partial) == ("mail.example.com:2525", "tls", "abort")
    assert config.timeout == Timeouts.of(7)
    config = config_of(preset="gmail", username="ann@gmail.com", password="pw")
    assert (config.server, config.username) == ("smtp.gmail.com", "ann@gmail.com")
    assert config_of(host="mail.example.com", security="ssl").port == (465 if HAS_MAILERS else 25)
    assert config_of(host="mail.example.com", timeout=5).timeout == Timeouts.of(5)
    assert config_of(host="mail.example.com", username="ann").username is None  # as with Django


def test_tls_is_used_where_it_is_offered_but_not_to_a_server_of_this_machine() -> None:
    assert config_of(host="mail.example.com").opportunistic_tls
    assert not config_of(host="localhost").opportunistic_tls
    assert not config_of(host="127.0.0.1").opportunistic_tls
    assert config_of(host="localhost", opportunistic_tls=True).opportunistic_tls


def test_a_client_certificate_is_that_of_djangos_settings() -> None:
    given = EmailBackend(host="mail.example.com", use_tls=True, ssl_certfile="cert.pem", ssl_keyfile="key.pem")
    assert given.config.tls.client_cert == (Path("cert.pem"), Path("key.pem"))
    assert str(EmailBackend(host="mail.example.com", ssl_certfile="both.pem").config.tls.client_cert) == "both.pem"


def test_settings_that_cannot_work_are_improperlyconfigured_and_tell_no_secret() -> None:
    wrong: dict[str, Any] = {"partial": "abort", "protocol": "lmtp", "username": "ann", "password": "s3cret"}
    with mail_settings(host="mail.example.com", **wrong), pytest.raises(ImproperlyConfigured, match="LMTP") as caught:
        to_bob().send()
    assert "s3cret" not in str(caught.value)
    with mail_settings(host="mail.example.com", retries=3), pytest.raises(ImproperlyConfigured, match="retries"):
        to_bob().send()


@pytest.mark.parametrize(
    "wrong",
    [
        {"partial": "abort", "protocol": "lmtp", "username": "ann", "password": "s3cret"},
        {"username": "ann", "password": "s3cret", "use_ssl": True, "ssl_certfile": 5},
        {"url": "smtp+tls://ann:s3cret@mail.example.com", "retries": 3},
    ],
    ids=["settings", "certificate", "url"],
)
def test_the_error_report_of_wrong_settings_shows_no_secret(wrong: dict[str, Any]) -> None:
    """It shows the variables of each function, and Django mails it to ``ADMINS``."""
    with (
        mail_settings(**{"host": "mail.example.com", **wrong}),
        pytest.raises((ImproperlyConfigured, ConfigError)) as caught,
    ):
        to_bob().send()
    report = ExceptionReporter(None, caught.type, caught.value, caught.tb).get_traceback_data()
    ours = [frame for frame in report["frames"] if "contrib/django" in frame["filename"]]
    assert ours and not any("s3cret" in text for frame in ours for _, text in frame["vars"])


def test_a_forked_child_sends_over_a_connection_of_its_own(smtp_server: SMTPServer) -> None:
    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        to_bob("parent").send()
        assert in_child(lambda: to_bob("child").send()) == 1
        to_bob("parent").send()
    assert sorted(message.header("Subject") or "" for message in smtp_server.messages) == ["child", "parent", "parent"]
    assert smtp_server.connections == 2
    assert commands(smtp_server, b"QUIT") == 0  # the child has not ended the parent's


def test_the_end_of_the_process_closes_the_session(smtp_server: SMTPServer) -> None:
    program = f"""
        import os, sys
        from tests.contrib.site import mail_settings
        from django.core.mail import send_mail
        with mail_settings(host={smtp_server.host!r}, port={smtp_server.port}):
            send_mail("Hi", "Hello", "ann@example.com", ["bob@example.org"])
            if os.fork() == 0:
                sys.exit()                                # it has not used the session, which is the parent's
            os.wait()
            send_mail("Hi", "Hello", "ann@example.com", ["bob@example.org"])
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)
    assert len(smtp_server.messages) == 2
    assert smtp_server.connections == 1
    assert commands(smtp_server, b"QUIT") == 1


def test_asynchronous_views_send_in_a_thread(smtp_server: SMTPServer) -> None:
    from asgiref.sync import sync_to_async

    async def view() -> int:
        return sum([await sync_to_async(send_mail)("Hi", "Hello", SENDER, [BOB]) for _ in range(3)])

    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        assert asyncio.run(view()) + asyncio.run(view()) == 6
    assert smtp_server.connections == 1


SITE_THAT_ENDS = """
import sys
from django.conf import settings
from django.core.mail import send_mail
from tests.contrib.site import mail_settings
with mail_settings(host="127.0.0.1", port=int(sys.argv[1]), outbox="sqlite:///outbox.db"):
    assert send_mail("Hi", "Hello", "ann@example.com", ["bob@example.org"]) == 1
"""


def test_a_command_that_ends_at_once_sends_what_it_has_put_into_a_file(smtp_server: SMTPServer, tmp_path: Any) -> None:
    """No other process may look for it soon."""
    command = [sys.executable, "-c", SITE_THAT_ENDS, str(smtp_server.port)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command, check=True, timeout=60, cwd=tmp_path, env=env)
    assert len(smtp_server.messages) == 1


@only_with(not HAS_MAILERS)  # a mailer is not made with arguments
def test_threads_may_share_a_backend_with_a_session_of_its_own(smtp_server: SMTPServer) -> None:
    with mail_settings(host="localhost", port=1):
        connection = EmailBackend(host=smtp_server.host, port=smtp_server.port)
        with ThreadPoolExecutor(10) as threads:
            counts = threads.map(lambda _: connection.send_messages([to_bob()]), range(20))
            assert [*counts] == [1] * 20
    assert len(smtp_server.messages) == 20


def test_mail_can_go_into_an_outbox(smtp_server: SMTPServer, tmp_path: Any) -> None:
    with mail_settings(host=smtp_server.host, port=smtp_server.port, outbox=f"sqlite:///{tmp_path}/outbox.db"):
        message = to_bob()
        assert message.send() == 1
        receipt = receipt_of(message)
        assert receipt is not None and receipt.status is Status.PENDING
        assert backend().session.receipt(receipt.id).id == receipt.id
        assert receipt.wait(30)
    assert len(smtp_server.messages) == 1


def test_sendtestemail_works(smtp_server: SMTPServer) -> None:
    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        from django.core.management import call_command

        call_command("sendtestemail", BOB)
    assert smtp_server.messages[0].recipients == (BOB,)


def test_send_mass_mail_goes_in_one_stream(smtp_server: SMTPServer) -> None:
    with mail_settings(host=smtp_server.host, port=smtp_server.port):
        assert send_mass_mail([(f"{number}", "Hello", SENDER, [BOB]) for number in range(20)]) == 20
    assert [message.header("Subject") for message in smtp_server.messages] == [f"{number}" for number in range(20)]
    assert smtp_server.connections == 1


def checked() -> list[str]:
    from django.core import checks

    found = checks.run_checks(tags=["mail"])
    return [f"{message.id}: {message.msg}" for message in found if (message.id or "").startswith("wlsmtp.")]


def test_the_system_checks_say_what_cannot_work() -> None:
    with mail_settings(host="mail.example.com"):
        assert checked() == []
    with mail_settings(host="mail.example.com", security="starttls"):
        assert [line[:20] for line in checked()] == ["wlsmtp.E001: " + ("MAILERS" if HAS_MAILERS else "Mail se")]
    with mail_settings(host="mail.example.com", username="ann"):
        assert "W002" in checked()[0]
    with mail_settings(host="mail.example.com", username="ann", password="pw"):
        assert "W003" in checked()[0]
    with mail_settings(host="mail.example.com", security="tls", username="ann", password="pw"):
        assert checked() == []
    with mail_settings(host="mail.example.com", outbox="memory:"):
        assert "W004" in checked()[0]


@only_with(not HAS_MAILERS)
def test_the_system_checks_show_also_what_django_and_no_session_refuses() -> None:
    from django.test import override_settings

    with mail_settings(host="mail.example.com"), override_settings(WLSMTP="smtp://mail.example.com"):
        assert checked() == ["wlsmtp.E001: WLSMTP must be a dict of settings, not str"]
        with pytest.raises(ImproperlyConfigured, match="WLSMTP must be a dict"):
            backend()
    with mail_settings(host="mail.example.com"), override_settings(EMAIL_USE_TLS=True, EMAIL_USE_SSL=True):
        assert "mutually exclusive" in checked()[0]


def test_a_setting_that_nobody_reads_is_told() -> None:
    project.set_up()
    from django.test import override_settings

    with mail_settings(backend="django.core.mail.backends.dummy.EmailBackend", url="smtp://mail.example.com"):
        if HAS_MAILERS:
            with override_settings(
                MAILERS={"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}},
                WLSMTP={"url": "smtp://mail.example.com"},
            ):
                assert "W001" in checked()[0]
        else:
            assert "W001" in checked()[0]


@only_with(HAS_MAILERS)
def test_an_option_of_a_mailer_that_nobody_knows_is_an_invalidmailer() -> None:
    refused = pytest.raises(mail.InvalidMailer, match=r"MAILERS\['default'\]: Unknown options 'retries'")
    with mail_settings(host="mail.example.com", retries=3), refused:
        backend()


@only_with(HAS_MAILERS)
def test_each_alias_has_a_session_of_its_own() -> None:
    from django.test import override_settings

    path = "wlsmtp.contrib.django.EmailBackend"
    with SMTPServer() as one, SMTPServer() as other:
        servers = {"default": one, "bulk": other}
        mailers = {
            alias: {"BACKEND": path, "OPTIONS": {"host": server.host, "port": server.port}}
            for alias, server in servers.items()
        }
        with override_settings(MAILERS=mailers):
            to_bob().send()
            to_bob().send(using="bulk")
            to_bob().send(using="bulk")
        assert (len(one.messages), len(other.messages)) == (1, 2)
        assert (one.connections, other.connections) == (1, 1)
