"""Calls in random orders, by several threads or tasks at once, with a collector that comes by all the time and
listeners that fail: nobody waits for ever, and the receipts are what the server has stored.

``ORDERS=1000 pytest tests/lifecycle/test_random_orders.py`` tries more; a seed gives each actor the same calls again.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import AsyncSMTPSession, Envelope, Pipelining, PoolLimits, Receipt, RetryPolicy, SMTPError, SMTPSession
from wlsmtp.events import Event
from wlsmtp.testing import SMTPServer

ORDERS = int(os.environ.get("ORDERS", "10"))
ACTORS = 3
CALLS = 25


def content_of(number: int) -> bytes:
    return f"Subject: {number}\r\n\r\n{number}\r\n".encode()


class _Calls:
    """A session whose calls are awaited, in either world."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self._blocks = isinstance(session, SMTPSession)

    async def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        return await result if isinstance(result, Awaitable) else result

    async def next(self, stream: Any) -> Receipt:
        try:
            return next(stream) if self._blocks else await anext(stream)
        except StopIteration:
            raise StopAsyncIteration from None

    async def leave(self, stream: Any) -> None:
        await self.call(stream.close if self._blocks else stream.aclose)


class _Actor:
    """One thread or task: what it does is decided by its seed."""

    def __init__(self, calls: _Calls, seed: str, numbers: Iterator[int], receipts: dict[int, Receipt]) -> None:
        self._calls = calls
        self._dice = random.Random(seed)
        self._numbers = numbers
        self._receipts = receipts
        self._streams: list[tuple[Any, list[int]]] = []

    async def act(self) -> None:
        actions = [*[self.send] * 5, *[self.begin] * 2, *[self.read] * 5]
        actions += [self.drop, self.leave, self.verify, self.reopen]
        for _ in range(CALLS):
            try:
                await self._dice.choice(actions)()
            except SMTPError as error:
                assert "closed" in str(error), error
        while self._streams:
            await self.leave()

    async def send(self) -> None:
        number = next(self._numbers)
        content, to = content_of(number), {"sender": "ann@example.com", "recipients": "bob@example.org"}
        try:
            self._receipts[number] = await self._calls.call(self._calls.session.send, content, timeout=600, **to)
        except SMTPError as error:
            assert error.receipt is not None
            self._receipts[number] = error.receipt
            raise

    async def begin(self) -> None:
        given: list[int] = []

        def items() -> Iterator[tuple[bytes, Envelope]]:
            for _ in range(self._dice.randrange(1, 20)):
                given.append(next(self._numbers))
                yield content_of(given[-1]), Envelope("ann@example.com", ["bob@example.org"])

        width = self._dice.choice([None, None, min(2, self._calls.session.config.pool.max_connections)])
        self._streams.append((self._calls.session.send_many(items(), connections=width), given))

    async def read(self) -> None:
        if not self._streams:
            return
        stream, given = place = self._dice.choice(self._streams)
        try:
            for _ in range(self._dice.randrange(1, 6)):
                receipt = await self._calls.next(stream)
                self._receipts[given.pop(0)] = receipt
        except (StopAsyncIteration, SMTPError) as end:
            self._streams.remove(place)
            if isinstance(end, SMTPError):
                raise

    async def drop(self) -> None:
        if self._streams:
            stream, _ = self._streams.pop(self._dice.randrange(len(self._streams)))
            cycle = [stream]
            cycle.append(cycle)

    async def leave(self) -> None:
        if self._streams:
            await self._calls.leave(self._streams.pop()[0])

    async def verify(self) -> None:
        await self._calls.call(self._calls.session.verify, 600)

    async def reopen(self) -> None:
        if self._dice.random() < 0.3:
            await self._calls.call(self._calls.session.close, timeout=600)
        await self._calls.call(self._calls.session.open)


def options_for(dice: random.Random) -> dict[str, Any]:
    lock, chances = threading.Lock(), random.Random(dice.random())

    def listen(_event: Event) -> None:
        with lock:
            chance = chances.random()
        if chance < 0.02:
            gc.collect()
        if chance < 0.1:
            raise RuntimeError("a listener fails")

    return {
        "pool": PoolLimits(max_connections=dice.choice([1, 2, 4]), max_messages=dice.choice([3, 20, None])),
        "pipelining": dice.choice([True, False, Pipelining(max_in_flight=2)]),
        "retry": RetryPolicy(attempts=1),
        "listeners": (listen,),
    }


@pytest.fixture
def quiet_log() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def eager_collector() -> Iterator[None]:
    """Comes by at every few allocations."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(40, 3, 3)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.parametrize("seed", range(ORDERS))
@pytest.mark.usefixtures("eager_collector", "quiet_log")
@pytest.mark.filterwarnings("ignore:send_many.* was never iterated")
def test_any_order_of_calls_comes_to_an_end_and_tells_the_truth(world: World, seed: int) -> None:
    dice = random.Random(f"{world.name} {seed}")
    receipts: dict[int, Receipt] = {}
    numbers = iter(range(1_000_000))
    face = AsyncSMTPSession if world.name == "asyncio" else SMTPSession
    extensions = dice.choice([[], ["PIPELINING"], ["PIPELINING", "CHUNKING"]])
    with SMTPServer(extensions=extensions, pace=dice.choice([0, 0, 0.0005])) as server:
        session = face(server.host, server.port, **options_for(dice))
        actors = [_Actor(_Calls(session), f"{seed} {number}", numbers, receipts) for number in range(ACTORS)]
        play_all(world, [actor.act() for actor in actors])
        gc.collect()
        world.run(session.open())
        world.run(session.close(timeout=600))
        assert session.statistics().connections_open == 0
    copies = Counter(int(str(mail.header("Subject"))) for mail in server.messages)
    for number, receipt in receipts.items():
        assert copies[number] == bool(receipt), (number, receipt, receipt.error)
        assert receipt or isinstance(receipt.error, wlsmtp.ConnectionFailed)
    assert all(count == 1 for count in copies.values())


def play_all(world: World, actors: list[Coroutine[Any, Any, None]]) -> None:
    """Play all at once, in threads or in tasks; raises what any of them raises."""
    if world.name == "asyncio":

        async def together() -> None:
            async with asyncio.timeout(40):
                await asyncio.gather(*actors)

        world.run(together())
        return
    failures: list[BaseException] = []

    def play(actor: Coroutine[Any, Any, None]) -> None:
        try:
            actor.send(None)
        except StopIteration:
            pass
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=play, args=(actor,), daemon=True) for actor in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
        assert not thread.is_alive(), "a thread waits for ever"
    if failures:
        raise failures[0]
