"""Content: the octets of a message, sized before they are sent and readable again for a retry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.wire.content import SMALL, with_clean_line_ends

if TYPE_CHECKING:
    from wlsmtp.message.shared import SharedBody

CHUNK = 64 * 1024
"""Octets per chunk: few system calls, little memory."""

_CR, _LF = 13, 10
_SERVER = "the server"
_MESSAGE_ID = re.compile(rb"^Message-ID[ \t]*:(?:\r\n[ \t]|[ \t])*(<[^<>\r\n]{1,990}>)", re.IGNORECASE | re.MULTILINE)


class Content(Protocol):
    """The content that every transport receives."""

    @property
    def size(self) -> int:
        """Size in octets with CRLF line ends, the last one included, without dot-stuffing (RFC 1870 §5)."""
        ...

    @property
    def plain(self) -> bytes | None:
        """All octets, if they are in memory and none is above 127, as in most messages; else None."""
        ...

    @property
    def is_8bit(self) -> bool:
        """True if any octet is, or may be, above 127."""
        ...

    @property
    def is_binary(self) -> bool:
        """True if it needs BODY=BINARYMIME (RFC 3030 §3): lines of any length, and line ends without meaning. Such
        content goes by BDAT only, unchanged."""
        ...

    @property
    def is_streamed(self) -> bool:
        """True if chunks come from files, so that the next one may block for a moment."""
        ...

    @property
    def has_utf8_headers(self) -> bool:
        """True if the header section contains UTF-8, which requires SMTPUTF8 (RFC 6532). Octets above 127 in another
        charset do not count: what servers make of them is unknown."""
        ...

    @property
    def message_id(self) -> str | None:
        """The Message-ID with its angle brackets, if there is one."""
        ...

    @property
    def is_sealed(self) -> bool:
        """True if no DKIM signature is to be added: it has one of its own, or shall have none."""
        ...

    @property
    def awaits_signature(self) -> bool:
        """True if it was stored to be signed with DKIM when it is sent."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the octets, with CRLF line ends; each call starts over with the same ones. Raises ``MessageError``,
        before the end, when an attachment has changed."""
        ...

    def as_7bit(self, server: str = _SERVER) -> Content:
        """Return the same message without octets above 127. Raises ``ExtensionMissing``, naming the ``server`` that
        requires it, when that is impossible."""
        ...

    def as_binary(self) -> Content:
        """Return the same message with unencoded attachments, if that is smaller; else this content itself."""
        ...


class BytesContent:
    """A message made elsewhere, in memory."""

    # __dict__ is for the two marks below, which few contents have.
    __slots__ = ("__dict__", "_to_7bit", "data", "head", "is_8bit", "lowered_head", "message_id", "plain", "size")

    is_binary = False
    is_streamed = False
    is_sealed = awaits_signature = False
    """As ``Content.is_sealed`` and ``Content.awaits_signature``."""

    def __init__(self, data: bytes, *, to_7bit: Callable[[str], bytes] | None = None) -> None:
        """Line ends are normalized. ``to_7bit`` rewrites the message for ``as_7bit``, given the server's name for an
        error."""
        clean = data
        # The usual case of ``with_clean_line_ends``, without a call.
        if len(data) > SMALL or data.replace(b"\r", b"").replace(b"\n", b"\r\n") != data:
            clean = with_clean_line_ends(data)
        if clean and clean[-1] != _LF:
            clean += b"\r\n"
        self.data: bytes = clean
        """All octets."""
        self.size: int = len(clean)
        """Size in octets, as ``Content.size``."""
        is_8bit, head = not clean.isascii(), head_of(clean)
        self.is_8bit: bool = is_8bit
        """True if any octet is above 127, as ``Content.is_8bit``."""
        self.plain: bytes | None = None if is_8bit else clean
        """All octets, as ``Content.plain``."""
        self.head: bytes = head
        """The header section with its last CRLF, without the blank line."""
        # A text, as "in" tries to take octets for a number first.
        lowered = (head.decode("latin-1") if is_8bit else head.decode()).lower()
        self.lowered_head: str = lowered
        """The header section in lower case; each octet is a character."""
        found = _MESSAGE_ID.search(head) if "message-id" in lowered else None
        self.message_id: str | None = found[1].decode("utf-8", "replace") if found else None
        """The Message-ID, as ``Content.message_id``."""
        self._to_7bit = to_7bit

    @property
    def is_rewritable(self) -> bool:
        """True if ``as_7bit`` may rewrite the message."""
        return self._to_7bit is not None

    @property
    def has_utf8_headers(self) -> bool:
        """True if the header section contains UTF-8, as ``Content.has_utf8_headers``."""
        return self.is_8bit and not self.head.isascii() and _is_utf8(self.head)

    def chunks(self) -> Iterator[bytes]:
        """Yield the octets, as ``Content.chunks``."""
        return iter((self.data,)) if 0 < self.size <= CHUNK else in_chunks(self.data)

    def as_7bit(self, server: str = _SERVER) -> Content:
        """Return the message without octets above 127, as ``Content.as_7bit``."""
        if not self.is_8bit:
            return self
        again = BytesContent(self._to_7bit(server)) if self._to_7bit else self
        if again.is_8bit:
            hint = "" if self._to_7bit else "; or send(email.message_from_bytes(octets)), which is encoded here"
            raise _missing(self.has_utf8_headers, server, hint)
        return again

    def as_binary(self) -> Content:
        """Return this content: a message made elsewhere is not changed."""
        return self


class Body:
    """The octets of a part that is too large for memory: sized now, read when they are sent."""

    def __init__(
        self, name: str, size: int, chunks: Callable[[], Iterator[bytes]], *, is_file: bool, is_8bit: bool = False
    ) -> None:
        """``name`` is for the error when there are more or fewer octets than ``size``. ``is_8bit``: any of them may be
        above 127."""
        self.name: str = name
        self.size: int = size
        self.is_file: bool = is_file
        self.is_8bit: bool = is_8bit
        self._chunks = chunks

    def chunks(self) -> Iterator[bytes]:
        """Yield exactly ``size`` octets, or raise ``MessageError``."""
        left = self.size
        for chunk in self._chunks():
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
        if left:
            words = f"The attachment {self.name!r} has changed since the message was measured"
            raise MessageError(words, stage=Stage.MESSAGE)


class ComposedContent:
    """A written ``Message``: pieces in memory, and bodies that are read when they are sent."""

    is_sealed = awaits_signature = False
    """As ``Content.is_sealed`` and ``Content.awaits_signature``."""
    shared: SharedBody | None = None
    """Set if other messages have the same body."""

    def __init__(
        self,
        pieces: Iterable[bytes | Body],
        message_id: str,
        *,
        to_binary: Callable[[], Content] | None = None,
        to_7bit: Callable[[], Content] | None = None,
        is_binary: bool = False,
        whole: bytes | None = None,
    ) -> None:
        """The first piece holds the header section; ``whole`` are all octets in place of pieces. ``to_binary`` rewrites
        the message for ``as_binary``, and ``to_7bit`` for ``as_7bit``."""
        self._pieces: list[bytes | Body] = _joined(pieces) if whole is None else [whole]
        self.size: int = 0
        """Size in octets, as ``Content.size``."""
        self.is_streamed: bool = False
        """True if chunks come from files, as ``Content.is_streamed``."""
        self.message_id: str | None = message_id
        """The Message-ID, as ``Content.message_id``."""
        self.is_8bit: bool = is_binary
        self.is_binary: bool = is_binary
        """As ``Content.is_8bit`` and ``Content.is_binary``."""
        self._to_binary, self._to_7bit = to_binary, to_7bit
        if whole is not None:
            self.size, self.is_8bit = len(whole), not whole.isascii()
            return
        for piece in self._pieces:
            if isinstance(piece, Body):
                self.size += piece.size
                self.is_streamed |= piece.is_file
                self.is_8bit |= piece.is_8bit
            else:
                self.size += len(piece)
                self.is_8bit |= not piece.isascii()

    @property
    def has_utf8_headers(self) -> bool:
        """True if the header section contains UTF-8, as ``Content.has_utf8_headers``."""
        return self.is_8bit and not head_of(self._first).isascii()

    @property
    def plain(self) -> bytes | None:
        """All octets, as ``Content.plain``."""
        return self._first if len(self._pieces) == 1 and not self.is_8bit else None

    @property
    def _first(self) -> bytes:
        first = self._pieces[0]
        assert isinstance(first, bytes)
        return first

    def chunks(self) -> Iterator[bytes]:
        """Yield the octets, as ``Content.chunks``."""
        if len(self._pieces) == 1:
            return in_chunks(self._first)
        return self._all_chunks()

    def _all_chunks(self) -> Iterator[bytes]:
        for piece in self._pieces:
            yield from in_chunks(piece) if isinstance(piece, bytes) else piece.chunks()

    def as_7bit(self, server: str = _SERVER) -> Content:
        """Return the message without octets above 127, as ``Content.as_7bit``. It already is 7-bit, but for attached
        messages and header fields that have no other form."""
        if not self.is_8bit:
            return self
        if self._to_7bit is None:
            raise _missing(self.has_utf8_headers, server)
        return self._to_7bit().as_7bit(server)

    @property
    def is_rewritable(self) -> bool:
        """True if ``as_7bit`` may rewrite the message."""
        return self._to_7bit is not None

    def as_binary(self) -> Content:
        """Return the message with unencoded attachments, as ``Content.as_binary``."""
        in_binary = self._to_binary() if self._to_binary is not None else self
        return in_binary if in_binary.size < self.size else self


def head_of(data: bytes) -> bytes:
    """Return the header section of a message with its last CRLF, without the blank line."""
    if data and data[0] == _CR and data[1:2] == b"\n":
        return b""
    end = data.find(b"\r\n\r\n")
    return data if end < 0 else data[: end + 2]


def in_chunks(data: bytes) -> Iterator[bytes]:
    """Yield ``data`` in pieces of ``CHUNK`` octets."""
    if len(data) <= CHUNK:
        return iter((data,) if data else ())
    return (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _joined(pieces: Iterable[bytes | Body]) -> list[bytes | Body]:
    """Return the pieces, joining those in memory between bodies."""
    joined: list[bytes | Body] = []
    together: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            together.append(piece)
        else:
            joined += [b"".join(together), piece]
            together = []
    return [*joined, b"".join(together)]


def _missing(in_headers: bool, server: str, more: str = "") -> ExtensionMissing:
    if in_headers:
        words = "The message has raw UTF-8 in its headers: it needs SMTPUTF8 (RFC 6531) and 8BITMIME"
        hint = f"Make encoded words of them (RFC 2047), before it is signed{more}"
        return ExtensionMissing(f"{words}, which {server} does not offer", stage=Stage.MAIL, hint=hint)
    words = f"The message has octets above 127, and {server} does not offer 8BITMIME (RFC 6152)"
    hint = "Encode its parts as quoted-printable or base64, and its header fields as encoded words"
    return ExtensionMissing(words, stage=Stage.MAIL, hint=f"{hint}; a Message does{more}")
