"""Keeps messages in memory, or discards them: for tests of programs that send mail, and for programs that must not."""

from __future__ import annotations

from dataclasses import dataclass

from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import RecipientStatus
from wlsmtp.settings.options import DeliveryOptions
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.base import WholeTransport


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as a server would have received it."""

    sender: str
    """The address of the sender; "" is the null sender."""
    recipients: tuple[str, ...]
    """The addresses of the recipients, in order."""
    content: bytes
    """The octets of the message, with the line ends of mail (CRLF)."""
    options: DeliveryOptions | None = None
    """The delivery options of the envelope, if there are any."""


class MemoryTransport(WholeTransport):
    """Accepts every message and keeps it in ``messages``. URL: ``memory:``."""

    says_options = True
    """True, as it stands for a server that accepts everything."""

    def __init__(self) -> None:
        self.messages: list[StoredMessage] = []

    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> None:
        """Keep the message."""
        deadlines.certain = RecipientStatus.NOT_SENT
        sender = str(envelope.sender or "")
        octets = b"".join(content.chunks())
        message = StoredMessage(sender, envelope.addresses, octets, envelope.options)
        deadlines.certain = RecipientStatus.UNKNOWN
        self.messages.append(message)
        deadlines.certain = RecipientStatus.ACCEPTED


class NullTransport(WholeTransport):
    """Accepts every message and discards it, after reading it to its end. URL: ``null:``."""

    says_options = True

    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> None:
        """Discard the message."""
        deadlines.certain = RecipientStatus.NOT_SENT
        for _ in content.chunks():
            pass
        deadlines.certain = RecipientStatus.ACCEPTED
