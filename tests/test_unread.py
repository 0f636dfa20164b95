"""What is never read is never sent: ``send_many`` says so, ``send_all`` reads it all."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp import AuthenticationFailed, ConnectionFailed, Message, Receipt, SMTPSession, Status
from wlsmtp.testing import SMTPServer

LETTER = Message("ann@example.com", "bob@example.org", subject="Hi", text="Hello")
WORDS = r"send_many\(…\) was never iterated, so nothing was sent.*send_all"


def make_unread(session: Any) -> None:
    session.face.send_many([LETTER])


def unread_in_a_cycle(session: Any) -> list[Any]:
    """Receipts that only the garbage collector finds."""
    cycle: list[Any] = [session.face.send_many([LETTER])]
    cycle.append(cycle)
    return cycle


class TestUnread:
    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_nothing_is_sent_and_a_warning_says_so(self, world: World, mode: str) -> None:
        with SMTPServer() as server, world.session(server.host, server.port, mode=mode) as session:
            with pytest.warns(RuntimeWarning, match=WORDS) as caught:
                make_unread(session)
            line = make_unread.__code__.co_firstlineno + 1
            assert [(each.filename, each.lineno) for each in caught] == [(__file__, line)]
        assert server.messages == []

    def test_what_is_in_a_cycle_is_told_when_it_is_collected(self, world: World) -> None:
        with world.session("localhost") as session:
            cycle = unread_in_a_cycle(session)
            with pytest.warns(RuntimeWarning, match=WORDS):
                del cycle
                gc.collect()

    def test_one_that_was_read_a_little_is_no_mistake(self, world: World) -> None:
        with SMTPServer() as server, world.session(server.host, server.port) as session:
            receipts = session.send_many([LETTER] * 3)
            assert next(receipts)
            del receipts
            gc.collect()

    def test_to_leave_the_outbox_unread_is_none_either(self, world: World) -> None:
        with SMTPServer() as server, world.session(server.host, server.port, mode="async") as session:
            session.face.receipts()
            session.face.pending()

    @pytest.mark.parametrize("told_by", ["close", "send_many"])
    def test_inside_the_session_it_waits_until_the_session_is_left(self, world: World, told_by: str) -> None:
        """The collector may come by under a lock of the session, and a handler of warnings may send mail."""
        inside: list[bool] = []

        def collect(_event: object) -> None:
            if cycles:
                cycles.clear()
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    gc.collect()
                inside.append(bool(caught))

        with SMTPServer() as server:
            session = world.session(server.host, server.port, listeners=(collect,))
            cycles = [unread_in_a_cycle(session)]
            session.send(LETTER)
            assert inside == [False]
            with pytest.warns(RuntimeWarning, match=WORDS):
                if told_by == "close":
                    session.close()
                else:
                    list(session.send_many([]))
            session.close()

    def test_a_handler_of_warnings_may_send_through_the_same_session(self, caplog: pytest.LogCaptureFixture) -> None:
        class Mails(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                session.send(LETTER.but(text=record.getMessage()))

        logger, handler = logging.getLogger("py.warnings"), Mails()
        logger.addHandler(handler)
        logging.captureWarnings(True)
        try:
            with (
                SMTPServer() as server,
                SMTPSession(server.host, server.port) as session,
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("always")
                session.send_many([LETTER])
        finally:
            logging.captureWarnings(False)
            logger.removeHandler(handler)
        assert [message.header("Subject") for message in server.messages] == ["Hi"]

    @pytest.mark.filterwarnings("default")
    def test_a_warning_that_is_an_error_does_not_keep_a_session_from_closing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[Any] = []
        monkeypatch.setattr("sys.unraisablehook", lambda unraisable: told.append(unraisable.exc_value))

        def collect(_event: object) -> None:
            if cycles:
                cycles.clear()
                gc.collect()

        with SMTPServer() as server:
            session = world.session(server.host, server.port, listeners=(collect,))
            cycles = [unread_in_a_cycle(session)]
            session.send(LETTER)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                session.close()
                assert len(told) == 1 and isinstance(told[0], RuntimeWarning)
                with pytest.raises(ConnectionFailed, match="closed"):
                    session.send(LETTER)

    def test_a_caller_that_is_no_function_of_python_is_no_matter(self) -> None:
        """As ``atexit`` is one: nothing stands behind the call."""
        code = "import atexit, wlsmtp; atexit.register(wlsmtp.SMTPSession('localhost').send_many, [])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


class TestSendAll:
    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_all_receipts_come_in_the_order_of_the_input(self, world: World, mode: str) -> None:
        messages = [LETTER.but(to=f"{number}@example.org") for number in range(5)]
        with SMTPServer() as server, world.session(server.host, server.port, mode=mode) as session:
            server.refuse("2@example.org")
            receipts = [session.wait(receipt) for receipt in session.send_all(iter(messages))]
        assert [receipt.recipients[0].address for receipt in receipts] == [
            f"{number}@example.org" for number in range(5)
        ]
        assert [receipt.status for receipt in receipts if not receipt] == [Status.ERROR]
        assert len(server.messages) == 4

    def test_no_messages_have_no_receipts(self, world: World) -> None:
        with world.session("localhost") as session:
            assert session.send_all([]) == []

    def test_an_error_that_ends_it_has_the_receipts_until_then(self, world: World) -> None:
        def messages() -> Iterator[Message]:
            yield LETTER
            yield LETTER
            raise KeyError("the input broke")

        with SMTPServer() as server, world.session(server.host, server.port) as session:
            with pytest.raises(KeyError, match="the input broke") as caught:
                session.send_all(messages())
            receipts: tuple[Receipt, ...] = caught.value.receipts  # type: ignore[attr-defined]
            assert [receipt.status for receipt in receipts] == [Status.SENT, Status.SENT] and len(server.messages) == 2

    def test_what_stands_in_the_way_of_all_is_raised(self, world: World) -> None:
        with (
            SMTPServer(users={"ann": "s3cret-Pa55"}) as server,
            world.session(server.host, server.port, username="ann", password="wrong-Pa55") as session,
            pytest.raises(AuthenticationFailed) as caught,
        ):
            session.send_all([LETTER] * 3)
        assert {receipt.status for receipt in caught.value.receipts} == {Status.ERROR} and server.messages == []

    def test_it_spreads_over_connections(self, world: World) -> None:
        with SMTPServer() as server, world.session(server.host, server.port) as session:
            assert all(session.send_all([LETTER] * 20, connections=2))
