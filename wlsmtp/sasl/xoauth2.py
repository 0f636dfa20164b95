"""XOAUTH2: an OAuth 2.0 bearer token, as Google, Microsoft and Yahoo take it."""

from __future__ import annotations

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.sasl.base import Exchange, Secrets


def xoauth2(secrets: Secrets) -> Exchange:
    """User and token in one response; a challenge after it is an error in JSON, which wants an empty answer."""
    if "\1" in secrets.username + (secrets.token or ""):
        raise ConfigError("XOAUTH2 allows no control character in the user name or the token.", stage=Stage.AUTH)
    yield f"user={secrets.username}\1auth=Bearer {secrets.token or ''}\1\1".encode()
    yield b""
