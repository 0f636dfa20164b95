"""TLS for blocking and asyncio: the context from the settings, the checks after the handshake, and the meaning of a
failure."""

from __future__ import annotations

import os
import ssl
import sys
from collections import deque
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, TypeGuard, cast

from wlsmtp.errors import ConfigError, Stage, TLSError
from wlsmtp.io.alerts import client_certificate_error
from wlsmtp.io.certificate import check_pins, names_in, read_certificate, require_parser
from wlsmtp.io.engine import TLSEngine, shown_certificate
from wlsmtp.io.order import Rank
from wlsmtp.io.thread import Lock
from wlsmtp.results.secured import TLSInfo
from wlsmtp.settings.plugged import flaw_of

if TYPE_CHECKING:
    from pathlib import Path

    from wlsmtp.io.base import Stream
    from wlsmtp.settings.config import TLS

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def make_context(settings: TLS) -> ssl.SSLContext:
    """Return the client context for ``settings``, or the given one. It is created again when one of its files has
    changed, as renewed certificates do.

    Raises ``ConfigError`` if a file, or the context, cannot be used.
    """
    if settings.context is not None:
        # It may have changed since.
        if flaw := flaw_of(settings.context, must_verify=settings.verify and not settings.pins):
            raise ConfigError(f"tls.context: {flaw}", stage=Stage.SETTINGS)
        return cast("ssl.SSLContext", settings.context)
    own = settings.client_cert if isinstance(settings.client_cert, tuple) else (settings.client_cert,)
    paths = ssl.get_default_verify_paths()
    files = (settings.ca_file, *own, paths.cafile, paths.capath)
    versions = tuple((str(file), os.stat(file).st_mtime_ns) for file in files if _exists(file))
    return _make_context(settings, versions)  # pyright: ignore[reportArgumentType]  # a frozen model has a hash


def _exists(file: Path | str | None) -> TypeGuard[Path | str]:
    return file is not None and os.path.exists(file)


