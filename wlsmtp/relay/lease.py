"""A caller's hold on one connection of the pool, to be released once."""

from __future__ import annotations

from dataclasses import dataclass
from sys import getrefcount
from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, Stage

if TYPE_CHECKING:
    from collections import deque

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
    owes_slot: bool = False
    """True if its connection is being closed, and still counts as open."""
    lost: deque[Lease] | None = None
    """Where it goes if its caller forgets it before it is released."""

    is_lost: bool = False
    """True once nobody will release it any more."""

    def drop(self) -> None:
        """Leave it to the pool if it is not released, as there was no memory for that. Needs none."""
        if self.is_taken or self.owes_slot:
            self.is_lost = True
            if self.lost is not None:
                self.lost.append(self)

    def __del__(self) -> None:
        try:
            if self.lost is not None and (self.is_taken or self.owes_slot) and not self.is_lost:
                self.lost.append(self)
        except AttributeError:  # there was no memory for its attributes
            pass


def _count_by_a_name() -> int:
    alone = object()
    return getrefcount(alone)


_BY_A_NAME = _count_by_a_name()
"""What ``getrefcount`` says of an object that one local name has: since Python 3.14 the argument does not count."""


def take_back(lost: deque[Lease], to_close: list[Connection], idle: list[Connection], shared: list[Connection]) -> int:
    """Take back leases that were lost, as a caller without memory could not release them. Their connections, which
    nobody else uses, go ``to_close``. Return how many connections less are open."""
    freed = 0
    for _ in range(len(lost)):
        lease = lost.popleft()
        if not lease.is_taken and not lease.owes_slot:
            continue
        # One more than by this name, if a generator has it that the garbage collector has found.
        if not lease.is_lost and getrefcount(lease) > _BY_A_NAME:
            lost.append(lease)
            continue
        connection = lease.connection
        if connection is not None:
            connection.users -= lease.is_taken
            if connection.users > 0:
                lease.is_taken = False
                continue
            for kept in (idle, shared):
                if connection in kept:
                    kept.remove(connection)
            connection.link.end("interrupted")
            to_close.append(connection)
        freed += lease.is_taken or lease.owes_slot
        lease.is_taken = lease.owes_slot = False
    return freed


async def end_all(quitting: deque[Connection], others: list[Connection], end: float) -> None:
    """Wait for the replies to QUIT until ``end``, and close all connections: those after an interrupt at once."""
    try:
        while quitting:
            await quitting.popleft().end_quit(end)
    finally:
        await cut_off([*others, *quitting])


async def cut_off(connections: list[Connection]) -> None:
    """Close connections at once, as their caller was interrupted. A cancelled task may not be able to wait for the end
    of the first one: so all are aborted before that."""
    for connection in connections:
        connection.link.end("interrupted")
    for connection in connections:
        await connection.link.close()


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
