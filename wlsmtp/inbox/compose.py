"""A message from the JSON of Mailpit's ``/api/v1/send``, put into the store."""

from __future__ import annotations

import base64
from typing import Any

from wlsmtp.inbox.store import Entry, Facts, Store
from wlsmtp.message.attachment import Attachment
from wlsmtp.message.model import Message
from wlsmtp.wire.address import Mailbox, parse_address


def compose(store: Store, body: dict[str, Any]) -> Entry:
    """Make a message and keep it. Raises ``MessageError`` or ``ValueError`` for what cannot be one."""
    headers = {str(name): str(value) for name, value in (body.get("Headers") or {}).items()}
    if tags := body.get("Tags"):
        headers["X-Tags"] = ", ".join(str(tag) for tag in tags)
    message = Message(
        sender=_box(body["From"]),
        to=[_box(one) for one in body.get("To") or ()],
        cc=[_box(one) for one in body.get("Cc") or ()],
        bcc=[str(one) for one in body.get("Bcc") or ()],
        reply_to=[_box(one) for one in body.get("ReplyTo") or ()],
        subject=str(body.get("Subject") or ""),
        text=body.get("Text"),
        html=body.get("HTML"),
        attachments=[_attachment(one) for one in body.get("Attachments") or ()],
        headers=headers,
    )
    raw = bytes(message)
    addresses = [str(box.address) for box in (*message.to, *message.cc, *message.bcc) if isinstance(box, Mailbox)]
    return store.add(raw, Facts(str(message.sender.address), tuple(dict.fromkeys(addresses)), via="API"))


def _box(one: dict[str, Any]) -> Mailbox:
    return Mailbox(str(one.get("Name") or ""), parse_address(str(one["Email"])))


def _attachment(one: dict[str, Any]) -> Attachment:
    content = base64.b64decode(str(one["Content"]))
    kind, content_id = one.get("ContentType") or None, one.get("ContentID") or None
    return Attachment(content, str(one["Filename"]), kind, "inline" if content_id else "attachment", content_id)
