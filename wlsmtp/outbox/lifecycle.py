"""The states of an outbox's worker and of its session, and the allowed transitions.

docs/explanation/lifecycle.md has a diagram.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from wlsmtp.lifecycle import Lifecycle

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class State(Enum):
    """The states of a worker."""

    NEW = "new"
    """Created; its thread or task has not begun yet."""
    RUNNING = "running"
    """Takes due mail, and waits for more."""
    STOPPING = "stopping"
    """Takes no more mail. It still owns the mail that it is sending, until each message has an outcome."""
    ENDED = "ended"
    """Owns nothing any more: only now may another worker be started."""


ALLOWED = {
    State.NEW: frozenset({State.RUNNING, State.STOPPING, State.ENDED}),
    State.RUNNING: frozenset({State.STOPPING, State.ENDED}),
    State.STOPPING: frozenset({State.ENDED}),
    State.ENDED: frozenset[State](),
}
"""The states that may follow each state. There is no way back: a worker that stops is followed by another one."""


class Phase(Enum):
    """The worker that a session wants."""

    ON_CALL = "on call"
    """``send`` starts a worker, which ends when the outbox has nothing more to do."""
    OPEN = "open"
    """``open()`` was called: the worker stays, and finds what other programs put into the outbox."""
    CLOSED = "closed"
    """``close()`` was called: ``send`` is refused, and a worker that ends is not replaced."""


class WorkerLife(Lifecycle[State]):
    """The state of one worker. Any thread may read it, or try to change it. Another thread may be faster, so an
    impossible transition is not an error here."""

    __slots__ = ("_mutex",)

    def __init__(self, mutex: AbstractContextManager[object]) -> None:
        super().__init__(State.NEW, ALLOWED)
        self._mutex = mutex

    def move(self, state: State, *, only_from: State | None = None) -> bool:
        """Change to ``state``. Returns False, and changes nothing, if it may not follow the current one, or that is not
        ``only_from``."""
        with self._mutex:
            if state not in ALLOWED[self.state] or only_from not in (None, self.state):
                return False
            self.state = state
            return True
