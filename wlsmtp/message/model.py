"""``Message`` and ``Attachment``: what a user fills in, checked when it is made. How it is written is in ``mime.py``.

Whatever is wrong is a ``MessageError`` that names the field.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import localtime
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.headers import ADDRESS_FIELDS, MAX_WORD
from wlsmtp.wire.address import Address, Mailbox, check_name, parse_address, parse_mailbox, parse_mailbox_list

AddressLike = str | Address | Mailbox | tuple[str, str]
"""``"ann@example.com"``, ``"Ann <ann@example.com>"``, or a pair (name, address)."""
AddressesLike = AddressLike | Iterable[AddressLike]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}")
_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?: *; *[\w-]+=(?:[\w!#$&^.+'-]+|\"[^\"\\]*\"))*", re.ASCII)
_IDENTIFIER = re.compile(r"<?([!-;=?-~]{1,900})>?")
_OWN_FIELD = {
    "from": "sender=", "to": "to=", "cc": "cc=", "bcc": "bcc=", "reply-to": "reply_to=", "subject": "subject=",
    "date": "date=", "message-id": "message_id=", "mime-version": "nothing: it is always there",
    "return-path": "the sender= of send()", "resent-bcc": "the recipients= of send()",
}  # fmt: skip


class Part(BaseModel):
    """What both models share: frozen, no unknown names, ``MessageError`` instead of pydantic's own error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _message_error(error) from None


