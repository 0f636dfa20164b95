"""Composition: settings and a world make a mailer, which sends messages and answers for what came of them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING

from wlsmtp.config import Mode, SessionConfig
from wlsmtp.errors import ConfigError, MessageError, SMTPError, Stage
from wlsmtp.events import Announcer, Failed, Sent
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.render import Sendable, content_of, envelope_of
from wlsmtp.receipt import Receipt, Status, overall_status
from wlsmtp.retry import deliver_with_retry
from wlsmtp.sasl import MECHANISMS
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.base import Transport
from wlsmtp.transports.smtp import SMTPTransport

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.message.content import Content
    from wlsmtp.receipt import Outcome
    from wlsmtp.smtp.conversation import ServerInfo
    from wlsmtp.wire.extensions import Capabilities

Item = Sendable | tuple[Sendable, Envelope]
"""What ``send_many`` takes: a message, or a message with its envelope."""


class Mailer:
    """What both faces of a session call."""

    def __init__(self, config: SessionConfig, io: IO, transport: Transport | None = None) -> None:
        _check(config)
        self.config = config
        self._io = io
        self._announce = Announcer(config.listeners)
        self._transport = transport or SMTPTransport(config, io, self._announce)
        self._transport.io = io

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offers, as far as it has said so."""
        return self._transport.capabilities

    async def open(self) -> None:
        """Get ready: connect and log in now rather than at the first message."""
        await self._transport.open(self._deadlines(None))

    async def close(self) -> None:
        """Let what is on its way finish, then close."""
        await self._transport.close(self._deadlines(None))

    async def verify(self, timeout: float | None = None) -> ServerInfo:
        """Connect, log in, and tell what the server offers."""
        return await self._transport.verify(self._deadlines(timeout))

    async def send(
        self,
        message: Sendable,
        *,
        sender: str | None = None,
        recipients: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Receipt:
        """Send one message; raise when nobody got it, or nobody knows."""
        envelope = envelope_of(message, sender=sender, recipients=recipients)
        receipt = await self._deliver(content_of(message), envelope, timeout)
        return receipt.raise_for_status()

    async def send_many(self, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[Receipt, None]:
        """A receipt for each item, in order. What concerns one message is told in its receipt; what concerns the
        session, and so all messages to come, is raised."""
        async for item in _each(items):
            receipt = await self._send_item(item)
            error = receipt.error
            if error is not None and error.stage is not None and error.stage.is_before_mail:
                raise error
            yield receipt

    async def _send_item(self, item: Item) -> Receipt:
        message, envelope = item if isinstance(item, tuple) else (item, None)
        try:
            return await self._deliver(content_of(message), envelope or envelope_of(message), None)
        except MessageError as error:
            receipt = Receipt(_new_id(), Status.ERROR, (), error=error)
            error.receipt = receipt
            self._announce(Failed(receipt, error))
            return receipt

    async def _deliver(self, content: Content, envelope: Envelope, timeout: float | None) -> Receipt:
        deadlines = self._deadlines(timeout)
        started = self._io.now()

        async def attempt(to: Envelope) -> Outcome:
            return await self._transport.deliver(to, content, deadlines)

        tried = await deliver_with_retry(attempt, envelope, self.config.retry, self._io, self._announce, deadlines)
        outcome = tried.outcome
        status = overall_status(outcome.recipients)
        error = outcome.error
        if error is None and status not in (Status.SENT, Status.PARTIAL):
            # Only a transport of somebody else's can get here; it must not pass for a success.
            error = SMTPError(f"{type(self._transport).__name__} did not deliver the message, and did not say why")
        receipt = Receipt(
            id=_new_id(),
            status=status,
            recipients=outcome.recipients,
            reply=outcome.reply,
            queue_id=outcome.reply.queue_id if outcome.reply and outcome.reply.is_positive else None,
            message_id=content.message_id,
            attempts=tried.attempts,
            error=error,
            elapsed=self._io.now() - started,
        )
        self._tell(receipt)
        return receipt

    def _tell(self, receipt: Receipt) -> None:
        if receipt.error is not None:
            receipt.error.receipt = receipt
        if receipt.error is not None and receipt.status is not Status.PARTIAL:
            self._announce(Failed(receipt, receipt.error))
        else:
            self._announce(Sent(receipt))

    def _deadlines(self, total: float | None) -> Deadlines:
        if total is not None and not total > 0:
            raise ConfigError("timeout: must be a number of seconds greater than 0", stage=Stage.SETTINGS)
        return Deadlines(self._io, self.config.timeout, total)


def _check(config: SessionConfig) -> None:
    if config.mode is Mode.ASYNC:
        raise ConfigError(
            "mode: 'async' needs an outbox, which this version does not have yet; allowed is 'sync'",
            stage=Stage.SETTINGS,
            hint="To go on while mail is sent, use AsyncSMTPSession, or send from a thread: sessions may be shared",
        )
    unknown = [name for name in config.mechanisms or () if name.upper() not in MECHANISMS]
    if unknown:
        words = f"mechanisms: knows no {', '.join(unknown)}; allowed are {', '.join(MECHANISMS)}"
        raise ConfigError(words, stage=Stage.SETTINGS)


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _new_id() -> str:
    return uuid.uuid4().hex
