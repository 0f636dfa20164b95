"""TLS without I/O: octets of the network in, plain text out, and back. Both worlds use it, over sockets of their own.

OpenSSL over a socket takes from it what it wants, when it wants. Whoever owns the socket instead can look at what a
server sends before OpenSSL does, as some send text, and can read a socket to its end after a write has failed on it.
"""

from __future__ import annotations

import hashlib
import ssl
from collections import deque
from contextlib import suppress
from typing import Any

RECORD = 16 * 1024
"""Octets of plain text in a TLS record at most (RFC 8446 §5.1)."""
_FIRST_OCTETS_OF_TLS = (0x15, 0x16)
"""The record types with which a server may begin: alert and handshake (RFC 8446 §5.1)."""
_DER = 2
"""The encoding of a certificate in octets, as the ``_ssl`` module counts."""
_NOTHING = memoryview(b"")
_WAITS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class AnsweredInTheClear(ssl.SSLError):
    """The server sent text where the handshake should have begun."""

    reason = "WRONG_VERSION_NUMBER"

    def __init__(self, octets: bytes) -> None:
        super().__init__(ssl.SSL_ERROR_SSL, "the server sent text instead of TLS")
        self.octets = octets


class TLSEngine:
    """The client's end of one TLS connection. It takes one call at a time."""

    def __init__(self, context: ssl.SSLContext, server_hostname: str, session: ssl.SSLSession | None = None) -> None:
        """``session``: that of an earlier connection, to be resumed. Raises ``ValueError`` for a name that none is."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object: ssl.SSLObject = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname, session=session
        )
        """Knows what was agreed on."""
        self.has_ended: bool = False
        """Whether no more plain text will come: the server has sent close_notify, or ``failure``."""
        self.failure: ssl.SSLError | None = None
        """The alert of the server, or what was wrong with a record of it."""
        self._has_begun = False

    def handshake(self, octets: bytes = b"") -> bool:
        """Go on with the handshake, with what has come; whether it is done. Then, and before that, ``take`` may have
        octets to be sent, also when it raises.

        Raises ``AnsweredInTheClear`` when the server begins with anything but TLS, and ``ssl.SSLError`` when the
        handshake has failed; see ``shown_certificate``.
        """
        if octets and not self._has_begun:
            if octets[0] not in _FIRST_OCTETS_OF_TLS:
                raise AnsweredInTheClear(octets)
            self._has_begun = True
        self._incoming.write(octets)
        try:
            self.object.do_handshake()
        except _WAITS:
            return False
        except ssl.SSLError as error:
            _remember_certificate(error, self.object)
            raise
        return True

    def decrypt(self, octets: bytes) -> bytes:
        """The plain text in what has come, as far as it is whole. See ``has_ended`` afterwards. ``take`` may have
        octets to be sent: the answer to a request for new keys, or to the end."""
        pieces: list[bytes] = []
        self._incoming.write(octets)
        try:
            while self._incoming.pending and not self.has_ended:
                if piece := self.object.read(RECORD):
                    pieces.append(piece)
                else:
                    self.has_ended = True
                    self.object.unwrap()  # answers close_notify (RFC 5246 §7.2.1)
        except _WAITS:
            pass
        except ssl.SSLError as error:
            if not self.has_ended:
                self.has_ended, self.failure = True, error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def encrypt(self, data: bytes | memoryview, sizes: deque[tuple[int, int]] | None = None) -> bytes:
        """The octets to be sent for ``data``: a record for each 16 KiB, behind what ``take`` would have given. Nothing
        when something must come first, as the server has begun a new handshake (TLS 1.2). ``sizes`` gets, of each
        record, the octets of plain text and those to be sent. Raises ``ssl.SSLError`` when the connection has failed.
        """
        view, pending = memoryview(data), 0
        try:
            while view:
                count = self.object.write(view[:RECORD])
                view = view[count:]
                if sizes is not None:
                    pending, before = self._outgoing.pending, pending
                    sizes.append((count, pending - before))
        except _WAITS:
            return b""  # only the first write asks: all that has come was read
        return self._outgoing.read()

    def take(self) -> bytes:
        """Octets of the handshake, or of alerts, to be sent."""
        return self._outgoing.read()


class OutgoingRecords:
    """Records on their way to a network that takes them in pieces. A server can read a record once all of it has come:
    so of a record that was begun, nothing was sent, and it is known exactly how much was."""

    def __init__(self) -> None:
        self.unsent: memoryview[int] = _NOTHING
        self._sizes: deque[tuple[int, int]] = deque()
        """Of each record, its octets of plain text, and those of the record itself that are not sent."""

    def encrypt(self, engine: TLSEngine, data: memoryview) -> None:
        """Put ``data`` on the way, unless something must come first. Nothing else may be on the way."""
        self.unsent = memoryview(engine.encrypt(data, self._sizes))

    def add(self, octets: bytes) -> None:
        """Put on the way what the engine has to say of itself."""
        self._sizes.append((0, len(octets)))
        self.unsent = memoryview(bytes(self.unsent) + octets)

    def sent(self, count: int) -> int:
        """So many octets were sent; how many octets of plain text are in the records that are complete now."""
        plain = 0
        # An idle connection keeps nothing of what it has sent.
        self.unsent = self.unsent[count:] if count < len(self.unsent) else _NOTHING
        while self._sizes and count >= self._sizes[0][1]:
            size, left = self._sizes.popleft()
            plain, count = plain + size, count - left
        if count:
            size, left = self._sizes[0]
            self._sizes[0] = size, left - count
        return plain


def shown_certificate(error: Exception) -> dict[str, Any] | None:
    """What the certificate says that the server had shown before the handshake failed, as ``getpeercert`` gives it;
    None when it had shown none."""
    return error.__dict__.get("shown_certificate")


def shown_fingerprint(error: Exception) -> str | None:
    """SHA-256 of that certificate, in hex; None when the server had shown none."""
    octets = error.__dict__.get("shown_octets")
    return None if octets is None else hashlib.sha256(octets).hexdigest()


def _remember_certificate(error: ssl.SSLError, tls: ssl.SSLObject) -> None:
    # getpeercert refuses to answer before the end of the handshake. What it builds on does answer, has no public name,
    # and may be missing: the error is worth less without it, and not wrong.
    with suppress(Exception):
        chain = tls._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
        error.__dict__["shown_certificate"] = chain[0].get_info()
        error.__dict__["shown_octets"] = chain[0].public_bytes(_DER)
