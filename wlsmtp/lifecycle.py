"""State machines: states with a table of allowed transitions; any other transition is a bug."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S", bound=Enum)


class QuickEnum(Enum):
    """States that change with every message. There is one object of each, so its identity hash will do: that of other
    enums is a function written in Python."""

    __hash__ = object.__hash__


class Lifecycle(Generic[S]):
    """The state of one object. The owner of the object changes it, under the lock that guards the object; others read
    it."""

    __slots__ = ("_allowed", "state")

    def __init__(self, first: S, allowed: Mapping[S, frozenset[S]]) -> None:
        """``allowed`` gives the states that may follow each one."""
        self._allowed = allowed
        self.state: S = first

    def is_in(self, *states: S) -> bool:
        """Return whether the state is one of ``states``."""
        return self.state in states

    def to(self, state: S) -> None:
        """Change the state. Raises ``RuntimeError`` for a transition that is not in the table."""
        if state not in self._allowed[self.state]:
            raise RuntimeError(f"{type(state).__name__}: {state.name} cannot follow {self.state.name}")
        self.state = state
