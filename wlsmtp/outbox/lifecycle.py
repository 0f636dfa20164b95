"""The states of an outbox's worker and of the session that has it, and which state may follow which.

Drawn, with what happens in each, in docs/explanation/lifecycle.md.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from wlsmtp.lifecycle import Lifecycle

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class State(Enum):
    """Where a worker is in its life."""

    NEW = "new"
    """Hired; its thread or task has not begun yet."""
    RUNNING = "running"
    """Takes mail that is due, and waits for more."""
    STOPPING = "stopping"
    """Takes no more mail. What it has on its way is still its own, until each message has an outcome."""
    ENDED = "ended"
    """Owns nothing any more: only now may another worker be hired."""


ALLOWED = {
    State.NEW: frozenset({State.RUNNING, State.STOPPING, State.ENDED}),
    State.RUNNING: frozenset({State.STOPPING, State.ENDED}),
    State.STOPPING: frozenset({State.ENDED}),
    State.ENDED: frozenset[State](),
}
"""Which states may follow a state. There is no way back: a worker that stops is followed by another one."""


class Phase(Enum):
    """What a session wants of its worker."""

    ON_CALL = "on call"
    """``send`` hires a worker, which ends when the outbox has nothing more to do."""
    OPEN = "open"
    """``open()`` was called: the worker stays, and finds what other programs put into the outbox."""
    CLOSED = "closed"
    """``close()`` was called: ``send`` is refused, and a worker that ends is not replaced."""


class WorkerLife(Lifecycle[State]):
    """The state of one worker. Any thread may ask for it, or try to move it on: there may be another one that is
    quicker, so what cannot be is no mistake here."""

    __slots__ = ("_mutex",)

    def __init__(self, mutex: AbstractContextManager[object]) -> None:
        super().__init__(State.NEW, ALLOWED)
        self._mutex = mutex

    def move(self, state: State, *, only_from: State | None = None) -> bool:
        """Go on to ``state``; False, and nothing changes, when it may not follow the present one, or that is not
        ``only_from``."""
        with self._mutex:
            if state not in ALLOWED[self.state] or only_from not in (None, self.state):
                return False
            self.state = state
            return True
