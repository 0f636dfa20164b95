"""Work beside other work, in both worlds: tasks that are spawned, and functions that block for a moment."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp import MemoryTransport, Message, OutboxError, RetryPolicy, SMTPSession
from wlsmtp.io.aio import AsyncioIO
from wlsmtp.io.base import IO
from wlsmtp.io.blocking import BlockingIO, run
from wlsmtp.io.exit_hooks import _Works
from wlsmtp.io.order import Rank
from wlsmtp.io.place import Kept, this_process


def play(world: World, function: Any) -> Any:
    """Run a core coroutine function with the world's seam."""
    io: IO = AsyncioIO() if world.name == "asyncio" else BlockingIO()
    return world.run(function(io)) if world.name == "asyncio" else run(function(io))


class TestBell:
    def test_is_heard_by_who_waits_and_by_who_comes_later_and_once(self, world: World) -> None:
        async def core(io: IO) -> list[str]:
            heard: list[str] = []
            bell, answer = io.bell(), io.bell()

            async def work() -> None:
                await bell.wait(io.now() + 10)
                heard.append("rung")
                answer.ring()

            task = io.spawn(work(), "hears")
            bell.ring()
            await answer.wait(io.now() + 10)
            await task.wait(io.now() + 10)
            bell.ring()
            bell.ring()
            await bell.wait(io.now())
            with pytest.raises(TimeoutError):
                await bell.wait(io.now() + 0.01)
            return heard

        assert play(world, core) == ["rung"]


class TestSpawn:
    def test_gives_the_result_to_who_waits_for_it(self, world: World) -> None:
        async def core(io: IO) -> int:
            async def work() -> int:
                await io.sleep(0)
                return 7

            task = io.spawn(work(), "seven")
            return await task.wait(io.now() + 10)

        assert play(world, core) == 7

    def test_both_sides_go_on_at_once(self, world: World) -> None:
        async def core(io: IO) -> list[str]:
            said: list[str] = []
            changed = io.condition(Rank.PROGRESS)

            async def work() -> None:
                async with changed:
                    while "question" not in said:
                        await changed.wait(io.now() + 10)
                    said.append("answer")
                    changed.notify_all()

            task = io.spawn(work(), "answers")
            async with changed:
                said.append("question")
                changed.notify_all()
                while "answer" not in said:
                    await changed.wait(io.now() + 10)
            await task.wait(io.now() + 10)
            assert task.is_done
            return said

        assert play(world, core) == ["question", "answer"]

    def test_raises_what_ended_it(self, world: World) -> None:
        async def core(io: IO) -> None:
            async def work() -> None:
                raise LookupError("gone")

            await io.spawn(work(), "fails").wait(io.now() + 10)

        with pytest.raises(LookupError, match="gone"):
            play(world, core)

    def test_a_wait_has_a_deadline_and_the_work_goes_on(self, world: World) -> None:
        async def core(io: IO) -> str:
            changed = io.condition(Rank.PROGRESS)
            may_end: list[bool] = []

            async def work() -> str:
                async with changed:
                    while not may_end:
                        await changed.wait(io.now() + 10)
                return "done"

            task = io.spawn(work(), "waits")
            with pytest.raises(TimeoutError):
                await task.wait(io.now())
            async with changed:
                may_end.append(True)
                changed.notify_all()
            return await task.wait(io.now() + 10)

        assert play(world, core) == "done"

    def test_a_task_can_be_cancelled(self) -> None:
        async def core() -> None:
            io = AsyncioIO()
            task = io.spawn(io.sleep(60), "sleeps")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task.wait(io.now() + 10)
            assert task.is_done

        asyncio.run(core())


class TestOffload:
    def test_gives_the_result_and_the_exception(self, world: World) -> None:
        async def core(io: IO) -> int:
            with pytest.raises(ZeroDivisionError):
                await io.run_in_thread(lambda: 1 // 0)
            return await io.run_in_thread(lambda: 7)

        assert play(world, core) == 7

    def test_leaves_the_event_loop_free(self) -> None:
        async def core() -> int:
            return await AsyncioIO().run_in_thread(threading.get_ident)

        assert asyncio.run(core()) != threading.get_ident()

    def test_a_cancelled_caller_waits_for_the_end(self) -> None:
        begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

        def function() -> None:
            begun.set()
            may_end.wait(10)
            ended.set()

        async def core() -> None:
            task = asyncio.create_task(AsyncioIO().run_in_thread(function))
            await asyncio.to_thread(begun.wait, 10)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
            may_end.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ended.is_set()

        asyncio.run(core())


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="these versions end no thread before its first step")
def test_a_thread_that_is_ended_before_its_first_step_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by ``PyThreadState_SetAsyncExc`` for the thread that starts it."""
    left = ["wlsmtp-exit", "wlsmtp-outbox", "wlsmtp-outbox-leases"]
    bootstrap: Any = threading.Thread._bootstrap  # type: ignore[attr-defined]

    def ended(thread: threading.Thread) -> None:
        if thread.name in left:
            left.remove(thread.name)
        else:
            bootstrap(thread)

    monkeypatch.setattr("wlsmtp.io.thread.START_TIMEOUT", 0.5)
    monkeypatch.setattr("wlsmtp.io.exit_hooks.exit_hooks._kept", Kept(this_process, lambda _: _Works()))
    monkeypatch.setattr(threading.Thread, "_bootstrap", ended)
    transport = MemoryTransport()
    at_once = RetryPolicy(backoff=0, jitter=0)
    session = SMTPSession("localhost", mode="async", transport=transport, retry=at_once)
    message = Message("ann@example.com", "bob@example.org", text="Hello")
    for _ in ("the exit thread", "the worker"):
        with pytest.raises(OutboxError, match="No thread can be started"):
            session.send(message)
    session.send(message)
    session.close()
    assert len(transport.messages) == 1 and not left
