"""Composition: settings and I/O make a mailer, which sends messages; ``accounts`` keeps the results."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from wlsmtp.accounts import Accounts
from wlsmtp.batch import Batch, close_abandoned
from wlsmtp.errors import ConfigError, MessageError, Stage
from wlsmtp.events import Announcer, opened_for
from wlsmtp.hooks import HookedItems, Hooks
from wlsmtp.intake import Intake
from wlsmtp.io.nested import nested
from wlsmtp.io.place import Kept
from wlsmtp.items import Item
from wlsmtp.message.defaults import composed
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mail import Mail
from wlsmtp.message.render import Sendable, envelope_of, is_one_message
from wlsmtp.reminder import tell
from wlsmtp.retry import RetryState, keep_trying
from wlsmtp.settings.config import Mode, SessionConfig
from wlsmtp.smtp.authentication import check_mechanisms
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.audit import audited
from wlsmtp.transports.base import Context
from wlsmtp.transports.registry import transport_of
from wlsmtp.wire.extensions import Capabilities

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.message.content import Content
    from wlsmtp.outbox.spooler import Spooler
    from wlsmtp.receipt import Outcome, Receipt, Status
    from wlsmtp.settings.options import DeliveryOptions
    from wlsmtp.smtp.connection import ServerInfo
    from wlsmtp.transports.base import Transport


class Mailer:
    """The implementation behind both session classes."""

    def __init__(self, config: SessionConfig, io: IO) -> None:
        check_mechanisms(config)
        self.config = config
        self.io = io
        self.announce: Announcer = Announcer(config.listeners)
        self._context = Context(config, io, self.announce)
        self.transport: Transport = transport_of(self._context)
        self._transport = audited(self.transport)
        self.accounts: Accounts = Accounts(self._context, self._transport)
        self._intake = Intake(self._context, self._transport)
        self._hooks = Hooks(config, io)
        self._is_closed = False
        self._spoolers = self._keep_spoolers() if config.mode is Mode.ASYNC else None

    def _keep_spoolers(self) -> Kept[Spooler]:
        """Create one spooler for each process and event loop, over the same outbox."""
        from wlsmtp.outbox.audit import AuditedOutbox
        from wlsmtp.outbox.choice import make_outbox, pace_of
        from wlsmtp.outbox.spooler import Spooler
        from wlsmtp.outbox.verdict import Rules
        from wlsmtp.outbox.worker import Worker

        outbox, rules = make_outbox(self.config.outbox), Rules(self.config.outbox_retry, self.config.all_or_nothing)
        pace = pace_of(self.config, outbox)
        hire = partial(
            Worker, AuditedOutbox(outbox), self._transport, rules, self.io, self.announce,
            deadlines=self.deadlines, count=self.accounts.count, sign=self._intake.signed,
        )  # fmt: skip

        def make(others: Sequence[Spooler]) -> Spooler:
            if any(other.is_at_work for other in others):
                words = "The outbox of the session is in use in another event loop, which is not closed"
                hint = "Close the session there first, or make one for each event loop"
                raise ConfigError(words, stage=Stage.SETTINGS, hint=hint)
            return Spooler(
                self.config, outbox, self._transport, self.io, self.deadlines, hire, self, is_closed=self._is_closed,
                pace=pace, after_send=self._hooks.after if self._hooks.has_after else None,
            )  # fmt: skip

        return Kept(self.io.here, make)

    @property
    def spooler(self) -> Spooler:
        """The outbox's side of the session. Raises ``ConfigError`` in mode ``sync``, and if the outbox is in use in
        another event loop."""
        if self._spoolers is None:
            raise ConfigError("The session has no outbox", stage=Stage.SETTINGS, hint="Use mode='async'")
        return self._spoolers.get()

    def wait(self, id: str, timeout: float | None) -> Receipt:
        """Block until the message is finished, as ``Follower.wait``."""
        return self.io.run_blocking(self.follow(id, timeout))

    async def follow(self, id: str, timeout: float | None = None) -> Receipt:
        """Wait until the message is finished, as ``Follower.follow``."""
        return await self.spooler.follow(id, timeout)

    def receipts(self, *statuses: Status) -> AsyncGenerator[list[Receipt], None]:
        """Yield receipts of the outbox, as ``Spooler.receipts``. The generator may be created where no event loop
        runs."""
        if self._spoolers is None:
            return self.spooler.receipts()  # raises

        async def receipts() -> AsyncGenerator[list[Receipt], None]:
            async with aclosing(self.spooler.receipts(*statuses)) as pages:
                async for page in nested(pages):
                    yield page

        return receipts()

    @property
    def capabilities(self) -> Capabilities | None:
        """The capabilities of the server, if it has announced them."""
        return self._transport.capabilities

    async def open(self) -> None:
        """Connect and log in now rather than at the first message. In mode ``async``, begin to work."""
        await close_abandoned(self.io)
        if self._spoolers is not None:
            await self.spooler.open()
        else:
            await self._transport.open(self.deadlines())
        self._is_closed = False

    async def enter(self) -> None:
        """Open again what was closed. Raises ``ConfigError`` where no event loop runs."""
        self.io.now()
        if self._is_closed and self._spoolers is not None:
            self.spooler.reopen()
            self._is_closed = False
        elif self._is_closed:
            await self.open()

    async def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Let messages in flight finish, then close; all of it within one timeout."""
        tell()
        deadlines = self.deadlines(self.config.close_timeout if timeout is None else timeout)
        spooler = self.spooler if self._spoolers is not None else None
        self._is_closed = True
        try:
            if spooler is not None:
                await spooler.close(deadlines, drain=drain)
            else:
                await self._transport.close(deadlines)
        finally:
            await close_abandoned(self.io)

    async def verify(self, timeout: float | None = None) -> ServerInfo:
        """Connect, log in, and return what the server offers."""
        await close_abandoned(self.io)
        return await self._transport.verify(self.deadlines(timeout))

    async def examine(self, timeout: float | None = None) -> Mapping[str, str]:
        """Probe the server's behaviour without mail."""
        return await self._transport.examine(self.deadlines(timeout))

    async def send(
        self,
        message: Sendable | None,
        *,
        sender: Any = None,
        recipients: str | Iterable[str] | None = None,
        options: DeliveryOptions | None = None,
        timeout: float | None = None,
        fields: Mapping[str, Any] = MappingProxyType({}),
        within: object = None,
        **schedule: Any,
    ) -> Receipt:
        """Send one message, or the one that the fields make, or put it into the outbox. Raises if nobody got it, or the
        result is unknown."""
        if self.io.abandoned:
            await close_abandoned(self.io)
        if message is None or fields:
            message, sender = composed(message, sender, fields), None
        message = self._intake.filled(message)
        envelope = envelope_of(message, sender=sender, recipients=recipients)
        if self._hooks.has_before:
            message, envelope = await self._hooks.before(message, envelope)
            message = self._intake.filled(message)
        envelope, content = self._intake.parts(message, envelope, options)
        self._intake.warn()
        if self._spoolers is not None:
            carried, mail = self.announce.carried(), Mail(envelope, content)
            [kept] = await self.spooler.post_all([mail], timeout, within, carried=carried, **schedule)
            return kept
        if within is not None or any(schedule.values()):
            raise _needs_outbox({**schedule, "within": within is not None})
        deliver = self._deliver_noting_connections if self.announce.wants_connections else self._deliver
        receipt = await deliver(envelope, content, self.deadlines(timeout))
        if self._hooks.has_after:
            await self._hooks.after(receipt)
        return receipt.raise_for_status()

    async def _deliver_noting_connections(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Receipt:
        token = opened_for.set([])
        try:
            return await self._deliver(envelope, content, deadlines)
        finally:
            opened_for.reset(token)

    def send_many(
        self, items: Iterable[Item] | AsyncIterable[Item], connections: int | None = None, within: object = None
    ) -> AsyncGenerator[list[Receipt], None]:
        """Yield receipts for all items, in order, as many at a time as are ready. Failures of one message are in its
        receipt; those of the session, and so of all messages to come, are raised."""
        if connections is not None and not 1 <= connections <= self.config.pool.max_connections:
            words = (
                f"connections: must be between 1 and PoolLimits.max_connections ({self.config.pool.max_connections})"
            )
            raise ConfigError(words, stage=Stage.SETTINGS)
        if is_one_message(items):
            hint = "Use send(message), or send_many([message, …])"
            words = f"send_many takes an iterable of messages, not one {type(items).__name__}"
            raise MessageError(words, stage=Stage.MESSAGE, hint=hint)
        if self._hooks.has_before:
            items = HookedItems(items, self._hooks, self._intake)
        if self._spoolers is not None:
            from wlsmtp.posting import Posting

            posting = Posting(lambda: self.spooler, self._intake, self.accounts, self._hooks, self.announce, within)
            return posting.receipts(items)
        if within is not None:
            raise _needs_outbox({"within": True})
        receipts = Batch(self._context, self._transport, self._intake, self.accounts, items, connections).receipts()
        return self._hooks.after_each(receipts) if self._hooks.has_after else receipts

    async def _deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Receipt:
        outcome, attempts = await self._transport.deliver(envelope, content, deadlines), 1
        if outcome.error is not None:
            state = RetryState(envelope, self.config, self.announce, content.message_id)

            async def attempt(to: Envelope) -> Outcome:
                return await self._transport.deliver(to, content, deadlines)

            outcome, attempts = await keep_trying(outcome, attempt, state, self.io, deadlines)
        return self.accounts.receipt_for(outcome, content, attempts, deadlines.elapsed)

    def deadlines(self, total: float | None = None) -> Deadlines:
        if total is not None and not (isinstance(total, int | float) and total > 0):
            raise ConfigError("timeout: must be a number of seconds greater than 0", stage=Stage.SETTINGS)
        return Deadlines(self.io, self.config.timeout, total)


def _needs_outbox(schedule: Mapping[str, Any]) -> ConfigError:
    given = [name for name, value in schedule.items() if value]
    words = f"{', '.join(given)}: cannot be kept to without an outbox"
    return ConfigError(words, stage=Stage.SETTINGS, hint="Use mode='async'")
