"""``SignedContent``: a content with its DKIM signatures before it.

A signature is made over what leaves: the form of the message, 7-bit or 8-bit, is decided for the server at hand, so
``as_7bit`` gives a content that is signed anew. There is no binary form: relays that must change it break a signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.content import Content, head_of
from wlsmtp.message.sign.canonical import BodyHash, body_hash
from wlsmtp.message.sign.dkim import Signer, drafts

AT_ONCE = 1024 * 1024
"""Octets up to which a message in memory is signed when the content is made. A larger one is signed when it is read,
where that keeps nobody else waiting."""


def check_signable(content: Content, signers: Sequence[Signer]) -> None:
    """Raise ``MessageError`` for a content that cannot be signed."""
    drafts(signers, _head(content), 0)


class SignedContent:
    """A ``Content`` with a signature. It is signed once: all of its readers get the same octets."""

    is_binary = awaits_signature = False
    is_sealed = True
    """As ``Content.is_sealed``: no further signature is added."""

    def __init__(self, content: Content, signers: Sequence[Signer], now: float) -> None:
        self.unsigned: Content = content
        self._signers, self._now = signers, now
        head = _head(content)
        self._body_starts = len(head) + 2  # behind the blank line
        self._drafts = drafts(signers, head, int(now))
        self._fields: bytes | None = None
        self.size: int = content.size + sum(draft.size for draft in self._drafts)
        """Size in octets, as ``Content.size``. Known before the body is read, as signatures of one key have one
        size."""
        self.is_streamed: bool = content.is_streamed or content.size > AT_ONCE
        """See ``Content.is_streamed``: the first chunk takes as long as the body takes to be read."""
        if not self.is_streamed:
            self._sign()

    @property
    def plain(self) -> bytes | None:
        """All octets, as ``Content.plain``."""
        return None if self.is_8bit or self.is_streamed else b"".join(self.chunks())

    @property
    def is_8bit(self) -> bool:
        """True if any octet is above 127, as ``Content.is_8bit``."""
        return self.unsigned.is_8bit

    @property
    def has_utf8_headers(self) -> bool:
        """True if the header section contains UTF-8, as ``Content.has_utf8_headers``."""
        return self.unsigned.has_utf8_headers

    @property
    def message_id(self) -> str | None:
        """The Message-ID, as ``Content.message_id``."""
        return self.unsigned.message_id

    def as_7bit(self, server: str = "the server") -> Content:
        """See ``Content.as_7bit``: the other form is another body, with a signature of its own."""
        in_7bit = self.unsigned.as_7bit(server)
        return self if in_7bit is self.unsigned else SignedContent(in_7bit, self._signers, self._now)

    def as_binary(self) -> Content:
        """See ``Content.as_binary``: what is signed stays as it is."""
        return self

    def chunks(self) -> Iterator[bytes]:
        """Yield the octets, as ``Content.chunks``. Raises ``MessageError`` as well when a file has changed since it was
        signed."""
        fields = self._fields or self._sign()
        chunks = iter(self.unsigned.chunks())
        if self.unsigned.is_streamed:
            chunks = self._verified(chunks)
        yield fields + next(chunks, b"")
        yield from chunks

    def _sign(self) -> bytes:
        known, size = self._known(), self.unsigned.size
        body = known.get(size - self._body_starts)
        if body is None:
            body = body_hash(_from(self.unsigned.chunks(), self._body_starts))
            known[size - self._body_starts] = body
        self._hash = body
        self._fields = fields = b"".join(draft.field(body) for draft in self._drafts)
        return fields

    def _known(self) -> dict[int, bytes]:
        """The hashes of the body that other messages have made, by its size. What is in a file may have changed since:
        it counts only if it is looked at again as it is sent."""
        shared = getattr(self.unsigned, "shared", None)
        return shared.hashes if shared is not None and (shared.is_fixed or self.unsigned.is_streamed) else {}

    def _verified(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks, the last of them only if the body is the one that was signed."""
        again, left, held = BodyHash(), self._body_starts, b""
        for chunk in chunks:
            if held:
                yield held
            again.update(chunk[left:])
            left, held = max(left - len(chunk), 0), chunk
        if again.digest() != self._hash:
            self._fields = None
            self._known().clear()
            words = "An attachment has changed since the message was signed"
            raise MessageError(words, stage=Stage.MESSAGE)
        if held:
            yield held


def _head(content: Content) -> bytes:
    """The header section; of a content that is read from files no more is read than it takes."""
    octets = b""
    for chunk in content.chunks():
        octets += chunk
        if b"\r\n\r\n" in octets or octets.startswith(b"\r\n"):
            break
    return head_of(octets)


def _from(chunks: Iterable[bytes], start: int) -> Iterator[bytes]:
    for chunk in chunks:
        if start < len(chunk):
            yield chunk[start:] if start else chunk
        start = max(start - len(chunk), 0)
