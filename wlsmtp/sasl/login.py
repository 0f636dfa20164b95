"""LOGIN (draft-murchison-sasl-login): never a standard, but supported everywhere."""

from __future__ import annotations

from wlsmtp.sasl.base import NOTHING, Exchange, Proof, Secrets, octets


def login(secrets: Secrets) -> Exchange:
    """Send the user name, then the password, each after a prompt. The prompts differ by server and are ignored."""
    yield NOTHING
    yield octets(secrets.username)
    yield Proof(octets(secrets.password or ""))
