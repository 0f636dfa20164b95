"""TLS contexts whose failed handshakes say what the server had sent: text instead of TLS, or a certificate."""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

_FIRST_OCTETS_OF_TLS = (0x15, 0x16)
"""The record types with which a server may begin: alert and handshake (RFC 8446 §5.1)."""
_REFUSAL = re.compile(rb"(?:[45][0-9]{2}-[^\n]*\n)*[45][0-9]{2}(?:[ \t\r][^\n]*)?\n")
"""A whole 4xx or 5xx reply."""
_REFUSAL_BEGUN = re.compile(rb"[45](?:[0-9]?|[0-9]{2}(?:[ \t\r-].*)?)", re.DOTALL)
_MAX_REFUSAL = 4096
"""Octets of text that are waited for."""


class AnsweredInTheClear(ssl.SSLError):
    """The server sent text where the handshake should have begun."""

    reason = "WRONG_VERSION_NUMBER"

    def __init__(self, octets: bytes) -> None:
        super().__init__(ssl.SSL_ERROR_SSL, "the server sent text instead of TLS")
        self.octets = octets


def shown_certificate(error: Exception) -> dict[str, Any] | None:
    """What the certificate says that the server had shown before the handshake failed, as ``getpeercert`` gives it;
    None when it had shown none."""
    return error.__dict__.get("shown_certificate")


def _remember_certificate(error: ssl.SSLError, tls: ssl.SSLObject | ssl.SSLSocket) -> None:
    # getpeercert refuses to answer before the end of the handshake. What it builds on does answer, has no public name,
    # and may be missing: the error is worth less without it, and not wrong.
    with suppress(Exception):
        chain = tls._sslobj.get_unverified_chain()  # type: ignore[union-attr]
        error.__dict__["shown_certificate"] = chain[0].get_info()


def _is_refusal_begun(octets: bytes) -> bool:
    """Whether ``octets`` are a 4xx or 5xx reply that has not come whole."""
    is_begun = len(octets) < _MAX_REFUSAL and _REFUSAL_BEGUN.fullmatch(octets)
    return bool(is_begun) and not _REFUSAL.match(octets)


class _Object(ssl.SSLObject):
    incoming: ssl.MemoryBIO | None = None
    """What the server sends; None once it has begun with TLS."""

    def do_handshake(self) -> None:
        """See ``ssl.SSLObject.do_handshake``."""
        if self.incoming is not None and self.incoming.pending:
            octets = self.incoming.read()
            self.incoming.write(octets)
            if octets[0] not in _FIRST_OCTETS_OF_TLS:
                raise ssl.SSLWantReadError if _is_refusal_begun(octets) else AnsweredInTheClear(octets)
            self.incoming = None
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            _remember_certificate(error, self)
            raise


class _Socket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        """See ``ssl.SSLSocket.do_handshake``; to be called on a socket with a time-out."""
        end = time.monotonic() + (self.gettimeout() or 0)
        self.setblocking(False)
        with suppress(BlockingIOError):
            self._check_first_octets(end)
            self.setblocking(False)
        try:
            self._go_on()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):  # the first message to the server has gone out
            self._limit(end)
            self._check_first_octets(end)
            self._limit(end)
            self._go_on()

    def _go_on(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            _remember_certificate(error, self)
            raise

    def _check_first_octets(self, end: float) -> None:
        """Look at what the server sends before OpenSSL takes it. ``SSLSocket.recv`` would decrypt. Text that arrives
        in the very moment between these looks loses its first octets, and is then no more than "no TLS"."""
        raw = socket.socket.recv
        octets = raw(self, 1, socket.MSG_PEEK)
        if not octets or octets[0] in _FIRST_OCTETS_OF_TLS:
            return
        octets = raw(self, _MAX_REFUSAL)
        while _is_refusal_begun(octets):
            self._limit(end)
            if not (more := raw(self, _MAX_REFUSAL)):
                raise ConnectionResetError("the server hung up in the middle of a reply")
            octets += more
        raise AnsweredInTheClear(octets)

    def _limit(self, end: float) -> None:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)


class Context(ssl.SSLContext):
    """A client context whose connections know more of a failed handshake."""

    sslobject_class = _Object
    sslsocket_class = _Socket

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """See ``ssl.SSLContext.wrap_bio``."""
        wrapped = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(wrapped, _Object):
            wrapped.incoming = incoming
        return wrapped
