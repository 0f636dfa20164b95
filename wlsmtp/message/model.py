"""``Message``: a message to be composed, checked when it is made. ``mime.py`` writes it.

Every invalid value is a ``MessageError`` that names the field.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self, Unpack, overload

from wlsmtp.errors import MessageError, Stage
from wlsmtp.habits import OF_MESSAGE, Habits
from wlsmtp.message.attachment import Attachment as Attachment
from wlsmtp.message.attachment import AttachmentLike, attachments_of
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.merge import AsyncMerge, Merge, Row, merged
from wlsmtp.message.mime import write
from wlsmtp.message.more import AUTO, GIVEN, MORE, MoreFields, PriorityField, expand, vary
from wlsmtp.message.preview import in_one_line, preview
from wlsmtp.message.shared import BODY, share_body
from wlsmtp.message.sign import checked_dkim, self_signed
from wlsmtp.message.values import (
    AddressesLike,
    AddressLike,
    field_name,
    field_values,
    identifier,
    line,
    mailbox,
    mailboxes,
    moment,
    new_identifier,
    text_or_none,
)
from wlsmtp.wire.address import Address, Mailbox, parse_mailbox
from wlsmtp.wire.mailboxes import Group, mailboxes_in

if TYPE_CHECKING:
    from wlsmtp.message.render import Sendable
    from wlsmtp.message.sign.protection import Protection
    from wlsmtp.settings.dkim import DKIM
else:
    DKIM = Protection = Sendable = Any  # to import them takes long


class Fields(MoreFields, total=False):
    """The constructor's keywords, all fields of a ``Message`` but its sender and its ``priority``."""

    to: AddressesLike
    cc: AddressesLike
    bcc: AddressesLike
    reply_to: AddressesLike
    subject: str
    text: str | None
    html: str | None
    attachments: AttachmentLike | Iterable[AttachmentLike]
    headers: Mapping[str, str | Iterable[str]] | None
    date: datetime | None
    message_id: str | None
    dkim: DKIM | Iterable[DKIM] | Literal["session"] | None


class Further(MoreFields, PriorityField, total=False):
    """Fields that most messages do without."""


class Changes(Fields, PriorityField, total=False):
    """All fields of a ``Message``."""

    sender: AddressLike | None


