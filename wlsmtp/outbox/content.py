"""The content of a stored mail: the rendered octets, read again at each attempt."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes
from typing import TYPE_CHECKING

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.content import BytesContent, ComposedContent, Content
from wlsmtp.message.read import email_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_8BIT, _UTF8_HEADERS, _REWRITABLE, _SEALED, _AWAITS_SIGNATURE = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A stored ``Content``."""

    size: int
    message_id: str | None
    traits: int
    """The result of ``traits_of``."""
    is_streamed: bool
    read: Callable[[], Iterator[bytes]]
    """Returns the octets from the start."""

    is_binary = False
    plain = None
    """As ``Content.plain``: they are read when they are sent."""

    @property
    def is_8bit(self) -> bool:
        """True if any octet is above 127, as ``Content.is_8bit``."""
        return bool(self.traits & _8BIT)

    @property
    def has_utf8_headers(self) -> bool:
        """True if the header section contains UTF-8, as ``Content.has_utf8_headers``."""
        return bool(self.traits & _UTF8_HEADERS)

    @property
    def is_sealed(self) -> bool:
        """As ``Content.is_sealed``."""
        return bool(self.traits & _SEALED)

    @property
    def awaits_signature(self) -> bool:
        """As ``Content.awaits_signature``."""
        return bool(self.traits & _AWAITS_SIGNATURE)

    def chunks(self) -> Iterator[bytes]:
        """Yield the octets, as ``Content.chunks``."""
        left = self.size
        for octets in self.read():
            left -= len(octets)
            if left < 0:
                break
            yield octets
        if left:
            raise MessageError("The content in the outbox is not what was put there", stage=Stage.MESSAGE)

    def as_7bit(self, server: str = "the server") -> Content:
        """Return the message without octets above 127, as ``Content.as_7bit``. A message that was given as octets is
        not rewritten."""
        if not self.is_8bit:
            return self
        data = b"".join(self.chunks())
        content = email_content(message_from_bytes(data)) if self.traits & _REWRITABLE else BytesContent(data)
        return content.as_7bit(server)

    def as_binary(self) -> Content:
        """Return this content: rendered octets are not changed."""
        return self


def traits_of(content: Content) -> int:
    """Return what must be stored about a content beside its octets."""
    if isinstance(content, StoredContent):  # from another outbox
        return content.traits
    traits = _SEALED * content.is_sealed | _AWAITS_SIGNATURE * content.awaits_signature
    if not content.is_8bit:
        return traits
    is_rewritable = isinstance(content, BytesContent | ComposedContent) and content.is_rewritable
    return traits | _8BIT | _UTF8_HEADERS * content.has_utf8_headers | _REWRITABLE * is_rewritable
