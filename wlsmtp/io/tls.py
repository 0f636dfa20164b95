"""TLS for both worlds: the context from the settings, the checks after the handshake, and what a failure means."""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, TypeGuard

from wlsmtp.errors import ConfigError, Stage, TLSError
from wlsmtp.io.base import TLSInfo

if TYPE_CHECKING:
    from pathlib import Path

    from wlsmtp.config import TLS

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def make_context(settings: TLS) -> ssl.SSLContext:
    """The client context for ``settings``, made anew when one of its files has changed, as renewed certificates do.

    Raises ``ConfigError`` when a file cannot be used.
    """
    own = settings.client_cert if isinstance(settings.client_cert, tuple) else (settings.client_cert,)
    paths = ssl.get_default_verify_paths()
    files = (settings.ca_file, *own, paths.cafile, paths.capath)
    return _make_context(settings, tuple((str(file), os.stat(file).st_mtime_ns) for file in files if _exists(file)))


def _exists(file: Path | str | None) -> TypeGuard[Path | str]:
    return file is not None and os.path.exists(file)


# Reading the authorities takes longer than the handshake, hence the cache.
@lru_cache(maxsize=64)
def _make_context(settings: TLS, _changes: tuple[tuple[str, int], ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[settings.minimum_version]
    if settings.fingerprint or not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        _load_authorities(context, settings)
    if settings.client_cert is not None:
        files = settings.client_cert if isinstance(settings.client_cert, tuple) else (settings.client_cert, None)
        try:
            context.load_cert_chain(*files)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls.client_cert: cannot be used ({error}).", stage=Stage.SETTINGS) from error
    return context


def _load_authorities(context: ssl.SSLContext, settings: TLS) -> None:
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            text = f"tls.ca_file: {settings.ca_file} cannot be used as a PEM file of authorities ({error})."
            raise ConfigError(text, stage=Stage.SETTINGS) from error
    elif settings.trust == "bundled":
        try:
            import certifi
        except ImportError:
            hint = 'Install it with: pip install "wlsmtp[certifi]"'
            raise ConfigError("tls.trust: 'bundled' needs certifi.", stage=Stage.SETTINGS, hint=hint) from None
        context.load_verify_locations(certifi.where())
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)


def inspect(tls: ssl.SSLObject | ssl.SSLSocket, settings: TLS) -> TLSInfo:
    """What the handshake agreed on. Raises ``TLSError`` when the certificate is not the pinned one."""
    certificate = tls.getpeercert(binary_form=True)
    seen = hashlib.sha256(certificate).hexdigest() if certificate else None
    if settings.fingerprint and not hmac.compare_digest(seen or "", settings.fingerprint):
        raise TLSError(
            f"The server's certificate is not the pinned one: its SHA-256 fingerprint is {seen}.",
            stage=Stage.TLS,
            hint="If the server has renewed its certificate, check the new fingerprint with its operator first",
        )
    cipher, version = tls.cipher(), tls.version() or "TLS"
    # Python gives the Finished message of TLS 1.3 out as well, where it proves nothing (RFC 8446 appendix C.5).
    unique = tls.get_channel_binding("tls-unique") if version == "TLSv1.2" else None
    return TLSInfo(version, cipher[0] if cipher else "", seen, certificate, unique)


def handshake_error(error: Exception, name: str) -> TLSError | ConnectionError:
    """A failed handshake in words, with what to do; a connection that was lost meanwhile is no failure of TLS."""
    if isinstance(error, ConnectionError | ssl.SSLEOFError):
        return ConnectionResetError("the other side hung up in the handshake")
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"The certificate of {name} was not accepted: {error.verify_message}"
        return TLSError(words, stage=Stage.TLS, hint=_certificate_hint(error, name))
    reason = getattr(error, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        hint = "Use security='tls' (STARTTLS, customary on port 587); security='ssl' is for port 465"
        return TLSError(f"{name} does not speak TLS from the first byte on this port", stage=Stage.TLS, hint=hint)
    if reason in ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"):
        hint = "It is too old to be safe: ask its operator to enable TLS 1.2 or newer"
        return TLSError(f"{name} offers no TLS version that is allowed here", stage=Stage.TLS, hint=hint)
    text = reason.replace("_", " ").lower() or str(error) or type(error).__name__
    return TLSError(f"The TLS handshake with {name} failed: {text}", stage=Stage.TLS)


def _certificate_hint(error: ssl.SSLCertVerificationError, name: str) -> str:
    match error.verify_code:
        case 10 | 9:  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
            return "The server's certificate must be renewed, or the clock here is wrong"
        case 62 | 64:  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            return f"Use the name that is in the certificate, or give it with TLS(server_hostname=…), not {name!r}"
        case _:
            return (
                "If the server uses a private authority, name its certificate with TLS(ca_file=…), pin the server's "
                "own with TLS(fingerprint=…), or choose another trust store with TLS(trust='bundled')"
            )
