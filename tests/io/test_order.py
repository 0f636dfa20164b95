"""Locks are taken in the order of ``Rank``, and nothing waits under a mutex."""

from __future__ import annotations

import pytest

from tests.io.test_tasks import play
from tests.worlds import World
from wlsmtp.io.base import IO
from wlsmtp.io.order import Rank, order
from wlsmtp.io.thread import Lock


def test_it_is_checked_in_all_tests() -> None:
    assert order.is_checked


def test_an_inner_lock_may_be_taken_and_an_outer_one_not(world: World) -> None:
    async def core(io: IO) -> None:
        turn, changed = io.condition(Rank.TURN), io.condition(Rank.POOL_CHANGED)
        pool, window = io.mutex(Rank.POOL), io.mutex(Rank.WINDOW)
        async with turn, changed:
            with pool, window:
                pass
        with window, pytest.raises(AssertionError, match="POOL is taken by who holds WINDOW"):
            pool.__enter__()
        async with changed:
            with pytest.raises(AssertionError, match="TURN is taken by who holds POOL_CHANGED"):
                await turn.__aenter__()
        with pool, pytest.raises(AssertionError, match="TURN is taken by who holds POOL"):
            await turn.__aenter__()

    play(world, core)


def test_locks_of_threads_have_their_places_too() -> None:
    pace, files = Lock(Rank.PACE), Lock(Rank.FILES)
    with pace, files:
        pass
    with files, pytest.raises(AssertionError, match="PACE is taken by who holds FILES"):
        pace.__enter__()
    with pace:
        pass


def test_who_waits_for_one_condition_holds_no_other_lock(world: World) -> None:
    async def core(io: IO) -> None:
        turn, changed = io.condition(Rank.TURN), io.condition(Rank.POOL_CHANGED)
        async with turn, changed:
            with pytest.raises(AssertionError, match="waits under TURN"):
                await changed.wait(io.now())

    play(world, core)


def test_nothing_is_slept_or_waited_for_under_a_mutex(world: World) -> None:
    async def core(io: IO) -> None:
        async def nothing() -> None:
            """At once."""

        task = io.spawn(nothing(), "nothing")
        with io.mutex(Rank.POOL):
            with pytest.raises(AssertionError, match="waits under POOL"):
                await io.sleep(0)
            with pytest.raises(AssertionError, match="waits under POOL"):
                await task.join(io.now())
        await task.join(io.now() + 10)

    play(world, core)


def test_a_task_that_waits_with_a_mutex_is_found_by_the_next_one() -> None:
    async def core(io: IO) -> None:
        mutex = io.mutex(Rank.POOL)

        async def holds() -> None:
            with mutex:
                await asyncio.sleep(0)

        async def comes() -> None:
            with pytest.raises(AssertionError, match="waits while it holds POOL"):
                mutex.__enter__()

        await asyncio.gather(holds(), comes())

    import asyncio

    world = World("asyncio")
    play(world, core)
    world.close()
