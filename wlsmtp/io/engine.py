"""TLS without I/O: octets of the network in, plain text out, and back. Both blocking and asyncio streams use it, over
their own sockets.

OpenSSL on a socket reads what it wants, when it wants. Owning the socket instead allows looking at what a server sends
before OpenSSL does, as some servers send text. A socket can also be read to its end after a write has failed.
"""

from __future__ import annotations

import hashlib
import ssl
from collections import deque
from contextlib import suppress
from typing import Any

RECORD = 16 * 1024
"""Maximum octets of plain text in a TLS record (RFC 8446 §5.1)."""
_FIRST_OCTETS_OF_TLS = (0x15, 0x16)
"""The record types with which a server may begin: alert and handshake (RFC 8446 §5.1)."""
_DER = 2
"""The DER encoding of a certificate, in the numbering of the ``_ssl`` module."""
_NOTHING = memoryview(b"")
_WAITS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class AnsweredInTheClear(ssl.SSLError):
    """The server sent text where the handshake should have begun."""

    reason = "WRONG_VERSION_NUMBER"

    def __init__(self, octets: bytes) -> None:
        super().__init__(ssl.SSL_ERROR_SSL, "the server sent text instead of TLS")
        self.octets = octets


class TLSEngine:
    """The client's end of one TLS connection. It allows one call at a time."""

    def __init__(self, context: ssl.SSLContext, server_hostname: str, session: ssl.SSLSession | None = None) -> None:
        """``session`` is that of an earlier connection, to be resumed. Raises ``ValueError`` for an invalid name."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object: ssl.SSLObject = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname, session=session
        )
        """Holds the negotiated parameters."""
        self.has_ended: bool = False
        """True if no more plain text will come: the server has sent close_notify, or see ``failure``."""
        self.failure: ssl.SSLError | None = None
        """The server's alert, or the fault in one of its records."""
        self._has_begun = False

    def handshake(self, octets: bytes = b"") -> bool:
        """Continue the handshake with what was received; return whether it is complete. At any time, even after an
        exception, ``take`` may have octets to be sent.

        Raises ``AnsweredInTheClear`` if the server begins with anything but TLS, and ``ssl.SSLError`` if the handshake
        has failed; see ``shown_certificate``.
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
        """Return the plain text of the complete records received. Check ``has_ended`` afterwards. ``take`` may have
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
        """Return the octets to be sent for ``data``: a record for each 16 KiB, after what ``take`` would have returned.
        Empty if something must be received first, as the server has begun a new handshake (TLS 1.2). Appends to
        ``sizes``, for each record, the octets of plain text and those to be sent. Raises ``ssl.SSLError`` if the
        connection has failed."""
        view, pending = memoryview(data), 0
        try:
            while view:
                count = self.object.write(view[:RECORD])
                view = view[count:]
                if sizes is not None:
                    pending, before = self._outgoing.pending, pending
                    sizes.append((count, pending - before))
        except _WAITS:
            return b""  # only the first write asks: everything received was read
        return self._outgoing.read()

    def take(self) -> bytes:
        """Return octets of the handshake, or of alerts, to be sent."""
        return self._outgoing.read()


class OutgoingRecords:
    """Records on their way to a network that accepts them in pieces. A server can read a record only when it is
    complete. A record that was begun therefore counts as not sent, and the exact number of sent octets is known."""

    def __init__(self) -> None:
        self.unsent: memoryview[int] = _NOTHING
        self._sizes: deque[tuple[int, int]] = deque()
        """For each record, its octets of plain text, and the octets of the record that are not sent yet."""

    def encrypt(self, engine: TLSEngine, data: memoryview) -> None:
        """Queue ``data``, unless something must be received first. Nothing else may be queued."""
        self.unsent = memoryview(engine.encrypt(data, self._sizes))

    def add(self, octets: bytes) -> None:
        """Queue what the engine itself has to send."""
        self._sizes.append((0, len(octets)))
        self.unsent = memoryview(bytes(self.unsent) + octets)

    def sent(self, count: int) -> int:
        """Note that so many octets were sent; return the octets of plain text in the records that are now complete."""
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
    """Return the server's certificate from before the handshake failed, as ``getpeercert`` gives it; None if there was
    none."""
    return error.__dict__.get("shown_certificate")


def shown_fingerprint(error: Exception) -> str | None:
    """Return the SHA-256 of that certificate, in hex; None if there was none."""
    octets = error.__dict__.get("shown_octets")
    return None if octets is None else hashlib.sha256(octets).hexdigest()


def _remember_certificate(error: ssl.SSLError, tls: ssl.SSLObject) -> None:
    # getpeercert refuses to answer before the end of the handshake. The function under it does answer; it has no public
    # name and may be missing. The error is less helpful without it, but not wrong.
    with suppress(Exception):
        chain = tls._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
        error.__dict__["shown_certificate"] = chain[0].get_info()
        error.__dict__["shown_octets"] = chain[0].public_bytes(_DER)
