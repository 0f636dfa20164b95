"""Checks what a third-party transport reports: each recipient of the envelope has one result, each message one
outcome. What is missing or cannot be used is in doubt, so no receipt says more than is known. Errors are those of this
package."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from wlsmtp.errors import ConfigError, OutcomeUnknown, SMTPError, Stage
from wlsmtp.events import log
from wlsmtp.io.nested import nested
from wlsmtp.receipt import Outcome, RecipientResult, RecipientStatus
from wlsmtp.results.reply import Reply
from wlsmtp.transports.base import Transport, failure, raised

if TYPE_CHECKING:
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.message.mail import Mail
    from wlsmtp.smtp.connection import ServerInfo
    from wlsmtp.smtp.deadlines import Deadlines

_MOST_FAILURES = 3
"""A stream that raises is begun again for the messages to come, unless so many in a row have raised."""
_METHODS = ("deliver", "deliver_many", "open", "close", "verify", "examine")
_HINT = "It may or may not have been delivered: its deliver must return one result for each recipient of the envelope"


def audited(transport: Transport) -> Transport:
    """Return the transport; a third-party one with its outcomes and errors checked."""
    methods = (getattr(transport, name) for name in _METHODS)
    is_ours = all((getattr(method, "__module__", None) or "").startswith("wlsmtp.") for method in methods)
    return transport if is_ours else cast("Transport", _Audited(transport))


class _Audited:
    """A third-party transport, with its outcomes and errors checked."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._has_warned = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def open(self, deadlines: Deadlines) -> None:
        await self._ask("open", deadlines)

    async def close(self, deadlines: Deadlines) -> None:
        await self._ask("close", deadlines)

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        return cast("ServerInfo", await self._ask("verify", deadlines))

    async def examine(self, deadlines: Deadlines) -> Mapping[str, str]:
        return cast("Mapping[str, str]", await self._ask("examine", deadlines))

    async def _ask(self, name: str, deadlines: Deadlines) -> Any:
        method = f"{self._transport.name}.{name}"
        try:
            result: Any = getattr(self._transport, name)(deadlines)
            if hasattr(result, "__await__"):
                return await result
        except SMTPError:
            raise
        except Exception as error:
            raise failure(method, error, Stage.CONNECT) from error
        raise ConfigError(f"{method} must be 'async def'", stage=Stage.SETTINGS)

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        name = self._transport.name
        try:
            result: Any = self._transport.deliver(envelope, content, deadlines)
            if not hasattr(result, "__await__"):
                return _in_doubt(envelope, f"{name}.deliver must be 'async def'")
            outcome = await result
        except Exception as error:  # which recipients it has served is not known
            deadlines.known = None
            return raised(f"{name}.deliver", envelope, RecipientStatus.UNKNOWN, error)
        return checked(outcome, envelope, name)

    async def _deliver_mail(self, mail: Mail, deadlines: Deadlines) -> Outcome:
        return await Transport._deliver_mail(cast("Transport", self), mail, deadlines)

    async def deliver_many(
        self, mails: AsyncIterator[Mail | None], deadlines: Callable[[], Deadlines], connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        if type(self._transport).deliver_many is Transport.deliver_many:
            async for mail in mails:  # each message by itself, as its deliver is checked above
                yield [] if mail is None else [await self._deliver_mail(mail, deadlines())]
            return
        source, failures = _Source(mails), 0
        while not source.is_over:
            source.was_ignored, failure = False, None
            stream: Any = self._transport.deliver_many(source.until_ignored(), deadlines, connections)
            if not hasattr(stream, "__aiter__"):
                if hasattr(stream, "close"):
                    stream.close()  # a coroutine that never began
                words = f"{self._transport.name}.deliver_many must be an async generator"
                raise ConfigError(words, stage=Stage.SETTINGS, hint="Write 'async def' and 'yield [outcome]'")
            try:
                async for outcomes in nested(stream):
                    try:
                        together = source.matched(outcomes, self._transport.name)
                    except _Unusable as fault:
                        log.error("%s; its stream is ended", fault)
                        yield source.in_doubt(str(fault))
                        return
                    failures = 0
                    yield together
            except Exception as error:
                if source.is_broken:
                    raise
                failure, failures = error, failures + 1
            finally:
                if hasattr(stream, "aclose"):
                    with suppress(Exception):  # it goes on, or raises, when it is closed
                        await stream.aclose()
            if failure is not None:
                yield source.failed(f"{self._transport.name}.deliver_many", failure)
                if failures == _MOST_FAILURES:
                    log.error("%s.deliver_many raises each time; its stream is ended", self._transport.name)
                    return
                continue
            if source.in_flight:
                words = f"{self._transport.name} ended the stream before it had reported all messages"
                yield source.in_doubt(words, "Its deliver_many must yield an outcome for each")
            if not source.was_ignored:
                return
            self._warn()

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "%s.deliver_many ignores None among the mails: it must yield the outcomes of all mails before it. Its "
                "stream is ended and begun again each time",
                self._transport.name,
            )


class _Unusable(Exception):
    """What a stream has yielded is no list of outcomes for what it has read."""


