"""What a session has done so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the session was made; a value, which does not change any more."""

    sent: int = 0
    """Messages acknowledged for every recipient."""
    partial: int = 0
    """Messages acknowledged for some recipients."""
    failed: int = 0
    """Messages that nobody got."""
    unknown: int = 0
    """Messages whose outcome nobody knows."""
    retries: int = 0
    """Further tries, of whatever message."""
    connections_opened: int = 0
    connections_resumed: int = 0
    """Of those, the ones that went on with the TLS session of an earlier one, which spares most of the handshake."""
    connections_lost: int = 0
    """Connections that did not end with QUIT."""
    connections_open: int = 0
    connections_idle: int = 0
    connections_allowed: int = 0
    """How many may be open now: fewer than ``PoolLimits.max_connections`` for a while after the server has said that
    there are too many."""


@dataclass(slots=True)
class PoolStatistics:
    """Counts of connections."""

    opened: int = 0
    """Since the session was made."""
    resumed: int = 0
    """Of those, the ones that went on with the TLS session of an earlier one."""
    lost: int = 0
    """Of those, the ones that ended in any other way than by QUIT."""
    open: int = 0
    idle: int = 0
    allowed: int = 0
    """How many may be open now."""
