"""A ``Message`` written as MIME (RFC 2045 to 2049): header section, parts, transfer encodings.

The result is always 7-bit (but for addresses that only UTF-8 can write), and the same message gives the same octets.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from email.utils import format_datetime
from typing import TYPE_CHECKING

from wlsmtp.message import headers
from wlsmtp.wire.address import parse_mailbox_list
from wlsmtp.wire.content import with_clean_line_ends

if TYPE_CHECKING:
    from wlsmtp.message.model import Attachment, Message

MAX_LINE = 998
"""Octets in a line without its CRLF (RFC 5322 §2.1.1)."""

_UNSAFE_IN_7BIT = re.compile(rb"[^\t\r\n -~]|[^\r\n]{999}|[ \t]\r\n|[ \t]\Z")

_FOREIGN = bytes(range(128, 256))

Entity = list[bytes]
"""A part, header and body, in pieces."""


def write(message: Message) -> bytes:
    """The whole message."""
    boundary = hashlib.sha256(message.message_id.encode()).hexdigest()[:32]
    return b"".join([_head(message).encode(), *_Writer(boundary).body(message)])


def _head(message: Message) -> str:
    fields = [headers.address_field("From", [message.sender])]
    for name, mailboxes in (("To", message.to), ("Cc", message.cc), ("Reply-To", message.reply_to)):
        if mailboxes:
            fields.append(headers.address_field(name, mailboxes))
    fields += [
        headers.text_field("Subject", message.subject),
        headers.identifier_field("Date", format_datetime(message.date)),
        headers.identifier_field("Message-ID", message.message_id),
        *_extra_fields(message),
        "MIME-Version: 1.0\r\n",
    ]
    return "".join(fields)


def _extra_fields(message: Message) -> Iterator[str]:
    for name, values in message.headers.items():
        for value in values:
            if name.lower() in headers.ADDRESS_FIELDS:
                yield headers.address_field(name, parse_mailbox_list(value))
            else:
                yield headers.other_field(name, value)


class _Writer:
    """Writes the parts of one message, with boundaries that only this message has."""

    def __init__(self, boundary: str) -> None:
        self._boundary = boundary
        self._multiparts = 0

    def body(self, message: Message) -> Entity:
        """The message's own entity."""
        related = [part for part in message.attachments if part.is_inline and message.html is not None]
        others = [part for part in message.attachments if part not in related]
        parts = [*self._texts(message, related), *map(self._attachment, others)]
        if not parts:
            return self._text("plain", "")
        return self._multipart("mixed", parts) if others else parts[0]

    def _texts(self, message: Message, related: list[Attachment]) -> Iterator[Entity]:
        alternatives = []
        if message.text is not None:
            alternatives.append(self._text("plain", message.text))
        if message.html is not None:
            html = self._text("html", message.html)
            parts = [html, *map(self._attachment, related)]
            alternatives.append(self._multipart("related", parts, 'type="text/html"') if related else html)
        if len(alternatives) == 2:
            yield self._multipart("alternative", alternatives)
        else:
            yield from alternatives

    def _multipart(self, subtype: str, parts: list[Entity], *parameters: str) -> Entity:
        self._multiparts += 1
        # "=_" can be in neither quoted-printable nor base64 (RFC 2045 §6.7).
        boundary = f"=_{self._boundary}_{self._multiparts}"
        field = headers.mime_field("Content-Type", f"multipart/{subtype}", [*parameters, f'boundary="{boundary}"'])
        entity = [field.encode(), b"\r\n"]
        for part in parts:
            entity += [f"--{boundary}\r\n".encode(), *part, b"\r\n"]
        return [*entity, f"--{boundary}--\r\n".encode()]

    def _text(self, subtype: str, text: str) -> Entity:
        octets = with_clean_line_ends(text.encode())
        if octets and not octets.endswith(b"\r\n"):
            octets += b"\r\n"
        encoding, body = self._encoded(octets)
        fields = headers.mime_field("Content-Type", f"text/{subtype}", ['charset="utf-8"'])
        return [f"{fields}Content-Transfer-Encoding: {encoding}\r\n\r\n".encode(), body]

    def _encoded(self, octets: bytes) -> tuple[str, bytes]:
        if self._is_safe_in_7bit(octets):
            return "7bit", octets
        foreign = len(octets) - len(octets.translate(None, _FOREIGN))
        if foreign * 6 > len(octets):
            return "base64", base64_lines(octets)
        return "quoted-printable", binascii.b2a_qp(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")

    def _is_safe_in_7bit(self, octets: bytes) -> bool:
        return not _UNSAFE_IN_7BIT.search(octets) and self._boundary.encode() not in octets

    def _attachment(self, attachment: Attachment) -> Entity:
        octets = attachment.read()
        kind, _, rest = attachment.content_type.partition(";")
        encoding = "base64"
        if kind.lower().startswith("message/"):
            # RFC 2046 §5.2.1 allows no encoding here; what cannot go as it is goes as a file.
            octets = with_clean_line_ends(octets)
            encoding, kind = ("7bit", kind) if self._is_safe_message(octets) else (encoding, "application/octet-stream")
        body = octets if encoding == "7bit" else base64_lines(octets)
        return [self._attachment_head(attachment, kind, rest, encoding).encode(), b"\r\n", body]

    def _is_safe_message(self, octets: bytes) -> bool:
        is_7bit = octets.isascii() and not re.search(rb"\x00|[^\r\n]{999}", octets)
        return is_7bit and self._boundary.encode() not in octets

    def _attachment_head(self, attachment: Attachment, kind: str, rest: str, encoding: str) -> str:
        name = attachment.filename
        parameters = [parameter.strip() for parameter in rest.split(";") if parameter.strip()]
        if name is not None:
            parameters += headers.old_parameter("name", name)
        filename = headers.parameter("filename", name) if name is not None else ()
        head = headers.mime_field("Content-Type", kind.strip(), parameters)
        head += f"Content-Transfer-Encoding: {encoding}\r\n"
        head += headers.mime_field("Content-Disposition", attachment.disposition, filename)
        return head + (f"Content-ID: <{attachment.content_id}>\r\n" if attachment.content_id else "")


def base64_lines(octets: bytes) -> bytes:
    """Base64 in lines of 76 characters (RFC 2045 §6.8)."""
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")
