"""Outboxes to test, under a system's clock that stands still."""

from __future__ import annotations

from pathlib import Path

from wlsmtp.outbox.base import Outbox
from wlsmtp.outbox.memory import MemoryOutbox
from wlsmtp.outbox.sqlite import SQLiteOutbox
from wlsmtp.testing.outbox_contract import LARGE, RAW, START, Store, finished, ids, octets

__all__ = ["LARGE", "RAW", "START", "Store", "finished", "ids", "make", "octets"]


def make(kind: str, directory: Path) -> Outbox:
    return MemoryOutbox() if kind == "memory" else SQLiteOutbox(directory / "outbox.db")
