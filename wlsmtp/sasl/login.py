"""LOGIN (draft-murchison-sasl-login): never a standard, and everywhere."""

from __future__ import annotations

from wlsmtp.sasl.base import NOTHING, Exchange, Proof, Secrets, octets


def login(secrets: Secrets) -> Exchange:
    """The user name, then the password, each after a prompt whose words differ by server and are not looked at."""
    yield NOTHING
    yield octets(secrets.username)
    yield Proof(octets(secrets.password or ""))
