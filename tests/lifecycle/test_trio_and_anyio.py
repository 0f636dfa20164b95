"""Under trio an ``AsyncSMTPSession`` says what to use instead. Under AnyIO on asyncio it works: there a cancelled scope
cancels each wait of its tasks, also those of the cleaning up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trio

from tests.lifecycle import message
from tests.outbox.programs import copies
from wlsmtp import AsyncSMTPSession, ConfigError, SMTPSession, Status
from wlsmtp.testing import SMTPServer


async def _stream(session: AsyncSMTPSession) -> None:
    async for _ in session.send_many([message("first")]):
        pass


async def _enter(session: AsyncSMTPSession) -> None:
    async with session:
        raise AssertionError("it was entered")


CALLS: dict[str, Callable[[AsyncSMTPSession], Awaitable[Any]]] = {
    "send": lambda session: session.send(message("first")),
    "send_all": lambda session: session.send_all([message("first")]),
    "send_many": _stream,
    "async with": _enter,
    "open": lambda session: session.open(),
    "close": lambda session: session.close(),
}


class TestTrio:
    @pytest.mark.parametrize("mode", ["sync", "memory:", "sqlite"])
    @pytest.mark.parametrize("call", CALLS)
    def test_the_error_names_what_to_use_and_nothing_is_sent_or_stored(
        self, server: SMTPServer, call: str, mode: str, tmp_path: Path
    ) -> None:
        options: dict[str, Any] = {}
        if mode != "sync":
            url = f"sqlite:///{tmp_path}/o.db" if mode == "sqlite" else mode
            options = {"mode": "async", "outbox": url}
        session = AsyncSMTPSession(server.host, server.port, **options)

        async def main() -> None:
            await CALLS[call](session)

        for run in (trio.run, lambda main: anyio.run(main, backend="trio")):
            with pytest.raises(ConfigError, match="needs an event loop of asyncio") as caught:
                run(main)
            assert "trio.to_thread.run_sync(session.send, message)" in (caught.value.hint or "")
            assert caught.value.__context__ is None, "it comes before anything else"
        assert server.connections == 0 and not (tmp_path / "o.db").exists()
        # The session is as it was: an event loop may use it.
        asyncio.run(_send_and_close(session))
        assert copies(server) == {"first": 1}

    def test_a_session_in_threads_does(self, server: SMTPServer) -> None:
        async def main() -> None:
            with SMTPSession(server.host, server.port) as session:

                async def send(number: int) -> None:
                    assert await trio.to_thread.run_sync(session.send, message(str(number)))

                async with trio.open_nursery() as nursery:
                    for number in range(5):
                        nursery.start_soon(send, number)

        trio.run(main)
        assert copies(server) == {str(number): 1 for number in range(5)}


async def _send_and_close(session: AsyncSMTPSession) -> None:
    await session.send(message("first"))
    await session.close()


class TestAnyIO:
    def test_tasks_of_a_group_share_a_session(self, server: SMTPServer) -> None:
        statuses: list[Status] = []

        async def send(session: AsyncSMTPSession, number: int) -> None:
            statuses.append((await session.send(message(str(number)))).status)

        async def main() -> None:
            async with AsyncSMTPSession(server.host, server.port) as session, anyio.create_task_group() as group:
                for number in range(20):
                    group.start_soon(send, session, number)

        anyio.run(main)
        assert statuses == [Status.SENT] * 20
        assert set(copies(server).values()) == {1} and len(copies(server)) == 20

    def test_a_time_limit_ends_a_send_and_its_connection_alone(self, server: SMTPServer) -> None:
        server.reply_to("RCPT <silent@example.org>", server.SILENCE)

        async def main() -> None:
            async with AsyncSMTPSession(server.host, server.port) as session:
                with anyio.move_on_after(0.05) as scope:
                    await session.send(message("silent"))
                assert scope.cancelled_caught
                assert await session.send(message("next"))
            assert session.statistics().connections_open == 0

        anyio.run(main)
        assert copies(server) == {"next": 1}

    @pytest.mark.parametrize("outbox", ["memory:", "sqlite"])
    def test_a_close_that_is_cancelled_loses_no_mail(self, server: SMTPServer, outbox: str, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/o.db" if outbox == "sqlite" else outbox
        session = AsyncSMTPSession(server.host, server.port, mode="async", outbox=url)

        async def main() -> None:
            await session.send(message("later"), send_at=3600)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await session.close()
            assert scope.cancelled_caught
            await session.open()
            [waiting] = [receipt async for receipt in session.pending()]
            assert await session.retry(waiting) and await session.flush() == 0
            await session.close()

        anyio.run(main)
        assert copies(server) == {"later": 1}
