"""PLAIN (RFC 4616)."""

from __future__ import annotations

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.sasl.base import Exchange, Proof, Secrets, octets


def plain(secrets: Secrets) -> Exchange:
    """Send user name and password in one response. Raises ``ConfigError`` if either contains a NUL, which ends a
    field."""
    if "\0" in secrets.username + (secrets.password or ""):
        raise ConfigError("PLAIN allows no NUL in the user name or the password.", stage=Stage.AUTH)
    yield Proof(octets(f"\0{secrets.username}\0{secrets.password or ''}"))
