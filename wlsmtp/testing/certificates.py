"""A throw-away certificate authority, made by trustme (``pip install "wlsmtp[testing]"``)."""

from __future__ import annotations

import datetime
import os
import ssl
import tempfile
import weakref
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Certificates:
    """An authority and one server certificate for ``names`` (default: localhost, 127.0.0.1, ::1)."""

    def __init__(self, *names: str, not_after: datetime.datetime | None = None) -> None:
        self._leaf, authority = _issue(names or LOCAL_NAMES, not_after)
        descriptor, self.ca_file = tempfile.mkstemp(prefix="wlsmtp-ca-", suffix=".pem")
        """The path of the authority's certificate, to be trusted by the client; removed with this object."""
        with os.fdopen(descriptor, "wb") as file:
            file.write(authority)
        self._finalizer = weakref.finalize(self, _remove, self.ca_file)

    @classmethod
    def expired(cls) -> Certificates:
        """A certificate of yesterday."""
        return cls(not_after=datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1))

    def server_context(self) -> ssl.SSLContext:
        """A TLS context for a server with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._leaf.configure_cert(context)
        return context


@cache
def default_certificates() -> Certificates:
    """Certificates for this machine, made once."""
    return Certificates()


def _issue(names: tuple[str, ...], not_after: datetime.datetime | None) -> tuple[trustme.LeafCert, bytes]:
    try:
        import trustme
    except ImportError:
        raise ImportError('TLS in wlsmtp.testing needs: pip install "wlsmtp[testing]"') from None
    authority = trustme.CA()
    return authority.issue_cert(*names, not_after=not_after), authority.cert_pem.bytes()


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)
