"""Converts whatever a user sends to ``Content`` and ``Envelope``; the only place that does."""

from __future__ import annotations

import email.message
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.merge import AsyncMerge, Merge, MergeRow
from wlsmtp.message.model import Message

if TYPE_CHECKING:
    from wlsmtp.message.read import AnyEmail
else:
    AnyEmail = email.message.Message  # that module takes long to import, and a Message does without

Sendable = Message | AnyEmail | bytes | bytearray | memoryview
"""A message to send: composed here, made with the standard library, or octets."""


def is_one_message(value: object) -> bool:
    """Return whether it is one message, or text that was meant as one, rather than an iterable of messages."""
    return isinstance(value, Message | email.message.Message | bytes | bytearray | memoryview | str)


def content_of(message: Sendable) -> Content:
    """Return the content of the message."""
    if isinstance(message, Message):
        return message.render()
    from wlsmtp.message.read import email_content, raw_content

    match message:
        case bytes() | bytearray() | memoryview():
            return raw_content(bytes(message))
        case email.message.Message():
            return email_content(message)
    raise _not_sendable(message)


def envelope_of(
    message: Sendable, *, sender: str | None = None, recipients: str | Iterable[str] | None = None
) -> Envelope:
    """Return the sender and recipients of the message, from its header fields or as given.

    A stdlib message and octets come from Sender, else From, and go to To, Cc and Bcc; a resent one uses the Resent-
    fields instead. Raises ``MessageError`` when those name nobody.
    """
    if sender is not None and recipients is not None:
        return Envelope(sender, recipients)
    if isinstance(message, Message):
        if sender is None and recipients is None:
            return message.envelope()
        from_whom = message.sender_address() if sender is None else sender
        return Envelope(from_whom, message.recipients() if recipients is None else recipients)
    from wlsmtp.message.read import email_envelope, raw_fields, recipients_in, sender_in

    match message:
        case email.message.Message():
            return email_envelope(message, sender, recipients)
        case bytes() | bytearray() | memoryview():
            fields = raw_fields(bytes(message))
            from_whom = sender_in(fields) if sender is None else sender
            return Envelope(from_whom, recipients_in(fields) if recipients is None else recipients)
    raise _not_sendable(message)


_OF_OTHERS = {
    "django": "Send what it writes: send(mail.message(), sender=mail.from_email, recipients=mail.recipients())",
    "flask_mail": "Send what it writes: send(mail.as_bytes(), recipients=mail.send_to)",
}
"""Advice for a message of another package, which writes itself and knows its Bcc."""


def _not_sendable(value: object) -> MessageError:
    hint = "Encode the str first: text.encode()" if isinstance(value, str) else None
    if isinstance(value, MergeRow | Merge | AsyncMerge):
        hint = "send_many and send_all take it"
    if isinstance(value, Mapping):
        hint = "Message.merge makes messages of dicts: send_many(letter.merge(rows)), or send(**fields) for one"
    if isinstance(value, list | tuple):
        hint = "send_many and send_all take several messages"
    kind = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
    hint = next((advice for package, advice in _OF_OTHERS.items() if kind.startswith(f"{package}.")), hint)
    words = f"A message is a Message, an EmailMessage or bytes, not {kind}"
    return MessageError(words, stage=Stage.MESSAGE, hint=hint)
