"""What names one TLS connection, for mechanisms that are bound to it (RFC 5929)."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec

from wlsmtp.sasl.base import ChannelBinding

_TOO_WEAK = frozenset({"md5", "sha1"})
_WITHOUT_HASH = frozenset({"ed25519", "ed448"})


def channel_binding(
    certificate: bytes | None, unique: bytes | None, *, default_only: bool = False
) -> ChannelBinding | None:
    """The name and data of a connection's binding, or None when it has none.

    ``tls-unique`` up to TLS 1.2 (``unique``: the first Finished message), where it is the default (RFC 5802 §6.1).
    The default of TLS 1.3, ``tls-exporter`` (RFC 9266), needs key material that Python's ``ssl`` does not give out;
    there it is ``tls-server-end-point``, a hash of the server's ``certificate``, unless ``default_only``: many servers
    know the default alone, and refuse any other one, or hang up.
    """
    if unique:
        return "tls-unique", unique
    if default_only or certificate is None or find_spec("asn1crypto") is None:
        return None
    hash_name = _signature_hash(certificate)
    return ("tls-server-end-point", hashlib.new(hash_name, certificate).digest()) if hash_name else None


def _signature_hash(certificate: bytes) -> str | None:
    """The hash that the certificate is signed with, or SHA-256 instead of a weak one (RFC 5929 §4.1); None where the
    signature has none of its own, as then the binding is not defined."""
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