@dataclass(frozen=True, init=False, repr=False)
class Message(Habits):
    """A message to be composed. ``session.send(message)`` sends it; making one sends nothing.

    >>> Message("ann@example.com", "Bob <bob@example.org>", subject="Hi", text="…", attachments=["report.pdf"])

    For many similar messages, make one and vary it: with ``merge`` for rows of data, with ``replace`` for one other.
    """

    _elsewhere = OF_MESSAGE

    sender: Mailbox
    """Empty if the session provides it; see ``has_sender``."""
    to: tuple[Mailbox | Group, ...]
    cc: tuple[Mailbox | Group, ...]
    bcc: tuple[Mailbox | Group, ...]
    """Recipients that no header field names."""
    reply_to: tuple[Mailbox | Group, ...]
    subject: str
    text: str | None
    html: str | None
    attachments: tuple[Attachment, ...]
    headers: dict[str, tuple[str, ...]]
    """Further header fields, by name."""
    date: datetime
    """Fixed when the message is made, like the identifier, so that a retry sends the same octets."""
    message_id: str
    """With angle brackets. Default: random, at the sender's domain."""
    dkim: tuple[DKIM, ...] | Literal["session"] | None
    """The keys that sign it (RFC 6376): those of the session, its own, or None, which leaves it unsigned."""

    calendar: str | None = None
    """The text of an invitation (RFC 5545). To make one give an ``Invitation``."""
    protection: Protection | None = None
    """The S/MIME signature and encryption (RFC 8551), from ``sign_with`` and ``encrypt_for``."""

    def __init__(
        self,
        sender: AddressLike | None = None,
        to: AddressesLike = (),
        *,
        cc: AddressesLike = (),
        bcc: AddressesLike = (),
        reply_to: AddressesLike = (),
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        attachments: AttachmentLike | Iterable[AttachmentLike] = (),
        headers: Mapping[str, str | Iterable[str]] | None = None,
        date: datetime | None = None,
        message_id: str | None = None,
        dkim: DKIM | Iterable[DKIM] | Literal["session"] | None = "session",
        **more: Unpack[Further],
    ) -> None:
        """Each address field accepts one address or several; ``sender`` accepts one, and may be left to the session
        (``SessionConfig.sender``). ``attachments`` are paths, open binary files, ``Attachment`` or pairs
        ``(name, content)``. Content is octets, text, a ``Path`` or an open file; the media type may come third. Raises
        ``MessageError`` that names the field.

        A message without recipients is valid; sending it raises ``MessageError``. ``dkim`` are its own keys to sign it
        with; None leaves it unsigned, whatever the session does.

        ``text="auto"`` derives the text from the HTML, if there is any. ``more`` are header fields by their meaning
        (``unsubscribe``, ``list_id``, ``importance``, ``priority``, ``read_receipt``, ``auto_submitted``,
        ``in_reply_to``, ``references``). It also has parts derived from the HTML (``inline_css``, ``embed_images``), an
        invitation (``calendar``) and S/MIME (``sign_with``, ``encrypt_for``). See ``HeaderFields``, ``PartFields``,
        ``CalendarField`` and ``ProtectionFields``.
        """
        has_few = html is None and headers is None and date is None and message_id is None
        if (
            has_few
            and cc is bcc is reply_to is attachments is _NO
            and dkim is _OF_SESSION
            and not more
            and self._fill_usual(sender, to, subject, text)
        ):
            return
        given = (sender, to, cc, bcc, reply_to, subject, text, html, attachments, headers, date, message_id, dkim)
        checked = self.__dict__  # bypasses the __setattr__ that refuses changes
        faults: list[tuple[str, ValueError]] = []
        if more or (html is not None and text == AUTO):
            given = tuple(expand(_CHECKS, given, more, checked))
        for (name, check, default), value in zip(_CHECKS, given, strict=True):
            try:
                checked[name] = default if value is default else check(value)
            except ValueError as error:
                faults.append((name, error))
        if faults:
            raise _refusal(faults)
        if message_id is None:
            checked["message_id"] = new_identifier(self.sender.address.wire_domain or _no_domain(self.sender))

    def _fill_usual(self, sender: AddressLike | None, to: AddressesLike, subject: str, text: str | None) -> bool:
        """Set all fields of a message with these four, as most are; return False if one of them is invalid."""
        try:
            box = _sender(sender)
            own = {
                "sender": box, "to": mailboxes(to), "cc": _NO, "bcc": _NO, "reply_to": _NO, "subject": line(subject),
                "text": text_or_none(text), "html": None, "attachments": _NO, "headers": {}, "date": moment(None),
                "message_id": new_identifier(box.address.wire_domain or _no_domain(box)), "dkim": _OF_SESSION,
            }  # fmt: skip
        except ValueError:
            return False
        self.__dict__.update(own)
        return True

    @classmethod
    def from_eml(cls, source: str | os.PathLike[str] | bytes | BinaryIO, *, leave_out: Iterable[str] = ()) -> Self:
        """Return the message in an .eml file, given by its path, as octets, or open for reading: a template to be
        varied and sent.

        >>> letter = Message.from_eml("draft.eml", leave_out=["Received", "Return-Path"])
        >>> receipts = session.send_all(letter.merge(rows))

        Addresses (Bcc included), texts, attachments, an invitation and further headers are kept, and so are Date and
        Message-ID, which ``replace`` and ``merge`` renew. The encoding is not kept, and format=flowed becomes one line
        per paragraph. Anything else that a ``Message`` cannot hold (a signature, fields of a delivery) is a
        ``MessageError`` that names it. Header fields and parameters named in ``leave_out`` are left out. To send a file
        unchanged, send its octets.
        """
        from wlsmtp.message.eml import read_eml

        return cls(**read_eml(source, leave_out))

    @classmethod
    def reply(
        cls, original: Sendable, *, to_all: bool = False, own: AddressesLike = (), **fields: Unpack[Changes]
    ) -> Self:
        """Return an answer to a message: a ``Message``, an ``EmailMessage`` or its octets. It goes to its Reply-To,
        else to its From. It has its subject with "Re:", and the In-Reply-To and References of RFC 5322 §3.6.4.

        >>> answer = Message.reply(octets, sender="ann@example.com", text="Thank you")

        With ``to_all`` its To and Cc get a copy, except the sender of the answer and the addresses in ``own``, those of
        the same person. An answer to your own message goes to its recipients. ``fields`` are those of ``Message``, and
        override these. The original is not quoted; ``Message.from_eml(octets).text`` is its text. Raises
        ``MessageError`` if the original cannot be read.
        """
        from wlsmtp.message.answer import reply_fields

        return cls(**reply_fields(original, to_all, own, fields))

    @classmethod
    def forward(cls, original: Sendable, **fields: Unpack[Changes]) -> Self:
        """Return a message that forwards another one unchanged, attached as ``message/rfc822`` without its Bcc. It has
        its subject with "Fwd:", and its conversation in References.

        >>> passed_on = Message.forward(octets, sender="ann@example.com", to="bob@example.org", text="See below")

        ``fields`` are those of ``Message``; ``attachments`` go before the original. To send its text as your own, vary
        ``Message.from_eml(octets)``. Raises ``MessageError`` if the original cannot be read.
        """
        from wlsmtp.message.answer import forward_fields

        return cls(**forward_fields(original, fields))

    def but(self, **changes: Unpack[Changes]) -> Self:
        """Return a copy with some fields changed; making it sends nothing. ``replace`` is the same.

        >>> letter = Message("ann@example.com", subject="Your invoice", attachments=["terms.pdf"])
        >>> receipt = session.send(letter.but(to="bob@example.org", text="Hello Bob"))

        The changes are checked like the fields of a new message. Date and Message-ID are new unless they are given.
        The attachments are shared, and those that are not large are encoded once. Raises ``MessageError`` that names
        the field.
        """
        kept = {name: value for name, value in self.__dict__.items() if name not in ("date", "message_id", BODY)}
        fields: dict[str, Any] = {**kept, **changes}
        message = vary(type(self), kept, changes) if GIVEN in kept else type(self)(**fields)
        if self.attachments:
            share_body(self, message)
        return message

    def with_checked(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with the same Date and Message-ID, and some fields replaced by checked values. An identifier
        that was made without a sender gets the sender's domain."""
        message = type(self).__new__(type(self))
        message.__dict__.update(self.__dict__, **changes)
        if self.message_id.endswith(_UNSENT):
            domain = message.sender.address.wire_domain or _no_domain(message.sender)
            message.__dict__["message_id"] = f"{self.message_id.removesuffix(_UNSENT)}@{domain}>"
        return message

    @property
    def has_sender(self) -> bool:
        """True if the message names its sender; otherwise the session does."""
        return self.sender.address.local != ""

    def sender_address(self) -> Address:
        """Return the sender's address. Raises ``MessageError`` when the message names no sender."""
        if not self.has_sender:
            hint = "Give sender=…, here or as a setting of the session"
            raise MessageError("The message has no sender", stage=Stage.MESSAGE, hint=hint)
        return self.sender.address

    @overload
    def merge(self, rows: Iterable[Row]) -> Merge: ...
    @overload
    def merge(self, rows: AsyncIterable[Row]) -> AsyncMerge: ...
    def merge(self, rows: Iterable[Row] | AsyncIterable[Row]) -> Merge | AsyncMerge:
        """Return a mail merge, one message per row, for ``send_many`` or ``send_all``. Nothing is sent before that.

        >>> letter = Message("ann@example.com", subject="Your invoice", attachments=["terms.pdf"])
        >>> rows = ({"to": customer.address, "text": f"Dear {customer.name}"} for customer in customers)
        >>> for row, receipt in enumerate(session.send_many(letter.merge(rows))):
        ...     if not receipt:
        ...         print(row, receipt.error)

        A row is a dict of the fields that change, as ``replace`` accepts them; or a function that returns such a dict,
        a ``Message``, or a pair ``(Message, Envelope)``. A function that requires an argument receives this message.

        Messages are made one by one as they are sent, so rows may be a generator of any length. Receipts come in the
        order of the rows. An invalid row gives a receipt with the status ``ERROR``, whose ``error`` is a
        ``MessageError`` with the index of the ``row`` and the reason; the others are sent.

        There are no placeholders: each value is a whole field, and is checked as one, so that no value becomes a header
        or a second recipient. HTML is sent unchanged: pass text from others through ``html.escape`` first.
        """
        return merged(self, rows)

    def replace(self, **changes: Unpack[Changes]) -> Self:
        """Return a changed copy: the same as ``but``. Date and Message-ID are new unless they are given."""
        return self.but(**changes)

    def __replace__(self, /, **changes: Unpack[Changes]) -> Self:
        return self.but(**changes)  # for copy.replace, from Python 3.13 on

    def envelope(self) -> Envelope:
        """Return the envelope, from the sender to all of to, cc and bcc. Raises ``MessageError`` without recipients or
        sender."""
        sender, to = self.sender.address, self.to
        if len(to) == 1 and not self.cc and not self.bcc and sender.domain and type(to[0]) is Mailbox:
            return Envelope.of_checked(sender, (to[0].address,))
        return Envelope.of_checked(self.sender_address(), self.recipients())

    def recipients(self) -> list[Address]:
        """Return all of to, cc and bcc, including those in groups."""
        items = (*self.to, *self.cc, *self.bcc)
        recipients = [item.address for item in items if isinstance(item, Mailbox)]
        if len(recipients) < len(items):
            recipients = [mailbox.address for mailbox in mailboxes_in(items)]
        return recipients

    def render(self) -> Content:
        """Write the message. Raises ``MessageError`` when it has no sender, or an attachment cannot be read any
        more."""
        if not self.has_sender:
            self.sender_address()  # raises
        content = write(self) if self.protection is None else self.protection.applied(write(self))
        return content if self.dkim == "session" else self_signed(content, self.dkim)

    def as_bytes(self) -> bytes:
        """Return the octets that are sent, with CRLF line ends, all in memory: what an .eml file holds. Bcc is omitted.
        Raises ``MessageError`` when an attachment cannot be read any more."""
        return b"".join(self.render().chunks())

    def __bytes__(self) -> bytes:
        return self.as_bytes()

    def preview(self, lines: int = 20) -> str:
        """Return text for a terminal: the header fields including Bcc, the attachments, and the first ``lines`` of the
        text, or of the HTML if there is no text. Control characters are replaced."""
        return preview(self, lines)

    def preview_html(self) -> str:
        """Return one HTML file that shows what recipients will see: the header fields including Bcc, the HTML with its
        inline pictures, the text, and the attachments by name.

        >>> Path("preview.html").write_text(message.preview_html(), encoding="utf-8")

        The message's HTML is in a sandboxed frame: scripts do not run, and remote pictures are not fetched. Raises
        ``MessageError`` when an inline picture cannot be read.
        """
        from wlsmtp.message.preview_html import preview_html

        return preview_html(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {in_one_line(self)}>"


def checked_headers(value: object) -> dict[str, tuple[str, ...]]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("must map names to values")
    return {field_name(name): field_values(name, values) for name, values in value.items()}


def _sender(value: object) -> Mailbox:
    if type(value) is str and "@" in value:  # the usual case
        return parse_mailbox(value)
    is_nobody = value is None or (isinstance(value, Mailbox) and value == NOBODY)
    if isinstance(value, str) and value.strip() == "<>":
        raise ValueError("From needs an address; the null one is for the envelope: send(message, sender='<>')")
    return NOBODY if is_nobody else mailbox(value)


def _identifier(value: object) -> str | None:
    if value is None:
        return None
    text = identifier(value)
    left, _, right = text.rpartition("@")
    if not left or not right:
        raise ValueError(f"{text[:80]!r} must have an @ in it, like '<left@right>' (RFC 5322 §3.6.4)")
    return f"<{text}>"


def _refusal(faults: list[tuple[str, ValueError]]) -> MessageError:
    words = [f"{name}: {error.message if isinstance(error, MessageError) else error}" for name, error in faults]
    hint = next((error.hint for _, error in faults if isinstance(error, MessageError)), None)
    return MessageError("; ".join(words), stage=Stage.MESSAGE, hint=hint)


def _no_domain(sender: Mailbox) -> str:
    """Return the right side of the Message-ID without a sender, or with one on this machine."""
    return _THIS_MACHINE if sender.address.local else _NO_DOMAIN


NOBODY = Mailbox("", Address("", ""))
"""The sender of a message that leaves it to the session."""
_NO_DOMAIN = "unsent.invalid"
_THIS_MACHINE = "localhost"
_UNSENT = f"@{_NO_DOMAIN}>"
_NO: tuple[()] = ()
_OF_SESSION: Literal["session"] = "session"
_MADE = object()
"""Marks a default that is created for each message."""
_CHECKS: tuple[tuple[str, Callable[[Any], Any], object], ...] = (
    ("sender", _sender, _MADE),
    ("to", mailboxes, ()),
    ("cc", mailboxes, ()),
    ("bcc", mailboxes, ()),
    ("reply_to", mailboxes, ()),
    ("subject", line, ""),
    ("text", text_or_none, None),
    ("html", text_or_none, None),
    ("attachments", attachments_of, ()),
    ("headers", checked_headers, _MADE),
    ("date", moment, _MADE),
    ("message_id", _identifier, None),
    ("dkim", checked_dkim, "session"),
)
"""For each field, in the order of the parameters: the function that checks and converts its value, or raises
``ValueError``, and the default, which needs no check."""
FIELDS = tuple(name for name, _, _ in _CHECKS)
"""The names of the fields that every message has."""
ALL_FIELDS = (*FIELDS, *MORE)
"""The names of all fields."""
