"""The words that all mechanisms share."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

Exchange = Generator[bytes, bytes, None]
"""Yields a response, is sent the next challenge; ends when nothing is left to say."""

NOTHING = b""
"""What a mechanism yields first when the server speaks first; it is not sent."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a mechanism may use to prove who the user is. Its ``repr`` shows no secret."""

    username: str
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One row of the table: how a mechanism is called and what it needs."""

    name: str
    start: Callable[[Secrets], Exchange]
    client_first: bool = True
    """Whether the first response goes with the AUTH command (RFC 4954 §4: initial response)."""
    by_token: bool = False
    """Whether it proves a bearer token rather than a password."""
