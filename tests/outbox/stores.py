"""Outboxes to test, under a system's clock that stands still."""

from __future__ import annotations

from pathlib import Path

import pytest

from wlsmtp.outbox.base import Outbox
from wlsmtp.outbox.memory import MemoryOutbox
from wlsmtp.outbox.sqlite import SQLiteOutbox
from wlsmtp.testing.outbox_contract import LARGE, RAW, START, Store, finished, ids, octets

__all__ = ["KINDS", "LARGE", "RAW", "START", "Store", "finished", "ids", "make", "octets", "url_of"]


KINDS = ["memory", "sqlite", "postgres"]


def url_of(kind: str, request: pytest.FixtureRequest, directory: Path) -> str:
    """The URL of an empty outbox."""
    if kind == "postgres":
        url: str = request.getfixturevalue("postgres").outbox()
        return url
    return "memory:" if kind == "memory" else f"sqlite:///{directory}/outbox.db"


def make(kind: str, directory: Path) -> Outbox:
    return MemoryOutbox() if kind == "memory" else SQLiteOutbox(directory / "outbox.db")
