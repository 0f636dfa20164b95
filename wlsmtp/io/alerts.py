"""TLS alerts about the client's certificate. In TLS 1.3 they come after the handshake (RFC 8446 §4.4.2.4), with the
first read, so the reader must recognize them. This module does not use ``ssl``."""

from __future__ import annotations

from wlsmtp.errors import Stage, TLSError

_MISSING = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_CERTIFICATE_REQUIRED"})
_NOT_ACCEPTED = frozenset({
    "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_NO_CERTIFICATE",
    "TLSV1_ALERT_UNKNOWN_CA",
})  # fmt: skip
"""OpenSSL's names for the alerts of RFC 8446 §6.2."""
_UNNAMED = "SSLV3_ALERT_HANDSHAKE_FAILURE"
"""What servers send before TLS 1.3, which has no alert for a missing certificate."""


def client_certificate_error(error: Exception, server: str, *, has_shown: bool = False) -> TLSError | None:
    """Return the error for an alert about the client's certificate; None for any other failure. ``has_shown``: the
    server's own certificate had come before."""
    reason = getattr(error, "reason", None)
    if reason in _MISSING:
        words = f"{server} asks for a client certificate"
    elif reason in _NOT_ACCEPTED:
        alert = reason.partition("_ALERT_")[2].replace("_", " ").lower()
        words = f"{server} did not accept the client certificate, or wants one ({alert})"
    elif reason == _UNNAMED and has_shown:
        words = f"{server} ended the handshake after showing its certificate: it probably asks for a client certificate"
    else:
        return None
    return TLSError(words, stage=Stage.TLS, hint="Give one that the server trusts, with TLS(client_cert=…)")
