"""A message from the JSON of Mailpit's ``/api/v1/send``, put into the store. The case of its names does not count."""

from __future__ import annotations

import base64
from typing import Any, TypeVar

from wlsmtp.errors import MessageError
from wlsmtp.inbox.store import Entry, Facts, Store
from wlsmtp.message.attachment import Attachment
from wlsmtp.message.model import Message
from wlsmtp.wire.address import Mailbox, parse_address

Kind = TypeVar("Kind", dict[str, Any], list[Any], str)


def compose(store: Store, body: dict[str, Any]) -> Entry:
    """Make a message and keep it. Raises ``MessageError`` or ``ValueError`` for what cannot be one."""
    headers = {name: str(value) for name, value in _value(body, "Headers", dict).items()}
    if tags := _value(body, "Tags", list):
        headers["X-Tags"] = ", ".join(str(tag) for tag in tags)
    message = Message(
        sender=_box(_value(body, "From", dict), "From"),
        to=[_box(one, "To") for one in _value(body, "To", list)],
        cc=[_box(one, "Cc") for one in _value(body, "Cc", list)],
        bcc=[str(one) for one in _value(body, "Bcc", list)],
        reply_to=[_box(one, "ReplyTo") for one in _value(body, "ReplyTo", list)],
        subject=_value(body, "Subject", str),
        text=_value(body, "Text", str) or None,
        html=_value(body, "HTML", str) or None,
        attachments=[_attachment(one) for one in _value(body, "Attachments", list)],
        headers=headers,
    )
    raw = bytes(message)
    addresses = [str(box.address) for box in (*message.to, *message.cc, *message.bcc) if isinstance(box, Mailbox)]
    return store.add(raw, Facts(str(message.sender.address), tuple(dict.fromkeys(addresses)), via="API"))


def _value(given: object, name: str, kind: type[Kind]) -> Kind:
    """The value of that name; an empty one of its kind if there is none. Raises ``ValueError`` for another kind."""
    if not isinstance(given, dict):
        raise ValueError(f"{name} must be in an object, not in {type(given).__name__}")
    value = next((value for known, value in given.items() if known.lower() == name.lower()), None)
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")
    return kind() if value is None else value


def _box(one: object, field: str) -> Mailbox:
    try:
        return Mailbox(_value(one, "Name", str), parse_address(_value(one, "Email", str)))
    except MessageError as error:
        raise ValueError(f"invalid {field} address: {error}") from None


def _attachment(one: object) -> Attachment:
    content, name = base64.b64decode(_value(one, "Content", str)), _value(one, "Filename", str)
    kind, content_id = _value(one, "ContentType", str) or None, _value(one, "ContentID", str) or None
    return Attachment(content, name, kind, "inline" if content_id else "attachment", content_id)
