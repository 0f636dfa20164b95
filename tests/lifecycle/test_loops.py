"""An ``AsyncSMTPSession`` that one event loop after the other uses, as ``asyncio.run``, ``async_to_sync`` and test
runners do, or several at once."""

from __future__ import annotations

import asyncio
import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.faults.gates import Gate, Reached
from tests.lifecycle import message
from tests.lifecycle.child import failure_of
from tests.outbox.programs import copies
from tests.outbox.stores import KINDS, url_of
from wlsmtp import TLS, AsyncSMTPSession, PoolLimits, Receipt, Status
from wlsmtp.relay.crew import Crew
from wlsmtp.testing import SMTPServer


class TestOneAfterTheOther:
    @pytest.mark.parametrize("security", ["default", "ssl"])
    def test_each_loop_has_connections_of_its_own(self, security: str) -> None:
        with SMTPServer(security=security) as server:
            options: dict[str, Any] = {"security": "ssl", "tls": TLS(ca_file=server.ca_file)}
            options = options if security == "ssl" else {}
            session = AsyncSMTPSession(server.host, server.port, **options)
            for number in range(3):
                assert asyncio.run(session.send(message(str(number)))).attempts == 1
            statistics = session.statistics()
            assert (statistics.connections_opened, statistics.connections_open) == (3, 0)
            assert copies(server) == {"0": 1, "1": 1, "2": 1}

    def test_with_the_loop_its_connections_end(self, server: SMTPServer) -> None:
        session = AsyncSMTPSession(server.host, server.port)
        with asyncio.Runner() as runner:
            runner.run(session.send(message("first")))
            runner.run(session.send(message("second")))
            assert (server.connections, session.statistics().connections_open) == (1, 1)
        assert session.statistics().connections_open == 0

    def test_a_loop_that_is_closed_without_any_care_leaves_nothing_to_wait_for(self, server: SMTPServer) -> None:
        session = AsyncSMTPSession(server.host, server.port, timeout=5)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(session.send(message("first")))
        loop.close()
        assert asyncio.run(session.send(message("second"))).attempts == 1
        assert copies(server) == {"first": 1, "second": 1}
        del loop
        gc.collect()  # and nothing that asyncio would complain of

    def test_a_stream_is_of_the_loop_that_began_it(self, server: SMTPServer) -> None:
        session = AsyncSMTPSession(server.host, server.port)
        stream = session.send_many([message(str(number)) for number in range(3)])

        async def rest() -> list[Receipt]:
            return [receipt async for receipt in stream]

        with asyncio.Runner() as runner:
            assert runner.run(anext(stream))
            assert "of another event loop" in failure_of(lambda: asyncio.run(rest()))

    def test_a_closed_session_is_closed_for_every_loop(self, server: SMTPServer) -> None:
        session = AsyncSMTPSession(server.host, server.port)
        asyncio.run(session.send(message("first")))
        asyncio.run(session.close())
        assert "closed" in failure_of(lambda: asyncio.run(session.send(message("second"))))
        asyncio.run(session.open())
        assert asyncio.run(session.send(message("third")))


def test_loops_in_several_threads_do_not_disturb_each_other(server: SMTPServer) -> None:
    session = AsyncSMTPSession(server.host, server.port, pool=PoolLimits(max_connections=1, rate="1000/second"))
    gate = Gate("250 2.0.0 Queued")
    server.reply_to("STORED", gate, 1)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(asyncio.run, session.send(message("first")))
        gate.event.wait(30)
        others = [threads.submit(asyncio.run, session.send(message(str(number)))) for number in range(20)]
        assert all(other.result(30) for other in others)
        gate.opened.set()
        assert first.result(30).attempts == 1
    assert set(copies(server).values()) == {1} and len(copies(server)) == 21


def test_loops_in_several_threads_do_not_wait_for_each_others_login() -> None:
    gate = Gate("235 2.7.0 Accepted")
    with SMTPServer(users={"ann": "secret"}) as server, ThreadPoolExecutor() as threads:
        server.reply_to("LOGIN", gate, 1)
        session = AsyncSMTPSession(server.host, server.port, username="ann", password="secret")
        first = threads.submit(asyncio.run, session.send(message("first")))
        gate.event.wait(30)
        assert threads.submit(asyncio.run, session.send(message("second"))).result(30)
        gate.opened.set()
        assert first.result(30)


