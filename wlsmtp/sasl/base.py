"""The words that all mechanisms share."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from wlsmtp.errors import ConfigError, Stage

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


def octets(text: str) -> bytes:
    """``text`` in UTF-8. Raises ``ConfigError`` where Python's own error would carry the secret in its arguments."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        words = "The user name, the password or the token has a lone surrogate, which UTF-8 cannot express."
        raise ConfigError(words, stage=Stage.AUTH) from None


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One row of the table: how a mechanism is called and what it needs."""

    name: str
    start: Callable[[Secrets], Exchange]
    client_first: bool = True
    """Whether the first response goes with the AUTH command (RFC 4954 §4: initial response)."""
    by_token: bool = False
    """Whether it proves a bearer token rather than a password."""
