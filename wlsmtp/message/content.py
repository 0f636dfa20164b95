"""Content: the octets of a message, sized before they are sent and readable again at a retry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Protocol

from wlsmtp.errors import ExtensionMissing, Stage
from wlsmtp.wire.content import with_clean_line_ends

CHUNK = 64 * 1024
"""Octets in a chunk: few system calls, little memory."""

_MESSAGE_ID = re.compile(rb"^Message-ID[ \t]*:\s*(<[^<>\r\n]{1,990}>)", re.IGNORECASE | re.MULTILINE)


class Content(Protocol):
    """What every transport is given."""

    @property
    def size(self) -> int:
        """Octets with CRLF line ends, the last one included, without dot-stuffing (RFC 1870 §5)."""

    @property
    def is_8bit(self) -> bool:
        """Whether any octet is above 127."""

    @property
    def has_utf8_headers(self) -> bool:
        """Whether one in the header section is, which takes SMTPUTF8 (RFC 6532)."""

    @property
    def message_id(self) -> str | None:
        """The Message-ID with its angle brackets, if there is one."""

    def chunks(self) -> Iterator[bytes]:
        """The octets, with CRLF line ends; each call gives the same ones from the start."""

    def as_7bit(self) -> Content:
        """The same message without octets above 127. Raises ``ExtensionMissing`` when it cannot be had."""


class BytesContent:
    """Content that is in memory."""

    def __init__(self, data: bytes, *, to_7bit: Callable[[], bytes] | None = None) -> None:
        """Line ends are set right when first needed. ``to_7bit`` writes the message again for ``as_7bit``."""
        self._given = data
        self._to_7bit = to_7bit

    @cached_property
    def _data(self) -> bytes:
        clean = with_clean_line_ends(self._given)
        self._given = b""
        return clean + b"\r\n" if clean and not clean.endswith(b"\r\n") else clean

    @property
    def head(self) -> bytes:
        """The header section with its last CRLF, without the blank line."""
        if self._data.startswith(b"\r\n"):
            return b""
        end = self._data.find(b"\r\n\r\n")
        return self._data if end < 0 else self._data[: end + 2]

    @property
    def size(self) -> int:
        """See ``Content.size``."""
        return len(self._data)

    @cached_property
    def is_8bit(self) -> bool:
        """See ``Content.is_8bit``."""
        return not self._data.isascii()

    @cached_property
    def has_utf8_headers(self) -> bool:
        """See ``Content.has_utf8_headers``."""
        return self.is_8bit and not self.head.isascii()

    @cached_property
    def message_id(self) -> str | None:
        """See ``Content.message_id``."""
        found = _MESSAGE_ID.search(self.head)
        return found[1].decode("utf-8", "replace") if found else None

    def chunks(self) -> Iterator[bytes]:
        """See ``Content.chunks``."""
        for start in range(0, len(self._data), CHUNK):
            yield self._data[start : start + CHUNK]

    def as_7bit(self) -> Content:
        """See ``Content.as_7bit``."""
        if not self.is_8bit:
            return self
        again = BytesContent(self._to_7bit()) if self._to_7bit else self
        if again.is_8bit:
            raise _missing(self.has_utf8_headers)
        return again


def _missing(in_headers: bool) -> ExtensionMissing:
    if in_headers:
        words = "The message has raw UTF-8 in its headers: it needs SMTPUTF8 (RFC 6531) and 8BITMIME"
        return ExtensionMissing(f"{words}, which the server does not offer", stage=Stage.MAIL)
    words = "The message has octets above 127, and the server does not offer 8BITMIME (RFC 6152)"
    hint = "Encode its parts as quoted-printable or base64; a Message does so by itself"
    return ExtensionMissing(words, stage=Stage.MAIL, hint=hint)
