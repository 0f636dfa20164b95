"""What one caller has of the pool: a connection, which it gives back once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wlsmtp.smtp.connection import Connection


@dataclass(slots=True)
class Loan:
    """What a caller of ``acquire`` has so far, and a connection in the end. A thread may be interrupted wherever a
    function is called or returns, so what is noted here is noted together with what it changes."""

    size: int | None = None
    opened_after: float | None = None
    connection: Connection | None = None
    is_taken: bool = False
    """Whether it counts as an open connection. Given back, it does not any more: ``release`` may be called again, by
    whoever does not know whether it was interrupted before it began."""