class ResumingContext(ssl.SSLContext):
    """A context that keeps TLS sessions of earlier connections for later ones (RFC 8446 §2.2, RFC 5077). A session is
    used once, as reusing it would let observers link connections (RFC 8446 §C.4)."""

    _MAX_NAMES = 256
    _MAX_SESSIONS = 8

    def __init__(self, *_: object) -> None:
        self._lock = Lock(Rank.TLS_SESSIONS)
        self._process = os.getpid()
        self._sessions: dict[str | None, deque[ssl.SSLSession]] = {}
        self._offered: set[str | None] = set()
        self._distrusted: set[str | None] = set()

    def keep(self, server_hostname: str | None, session: ssl.SSLSession) -> None:
        """Keep a session for a later connection to the server of that name."""
        with self._lock:
            self._forget_those_of_a_parent()
            if server_hostname in self._distrusted:
                return
            if server_hostname not in self._sessions and len(self._sessions) >= self._MAX_NAMES:
                self._offered.discard(oldest := next(iter(self._sessions)))
                del self._sessions[oldest]
            self._sessions.setdefault(server_hostname, deque(maxlen=self._MAX_SESSIONS)).append(session)

    def failed(self, server_hostname: str | None) -> None:
        """Note a failed handshake. If a session was offered, that may be the cause: the server is not offered one
        again."""
        with self._lock:
            self._forget_those_of_a_parent()
            if server_hostname in self._offered:
                self._distrusted.add(server_hostname)
                self._sessions.pop(server_hostname, None)

    def take(self, server_hostname: str) -> ssl.SSLSession | None:
        """Return a session to be resumed with the server of that name; None if there is none."""
        with self._lock:
            self._forget_those_of_a_parent()
            kept = self._sessions.get(server_hostname)
            if not kept:
                self._offered.discard(server_hostname)
                return None
            self._offered.add(server_hostname)
            return kept.pop()

    def _forget_those_of_a_parent(self) -> None:
        """Drop the sessions in a forked child, as the parent may offer them."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._sessions, self._offered = {}, set()


async def secure(stream: Stream, settings: TLS, server_hostname: str, deadline: float) -> tuple[TLSEngine, TLSInfo]:
    """Do the handshake over a plain-text stream. Unread data belongs to the handshake, and the engine keeps what
    follows it: ``decrypt(b"")`` returns that.

    Raises ``TLSError``, but ``OSError`` if the connection was lost meanwhile, and ``TimeoutError`` at the deadline.
    """
    context = make_context(settings)
    sent = stream.sent
    try:
        session = context.take(server_hostname) if isinstance(context, ResumingContext) else None
        engine = TLSEngine(context, server_hostname, session)
        await _shake_hands(stream, engine, deadline)
    except TimeoutError:
        raise
    except (OSError, ValueError) as error:
        raise handshake_error(error, server_hostname, context) from error
    finally:
        stream.sent = sent  # nothing of the conversation
    return engine, inspect(engine.object, settings, server_hostname)


async def _shake_hands(stream: Stream, engine: TLSEngine, deadline: float) -> None:
    octets, is_done = b"", False
    if stream.has_input() and not (octets := await stream.read(deadline)):
        raise ConnectionResetError("the server closed the connection")
    while not is_done:
        try:
            is_done = engine.handshake(octets)
        except ssl.SSLError:
            with suppress(OSError):  # the server need not learn why
                await stream.write(engine.take(), deadline)
            raise
        try:
            await stream.write(engine.take(), deadline)
        except TimeoutError:
            raise
        except OSError:
            pass  # a server that has closed may have said why
        if not is_done and not (octets := await stream.read(deadline)):
            raise ConnectionResetError("the server closed the connection")


def keep_session(tls: ssl.SSLObject) -> None:
    """Let a later connection resume the session of this one, if the settings and the server allow it."""
    # Asking for the session copies it, with the certificates in it.
    if isinstance(tls.context, ResumingContext):
        session = tls.session
        if session is not None and (session.has_ticket or session.id):
            tls.context.keep(tls.server_hostname, session)


# Loading the authorities takes longer than the handshake, hence the cache.
@lru_cache(maxsize=64)
def _make_context(settings: TLS, _changes: tuple[tuple[str, int], ...]) -> ssl.SSLContext:
    context = _bare_context(settings)
    context.minimum_version = _VERSIONS[settings.minimum_version]
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if settings.strict_x509:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    else:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if settings.pins or not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        _load_authorities(context, settings)
    if settings.public_key:
        require_parser()
    if settings.ciphers is not None:
        _set_ciphers(context, settings.ciphers)
    if settings.client_cert is not None:
        _load_client_certificate(context, settings)
    return context


def _bare_context(settings: TLS) -> ssl.SSLContext:
    # A resumed session brings no certificate chain, which truststore must pass to the system.
    asks_system = settings.trust == "system" and settings.ca_file is None and settings.verify and not settings.pins
    if asks_system and _system_is_not_openssl():
        with suppress(ImportError):
            import truststore

            return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = (ResumingContext if settings.resumption else ssl.SSLContext)(ssl.PROTOCOL_TLS_CLIENT)
    if ssl.HAS_NEVER_CHECK_COMMON_NAME:
        context.hostname_checks_common_name = settings.check_common_name
    return context


def _system_is_not_openssl() -> bool:
    """Return whether the operating system stores its authorities where OpenSSL does not find them all."""
    return sys.platform in ("darwin", "win32")


def _set_ciphers(context: ssl.SSLContext, ciphers: str) -> None:
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        words = "tls.ciphers: has no cipher that OpenSSL knows; give a list such as 'ECDHE+AESGCM:ECDHE+CHACHA20'"
        raise ConfigError(words, stage=Stage.SETTINGS) from None


def _load_client_certificate(context: ssl.SSLContext, settings: TLS) -> None:
    cert = settings.client_cert
    certificate, key = cert if isinstance(cert, tuple) else (cert, None)
    password = settings.client_key_password
    secret = password.get_secret_value() if password else ""
    try:
        # Always with a password, as OpenSSL would otherwise ask for one on the terminal.
        context.load_cert_chain(cast("Path", certificate), key, lambda: secret)
    except (OSError, ssl.SSLError) as error:
        hint = "If the key is encrypted, give TLS(client_key_password=…)"
        words = f"tls.client_cert: cannot be used ({error})."
        raise ConfigError(words, stage=Stage.SETTINGS, hint=hint) from error


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


def inspect(tls: ssl.SSLObject, settings: TLS, name: str) -> TLSInfo:
    """Return what the handshake negotiated. Raises ``TLSError`` if the certificate is not the pinned one."""
    if settings.pins:
        check_pins(tls, settings, name)
    cipher, version = tls.cipher(), tls.version() or "TLS"
    return TLSInfo(
        protocol=version,
        cipher=cipher[0] if cipher else "",
        certificate=read_certificate(tls),
        verified=settings.verify or settings.pins,
        resumed=bool(tls.session_reused),
        # Python also exposes the Finished message of TLS 1.3, where it proves nothing (RFC 8446 appendix C.5).
        unique=tls.get_channel_binding("tls-unique") if version == "TLSv1.2" else None,
    )


def handshake_error(error: Exception, name: str, context: ssl.SSLContext | None = None) -> TLSError | ConnectionError:
    """Return the error for a failed handshake, with what to do; a connection that was lost meanwhile is not a TLS
    failure."""
    if isinstance(context, ResumingContext):
        context.failed(name)
    if isinstance(error, ConnectionError | ssl.SSLEOFError):
        return ConnectionResetError("the other side closed the connection in the handshake")
    if isinstance(error, ssl.SSLCertVerificationError):
        words = f"The certificate of {name} was not accepted: {error.verify_message}"
        if error.verify_code in _NAME_MISMATCH:
            words = f"{words.rstrip('.')}; {_names(error)}"
        return TLSError(words, stage=Stage.TLS, hint=_certificate_hint(error, name))
    has_shown = shown_certificate(error) is not None
    if (about_client := client_certificate_error(error, name, has_shown=has_shown)) is not None:
        return about_client
    reason = getattr(error, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        hint = "Use security='tls' (STARTTLS, customary on port 587); security='ssl' is for port 465"
        return TLSError(f"{name} does not speak TLS from the first byte on this port", stage=Stage.TLS, hint=hint)
    if reason in ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"):
        hint = "It is too old to be safe: ask its operator to enable TLS 1.2 or newer"
        return TLSError(f"{name} offers no TLS version that is allowed here", stage=Stage.TLS, hint=hint)
    text = reason.replace("_", " ").lower() or str(error) or type(error).__name__
    return TLSError(f"The TLS handshake with {name} failed: {text}", stage=Stage.TLS)


_NAME_MISMATCH = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH."""
_MAX_NAMES_SHOWN = 10


