"""Delivers by SMTP or LMTP to one server, over ``relay``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.message.mail import Mail
from wlsmtp.relay import inquiry
from wlsmtp.relay.crew import Crew
from wlsmtp.relay.dispatch import Dispatch
from wlsmtp.relay.pipeline import Pipeline
from wlsmtp.relay.relay import Relay
from wlsmtp.transports.base import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.receipt import Outcome
    from wlsmtp.results.statistics import PoolStatistics
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.smtp.connection import ServerInfo
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.wire.extensions import Capabilities


class SMTPTransport(Transport):
    """Delivers to the server of a session."""

    says_options = True

    def __init__(self, config: SessionConfig, io: IO, announce: Announcer) -> None:
        self.config = config
        self.relay: Relay = Relay(config, io, announce)

    @property
    def name(self) -> str:
        """The address of the server."""
        return self.config.address

    @property
    def serves_local_names(self) -> bool:
        """True for LMTP and unix sockets, where a name belongs to a user of the server's machine, and if the settings
        say so."""
        return self.config.is_lmtp or self.config.is_unix or self.config.local_names

    @property
    def capabilities(self) -> Capabilities | None:
        """The capabilities that the server offered on the latest connection."""
        return self.relay.capabilities

    @property
    def findings(self) -> Mapping[str, str]:
        """The detected behaviour of the server, as ``Transport.findings``."""
        return self.relay.quirks.findings()

    @property
    def statistics(self) -> PoolStatistics:
        """Counts of connections."""
        return self.relay.statistics

    async def open(self, deadlines: Deadlines) -> None:
        """Connect and log in, also after ``close``."""
        await self.relay.open()
        await self.verify(deadlines)

    async def close(self, deadlines: Deadlines) -> None:
        """Close all connections; those in use once they are released."""
        await self.relay.close(deadlines)

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Connect and log in, or check that a kept connection is alive; a dead one is replaced."""
        return await inquiry.verify(self.relay, deadlines)

    async def examine(self, deadlines: Deadlines) -> Mapping[str, str]:
        """Probe the server without mail, as ``Transport.examine``."""
        return await inquiry.examine(self.relay, deadlines)

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """Deliver one message. A kept connection that turns out to be dead is replaced silently: the message did not
        fail because the server had closed it."""
        mail = Mail(envelope, content, deadlines.had_free_retry, deadlines.is_suspect)
        dispatch = Dispatch(mail, deadlines)
        try:
            outcome = await self.relay.deliver(dispatch)
        except BaseException:
            dispatch.interrupt(None)
            deadlines.known = mail.known
            raise
        deadlines.had_free_retry, deadlines.is_suspect = mail.had_free_retry, mail.is_suspect
        return outcome

    def deliver_many(
        self, mails: AsyncIterator[Mail | None], deadlines: Callable[[], Deadlines], connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        """Deliver a stream of messages, pipelined, as ``Transport.deliver_many``."""
        width = min(connections or 1, self.config.pool.max_connections)
        if width == 1:
            return Pipeline(self.relay, mails, deadlines).outcomes()
        return Crew(self.relay, mails, deadlines, width).outcomes()
