"""Closes resources before the process forks, and allows reopening them after."""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """An object with something to do before and after a fork."""

    def before_fork(self) -> None:
        """Prepare, in the thread that forks. It must not wait for long."""
        ...

    def after_fork(self) -> None:
        """Continue: called in the parent and in the child."""
        ...


_all: WeakSet[Forkable] = WeakSet()
_thread = threading.local()


def watch_forks(one: Forkable) -> None:
    """Call ``one`` at each fork from now on, for as long as it exists."""
    _all.add(one)


def _before() -> None:
    _thread.called = tuple(_all)
    for one in _thread.called:
        one.before_fork()


def _after() -> None:
    for one in _thread.__dict__.pop("called", ()):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
