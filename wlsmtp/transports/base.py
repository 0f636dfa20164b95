"""What a transport is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Self

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.events import Announcer
from wlsmtp.io.base import IO
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mail import Mail
from wlsmtp.receipt import Outcome, RecipientStatus
from wlsmtp.results.reply import Reply
from wlsmtp.results.statistics import PoolStatistics
from wlsmtp.settings.config import SessionConfig
from wlsmtp.settings.urls import URL
from wlsmtp.smtp.connection import ServerInfo
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.wire.extensions import Capabilities


def reverse_path(envelope: Envelope) -> str:
    """The sender as a server would be told it; "" for the null reverse-path (RFC 5321 §4.5.5)."""
    return envelope.sender.wire if envelope.sender is not None else ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a session gives its transports."""

    config: SessionConfig
    io: IO
    announce: Announcer


class Transport(ABC):
    """Carries messages out. Only ``deliver`` must be written; any number of threads or tasks call it at once."""

    says_options: bool = False
    """Whether it tells a server what the options of an envelope ask for, in the parameters of MAIL and RCPT. For one
    that does not, what is asked for and not optional is refused before ``deliver``."""

    io: IO
    """The world in which the transport works; set by the session before the first call."""

    def attach(self, context: Context) -> None:
        """Become the transport of one session; called once, before anything else."""
        self.io = context.io

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """Make one from its URL. Raises ``ConfigError`` for what the URL must not hold."""
        url.expect()
        return cls()

    @property
    def name(self) -> str:
        """What events and errors call it."""
        return type(self).__name__

    @property
    def serves_local_names(self) -> bool:
        """Whether it takes addresses without a domain, such as ``root``. Others are refused before ``deliver``."""
        return True

    @abstractmethod
    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """Try once to deliver, and tell what came of it for each recipient, in their order. Failures are told, not
        raised."""

    async def deliver_many(
        self, mails: AsyncIterator[Mail | None], deadlines: Callable[[], Deadlines], connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        """Try once to deliver each of ``mails``, and give their outcomes in the same order, as many at a time as there
        are. ``deadlines`` are asked anew for each. A transport that can have several on their way at once takes more
        of them before it gives the first outcome, but only a bounded number; None among them asks for the outcomes of
        all before it, and is answered even if there are none. ``connections`` may be used side by side."""
        async for mail in mails:
            yield [] if mail is None else [await self.deliver(mail.envelope, mail.content, deadlines())]

    @property
    def statistics(self) -> PoolStatistics | None:
        """Counts of connections, if there are any."""
        return None

    async def open(self, deadlines: Deadlines) -> None:  # noqa: B027 - optional
        """Get ready for messages, again after ``close``."""

    async def close(self, deadlines: Deadlines) -> None:  # noqa: B027 - optional
        """Finish what is on its way, and let go of everything."""

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Find out whether messages could be delivered. Raises the error that stands in the way."""
        words = f"{type(self).__name__} has no server to ask"
        raise ConfigError(words, stage=Stage.SETTINGS)

    async def examine(self, deadlines: Deadlines) -> Mapping[str, str]:
        """Find out what can be found out about the server without mail; like ``findings``."""
        return self.findings

    @property
    def findings(self) -> Mapping[str, str]:
        """What was found out about the server: the state of each behaviour, and limits, by their names."""
        return {}

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offers, as far as it has said so."""
        return None


class WholeTransport(Transport):
    """Takes a message for all of its recipients or for none: ``carry`` is all that must be written."""

    @abstractmethod
    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Reply | None:
        """Take the message, and return what was answered, if anything answers. Raises the ``SMTPError`` that stood in
        the way: with a reply the message counts as refused, if ``ambiguous`` as in doubt, else as not sent."""

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """See ``Transport.deliver``."""
        try:
            reply = await self.carry(envelope, content, deadlines)
        except SMTPError as error:
            return Outcome.failed(envelope.addresses, error)
        return Outcome.of(envelope.addresses, RecipientStatus.ACCEPTED, reply=reply)
