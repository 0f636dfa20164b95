"""Files of messages: what ``Message.from_eml`` takes, it writes so that the same message is read again."""

from __future__ import annotations

from wlsmtp.errors import MessageError
from wlsmtp.message.model import Message
from wlsmtp.wire.mailboxes import mailboxes_in


def check(data: bytes) -> None:
    """The octets are a file, which is refused or becomes a message."""
    try:
        message = Message.from_eml(data)
    except MessageError:
        return
    assert message.preview() and message.preview_html()
    if not message.has_sender:
        return
    octets = message.as_bytes()
    again = Message.from_eml(octets)
    assert again.as_bytes() == octets
    assert (again.subject, again.to, again.cc, again.reply_to) == (
        message.subject, message.to, message.cc, message.reply_to
    )  # fmt: skip
    assert again.recipients() == [box.address for box in mailboxes_in([*message.to, *message.cc])]
