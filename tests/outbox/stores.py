"""An outbox of one of the worlds, to be called as a blocking one, under a system's clock that stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.worlds import World
from wlsmtp.io.aio import AsyncioIO
from wlsmtp.io.blocking import BlockingIO, run
from wlsmtp.message.content import BytesContent
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mail import Mail
from wlsmtp.outbox.base import Entry, Outbox
from wlsmtp.outbox.memory import MemoryOutbox
from wlsmtp.outbox.schedule import Schedule
from wlsmtp.outbox.sqlite import SQLiteOutbox

START = 1_700_000_000.0
RAW = b"From: ann@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"


class Store:
    """Calls the coroutines of an outbox."""

    def __init__(self, world: World, outbox: Outbox) -> None:
        self.outbox, self._world = outbox, world
        self.now = START
        self._ahead = 0.0
        io: Any = AsyncioIO() if world.name == "asyncio" else BlockingIO()
        monotonic = io.now
        io.unix_time = lambda: self.now
        io.now = lambda: monotonic() + self._ahead
        outbox.io = io
        self.open()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.outbox, name)
        if self._world.name == "asyncio":
            return lambda *args: self._world.run(method(*args))
        return lambda *args: run(method(*args))

    def pass_by(self, seconds: float) -> None:
        """Let time go by, on both clocks."""
        self.now += seconds
        self._ahead += seconds

    def entry(self, raw: bytes = RAW, to: str = "bob@example.org", **schedule: Any) -> Entry:
        """A mail that is put at the present moment."""
        self.now += 0.001
        mail = Mail(Envelope("ann@example.com", to), BytesContent(raw))
        return Schedule(**schedule).entry(mail, self.now)

    def stored(self, **options: Any) -> Entry:
        """The same, put."""
        [entry] = self.put([self.entry(**options)])
        assert isinstance(entry, Entry)
        return entry


def make(kind: str, directory: Path) -> Outbox:
    return MemoryOutbox() if kind == "memory" else SQLiteOutbox(directory / "outbox.db")


def ids(entries: list[Entry]) -> list[str]:
    return [entry.receipt.id for entry in entries]
