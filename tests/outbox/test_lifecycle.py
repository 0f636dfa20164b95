"""The life of the worker: one at a time, whatever interrupts its hiring, and one deadline for its end."""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.outbox.programs import copies, start
from tests.outbox.stores import KINDS, url_of
from tests.worlds import World
from wlsmtp import (
    ConfigError,
    MemoryTransport,
    Message,
    OutboxError,
    OutboxNotEmpty,
    Receipt,
    SMTPError,
    SMTPSession,
    Status,
)
from wlsmtp.io.blocking import BlockingIO
from wlsmtp.io.order import Rank
from wlsmtp.io.steps import run
from wlsmtp.outbox.lifecycle import ALLOWED, State, WorkerLife
from wlsmtp.outbox.resources import Resources
from wlsmtp.outbox.sqlite import SQLiteOutbox
from wlsmtp.receipt import Outcome
from wlsmtp.settings.limits import Timeouts
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.testing import SMTPServer


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hello", **fields})


class Held(MemoryTransport):
    """Takes its time for each message, until it is released; records what was asked of it, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.is_released = False
        self.told: list[str] = []
        self.closing_time = 0.0

    async def deliver(self, *args: Any) -> Outcome:
        self.told.append("message")
        while not self.is_released:
            await self.io.sleep(0.005)
        self.told.append("taken")
        return await super().deliver(*args)

    async def close(self, deadlines: Any) -> None:
        self.told.append("close")
        self.closing_time = deadlines.remaining
        await super().close(deadlines)


@pytest.fixture(params=KINDS)
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


def wait_until_taken(session: Any, transport: Held) -> None:
    while not transport.told:
        session.flush(0.01)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_a_state_is_followed_by_those_that_the_table_allows(before: State, after: State) -> None:
    io = BlockingIO()
    lifecycle = WorkerLife(io.mutex(Rank.LIFE))
    way = {State.NEW: [], State.RUNNING: [State.RUNNING], State.STOPPING: [State.STOPPING], State.ENDED: [State.ENDED]}
    assert all(lifecycle.move(state) for state in way[before])
    assert lifecycle.move(after) is (after in ALLOWED[before])
    assert lifecycle.state is (after if after in ALLOWED[before] else before)


class TestClose:
    def test_a_worker_that_stops_still_owns_its_mail(
        self, world: World, outbox: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        transport = Held()
        session = world.session("localhost", mode="async", outbox=outbox, transport=transport)
        sent = session.send(message())
        wait_until_taken(session, transport)
        if outbox == "memory:":
            with pytest.raises(OutboxNotEmpty, match=sent.id):
                session.close(timeout=0.05)
        else:
            session.close(timeout=0.05)
            assert f"stay in the outbox: {sent.id}" in caplog.text
        session.open()
        second = session.send(message())
        session.flush(0.05)
        transport.is_released = True
        assert session.flush() == 0
        for id in (sent.id, second.id):
            receipt = session.receipt(id)
            assert receipt.status is Status.SENT and receipt.interruptions == 0
        assert len(transport.messages) == 2
        session.close()

    def test_what_is_on_its_way_keeps_its_transport_until_it_has_an_outcome(self, world: World, outbox: str) -> None:
        transport = Held()
        session = world.session("localhost", mode="async", outbox=outbox, transport=transport)
        sent = session.send(message())
        wait_until_taken(session, transport)
        if outbox == "memory:":
            with pytest.raises(OutboxNotEmpty):
                session.close(timeout=0.05)
        else:
            session.close(timeout=0.05)
        assert transport.told == ["message"]
        transport.is_released = True
        session.close()
        assert transport.told[:3] == ["message", "taken", "close"]
        assert session.status(sent.id) is Status.SENT

    def test_one_deadline_holds_for_all_of_it(self, world: World, outbox: str) -> None:
        transport = Held()
        transport.is_released = True
        options = {"mode": "async", "outbox": outbox, "transport": transport, "close_timeout": 7}
        with world.session("localhost", **options) as session:
            session.send(message())
        assert 0 < transport.closing_time < 7
        session.open()
        session.close(timeout=30)
        assert 7 < transport.closing_time < 30

    def test_it_is_the_default_in_mode_sync_as_well(self, world: World) -> None:
        transport = Held()
        with world.session("localhost", transport=transport, close_timeout=7):
            pass
        assert 0 < transport.closing_time <= 7

    def test_that_was_interrupted_can_be_repeated(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = SQLiteOutbox(tmp_path / "o.db")
        session = world.session("localhost", mode="async", outbox=file, transport=MemoryTransport())
        session.send(message())
        assert session.flush() == 0
        with monkeypatch.context() as patch, pytest.raises(Interrupt):
            patch.setattr(SQLiteOutbox, "close", interrupt)
            session.close()
        assert file._database is not None
        session.close()
        assert file._database is None


class Interrupt(Exception):
    """Of a signal handler."""


async def interrupt(outbox: SQLiteOutbox) -> None:
    raise Interrupt


class TestOpeningWhileItCloses:
    """As by another thread or task, or a listener that is called when a connection ends."""

    def test_leaves_a_session_that_works(self, world: World, outbox: str) -> None:
        reopen: list[Callable[[], Any]] = []
        used: list[bool] = []

        class Closing(MemoryTransport):
            is_closed = True

            async def open(self, deadlines: Any) -> None:
                self.is_closed = False

            async def close(self, deadlines: Any) -> None:
                while reopen:
                    if inspect.isawaitable(opening := reopen.pop()()):
                        await opening
                self.is_closed = True

            async def carry(self, *arguments: Any) -> None:
                used.append(not self.is_closed)
                await super().carry(*arguments)

        transport = Closing()
        session = world.session("localhost", mode="async", outbox=outbox, transport=transport)
        session.open()
        assert session.wait(session.send(message())).status is Status.SENT
        reopen.append(session.face.open)
        session.close()
        assert session.wait(session.send(message())).status is Status.SENT
        assert session.flush() == 0 and used[1:] == [True]
        session.close()
        assert transport.is_closed

    @pytest.mark.parametrize("is_unused", [True, False], ids=["closed", "used again"])
    def test_keeps_what_is_used_again(self, tmp_path: Path, is_unused: bool) -> None:
        io, transport, outbox = BlockingIO(), Held(), SQLiteOutbox(tmp_path / "outbox.db")
        outbox.io = io
        resources = Resources(outbox, transport, io, is_closed=False)
        run(resources.open_outbox())
        run(resources.close(Deadlines(io, Timeouts(), 5.0), lambda: is_unused))
        assert resources.is_outbox_open is not is_unused
        assert ("close" in transport.told) is is_unused


class TestCallbacks:
    """The worker waits for ``on_sent``, so nothing there may wait for the worker."""

    def test_may_close_their_session(self, world: World, outbox: str) -> None:
        [done] = self.call_back(world, outbox, lambda face: face.close())
        assert isinstance(done, OutboxNotEmpty) if outbox == "memory:" else done is None

    def test_are_told_at_once_how_many_are_left(self, world: World, outbox: str) -> None:
        assert self.call_back(world, outbox, lambda face: face.flush()) == [1]

    def test_cannot_wait_for_a_message(self, world: World, outbox: str) -> None:
        async def wait(session: Any) -> Any:
            return await (await session.send(message(), send_at=60))

        def block(session: Any) -> Any:
            return session.send(message(), send_at=60).wait()

        [error] = self.call_back(world, outbox, block if world.name == "blocking" else wait)
        assert isinstance(error, ConfigError) and "wait for itself" in str(error)

    @staticmethod
    def call_back(world: World, outbox: str, call: Callable[[Any], Any]) -> list[Any]:
        """What a call of the session gives in ``on_sent``, while one more message is pending."""
        results: list[Any] = []

        async def later(receipt: Receipt) -> None:
            try:
                results.append(await call(session.face))
            except SMTPError as error:
                results.append(error)

        def at_once(receipt: Receipt) -> None:
            try:
                results.append(call(session.face))
            except SMTPError as error:
                results.append(error)

        session = world.session(
            "localhost", mode="async", outbox=outbox, transport=MemoryTransport(),
            on_sent=later if world.name == "asyncio" else at_once,
        )  # fmt: skip
        later_id = session.send(message(), send_at=60).id
        sent = session.send(message())
        while not results:
            session.receipt(sent.id)  # the event loop runs meanwhile
        session.open()
        for receipt in session.pending():
            session.cancel(receipt.id)
        session.close()
        assert session.status(sent.id) is Status.SENT and session.status(later_id) is Status.ERROR
        return results


class TestInterruptedHiring:
    """A signal handler may raise at any place of the main thread."""

    @pytest.mark.parametrize("name", ["spawn", "at_exit"])
    @pytest.mark.parametrize("is_behind", [False, True], ids=["before", "behind"])
    def test_leaves_one_worker_or_none(
        self, outbox: str, name: str, is_behind: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real: Callable[..., Any] = getattr(BlockingIO, name)
        interruptions = iter([True])

        def interrupted(*args: Any) -> Any:
            if next(interruptions, False):
                if is_behind:
                    real(*args)
                elif inspect.iscoroutine(args[1]):
                    args[1].close()
                raise KeyboardInterrupt
            return real(*args)

        transport = MemoryTransport()
        session = SMTPSession("localhost", mode="async", outbox=outbox, transport=transport)
        session.outbox_statistics()  # opens it
        monkeypatch.setattr(BlockingIO, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.send(message(subject="first"))
        session.send(message(subject="second"))
        assert session.flush(10) == 0
        session.close()
        assert len(transport.messages) == len(list(session.receipts(Status.SENT)))
        assert all(receipt.interruptions == 0 for receipt in session.receipts())

    def test_no_worker_leaves_no_mail(self, outbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
        transport = MemoryTransport()
        session = SMTPSession("localhost", mode="async", outbox=outbox, transport=transport)
        session.outbox_statistics()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            with pytest.raises(OutboxError, match="No thread can be started") as caught:
                session.send(message())
            assert caught.value.temporary
        assert list(session.receipts()) == []
        assert session.send(message()).wait(10) and len(transport.messages) == 1
        session.close()

    def test_mail_that_is_kept_is_pending_although_its_worker_could_not_be_replaced(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        transport = MemoryTransport()
        session = SMTPSession("localhost", mode="async", transport=transport)
        spooler = session._mailer.spooler
        session.outbox_statistics()
        monkeypatch.setattr(type(spooler), "_hire_worker", hires_in_vain(type(spooler)._hire_worker))
        receipt = session.send(message())
        assert receipt.status is Status.PENDING and "has no worker" in caplog.text
        assert session.flush(10) == 0 and session.status(receipt.id) is Status.SENT
        session.close()


def no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def hires_in_vain(real: Callable[[Any], None]) -> Callable[[Any], None]:
    """The first worker seems to begin, the second cannot be hired, the third works."""
    calls = itertools.count()

    def hire(spooler: Any) -> None:
        number = next(calls)
        if number == 1:
            raise OutboxError("No thread can be started")
        if number > 1:
            real(spooler)

    return hire


USED_BY_THREADS = """
    import sys, threading, time
    from wlsmtp import Message, SMTPSession

    session = SMTPSession(sys.argv[1], int(sys.argv[2]), mode="async", outbox=sys.argv[3])

    def work():
        threading.main_thread().join()
        for number in range(3):
            time.sleep(0.05)
            session.send(Message(sender="a@example.com", to="b@example.com", subject=str(number), text="x"))

    session.send(Message(sender="a@example.com", to="b@example.com", subject="main", text="x"))
    threading.Thread(target=work).start()
"""


def test_the_end_of_the_main_thread_is_not_the_end_of_the_others(outbox: str) -> None:
    with SMTPServer() as server:
        process = start(USED_BY_THREADS, server.host, server.port, outbox)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
        arrived = copies(server)
    if outbox == "memory:":
        assert arrived == {"main": 1, "0": 1, "1": 1, "2": 1}
    else:
        left = SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False)
        assert arrived.total() + left.outbox_statistics().pending == 4 and max(arrived.values()) == 1
