"""Reading the receipts of a call of ``send_many``: by one thread at a time; and asyncio's care for what is not read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.io.place import Place

if TYPE_CHECKING:
    from wlsmtp.io.base import IO


class OneReader:
    """Entered by the thread that reads on. Another one, or the iterable of messages itself, gets an error meanwhile,
    and disturbs nobody. An interrupt leaves it to the thread that was interrupted."""

    __slots__ = ("_io", "_reader")

    def __init__(self, io: IO) -> None:
        self._io = io
        # No lock, as nothing may wait: ``setdefault`` is atomic.
        self._reader: dict[str, Hashable] = {}

    def __enter__(self) -> None:
        caller = self._io.caller()
        if self._reader.setdefault("", caller) != caller:
            raise _already_read()

    def __exit__(self, _type: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # The iterable of the messages reads the receipts, in the same thread.
        if type(error) is RuntimeError and str(error).endswith("asynchronous generator is already running"):
            raise _already_read() from error
        self._reader.clear()


def _already_read() -> ConfigError:
    words = "These receipts are being read already, by another thread or by the iterable of the messages"
    hint = (
        "Call send_many once in each thread: they may share the session. Or one thread reads, and fills a queue.Queue"
    )
    return ConfigError(words, stage=Stage.SETTINGS, hint=hint)


_being_read: dict[AsyncGenerator[Any, None], Place] = {}


def hold(inner: AsyncGenerator[Any, None], here: Place) -> None:
    """Let the garbage collector find only the generator around ``inner``: asyncio closes each one that it finds in its
    own task, and two such tasks would fail. No loop that is closed does that."""
    for other, place in tuple(_being_read.items()):
        if place.is_gone and not place.is_forked_off:
            _being_read.pop(other, None)
    _being_read[inner] = here


def let_go(inner: AsyncGenerator[Any, None]) -> None:
    """End what ``hold`` began."""
    _being_read.pop(inner, None)
