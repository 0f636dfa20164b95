"""The security of a connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """The server's certificate. Names and time are None if nothing here could read them. They come with the
    verification; for a pinned or unverified certificate they require ``cryptography``."""

    fingerprint: str
    """SHA-256, in hex."""
    subject: str | None = None
    issuer: str | None = None
    not_after: datetime | None = None
    """The expiry time."""
    der: bytes = field(default=b"", repr=False)
    """The certificate in DER form."""


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """The TLS parameters of a connection."""

    protocol: str
    """For example ``TLSv1.3``."""
    cipher: str
    certificate: Certificate | None
    verified: bool
    """True if the certificate was checked: against authorities and the name, or against a pin."""
    resumed: bool = False
    """True if the TLS session of an earlier connection was resumed, which saves most of the handshake."""

    unique: bytes | None = field(default=None, repr=False)
    """The first Finished message (``tls-unique``, RFC 5929 §3); None from TLS 1.3 on, which does not define it."""

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the server's certificate, in hex."""
        return self.certificate.fingerprint if self.certificate else None

    def __str__(self) -> str:
        return f"{self.protocol} {self.cipher}" + (", resumed" if self.resumed else "")
