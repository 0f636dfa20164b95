"""One test text for both worlds: a session whose methods block, whichever class is behind them."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from wlsmtp import AsyncSMTPSession, Capabilities, Receipt, ServerInfo, SMTPSession, Statistics, Status
from wlsmtp.outbox.base import OutboxStatistics


class Session:
    """A blocking or asyncio session, called through blocking methods."""

    def __init__(self, face: SMTPSession | AsyncSMTPSession, run: Callable[[Any], Any]) -> None:
        self.face = face
        self._run = run

    def send(self, *message: Any, **options: Any) -> Receipt:
        return self._run(self.face.send(*message, **options))  # type: ignore[no-any-return]

    def send_many(self, items: Any, **options: Any) -> Generator[Receipt, None, None]:
        return self._each(self.face.send_many(items, **options))

    def send_all(self, items: Any, **options: Any) -> list[Receipt]:
        return self._run(self.face.send_all(items, **options))  # type: ignore[no-any-return]

    def _each(self, receipts: Any) -> Generator[Receipt, None, None]:
        if isinstance(receipts, Iterator):
            yield from receipts
            return
        try:
            while True:
                try:
                    yield self._run(receipts.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            self._run(receipts.aclose())

    def verify(self) -> ServerInfo:
        return self._run(self.face.verify())  # type: ignore[no-any-return]

    def examine(self) -> dict[str, str]:
        return dict(self._run(self.face.examine()))

    def open(self) -> None:
        self._run(self.face.open())

    def close(self, **options: Any) -> None:
        self._run(self.face.close(**options))

    def wait(self, receipt: Receipt, timeout: float = 10.0) -> Receipt:
        """The finished receipt, as each world waits for it."""
        if isinstance(self.face, SMTPSession):
            return receipt.wait(timeout)

        async def final() -> Receipt:
            async with asyncio.timeout(timeout):
                return await receipt

        return self._run(final())  # type: ignore[no-any-return]

    def status(self, id: str | Receipt) -> Status:
        return self._run(self.face.status(id))  # type: ignore[no-any-return]

    def receipt(self, id: str | Receipt) -> Receipt:
        return self._run(self.face.receipt(id))  # type: ignore[no-any-return]

    def receipts(self, *statuses: Status) -> list[Receipt]:
        return list(self._each(self.face.receipts(*statuses)))

    def pending(self) -> list[Receipt]:
        return list(self._each(self.face.pending()))

    def cancel(self, id: str | Receipt) -> bool:
        return self._run(self.face.cancel(id))  # type: ignore[no-any-return]

    def retry(self, id: str | Receipt) -> bool:
        return self._run(self.face.retry(id))  # type: ignore[no-any-return]

    def flush(self, timeout: float = 10.0) -> int:
        return self._run(self.face.flush(timeout))  # type: ignore[no-any-return]

    def outbox_statistics(self) -> OutboxStatistics:
        return self._run(self.face.outbox_statistics())  # type: ignore[no-any-return]

    def statistics(self) -> Statistics:
        return self.face.statistics()

    @property
    def capabilities(self) -> Capabilities | None:
        return self.face.capabilities

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class World:
    """Makes sessions of one world."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._runner = asyncio.Runner() if name == "asyncio" else None
        self._face = AsyncSMTPSession if name == "asyncio" else SMTPSession

    def session(self, *args: Any, **options: Any) -> Session:
        return Session(self._face(*args, **options), self.run)

    def from_url(self, url: str, **options: Any) -> Session:
        return Session(self._face.from_url(url, **options), self.run)

    def run(self, result: Any) -> Any:
        if self._runner is None or not inspect.isawaitable(result):
            return result

        async def wait() -> Any:
            return await result

        return self._runner.run(wait())

    def together(self, *steps: tuple[threading.Event | None, Callable[[], Any]]) -> list[Any]:
        """Make all calls at once, in threads or in tasks, each when its event is set; what each returned or raised."""
        if self._runner is not None:
            return self._runner.run(_in_tasks(steps))
        with ThreadPoolExecutor(len(steps)) as pool:
            futures = [pool.submit(_in_thread, *step) for step in steps]
        return [future.exception() or future.result() for future in futures]

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()


def _in_thread(event: threading.Event | None, call: Callable[[], Any]) -> Any:
    if event is not None and not event.wait(30):
        raise TimeoutError("what should have come first did not come")
    return call()


async def _in_tasks(steps: Iterable[tuple[threading.Event | None, Callable[[], Any]]]) -> list[Any]:
    async def step(event: threading.Event | None, call: Callable[[], Any]) -> Any:
        if event is not None and not await asyncio.to_thread(event.wait, 30):
            raise TimeoutError("what should have come first did not come")
        result = call()
        return await result if inspect.isawaitable(result) else result

    return await asyncio.gather(*(step(event, call) for event, call in steps), return_exceptions=True)