class Attachment(Part):
    """A file that goes with a message, from memory or from a path.

    A path is checked when the attachment is made and read when the message is rendered, so it must stay as it is
    until then. A stream is read at once, so that the message can be read again at a retry.
    """

    content: bytes | None = Field(default=None, repr=False)
    path: Path | None = None
    filename: str | None = None
    """The name shown to the recipient. Default: the last part of ``path``."""
    content_type: str = "application/octet-stream"
    """Its media type (RFC 2045 §5). Default: guessed from the name."""
    disposition: Literal["attachment", "inline"] = "attachment"
    content_id: str | None = None
    """The name by which HTML refers to it, as in ``<img src="cid:logo">``, without angle brackets."""

    def __init__(
        self,
        content: bytes | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: Literal["attachment", "inline"] = "attachment",
        content_id: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Give ``content`` or ``path``. Raises ``MessageError``, also when the path is no readable file."""
        checked = _readable(path) if path is not None else None
        name = filename if filename is not None or checked is None else checked.name
        kind = content_type if content_type is not None else _guessed_type(name)
        super().__init__(
            content=bytes(content) if isinstance(content, bytearray | memoryview) else content,
            path=checked, filename=name, content_type=kind, disposition=disposition, content_id=content_id,
        )  # fmt: skip

    @classmethod
    def from_path(
        cls, path: str | os.PathLike[str], *, filename: str | None = None, content_type: str | None = None
    ) -> Self:
        """A file, read when the message is rendered. Raises ``MessageError`` when it cannot be read now."""
        return cls(path=path, filename=filename, content_type=content_type)

    @classmethod
    def from_bytes(cls, data: bytes, filename: str | None, content_type: str | None = None) -> Self:
        """Octets in memory."""
        return cls(data, filename, content_type)

    @classmethod
    def from_stream(cls, fileobj: BinaryIO, filename: str | None, content_type: str | None = None) -> Self:
        """What is left in a binary stream, read now; the stream stays open."""
        return cls(fileobj.read(), filename, content_type)

    @classmethod
    def inline(
        cls,
        path_or_bytes: str | os.PathLike[str] | bytes,
        content_id: str,
        *,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> Self:
        """A picture or the like that the HTML shows as ``cid:content_id`` (RFC 2392)."""
        if isinstance(path_or_bytes, bytes | bytearray | memoryview):
            return cls(bytes(path_or_bytes), filename, content_type, "inline", content_id)
        return cls(None, filename, content_type, "inline", content_id, path=path_or_bytes)

    @property
    def is_inline(self) -> bool:
        """Whether it belongs to the HTML rather than beside it."""
        return self.disposition == "inline" and self.content_id is not None

    def read(self) -> bytes:
        """The octets. Raises ``MessageError`` when the path cannot be read any more."""
        if self.path is None:
            return self.content or b""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise _unreadable(self.path, error) from error

    @field_validator("content", mode="before")
    @classmethod
    def _octets(cls, value: object) -> object:
        if value is not None and not isinstance(value, bytes):
            raise ValueError(f"must be bytes, not {type(value).__name__}; open a file in binary mode, encode text")
        return value

    @field_validator("filename")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        return _without_controls(value) if value is not None else None

    @field_validator("content_type")
    @classmethod
    def _media_type(cls, value: str) -> str:
        if not _CONTENT_TYPE.fullmatch(value) or len(value) > 500:
            raise ValueError(f"{value[:80]!r} is not like 'image/png'")
        if value.lower().startswith("multipart/"):
            raise ValueError("an attachment is one part; a multipart cannot be attached as a file (RFC 2045 §6.4)")
        return value

    @field_validator("content_id")
    @classmethod
    def _bare_identifier(cls, value: str | None) -> str | None:
        return _identifier(value) if value is not None else None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.content is None) == (self.path is None):
            raise ValueError("an attachment has either content or a path")
        return self


class Message(Part):
    """A message to be composed.

    >>> Message("ann@example.com", "Bob <bob@example.org>", subject="Hi", text="…", attachments=["report.pdf"])
    """

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
        to: AddressesLike = (),
        cc: AddressesLike = (),
        bcc: AddressesLike = (),
        reply_to: AddressesLike = (),
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        attachments: Iterable[Attachment | str | os.PathLike[str]] = (),
        headers: Mapping[str, str | Iterable[str]] | None = None,
        date: datetime | None = None,
        message_id: str | None = None,
    ) -> None:
        """Each address field takes one address or several. Raises ``MessageError`` that names the field.

        Whether there is a recipient is asked when the envelope is needed.
        """
        given = {"sender": sender, "to": to, "cc": cc, "bcc": bcc, "reply_to": reply_to, "subject": subject}
        if message_id is None:
            message_id = f"<{secrets.token_hex(16)}@{_domain(sender)}>"
        super().__init__(
            **given, text=text, html=html, attachments=attachments, headers=headers or {},
            date=date if date is not None else localtime(), message_id=message_id,
        )  # fmt: skip

    def envelope(self) -> Envelope:
        """From the sender to all of to, cc and bcc. Raises ``MessageError`` when nobody is there."""
        recipients = (mailbox.address for mailbox in (*self.to, *self.cc, *self.bcc))
        return Envelope(self.sender.address, recipients)

    def render(self) -> Content:
        """The message as it is sent. Raises ``MessageError`` when an attachment cannot be read any more."""
        from wlsmtp.message.render import render

        return render(self)

    def __bytes__(self) -> bytes:
        return b"".join(self.render().chunks())

    @field_validator("sender", mode="before")
    @classmethod
    def _one_mailbox(cls, value: object) -> Mailbox:
        return _mailbox(value)

    @field_validator("to", "cc", "bcc", "reply_to", mode="before")
    @classmethod
    def _mailboxes(cls, value: object) -> tuple[Mailbox, ...]:
        return tuple(map(_mailbox, _several(value)))

    @field_validator("subject", "text", "html", mode="before")
    @classmethod
    def _unicode(cls, value: object) -> object:
        if isinstance(value, bytes | bytearray):
            raise ValueError("must be a str, not bytes")
        if isinstance(value, str) and (found := _SURROGATE.search(value)):
            raise ValueError(f"cannot contain the lone surrogate {found[0]!r}")
        return value

    @field_validator("subject")
    @classmethod
    def _one_line(cls, value: str) -> str:
        return _without_controls(value)

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
        return {_field_name(name): _field_values(name, values) for name, values in value.items()}

    @field_validator("date")
    @classmethod
    def _with_zone(cls, value: datetime) -> datetime:
        return value if value.utcoffset() is not None else localtime(value)

    @field_validator("message_id")
    @classmethod
    def _in_brackets(cls, value: str) -> str:
        return f"<{_identifier(value)}>"


def _mailbox(value: object) -> Mailbox:
    match value:
        case Mailbox(name, address):
            check_name(name, name)
            return Mailbox(name, parse_address(str(address)))
        case (str(name), str(address)) if isinstance(value, tuple):
            check_name(name, name)
            return Mailbox(name.strip(), parse_address(address))
        case Address():
            return Mailbox("", parse_address(str(value)))
        case str():
            return parse_mailbox(value)
    raise ValueError(f"must be an address or a pair (name, address), not {type(value).__name__}")


def _several(value: object) -> Iterable[object]:
    """The addresses in a field's value. A pair of two addresses is two addresses, and not a name with an address."""
    if value is None:
        return ()
    if isinstance(value, str | Address | Mailbox):
        return (value,)
    match value:
        case (str(name), str(address)) if isinstance(value, tuple) and "@" not in name and "@" in address:
            return (value,)
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise ValueError(f"must be an address or a list of them, not {type(value).__name__}")
    return value


def _domain(sender: AddressLike) -> str:
    """The sender's domain for the identifier; a sender that is wrong is reported by its own validator."""
    try:
        domain = _mailbox(sender).address.wire_domain
    except ValueError:
        return "localhost"
    return domain


def _attachment(item: object) -> Attachment:
    if isinstance(item, Attachment):
        return item
    if isinstance(item, str | os.PathLike):
        return Attachment.from_path(item)
    raise ValueError(f"must be an Attachment or a path, not {type(item).__name__}")


def _field_name(name: object) -> str:
    if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"{str(name)[:80]!r} is not a header field name (RFC 5322 §2.2)")
    if own := _OWN_FIELD.get(name.lower()):
        raise ValueError(f"{name} cannot be given here; use {own}")
    if name.lower().startswith("content-"):
        raise ValueError(f"{name} cannot be given here; use text=, html= and attachments=")
    return name


