"""Where code runs: in which process and, in the asyncio world, in which event loop.

What is kept for later (connections, workers, TLS sessions, exit hooks) belongs to the place where it was made, and is
of no use elsewhere: a forked child that writes to its parent's connection mixes its octets with the parent's, and what
belongs to another event loop waits for that loop. So whoever keeps something asks here before using it. The number of
the process decides and not ``os.register_at_fork``, as servers that embed Python may fork without telling it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from wlsmtp.errors import ConfigError, Stage

T = TypeVar("T")


class Place(NamedTuple):
    """A process and, in the asyncio world, an event loop."""

    process: int
    loop: Any = None

    @property
    def is_forked_off(self) -> bool:
        """Whether it is another process: this one is a forked child."""
        return self.process != os.getpid()

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it runs in this process any more."""
        return self.is_forked_off or (self.loop is not None and self.loop.is_closed())

    def error(self, what: str) -> ConfigError:
        """The error for using ``what`` elsewhere, though it belongs here. It is no ``OSError``, so that nobody takes it
        for a lost connection and sends again what the other place is sending."""
        owner = "the process that forked this one" if self.is_forked_off else "another event loop"
        hint = "The session itself can be used here: it makes new ones"
        return ConfigError(f"{what} of {owner} cannot be used here", stage=Stage.SETTINGS, hint=hint)


def this_process() -> Place:
    """Where code runs that waits for no event loop."""
    return Place(os.getpid())


class Kept(Generic[T]):
    """What is kept for later, once for each place, made where it is first asked for. What was kept for a place that is
    gone is handed to ``forget``."""

    def __init__(
        self,
        here: Callable[[], Place],
        make: Callable[[Sequence[T]], T],
        forget: Callable[[T], None] = lambda kept: None,
    ) -> None:
        """``make`` is given what is kept for other places of this process."""
        self._here = here
        self._make = make
        self._forget = forget
        # No lock: a thread that is not there in a forked child may have held it. Each step is atomic.
        self._all: dict[Place, T] = {}
        self._latest: tuple[Place, T] | None = None
        """What was asked for last, which mostly is what is asked for next."""

    def get(self) -> T:
        """What is kept here."""
        here, latest = self._here(), self._latest
        if latest is not None and latest[0] is here:
            return latest[1]
        kept = self._all.get(here)
        if kept is None:
            kept = self._all.setdefault(here, self._make(self.all()))
        self._latest = here, kept
        return kept

    def all(self) -> Sequence[T]:
        """What is kept for all places of this process."""
        for place in tuple(self._all):
            if place.is_gone and (kept := self._all.pop(place, None)) is not None:
                self._forget(kept)
        return tuple(self._all.values())