class _Source:
    """Messages that are handed out, and those without an outcome."""

    def __init__(self, mails: AsyncIterator[Mail | None]) -> None:
        self._mails = mails
        self.in_flight: deque[Mail] = deque()
        self.is_over = False
        self.is_broken = False
        """True if reading the messages has raised, which is no failure of the transport."""
        self.was_ignored = False
        """True if the transport asked for another mail after None, without the outcomes of those before it. The stream
        ends then: the session waits for these outcomes and has no other mail, so that the transport would spin."""

    async def until_ignored(self) -> AsyncGenerator[Mail | None, None]:
        while not self.was_ignored:
            try:
                mail = await anext(self._mails)
            except StopAsyncIteration:
                self.is_over = True
                return
            except BaseException:
                self.is_broken = True
                raise
            if mail is not None:
                self.in_flight.append(mail)
            yield mail
            self.was_ignored = mail is None and bool(self.in_flight)

    def matched(self, outcomes: Any, name: str) -> list[Outcome]:
        """Return the outcomes, checked, of the oldest messages in flight."""
        if not isinstance(outcomes, list | tuple):
            raise _Unusable(f"{name}.deliver_many yielded {_a(outcomes)}, not a list of outcomes")
        if len(outcomes) > len(self.in_flight):
            raise _Unusable(f"{name}.deliver_many yielded more outcomes than it had read messages")
        return [checked(outcome, self.in_flight.popleft().envelope, name) for outcome in outcomes]

    def failed(self, method: str, cause: Exception) -> list[Outcome]:
        """Return the outcomes of the messages in flight when the stream raised."""
        outcomes = [
            mail.known or raised(method, mail.envelope, RecipientStatus.UNKNOWN, cause) for mail in self.in_flight
        ]
        self.in_flight.clear()
        return outcomes

    def in_doubt(self, words: str, hint: str = _HINT) -> list[Outcome]:
        """Return the outcomes of the messages in flight, which are not any more."""
        outcomes = [_in_doubt(mail.envelope, words, hint) for mail in self.in_flight]
        self.in_flight.clear()
        return outcomes


def checked(outcome: Any, envelope: Envelope, name: str) -> Outcome:
    """Return the outcome with one result for each recipient of the envelope, in its order; ``UNKNOWN`` where there was
    none, or two that differ. ``name`` is the transport's, for the error."""
    if (fault := _fault(outcome)) is not None:
        return _in_doubt(envelope, f"{name} returned {fault}")
    results: dict[str, RecipientResult] = {}
    twofold = {
        one.address for one in outcome.recipients if results.setdefault(one.address, one).status is not one.status
    }
    lost = [address for address in envelope.addresses if address not in results or address in twofold]
    whole = tuple(
        RecipientResult(address, RecipientStatus.UNKNOWN) if address in lost else results[address]
        for address in envelope.addresses
    )
    error: SMTPError | None = outcome.error
    if lost:
        names = ", ".join(lost[:3]) + (", …" if len(lost) > 3 else "")
        error = OutcomeUnknown(f"{name} returned no clear result for {names}", stage=Stage.CONTENT, hint=_HINT)
        error.__cause__ = outcome.error
    elif all(one.status is RecipientStatus.ACCEPTED for one in whole):
        error = None
    elif error is None:
        in_doubt = any(one.status is RecipientStatus.UNKNOWN for one in whole)
        words = f"{name} did not deliver the message, and did not say why"
        error = OutcomeUnknown(words, stage=Stage.CONTENT) if in_doubt else SMTPError(words)
    return Outcome(whole, outcome.reply, error, outcome.tls)


def _fault(outcome: Any) -> str | None:
    """Return what is wrong with the types in an outcome; None if nothing is."""
    if not isinstance(outcome, Outcome):
        return f"{_a(outcome)}, not an Outcome"
    for one in outcome.recipients if isinstance(outcome.recipients, tuple | list) else [None]:
        if not isinstance(one, RecipientResult):
            return "an Outcome whose recipients are not RecipientResults"
        if not isinstance(one.status, RecipientStatus):
            return f"a status that is {_a(one.status)}, not a RecipientStatus"
        if one.reply is not None and not isinstance(one.reply, Reply):
            return f"a reply that is {_a(one.reply)}, not a Reply"
    if outcome.reply is not None and not isinstance(outcome.reply, Reply):
        return f"a reply that is {_a(outcome.reply)}, not a Reply"
    if outcome.error is not None and not isinstance(outcome.error, SMTPError):
        return f"an error that is {_a(outcome.error)}, not an SMTPError"
    return None


def _a(value: object) -> str:
    kind = type(value).__name__
    return "nothing" if value is None else f"{'an' if kind[0] in 'AEIOaeiou' else 'a'} {kind}"


def _in_doubt(envelope: Envelope, words: str, hint: str = _HINT) -> Outcome:
    error = OutcomeUnknown(words, stage=Stage.CONTENT, hint=hint)
    return Outcome.of(envelope.addresses, RecipientStatus.UNKNOWN, error=error)
