"""A caller's hold on one connection of the pool, to be released once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wlsmtp.smtp.connection import Connection


@dataclass(slots=True)
class Lease:
    """The progress of one ``acquire``: first a slot, in the end a connection. An interrupt may come wherever a function
    is called or returns, so this object and the counts it describes change without a call between."""

    size: int | None = None
    opened_after: float | None = None
    connection: Connection | None = None
    is_taken: bool = False
    """True if it counts as an open connection. After ``release`` it does not: ``release`` may be called again by a
    caller that was interrupted and does not know whether it had begun."""
