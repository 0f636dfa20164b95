"""The outbox as its workers see it: outcomes that could not be stored are kept, so that no mail is delivered again for
that reason; and what a third-party outbox returns and raises is checked."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import OutboxError, SMTPError, Stage
from wlsmtp.events import log
from wlsmtp.outbox.base import Agenda, Entry

if TYPE_CHECKING:
    from wlsmtp.outbox.base import Outbox


class AuditedOutbox:
    """An outbox for workers; all methods that are not here are the outbox's own."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._is_ours = type(outbox).__module__.startswith("wlsmtp.")
        self._unstored: dict[str, Entry] = {}
        self._has_warned = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    def recalled(self, entry: Entry) -> Entry | None:
        """Return the outcome of a mail that was claimed again because its outcome could not be stored; None if it was
        not tried here, or others have tried it since."""
        known = self._unstored.get(entry.receipt.id)
        if known is None or entry.receipt.attempts >= known.receipt.attempts:
            return None
        receipt = known.receipt.changed(interruptions=entry.receipt.interruptions)
        return replace(known, receipt=receipt, content=entry.content)

    async def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """Settle as ``Outbox.settle``, and keep outcomes until they are stored."""
        reported = [entry for entry in entries if self.recalled(entry) is None]  # not what is returned untried
        self._unstored |= {entry.receipt.id: replace(entry, content=None) for entry in reported}
        lost: Any = await self._result("settle", self._outbox.settle(owner, entries))
        if not (isinstance(lost, list | tuple | set | frozenset) and all(isinstance(id, str) for id in lost)):
            lost = await self._found_lost(owner, entries, type(lost).__name__)
        for entry in reported:
            self._unstored.pop(entry.receipt.id, None)
        return list(lost)

    async def _found_lost(self, owner: str, entries: Sequence[Entry], kind: str) -> list[str]:
        """Return the ids of mails that ``owner`` had lost, when the outbox does not say which. Raises ``OutboxError``
        if nothing was stored."""
        words = f"{type(self._outbox).__name__}.settle returned {kind}, not the list of ids that were lost"
        lost: list[str] = []
        for entry in entries:
            stored = await self._result("get", self._outbox.get(entry.receipt.id))
            if stored is None or stored.owner == owner:
                raise OutboxError(f"{words}, and has not stored the outcomes", stage=Stage.SETTINGS)
            if (stored.owner, stored.due is None) != (None, entry.is_finished):
                lost.append(entry.receipt.id)
        if not self._has_warned:
            self._has_warned = True
            log.error("%s", words)
        return lost

    async def claim(self, owner: str, limit: int) -> list[Entry]:
        """Claim as ``Outbox.claim``."""
        return await self._entries("claim", self._outbox.claim(owner, limit))

    async def reclaim(self, owner: str) -> list[Entry]:
        """Reclaim as ``Outbox.reclaim``."""
        return await self._entries("reclaim", self._outbox.reclaim(owner))

    async def agenda(self) -> Agenda:
        """Return the next times, as ``Outbox.agenda``."""
        agenda = await self._result("agenda", self._outbox.agenda())
        if isinstance(agenda, Agenda):
            return agenda
        raise self._unusable("agenda", agenda, "an Agenda")

    async def _entries(self, method: str, call: Awaitable[Any]) -> list[Entry]:
        entries = await self._result(method, call)
        if isinstance(entries, list) and all(isinstance(entry, Entry) for entry in entries):
            return entries
        raise self._unusable(method, entries, "a list of entries")

    def _unusable(self, method: str, result: object, wanted: str) -> OutboxError:
        words = f"{type(self._outbox).__name__}.{method} returned {type(result).__name__}, not {wanted}"
        return OutboxError(words, stage=Stage.SETTINGS)

    async def _result(self, method: str, call: Awaitable[Any]) -> Any:
        """Return what a method returns. What a third-party outbox raises is raised as an ``OutboxError``."""
        try:
            return await call
        except SMTPError:
            raise
        except Exception as error:
            if self._is_ours:
                raise
            words = f"{type(self._outbox).__name__}.{method} raised {type(error).__name__}"
            raise OutboxError(words, stage=Stage.SETTINGS) from error
