"""Counts of what a session has done so far."""

from __future__ import annotations

from dataclasses import dataclass


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
