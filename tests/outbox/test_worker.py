"""The worker when things go wrong around it: a transport that raises, an outbox that cannot be written, a server that
comes back."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from tenacity import stop_after_delay

from tests.faults.gates import Gate
from tests.real import poll
from tests.worlds import World
from wlsmtp import (
    ConnectionFailed,
    ContentRefused,
    MemoryOutbox,
    MemoryTransport,
    Message,
    OutboxError,
    OutcomeUnknown,
    Receipt,
    RecipientStatus,
    RetryPolicy,
    Status,
)
from wlsmtp.errors import Stage
from wlsmtp.events import Event, Retrying
from wlsmtp.outbox import leased, spooler, worker
from wlsmtp.outbox.base import Agenda, Entry, Outbox
from wlsmtp.outbox.clerk import Clerk
from wlsmtp.outbox.lifecycle import WorkerLife
from wlsmtp.outbox.sqlite import SQLiteOutbox
from wlsmtp.outbox.verdict import after_try
from wlsmtp.receipt import Outcome
from wlsmtp.results.reply import Reply
from wlsmtp.testing import SMTPServer
from wlsmtp.transports.base import Transport

QUICK = RetryPolicy(attempts=1000, backoff=0.02, max_backoff=0.02, jitter=0)


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hello", **fields})


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "POLL_INTERVAL", 0.05)
    monkeypatch.setattr(spooler, "POLL_INTERVAL", 0.05)


class Unwritable(MemoryOutbox):
    """Cannot be written to for a while."""

    failures = 0

    async def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        if self.failures:
            self.failures -= 1
            error = OutboxError("The outbox is locked", stage=Stage.SETTINGS)
            error.is_passing = True
            raise error
        return await super().settle(owner, entries)


def test_a_transport_that_raises_leaves_what_it_had_in_doubt_and_the_rest_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Transport):
        async def deliver(self, *_: Any) -> Outcome:
            raise ZeroDivisionError

    with world.session("localhost", mode="async", transport=Broken(), retry=QUICK) as session:
        finals = [session.wait(receipt) for receipt in session.send_many([message()] * 3)]
    assert all(final.status is Status.UNKNOWN and isinstance(final.error, OutcomeUnknown) for final in finals)
    assert "Broken.deliver raised ZeroDivisionError" in caplog.text


def test_what_fails_while_a_connection_is_opened_leaves_nothing_in_doubt(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(reply: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("wlsmtp.smtp.opening.parse_ehlo", breaks)
    with SMTPServer() as server:
        session = world.session(server.host, server.port, mode="async", retry=QUICK)
        pending = session.send(message())
        while session.receipt(pending.id).error is None and session.status(pending.id) is Status.PENDING:
            session.flush(0.02)
        known = session.receipt(pending.id)
        assert poll(lambda: session.cancel(pending.id), 10)
        session.close()
        with world.session(server.host, server.port) as session, pytest.raises(ZeroDivisionError):
            session.send(message())
    assert isinstance(known.error, ConnectionFailed) and known.recipients[0].status is RecipientStatus.NOT_SENT
    assert "the transport failed" in caplog.text


def test_a_mail_that_cannot_be_used_is_an_error_of_its_own(world: World) -> None:
    class Forgetful(MemoryOutbox):
        async def claim(self, owner: str, limit: int) -> list[Entry]:
            claimed = await super().claim(owner, limit)
            return [replace(entry, content=None) if entry.key == "bad" else entry for entry in claimed]

    transport = MemoryTransport()
    options = {"outbox": Forgetful(), "transport": transport, "retry": QUICK}
    with world.session("localhost", mode="async", **options) as session:
        bad = session.send(message(), idempotency_key="bad", send_at=0.05)
        good = session.send(message(), send_at=0.05)
        assert session.wait(good)
        final = session.wait(bad)
    assert final.status is Status.ERROR and "cannot be used" in str(final.error)
    assert len(transport.messages) == 1


def test_what_came_of_a_mail_is_written_down_as_soon_as_that_can_be_done(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outbox, transport = Unwritable(), MemoryTransport()
    outbox.failures = 2
    monkeypatch.setattr(worker, "WRITE_RETRY_PAUSE", 0.01)
    with world.session("localhost", mode="async", outbox=outbox, transport=transport) as session:
        assert session.wait(session.send(message()))
    assert len(transport.messages) == 1 and "could not be stored" in caplog.text


def test_the_worker_outlives_an_outbox_that_fails_for_longer(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outbox, transport = Unwritable(), MemoryTransport()
    monkeypatch.setattr(worker, "WRITE_TRIES", 1)
    monkeypatch.setattr(worker, "WRITE_RETRY_PAUSE", 0.01)
    outbox.failures = 2
    with world.session("localhost", mode="async", outbox=outbox, transport=transport, retry=QUICK) as session:
        session.wait(session.send(message(subject="first")), 20)
        assert session.wait(session.send(message(subject="second")))
        [first, _second] = session.receipts()
    assert first.status is Status.SENT and first.interruptions == 0
    assert len(transport.messages) == 2, "the first went again, although this program knows its outcome"


class Own(MemoryOutbox):
    """An outbox of another package, whose ``settle`` ends as ``how`` says after it has stored the outcomes, or not."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    async def settle(self, owner: str, entries: Sequence[Entry]) -> Any:
        lost = None if "without storing" in self.how else await super().settle(owner, entries)
        if "raises" in self.how:
            raise ValueError
        return {"returns nothing": None, "returns True": True, "returns a text": "abc"}.get(self.how, lost)


