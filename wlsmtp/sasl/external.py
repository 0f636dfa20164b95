"""EXTERNAL (RFC 4422 appendix A): the server already knows the client, by its certificate or its unix socket."""

from __future__ import annotations

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.sasl.base import Exchange, Secrets, octets


def external(secrets: Secrets) -> Exchange:
    """Send the user to act as; without one, the user that the certificate names."""
    if "\0" in secrets.username:
        raise ConfigError("EXTERNAL allows no NUL in the user name.", stage=Stage.AUTH)
    yield octets(secrets.username)
