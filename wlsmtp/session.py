"""The two faces: ``SMTPSession`` blocks the thread, ``AsyncSMTPSession`` the task. Names and rules are the same, and
neither holds any logic: see ``mailer.py``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Self, TypedDict, Unpack, overload

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.habits import OF_SESSION, Habits
from wlsmtp.intake import Item
from wlsmtp.io.base import IO
from wlsmtp.io.blocking import BlockingIO, advance, run
from wlsmtp.io.place import Place
from wlsmtp.mailer import Mailer
from wlsmtp.message.model import Fields
from wlsmtp.message.render import Sendable
from wlsmtp.message.values import AddressLike
from wlsmtp.outbox.base import OutboxStatistics
from wlsmtp.outbox.schedule import When
from wlsmtp.receipt import Receipt, Status
from wlsmtp.reminder import Reminder, keeping
from wlsmtp.results.statistics import Statistics
from wlsmtp.settings.config import ConfigKeywords, SessionConfig, SessionKeywords
from wlsmtp.settings.help import documents, spells_out
from wlsmtp.settings.options import DeliveryOptions
from wlsmtp.smtp.connection import ServerInfo
from wlsmtp.transports.base import Transport
from wlsmtp.wire.extensions import Capabilities


class SendOptions(TypedDict, total=False):
    """How a message is sent, as ``SMTPSession.send`` takes it."""

    recipients: str | Iterable[str] | None
    options: DeliveryOptions | None
    timeout: float | None
    send_at: When | None
    priority: int
    expires: When | None
    idempotency_key: str | None


class FieldsAndOptions(Fields, SendOptions, total=False):
    """These and the fields of a message."""


class _Session(Habits):
    """What both faces share: their settings. A session that is pickled or copied becomes one with the same settings,
    their secrets included, and nothing else: no connections, no counts, no mail of an outbox in memory."""

    _elsewhere = OF_SESSION

    @spells_out(SessionConfig, SessionKeywords)
    def __init__(
        self,
        server: str | SessionConfig | None = None,
        port: int | None = None,
        **settings: Unpack[SessionKeywords],
    ) -> None:
        """Settings as keywords, each a field of ``SessionConfig``, or one ``SessionConfig`` that keywords override.

        ``transport``, or its URL, carries the messages instead of SMTP to ``server``. Nothing is connected yet. Raises
        ``ConfigError`` for settings that cannot work.
        """
        named: dict[str, Any] = {"port": port, **settings}
        given = {name: value for name, value in named.items() if value is not None}
        if isinstance(server, SessionConfig):
            given = {name: getattr(server, name) for name in server.model_fields_set} | given
        elif server is not None:
            given["server"] = server
        self.config: SessionConfig = SessionConfig(**given)
        self._mailer = Mailer(self.config, self._io())

    @staticmethod
    def _io() -> IO:
        raise NotImplementedError

    @classmethod
    @spells_out(SessionConfig, ConfigKeywords)
    def from_url(cls, url: str, **settings: Unpack[ConfigKeywords]) -> Self:
        """A session from ``smtp://``, ``smtp+tls://`` or ``smtps://user:password@host:port``, or from the URL of
        another transport; see ``SessionConfig.from_url``."""
        return cls(SessionConfig.from_url(url, **settings))

    @classmethod
    @spells_out(SessionConfig, ConfigKeywords)
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, prefix: str = "WLSMTP_", **settings: Unpack[ConfigKeywords]
    ) -> Self:
        """A session from ``WLSMTP_URL``, or ``WLSMTP_SERVER``, ``WLSMTP_PORT``, …; see ``SessionConfig.from_env``."""
        return cls(SessionConfig.from_env(environ, prefix=prefix, **settings))

    @classmethod
    @spells_out(SessionConfig, ConfigKeywords)
    def from_preset(cls, provider: str, **settings: Unpack[ConfigKeywords]) -> Self:
        """A session with a known provider, as ``from_preset("gmail", username=…, password=…)``."""
        return cls(SessionConfig.from_preset(provider, **settings))

    @property
    def transport(self) -> Transport:
        """What carries the messages."""
        return self._mailer.transport

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offered on the latest connection (EHLO, RFC 5321 §4.1.1.1); None before the first one."""
        return self._mailer.capabilities

    @property
    def findings(self) -> Mapping[str, str]:
        """What the session has found out about its server, as opposed to what the server advertises: each behaviour
        that the speed of a session depends on is ``"unproven"``, ``"proven"`` or ``"broken"``, and limits have a
        number. Empty for transports without a server."""
        return self._mailer.transport.findings

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SessionConfig.model_fields:
            raise self._frozen(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in SessionConfig.model_fields:
            raise self._frozen(name)
        super().__delattr__(name)

    def _frozen(self, name: str) -> ConfigError:
        hint = f"{type(self).__name__}(session.config, {name}=…) makes another session"
        return ConfigError(f"{name}: cannot be changed, as settings are frozen", stage=Stage.SETTINGS, hint=hint)

    def __getstate__(self) -> SessionConfig:
        return self.config

    def __setstate__(self, config: SessionConfig) -> None:
        self.config = config
        self._mailer = Mailer(config, self._io())

    def __repr__(self) -> str:
        user = f", username={self.config.username!r}" if self.config.username else ""
        return f"{type(self).__name__}({self.config.address!r}, security={self.config.security.value!r}{user})"


@documents(SessionConfig)
class SMTPSession(_Session):
    """A session that blocks the calling thread. Any number of threads may share it.

    Connections are opened when they are first needed, kept for the next message, and replaced when the server has
    closed them. A forked child has connections of its own, and no mail of an outbox in memory.

    >>> with SMTPSession("smtp.example.com", security="tls", username="ann@example.com", password="…") as session:
    ...     receipt = session.send(message)
    """

    @staticmethod
    def _io() -> IO:
        return BlockingIO()

    @overload
    def send(self, message: Sendable, *, sender: str | None = None, **options: Unpack[SendOptions]) -> Receipt: ...
    @overload
    def send(self, *, sender: AddressLike | None = None, **fields: Unpack[FieldsAndOptions]) -> Receipt: ...
    def send(
        self,
        message: Sendable | None = None,
        *,
        sender: AddressLike | None = None,
        recipients: str | Iterable[str] | None = None,
        options: DeliveryOptions | None = None,
        timeout: float | None = None,
        send_at: When | None = None,
        priority: int = 0,
        expires: When | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[Fields],
    ) -> Receipt:
        """Send a ``Message``, an ``EmailMessage`` or ``bytes``; return what came of it for each recipient.

        >>> session.send(to="bob@example.org", subject="Hi", text="Hello")

        Without a message its fields make one, as the keywords of ``Message`` do: ``to``, ``cc``, ``bcc``, ``reply_to``,
        ``subject``, ``text``, ``html``, ``attachments``, ``headers``, ``date``, ``message_id``, and ``sender``, which
        may be a setting of the session. A message and such fields together are a ``MessageError``.

        With a message, ``sender`` and ``recipients`` take the place of those in its headers. ``options`` ask the server
        for more than delivery: reports, a time, a priority, TLS all the way. ``timeout`` bounds the whole call, in
        seconds (default: ``Timeouts.total``). What is certainly not sent is tried again as ``RetryPolicy`` says.

        The receipt is ``SENT`` or, when some recipients were refused, ``PARTIAL``. When nobody got the message, raises
        an ``SMTPError`` that carries the receipt; ``OutcomeUnknown`` when nobody can know (RFC 5321 §4.5.3.2.6).

        With ``mode="async"`` the message is put into the outbox and the receipt is ``PENDING``: nothing waits for a
        server, and ``timeout`` bounds the wait for an outbox that others use (default: half a minute). Only what is
        wrong with the message (``MessageError``) or the outbox (``OutboxError``) is raised. The rest is for that mode:
        ``send_at`` is when the message is sent at the earliest and ``expires`` when it is given up, each a ``datetime``
        or seconds from now; greater ``priority`` (-10 to 10) goes first; with an ``idempotency_key`` that the outbox
        knows, nothing is stored, and the receipt is that of the message which was.
        """
        return run(
            self._mailer.send(
                message, sender=sender, recipients=recipients, options=options, timeout=timeout, fields=fields,
                send_at=send_at, priority=priority, expires=expires, idempotency_key=idempotency_key,
            )
        )  # fmt: skip

    def send_many(self, items: Iterable[Item], *, connections: int | None = None) -> ReceiptIterator:
        """Send messages, or pairs ``(message, Envelope)``, as they come; yield their receipts in the same order.

        With a server that offers PIPELINING and CHUNKING, messages follow each other without waiting for its answers,
        as many as ``Pipelining`` allows; so some more items are read before the first receipt comes, unless they come
        slowly. Memory is bounded, so an endless iterable is fine. ``connections`` are used side by side (default: 1;
        at most ``PoolLimits.max_connections``); the iterable is read by the calling thread all the same.

        A message that fails does not stop the others: its receipt has the status ``ERROR`` or ``UNKNOWN`` and the
        ``error``. What stands in the way of all (login, TLS, an unreachable server) ends the stream: no more is read,
        each message that was read gets its receipt, and then the error is raised. So does an exception of ``items``.

        With ``mode="async"`` the receipts are ``PENDING``, and each message is in the outbox before its receipt is
        yielded: those of a list or another collection a hundred at a time, all others one by one.

        >>> for receipt in session.send_many(messages):
        ...     print(receipt)

        Nothing is sent unless the receipts are read: whoever drops them unread gets a ``RuntimeWarning``. ``send_all``
        reads them all. ``Message.merge`` makes the items of a mail merge.
        """
        return ReceiptIterator(self._mailer.send_many(items, connections), self._mailer.io, Reminder())

    def send_all(self, items: Iterable[Item], *, connections: int | None = None) -> list[Receipt]:
        """Send messages as ``send_many`` does, and return all receipts, in the order of ``items``.

        A message that fails has a receipt that says so: ``[r for r in receipts if not r]``. What ends ``send_many``
        early (login, TLS, an unreachable server, an exception of ``items``) is raised here as well; the receipts until
        then are its attribute ``receipts``.
        """
        receipts: list[Receipt] = []
        with keeping(receipts):
            receipts.extend(self.send_many(items, connections=connections))
        return receipts

    def statistics(self) -> Statistics:
        """Counts of messages and connections since the session was made."""
        return self._mailer.accounts.statistics()

    def verify(self, timeout: float | None = None) -> ServerInfo:
        """Connect and log in without sending; return what the server offers. Raises the error that stands in the
        way."""
        return run(self._mailer.verify(timeout))

    def examine(self, timeout: float | None = None) -> Mapping[str, str]:
        """Find out, without sending mail, what the server does with NOOP, RSET, a group of commands (RFC 2920) and the
        octets of a chunk that it refuses (RFC 3030); return that with all else that is known, as ``findings`` has it.
        What only mail shows stays ``"unproven"``. The session relies on groups only once one with a message has
        worked. ``timeout`` bounds the whole call, in seconds. Raises nothing of its own: where the server takes no
        connection, nothing is found out."""
        return run(self._mailer.examine(timeout))

    def status(self, id: str) -> Status:
        """The state of a message in the outbox, by its receipt's ``id``. Raises ``NotInOutbox``; so do the methods
        below that take an id, and all of them raise ``ConfigError`` in mode ``sync``."""
        return self.receipt(id).status

    def receipt(self, id: str) -> Receipt:
        """All that is known of a message in the outbox: of a pending one also why the last try failed (``error``) and
        when the next one is (``next_attempt``)."""
        return run(self._mailer.spooler.receipt(id))

    def receipts(self, *statuses: Status) -> ReceiptIterator:
        """The messages in the outbox that are in one of these states (without any: all), the oldest first."""
        return ReceiptIterator(self._mailer.receipts(*statuses), self._mailer.io)

    def pending(self) -> ReceiptIterator:
        """The messages that are still to be sent, the oldest first."""
        return self.receipts(Status.PENDING)

    def cancel(self, id: str) -> bool:
        """Take a pending message back; False when it is too late, as it is on its way or finished."""
        return run(self._mailer.spooler.cancel(id))

    def retry(self, id: str) -> bool:
        """Try a message now that waits for its next try, or that is finished and did not reach all (its refused and
        unknown recipients, who may get it twice). False when there is nobody left, or it is on its way."""
        return run(self._mailer.spooler.retry(id))

    def flush(self, timeout: float | None = None) -> int:
        """Wait until all pending messages are finished, or ``timeout`` seconds (default: ``Timeouts.total``) are over.
        Returns how many are pending still; what is to be sent later than that is not waited for."""
        return run(self._mailer.spooler.flush(timeout))

    def outbox_statistics(self) -> OutboxStatistics:
        """How many messages the outbox has, by what became of them."""
        return run(self._mailer.spooler.statistics())

    def open(self) -> Self:
        """Connect and log in now, rather than at the first ``send``; also opens a closed session again.

        With ``mode="async"`` nothing is waited for: a worker begins to send what is in the outbox, and until ``close``
        also what other programs put there."""
        run(self._mailer.open())
        return self

    def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Let messages on their way finish, then close all connections. A later ``send`` is refused until ``open``.
        ``timeout`` bounds the whole call, in seconds (default: ``SessionConfig.close_timeout``).

        With ``mode="async"``, ``drain`` lets everything be tried first that is due; without it, what is not on its way
        stays in the outbox. An outbox in memory is waited for until it is empty; if it is not in time, raises
        ``OutboxNotEmpty`` with what is left. In a file it stays, and what was due is logged. A message that is on its
        way then is still finished, as long as the program lives, and is never sent a second time by ``open()``.
        """
        run(self._mailer.close(drain=drain, timeout=timeout))

    def __enter__(self) -> Self:
        run(self._mailer.enter())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ReceiptIterator(Iterator[Receipt]):
    """The receipts of ``send_many``, or of an outbox, one after the other.

    One that is dropped before its end does nothing by itself, as the garbage collector may come by at any place: the
    next call of the session, or ``close``, gives its connection back.
    """

    def __init__(self, batches: AsyncGenerator[list[Receipt], None], io: IO, reminder: Reminder | None = None) -> None:
        self._batches = batches
        self._io = io
        self._reminder = reminder
        self._ready: Iterator[Receipt] = iter(())

    def __next__(self) -> Receipt:
        for receipt in self._ready:
            return receipt
        if self._reminder is not None:
            self._reminder.done()
            self._reminder = None
        receipts: list[Receipt] = []
        try:
            while not receipts:
                receipts = advance(self._batches, self._io.abandoned)
        except StopAsyncIteration:
            raise StopIteration from None
        self._ready = iter(receipts)
        return next(self._ready)

    def close(self) -> None:
        """Read no more, and give the connection back now."""
        self._ready = iter(())
        run(self._batches.aclose())


_being_read: dict[AsyncGenerator[list[Receipt], None], Place] = {}
"""Held, so that the garbage collector finds the outermost generator only: asyncio closes each one that it finds in a
task of its own, and two such tasks would trip over each other. No loop that is closed does that."""


@documents(SessionConfig)
class AsyncSMTPSession(_Session):
    """A session that blocks the calling task only. Any number of tasks may share it. Each event loop has connections of
    its own, which end with it; in mode ``async`` one event loop at a time may use it (``ConfigError``).

    Everything is as in ``SMTPSession``, with ``await``.

    >>> async with AsyncSMTPSession("smtp.example.com", security="tls", username="ann@example.com", token=t) as session:
    ...     receipt = await session.send(message)
    """

    @staticmethod
    def _io() -> IO:
        from wlsmtp.io.aio import AsyncioIO  # here, so that a blocking program does not load asyncio

        return AsyncioIO()

    @overload
    async def send(
        self, message: Sendable, *, sender: str | None = None, **options: Unpack[SendOptions]
    ) -> Receipt: ...
    @overload
    async def send(self, *, sender: AddressLike | None = None, **fields: Unpack[FieldsAndOptions]) -> Receipt: ...
    async def send(
        self,
        message: Sendable | None = None,
        *,
        sender: AddressLike | None = None,
        recipients: str | Iterable[str] | None = None,
        options: DeliveryOptions | None = None,
        timeout: float | None = None,
        send_at: When | None = None,
        priority: int = 0,
        expires: When | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[Fields],
    ) -> Receipt:
        """See ``SMTPSession.send``. A cancelled call gives up its connection and nothing else; whether the message was
        delivered is not known then."""
        return await self._mailer.send(
            message, sender=sender, recipients=recipients, options=options, timeout=timeout, fields=fields,
            send_at=send_at, priority=priority, expires=expires, idempotency_key=idempotency_key,
        )  # fmt: skip

    def send_many(
        self, items: Iterable[Item] | AsyncIterable[Item], *, connections: int | None = None
    ) -> AsyncGenerator[Receipt, None]:
        """See ``SMTPSession.send_many``; takes an async iterable as well, and is read with ``async for``. A loop that
        is left early should close the generator (``aclose``), as asyncio does it late."""
        return self._flattened(self._mailer.send_many(items, connections), Reminder())

    async def send_all(
        self, items: Iterable[Item] | AsyncIterable[Item], *, connections: int | None = None
    ) -> list[Receipt]:
        """See ``SMTPSession.send_all``."""
        receipts: list[Receipt] = []
        with keeping(receipts):
            async with aclosing(self.send_many(items, connections=connections)) as stream:
                async for receipt in stream:
                    receipts.append(receipt)  # noqa: PERF401 - those until an error are kept
        return receipts

    def statistics(self) -> Statistics:
        """See ``SMTPSession.statistics``."""
        return self._mailer.accounts.statistics()

    async def verify(self, timeout: float | None = None) -> ServerInfo:
        """See ``SMTPSession.verify``."""
        return await self._mailer.verify(timeout)

    async def examine(self, timeout: float | None = None) -> Mapping[str, str]:
        """See ``SMTPSession.examine``."""
        return await self._mailer.examine(timeout)

    async def status(self, id: str) -> Status:
        """See ``SMTPSession.status``."""
        return (await self.receipt(id)).status

    async def receipt(self, id: str) -> Receipt:
        """See ``SMTPSession.receipt``."""
        return await self._mailer.spooler.receipt(id)

    def receipts(self, *statuses: Status) -> AsyncGenerator[Receipt, None]:
        """See ``SMTPSession.receipts``."""
        return self._flattened(self._mailer.receipts(*statuses))

    def pending(self) -> AsyncGenerator[Receipt, None]:
        """See ``SMTPSession.pending``."""
        return self.receipts(Status.PENDING)

    async def cancel(self, id: str) -> bool:
        """See ``SMTPSession.cancel``."""
        return await self._mailer.spooler.cancel(id)

    async def retry(self, id: str) -> bool:
        """See ``SMTPSession.retry``."""
        return await self._mailer.spooler.retry(id)

    async def flush(self, timeout: float | None = None) -> int:
        """See ``SMTPSession.flush``."""
        return await self._mailer.spooler.flush(timeout)

    async def outbox_statistics(self) -> OutboxStatistics:
        """See ``SMTPSession.outbox_statistics``."""
        return await self._mailer.spooler.statistics()

    async def open(self) -> Self:
        """See ``SMTPSession.open``."""
        await self._mailer.open()
        return self

    async def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """See ``SMTPSession.close``."""
        await self._mailer.close(drain=drain, timeout=timeout)

    async def _flattened(
        self, batches: AsyncGenerator[list[Receipt], None], reminder: Reminder | None = None
    ) -> AsyncGenerator[Receipt, None]:
        if reminder is not None:
            reminder.done()
        for other, place in tuple(_being_read.items()):
            if place.is_gone and not place.is_forked_off:
                _being_read.pop(other, None)
        _being_read[batches] = self._mailer.io.here()
        try:
            async for receipts in batches:
                for receipt in receipts:
                    yield receipt
        finally:
            try:
                await batches.aclose()
            finally:
                _being_read.pop(batches, None)

    async def __aenter__(self) -> Self:
        await self._mailer.enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
