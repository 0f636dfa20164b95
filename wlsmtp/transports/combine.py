"""Several transports as one: the next is tried if one fails (``failover``), or they take turns (``roundrobin``).

What is certainly not delivered goes to the next: recipients that were not served, or refused temporarily (4xx).
Permanent refusals (5xx) are not tried elsewhere, and what is in doubt is not sent twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from itertools import cycle
from typing import Self

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.events import Attempted
from wlsmtp.io.nested import nested
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mail import Mail
from wlsmtp.receipt import Outcome, RecipientResult, RecipientStatus
from wlsmtp.results.statistics import PoolStatistics
from wlsmtp.settings.urls import URL, wrong
from wlsmtp.smtp.connection import ServerInfo
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.audit import audited
from wlsmtp.transports.base import Context, Transport, noting
from wlsmtp.transports.members import Member, Source, close_all, spread, total
from wlsmtp.transports.registry import Given, make_transport
from wlsmtp.wire.extensions import Capabilities

RETRY_AFTER = 60.0
"""Seconds for which a transport that is down is not used."""
MAX_WEIGHT = 100


class FailoverTransport(Transport):
    """Delivers by the first transport that is not down; what it does not deliver goes to the next.

    URL: ``failover(smtp://a, smtp://b)``, with ``?retry_after=60`` seconds.
    """

    def __init__(self, *transports: Given, retry_after: float = RETRY_AFTER) -> None:
        """Each is a ``Transport``, a URL, or a ``SessionConfig``. URLs of servers use the settings of the session, and
        its user unless they have one. A transport that is down is not used for ``retry_after`` seconds, and then probed
        with one message; if all are down, all are tried."""
        if not transports:
            raise ConfigError(f"{type(self).__name__}: needs at least one transport", stage=Stage.SETTINGS)
        self._sources = transports
        self._retry_after = retry_after
        self._members: tuple[Member, ...] = ()

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """Create it from its URL; see the class."""
        url.expect("members", options=("retry_after",))
        if any(member.label for member in url.members):
            raise wrong(f"url: nothing may stand before the URLs of {url.scheme}(…)")
        urls = [member.url for member in url.members]
        return cls(*urls, retry_after=url.number("retry_after", RETRY_AFTER))

    def attach(self, context: Context) -> None:
        """Become the transport of one session, with all members."""
        super().attach(context)
        self._announce = context.announce
        self._all_or_nothing = context.config.all_or_nothing
        self._members = tuple(
            Member(audited(make_transport(source, context)), self._retry_after) for source in self._sources
        )
        self.says_options: bool = all(
            member.transport.says_options for member in self._members
        )  # any member may get the message

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """Deliver by the members, one after the other."""
        first, *others = self._candidates()
        first.begin(self.io.now())
        share = deadlines.share(len(others) + 1)  # a silent server uses no more than its share of the time
        with noting(envelope, envelope, (), share, deadlines):
            outcome = await first.transport.deliver(envelope, content, share)
        self._take_note(first, outcome)
        if outcome.error is None:
            return outcome
        return await self._go_on(outcome, Mail(envelope, content), others, deadlines)

    async def deliver_many(
        self, mails: AsyncIterator[Mail | None], deadlines: Callable[[], Deadlines], connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        """Deliver a stream of messages by the first member that is not down, until it is."""
        source = Source(mails)
        while not source.is_over:
            first = self._candidates()[0]
            if first.is_suspected:  # a probe is one message
                mail = await source.next()
                if not source.is_over:
                    yield [] if mail is None else [await self._deliver_mail(mail, deadlines())]
                continue
            source.was_read = False
            stream = first.transport.deliver_many(source.until_suspected(first), deadlines, connections)
            try:
                async for outcomes in nested(stream):
                    mails_done = [source.on_their_way.popleft() for _ in outcomes]
                    for mail, outcome in zip(mails_done, outcomes, strict=True):
                        mail.known = outcome  # if the others are not asked to the end
                    yield [
                        await self._settle(first, outcome, mail, deadlines)
                        for mail, outcome in zip(mails_done, outcomes, strict=True)
                    ]
            finally:
                await stream.aclose()
            if not source.was_read:  # it would end each stream like this one
                first.end(SMTPError(f"{first.transport.name} ended the stream"), self.io.now())

    async def _settle(
        self, member: Member, outcome: Outcome, mail: Mail, deadlines: Callable[[], Deadlines]
    ) -> Outcome:
        """Apply the result of one message of a stream, and continue with the rest of it."""
        self._take_note(member, outcome)
        if outcome.error is None:
            return outcome
        others = [other for other in self._candidates() if other is not member]
        time = deadlines()
        try:
            mail.known = await self._go_on(outcome, mail, others, time)
        except BaseException:
            mail.known = time.known or outcome
            raise
        return mail.known

    def _take_note(self, member: Member, outcome: Outcome) -> None:
        seconds = member.end(outcome.error, self.io.now())
        if outcome.error is not None or self._announce.wants_successes:
            self._announce(Attempted(member.transport.name, outcome, seconds))

    async def _go_on(self, outcome: Outcome, mail: Mail, others: Sequence[Member], deadlines: Deadlines) -> Outcome:
        """Offer the rest of a message to ``others``, one after the other."""
        for number, member in enumerate(others):
            rest = self._still_to_serve(mail.envelope, outcome)
            if rest is None:
                break
            member.begin(self.io.now())
            share = deadlines.share(len(others) - number)
            with noting(mail.envelope, rest, (outcome,), share, deadlines):
                result = await member.transport.deliver(rest, mail.content, share)
            self._take_note(member, result)
            outcome = outcome.updated_by(result)
        return outcome

    def _in_order(self) -> Sequence[Member]:
        """Return the members, the first to try first."""
        return self._members

    def _candidates(self) -> Sequence[Member]:
        members, now = self._in_order(), self.io.now()
        return [member for member in members if not member.is_resting(now)] or members

    def _still_to_serve(self, envelope: Envelope, outcome: Outcome) -> Envelope | None:
        """Return the envelope for the next member; None if no recipient is left."""
        may_go_on = [_may_go_on(result) for result in outcome.recipients]
        if self._all_or_nothing:  # then one permanent refusal means delivery to nobody
            return envelope if all(may_go_on) else None
        waiting = [address for address, may in zip(envelope.recipients, may_go_on, strict=True) if may]
        return envelope.only(waiting) if waiting else None

    @property
    def statistics(self) -> PoolStatistics | None:
        """The sum over all members."""
        return total(member.transport for member in self._members)

    async def open(self, deadlines: Deadlines) -> None:
        """Open all members; one success is enough. Raises the last error if there is none."""
        failures = [error for member in self._members if (error := await _failure_to_open(member, deadlines))]
        if len(failures) == len(self._members):
            raise failures[-1]

    async def close(self, deadlines: Deadlines) -> None:
        """Close all members. Raises the first error, when all are closed."""
        await close_all((member.transport for member in self._members), deadlines)

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Return the result of the first member that works. Raises the last error if none does."""
        members = self._candidates()
        for number, member in enumerate(members, 1):
            try:
                return await member.transport.verify(deadlines)
            except SMTPError:
                if number == len(members):
                    raise
        raise AssertionError("there is at least one member")

    @property
    def serves_local_names(self) -> bool:
        """True if all members do, as any of them may get the message."""
        return all(member.transport.serves_local_names for member in self._members)

    @property
    def capabilities(self) -> Capabilities | None:
        """Those of the first member that knows them."""
        known = (member.transport.capabilities for member in self._members)
        return next((capabilities for capabilities in known if capabilities is not None), None)


class RoundRobinTransport(FailoverTransport):
    """Gives each message to the next transport in turn; what that does not deliver goes on as in ``FailoverTransport``.

    URL: ``roundrobin(3*smtp://a, smtp://b)``, where three of four messages go to ``a``.
    """

    def __init__(
        self, *transports: Given, weights: Sequence[int] | None = None, retry_after: float = RETRY_AFTER
    ) -> None:
        """``weights`` is the number of messages each gets in a round; default 1."""
        super().__init__(*transports, retry_after=retry_after)
        weights = [1] * len(transports) if weights is None else list(weights)
        if len(weights) != len(transports) or not all(1 <= weight <= MAX_WEIGHT for weight in weights):
            words = f"weights: must be one number from 1 to {MAX_WEIGHT} for each transport"
            raise ConfigError(words, stage=Stage.SETTINGS)
        self._turns = cycle(spread(weights))

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """Create it from its URL; see the class."""
        url.expect("members", options=("retry_after",))
        labels = [member.label or "1" for member in url.members]
        if not all(label.isdecimal() for label in labels):
            raise wrong(f"url: only a weight may stand before a URL of {url.scheme}(…), as in 3*smtp://a")
        urls, weights = [member.url for member in url.members], [int(label) for label in labels]
        return cls(*urls, weights=weights, retry_after=url.number("retry_after", RETRY_AFTER))

    deliver_many = Transport.deliver_many  # each message has its own turn

    def _in_order(self) -> Sequence[Member]:
        first = next(self._turns)
        return (*self._members[first:], *self._members[:first])


def _may_go_on(result: RecipientResult) -> bool:
    if result.status is RecipientStatus.REFUSED:
        return result.reply is not None and result.reply.may_pass
    return result.status is RecipientStatus.NOT_SENT


async def _failure_to_open(member: Member, deadlines: Deadlines) -> SMTPError | None:
    try:
        await member.transport.open(deadlines)
    except SMTPError as error:
        return error
    return None
