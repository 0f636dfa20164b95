"""``sign_with`` and ``encrypt_for`` of a ``Message``: S/MIME (RFC 8551). Certificates and keys are read and checked
when the message is made, and what is protected is in memory as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.message.content import BytesContent, Content
from wlsmtp.message.sign import smime

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

PEMLike: TypeAlias = str | os.PathLike[str] | bytes
"""A path, or the PEM itself."""
CertificateLike: TypeAlias = "PEMLike | Certificate"
"""A path, PEM or DER, or a certificate of ``cryptography``."""
SignWith: TypeAlias = PEMLike | tuple[PEMLike, PEMLike] | tuple[PEMLike, PEMLike, str | bytes]

_MARK = "-----BEGIN "


class Identity:
    """A signer: its certificate, intermediate certificates, and the private key. Its ``repr`` shows no key."""

    def __init__(self, pem: bytes) -> None:
        """``pem`` is as ``smime.sign`` takes it. Raises ``MessageError``."""
        certificate = smime.identity(pem)[1]
        _check_time(certificate)
        self.pem: bytes = pem
        self._name: str = certificate.subject.rfc4514_string()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.pem == other.pem

    def __hash__(self) -> int:
        return hash(self.pem)

    def __repr__(self) -> str:
        return f"<Identity {self._name}>"


class Protection:
    """The protection of a written message: it is signed, then encrypted."""

    def __init__(self, identity: Identity | None, certificates: tuple[bytes, ...]) -> None:
        """``certificates`` of the recipients are in DER; of none: nothing is encrypted."""
        self.identity: Identity | None = identity
        self.certificates: tuple[bytes, ...] = certificates

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Protection) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.identity, self.certificates))

    def applied(self, content: Content) -> Content:
        """The message as it is sent. Raises ``MessageError`` when it has no 7-bit form."""
        try:
            octets = b"".join(content.as_7bit().chunks())
        except ExtensionMissing as error:
            words = f"The message has no 7-bit form, and cannot be signed or encrypted: {error.message}"
            raise MessageError(words, stage=Stage.MESSAGE) from None
        if self.identity is not None:
            octets = smime.sign(octets, self.identity.pem)
        if self.certificates:
            octets = smime.encrypt(octets, self.certificates)
        return BytesContent(octets)


def expanded(_fields: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The protection of a message."""
    return {"protection": Protection(given.get("sign_with"), given.get("encrypt_for", ()))}


def _identity(value: object) -> Identity:
    if isinstance(value, Identity):
        return value
    parts = value if isinstance(value, tuple) else (value,)
    if not 1 <= len(parts) <= 3 or not all(isinstance(part, str | bytes | os.PathLike) for part in parts):
        raise ValueError("must be a pair (certificate, key) of paths or PEM, or a triple with the password of the key")
    certificate, key = (_octets(part) for part in (parts[0], parts[-1 if len(parts) < 3 else 1]))
    if len(parts) == 3:
        return Identity(certificate + b"\n" + smime.decrypted(key, parts[2]))
    return Identity(certificate if len(parts) == 1 else certificate + b"\n" + key)


def _certificates(value: object) -> tuple[bytes, ...]:
    """Return certificates in DER. Raises ``ValueError``, also for none: an empty list must not send a message in plain
    text."""
    is_one = isinstance(value, str | bytes | os.PathLike) or hasattr(value, "public_bytes")
    items: Any = (value,) if is_one else value
    if not isinstance(items, Iterable) or isinstance(items, Mapping):
        raise ValueError(f"must be a certificate or a list of them, not {type(value).__name__}")
    found = tuple(map(_certificate, items))
    if not found:
        raise ValueError("is empty; None sends the message unencrypted")
    return found


def _certificate(value: object) -> bytes:
    if not isinstance(value, str | bytes | os.PathLike) and not hasattr(value, "public_bytes"):
        raise ValueError(f"must be the path of a certificate, PEM or DER, not {type(value).__name__}")
    certificate = smime.certificate_of(value if hasattr(value, "public_bytes") else _octets(value))
    _check_time(certificate)
    return smime.recipient(certificate)


def _octets(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and _MARK in value:
        return value.encode("ascii", "replace")
    try:
        return Path(value).read_bytes()
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(value)[:80]!r} cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _check_time(certificate: Certificate) -> None:
    now = datetime.now(UTC)
    name = certificate.subject.rfc4514_string()
    if now > certificate.not_valid_after_utc:
        raise ValueError(f"the certificate of {name} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if now < certificate.not_valid_before_utc:
        raise ValueError(f"the certificate of {name} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on")


CHECKS: dict[str, Callable[[object], Any]] = {"sign_with": _identity, "encrypt_for": _certificates}
"""For each field what makes its value, or raises ``ValueError``."""
