"""The session classes: ``SMTPSession`` blocks the thread, ``AsyncSMTPSession`` the task. Names and rules are the same,
and neither contains any logic: see ``mailer.py``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self, Unpack, overload

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.habits import OF_SESSION, Habits, wrong_block
from wlsmtp.io.base import IO
from wlsmtp.io.nested import nested
from wlsmtp.io.steps import advance, run
from wlsmtp.items import FieldsAndOptions, Item, SendOptions, ServerInfo, Transport
from wlsmtp.message.model import Fields
from wlsmtp.message.render import Sendable
from wlsmtp.message.values import AddressLike
from wlsmtp.reading import OneReader, hold, let_go
from wlsmtp.receipt import Receipt, Status
from wlsmtp.reminder import Reminder, keeping
from wlsmtp.results.statistics import OutboxStatistics, Statistics
from wlsmtp.settings.config import ConfigKeywords, SessionConfig, SessionKeywords
from wlsmtp.settings.help import documents, spells_out
from wlsmtp.settings.options import DeliveryOptions, When
from wlsmtp.wire.extensions import Capabilities


class _Session(Habits):
    """The base of both session classes: their settings. A session that is pickled or copied becomes one with the same
    settings, including secrets, and nothing else: no connections, no counts, no mail of an outbox in memory."""

    _elsewhere = OF_SESSION
    if not TYPE_CHECKING:
        __enter__ = wrong_block("write 'async with', inside an async function; 'with' is for SMTPSession")
        __aenter__ = wrong_block("write 'with', or use AsyncSMTPSession with 'async with' and 'await'")

    @spells_out(SessionConfig, SessionKeywords)
    def __init__(
        self,
        server: str | SessionConfig | None = None,
        port: int | None = None,
        **settings: Unpack[SessionKeywords],
    ) -> None:
        """Settings are keywords, each a field of ``SessionConfig``, or one ``SessionConfig`` that keywords override.

        ``transport``, or its URL, carries the messages instead of SMTP to ``server``. Nothing is connected yet. Raises
        ``ConfigError`` for invalid settings.
        """
        named: dict[str, Any] = {"port": port, **settings}
        given = {name: value for name, value in named.items() if value is not None}
        if isinstance(server, SessionConfig):
            given = {name: getattr(server, name) for name in server.model_fields_set} | given
        elif server is not None:
            given["server"] = server
        self.__setstate__(SessionConfig(**given))

    @staticmethod
    def _io() -> IO:
        raise NotImplementedError

    @classmethod
    @spells_out(SessionConfig, ConfigKeywords)
    def from_url(cls, url: str, **settings: Unpack[ConfigKeywords]) -> Self:
        """Return a session from ``smtp://``, ``smtp+tls://`` or ``smtps://user:password@host:port``, or from the URL of
        another transport; see ``SessionConfig.from_url``."""
        return cls(SessionConfig.from_url(url, **settings))

    @classmethod
    @spells_out(SessionConfig, ConfigKeywords)
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, prefix: str = "WLSMTP_", **settings: Unpack[ConfigKeywords]
    ) -> Self:
        """Return a session from ``WLSMTP_URL``, or ``WLSMTP_SERVER``, ``WLSMTP_PORT``, …; see
        ``SessionConfig.from_env``."""
        return cls(SessionConfig.from_env(environ, prefix=prefix, **settings))

    @classmethod
    @spells_out(SessionConfig, ConfigKeywords)
    def from_preset(cls, provider: str, **settings: Unpack[ConfigKeywords]) -> Self:
        """Return a session with a known provider, as ``from_preset("gmail", username=…, password=…)``."""
        return cls(SessionConfig.from_preset(provider, **settings))

    @property
    def transport(self) -> Transport:
        """The transport that carries the messages."""
        return self._mailer.transport

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offered on the latest connection (EHLO, RFC 5321 §4.1.1.1); None before the first one."""
        return self._mailer.capabilities

    @property
    def findings(self) -> Mapping[str, str]:
        """The behaviour of the server as detected by the session, as opposed to what it advertises. Each behaviour that
        affects speed is ``"unproven"``, ``"proven"`` or ``"broken"``; limits have a number. Empty for transports
        without a server."""
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
        from wlsmtp.mailer import Mailer  # and with it all that sends, which takes long

        self.config: SessionConfig = config
        self._mailer = Mailer(config, self._io())

    def __repr__(self) -> str:
        user = f", username={self.config.username!r}" if self.config.username else ""
        return f"{type(self).__name__}({self.config.address!r}, security={self.config.security.value!r}{user})"


