"""States with a table of allowed changes: what a thing is, is one word, and every other change is a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S", bound=Enum)


class QuickEnum(Enum):
    """States that change with every message. There is one object of each, so that its own hash will do: that of other
    enums is a function written in Python."""

    __hash__ = object.__hash__


class Lifecycle(Generic[S]):
    """The state of one object. Who owns the object changes it, under the lock that guards the object; others ask."""

    __slots__ = ("_allowed", "state")

    def __init__(self, first: S, allowed: Mapping[S, frozenset[S]]) -> None:
        """``allowed``: which states may follow each one."""
        self._allowed = allowed
        self.state: S = first

    def is_in(self, *states: S) -> bool:
        """Whether the state is one of ``states``."""
        return self.state in states

    def to(self, state: S) -> None:
        """Change the state. Raises ``RuntimeError`` for a change that the table does not have."""
        if state not in self._allowed[self.state]:
            raise RuntimeError(f"{type(state).__name__}: {state.name} cannot follow {self.state.name}")
        self.state = state
