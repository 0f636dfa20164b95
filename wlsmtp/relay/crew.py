"""A stream of messages over several connections in parallel. Outcomes come in the order of the input."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from wlsmtp.events import nobody_called
from wlsmtp.io.nested import nested
from wlsmtp.io.order import Rank
from wlsmtp.relay.pipeline import FLUSH, Pipeline

if TYPE_CHECKING:
    from wlsmtp.io.base import Bell, Task
    from wlsmtp.message.mail import Mail
    from wlsmtp.receipt import Outcome
    from wlsmtp.relay.relay import Relay
    from wlsmtp.smtp.deadlines import Deadlines

AT_ONCE = 16
"""Number of messages that are read, or taken by one of several connections, at a time."""
_END: Any = object()


class Crew:
    """Several pipelines in parallel.

    The caller's thread or task reads the input into a queue and returns the outcomes. Each pipeline has one of its own,
    which takes messages from the queue. Each waits for a bell of its own when it has nothing to do: the caller is woken
    for outcomes that it can return, and only as many pipelines as there is work for.
    """

    def __init__(
        self,
        relay: Relay,
        mails: AsyncIterator[Mail | None],
        deadlines: Callable[[], Deadlines],
        width: int,
    ) -> None:
        self._relay = relay
        self._mails = mails
        self._take: Callable[[int, int], list[Mail]] | None = getattr(mails, "take", None)
        """As that of ``Pipeline``."""
        self._deadlines = deadlines
        self._width = width
        self._pool = relay.pool
        self._mutex = relay.io.mutex(Rank.CREW)
        self._queue: deque[Mail] = deque()
        """The last of the messages that were read."""
        self._outcomes: dict[int, Outcome] = {}
        """Those that were not returned, by the number of the message."""
        self._given = self._read = 0
        """How many outcomes were returned, and how many messages were read."""
        self._at_most = 0
        """The caller waits until no more messages than these have no outcome."""
        self._caller = relay.io.bell()
        self._shares: list[Share] = []
        self._idle: list[Bell] = []
        """Of the pipelines that wait for messages."""
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
        is_over = False
        try:
            while not is_over:
                mails, last = await self._next()
                is_over = last is _END
                self._hand_out(mails)
                is_done = False
                while not is_done:
                    is_done, ready = await self._ready(at_most=0 if last is None or is_over else most)
                    if ready or (is_done and last is None):
                        yield ready
                        self._pool.check_place("The stream of messages")
        except GeneratorExit:  # nobody waits for the messages in flight: their connections return when they are settled
            if not self._pool.is_foreign:
                self._cancel(workers)
                self._stop()
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
                self._shares.append(share := Share(self, self._relay.io.bell(), must_record=self._take is None))
                workers.append(self._relay.io.spawn(self._work(share), f"wlsmtp-stream-{number}"))
        except OSError:
            del self._shares[len(workers) :]
        except BaseException:
            self._stop()
            raise
        return workers

    @staticmethod
    def _cancel(workers: Sequence[Task[None]]) -> None:
        for worker in workers:
            worker.cancel()

    async def _next(self) -> tuple[list[Mail], Any]:
        """Return the next messages, and what was read last: a message, None, which asks for the outcomes of all, or
        ``_END``."""
        mails = [] if self._take is None else self._take(AT_ONCE, FLUSH)
        while not mails or (self._take is None and len(mails) < AT_ONCE):
            mail = await anext(self._mails, _END)
            if mail is None or mail is _END:
                return mails, mail
            mails.append(mail)
        return mails, mails[-1]

    def _hand_out(self, mails: list[Mail]) -> None:
        with self._mutex:
            self._queue.extend(mails)
            self._read += len(mails)
            wanted = -(-len(self._queue) // self._at_once) if self._queue else 0
            called, self._idle[:wanted] = self._idle[:wanted], []
        for bell in called:
            bell.ring()

    @property
    def _at_once(self) -> int:
        """How many messages of the queue one pipeline takes, so that all of them share a few."""
        return min(AT_ONCE, -(-len(self._queue) // len(self._shares)))

    async def _ready(self, *, at_most: int) -> tuple[bool, list[Outcome]]:
        """Return the outcomes that are ready in order, once there are any, or at most ``at_most`` messages have none.
        Return as well whether that is so. Raises what has failed once all that were ready are returned."""
        ready: list[Outcome] = []
        while True:
            with self._mutex:
                self._at_most = at_most
                while (outcome := self._outcomes.pop(self._given, None)) is not None:
                    ready.append(outcome)
                    self._given += 1
                is_done = self._is_over or self._is_below()
            if ready:
                return is_done and self._failure is None, ready
            if self._failure is not None:
                raise self._failure
            if is_done:
                return True, ready
            await self._wait(self._caller)

    def _is_below(self) -> bool:
        return self._read - self._given - len(self._outcomes) <= self._at_most

    async def _wait(self, bell: Bell) -> None:
        """Wait until something has changed. The messages and the input decide how long that may take."""
        with suppress(TimeoutError):
            await bell.wait(self._deadlines().end)

    def _stop(self) -> None:
        with self._mutex:
            self._is_over = True
            self._queue.clear()
        for share in self._shares:
            share.bell.ring()

    async def _finish(self, workers: Sequence[Task[None]]) -> None:
        self._stop()
        for worker in workers:
            while not worker.is_done:
                with suppress(TimeoutError):
                    await worker.join(self._deadlines().end)

    async def _work(self, share: Share) -> None:
        nobody_called.set(False)  # what a listener raises ends the call
        outcomes = Pipeline(self._relay, share, self._deadlines).outcomes()
        try:
            async for batch in outcomes:
                with self._mutex:
                    for outcome in batch:
                        self._outcomes[share.numbers.popleft()] = outcome
                    is_awaited = self._given in self._outcomes or self._is_below()
                if is_awaited:
                    self._caller.ring()
        except BaseException as failure:
            with self._mutex:
                self._failure = self._failure or failure
            self._stop()
            self._caller.ring()
        finally:
            await outcomes.aclose()

    def take(self, share: Share, count: int, octets: int) -> list[Mail]:
        """Return messages for one of the pipelines, at most ``count``, until they have so many ``octets``."""
        taken: list[Mail] = []
        with self._mutex:
            queue = self._queue
            count = min(count, self._at_once)
            if share.numbers:  # one for each that has nothing to do
                count = min(count, len(queue) - sum(not other.numbers for other in self._shares))
            first = self._read - len(queue)
            while len(taken) < count and octets > 0:
                taken.append(mail := queue.popleft())
                octets -= mail.content.size
            share.numbers.extend(range(first, first + len(taken)))
        return taken

    async def has_more(self, share: Share) -> bool:
        """Wait until there are messages in the queue. Return False at the end."""
        while True:
            with self._mutex:
                if self._queue or self._is_over:
                    return not self._is_over
                if share.bell not in self._idle:
                    self._idle.append(share.bell)
            await self._wait(share.bell)


class Share:
    """The input of one of the pipelines."""

    def __init__(self, crew: Crew, bell: Bell, *, must_record: bool) -> None:
        self._crew = crew
        self.must_record = must_record
        """As ``Pipeline`` asks for."""
        self.bell = bell
        """Wakes it."""
        self.numbers: deque[int] = deque()
        """Of the messages whose outcomes it has not returned yet."""

    def take(self, count: int, octets: int) -> list[Mail]:
        """As ``Crew.take``."""
        return self._crew.take(self, count, octets)

    def __aiter__(self) -> Share:
        return self

    async def __anext__(self) -> Mail | None:
        """Return the next message, or None when it must settle what it has before it waits for more."""
        while not (mails := self.take(1, 1)):
            if self.numbers:
                return None
            if not await self._crew.has_more(self):
                raise StopAsyncIteration
        return mails[0]
