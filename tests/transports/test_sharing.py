"""Streams and single messages over the same few connections: nobody waits for ever, and nothing is left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import wlsmtp
from tests.transports.test_stream import MODES, numbered, session_to, stored
from tests.worlds import Session, World
from wlsmtp import AsyncSMTPSession, Pipelining, PoolLimits, RetryPolicy, SMTPSession, Status, Timeouts
from wlsmtp.smtp.window import Window
from wlsmtp.testing import ReceivedMessage, SMTPServer

ONE = PoolLimits(max_connections=1)


def send(session: Session, size: int = 0) -> Any:
    text = b"Subject: -1\r\n\r\n" + b"x" * 76 * (size // 76)
    return session.send(text, sender="a@example.com", recipients="n-1@example.org", timeout=10)


class TestInsideTheLoopOfAStream:
    """The stream has the only connection, and goes on when the loop does."""

    @MODES
    @pytest.mark.parametrize("window", [1, 2, 64])
    @pytest.mark.parametrize("size", [0, 300_000], ids=["small", "large"])
    def test_a_message_is_sent(self, world: World, extensions: list[str], window: int, size: int) -> None:
        options: dict[str, Any] = {"pool": ONE, "pipelining": Pipelining(max_in_flight=window)}
        with SMTPServer(extensions=extensions) as server, session_to(world, server, **options) as session:
            receipts = []
            for receipt in session.send_many(numbered(100)):
                receipts.append(receipt)
                if len(receipts) in (3, 50, 99):
                    assert send(session, size)
            assert all(receipts) and len(receipts) == 100
        assert sorted(stored(server)) == [-1] * 3 + list(range(100))

    def test_another_stream_is_sent(self, world: World) -> None:
        options: dict[str, Any] = {"pool": ONE, "pipelining": Pipelining(max_in_flight=3)}
        with SMTPServer() as server, session_to(world, server, **options) as session:
            outer: list[Any] = []
            inner: list[Any] = []
            for receipt in session.send_many(numbered(50)):
                outer.append(receipt)
                if len(outer) == 10:
                    inner += session.send_many(numbered(30))
            assert len(outer) == 50 and len(inner) == 30 and all(outer) and all(inner)
        assert sorted(stored(server)) == sorted([*range(50), *range(30)])

    def test_the_server_is_asked(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server, pool=ONE) as session:
            for receipt in session.send_many(numbered(20)):
                assert receipt and session.verify()
        assert stored(server) == list(range(20))


def test_streams_side_by_side_leave_no_message_behind() -> None:
    """What the others have on their way fills the window."""
    small = Pipelining(max_in_flight=64, max_bytes=100)
    with SMTPServer() as server:
        session = SMTPSession(server.host, server.port, pool=ONE, pipelining=small)
        assert send(session)  # type: ignore[arg-type]
        counts: list[int] = []

        def work() -> None:
            counts.append(sum(bool(receipt) for receipt in session.send_many(numbered(100))))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        session.close()
    assert counts == [100] * 4 and len(server.messages) == 401


def test_a_session_is_closed_while_an_endless_stream_goes_on() -> None:
    limits = PoolLimits(max_messages=None)
    with SMTPServer() as server:
        session = SMTPSession(server.host, server.port, pool=limits, retry=RetryPolicy(attempts=1))
        receipts: list[Any] = []
        failures: list[wlsmtp.SMTPError] = []

        def work() -> None:
            try:
                receipts.extend(session.send_many(numbered(1_000_000)))
            except wlsmtp.SMTPError as error:
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        server.wait_for_messages(100)
        session.close()
        thread.join(10)
        assert not thread.is_alive()
        assert [type(error) for error in failures] == [wlsmtp.ConnectionFailed] and "closed" in str(failures[0])


def test_a_connection_that_is_old_is_replaced_in_the_middle_of_a_stream(world: World) -> None:
    limits = PoolLimits(max_age=1e-9, max_messages=None)
    with SMTPServer() as server, session_to(world, server, pool=limits) as session:
        assert all(session.send_many(numbered(300)))
        assert server.connections > 1
    assert stored(server) == list(range(300))


def test_a_server_that_hangs_up_while_the_receipts_are_looked_at_leaves_nothing_in_doubt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wlsmtp.smtp.connection.LONG_IDLE", -1.0)
    monkeypatch.setattr("wlsmtp.relay.pipeline.LONG_IDLE", -1.0)
    few = Pipelining(max_in_flight=4)
    with SMTPServer() as server, session_to(world, server, pipelining=few) as session:
        receipts = []
        for receipt in session.send_many(numbered(60)):
            receipts.append(receipt)
            if len(receipts) == 20:
                server.wait_for_messages(20)
                server.drop_connections()
    known = {number for number, receipt in enumerate(receipts) if receipt}
    assert len(receipts) == 60
    # What was on its way at that moment may be in doubt, and no more.
    assert len(known) >= 60 - 4
    assert all(receipts[number].status is Status.UNKNOWN for number in set(range(60)) - known)
    assert len(stored(server)) == len(set(stored(server))) and known <= set(stored(server))


class TestTheInput:
    @MODES
    @pytest.mark.parametrize("width", [1, 2])
    def test_that_fails_is_told_after_the_receipts_of_what_was_read(
        self, world: World, extensions: list[str], width: int
    ) -> None:
        def failing() -> Iterator[Any]:
            yield from numbered(30)
            raise LookupError("the database is gone")

        receipts: list[Any] = []
        with (
            SMTPServer(extensions=extensions) as server,
            session_to(world, server) as session,
            pytest.raises(LookupError, match="gone"),
        ):
            receipts.extend(session.send_many(failing(), connections=width))
        assert len(receipts) == 30 and all(receipts) and sorted(stored(server)) == list(range(30))

    def test_that_is_slower_than_a_message_may_be_is_waited_for(self, world: World) -> None:
        pause = threading.Event()

        def slow() -> Iterator[Any]:
            for item in numbered(3):
                pause.wait(0.3)  # longer than the total of a message, which is what this is about
                yield item

        with SMTPServer() as server, session_to(world, server, timeout=Timeouts(total=0.2)) as session:
            assert all(session.send_many(slow(), connections=2))
        assert sorted(stored(server)) == [0, 1, 2]

    def test_that_fails_as_an_async_iterable(self) -> None:
        async def failing() -> AsyncIterator[Any]:
            for item in numbered(5):
                yield item
            raise LookupError("gone")

        async def main(server: SMTPServer) -> list[Any]:
            receipts: list[Any] = []
            async with AsyncSMTPSession(server.host, server.port) as session:
                with pytest.raises(LookupError):
                    async for receipt in session.send_many(failing()):
                        receipts.append(receipt)  # noqa: PERF401 - those before the error count
            return receipts

        with SMTPServer() as server:
            assert len(asyncio.run(main(server))) == 5 and len(stored(server)) == 5


@pytest.mark.parametrize("width", [1, 2])
def test_a_cancelled_stream_does_not_wait_for_a_silent_server(width: int) -> None:
    async def main(server: SMTPServer) -> None:
        async def consume(session: AsyncSMTPSession) -> None:
            async for _ in session.send_many(numbered(20), connections=width):
                pass

        async with AsyncSMTPSession(server.host, server.port) as session:
            task = asyncio.create_task(consume(session))
            while not any(line.startswith(b"BDAT") for _, _, line in list(server.transcript)):  # noqa: ASYNC110 - a thread's
                await asyncio.sleep(0)
            task.cancel()
            _, pending = await asyncio.wait([task], timeout=10)
            assert not pending and task.cancelled()

    with SMTPServer() as server:
        server.reply_to(".", server.SILENCE)
        asyncio.run(main(server))


class StoresOneLate(SMTPServer):
    """Takes the message with the subject "first" when it may."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.has_it, self.may_store = threading.Event(), threading.Event()

    def store(self, message: ReceivedMessage) -> int:
        if message.header("Subject") == "first":
            self.has_it.set()
            self.may_store.wait(10)
        return super().store(message)


