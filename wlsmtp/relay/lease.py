"""A caller's hold on one connection of the pool, to be released once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, Stage

if TYPE_CHECKING:
    from wlsmtp.smtp.connection import Connection


@dataclass(slots=True)
class Lease:
    """The progress of one ``acquire``: first a slot, in the end a connection. An interrupt may come wherever a function
    is called or returns, so this object and the counts it describes change without a call between."""

    size: int | None = None
    opened_after: float | None = None
    picky_until: float = 0.0
    """Until then it takes only a connection that has delivered a message, as long as there may be one."""
    connection: Connection | None = None
    is_taken: bool = False
    """True if it counts as an open connection. After ``release`` it does not: ``release`` may be called again by a
    caller that was interrupted and does not know whether it had begun."""


def waits_for_itself() -> ConnectionFailed:
    """Return the error for a caller that waits for a connection and holds all of them."""
    words = "The connections that could become free are in use by this caller"
    hint = (
        "A listener, or an input of send_many, that sends through its own session needs one more connection: "
        "PoolLimits(max_connections=…)"
    )
    error = ConnectionFailed(words, stage=Stage.CONNECT, hint=hint)
    error.is_lasting = True
    return error


def closed_error() -> ConnectionFailed:
    """Return the error for a send after ``close``."""
    error = ConnectionFailed("The session is closed", stage=Stage.CONNECT, hint="Call open() to use it again")
    error.is_lasting = True
    return error
