"""The channel binding of a TLS connection, for mechanisms that use it (RFC 5929)."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec

from wlsmtp.sasl.base import ChannelBinding

_TOO_WEAK = frozenset({"md5", "sha1"})
_WITHOUT_HASH = frozenset({"ed25519", "ed448"})


def channel_binding(
    certificate: bytes | None, unique: bytes | None, *, default_only: bool = False
) -> ChannelBinding | None:
    """Return name and data of a connection's binding, or None if it has none.

    Up to TLS 1.2 it is ``tls-unique`` (``unique``: the first Finished message), the default there (RFC 5802 §6.1). The
    default of TLS 1.3, ``tls-exporter`` (RFC 9266), needs key material that Python's ``ssl`` does not expose. With TLS
    1.3 it is therefore ``tls-server-end-point``, a hash of the server's ``certificate``, unless ``default_only``: many
    servers know only the default, and refuse any other binding or close the connection.
    """
    if unique:
        return "tls-unique", unique
    if default_only or certificate is None or find_spec("asn1crypto") is None:
        return None
    hash_name = _signature_hash(certificate)
    return ("tls-server-end-point", hashlib.new(hash_name, certificate).digest()) if hash_name else None


def _signature_hash(certificate: bytes) -> str | None:
    """Return the hash of the certificate's signature, or SHA-256 instead of a weak one (RFC 5929 §4.1). None if the
    signature has no hash of its own; the binding is undefined then."""
    from asn1crypto.x509 import Certificate

    try:
        parsed = Certificate.load(certificate)
        name: str = parsed.hash_algo
    except ValueError:
        return None
    if parsed.signature_algo in _WITHOUT_HASH:
        return None
    if name in _TOO_WEAK:
        return "sha256"
    return name if name in hashlib.algorithms_available else None
