"""Delivers over SMTP, through a pool of connections to one server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, SMTPError
from wlsmtp.pool import Pool
from wlsmtp.receipt import Outcome, RecipientStatus
from wlsmtp.smtp.conversation import Connection, ServerInfo, open_connection
from wlsmtp.transports.base import Transport

if TYPE_CHECKING:
    from wlsmtp.config import SessionConfig
    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.wire.extensions import Capabilities


class SMTPTransport(Transport):
    """The server of a session."""

    def __init__(self, config: SessionConfig, io: IO, announce: Announcer) -> None:
        self.io = io
        self._config = config
        self._announce = announce
        self._pool = Pool(io, config.pool, self._connect)
        self._capabilities: Capabilities | None = None

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offered on the latest connection."""
        return self._capabilities

    async def open(self, deadlines: Deadlines) -> None:
        """Connect and log in, also after ``close``."""
        await self._pool.open()
        await self.verify(deadlines)

    async def close(self, deadlines: Deadlines) -> None:
        """Close all connections, those in use once they are given back."""
        await self._pool.close(deadlines)

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Connect and log in, or ask a kept connection whether it is alive."""
        while True:
            connection = await self._pool.acquire(deadlines)
            was_kept = connection.was_kept
            try:
                await connection.noop(deadlines)
            except SMTPError as error:
                await self._pool.discard(connection, str(error))
                if not was_kept:
                    raise
            except BaseException:
                await self._pool.discard(connection, "interrupted")
                raise
            else:
                await self._pool.release(connection, deadlines)
                return connection.info

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """See ``Transport.deliver``. A kept connection that turns out to be dead is replaced silently: that the server
        had closed it is no failure of the message."""
        while True:
            try:
                connection = await self._pool.acquire(deadlines)
            except SMTPError as error:
                return _not_sent(envelope, error)
            was_kept = connection.was_kept
            outcome = await self._deliver_over(connection, envelope, content, deadlines)
            if not (was_kept and _was_dead(outcome)):
                return outcome

    async def _deliver_over(
        self, connection: Connection, envelope: Envelope, content: Content, deadlines: Deadlines
    ) -> Outcome:
        try:
            outcome = await connection.deliver(envelope, content, deadlines)
        except SMTPError as error:
            outcome = _not_sent(envelope, error)
        except BaseException:
            await self._pool.discard(connection, "interrupted")
            raise
        if connection.link.ended:
            await self._pool.discard(connection, "lost")
        else:
            await self._pool.release(connection, deadlines)
        return outcome

    async def _connect(self, deadlines: Deadlines) -> Connection:
        connection = await open_connection(self.io, self._config, self._announce, deadlines)
        self._capabilities = connection.info.capabilities
        return connection


def _not_sent(envelope: Envelope, error: SMTPError) -> Outcome:
    recipients = [str(address) for address in envelope.recipients]
    return Outcome.of(recipients, RecipientStatus.NOT_SENT, error=error)


def _was_dead(outcome: Outcome) -> bool:
    """Whether the server had given the connection up before it took anything of the message: it is gone, or says so
    with 421 or, as Amazon SES does, with 451 4.4.2 to MAIL."""
    error = outcome.error
    if isinstance(error, ConnectionFailed):
        return all(result.status is RecipientStatus.NOT_SENT for result in outcome.recipients)
    reply = error.reply if error is not None else None
    return reply is not None and (reply.code == 421 or str(reply.enhanced) == "4.4.2")
