"""Writes a ``Message`` as MIME (RFC 2045 to 2049): header section, parts, transfer encodings.

The result is 7-bit, except for addresses that only UTF-8 can express, and attached messages, which are not encoded
unless they must be. The same message gives the same octets. On demand attachments are written in binary (RFC 3030 §3).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from wlsmtp.message import headers
from wlsmtp.message.content import Body, ComposedContent, Content
from wlsmtp.message.shared import BODY, SharedBody
from wlsmtp.message.source import Source
from wlsmtp.message.transfer import base64_lines, base64_size, encode_text, is_7bit, is_8bit, measure_7bit, measure_8bit
from wlsmtp.patterns import later
from wlsmtp.wire.content import normalise, with_clean_line_ends

if TYPE_CHECKING:
    from wlsmtp.message.attachment import Attachment
    from wlsmtp.message.model import Message

_PARAMETER = later(r'(?:[^;"]|"[^"]*")+')

Entity = list[bytes | Body]
"""A part, header and body, in pieces."""


def write(message: Message) -> Content:
    """Write the whole message. Raises ``MessageError`` when an attachment cannot be read any more."""
    shared: SharedBody | None = message.__dict__.get(BODY)
    if message.html is None and not message.attachments and message.calendar is None:  # the usual case
        encoding, body = encode_text(_octets(message.text or ""), but=b"")
        octets = b"".join((_head(message).encode(), _text_head("plain", encoding), body))
        content = ComposedContent((), message.message_id, whole=octets)
        content.shared = shared
        return content
    writer = _Writer(message.message_id if shared is None else shared.mark)
    pieces = [_head(message).encode(), *writer.body(message)]
    to_binary = (lambda: _write_in_binary(message)) if writer.has_base64 else None
    to_7bit = (lambda: _write_in_7bit(message)) if writer.has_8bit else None
    content = ComposedContent(pieces, message.message_id, to_binary=to_binary, to_7bit=to_7bit)
    content.shared = shared
    return content


def _write_in_binary(message: Message) -> Content:
    # An unencoded attachment may contain any boundary that can be guessed.
    writer = _Writer(secrets.token_hex(16), in_binary=True)
    pieces = [_head(message).encode(), *writer.body(message)]
    return ComposedContent(pieces, message.message_id, to_7bit=lambda: write(message), is_binary=True)


def _write_in_7bit(message: Message) -> Content:
    writer = _Writer(message.message_id, in_7bit=True)
    return ComposedContent([_head(message).encode(), *writer.body(message)], message.message_id)


def _head(message: Message) -> str:
    address_field, to, cc, reply_to = headers.address_field, message.to, message.cc, message.reply_to
    return (
        f"{headers.from_field(message.sender)}{address_field('To', to) if to else ''}"
        f"{address_field('Cc', cc) if cc else ''}{address_field('Reply-To', reply_to) if reply_to else ''}"
        f"{headers.text_field('Subject', message.subject)}{headers.date_field('Date', message.date)}"
        f"Message-ID: {message.message_id}\r\n"  # never folded or encoded, as it is compared octet by octet
        f"{''.join(_extra_fields(message)) if message.headers else ''}MIME-Version: 1.0\r\n"
    )


def _extra_fields(message: Message) -> Iterator[str]:
    for name, values in message.headers.items():
        for value in values:
            yield headers.field(name, value)


class _Writer:
    """Writes the parts of one message, with boundaries derived from its ``mark``, so that only this message has
    them."""

    def __init__(self, mark: str, *, in_binary: bool = False, in_7bit: bool = False) -> None:
        self._mark = mark
        self._multiparts = 0
        self._in_binary, self._in_7bit = in_binary, in_7bit
        self.has_base64 = False
        """True if an attachment is larger here than it would be in binary."""
        self.has_8bit = False
        """True if an attached message has octets above 127."""

    def body(self, message: Message) -> Entity:
        """Write the message's own entity."""
        if not message.attachments and message.calendar is None and message.text is None and message.html is not None:
            return self._text("html", message.html, is_alone=True)
        related = [part for part in message.attachments if part.is_inline and message.html is not None]
        others = [part for part in message.attachments if not part.is_inline or message.html is None]
        if message.calendar is not None:
            from wlsmtp.message.invitation import invite_file

            others.append(invite_file(message.calendar))
        parts = [*self._texts(message, related), *map(self._attachment, others)]
        return self._multipart("mixed", parts) if others else parts[0]

    def _texts(self, message: Message, related: list[Attachment]) -> Iterator[Entity]:
        alternatives = []
        if message.text is not None:
            alternatives.append(self._text("plain", message.text))
        if message.html is not None:
            html = self._text("html", message.html)
            parts = [html, *map(self._attachment, related)]
            alternatives.append(self._multipart("related", parts, 'type="text/html"') if related else html)
        if message.calendar is not None:
            from wlsmtp.message.invitation import method_of

            alternatives.append(self._text(f"calendar; method={method_of(message.calendar)}", message.calendar))
        if len(alternatives) > 1:
            yield self._multipart("alternative", alternatives)
        else:
            yield from alternatives

    def _multipart(self, subtype: str, parts: list[Entity], *parameters: str) -> Entity:
        self._multiparts += 1
        # "=_" occurs in neither quoted-printable nor base64 (RFC 2045 §6.7).
        boundary = f"=_{self._boundary}_{self._multiparts}"
        field = headers.mime_field("Content-Type", f"multipart/{subtype}", [*parameters, f'boundary="{boundary}"'])
        if self._in_binary:
            # An entity that contains binary declares it (RFC 2045 §6.4).
            field += "Content-Transfer-Encoding: binary\r\n"
        elif self.has_8bit:
            field += "Content-Transfer-Encoding: 8bit\r\n"
        delimiter = f"--{boundary}\r\n".encode()
        entity: Entity = [field.encode(), b"\r\n"]
        for part in parts:
            entity += [delimiter, *part, b"\r\n"]
        return [*entity, f"--{boundary}--\r\n".encode()]

    @cached_property
    def _boundary(self) -> str:
        return hashlib.sha256(self._mark.encode()).hexdigest()[:32]

    def _text(self, subtype: str, text: str, *, is_alone: bool = False) -> Entity:
        encoding, body = encode_text(_octets(text), but=b"" if is_alone else self._boundary.encode())
        return [_text_head(subtype, encoding), body]

    def _attachment(self, attachment: Attachment) -> Entity:
        source = attachment.source
        kind, _, parameters = attachment.content_type.partition(";")
        found = self._message(kind.strip().lower(), source) if kind.lower().startswith("message/") else None
        if found is None and kind.lower().startswith("message/"):
            # RFC 2046 §5.2.1 allows no encoding of a message; one that cannot be sent unchanged is sent as a file.
            kind = "application/octet-stream"
        encoding, body = self._file(source) if found is None else found
        named = (attachment.filename, attachment.disposition, attachment.content_id)
        return [_attachment_head(kind.strip(), parameters, encoding, *named), body]

    def _file(self, source: Source) -> tuple[str, bytes | Body]:
        size = source.size()
        if self._in_binary:
            body = source.read() if size <= source.limit else _body(source, size, lambda: source.blocks(size))
            return "binary", body
        self.has_base64 |= size > 0
        if size <= source.limit:
            return "base64", source.base64()
        return "base64", _body(source, base64_size(size), lambda: map(base64_lines, source.blocks(size)))

    def _message(self, kind: str, source: Source) -> tuple[str, bytes | Body] | None:
        """Write an attached message with normalized line ends if it needs no encoding. Where octets above 127 cannot be
        sent, write the same message with its parts encoded."""
        size, boundary = source.size(), self._boundary.encode()
        if size > source.limit:
            measured = measure_7bit(normalise(source.blocks(size)), but=boundary)
            if measured is not None:
                return "7bit", _body(source, measured, lambda: normalise(source.blocks(size)))
            measured = measure_8bit(normalise(source.blocks(size)), but=boundary) if kind == "message/rfc822" else None
            if measured is None:
                return None
            if not self._in_7bit:
                self.has_8bit = True
                return "8bit", _body(source, measured, lambda: normalise(source.blocks(size)), is_8bit=True)
        octets: bytes | None = with_clean_line_ends(source.read())
        if octets is not None and kind == "message/rfc822" and not octets.isascii() and is_8bit(octets):
            if not self._in_7bit and boundary not in octets:
                self.has_8bit = True
                return "8bit", octets
            from wlsmtp.message.recode import message_in_7bit

            octets = message_in_7bit(octets)
        return ("7bit", octets) if octets is not None and is_7bit(octets) and boundary not in octets else None


