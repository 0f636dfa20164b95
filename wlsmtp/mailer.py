"""Composition: settings and a world make a mailer, which sends messages and answers for what came of them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from wlsmtp.batch import Batch
from wlsmtp.errors import ConfigError, ExtensionMissing, MessageError, SMTPError, Stage
from wlsmtp.events import Announcer, Failed, Sent, log
from wlsmtp.io.place import Kept
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mail import Mail
from wlsmtp.message.render import Sendable, content_of, envelope_of, is_one_message
from wlsmtp.receipt import Receipt, RecipientStatus, Status, overall_status
from wlsmtp.retry import Campaign, keep_trying
from wlsmtp.settings.config import Mode, SessionConfig
from wlsmtp.smtp.authentication import check_mechanisms
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.statistics import Statistics
from wlsmtp.transports.base import Context
from wlsmtp.transports.registry import transport_of
from wlsmtp.wire.extensions import Capabilities

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.message.content import Content
    from wlsmtp.outbox.spooler import Spooler
    from wlsmtp.receipt import Outcome
    from wlsmtp.settings.options import DeliveryOptions
    from wlsmtp.smtp.connection import ServerInfo

TOGETHER = 100
"""Messages of a collection that are put into an outbox at once."""

Item = Sendable | tuple[Sendable, Envelope]
"""What ``send_many`` takes: a message, or a message with its envelope."""


class Mailer:
    """What both faces of a session call."""

    def __init__(self, config: SessionConfig, io: IO) -> None:
        _check(config)
        self.config = config
        self.io = io
        self.announce = Announcer(config.listeners)
        self.transport = transport_of(Context(config, io, self.announce))
        self._all_or_nothing = config.partial == "abort"
        self._session = uuid.uuid4().hex[:16]
        self._numbers = itertools.count(1)
        self._is_closed = False
        self._spoolers = self._keep_spoolers() if config.mode is Mode.ASYNC else None
        self._counts = dict.fromkeys(("sent", "partial", "failed", "unknown", "retries"), 0)

    def _keep_spoolers(self) -> Kept[Spooler]:
        """One for each process and event loop, over the same outbox."""
        from wlsmtp.outbox.choice import make_outbox
        from wlsmtp.outbox.spooler import Spooler
        from wlsmtp.outbox.verdict import Rules
        from wlsmtp.outbox.worker import Worker

        outbox, rules = make_outbox(self.config.outbox), Rules(self.config.outbox_retry, self._all_or_nothing)
        hire = partial(
            Worker, outbox, self.transport, rules, self.io, self.announce, deadlines=self.deadlines, count=self._count
        )

        def make(others: Sequence[Spooler]) -> Spooler:
            if any(other.is_at_work for other in others):
                words = "The outbox of the session is in use in another event loop, which is not closed"
                hint = "Close the session there first, or make one for each event loop"
                raise ConfigError(words, stage=Stage.SETTINGS, hint=hint)
            return Spooler(
                self.config, outbox, self.transport, self.io, self.deadlines, hire, self, is_closed=self._is_closed
            )

        return Kept(self.io.here, make)

    @property
    def spooler(self) -> Spooler:
        """The outbox's side of the session. Raises ``ConfigError`` in mode ``sync``, and when the outbox is at work in
        another event loop."""
        if self._spoolers is None:
            raise ConfigError("The session has no outbox", stage=Stage.SETTINGS, hint="Use mode='async'")
        return self._spoolers.get()

    def wait(self, id: str, timeout: float | None) -> Receipt:
        """See ``Follower.wait``."""
        return self.io.play(self.follow(id, timeout))

    async def follow(self, id: str, timeout: float | None = None) -> Receipt:
        """See ``Follower.follow``."""
        return await self.spooler.follow(id, timeout)

    def receipts(self, *statuses: Status) -> AsyncGenerator[list[Receipt], None]:
        """See ``Spooler.receipts``. The generator may be made where no event loop runs."""
        if self._spoolers is None:
            return self.spooler.receipts()  # raises

        async def receipts() -> AsyncGenerator[list[Receipt], None]:
            async with aclosing(self.spooler.receipts(*statuses)) as pages:
                async for page in pages:
                    yield page

        return receipts()

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offers, as far as it has said so."""
        return self.transport.capabilities

    async def open(self) -> None:
        """Get ready: connect and log in now rather than at the first message. In mode ``async``, begin to work."""
        await self.close_abandoned()
        if self._spoolers is not None:
            await self.spooler.open()
        else:
            await self.transport.open(self.deadlines())
        self._is_closed = False

    async def enter(self) -> None:
        """Open again what was closed."""
        if self._is_closed and self._spoolers is not None:
            self.spooler.reopen()
            self._is_closed = False
        elif self._is_closed:
            await self.open()

    async def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Let what is on its way finish, then close; all of it within one time."""
        deadlines = self.deadlines(self.config.close_timeout if timeout is None else timeout)
        spooler = self.spooler if self._spoolers is not None else None
        self._is_closed = True
        try:
            if spooler is not None:
                await spooler.close(deadlines, drain=drain)
            else:
                await self.transport.close(deadlines)
        finally:
            await self.close_abandoned()

    async def close_abandoned(self) -> None:
        """Close streams that nobody reads any more, as the garbage collector has found."""
        abandoned = self.io.abandoned
        while abandoned:
            with suppress(IndexError):  # another thread may have taken the last
                generator = abandoned.popleft()
                try:
                    await generator.aclose()
                except Exception:
                    log.exception("an unfinished stream could not be closed")

    async def verify(self, timeout: float | None = None) -> ServerInfo:
        """Connect, log in, and tell what the server offers."""
        await self.close_abandoned()
        return await self.transport.verify(self.deadlines(timeout))

    async def examine(self, timeout: float | None = None) -> Mapping[str, str]:
        """Find out without mail what the server does."""
        return await self.transport.examine(self.deadlines(timeout))

    async def send(
        self,
        message: Sendable,
        *,
        sender: str | None = None,
        recipients: str | Iterable[str] | None = None,
        options: DeliveryOptions | None = None,
        timeout: float | None = None,
        **schedule: Any,
    ) -> Receipt:
        """Send one message, or put it into the outbox; raise when nobody got it, or nobody knows."""
        if self.io.abandoned:
            await self.close_abandoned()
        envelope = self.asking(envelope_of(message, sender=sender, recipients=recipients), options)
        if self._spoolers is not None:
            return await self.spooler.post(Mail(envelope, content_of(message)), timeout, **schedule)
        _refuse(schedule)
        receipt = await self._deliver(content_of(message), envelope, timeout)
        return receipt.raise_for_status()

    def send_many(
        self, items: Iterable[Item] | AsyncIterable[Item], connections: int | None = None
    ) -> AsyncGenerator[list[Receipt], None]:
        """Receipts for all items, in order, as many at a time as there are. What concerns one message is told in its
        receipt; what concerns the session, and so all messages to come, is raised."""
        if connections is not None and not 1 <= connections <= self.config.pool.max_connections:
            words = (
                f"connections: must be between 1 and PoolLimits.max_connections ({self.config.pool.max_connections})"
            )
            raise ConfigError(words, stage=Stage.SETTINGS)
        if is_one_message(items):
            hint = "Use send(message), or send_many([message, …])"
            words = f"send_many takes an iterable of messages, not one {type(items).__name__}"
            raise MessageError(words, stage=Stage.MESSAGE, hint=hint)
        if self._spoolers is not None:
            return self._post_many(items)
        return Batch(self, items, connections).receipts()

    async def _post_many(self, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[list[Receipt], None]:
        async for together in _batches(items):
            yield await self._post(together)

    async def _post(self, items: list[Item]) -> list[Receipt]:
        """Put messages into the outbox, together if nothing is wrong with any of them."""
        try:
            return await self.spooler.post_all([self.mail_of(item) for item in items])
        except (MessageError, ExtensionMissing) as error:
            if len(items) == 1:
                return [self.not_a_message(error)]
        return [receipt for item in items for receipt in await self._post([item])]

    def statistics(self) -> Statistics:
        """The counts of now."""
        pool = self.transport.statistics
        if pool is None:
            return Statistics(**self._counts)
        return Statistics(
            **self._counts,
            connections_opened=pool.opened,
            connections_resumed=pool.resumed,
            connections_lost=pool.lost,
            connections_open=pool.open,
            connections_idle=pool.idle,
            connections_allowed=pool.allowed,
        )

    def asking(self, envelope: Envelope, options: DeliveryOptions | None = None) -> Envelope:
        """The envelope with the options that count for it. Raises ``MessageError`` for those that do not fit it, and
        ``ExtensionMissing`` when the transport cannot ask for them."""
        default = self.config.options
        if options is not None or envelope.options is not None or default is not None:
            envelope = envelope.asking(options, default)
        if not self.transport.says_options:
            envelope.asked_of(Capabilities(self.transport.name))
        if not envelope.has_domains and (names := envelope.local_names) and not self.transport.serves_local_names:
            words = f"{names[0]!r} has no domain, and {self.transport.name} is not a server of this machine"
            hint = "Add one, as in root@example.com; names are for LMTP, unix sockets and sendmail"
            raise MessageError(words, stage=Stage.MESSAGE, hint=hint)
        return envelope

    def not_a_message(self, error: SMTPError) -> Receipt:
        """The receipt for what could not be sent as it is."""
        error.receipt = receipt = Receipt(self._new_id(), Status.ERROR, (), error=error)
        self._tell(receipt)
        return receipt

    def campaign(self, envelope: Envelope) -> Campaign:
        """The further tries of a message that failed."""
        return Campaign(envelope, self.config.retry, self.announce, all_or_nothing=self._all_or_nothing)

    def receipt_for(self, outcome: Outcome, content: Content, attempts: int, started: float) -> Receipt:
        """The receipt for what came of a message; it is counted, and told to the listeners."""
        error = outcome.error
        status = Status.SENT if error is None else overall_status(outcome.recipients)
        if error is None and not _is_all_accepted(outcome):
            # Only a transport of somebody else's can get here; it must not pass for a success.
            words = f"{type(self.transport).__name__} did not deliver the message, and did not say why"
            status, error = overall_status(outcome.recipients), SMTPError(words)
        receipt = Receipt(
            self._new_id(),
            status,
            outcome.recipients,
            outcome.reply,
            content.message_id,
            attempts,
            error,
            self.io.now() - started,
            outcome.tls,
        )
        if error is not None:
            error.receipt = receipt
        self._counts["retries"] += attempts - 1
        self._tell(receipt)
        return receipt

    async def _deliver(self, content: Content, envelope: Envelope, timeout: float | None) -> Receipt:
        deadlines = self.deadlines(timeout)
        started = self.io.now()

        async def attempt(to: Envelope) -> Outcome:
            return await self.transport.deliver(to, content, deadlines)

        outcome, attempts = await attempt(envelope), 1
        if outcome.error is not None:
            outcome, attempts = await keep_trying(outcome, attempt, self.campaign(envelope), self.io, deadlines)
        return self.receipt_for(outcome, content, attempts, started)

    def mail_of(self, item: Item) -> Mail:
        """The message with its envelope. Raises ``MessageError``, and ``ExtensionMissing`` as ``asking`` does."""
        message, envelope = item if isinstance(item, tuple) else (item, None)
        return Mail(self.asking(envelope or envelope_of(message)), content_of(message))

    def _count(self, receipt: Receipt) -> None:
        """What the worker of the outbox has finished."""
        self._counts["retries"] += receipt.attempts - 1
        self._tell(receipt)

    def _tell(self, receipt: Receipt) -> None:
        self._counts[_COUNTED[receipt.status]] += 1
        if receipt.error is not None and receipt.status is not Status.PARTIAL:
            self.announce(Failed(receipt, receipt.error))
        elif self.announce.wants_successes:
            self.announce(Sent(receipt))

    def _new_id(self) -> str:
        return f"{self._session}{next(self._numbers):08x}"

    def deadlines(self, total: float | None = None) -> Deadlines:
        if total is not None and not (isinstance(total, int | float) and total > 0):
            raise ConfigError("timeout: must be a number of seconds greater than 0", stage=Stage.SETTINGS)
        return Deadlines(self.io, self.config.timeout, total)


def _check(config: SessionConfig) -> None:
    check_mechanisms(config)


def _refuse(schedule: Mapping[str, Any]) -> None:
    if any(schedule.values()):
        given = [name for name, value in schedule.items() if value]
        words = f"{', '.join(given)}: cannot be kept to without an outbox"
        raise ConfigError(words, stage=Stage.SETTINGS, hint="Use mode='async'")


async def _batches(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[list[Item]]:
    """Items to be stored together. What makes them while it is read gets the receipt of each before it is asked for the
    next one."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield [item]
        return
    rest = iter(items)
    while batch := list(islice(rest, TOGETHER if isinstance(items, Collection) else 1)):
        yield batch


_COUNTED = {
    Status.SENT: "sent",
    Status.PARTIAL: "partial",
    Status.ERROR: "failed",
    Status.UNKNOWN: "unknown",
}


def _is_all_accepted(outcome: Outcome) -> bool:
    for result in outcome.recipients:  # noqa: SIM110 - asked for every message, and all() takes three times as long
        if result.status is not RecipientStatus.ACCEPTED:
            return False
    return True
