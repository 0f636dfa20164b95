"""``Message``: what a user fills in, checked when it is made. How it is written is in ``mime.py``.

Whatever is wrong is a ``MessageError`` that names the field.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self, TypedDict, Unpack

from pydantic import Field, field_validator

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.attachment import Attachment as Attachment
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mime import write
from wlsmtp.message.values import (
    AddressesLike,
    AddressLike,
    field_name,
    field_values,
    identifier,
    mailbox,
    several,
    unicode_text,
    without_controls,
)
from wlsmtp.validation import Validated
from wlsmtp.wire.address import Mailbox

AttachmentLike = Attachment | str | os.PathLike[str]

_NONE: tuple[Any, ...] = ()


class Changes(TypedDict, total=False):
    """The fields of a ``Message``, as its constructor takes them."""

    sender: AddressLike
    to: AddressesLike
    cc: AddressesLike
    bcc: AddressesLike
    reply_to: AddressesLike
    subject: str
    text: str | None
    html: str | None
    attachments: Iterable[AttachmentLike]
    headers: Mapping[str, str | Iterable[str]] | None
    date: datetime | None
    message_id: str | None


class Message(Validated):
    """A message to be composed.

    >>> Message("ann@example.com", "Bob <bob@example.org>", subject="Hi", text="…", attachments=["report.pdf"])

    For a mail merge, make one and vary it with ``but``.
    """

    _error = MessageError
    _stage = Stage.MESSAGE

    sender: Mailbox
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    """Get the message and are named nowhere in it."""
    reply_to: tuple[Mailbox, ...] = ()
    subject: str = ""
    text: str | None = Field(default=None, repr=False)
    html: str | None = Field(default=None, repr=False)
    attachments: tuple[Attachment, ...] = ()
    headers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Further header fields, by name."""
    date: datetime
    """Fixed when the message is made, like the identifier, so that a retry sends the same octets."""
    message_id: str
    """With angle brackets. Default: random, at the sender's domain."""

    def __init__(
        self,
        sender: AddressLike,
        to: AddressesLike = _NONE,
        cc: AddressesLike = _NONE,
        bcc: AddressesLike = _NONE,
        reply_to: AddressesLike = _NONE,
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        attachments: Iterable[AttachmentLike] = _NONE,
        headers: Mapping[str, str | Iterable[str]] | None = None,
        date: datetime | None = None,
        message_id: str | None = None,
    ) -> None:
        """Each address field takes one address or several. Raises ``MessageError`` that names the field.

        Whether there is a recipient is asked when the envelope is needed.
        """
        fields: dict[str, Any] = {
            "to": to, "cc": cc, "bcc": bcc, "reply_to": reply_to, "text": text, "html": html,
            "attachments": attachments, "headers": headers or None,
        }  # fmt: skip
        # What was not given need not be checked: most fields of most messages.
        given = {name: value for name, value in fields.items() if value is not None and value is not _NONE}
        given["date"] = date if date is not None else datetime.now().astimezone()
        given["message_id"] = message_id if message_id is not None else f"<{secrets.token_hex(16)}@{_domain(sender)}>"
        super().__init__(sender=sender, subject=subject, **given)

    def but(self, **changes: Unpack[Changes]) -> Self:
        """The same message with some fields changed: the next one of a mail merge.

        >>> letter = Message("ann@example.com", subject="Your invoice", attachments=["terms.pdf"])
        >>> session.send_many(letter.but(to=row.address, text=row.text) for row in rows)

        The changes are checked like the fields of a new message. Date and Message-ID are new unless they are given.
        The attachments are shared, and those that are not large are encoded once. Raises ``MessageError`` that names
        the field.
        """
        kept = {name: value for name, value in self.__dict__.items() if name not in ("date", "message_id")}
        return type(self)(**{**kept, **changes})

    def envelope(self) -> Envelope:
        """From the sender to all of to, cc and bcc. Raises ``MessageError`` when nobody is there."""
        recipients = [mailbox.address for mailbox in (*self.to, *self.cc, *self.bcc)]
        return Envelope.of_checked(self.sender.address, recipients)

    def render(self) -> Content:
        """The message as it is sent. Raises ``MessageError`` when an attachment cannot be read any more."""
        return write(self)

    def __bytes__(self) -> bytes:
        return b"".join(self.render().chunks())

    @field_validator("sender", mode="before")
    @classmethod
    def _one_mailbox(cls, value: object) -> Mailbox:
        return mailbox(value)

    @field_validator("to", "cc", "bcc", "reply_to", mode="before")
    @classmethod
    def _mailboxes(cls, value: object) -> tuple[Mailbox, ...]:
        return tuple(map(mailbox, several(value)))

    @field_validator("text", "html", mode="before")
    @classmethod
    def _unicode(cls, value: object) -> object:
        return unicode_text(value)

    @field_validator("subject", mode="before")
    @classmethod
    def _one_line(cls, value: object) -> object:
        return without_controls(value) if isinstance(value, str) else unicode_text(value)

    @field_validator("attachments", mode="before")
    @classmethod
    def _attached(cls, value: object) -> tuple[Attachment, ...]:
        items = [value] if isinstance(value, str | os.PathLike | Attachment) else value
        if isinstance(items, bytes) or not isinstance(items, Iterable):
            raise ValueError("must be a list of Attachment or paths; use Attachment.from_bytes for octets")
        return tuple(map(_attachment, items))

    @field_validator("headers", mode="before")
    @classmethod
    def _extra_headers(cls, value: object) -> dict[str, tuple[str, ...]]:
        if not isinstance(value, Mapping):
            raise ValueError("must map names to values")
        return {field_name(name): field_values(name, values) for name, values in value.items()}

    @field_validator("date")
    @classmethod
    def _with_zone(cls, value: datetime) -> datetime:
        return value if value.utcoffset() is not None else value.astimezone()

    @field_validator("message_id")
    @classmethod
    def _in_brackets(cls, value: str) -> str:
        return f"<{identifier(value)}>"


def _domain(sender: AddressLike) -> str:
    """The sender's domain for the identifier; a sender that is wrong is reported by its own validator."""
    try:
        domain = mailbox(sender).address.wire_domain
    except ValueError:
        return "localhost"
    return domain


def _attachment(item: object) -> Attachment:
    if isinstance(item, Attachment):
        return item
    if isinstance(item, str | os.PathLike):
        return Attachment.from_path(item)
    raise ValueError(f"must be an Attachment or a path, not {type(item).__name__}")
