"""Which SQLite files are open. The collector may find a dropped outbox anywhere, and nobody waits for that."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from wlsmtp.outbox import connections
from wlsmtp.outbox.database import Database

CALLS = 12
"""More than `connections.py` makes to open a file."""


class Cycle:
    """What only the garbage collector takes away, with what it holds."""

    def __init__(self, held: object) -> None:
        self.held, self.itself = held, self


class Collector:
    """Collects at call ``number`` of a function of `connections.py`."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename == connections.__file__:
            self.left -= 1
            if self.left == 0:
                gc.collect()


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def is_open(path: Path) -> bool:
    names = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return str(path) in {os.path.realpath(name) for name in names}


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("number", range(1, CALLS))
def test_a_dropped_outbox_that_is_found_while_another_is_opened_keeps_nobody_waiting(
    number: int, tmp_path: Path
) -> None:
    dropped, path = Cycle(Database(tmp_path / "dropped.db", "normal")), tmp_path / "other.db"
    del dropped
    opened: list[Database] = []

    def open_another() -> None:
        sys.setprofile(Collector(number))
        try:
            opened.append(Database(path, "normal"))
        finally:
            sys.setprofile(None)

    opening = threading.Thread(target=open_another, daemon=True)
    opening.start()
    opening.join(10)
    assert opened, "whoever opens a file waits for a finalizer, which waits for its lock"
    opened[0].close()
    gc.collect()
    Database(path, "normal").close()
    assert not is_open(tmp_path / "dropped.db") and not is_open(path)
