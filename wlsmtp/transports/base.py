"""The interface of a transport."""

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
    """Return the sender as sent to a server; "" for the null reverse-path (RFC 5321 §4.5.5)."""
    return envelope.sender.wire if envelope.sender is not None else ""


@dataclass(frozen=True, slots=True)
class Context:
    """The data that a session passes to its transports."""

    config: SessionConfig
    io: IO
    announce: Announcer


class Transport(ABC):
    """Delivers messages. Only ``deliver`` must be implemented; any number of threads or tasks call it at once."""

    says_options: bool = False
    """True if it sends a server the options of an envelope, in the parameters of MAIL and RCPT. For other transports,
    options that are not optional are refused before ``deliver``."""

    io: IO
    """The I/O to use; set by the session before the first call."""

    def attach(self, context: Context) -> None:
        """Become the transport of one session; called once, before anything else."""
        self.io = context.io

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """Create a transport from its URL. Raises ``ConfigError`` for invalid parts of the URL."""
        url.expect()
        return cls()

    @property
    def name(self) -> str:
        """The name in events and errors."""
        return type(self).__name__

    @property
    def serves_local_names(self) -> bool:
        """True if it accepts addresses without a domain, such as ``root``. Others are refused before ``deliver``."""
        return True

    @abstractmethod
    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """Try once to deliver, and return the result for each recipient, in order. Failures are returned, not
        raised."""

    async def deliver_many(
        self, mails: AsyncIterator[Mail | None], deadlines: Callable[[], Deadlines], connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        """Try once to deliver each of ``mails``, and yield their outcomes in the same order, as many at a time as are
        ready. ``deadlines`` is called for each. A transport that can have several in flight reads more of them before
        it yields the first outcome, but only a bounded number. None among them asks for the outcomes of all before it,
        and is answered even if there are none. ``connections`` may be used in parallel."""
        async for mail in mails:
            yield [] if mail is None else [await self.deliver(mail.envelope, mail.content, deadlines())]

    @property
    def statistics(self) -> PoolStatistics | None:
        """Counts of connections, if there are any."""
        return None

    async def open(self, deadlines: Deadlines) -> None:  # noqa: B027 - optional
        """Prepare for messages, also after ``close``."""

    async def close(self, deadlines: Deadlines) -> None:  # noqa: B027 - optional
        """Finish what is in flight, and release everything."""

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Check that messages could be delivered. Raises the error that prevents it."""
        words = f"{type(self).__name__} has no server to ask"
        raise ConfigError(words, stage=Stage.SETTINGS)

    async def examine(self, deadlines: Deadlines) -> Mapping[str, str]:
        """Probe the server without mail; return the results like ``findings``."""
        return self.findings

    @property
    def findings(self) -> Mapping[str, str]:
        """The detected behaviour of the server, and its limits, by name."""
        return {}

    @property
    def capabilities(self) -> Capabilities | None:
        """The capabilities of the server, if it has announced them."""
        return None


class WholeTransport(Transport):
    """A transport that accepts or refuses a message as a whole; only ``carry`` must be implemented."""

    @abstractmethod
    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Reply | None:
        """Deliver the message, and return the reply, if there is one. Raises the ``SMTPError`` that prevented it: with
        a reply the message counts as refused, if ``ambiguous`` as in doubt, else as not sent."""

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """Deliver by ``carry``, with one result for all recipients."""
        try:
            reply = await self.carry(envelope, content, deadlines)
        except SMTPError as error:
            return Outcome.failed(envelope.addresses, error)
        return Outcome.of(envelope.addresses, RecipientStatus.ACCEPTED, reply=reply)
