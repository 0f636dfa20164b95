"""Shows a ``Message`` to people: in one line, or as text for a terminal. Nothing here is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wlsmtp.errors import MessageError
from wlsmtp.patterns import later
from wlsmtp.wire.address import Mailbox
from wlsmtp.wire.mailboxes import Group

if TYPE_CHECKING:
    from wlsmtp.message.attachment import Attachment
    from wlsmtp.message.model import Message

_UNSEEN = later(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Characters that a terminal would act on, or that change the visible order."""
_LONGEST = 200


def in_one_line(message: Message) -> str:
    """Return sender, recipients and subject in one line, without the texts."""
    shown = [str(item.address) if isinstance(item, Mailbox) else item.name for item in message.to[:1]]
    others = len(message.to) + len(message.cc) + len(message.bcc) - len(shown)
    to = f" to {_cut(shown[0], 80)}" if shown else ""
    more = (f" and {others} more" if to else f" to {others}") if others else ""
    parts = [name for name in ("text", "html") if getattr(message, name) is not None]
    if count := len(message.attachments):
        parts.append(f"{count} attachment" + ("s" if count > 1 else ""))
    holds = f" ({', '.join(parts)})" if parts else ""
    sender = _cut(str(message.sender.address), 80) if message.has_sender else "(the sender of the session)"
    return f"from {sender}{to}{more}: {_cut(message.subject, 60)!r}{holds}"


def preview(message: Message, lines: int) -> str:
    """Return a message as text for a terminal; see ``Message.preview``."""
    return "\n".join([*head_lines(message), "", *_body(message, lines)])


def head_lines(message: Message) -> Iterator[str]:
    """The header fields, the attachments and what else is beside the texts, a line each."""
    yield f"From: {_seen(message.sender) if message.has_sender else '(the sender of the session)'}"
    for name, items in (("To", message.to), ("Cc", message.cc), ("Bcc", message.bcc), ("Reply-To", message.reply_to)):
        if items:
            yield f"{name}: {_addresses(items)}"
    yield f"Subject: {_seen(message.subject)}"
    yield f"Date: {message.date.isoformat(' ', 'seconds')}"
    for name, values in message.headers.items():
        yield from (f"{name}: {_seen(value)}" for value in values)
    if message.calendar is not None:
        from wlsmtp.message.invitation import method_of

        yield f"Calendar: {method_of(message.calendar)}"
    for attachment in message.attachments:
        yield f"Attachment: {_attachment(attachment)}"


def _addresses(items: Sequence[Mailbox | Group]) -> str:
    return ", ".join(_seen(item) for item in items[:10]) + (f" and {len(items) - 10} more" if len(items) > 10 else "")


def _attachment(attachment: Attachment) -> str:
    try:
        size = f"{attachment.source.size():,} octets"
    except MessageError as error:
        size = error.message
    name = f"cid:{attachment.content_id}" if attachment.is_inline else attachment.filename or "(without a name)"
    return f"{_seen(name)} ({attachment.content_type}, {size})"


def _body(message: Message, lines: int) -> Iterator[str]:
    text = message.text if message.text is not None else message.html
    if text is None:
        yield "(no text)"
        return
    if message.html is not None:
        yield "(HTML only)" if message.text is None else "(there is HTML as well)"
    found = re.split(r"\r\n|\r|\n", text)
    yield from (_cut(_seen(line), _LONGEST) for line in found[:lines])
    if len(found) > lines:
        yield f"… {len(found) - lines} more lines"


def _seen(value: object) -> str:
    return _UNSEEN.sub("\ufffd", str(value))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