def _names(error: ssl.SSLCertVerificationError) -> str:
    shown = shown_certificate(error)
    if shown is None:
        return "its names could not be read"
    names = names_in(shown)
    if not names:
        return "it has no names (subjectAltName)"
    more = len(names) - _MAX_NAMES_SHOWN
    return f"it is for {', '.join(names[:_MAX_NAMES_SHOWN])}" + (f" and {more} more" if more > 0 else "")


def _certificate_hint(error: ssl.SSLCertVerificationError, name: str) -> str:
    match error.verify_code:
        case 10 | 9:  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
            return "The server's certificate must be renewed, or the clock here is wrong"
        case code if code in _NAME_MISMATCH:
            if (shown := shown_certificate(error)) is not None and not names_in(shown):
                return (
                    "Its operator should issue one with the name; TLS(check_common_name=True) accepts the common name"
                )
            return f"Use the name that is in the certificate, or give it with TLS(server_hostname=…), not {name!r}"
        case code if 80 <= code <= 94:  # checked by OpenSSL only with X509_V_FLAG_X509_STRICT
            return (
                "The certificate, or its authority's, breaks a rule of RFC 5280; TLS(strict_x509=False) lets that pass"
            )
        case _:
            return (
                "If the server uses a private authority, name its certificate with TLS(ca_file=…), pin the server's "
                "own with TLS(fingerprint=…), or choose another trust store with TLS(trust='bundled')"
            )