@pytest.mark.parametrize("how", ["returns nothing", "returns True", "returns a text"])
def test_an_outbox_that_does_not_say_what_was_lost_is_named(
    world: World, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    transport = MemoryTransport()
    with world.session("localhost", mode="async", outbox=Own(how), transport=transport) as session:
        assert [session.wait(receipt).status for receipt in session.send_all([message()] * 2)] == [Status.SENT] * 2
    assert len(transport.messages) == 2
    [error] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert error.startswith("Own.settle returned ") and error.endswith("not the list of ids that were lost")


@pytest.mark.parametrize("how", ["returns nothing, without storing", "raises", "raises without storing"])
def test_no_mail_goes_again_because_an_outbox_cannot_store_its_outcome(
    world: World, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    outbox, transport, pauses = Own(how), MemoryTransport(), list[Event]()
    session = world.session(
        "localhost", mode="async", outbox=outbox, transport=transport, retry=QUICK, listeners=[pauses.append]
    )
    pending = session.send(message())
    while sum(isinstance(event, Retrying) for event in pauses) < 3 and session.status(pending.id) is Status.PENDING:
        session.flush(0.05)
    outbox.how = ""
    assert session.wait(pending, 20).status is Status.SENT
    session.close()
    assert len(transport.messages) == 1
    assert "Own.settle" in caplog.text


@pytest.mark.parametrize("method", ["claim", "reclaim"])
@pytest.mark.parametrize("fault", ["returns", "raises"])
def test_what_an_outbox_returns_and_raises_is_named(
    world: World, method: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    outbox, transport, is_broken = MemoryOutbox(), MemoryTransport(), True
    sound = getattr(outbox, method)

    async def broken(*arguments: Any) -> Any:
        if not is_broken:
            return await sound(*arguments)
        if fault == "raises":
            raise KeyError
        return None

    class Broken(MemoryOutbox):
        pass

    outbox.__class__ = Broken
    setattr(outbox, method, broken)
    with world.session("localhost", mode="async", outbox=outbox, transport=transport, retry=QUICK) as session:
        pending = session.send(message())
        while f"Broken.{method} {fault[:4]}" not in caplog.text:
            session.flush(0.05)
        is_broken = False
        assert session.wait(pending, 20)
    assert len(transport.messages) == 1


class Handler(Exception):
    """What a signal handler raises, such as a soft time limit."""


def raising(function: Any, error: BaseException, times: int) -> Any:
    """``function``, which raises before it does anything, so many times."""
    left = [error] * times

    @wraps(function)
    def raises(*arguments: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return function(*arguments, **named)

    return raises


class TestInterruptions:
    @pytest.mark.parametrize(("error", "times"), [(Handler(), 1), (MemoryError(), 5), (OSError(), 5)])
    def test_what_is_no_fault_of_the_message_is_not_held_against_it(
        self, world: World, error: Exception, times: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(leased, "_prepare", raising(leased._prepare, error, times))
        transport = MemoryTransport()
        with world.session("localhost", mode="async", transport=transport, retry=QUICK) as session:
            final = session.wait(session.send(message()), 20)
        assert final.status is Status.SENT and len(transport.messages) == 1

    @pytest.mark.parametrize("outbox", ["memory:", "sqlite"])
    def test_a_known_outcome_is_stored_although_its_receipt_could_not_be_made_at_first(
        self, world: World, outbox: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wlsmtp.outbox.worker.after_try", raising(after_try, Handler(), 1))
        outbox = outbox if outbox == "memory:" else f"sqlite:///{tmp_path}/outbox.db"
        transport = MemoryTransport()
        with world.session("localhost", mode="async", outbox=outbox, transport=transport, retry=QUICK) as session:
            final = session.wait(session.send(message()), 20)
        assert (final.status, final.interruptions, len(transport.messages)) == (Status.SENT, 0, 1)

    @pytest.mark.parametrize("kind", [MemoryOutbox, SQLiteOutbox])
    @pytest.mark.parametrize("error", [Handler(), OutboxError("broken off", stage=Stage.SETTINGS)])
    def test_mail_of_a_claim_whose_result_was_lost_does_not_wait_for_the_end_of_its_lease(
        self, world: World, kind: type[Outbox], error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left, claim = [error], kind.claim

        async def loses(self: Outbox, owner: str, limit: int) -> list[Entry]:
            claimed = await claim(self, owner, limit)
            if claimed and left:
                raise left.pop()
            return claimed

        monkeypatch.setattr(kind, "claim", loses)
        outbox = MemoryOutbox() if kind is MemoryOutbox else SQLiteOutbox(tmp_path / "outbox.db", lease=3600)
        transport = MemoryTransport()
        with world.session("localhost", mode="async", outbox=outbox, transport=transport, retry=QUICK) as session:
            final = session.wait(session.send(message()), 20)
        assert not left and (final.status, final.interruptions) == (Status.SENT, 0)
        assert len(transport.messages) == 1

    def test_an_outbox_that_fails_at_a_claim_leaves_the_messages_in_flight_alone(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        claim, failures = MemoryOutbox.claim, [OutboxError("full", stage=Stage.SETTINGS)]

        async def fails(self: MemoryOutbox, owner: str, limit: int) -> list[Entry]:
            claimed = await claim(self, owner, 1)
            if not claimed and failures:
                raise failures.pop()
            return claimed

        monkeypatch.setattr(MemoryOutbox, "claim", fails)
        with (
            SMTPServer() as server,
            world.session(server.host, server.port, mode="async", outbox="memory:", retry=QUICK) as session,
        ):
            finals = [session.wait(one, 20) for one in session.send_all([message()] * 5)]
            assert not failures and len(server.messages) == 5
        assert [(final.status, final.interruptions) for final in finals] == [(Status.SENT, 0)] * 5

    @pytest.mark.parametrize("place", ["_housekeeping", "_pause_before_next_look", "_wait_for_work"])
    def test_a_worker_that_fails_outside_a_delivery_goes_on(
        self, world: World, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker, "WRITE_RETRY_PAUSE", 0.01)
        monkeypatch.setattr(worker.Worker, place, raising(getattr(worker.Worker, place), Handler(), 2))
        transport = MemoryTransport()
        with world.session("localhost", mode="async", transport=transport, retry=QUICK) as session:
            assert session.wait(session.send(message(), send_at=0.05), 20).status is Status.SENT
        assert len(transport.messages) == 1


class Forgetful(SQLiteOutbox):
    """Forgets what it was told, as a database whose standby did not have it when it became the primary."""

    forgets = 1
    fails = False

    async def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        if self.forgets:
            self.forgets -= 1
            return []
        return await super().settle(owner, entries)

    async def agenda(self) -> Agenda:
        if self.fails and not self.forgets:
            self.fails = False
            raise OutboxError("no connection", stage=Stage.SETTINGS)
        return await super().agenda()


@pytest.mark.parametrize("is_noticed", [True, False], ids=["with an error", "without an error"])
def test_mail_whose_outcome_a_database_forgets_is_sent_again_while_its_worker_lives(
    world: World, is_noticed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It counts as interrupted after the end of a lease."""
    monkeypatch.setattr(leased, "NAMED_FOR", 1e9 if is_noticed else 1)
    outbox, transport = Forgetful(tmp_path / "outbox.db", lease=0.2), MemoryTransport()
    outbox.fails = is_noticed
    with world.session("localhost", mode="async", outbox=outbox, transport=transport) as session:
        final = session.wait(session.send(message()), 20)
    assert (final.status, final.interruptions, len(transport.messages)) == (Status.SENT, 1, 2)


def let_workers_fail(monkeypatch: pytest.MonkeyPatch, outbox: Outbox, times: float) -> list[object]:
    """The workers of this outbox, and no other one that is still there, fail so many times. Return those that did."""
    sound, failed = worker.Worker._has_clock_jumped, list[object]()

    def fails(one: worker.Worker) -> bool:
        if one._outbox._outbox is outbox and len(failed) < times:
            failed.append(one)
            raise ZeroDivisionError
        return sound(one)

    monkeypatch.setattr(worker.Worker, "_has_clock_jumped", fails)
    return failed


class TestAWorkerThatFails:
    """As by a fault in it, or in what it uses."""

    def test_is_followed_by_another_one_after_a_pause(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(spooler, "FAILURE_PAUSE", 0.01)
        outbox = MemoryOutbox()
        let_workers_fail(monkeypatch, outbox, 3)
        with world.session("localhost", mode="async", outbox=outbox, transport=MemoryTransport()) as session:
            assert session.wait(session.send(message())).status is Status.SENT
        words = [record.getMessage() for record in caplog.records if "failed" in record.message]
        assert [line[-6:] for line in words] == ["0.01 s", "0.02 s", "0.04 s"]
        assert [bool(record.exc_info) for record in caplog.records if "failed" in record.message] == [
            True,
            False,
            False,
        ]

    def test_is_not_followed_at_once_while_flush_waits(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        outbox = MemoryOutbox()
        runs = let_workers_fail(monkeypatch, outbox, float("inf"))
        session = world.session("localhost", mode="async", outbox=outbox, transport=MemoryTransport())
        pending = session.send(message())
        assert session.flush(1.0) == 1
        assert len(runs) <= 3  # after 0, 0.25 and 0.75 s
        assert session.cancel(pending.id)
        session.close()

    def test_delays_no_close_by_its_pause(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(spooler, "FAILURE_PAUSE", 3600)
        monkeypatch.setattr(spooler, "LONGEST_FAILURE_PAUSE", 3600)
        outbox = SQLiteOutbox(tmp_path / "outbox.db")
        let_workers_fail(monkeypatch, outbox, 1)
        session = world.session("localhost", mode="async", outbox=outbox, transport=MemoryTransport())
        pending = session.send(message())
        assert session.flush(0.05) == 1
        session.close(timeout=20)
        assert "not sent in time" not in caplog.text
        session.open()
        assert session.wait(session.receipt(pending.id)).status is Status.SENT
        session.close()

    def test_as_its_event_loop_ends_is_not_followed_by_another_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        from wlsmtp import AsyncSMTPSession

        runs: list[object] = []

        async def fails(one: worker.Worker) -> None:
            runs.append(one)
            raise ZeroDivisionError

        monkeypatch.setattr(worker.Worker, "_end", fails)
        transport, outbox = MemoryTransport(), f"sqlite:///{tmp_path}/outbox.db"
        session = AsyncSMTPSession("localhost", mode="async", outbox=outbox, transport=transport)
        asyncio.run(session.send(message(), send_at=3600))
        assert len(runs) == 1 and "begins after" not in caplog.text


def test_in_an_event_loop_a_clerk_that_was_interrupted_is_followed_by_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wlsmtp import AsyncSMTPSession

    serve, left = Clerk._serve, [Handler()]

    async def interrupted(self: Clerk, life: WorkerLife) -> None:
        if left:
            raise left.pop()
        await serve(self, life)

    async def send() -> Receipt:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        outbox, transport = f"sqlite:///{tmp_path}/outbox.db", MemoryTransport()
        async with AsyncSMTPSession("localhost", mode="async", outbox=outbox, transport=transport) as session:
            return await (await session.send(message()))

    monkeypatch.setattr("wlsmtp.outbox.clerk.LOOK_AGAIN", 0.05)
    monkeypatch.setattr("wlsmtp.outbox.sqlite.PATIENCE", 5.0)
    monkeypatch.setattr(Clerk, "_serve", interrupted)
    assert asyncio.run(send()).status is Status.SENT and not left


def test_a_task_that_puts_one_message_after_the_other_leaves_time_for_the_worker() -> None:
    from wlsmtp import AsyncSMTPSession

    transport = MemoryTransport()

    async def put_until_some_are_sent() -> int:
        async with AsyncSMTPSession("localhost", mode="async", outbox="memory:", transport=transport) as session:
            for count in range(20_000):
                await session.send(message())
                if transport.messages:
                    return count
        raise AssertionError("nothing was sent meanwhile")

    assert asyncio.run(put_until_some_are_sent())


class TestPauses:
    @pytest.fixture
    def port(self) -> Iterator[int]:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            yield held.getsockname()[1]

    def test_one_mail_goes_ahead_to_a_server_that_was_not_there(self, world: World, port: int) -> None:
        policy = RetryPolicy(attempts=3, backoff=3600, max_backoff=3600, jitter=0)
        with world.session("127.0.0.1", port, mode="async", retry=policy) as session:
            ids = [receipt.id for receipt in session.send_many([message() for _ in range(50)])]
            while not session.receipt(ids[0]).attempts:
                session.flush(0.02)
            assert session.flush(0.2) == 50
            assert [receipt.attempts for receipt in session.pending()] == [1] + [0] * 49
            for id in ids:
                assert session.cancel(id)

    def test_all_goes_when_the_server_comes_back(self, world: World) -> None:
        with SMTPServer() as server:
            server.reply_to("CONNECT", "421 4.3.2 Not now", times=3)
            with world.session(server.host, server.port, mode="async", retry=QUICK) as session:
                list(session.send_many([message() for _ in range(20)]))
                assert session.flush() == 0
            assert len(server.messages) == 20

    def test_a_reply_that_is_not_smtp_stops_it_for_a_short_pause(self, world: World) -> None:
        policy = RetryPolicy(attempts=1000, backoff=0.01, max_backoff=3600, jitter=0)
        with SMTPServer() as server:
            server.reply_to("EHLO", b"\0\xff\x01\r\n", times=2)
            with world.session(server.host, server.port, mode="async", retry=policy) as session:
                session.send_all([message() for _ in range(20)])
                assert session.flush() == 0
            assert len(server.messages) == 20

    def test_a_wrong_password_is_not_tried_until_the_account_is_locked(self, world: World) -> None:
        policy = RetryPolicy(attempts=1000, backoff=0.01, max_backoff=3600, jitter=0)
        with SMTPServer(users={"ann": "right"}, require_auth=True) as server:
            options = {"username": "ann", "password": "wrong", "retry": policy, "mode": "async"}
            session = world.session(server.host, server.port, **options)
            ids = [receipt.id for receipt in session.send_many([message() for _ in range(5)])]
            assert session.flush(0.5) == 5
            assert sum(verb == b"AUTH" for verb in verbs(server)) == 1
            for id in ids:
                session.cancel(id)
            session.close()


def verbs(server: SMTPServer) -> list[bytes]:
    return [line.split(b" ")[0].upper() for _, who, line in server.transcript if who == "C"]


class Busy(MemoryTransport):
    """Accepts nothing for a while."""

    is_busy = True

    async def carry(self, *mail: Any) -> None:
        if self.is_busy:
            raise ContentRefused("Busy", stage=Stage.CONTENT, reply=Reply(451, ("4.3.0 Busy",)))
        await super().carry(*mail)


@pytest.mark.parametrize("outbox", ["memory:", "sqlite"])
@pytest.mark.parametrize("seconds", [-86400, 86400], ids=["back", "ahead"])
def test_a_clock_that_is_set_holds_up_no_retry_and_gives_nothing_up(
    world: World, outbox: str, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = outbox if outbox == "memory:" else f"sqlite:///{tmp_path}/outbox.db"
    policy = RetryPolicy(stop=stop_after_delay(3600), backoff=0.2, max_backoff=0.2, jitter=0)
    real, transport = time.time, Busy()
    with world.session("localhost", mode="async", outbox=outbox, retry=policy, transport=transport) as session:
        receipt, later = session.send(message()), session.send(message(), send_at=0.5)

        def attempts(receipt: Receipt) -> int:
            session.flush(0.05)
            return session.receipt(receipt.id).attempts

        assert poll(lambda: attempts(receipt) > 0, 10)
        monkeypatch.setattr(time, "time", lambda: real() + seconds)
        tries = attempts(receipt)
        assert poll(lambda: attempts(receipt) > tries + 1 and attempts(later) > 1, 10)
        assert session.status(receipt.id) is session.status(later.id) is Status.PENDING
        transport.is_busy = False
        assert session.flush(20) == 0 and len(transport.messages) == 2


@pytest.mark.parametrize("outbox", ["memory:", "sqlite"])
def test_a_clock_that_is_set_back_during_the_first_attempt_holds_up_no_retry(
    world: World, outbox: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = outbox if outbox == "memory:" else f"sqlite:///{tmp_path}/outbox.db"
    policy = RetryPolicy(stop=stop_after_delay(3600), backoff=0.1, max_backoff=0.1, jitter=0)
    real = time.time

    class SetsTheClockBack(Busy):
        async def carry(self, *mail: Any) -> None:
            monkeypatch.setattr(time, "time", lambda: real() - 86400)
            await super().carry(*mail)

    transport = SetsTheClockBack()
    with world.session("localhost", mode="async", outbox=outbox, retry=policy, transport=transport) as session:
        session.send(message())
        later = session.send(message(), send_at=0.2)
        assert poll(lambda: session.receipt(later.id).attempts > 0, 20)
        transport.is_busy = False
        assert session.flush(20) == 0 and len(transport.messages) == 2


def test_flush_waits_for_mail_that_was_put_while_the_clock_was_ahead(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, transport, outbox = time.time, MemoryTransport(), f"sqlite:///{tmp_path}/outbox.db"
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + 86400)
        with world.session("localhost", mode="async", outbox=outbox, outbox_worker=False) as session:
            session.send(message())
    with world.session("localhost", mode="async", outbox=outbox, transport=transport) as session:
        assert session.flush(20) == 0 and len(transport.messages) == 1


def test_a_program_whose_clock_is_ahead_leaves_the_mail_that_another_one_is_sending(
    world: World, tmp_path: Path
) -> None:
    gate, outbox = Gate("250 2.0.0 Queued"), f"sqlite:///{tmp_path}/outbox.db?lease=30"
    with SMTPServer() as server:
        server.reply_to("STORED", gate, 1)
        sending = World("blocking").session(server.host, server.port, mode="async", outbox=outbox)
        sent = sending.send(message())
        assert gate.event.wait(30)
        other = world.session(server.host, server.port, mode="async", outbox=outbox)
        io = other.face._mailer.io
        io.unix_time = lambda: time.time() + 300  # type: ignore[method-assign]
        other.send(message())
        assert other.flush(1.0) == 1  # its own mail is sent
        gate.opened.set()
        assert sending.wait(sent).interruptions == 0
        sending.close()
        other.close()
        assert len(server.messages) == 2


def test_an_event_loop_that_ends_with_mail_in_memory_says_so(caplog: pytest.LogCaptureFixture) -> None:
    from wlsmtp import AsyncSMTPSession

    async def forgets_to_close() -> None:
        session = AsyncSMTPSession("localhost", mode="async", transport=MemoryTransport())
        await session.send(message(), send_at=3600)

    with caplog.at_level(logging.ERROR):
        asyncio.run(forgets_to_close())
    assert "1 messages in the outbox were not sent" in caplog.text and "Traceback" not in caplog.text


def test_close_in_another_event_loop_sends_what_the_first_one_left_in_memory() -> None:
    from wlsmtp import AsyncSMTPSession

    transport = MemoryTransport()
    session = AsyncSMTPSession("localhost", mode="async", outbox="memory:", transport=transport)
    asyncio.run(session.send(message(), send_at=0.05))
    assert transport.messages == []
    asyncio.run(session.close())
    assert len(transport.messages) == 1


def test_close_in_another_event_loop_names_what_it_cannot_send() -> None:
    from wlsmtp import AsyncSMTPSession
    from wlsmtp.outbox.base import OutboxNotEmpty

    session = AsyncSMTPSession("localhost", mode="async", outbox="memory:", transport=MemoryTransport())
    pending = asyncio.run(session.send(message(), send_at=0.05))
    with pytest.raises(OutboxNotEmpty) as caught:
        asyncio.run(session.close(drain=False))
    assert [entry.receipt.id for entry in caught.value.left] == [pending.id]


def test_an_event_loop_that_ends_keeps_the_mail_in_the_file(tmp_path: Path) -> None:
    from wlsmtp import AsyncSMTPSession

    outbox, transport = f"sqlite:///{tmp_path}/outbox.db", MemoryTransport()

    async def forgets_to_close() -> None:
        session = AsyncSMTPSession("localhost", mode="async", outbox=outbox, transport=transport)
        await session.send(message(), send_at=0.2)

    async def goes_on() -> int:
        async with AsyncSMTPSession("localhost", mode="async", outbox=outbox, transport=transport) as session:
            return await session.flush(10)

    asyncio.run(forgets_to_close())
    assert asyncio.run(goes_on()) == 0 and len(transport.messages) == 1


class Always(MemoryOutbox):
    """Has nothing to claim although mail is due, and always something to purge."""

    claims = purges = 0

    async def claim(self, owner: str, limit: int) -> list[Entry]:
        self.claims += 1
        return []

    async def purge(self, before: float) -> int:
        self.purges += 1
        return 1


def test_an_outbox_that_never_comes_to_an_end_is_not_asked_all_the_time(world: World) -> None:
    outbox = Always(keep=60)
    with world.session("localhost", mode="async", outbox=outbox, transport=MemoryTransport()) as session:
        pending = session.send(message())
        session.flush(0.3)
        session.cancel(pending.id)
    assert 1 <= outbox.claims <= 30 and outbox.purges == worker.MOST_PURGES