def _octets(text: str) -> bytes:
    """Return a text in lines, all of which end in CRLF."""
    octets = with_clean_line_ends(text.encode())
    return octets if octets[-2:] == b"\r\n" or not octets else octets + b"\r\n"


def _body(source: Source, size: int, chunks: Callable[[], Iterator[bytes]], *, is_8bit: bool = False) -> Body:
    return Body(source.name, size, chunks, is_file=source.is_file, is_8bit=is_8bit)


@lru_cache(maxsize=16)
def _text_head(subtype: str, encoding: str) -> bytes:
    field = headers.mime_field("Content-Type", f"text/{subtype}", ['charset="utf-8"'])
    return f"{field}Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()


@lru_cache(maxsize=128)
def _attachment_head(
    kind: str, parameters: str, encoding: str, filename: str | None, disposition: str, content_id: str | None
) -> bytes:
    given = [parameter.strip() for parameter in _PARAMETER.findall(parameters)]
    if filename and not any(parameter.lower().startswith("name=") for parameter in given):
        given += headers.old_parameter("name", filename)
    names = headers.parameter("filename", filename) if filename else ()
    head = headers.mime_field("Content-Type", kind, given)
    head += f"Content-Transfer-Encoding: {encoding}\r\n"
    head += headers.mime_field("Content-Disposition", disposition, names)
    head += f"Content-ID: <{content_id}>\r\n" if content_id else ""
    return f"{head}\r\n".encode()
