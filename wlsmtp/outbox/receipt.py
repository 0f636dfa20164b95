"""The receipt of a message in an outbox: it can be waited for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from wlsmtp.receipt import Receipt, Status

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from datetime import datetime

    from wlsmtp.io.base import TLSInfo


class Follower(Protocol):
    """Who knows how a message in an outbox goes on."""

    def wait(self, id: str, timeout: float | None) -> Receipt:
        """Block until the message is finished, or for ``timeout`` seconds; tell what is known then."""

    def follow(self, id: str) -> Coroutine[Any, Any, Receipt]:
        """Wait until the message is finished."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What a newer version has written into the record of a receipt, and this one does not know: it is kept."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    recipients: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """By address: the state if that is not known, else None, and what follows what is known."""
    tls: tuple[TLSInfo, Mapping[str, Any]] | None = None
    """What was read, and what it was read from."""


class OutboxReceipt(Receipt):
    """See ``Receipt``; a value, which ``changed`` replaces."""

    __slots__ = ("_follower", "interruptions", "next_attempt", "unread")

    def __init__(self, *args: Any, next_attempt: datetime | None = None, interruptions: int = 0, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.next_attempt = next_attempt
        self.interruptions = interruptions
        self.unread = Unread()
        """What its record has of a newer version."""
        self._follower: Follower | None = None

    def changed(self, **fields: object) -> Self:
        """The same receipt with some fields replaced."""
        new = type(self).__new__(type(self))
        for name in _FIELDS:
            setattr(new, name, fields[name] if name in fields else getattr(self, name))
        return new

    def followed_by(self, follower: Follower) -> Self:
        """The same receipt, which can be waited for."""
        return self.changed(_follower=follower)

    def wait(self, timeout: float | None = None) -> Receipt:
        """See ``Receipt.wait``."""
        if self._follower is None or self.status is not Status.PENDING:
            return self
        return self._follower.wait(self.id, timeout)

    async def _final(self) -> Receipt:
        if self._follower is None or self.status is not Status.PENDING:
            return self
        return await self._follower.follow(self.id)


_FIELDS = (*Receipt.__slots__, *OutboxReceipt.__slots__)
