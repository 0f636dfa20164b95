"""What secured a connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate by which a server proved itself. Names and time are None when nothing here could read them: they
    come with the verification, and for a certificate that is pinned or not verified from ``cryptography``."""

    fingerprint: str
    """SHA-256, in hex."""
    subject: str | None = None
    issuer: str | None = None
    not_after: datetime | None = None
    """When it expires."""
    der: bytes = field(default=b"", repr=False)
    """The certificate itself."""


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What secures a connection."""

    protocol: str
    """``TLSv1.3``, say."""
    cipher: str
    certificate: Certificate | None
    verified: bool
    """Whether the certificate was checked: against authorities and the name, or against a pin."""
    resumed: bool = False
    """Whether the TLS session of an earlier connection went on, which spares most of the handshake."""

    unique: bytes | None = field(default=None, repr=False)
    """The first Finished message (``tls-unique``, RFC 5929 §3); None from TLS 1.3 on, which does not define it."""

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the server's certificate, in hex."""
        return self.certificate.fingerprint if self.certificate else None

    def __str__(self) -> str:
        return f"{self.protocol} {self.cipher}" + (", resumed" if self.resumed else "")
