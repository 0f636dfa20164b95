"""ANONYMOUS (RFC 4505): no user, and an optional address for the server's log."""

from __future__ import annotations

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.sasl.base import Exchange, Secrets, octets

_MAX_TRACE = 255


def anonymous(secrets: Secrets) -> Exchange:
    """Send the user name as trace information (§2), which may be empty."""
    if len(secrets.username) > _MAX_TRACE or not secrets.username.isprintable():
        words = f"ANONYMOUS takes a user name of up to {_MAX_TRACE} printable characters."
        raise ConfigError(words, stage=Stage.AUTH)
    yield octets(secrets.username)
