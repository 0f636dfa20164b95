"""A stream of messages over several connections in parallel. Outcomes come in the order of the input."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from wlsmtp.events import nobody_called
from wlsmtp.io.nested import nested
from wlsmtp.io.order import Rank
from wlsmtp.relay.pipeline import Pipeline

if TYPE_CHECKING:
    from wlsmtp.io.base import Task
    from wlsmtp.message.mail import Mail
    from wlsmtp.receipt import Outcome
    from wlsmtp.relay.relay import Relay
    from wlsmtp.smtp.deadlines import Deadlines

AT_ONCE = 16
"""Number of messages handed to one of several connections at a time."""


class Crew:
    """Several pipelines in parallel."""

    def __init__(
        self,
        relay: Relay,
        mails: AsyncIterator[Mail | None],
        deadlines: Callable[[], Deadlines],
        width: int,
    ) -> None:
        self._relay = relay
        self._mails = mails
        self._deadlines = deadlines
        self._width = width
        self._pool = relay.pool
        self._changed = relay.io.condition(Rank.CREW)
        self._queue: deque[tuple[int, Mail]] = deque()
        self._outcomes: dict[int, Outcome] = {}
        self._given = self._taken = 0
        self._is_over = False
        self._failure: BaseException | None = None

    async def outcomes(self) -> AsyncGenerator[list[Outcome], None]:
        """Yield the outcomes, as many at a time as are ready."""
        workers = await self._hire()
        if not workers:
            async with aclosing(Pipeline(self._relay, self._mails, self._deadlines).outcomes()) as outcomes:
                async for ready in nested(outcomes):
                    yield ready
            return
        most = len(workers) * self._relay.config.pipelining.max_in_flight * 2
        waiting: list[Mail] = []
        try:
            async for mail in self._mails:
                if mail is not None:
                    waiting.append(mail)
                if mail is None or len(waiting) >= AT_ONCE:
                    await self._hand_out(waiting)
                    ready = await self._ready(at_most=0 if mail is None else most)
                    if ready or mail is None:
                        yield ready
                        self._pool.check_place("The stream of messages")
            await self._hand_out(waiting)
            if ready := await self._ready(at_most=0):
                yield ready
        except GeneratorExit:  # nobody waits for the messages in flight: their connections return when they are settled
            if not self._pool.is_foreign:
                self._cancel(workers)
                await self._stop()
            raise
        except BaseException:
            if not self._pool.is_foreign:
                self._cancel(workers)
                await self._finish(workers)
            raise
        await self._finish(workers)

    async def _hire(self) -> list[Task[None]]:
        """Start the pipelines, or as many as there are threads for."""
        workers: list[Task[None]] = []
        try:
            for number in range(self._width):
                workers.append(self._relay.io.spawn(self._work(), f"wlsmtp-stream-{number}"))  # noqa: PERF401
        except OSError:
            pass
        except BaseException:
            await self._stop()
            raise
        return workers

    @staticmethod
    def _cancel(workers: Sequence[Task[None]]) -> None:
        for worker in workers:
            worker.cancel()

    async def _hand_out(self, mails: list[Mail]) -> None:
        async with self._changed:
            for mail in mails:
                self._queue.append((self._taken, mail))
                self._taken += 1
            mails.clear()
            self._changed.notify_all()

    async def _ready(self, *, at_most: int) -> list[Outcome]:
        """Return the outcomes that are ready in order, once at most ``at_most`` messages are in flight."""
        async with self._changed:
            while self._taken - self._given - len(self._outcomes) > at_most and not self._is_over:
                await self._wait()
            ready: list[Outcome] = []
            while (outcome := self._outcomes.pop(self._given, None)) is not None:
                ready.append(outcome)
                self._given += 1
        if self._failure is not None:
            raise self._failure
        return ready

    async def _wait(self) -> None:
        """Wait until something has changed. The messages and the input decide how long that may take."""
        with suppress(TimeoutError):
            await self._changed.wait(self._deadlines().end)

    async def _stop(self) -> None:
        async with self._changed:
            self._is_over = True
            self._queue.clear()
            self._changed.notify_all()

    async def _finish(self, workers: Sequence[Task[None]]) -> None:
        await self._stop()
        for worker in workers:
            while not worker.is_done:
                with suppress(TimeoutError):
                    await worker.join(self._deadlines().end)

    async def _work(self) -> None:
        nobody_called.set(False)  # what a listener raises ends the call
        taken: deque[int] = deque()
        outcomes = Pipeline(self._relay, self._source(taken), self._deadlines).outcomes()
        try:
            async for batch in outcomes:
                async with self._changed:
                    for outcome in batch:
                        self._outcomes[taken.popleft()] = outcome
                    self._changed.notify_all()
        except BaseException as failure:
            async with self._changed:
                self._failure, self._is_over = self._failure or failure, True
                self._changed.notify_all()
        finally:
            await outcomes.aclose()

    async def _source(self, taken: deque[int]) -> AsyncIterator[Mail | None]:
        """Yield what one of the pipelines is to send; None when it must settle what it has before it waits for more."""
        while True:
            async with self._changed:
                while not self._queue and not taken and not self._is_over:
                    await self._wait()
                if self._is_over:
                    return
                batch = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
                taken.extend(number for number, _ in batch)
            if not batch:
                yield None
            for _, mail in batch:
                yield mail