@pytest.fixture(params=KINDS)
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


class TestOutbox:
    def test_the_next_loop_sends_what_the_last_one_left(self, server: SMTPServer, outbox: str) -> None:
        session = AsyncSMTPSession(server.host, server.port, mode="async", outbox=outbox)
        loop = asyncio.new_event_loop()
        receipt = loop.run_until_complete(session.send(message("first"), send_at=0.2))
        assert receipt.status is Status.PENDING
        workers = asyncio.all_tasks(loop)
        for worker in workers:
            worker.cancel()
        loop.run_until_complete(asyncio.gather(*workers, return_exceptions=True))
        loop.close()

        async def go_on() -> None:
            second = await session.send(message("second"))
            assert (await receipt).status is (await second).status is Status.SENT
            await session.close()

        asyncio.run(go_on())
        assert copies(server) == {"first": 1, "second": 1}

    @pytest.mark.parametrize(
        "stage, first", [("STORED", Status.UNKNOWN), ("RCPT <first@example.org>", Status.SENT)], ids=["whole", "begun"]
    )
    def test_what_was_on_its_way_when_the_loop_ended_is_not_sent_twice(
        self, server: SMTPServer, outbox: str, stage: str, first: Status
    ) -> None:
        reached = Reached()
        server.reply_to(stage, reached, 1)
        session = AsyncSMTPSession(server.host, server.port, mode="async", outbox=outbox)

        async def begin() -> Receipt:
            receipt = await session.send(message("first"))
            assert await asyncio.to_thread(reached.event.wait, 30)
            return receipt

        async def go_on() -> list[Receipt]:
            receipts = [await receipt, await (await session.send(message("second")))]
            await session.close()
            return receipts

        receipt = asyncio.run(begin())
        statuses = [receipt.status for receipt in asyncio.run(go_on())]
        assert statuses == [first, Status.SENT]
        assert copies(server) == {"first": 1, "second": 1}

    def test_loops_that_end_at_any_moment_lose_nothing_and_send_nothing_twice(
        self, server: SMTPServer, outbox: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.CRITICAL)  # what is left in memory when a loop ends is logged
        session = AsyncSMTPSession(server.host, server.port, mode="async", outbox=outbox)

        async def send(number: int) -> None:
            await session.send(message(str(number)))
            for _ in range(5 * number):
                await asyncio.sleep(0)

        async def finish() -> int:
            await session.flush(20)
            statistics = await session.outbox_statistics()
            await session.close()
            return statistics.sent + statistics.unknown

        for number in range(20):
            asyncio.run(send(number))
        assert asyncio.run(finish()) == 20
        assert set(copies(server).values()) == {1}

    def test_another_loop_is_refused_while_one_is_at_work(self, server: SMTPServer, outbox: str) -> None:
        session = AsyncSMTPSession(server.host, server.port, mode="async", outbox=outbox)
        with asyncio.Runner() as runner:
            runner.run(session.send(message("first"), send_at=3600))
            said = failure_of(lambda: asyncio.run(session.send(message("second"))))
            assert said.startswith("ConfigError: The outbox of the session is in use in another event loop")
            assert runner.run(session.outbox_statistics()).pending == 1
            [receipt] = runner.run(_all(session.pending()))
            assert runner.run(session.cancel(receipt.id))
            runner.run(session.close())
            asyncio.run(session.open())
            asyncio.run(session.close())


async def _all(receipts: Any) -> list[Receipt]:
    return [receipt async for receipt in receipts]


class TestCancellation:
    def test_a_task_that_is_cancelled_as_its_last_helper_ends_is_cancelled(
        self, server: SMTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        finish = Crew._finish

        async def finish_and_be_cancelled(self: Crew, workers: Any) -> None:
            me = asyncio.current_task()
            assert me is not None
            workers[-1]._task.add_done_callback(lambda _: me.cancel())
            await finish(self, workers)

        async def job() -> str:
            session = AsyncSMTPSession(server.host, server.port)
            try:
                async for _ in session.send_many([message(str(number)) for number in range(20)], connections=2):
                    pass
                return "went on"
            finally:
                await session.close()

        monkeypatch.setattr(Crew, "_finish", finish_and_be_cancelled)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(job())
