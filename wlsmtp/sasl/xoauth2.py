"""XOAUTH2: an OAuth 2.0 bearer token, as Google, Microsoft and Yahoo accept it."""

from __future__ import annotations

from wlsmtp.sasl.base import Exchange, Proof, Secrets, octets, without_controls


def xoauth2(secrets: Secrets) -> Exchange:
    """Send user and token in one response. A challenge after it is an error in JSON, to be answered with an empty
    line."""
    token = secrets.token or ""
    without_controls("XOAUTH2", secrets.username, token)
    yield Proof(octets(f"user={secrets.username}\1auth=Bearer {token}\1\1"))
    yield Proof()
