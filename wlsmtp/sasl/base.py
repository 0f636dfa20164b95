"""The words that all mechanisms share."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

from wlsmtp.errors import AuthenticationFailed, ConfigError, Stage

Exchange = Generator[bytes, bytes, None]
"""Yields a response, is sent the next challenge; ends when nothing is left to say."""

NOTHING = b""
"""What a mechanism yields first when the server speaks first; it is not sent."""

ChannelBinding = tuple[str, bytes]
"""Name and data of what ties a login to one TLS connection (RFC 5056, 5929)."""


class Proof(bytes):
    """A response that puts a secret to the test. A refusal of any other one cannot mean that the secret is wrong."""


class Confirmed(Proof):
    """The last response of a mechanism in which the server, too, has proved who it is. A yes before it is a lie."""


class Unusable(Exception):
    """A mechanism cannot begin with what is at hand (no Kerberos ticket, say); nothing was sent."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a mechanism may use to prove who the user is. Its ``repr`` shows no secret."""

    username: str = ""
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    host: str = "localhost"
    """The server's name."""
    port: int = 0
    """The server's port; 0 for a unix socket."""
    binding: ChannelBinding | None = field(default=None, repr=False)
    """What the TLS connection is named by; None without TLS, and where this side chooses not to bind."""
    server_binds: bool = False
    """Whether the server offers any mechanism with channel binding."""
    server: str = "the server"
    """What errors call it: host and port."""
    has_certificate: bool = False
    """Whether the client has shown a certificate, or is known by its unix socket."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One row of the table: how a mechanism is called and what it needs."""

    name: str
    start: Callable[[Secrets], Exchange]
    client_first: bool = True
    """Whether the first response goes with the AUTH command (RFC 4954 §4: initial response)."""
    needs: Literal["password", "token", "certificate", "ticket", "nothing"] = "password"
    """What it proves."""
    module: str | None = None
    """The package that it is built on, when that is not the standard library."""
    extra: str | None = None
    """The extra that installs that package."""
    binds: bool = False
    """Whether it ties the login to the TLS connection."""
    is_mutual: bool = False
    """Whether the server proves itself as well; its success counts only after a ``Confirmed`` response."""
    is_slow: bool = False
    """Whether a step may take long (key derivation, a ticket to be fetched), and so must not hold up other tasks."""
    by_name_only: bool = False
    """Whether it is tried only when the user names it."""

    @property
    def is_installed(self) -> bool:
        """Whether its package is there; nothing is imported to find out."""
        return self.module is None or find_spec(self.module) is not None

    def fits(self, secrets: Secrets) -> bool:
        """Whether ``secrets`` hold what it needs."""
        at_hand = {
            "password": secrets.password is not None,
            "token": secrets.token is not None,
            "certificate": secrets.has_certificate,
            "ticket": secrets.token is None,
            "nothing": True,
        }
        return at_hand[self.needs] and (not self.binds or secrets.binding is not None)


def octets(text: str) -> bytes:
    """``text`` in UTF-8. Raises ``ConfigError`` where Python's own error would carry the secret in its arguments."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        words = "The user name, the password or the token has a lone surrogate, which UTF-8 cannot express."
        raise ConfigError(words, stage=Stage.AUTH) from None


def without_controls(mechanism: str, *values: str) -> None:
    """Raise ``ConfigError`` for a control character: U+0001 ends a field of the token mechanisms, and the newline of a
    file that a token was read from would be answered with nothing but "wrong token"."""
    if re.search(r"[\x00-\x1f\x7f]", "".join(values)):
        words = f"{mechanism} allows no control character in the user name or the token."
        raise ConfigError(words, stage=Stage.AUTH)


def unproved(mechanism: str, why: object, server: str) -> AuthenticationFailed:
    """The error for a server that does not keep to a mechanism, or cannot prove that it knows the user's secret."""
    return AuthenticationFailed(
        f"What {server} says in {mechanism} is not valid ({why})",
        stage=Stage.AUTH,
        hint="It may not be the server that it says it is; nothing that it could use elsewhere was given to it",
    )
