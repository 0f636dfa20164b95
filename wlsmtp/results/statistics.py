"""Counts of what a session has done so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the session was made; an immutable snapshot."""

    sent: int = 0
    """Messages acknowledged for every recipient."""
    partial: int = 0
    """Messages acknowledged for some recipients."""
    failed: int = 0
    """Messages delivered to nobody."""
    unknown: int = 0
    """Messages with an unknown result."""
    retries: int = 0
    """Attempts after the first, for all messages."""
    connections_opened: int = 0
    connections_resumed: int = 0
    """Connections that resumed the TLS session of an earlier one, which saves most of the handshake."""
    connections_lost: int = 0
    """Connections that did not end with QUIT."""
    connections_open: int = 0
    connections_idle: int = 0
    connections_allowed: int = 0
    """Connections that may be open now: fewer than ``PoolLimits.max_connections`` for a while after the server said
    that there are too many."""


@dataclass(slots=True)
class PoolStatistics:
    """Counts of connections."""

    opened: int = 0
    """Connections opened since the session was made."""
    resumed: int = 0
    """Of those, the ones that resumed the TLS session of an earlier one."""
    lost: int = 0
    """Of those, the ones that ended in any other way than by QUIT."""
    open: int = 0
    idle: int = 0
    allowed: int = 0
    """Connections that may be open now."""


@dataclass(frozen=True, slots=True)
class OutboxStatistics:
    """Number of mails in an outbox, by state."""

    pending: int = 0
    in_flight: int = 0
    """Pending mails that a worker is sending."""
    deferred: int = 0
    """Pending mails that were tried and are to be tried again."""
    sent: int = 0
    partial: int = 0
    error: int = 0
    unknown: int = 0
    unreadable: int = 0
    """Mails not counted above, as this version cannot read their records. They are kept, and read again later."""
    interruptions: int = 0
    """How often a worker died while sending a mail, which may therefore have arrived twice."""
    next_due: datetime | None = None
    """The time of the next attempt; in the past if a mail waits for its turn."""
    oldest: datetime | None = None
    """When the oldest pending mail was put; None without one, or in an outbox that does not tell."""
    oldest_due_age: float = 0.0
    """Seconds for which the mail that is due first has been waiting for its turn, by the clock of the outbox; 0 when
    none is due. The figure to watch: it grows when the workers do not keep up."""

    def as_of(self, now: float) -> Self:
        """Return the counts with the age of the mail that is due first."""
        due = self.next_due
        return replace(self, oldest_due_age=0.0 if due is None else max(0.0, now - due.timestamp()))
