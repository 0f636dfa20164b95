"""A throw-away certificate authority, made by trustme (``pip install "wlsmtp[testing]"``)."""

from __future__ import annotations

import datetime
import hashlib
import os
import ssl
import tempfile
import weakref
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Certificates:
    """One server certificate for ``names`` (default: localhost, 127.0.0.1, ::1), and its authority: that of other
    certificates, or a new one."""

    def __init__(
        self, *names: str, not_after: datetime.datetime | None = None, authority: Certificates | None = None
    ) -> None:
        self._authority: trustme.CA = authority._authority if authority else _trustme().CA()
        self._leaf = self._authority.issue_cert(*(names or LOCAL_NAMES), not_after=not_after)
        self.ca_file: str = self._write("ca", self._authority.cert_pem.bytes())
        """The path of the authority's certificate, which the client must trust; removed with this object."""

    @classmethod
    def expired(cls, authority: Certificates | None = None) -> Certificates:
        """Return a certificate that expired yesterday."""
        yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        return cls(not_after=yesterday, authority=authority)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 fingerprint of the server's certificate in hex, for ``TLS(fingerprint=…)``."""
        return self.end_point.hex()

    def server_context(self, *, asks_client: bool = False) -> ssl.SSLContext:
        """Return a TLS context for a server with this certificate. It requests a client certificate, which is
        optional."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._leaf.configure_cert(context)
        if asks_client:
            context.load_verify_locations(self.ca_file)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def client_cert(self, address: str) -> str:
        """Return the path of a PEM file with key and certificate for a client, named by a mail address."""
        leaf = self._authority.issue_cert(address)
        return self._write("client", leaf.private_key_and_cert_chain_pem.bytes())

    @property
    def end_point(self) -> bytes:
        """The channel binding ``tls-server-end-point`` (RFC 5929 §4): trustme signs with SHA-256."""
        der = ssl.PEM_cert_to_DER_cert(self._leaf.cert_chain_pems[0].bytes().decode())
        return hashlib.sha256(der).digest()

    def _write(self, kind: str, pem: bytes) -> str:
        descriptor, path = tempfile.mkstemp(prefix=f"wlsmtp-{kind}-", suffix=".pem")
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        weakref.finalize(self, _remove, path)
        return path


@cache
def default_certificates() -> Certificates:
    """Return certificates for this machine, created once."""
    return Certificates()


def _trustme() -> ModuleType:
    try:
        import trustme
    except ImportError:
        raise ImportError('TLS in wlsmtp.testing needs: pip install "wlsmtp[testing]"') from None
    return trustme


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)
