"""XOAUTH2: an OAuth 2.0 bearer token, as Google, Microsoft and Yahoo take it."""

from __future__ import annotations

import re

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.sasl.base import Exchange, Secrets, octets


def xoauth2(secrets: Secrets) -> Exchange:
    """User and token in one response; a challenge after it is an error in JSON, which wants an empty answer.

    Raises ``ConfigError`` for a control character: U+0001 ends a field, and the newline of a file that a token was read
    from would be answered with nothing but "wrong token"."""
    if re.search(r"[\x00-\x1f\x7f]", secrets.username + (secrets.token or "")):
        raise ConfigError("XOAUTH2 allows no control character in the user name or the token.", stage=Stage.AUTH)
    yield octets(f"user={secrets.username}\1auth=Bearer {secrets.token or ''}\1\1")
    yield b""
