"""OAUTHBEARER (RFC 7628): the standard way to present an OAuth 2.0 bearer token."""

from __future__ import annotations

from wlsmtp.sasl.base import Exchange, Proof, Secrets, octets, without_controls


def oauthbearer(secrets: Secrets) -> Exchange:
    """Send user, server and token in one response. A challenge after it is an error in JSON, to be answered with U+0001
    (§3.2.3)."""
    token = secrets.token or ""
    without_controls("OAUTHBEARER", secrets.username, token)
    user = secrets.username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 §4: saslname
    address = f"\1host={secrets.host}" + (f"\1port={secrets.port}" if secrets.port else "")
    yield Proof(octets(f"n,a={user},{address}\1auth=Bearer {token}\1\1"))
    yield Proof(b"\1")
