"""The types that all mechanisms share."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

from wlsmtp.errors import AuthenticationFailed, ConfigError, Stage

Exchange = Generator[bytes, bytes, None]
"""Yields a response and is sent the next challenge; ends when it has nothing more to send."""

NOTHING = b""
"""The first value yielded by a mechanism in which the server speaks first; it is not sent."""

ChannelBinding = tuple[str, bytes]
"""Name and data of the channel binding that ties a login to one TLS connection (RFC 5056, RFC 5929)."""


class Proof(bytes):
    """A response that lets the server test the secret. A refusal of any other response cannot mean that the secret is
    wrong."""


class Confirmed(Proof):
    """The last response of a mechanism in which the server, too, has proved its identity. Success before it is not
    trusted."""


class Unusable(Exception):
    """A mechanism cannot begin with what is available (for example, no Kerberos ticket); nothing was sent."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets with which a mechanism may prove the user's identity. Its ``repr`` shows no secret."""

    username: str = ""
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    host: str = "localhost"
    """The server's name."""
    port: int = 0
    """The server's port; 0 for a unix socket."""
    binding: ChannelBinding | None = field(default=None, repr=False)
    """The channel binding of the TLS connection; None without TLS, and if this side chooses not to bind."""
    server_binds: bool = False
    """True if the server offers any mechanism with channel binding."""
    server: str = "the server"
    """The server's name in errors: host and port."""
    has_certificate: bool = False
    """True if the client has presented a certificate, or is known by its unix socket."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One row of the table: the name of a mechanism and its requirements."""

    name: str
    start: Callable[[Secrets], Exchange]
    client_first: bool = True
    """True if the first response goes with the AUTH command (RFC 4954 §4: initial response)."""
    needs: Literal["password", "token", "certificate", "ticket", "nothing"] = "password"
    """The kind of secret that it proves."""
    module: str | None = None
    """The package that it is built on, if not the standard library."""
    extra: str | None = None
    """The extra that installs that package."""
    binds: bool = False
    """True if it ties the login to the TLS connection."""
    is_mutual: bool = False
    """True if the server proves its identity as well; success counts only after a ``Confirmed`` response."""
    is_slow: bool = False
    """True if a step may take long (key derivation, fetching a ticket), so that it must not block other tasks."""
    by_name_only: bool = False
    """True if it is tried only when the user names it."""

    @property
    def is_installed(self) -> bool:
        """True if its package is installed; nothing is imported to find out."""
        return self.module is None or find_spec(self.module) is not None

    def fits(self, secrets: Secrets) -> bool:
        """Return whether ``secrets`` hold what it requires."""
        at_hand = {
            "password": secrets.password is not None,
            "token": secrets.token is not None,
            "certificate": secrets.has_certificate,
            "ticket": secrets.token is None,
            "nothing": True,
        }
        return at_hand[self.needs] and (not self.binds or secrets.binding is not None)


def octets(text: str) -> bytes:
    """Return ``text`` in UTF-8. Raises ``ConfigError``, since Python's own error would carry the secret in its
    arguments."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        words = "The user name, the password or the token has a lone surrogate, which UTF-8 cannot express."
        raise ConfigError(words, stage=Stage.AUTH) from None


def without_controls(mechanism: str, *values: str) -> None:
    """Raise ``ConfigError`` for a control character. U+0001 ends a field of the token mechanisms, and a newline read
    with a token from a file would only give "wrong token"."""
    if re.search(r"[\x00-\x1f\x7f]", "".join(values)):
        words = f"{mechanism} allows no control character in the user name or the token."
        raise ConfigError(words, stage=Stage.AUTH)


def unproved(mechanism: str, why: object, server: str) -> AuthenticationFailed:
    """Return the error for a server that violates a mechanism, or cannot prove that it knows the user's secret."""
    return AuthenticationFailed(
        f"The {mechanism} exchange of {server} is not valid ({why})",
        stage=Stage.AUTH,
        hint="It may be an impostor; it received nothing that it could use elsewhere",
    )
