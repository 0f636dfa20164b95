"""The interface of a transport."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from traceback import walk_tb
from typing import Self

from wlsmtp.errors import (
    MUST_NOT_RAISE,
    ConfigError,
    ConnectionFailed,
    ContentRefused,
    DeadlineExceeded,
    OutcomeUnknown,
    SMTPError,
    Stage,
)
from wlsmtp.events import Announcer, log
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


def interrupted(envelope: Envelope, status: RecipientStatus, cause: BaseException) -> Outcome:
    """Return what is certain of a message when its delivery was interrupted: the same for all recipients."""
    words = f"The delivery was interrupted ({type(cause).__name__})"
    error: SMTPError | None = None
    if status is RecipientStatus.NOT_SENT:
        error = ConnectionFailed(words, stage=Stage.CONTENT)
    elif status is not RecipientStatus.ACCEPTED:
        hint = "It may or may not have been delivered: sending it again may deliver it twice"
        error = OutcomeUnknown(words, stage=Stage.CONTENT, hint=hint)
    return Outcome.of(envelope.addresses, status, error=error)


def raised(method: str, envelope: Envelope, status: RecipientStatus, cause: Exception) -> Outcome:
    """Return the outcome of a message whose delivery by a third-party ``method`` raised what it must not: the same for
    all recipients."""
    error = failure(method, cause, Stage.CONTENT)
    if status is RecipientStatus.ACCEPTED:
        return Outcome.of(envelope.addresses, status)
    if status is not RecipientStatus.NOT_SENT:
        hint = "It may or may not have been delivered: sending it again may deliver it twice"
        error = OutcomeUnknown(error.message, stage=Stage.CONTENT, hint=hint)
        error.__cause__ = cause
    if MUST_NOT_RAISE not in getattr(cause, "__notes__", ()):
        cause.add_note(MUST_NOT_RAISE)
    return Outcome.of(envelope.addresses, status, error=error)


def failure(method: str, cause: Exception, stage: Stage) -> SMTPError:
    """Return the error for what a third-party ``method`` raised before anything was sent, and log where it did."""
    words = f"{method} raised {type(cause).__name__}"
    *_, (frame, line) = walk_tb(cause.__traceback__)
    log.error("%s in %s, line %d", words, frame.f_code.co_filename, line)  # what it says may repeat a secret
    error: SMTPError
    if isinstance(cause, TimeoutError):
        error = DeadlineExceeded(words, stage=stage)
    elif isinstance(cause, OSError):
        error = ConnectionFailed(words, stage=stage)
    else:
        error = SMTPError(words, stage=stage, hint="Nothing was sent")
    error.__cause__ = cause
    return error


@contextmanager
def noting(
    envelope: Envelope, part: Envelope, done: Sequence[Outcome], share: Deadlines, deadlines: Deadlines
) -> Iterator[None]:
    """While ``part`` of an envelope is delivered with ``share`` of its deadlines, note what is certain of all of it if
    that is interrupted; ``done`` are the results that there are."""
    try:
        yield
    except BaseException as interrupt:
        known = share.known
        if done:
            known = interrupted(envelope, RecipientStatus.NOT_SENT, interrupt)
            for result in (*done, share.known or interrupted(part, RecipientStatus.UNKNOWN, interrupt)):
                known = known.updated_by(result)
        deadlines.known = known
        raise


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
        """Become the transport of a session, before anything else. An object whose class extends this belongs to one
        session; another one is refused with ``ConfigError``. All others may be given to several sessions of one kind,
        blocking or asyncio, and are attached to each."""
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
        raised: what is raised leaves all recipients in doubt."""

    async def deliver_many(
        self, mails: AsyncIterator[Mail | None], deadlines: Callable[[], Deadlines], connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        """Try once to deliver each of ``mails``, and yield their outcomes in the same order, as many at a time as are
        ready. ``deadlines`` is called for each. A transport that can have several in flight reads more of them before
        it yields the first outcome, but only a bounded number. None among them asks for the outcomes of all before it,
        and is answered even if there are none. ``connections`` may be used in parallel."""
        async for mail in mails:
            yield [] if mail is None else [await self._deliver_mail(mail, deadlines())]

    async def _deliver_mail(self, mail: Mail, deadlines: Deadlines) -> Outcome:
        """Deliver one message of a stream. If that is interrupted, what is certain is stored in the mail."""
        try:
            return await self.deliver(mail.envelope, mail.content, deadlines)
        except BaseException:
            mail.known = deadlines.known
            raise

    @property
    def statistics(self) -> PoolStatistics | None:
        """Counts of connections, if there are any."""
        return None

    async def open(self, deadlines: Deadlines) -> None:  # noqa: B027 - optional
        """Prepare for messages, also after ``close``."""

    async def close(self, deadlines: Deadlines) -> None:  # noqa: B027 - optional
        """Finish what is in flight, and release everything."""

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Check that messages could be delivered. Raises the error that prevents it; this one always raises
        ``ConfigError``, as it knows no way to check."""
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
        a reply the message counts as refused, if ``ambiguous`` as in doubt, else as not sent. A program may be
        interrupted meanwhile: ``deadlines.certain`` is what is certain then, and ``UNKNOWN`` unless it is set here. It
        also counts when another ``Exception`` is raised."""

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """Deliver by ``carry``, with one result for all recipients."""
        deadlines.certain = RecipientStatus.UNKNOWN
        try:
            reply = _reply_of(self, await self.carry(envelope, content, deadlines))
        except SMTPError as error:
            return Outcome.failed(envelope.addresses, error)
        except Exception as error:
            return raised(f"{self.name}.carry", envelope, deadlines.certain, error)
        except BaseException as interrupt:
            deadlines.known = interrupted(envelope, deadlines.certain, interrupt)
            raise
        return Outcome.of(envelope.addresses, RecipientStatus.ACCEPTED, reply=reply)


def _reply_of(transport: Transport, result: object) -> Reply | None:
    """Return what ``carry`` has returned, if it is a positive reply or None. Raises ``ContentRefused`` for a negative
    one, and ``OutcomeUnknown`` for anything else."""
    if result is None or (isinstance(result, Reply) and result.is_positive):
        return result
    if isinstance(result, Reply) and (result.is_transient or result.is_permanent):
        raise ContentRefused(f"{transport.name} did not accept the message", stage=Stage.CONTENT, reply=result)
    words = f"{transport.name}.carry returned {type(result).__name__}, neither a Reply nor None"
    hint = "It may or may not have been delivered: its carry must return a Reply or None, and raise what prevented it"
    raise OutcomeUnknown(words, stage=Stage.CONTENT, hint=hint)
