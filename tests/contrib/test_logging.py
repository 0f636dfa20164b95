"""What is logged is mailed, and the program never waits for it."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.lifecycle.child import in_child
from wlsmtp import AsyncSMTPSession, ConfigError, Message, MessageError, RetryPolicy, SMTPSession
from wlsmtp.contrib.logging import MailHandler
from wlsmtp.testing import SMTPServer

Make = Callable[..., MailHandler]
LONG = 3600.0
"""An interval that no test lives to see the end of."""


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of the program, with whatever handlers a test gives it."""
    logger = logging.getLogger("shop")
    logger.propagate = False
    yield logger
    for handler in [*logger.handlers]:
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


@pytest.fixture
def mailing(logger: logging.Logger, smtp_server: SMTPServer) -> Make:
    """Has the logger mail to the server."""

    def make(session: SMTPSession | str = smtp_server.url, **options: object) -> MailHandler:
        given = {"sender": "site@example.com", "to": "ops@example.com", "interval": LONG, **options}
        handler = MailHandler(session, **given)  # type: ignore[arg-type]
        logger.addHandler(handler)
        return handler

    return make


def texts(server: SMTPServer) -> list[str]:
    return [str(message.email.get_content()) for message in server.messages]


def subjects(server: SMTPServer) -> list[str | None]:
    return [message.header("Subject") for message in server.messages]


def test_a_record_is_mailed_at_once(logger: logging.Logger, mailing: Make, smtp_server: SMTPServer) -> None:
    mailing()
    logger.error("Disk %s is full", "/dev/sda")
    message = smtp_server.wait_for_messages(1)[0]
    assert message.recipients == ("ops@example.com",)
    assert message.header("Subject") == "ERROR: Disk /dev/sda is full"
    assert message.header("Auto-Submitted") == "auto-generated"
    assert texts(smtp_server)[0].rstrip().endswith("ERROR shop: Disk /dev/sda is full")


def test_a_subject_may_be_the_same_for_all(logger: logging.Logger, mailing: Make, smtp_server: SMTPServer) -> None:
    mailing(subject="Errors of the shop")
    logger.error("Disk is full")
    smtp_server.wait_for_messages(1)
    assert subjects(smtp_server) == ["Errors of the shop"]


def test_what_follows_waits_and_is_one_mail(logger: logging.Logger, mailing: Make, smtp_server: SMTPServer) -> None:
    handler = mailing()
    logger.error("first")
    smtp_server.wait_for_messages(1)
    for number in range(10):
        logger.error("number %d", number)
    logger.critical("the gravest")
    logger.info("no error")
    handler.flush()
    assert subjects(smtp_server) == ["ERROR: first", "CRITICAL: the gravest (+10)"]
    lines = texts(smtp_server)[1].splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == [
        *(f"number {number}" for number in range(10)),
        "the gravest",
    ]


def test_a_traceback_is_in_the_mail(logger: logging.Logger, mailing: Make, smtp_server: SMTPServer) -> None:
    mailing()
    try:
        raise LookupError("no such order")
    except LookupError:
        logger.exception("Failed")
    smtp_server.wait_for_messages(1)
    assert subjects(smtp_server) == ["ERROR: Failed"]
    assert "Traceback (most recent call last)" in texts(smtp_server)[0]
    assert "LookupError: no such order" in texts(smtp_server)[0]


def test_a_record_with_many_lines_or_odd_letters_is_no_header(
    logger: logging.Logger, mailing: Make, smtp_server: SMTPServer
) -> None:
    mailing()
    logger.error("first\r\nBcc: eve@example.net\n\x00\x1b[31m %s", "\udcff" + "ü" * 500)
    message = smtp_server.wait_for_messages(1)[0]
    assert message.recipients == ("ops@example.com",) and message.header("Bcc") is None
    assert message.header("Subject") == "ERROR: first"


def test_a_mail_has_a_limit_and_says_what_was_dropped(
    logger: logging.Logger, mailing: Make, smtp_server: SMTPServer
) -> None:
    handler = mailing(max_records=3)
    logger.error("sent at once")
    smtp_server.wait_for_messages(1)
    for number in range(10):
        logger.error("number %d", number)
    assert len(handler._batch.texts) == 3  # memory is bounded, whatever comes
    handler.flush()
    assert "number 2" in texts(smtp_server)[1] and "number 3" not in texts(smtp_server)[1]
    assert "7 more were dropped" in texts(smtp_server)[1]


def test_a_record_that_is_too_long_is_cut(logger: logging.Logger, mailing: Make, smtp_server: SMTPServer) -> None:
    mailing(max_characters=1000)
    logger.error("begin %s end", "x" * 5000)
    smtp_server.wait_for_messages(1)
    text = texts(smtp_server)[0]
    assert len(text) < 1100 and "begin" in text and "end" in text and "characters…" in text


