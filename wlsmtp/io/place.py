"""Where code runs: the process and, under asyncio, the event loop.

What is kept for later (connections, workers, TLS sessions, exit hooks) belongs to the process and loop that made it,
and cannot be used elsewhere. A forked child that writes to its parent's connection mixes its octets with the parent's,
and objects of another event loop wait for that loop. Owners therefore check here before using what they kept. The
process id decides, not ``os.register_at_fork``, as servers that embed Python may fork without calling it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from wlsmtp.errors import ConfigError, Stage

T = TypeVar("T")


class Place(NamedTuple):
    """A process and, under asyncio, an event loop."""

    process: int
    loop: Any = None

    @property
    def is_forked_off(self) -> bool:
        """True if it is another process: this one is a forked child."""
        return self.process != os.getpid()

    @property
    def is_gone(self) -> bool:
        """True if nothing of it runs in this process any more."""
        return self.is_forked_off or (self.loop is not None and self.loop.is_closed())

    def error(self, what: str) -> ConfigError:
        """Return the error for using ``what`` elsewhere, though it belongs here. It is not an ``OSError``, so that
        nobody takes it for a lost connection and sends again what the other process is sending."""
        owner = "the process that forked this one" if self.is_forked_off else "another event loop"
        hint = "The session itself can be used here: it makes new ones"
        return ConfigError(f"{what} of {owner} cannot be used here", stage=Stage.SETTINGS, hint=hint)


def this_process() -> Place:
    """Return the place of code that waits for no event loop."""
    return Place(os.getpid())


class Kept(Generic[T]):
    """Keeps one object per place, created on first use. The object of a place that is gone is passed to ``forget``."""

    def __init__(
        self,
        here: Callable[[], Place],
        make: Callable[[Sequence[T]], T],
        forget: Callable[[T], None] = lambda kept: None,
    ) -> None:
        """``make`` receives the objects kept for other places of this process."""
        self._here = here
        self._make = make
        self._forget = forget
        # No lock: a thread that does not exist in a forked child may have held it. Each step is atomic.
        self._all: dict[Place, T] = {}
        self._latest: tuple[Place, T] | None = None
        """The latest result, which is usually the next one too."""

    def get(self) -> T:
        """Return the object of this place."""
        here, latest = self._here(), self._latest
        if latest is not None and latest[0] is here:
            return latest[1]
        kept = self._all.get(here)
        if kept is None:
            kept = self._all.setdefault(here, self._make(self.all()))
        self._latest = here, kept
        return kept

    def all(self) -> Sequence[T]:
        """Return the objects of all places of this process."""
        for place in tuple(self._all):
            if place.is_gone and (kept := self._all.pop(place, None)) is not None:
                self._forget(kept)
        return tuple(self._all.values())