@documents(SessionConfig)
class SMTPSession(_Session):
    """A session that blocks the calling thread. Any number of threads may share it.

    Connections are opened on demand, kept for the next message, and replaced when the server has closed them. A forked
    child has its own connections, and no mail of an outbox in memory.

    >>> with SMTPSession("smtp.example.com", security="tls", username="ann@example.com", password="…") as session:
    ...     receipt = session.send(message)
    """

    @staticmethod
    def _io() -> IO:
        from wlsmtp.io.blocking import BlockingIO

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
        lane: str | None = None,
        within: object = None,
        **fields: Unpack[Fields],
    ) -> Receipt:
        """Send a ``Message``, an ``EmailMessage`` or ``bytes``; return the result for each recipient.

        >>> session.send(to="bob@example.org", subject="Hi", text="Hello")

        Without a message, keywords of ``Message`` compose one: ``to``, ``cc``, ``bcc``, ``reply_to``, ``subject``,
        ``text``, ``html``, ``attachments``, ``headers``, ``date``, ``message_id``, and ``sender``, which may be a
        setting of the session. A message together with such fields is a ``MessageError``.

        With a message, ``sender`` and ``recipients`` replace those in its headers. ``options`` request more than
        delivery: reports, a time, a priority, TLS all the way. ``timeout`` bounds the whole call, in seconds (default:
        ``Timeouts.total``). A message that is certainly not sent is tried again as ``RetryPolicy`` says.

        The receipt is ``SENT`` or, if some recipients were refused, ``PARTIAL``. If nobody got the message, raises an
        ``SMTPError`` that carries the receipt; ``OutcomeUnknown`` if the result is unknown (RFC 5321 §4.5.3.2.6).

        With ``mode="async"`` the message is put into the outbox and the receipt is ``PENDING``: the call waits for no
        server, and ``timeout`` bounds the wait for an outbox that others use (default: half a minute). Only problems
        of the message (``MessageError``) or the outbox (``OutboxError``) are raised. The other options are for this
        mode. ``send_at`` is the earliest time to send, ``expires`` the time to give up, each a ``datetime``, or a
        ``timedelta`` or seconds from now. Higher ``priority`` (-10 to 10) goes first. If the outbox has the
        ``idempotency_key`` already, nothing is stored, and the receipt is that of the stored message. ``lane`` names
        the rate of ``pace`` that it counts for (default: the domain of the first recipient). ``within`` is a
        connection, cursor or session of your database, which is also that of the outbox: the message is sent if and
        only if its transaction is committed.
        """
        return run(
            self._mailer.send(
                message, sender=sender, recipients=recipients, options=options, timeout=timeout, fields=fields,
                send_at=send_at, priority=priority, expires=expires, idempotency_key=idempotency_key,
                lane=lane, within=within,
            )
        )  # fmt: skip

    def send_many(
        self, items: Iterable[Item], *, connections: int | None = None, within: object = None
    ) -> ReceiptIterator:
        """Send messages, or pairs ``(message, Envelope)``, as they come; yield their receipts in the same order.

        If the server offers PIPELINING and CHUNKING, messages follow each other without waiting for replies, as many as
        ``Pipelining`` allows. Some more items are then read before the first receipt comes, unless they come slowly.
        Memory is bounded, so the iterable may be endless. ``connections`` work in parallel (default: 1; at most
        ``PoolLimits.max_connections``); the calling thread still reads the iterable.

        A message that fails does not stop the others: its receipt has the status ``ERROR`` or ``UNKNOWN`` and the
        ``error``. A failure of the session (login, TLS, an unreachable server) or an exception of ``items`` ends the
        stream. Each message that was read gets its receipt, and then the error is raised.

        With ``mode="async"`` the receipts are ``PENDING``, and each message is in the outbox before its receipt is
        yielded: those of a list or another collection two hundred at a time, all others one by one. ``within`` is as in
        ``send``.

        >>> for receipt in session.send_many(messages):
        ...     print(receipt)

        Nothing is sent unless the receipts are read; dropping them unread causes a ``RuntimeWarning``. ``send_all``
        reads them all. ``Message.merge`` makes the items of a mail merge.
        """
        return ReceiptIterator(self._mailer.send_many(items, connections, within), self._mailer.io, Reminder())

    def send_all(
        self, items: Iterable[Item], *, connections: int | None = None, within: object = None
    ) -> list[Receipt]:
        """Send messages as ``send_many`` does, and return all receipts, in the order of ``items``.

        The receipt of a failed message is false: ``[r for r in receipts if not r]``. An error that ends ``send_many``
        early (login, TLS, an unreachable server, an exception of ``items``) is raised here as well; its attribute
        ``receipts`` has the receipts until then.
        """
        receipts: list[Receipt] = []
        with keeping(receipts):
            receipts.extend(self.send_many(items, connections=connections, within=within))
        return receipts

    def statistics(self) -> Statistics:
        """Return counts of messages and connections since the session was made."""
        return self._mailer.accounts.statistics()

    def verify(self, timeout: float | None = None) -> ServerInfo:
        """Connect and log in without sending; return what the server offers. Raises the error that prevents it."""
        return run(self._mailer.verify(timeout))

    def examine(self, timeout: float | None = None) -> Mapping[str, str]:
        """Probe, without mail, how the server handles NOOP, RSET, a group of commands (RFC 2920) and the octets of a
        refused chunk (RFC 3030). Returns the results with everything else that is known, like ``findings``. What only
        mail shows stays ``"unproven"``; the session relies on groups only after one with a message has worked.
        ``timeout`` bounds the whole call, in seconds. Raises no error: if the server accepts no connection, nothing is
        detected."""
        return run(self._mailer.examine(timeout))

    def status(self, id: str | Receipt) -> Status:
        """Return the state of a message in the outbox, by its receipt or the ``id`` of that. Raises ``NotInOutbox``,
        like the methods below that take an id; all of them raise ``ConfigError`` in mode ``sync``."""
        return self.receipt(id).status

    def receipt(self, id: str | Receipt) -> Receipt:
        """Return the receipt of a message in the outbox. While it is pending, ``error`` is the last failure and
        ``next_attempt`` the time of the next attempt."""
        return run(self._mailer.spooler.receipt(id))

    def receipts(self, *statuses: Status) -> ReceiptIterator:
        """Yield the messages in the outbox that are in one of these states (none: all), the oldest first."""
        return ReceiptIterator(self._mailer.receipts(*statuses), self._mailer.io)

    def pending(self) -> ReceiptIterator:
        """Yield the messages that are still to be sent, the oldest first."""
        return self.receipts(Status.PENDING)

    def cancel(self, id: str | Receipt) -> bool:
        """Cancel a pending message; return False if it is already being sent or finished."""
        return run(self._mailer.spooler.cancel(id))

    def retry(self, id: str | Receipt) -> bool:
        """Try a message now that waits for its next attempt, or that is finished and did not reach all recipients (the
        refused and unknown ones, who may get it twice). Returns False if no recipient is left, or it is being sent."""
        return run(self._mailer.spooler.retry(id))

    def flush(self, timeout: float | None = None) -> int:
        """Wait until all pending messages are finished, or ``timeout`` seconds (default: ``Timeouts.total``) are over.
        Returns how many are still pending; messages scheduled for later than that are not waited for."""
        return run(self._mailer.spooler.flush(timeout))

    def outbox_statistics(self) -> OutboxStatistics:
        """Return the number of messages in the outbox, by state."""
        return run(self._mailer.spooler.statistics())

    def open(self) -> Self:
        """Connect and log in now, rather than at the first ``send``; also opens a closed session again.

        With ``mode="async"`` it returns at once: a worker begins to send what is in the outbox, and until ``close``
        also what other programs put there."""
        run(self._mailer.open())
        return self

    def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Let messages in flight finish, then close all connections. A later ``send`` is refused until ``open``.
        ``timeout`` bounds the whole call, in seconds (default: ``SessionConfig.close_timeout``).

        With ``mode="async"``, ``drain`` first tries everything that is due; without it, only messages in flight are
        finished. An outbox in memory must become empty: if it does not in time, raises ``OutboxNotEmpty`` with the
        remaining mail. In a file it stays, and what was due is logged. A message in flight at that time is still
        finished, as long as the program lives, and is never sent a second time by ``open()``.
        """
        run(self._mailer.close(drain=drain, timeout=timeout))

    def __enter__(self) -> Self:
        run(self._mailer.enter())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ReceiptIterator(Iterator[Receipt]):
    """The receipts of ``send_many``, or of an outbox, one after the other.

    Dropping it before its end releases nothing at once, as the garbage collector may run anywhere: the next call of the
    session, or ``close``, releases its connection. One thread at a time may read it: the others get a ``ConfigError``.
    """

    def __init__(self, batches: AsyncGenerator[list[Receipt], None], io: IO, reminder: Reminder | None = None) -> None:
        self._batches = batches
        self._io = io
        self._reminder = reminder
        self._ready: Iterator[Receipt] = iter(())
        self._one_reader = OneReader(io)

    def __next__(self) -> Receipt:
        for receipt in self._ready:
            return receipt
        with self._one_reader:
            return self._read_on()

    def _read_on(self) -> Receipt:
        if self._reminder is not None:
            self._reminder.done()
        for receipt in self._ready:  # another thread has read on meanwhile
            return receipt
        receipts: list[Receipt] = []
        try:
            while not receipts:
                receipts = advance(self._batches, self._io.abandoned)
        except StopAsyncIteration:
            raise StopIteration from None
        ready = iter(receipts)
        first, self._ready = next(ready), ready
        return first

    def close(self) -> None:
        """Stop reading, and release the connection now."""
        with self._one_reader:
            self._ready = iter(())
            run(self._batches.aclose())


@documents(SessionConfig)
class AsyncSMTPSession(_Session):
    """A session that blocks the calling task only. Any number of tasks may share it. Each event loop has its own
    connections, which end with it; in mode ``async`` one event loop at a time may use it (``ConfigError``).

    Everything is as in ``SMTPSession``, with ``await``.

    >>> async with AsyncSMTPSession("smtp.example.com", security="tls", username="ann@example.com", token=t) as session:
    ...     receipt = await session.send(message)
    """

    @staticmethod
    def _io() -> IO:
        from wlsmtp.io.aio import AsyncioIO  # imported here, so that a blocking program does not load asyncio

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
        lane: str | None = None,
        within: object = None,
        **fields: Unpack[Fields],
    ) -> Receipt:
        """Send one message, as ``SMTPSession.send``. A cancelled call closes its connection and nothing else; it is
        unknown then whether the message was delivered."""
        return await self._mailer.send(
            message, sender=sender, recipients=recipients, options=options, timeout=timeout, fields=fields,
            send_at=send_at, priority=priority, expires=expires, idempotency_key=idempotency_key,
            lane=lane, within=within,
        )  # fmt: skip

    def send_many(
        self, items: Iterable[Item] | AsyncIterable[Item], *, connections: int | None = None, within: object = None
    ) -> AsyncGenerator[Receipt, None]:
        """Send messages as they come, as ``SMTPSession.send_many``. Accepts an async iterable as well, and is read with
        ``async for``. A loop that ends early should close the generator (``aclose``), as asyncio does so late."""
        return self._flattened(self._mailer.send_many(items, connections, within), Reminder())

    async def send_all(
        self, items: Iterable[Item] | AsyncIterable[Item], *, connections: int | None = None, within: object = None
    ) -> list[Receipt]:
        """Send messages and return all receipts, as ``SMTPSession.send_all``."""
        receipts: list[Receipt] = []
        with keeping(receipts):
            async with aclosing(self.send_many(items, connections=connections, within=within)) as stream:
                async for receipt in stream:
                    receipts.append(receipt)  # noqa: PERF401 - those until an error are kept
        return receipts

    def statistics(self) -> Statistics:
        """Return counts of messages and connections, as ``SMTPSession.statistics``."""
        return self._mailer.accounts.statistics()

    async def verify(self, timeout: float | None = None) -> ServerInfo:
        """Connect and log in without sending, as ``SMTPSession.verify``."""
        return await self._mailer.verify(timeout)

    async def examine(self, timeout: float | None = None) -> Mapping[str, str]:
        """Probe the server without mail, as ``SMTPSession.examine``."""
        return await self._mailer.examine(timeout)

    async def status(self, id: str | Receipt) -> Status:
        """Return the state of a message in the outbox, as ``SMTPSession.status``."""
        return (await self.receipt(id)).status

    async def receipt(self, id: str | Receipt) -> Receipt:
        """Return the receipt of a message in the outbox, as ``SMTPSession.receipt``."""
        return await self._mailer.spooler.receipt(id)

    def receipts(self, *statuses: Status) -> AsyncGenerator[Receipt, None]:
        """Yield messages in the outbox, as ``SMTPSession.receipts``."""
        return self._flattened(self._mailer.receipts(*statuses))

    def pending(self) -> AsyncGenerator[Receipt, None]:
        """Yield the messages that are still to be sent, as ``SMTPSession.pending``."""
        return self.receipts(Status.PENDING)

    async def cancel(self, id: str | Receipt) -> bool:
        """Cancel a pending message, as ``SMTPSession.cancel``."""
        return await self._mailer.spooler.cancel(id)

    async def retry(self, id: str | Receipt) -> bool:
        """Try a message now, as ``SMTPSession.retry``."""
        return await self._mailer.spooler.retry(id)

    async def flush(self, timeout: float | None = None) -> int:
        """Wait until all pending messages are finished, as ``SMTPSession.flush``."""
        return await self._mailer.spooler.flush(timeout)

    async def outbox_statistics(self) -> OutboxStatistics:
        """Return the number of messages in the outbox, by state."""
        return await self._mailer.spooler.statistics()

    async def open(self) -> Self:
        """Connect and log in now, as ``SMTPSession.open``."""
        await self._mailer.open()
        return self

    async def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Let messages in flight finish, then close, as ``SMTPSession.close``."""
        await self._mailer.close(drain=drain, timeout=timeout)

    async def _flattened(
        self, batches: AsyncGenerator[list[Receipt], None], reminder: Reminder | None = None
    ) -> AsyncGenerator[Receipt, None]:
        if reminder is not None:
            reminder.done()
        hold(batches, self._mailer.io.here())
        try:
            async for receipts in nested(batches):
                for receipt in receipts:
                    yield receipt
        finally:
            try:
                await batches.aclose()
            finally:
                let_go(batches)

    async def __aenter__(self) -> Self:
        await self._mailer.enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