def test_no_more_than_so_many_mails_go_out_in_an_hour(
    logger: logging.Logger, mailing: Make, smtp_server: SMTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = mailing(interval=60, max_per_hour=2)
    handler._times.extend([1000.0, 1100.0])
    now = 1170.0
    monkeypatch.setattr("wlsmtp.contrib.logging.time.monotonic", lambda: now)
    handler._batch.add(logging.ERROR, "a subject", "a record")
    assert handler._pause() == 1000 + 3600 - now
    handler.max_per_hour = 3
    assert handler._pause() == 0
    now = 1130.0
    assert handler._pause() == 30
    handler._batch.texts.clear()


def test_what_the_mail_itself_logs_is_not_mailed(mailing: Make, smtp_server: SMTPServer) -> None:
    """The handler belongs to the root logger, all records count, and each send fails."""
    smtp_server.reply_to("RCPT", "550 5.1.1 Nobody")
    handler = mailing(level=logging.DEBUG, interval=0)
    root, wlsmtps = logging.getLogger(), logging.getLogger("wlsmtp")
    level = wlsmtps.level
    root.addHandler(handler)
    wlsmtps.setLevel(logging.DEBUG)
    try:
        logging.getLogger("shop.orders").error("one")
        handler.flush()
        handler.flush()
    finally:
        root.removeHandler(handler)
        wlsmtps.setLevel(level)
    assert [line for _, who, line in smtp_server.transcript if who == "C" and line.startswith(b"RCPT")] == [
        b"RCPT TO:<ops@example.com>"
    ]


def test_a_mail_that_failed_for_now_goes_with_the_next_one(
    logger: logging.Logger, mailing: Make, smtp_server: SMTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    smtp_server.reply_to("MAIL", "451 4.3.0 Later", times=1)
    session = SMTPSession.from_url(smtp_server.url, retry=RetryPolicy(attempts=1))
    handler = mailing(session)
    logger.error("one")
    handler.flush()
    assert not smtp_server.messages and "451 4.3.0 Later" in capsys.readouterr().err
    logger.error("two")
    handler.flush()
    assert subjects(smtp_server) == ["ERROR: one (+1)"]
    assert "one" in texts(smtp_server)[0] and "two" in texts(smtp_server)[0]
    session.close()


def test_what_was_refused_for_good_is_counted_in_the_next_mail(
    logger: logging.Logger, mailing: Make, smtp_server: SMTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    smtp_server.reply_to(".", "554 5.7.1 Spam", times=1)
    handler = mailing()
    logger.error("one")
    handler.flush()
    logger.error("two")
    handler.flush()
    assert "1 of before are in no mail" in texts(smtp_server)[0]
    assert "Spam" in capsys.readouterr().err


class SilentServer:
    """Accepts connections and says nothing, until it is asked to close them."""

    def __init__(self) -> None:
        self.called, self._hang_up = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self.called.set()
            self._hang_up.wait(30)

    def hang_up(self) -> None:
        self._hang_up.set()
        self._listener.close()
        self._thread.join()


@pytest.fixture
def silent() -> Iterator[SilentServer]:
    server = SilentServer()
    yield server
    server.hang_up()


def test_the_standard_librarys_handler_makes_the_program_wait_for_a_silent_server(
    logger: logging.Logger, silent: SilentServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a whole timeout: only the server's closing ends it here."""
    addresses = ("site@example.com", "ops@example.com", "Subject")
    logger.addHandler(logging.handlers.SMTPHandler(("127.0.0.1", silent.port), *addresses, timeout=30))
    returned = threading.Event()

    def log() -> None:
        logger.error("Failed")
        returned.set()

    thread = threading.Thread(target=log)
    thread.start()
    assert silent.called.wait(20)
    assert not returned.is_set()  # the server has been called, and will not speak
    silent.hang_up()
    thread.join()
    assert returned.is_set()


def test_this_one_does_not(
    logger: logging.Logger, mailing: Make, silent: SilentServer, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = mailing(f"smtp://127.0.0.1:{silent.port}?retry.attempts=1", close_timeout=0.1)
    logger.error("Failed")  # returns, as the test goes on
    assert silent.called.wait(20)
    logger.error("Failed again")
    handler.flush()
    assert "not mailed within 0.1 seconds" in capsys.readouterr().err


def test_dictconfig_makes_one(logger: logging.Logger, smtp_server: SMTPServer) -> None:
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"short": {"format": "%(name)s says %(message)s"}},
        "handlers": {
            "mail": {
                "class": "wlsmtp.contrib.logging.MailHandler",
                "session": smtp_server.url,
                "sender": "site@example.com",
                "to": ["ops@example.com", "ann@example.com"],
                "subject": "%(name)s: %(message)s",
                "formatter": "short",
                "level": "WARNING",
            }
        },
        "loggers": {"shop": {"handlers": ["mail"], "propagate": False}},
    })  # fmt: skip
    logger.warning("Low on %s", "paper")
    message = smtp_server.wait_for_messages(1)[0]
    assert message.recipients == ("ops@example.com", "ann@example.com")
    assert (message.header("Subject"), texts(smtp_server)[0].strip()) == (
        "shop: Low on paper",
        "shop says Low on paper",
    )


def test_a_session_of_the_program_is_used_and_left_open(
    logger: logging.Logger, mailing: Make, smtp_server: SMTPServer
) -> None:
    with SMTPSession(smtp_server.host, smtp_server.port, sender="shop@example.com") as session:
        handler = mailing(session, sender=None)
        logger.error("one")
        handler.close()
        session.send(Message(to="bob@example.org", text="Hello"))
    assert [message.sender for message in smtp_server.messages] == ["shop@example.com"] * 2
    assert smtp_server.connections == 1


def test_what_cannot_work_is_told_when_the_handler_is_made(smtp_server: SMTPServer) -> None:
    with pytest.raises(MessageError):
        MailHandler(smtp_server.url, sender="site@example.com", to="no address")
    with pytest.raises(ConfigError):
        MailHandler("smtps://", sender="site@example.com", to="ops@example.com")
    with pytest.raises(ConfigError, match="max_per_hour"):
        MailHandler(smtp_server.url, sender="site@example.com", to="ops@example.com", max_per_hour=0)
    with pytest.raises(ConfigError, match="to, sender: must be given"):
        MailHandler(smtp_server.url, sender="site@example.com", to=[])
    with pytest.raises(ConfigError, match="to, sender: must be given"):
        MailHandler(smtp_server.url, to="ops@example.com")
    with pytest.raises(ConfigError, match="must be an SMTPSession"):
        MailHandler(
            AsyncSMTPSession(smtp_server.host, smtp_server.port),  # type: ignore[arg-type]
            sender="site@example.com", to="ops@example.com",
        )  # fmt: skip


def test_a_record_that_cannot_be_formatted_stops_nothing(
    logger: logging.Logger, mailing: Make, smtp_server: SMTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = mailing()
    handler.handle(logging.LogRecord("shop", logging.ERROR, "shop.py", 1, "%d", ("no number",), None))
    logger.error("fine")
    handler.flush()
    assert subjects(smtp_server) == ["ERROR: fine"]
    assert "Logging error" in capsys.readouterr().err


def test_a_closed_handler_mails_nothing_more(logger: logging.Logger, mailing: Make, smtp_server: SMTPServer) -> None:
    handler = mailing()
    logger.error("one")
    handler.close()
    logger.error("two")
    handler.flush()
    assert subjects(smtp_server) == ["ERROR: one"]


def test_a_forked_child_mails_its_own_records_only(
    logger: logging.Logger, mailing: Make, smtp_server: SMTPServer
) -> None:
    handler = mailing()
    logger.error("first")
    smtp_server.wait_for_messages(1)
    logger.error("of the parent")

    def child() -> None:
        logger.error("of the child")
        handler.flush()

    in_child(child)
    handler.flush()
    assert sorted(map(str, subjects(smtp_server))) == ["ERROR: first", "ERROR: of the child", "ERROR: of the parent"]


def test_the_end_of_the_program_waits_for_the_last_mail(smtp_server: SMTPServer) -> None:
    program = f"""
        import logging
        from wlsmtp.contrib.logging import MailHandler

        url = "smtp://localhost:{smtp_server.port}?pool.max_messages=1"  # to look up a name needs a thread
        handler = MailHandler(url, sender="site@example.com", to="ops@example.com", interval=3600)
        logging.getLogger().addHandler(handler)
        for number in range(100):
            logging.error("number %d", number)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, timeout=60, check=True)
    assert run.stderr == b""
    lines = [line for text in texts(smtp_server) for line in text.splitlines()]
    assert [line.rpartition(": ")[2] for line in lines] == [f"number {number}" for number in range(100)]
    assert len(smtp_server.messages) <= 2


def test_the_end_of_the_program_waits_no_longer_than_told(silent: SilentServer) -> None:
    program = f"""
        import logging
        from wlsmtp.contrib.logging import MailHandler

        url = "smtp://127.0.0.1:{silent.port}"
        handler = MailHandler(url, sender="site@example.com", to="ops@example.com", close_timeout=0.2)
        logging.getLogger().addHandler(handler)
        logging.error("Failed")
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, timeout=25, check=True)
    assert run.stderr.count(b"not mailed within 0.2 seconds") == 1
