"""Shares data between messages with the same body: their boundaries, so that the octets are the same, and the body hash
for DKIM. A large attachment sent to many, one message each, is therefore hashed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wlsmtp.message.model import Message

BODY = "_body"
"""Where a message keeps its ``SharedBody``."""
_NOT_OF_THE_BODY = frozenset({
    "sender", "to", "cc", "bcc", "reply_to", "subject", "headers", "date", "message_id", "dkim", "attachments",
    BODY, "_given",
})  # fmt: skip


class SharedBody:
    """A body that several messages have."""

    def __init__(self, mark: str, *, is_fixed: bool) -> None:
        self.mark: str = mark
        """The mark from which the boundaries are derived."""
        self.is_fixed: bool = is_fixed
        """True if no part of it is read from a file, which may change."""
        self.hashes: dict[int, bytes] = {}
        """The hash of the body in its relaxed form, by its size."""


def share_body(before: Message, after: Message) -> None:
    """Let a message that was varied share the body of the one before, if that has attachments, and nothing in it is
    different."""
    old, new = before.__dict__, after.__dict__
    attachments: Any = old["attachments"]
    if not attachments or len(attachments) != len(new["attachments"]):
        return
    names = (old.keys() | new.keys()) - _NOT_OF_THE_BODY
    is_same = all(old.get(name) is new.get(name) for name in names)
    if is_same and all(one is other for one, other in zip(attachments, new["attachments"], strict=True)):
        if BODY not in old:
            is_fixed = not any(attachment.source.is_file for attachment in attachments)
            old[BODY] = SharedBody(before.message_id, is_fixed=is_fixed)
        new[BODY] = old[BODY]
