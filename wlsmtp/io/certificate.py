"""The server's certificate: its content, and the check of pins."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ConfigError, Stage, TLSError
from wlsmtp.results.secured import Certificate

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as Parsed

    from wlsmtp.settings.config import TLS

_SHORT = {
    "commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C",
    "stateOrProvinceName": "ST", "localityName": "L",
}  # fmt: skip


def read_certificate(tls: ssl.SSLObject) -> Certificate | None:
    """Return the certificate that the server presented."""
    der = tls.getpeercert(binary_form=True)
    if der is None:
        return None
    subject = issuer = not_after = None
    if verified := tls.getpeercert():  # empty if nothing was verified
        subject, issuer = subject_and_issuer(verified)
        not_after = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(verified["notAfter"])), UTC)
    else:
        # An unverified server may present anything, and cryptography may not be installed.
        with suppress(ImportError, ValueError):
            parsed = _parse(der)
            subject, issuer = _clean(parsed.subject.rfc4514_string()), _clean(parsed.issuer.rfc4514_string())
            not_after = parsed.not_valid_after_utc
    return Certificate(hashlib.sha256(der).hexdigest(), subject, issuer, not_after, der)


def names_in(certificate: Mapping[str, Any]) -> list[str]:
    """Return the DNS names and IP addresses of a certificate (subjectAltName), as ``getpeercert`` gives it."""
    pairs = certificate.get("subjectAltName", ())
    return [_clean(str(name)) for kind, name in pairs if kind in ("DNS", "IP Address")]


def subject_and_issuer(certificate: Mapping[str, Any]) -> tuple[str, str]:
    """Return subject and issuer of a certificate in the notation of RFC 4514."""
    return _name(certificate.get("subject")), _name(certificate.get("issuer"))


def check_pins(tls: ssl.SSLObject, settings: TLS, name: str = "the server") -> None:
    """Raise ``TLSError`` unless the certificate, or its key, is pinned."""
    der = tls.getpeercert(binary_form=True) or b""
    seen = hashlib.sha256(der).hexdigest()
    if _is_among(seen, settings.fingerprint):
        return
    words = f"The certificate of {name} is not the pinned one: its SHA-256 fingerprint is {seen}"
    if settings.public_key:
        key = _public_key(der)
        if _is_among(key, settings.public_key):
            return
        words += f", that of its public key {key}"
    hint = "If the server has renewed its certificate, check the new fingerprint with its operator first"
    raise TLSError(words, stage=Stage.TLS, hint=hint)


def require_parser() -> None:
    """Raise ``ConfigError`` if public keys cannot be parsed here."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        hint = 'Install it with: pip install "wlsmtp[tls]"'
        raise ConfigError("tls.public_key: needs cryptography.", stage=Stage.SETTINGS, hint=hint) from None


def _is_among(seen: str, pinned: Iterable[str]) -> bool:
    return any([hmac.compare_digest(seen, pin) for pin in pinned])


def _public_key(der: bytes) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = _parse(der).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return "one that cannot be read"
    return hashlib.sha256(key).hexdigest()


def _parse(der: bytes) -> Parsed:
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(der)


def _name(parts: Any) -> str:
    """Return a distinguished name in the notation of RFC 4514: the most specific part first."""
    if not parts:
        return ""
    pairs = [f"{_SHORT.get(kind, kind)}={value}" for part in reversed(parts) for kind, value in part]
    return _clean(",".join(pairs))


def _clean(text: str) -> str:
    """Remove control characters: the maker of the certificate chose the text, and it must not reach a log or
    terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
