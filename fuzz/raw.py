"""Messages that somebody else made: sent whole and without Bcc, their recipients found, or a ``MessageError``."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import Message as Email

from wlsmtp.errors import MessageError
from wlsmtp.message.content import Content
from wlsmtp.message.read import AnyEmail, raw_content
from wlsmtp.message.render import Sendable, content_of, envelope_of
from wlsmtp.wire.content import has_clean_line_ends

_NEVER_SENT = {"bcc", "resent-bcc"}
_POLICIES = (policy.compat32, policy.default, policy.SMTP)


def check(data: bytes) -> None:
    """The octets as they are, and as the standard library reads them."""
    sent = _sent(data)
    if sent is not None:
        assert raw_content(sent).data == sent
    _find_recipients(data)
    for how in _POLICIES:
        try:
            message = message_from_bytes(data, policy=how)
        except (IndexError, ValueError, AttributeError, TypeError):
            continue  # its own mistakes
        _sent(message)
        _find_recipients(message)


def _sent(message: Sendable) -> bytes | None:
    try:
        content = content_of(message)
    except MessageError:
        return None
    octets = b"".join(content.chunks())
    _check_octets(content, octets)
    assert not set(_names(message_from_bytes(octets))) & _NEVER_SENT
    if isinstance(message, Email):
        given = [name for name in _names(message) if name not in _NEVER_SENT]
        assert _names(message_from_bytes(octets)) == given
    return octets


def _names(message: AnyEmail) -> list[str]:
    """The names of the header fields, in lower case."""
    return [name.lower().rstrip() for name, _ in message.raw_items()]


def _check_octets(content: Content, octets: bytes) -> None:
    assert has_clean_line_ends(octets) and len(octets) == content.size
    assert not octets or octets.endswith(b"\r\n")
    assert content.is_8bit is not octets.isascii()
    assert content.has_utf8_headers <= content.is_8bit
    assert content.message_id is None or content.message_id.encode("utf-8", "replace") in octets or content.is_8bit
    assert octets == b"".join(content.chunks())


def _find_recipients(message: Sendable) -> None:
    try:
        envelope = envelope_of(message)
    except MessageError:
        return
    assert envelope.recipients and all(line.count(b"\n") == 1 for line in envelope.rcpt_lines)
