"""Listeners hear what they want to hear, may use their session, and harm no mail, whatever they do."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wlsmtp
from tests.chaos.interrupts import Interrupt
from tests.transports.test_stream import MODES, session_to
from tests.worlds import World
from wlsmtp import AsyncSMTPSession, Message, PoolLimits, RetryPolicy, SMTPError, SMTPSession
from wlsmtp.events import Announcer, Connected, Disconnected, Event, Failed, Line, Retrying, Sent, listener
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", subject="mail", text="x")
ALERT = Message(sender="ann@example.com", to="ops@example.org", subject="alert", text="x")


class TestTheKindsOfEvents:
    def test_that_a_listener_names_are_all_that_it_hears(self, world: World) -> None:
        heard: list[type[Event]] = []

        @listener(Sent, Failed)
        def count(event: Sent | Failed) -> None:
            heard.append(type(event))

        with SMTPServer() as server, session_to(world, server, listeners=(count,)) as session:
            server.reply_to("RCPT <ops@example.org>", "550 5.1.1 No")
            assert list(session.send_many([MESSAGE, ALERT, MESSAGE]))
        assert sorted(kind.__name__ for kind in heard) == ["Failed", "Sent", "Sent"]

    def test_that_nobody_wants_are_not_made(self) -> None:
        assert not Announcer([listener(Sent)(print)]).wants_lines
        assert not Announcer([listener(Line, Connected)(print)]).wants_successes
        assert Announcer([listener(Line)(print)]).wants_lines and Announcer([listener(Sent)(print)]).wants_successes
        assert Announcer([print]).wants_lines and Announcer([print]).wants_successes

    def test_may_be_named_where_a_method_is_handed_over(self) -> None:
        class Metrics:
            def __init__(self) -> None:
                self.sent = 0

            def count(self, _event: Sent) -> None:
                self.sent += 1

        metrics = Metrics()
        with (
            SMTPServer() as server,
            SMTPSession(server.host, server.port, listeners=[listener(Sent)(metrics.count)]) as session,
        ):
            session.send(MESSAGE)
        assert metrics.sent == 1

    @pytest.mark.parametrize("kinds", [(), (str,), (Sent, print)])
    def test_must_be_some(self, kinds: Any) -> None:
        with pytest.raises(TypeError, match="Connected, Line, Sent"):
            listener(*kinds)


class _At:
    """Does something at event ``number``, once."""

    def __init__(self, number: int, action: Callable[[], Any]) -> None:
        self.left = number
        self._action = action

    def __call__(self, _event: Event) -> None:
        self.left -= 1
        if self.left == 0:
            self._action()


def events() -> Iterator[int]:
    """Up to the last event of a session."""
    yield from range(1, 200)


def is_told_that_it_waits_for_itself(error: BaseException) -> bool:
    return isinstance(error, wlsmtp.ConnectionFailed) and "in use by this caller" in str(error)


class TestAListenerThatSends:
    """At any event, through the session that it listens to."""

    @MODES
    @pytest.mark.parametrize("limit", [1, 4])
    def test_keeps_nobody_waiting(self, extensions: list[str], limit: int) -> None:
        for number in events():
            alerts: list[BaseException | wlsmtp.Receipt] = []

            def alert() -> None:
                try:
                    alerts.append(session.send(ALERT, timeout=10))  # noqa: B023
                except SMTPError as error:
                    alerts.append(error)  # noqa: B023

            at = _At(number, alert)
            options: dict[str, Any] = {"pool": PoolLimits(max_connections=limit), "retry": RetryPolicy(attempts=1)}
            with (
                SMTPServer(extensions=extensions) as server,
                SMTPSession(server.host, server.port, listeners=(at,), **options) as session,
            ):
                assert session.send(MESSAGE)
                assert all(session.send_many([MESSAGE] * 3))
                statistics = session.statistics()
                assert statistics.connections_open == statistics.connections_idle
                if at.left > 0:
                    break
                for one in alerts:
                    assert isinstance(one, wlsmtp.Receipt) or is_told_that_it_waits_for_itself(one)
                assert limit == 1 or isinstance(alerts[0], wlsmtp.Receipt)
            sent = Counter(str(mail.header("Subject")) for mail in server.messages)
            assert sent["mail"] == 4 and sent["alert"] == sum(isinstance(one, wlsmtp.Receipt) for one in alerts)
        assert number > 10

    @MODES
    def test_keeps_no_task_waiting(self, extensions: list[str]) -> None:
        async def main(server: SMTPServer, number: int) -> bool:
            tasks: list[asyncio.Task[Any]] = []
            at = _At(number, lambda: tasks.append(asyncio.create_task(session.send(ALERT, timeout=10))))
            limits = PoolLimits(max_connections=1)
            async with AsyncSMTPSession(server.host, server.port, pool=limits, listeners=(at,)) as session:
                assert await session.send(MESSAGE)
                assert all([receipt async for receipt in session.send_many([MESSAGE] * 3)])
                assert all(await asyncio.gather(*tasks))
            await asyncio.wait(tasks) if tasks else None  # one that begins while the session closes may be refused
            return any(not task.exception() for task in tasks)

        for number in events():
            with SMTPServer(extensions=extensions) as server:
                if not asyncio.run(main(server, number)):
                    break
        assert number > 10

    def test_does_not_hear_of_what_it_sends(self) -> None:
        failures: list[Event] = []

        @listener(Failed)
        def alert(event: Failed) -> None:
            failures.append(event)
            with pytest.raises(wlsmtp.SenderRefused):
                session.send(ALERT)

        others: list[Event] = []
        with (
            SMTPServer() as server,
            SMTPSession(server.host, server.port, listeners=(alert, listener(Failed)(others.append))) as session,
        ):
            server.reply_to("MAIL", "550 5.7.1 No")
            with pytest.raises(wlsmtp.SenderRefused):
                session.send(MESSAGE)
        assert (len(failures), len(others)) == (1, 2)


@pytest.mark.parametrize("kind", [Sent, Line, Connected])
def test_a_listener_may_close_the_session(kind: type[Event]) -> None:
    closed: list[bool] = []

    def close(event: Event) -> None:
        if isinstance(event, kind) and not closed:
            closed.append(True)
            session.close(timeout=600)

    with SMTPServer() as server:
        session = SMTPSession(server.host, server.port, listeners=(close,), retry=RetryPolicy(attempts=1))
        assert session.send(MESSAGE)
        assert session.statistics().connections_open == 0
        with pytest.raises(wlsmtp.ConnectionFailed, match="closed"):
            session.send(MESSAGE)
        session.open()
        receipts = session.send_many([MESSAGE] * 3)
        closed.clear()
        assert next(receipts)
        session.close()


class _Mailing(logging.Handler):
    """A handler that mails what is logged, as a newcomer writes it."""

    def __init__(self, level: int, send: Callable[[], object]) -> None:
        super().__init__(level)
        self._send = send

    def emit(self, _record: logging.LogRecord) -> None:
        self._send()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger, ours = logging.getLogger("a_program"), logging.getLogger("wlsmtp")
    yield logger
    for one in (logger, ours):
        one.handlers = [handler for handler in one.handlers if not isinstance(handler, _Mailing)]
        one.setLevel(logging.NOTSET)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING])
@pytest.mark.parametrize("limit", [1, 4])
def test_a_logging_handler_that_mails_comes_to_an_end(root: logging.Logger, level: int, limit: int) -> None:
    def send() -> None:
        try:
            session.send(ALERT, timeout=10)
        except SMTPError as error:
            assert isinstance(error, wlsmtp.SenderRefused) or is_told_that_it_waits_for_itself(error)

    handler = _Mailing(level, send)
    limits = PoolLimits(max_connections=limit)
    with SMTPServer() as server:
        session = SMTPSession(server.host, server.port, pool=limits, retry=RetryPolicy(attempts=1))
        for logger in (root, logging.getLogger("wlsmtp")):
            logger.addHandler(handler)
            logger.setLevel(level)
        root.error("The job failed")
        assert server.messages
        server.reply_to("MAIL", "550 5.7.1 No")
        root.error("The job failed again")
        statistics = session.statistics()
        assert statistics.connections_open == statistics.connections_idle <= limit
        for logger in (root, logging.getLogger("wlsmtp")):
            logger.removeHandler(handler)
        session.close()


def test_two_threads_whose_handler_has_a_lock_do_not_wait_for_each_other(root: logging.Logger) -> None:
    """One mails inside the handler, and so holds its lock; the other reads for both, and logs what it reads."""
    ours = logging.getLogger("wlsmtp")
    with SMTPServer() as server:
        limits = PoolLimits(max_connections=1)
        session = SMTPSession(server.host, server.port, pool=limits, retry=RetryPolicy(attempts=1))
        assert all(session.send_many([MESSAGE] * 3))
        handler = _Mailing(logging.DEBUG, lambda: _quietly(session))
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        ours.addHandler(handler)
        ours.setLevel(logging.DEBUG)
        server.pace = 0.001
        threads = [threading.Thread(target=root.error, args=("failed",)) for _ in range(3)]
        threads += [threading.Thread(target=_quietly, args=(session,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        ours.removeHandler(handler)
        session.close()


def _quietly(session: SMTPSession) -> None:
    try:
        session.send(ALERT, timeout=20)
    except SMTPError as error:
        assert is_told_that_it_waits_for_itself(error)


def test_an_interrupt_at_any_place_of_a_report_mutes_nobody_for_longer() -> None:
    """Else a program whose Ctrl-C came in the middle of a report would never log again."""
    heard: list[Event] = []
    announce = Announcer([heard.append])
    event = Disconnected("1", None)
    whole = Interrupt()
    with whole.armed():
        announce(event)
    assert whole.count > 5 and len(heard) == 1
    for number in range(1, whole.count + 1):
        with Interrupt(number).armed():
            announce(event)
        assert announce.muted == frozenset()
    heard.clear()
    announce(event)
    assert heard == [event]


@pytest.mark.parametrize("broken", ["listener", "handler", "both"])
def test_what_raises_harms_no_mail(world: World, broken: str, root: logging.Logger) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    if broken != "listener":
        logging.getLogger("wlsmtp").addHandler(_Mailing(logging.DEBUG, fail))
        logging.getLogger("wlsmtp").setLevel(logging.DEBUG)
    listeners = (fail,) if broken != "handler" else ()
    with SMTPServer() as server, session_to(world, server, listeners=listeners) as session:
        assert session.send(MESSAGE) and all(session.send_many([MESSAGE] * 3))
        statistics = session.statistics()
        assert statistics.connections_open == statistics.connections_idle == 1
    assert len(server.messages) == 4


def test_the_pauses_before_another_try_are_heard_of(world: World) -> None:
    heard: list[Retrying] = []
    with SMTPServer() as server, session_to(world, server, listeners=[listener(Retrying)(heard.append)]) as session:
        server.reply_to("MAIL", "450 4.7.1 Later", times=1)
        assert session.send(MESSAGE)
    assert [event.attempt for event in heard] == [2]


async def hears_nothing(event: Event) -> None:
    raise AssertionError("nobody would await it")


@pytest.mark.parametrize("one", [hears_nothing, listener(Sent)(hears_nothing)])
def test_an_async_listener_is_a_config_error_as_nobody_would_await_it(world: World, one: Any) -> None:
    with pytest.raises(wlsmtp.ConfigError, match="listeners: hears_nothing is 'async def', and is not awaited"):
        world.session("smtp.example.com", listeners=[one])