def _field_values(name: str, values: object) -> tuple[str, ...]:
    several = [values] if isinstance(values, str) else values
    if isinstance(several, bytes) or not isinstance(several, Iterable):
        raise ValueError(f"{name}: must be a str or a list of them")
    return tuple(_field_value(name, value) for value in several)


def _field_value(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: must be a str, not {type(value).__name__}")
    try:
        _without_controls(value)
        if name.lower() in ADDRESS_FIELDS:
            parse_mailbox_list(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return value


def _without_controls(value: str) -> str:
    if found := _CONTROL.search(value):
        raise ValueError(f"cannot contain the control character {found[0]!r}")
    return value


def _identifier(value: str) -> str:
    found = _IDENTIFIER.fullmatch(value)
    if not found or len(value) > MAX_WORD or value.startswith("<") != value.endswith(">"):
        raise ValueError(f"{value[:80]!r} must be printable ASCII without spaces, like '<left@right>'")
    return found[1]


def _readable(path: str | os.PathLike[str]) -> Path:
    try:
        checked = Path(path)
        if checked.is_file():
            checked.open("rb").close()
            return checked
        # A named pipe or a device is no file either: reading it could wait for ever, and could not be repeated.
        why = "it is a directory" if checked.is_dir() else "there is no such file"
        error: Exception = OSError(why)
    except (OSError, ValueError, TypeError) as problem:
        error = problem
    raise _unreadable(path, error)


def _unreadable(path: object, error: Exception) -> MessageError:
    why = getattr(error, "strerror", None) or error
    return MessageError(f"The attachment {str(path)!r} cannot be read: {why}", stage=Stage.MESSAGE)


def _guessed_type(filename: str | None) -> str:
    import mimetypes

    # A ".tar.gz" is to be sent as what it is, not as what is inside.
    kind, encoding = mimetypes.guess_type(f"./{filename}") if isinstance(filename, str) else (None, None)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    return kind or "application/octet-stream"


def _message_error(error: ValidationError) -> MessageError:
    """pydantic's findings in our words; the first is enough, as a user mends one at a time."""
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    words = cause.message if isinstance(cause, MessageError) else str(cause or first["msg"])
    field = ".".join(map(str, first["loc"]))
    hint = cause.hint if isinstance(cause, MessageError) else None
    return MessageError(f"{field}: {words}" if field else words, stage=Stage.MESSAGE, hint=hint)
