"""CRAM-MD5 (RFC 2195): a keyed digest of the server's challenge, so that the password itself is not sent."""

from __future__ import annotations

import hmac

from wlsmtp.sasl.base import NOTHING, Exchange, Proof, Secrets, octets


def cram_md5(secrets: Secrets) -> Exchange:
    """Answer the challenge with the user name and the digest."""
    challenge = yield NOTHING
    digest = hmac.new(octets(secrets.password or ""), challenge, "md5").hexdigest()
    yield Proof(octets(f"{secrets.username} {digest}"))
