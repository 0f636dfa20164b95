"""Generators that another generator reads, and closes at its end."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

T = TypeVar("T")


class nested(AsyncIterator[T]):  # noqa: N801 - it reads as a function
    """Reads a generator in another one, which closes it. Event loops do not learn of it: they close all generators that
    they know at once, in a task each, and fail on one that another one is closing."""

    __slots__ = ("_begun", "_generator")

    def __init__(self, generator: AsyncIterator[T]) -> None:
        self._generator = generator
        self._begun = False

    def __anext__(self) -> Awaitable[T]:
        if self._begun:
            return self._generator.__anext__()
        self._begun = True
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None)
        try:
            return self._generator.__anext__()
        finally:
            sys.set_asyncgen_hooks(*hooks)
