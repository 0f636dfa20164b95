"""Keeps messages in memory: for tests of programs that send mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.receipt import Outcome, RecipientStatus
from wlsmtp.transports.base import Transport

if TYPE_CHECKING:
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.smtp.deadlines import Deadlines


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as a server would have got it."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


class MemoryTransport(Transport):
    """Accepts every message and keeps it in ``messages``."""

    def __init__(self) -> None:
        self.messages: list[StoredMessage] = []

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """See ``Transport.deliver``."""
        recipients = tuple(str(address) for address in envelope.recipients)
        self.messages.append(StoredMessage(str(envelope.sender or ""), recipients, b"".join(content.chunks())))
        return Outcome.of(recipients, RecipientStatus.ACCEPTED)