def test_a_content_that_another_thread_has_queued_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread writes what is queued, and is about to read. Another one reads the 354 for its message just then,
    queues the content, and leaves with the receipt of its own."""
    ask, is_first_over = Window._is_first_to_read, threading.Event()
    names: list[str] = []

    def ask_late(self: Window, transaction: Any) -> bool:
        if threading.current_thread().name == "second" and not names:
            names.append("second")
            server.may_store.set()
            assert is_first_over.wait(10)
        return ask(self, transaction)

    with StoresOneLate(extensions=["PIPELINING"]) as server:
        session = SMTPSession(server.host, server.port, pool=ONE, retry=RetryPolicy(attempts=1), timeout=5)
        receipts: dict[str, Any] = {}

        def deliver(name: str) -> None:
            text = f"Subject: {name}\r\n\r\n".encode()
            receipts[name] = session.send(text, sender="a@example.com", recipients="b@example.org")

        with session:
            session.send_all(numbered(4))  # until the server is known to read what follows content
            monkeypatch.setattr(Window, "_is_first_to_read", ask_late)
            threads = {name: threading.Thread(target=deliver, args=[name], name=name) for name in ("first", "second")}
            threads["first"].start()
            assert server.has_it.wait(10)
            threads["second"].start()
            threads["first"].join(10)
            is_first_over.set()
            threads["second"].join(10)
        assert names and receipts["first"] and receipts["second"]
