"""The common part of outboxes in a database: operations that are one call of their ``Database``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from wlsmtp.outbox.base import Entry, Outbox
from wlsmtp.receipt import Status

T = TypeVar("T")


class StoredOutbox(Outbox):
    """An outbox whose clerk does jobs with a database."""

    @abstractmethod
    async def _look(self, function: Callable[[Any], T]) -> T:
        """Do a job that may be repeated."""

    @abstractmethod
    async def _do(self, function: Callable[[Any], T]) -> T:
        """Do a job once."""

    async def get(self, id: str) -> Entry | None:
        """Return an entry, as ``Outbox.get``."""
        found: Entry | None = await self._look(lambda database: database.get(id))
        return found

    async def page(self, statuses: Collection[Status], after: Entry | None, limit: int) -> list[Entry]:
        """Return entries, as ``Outbox.page``."""
        id = "" if after is None else after.receipt.id
        found: list[Entry] = await self._look(lambda database: database.page(statuses, id, limit))
        return found

    async def change(self, old: Entry, new: Entry) -> bool:
        """Replace an entry, as ``Outbox.change``."""
        changed: bool = await self._do(lambda database: database.change(old, new))
        return changed
