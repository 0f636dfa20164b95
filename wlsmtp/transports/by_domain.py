"""A routing table: the domain of a recipient selects its transport."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from wlsmtp.errors import ConfigError, MessageError, SMTPError, Stage
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import Outcome, RecipientStatus
from wlsmtp.results.statistics import PoolStatistics
from wlsmtp.settings.urls import URL, wrong
from wlsmtp.smtp.connection import ServerInfo
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.audit import audited
from wlsmtp.transports.base import Context, Transport, noting
from wlsmtp.transports.members import close_all, total
from wlsmtp.transports.registry import Given, make_transport
from wlsmtp.wire.address import Address, parse_address

ANY = "*"


class ByDomainTransport(Transport):
    """Splits the recipients by domain, gives each part to its transport, and combines the outcomes.

    URL: ``by_domain(example.org=lmtp+unix:///run/lmtp.sock, .example.net=smtp://a, *=smtp://b)``.
    """

    def __init__(self, routes: Mapping[str, Given]) -> None:
        """A route is ``example.org`` (that domain), ``.example.org`` (all subdomains, at any depth) or ``*`` (all
        others); the longest match counts. Each leads to a ``Transport``, a URL or a ``SessionConfig``. A recipient
        without a route is not sent to, which the receipt says."""
        if not routes:
            raise ConfigError("routes: needs at least one", stage=Stage.SETTINGS)
        self._sources = {_normal(domain): source for domain, source in routes.items()}
        self._routes: dict[str, Transport] = {}

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """Create it from its URL; see the class."""
        url.expect("members")
        if not all(member.label for member in url.members):
            raise wrong("url: each URL of by_domain(…) needs its domain, as in example.org=smtp://a, or *=smtp://b")
        routes = {member.label: member.url for member in url.members}
        if len(routes) < len(url.members):
            raise wrong("url: a domain of by_domain(…) is given twice")
        return cls(routes)

    def attach(self, context: Context) -> None:
        """Become the transport of one session. Raises ``ConfigError`` if all or nothing is required: several servers
        cannot promise that."""
        super().attach(context)
        if context.config.partial == "abort":
            raise ConfigError("partial: 'abort' cannot be combined with by_domain", stage=Stage.SETTINGS)
        made = {domain: make_transport(source, context) for domain, source in self._sources.items()}
        one_each = {id(transport): audited(transport) for transport in made.values()}
        self._routes = {domain: one_each[id(transport)] for domain, transport in made.items()}
        self.says_options: bool = all(transport.says_options for transport in self._routes.values())

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """Deliver each part by its route."""
        outcome = Outcome.of(envelope.addresses, RecipientStatus.NOT_SENT)
        parts, done = self._parts(envelope), list[Outcome]()
        for number, (transport, addresses) in enumerate(parts):
            part = envelope.only(addresses)
            if transport is None:
                result = _without_route(part)
            else:
                share = deadlines.share(len(parts) - number)
                with noting(envelope, part, done, share, deadlines):
                    result = await transport.deliver(part, content, share)
            if len(parts) == 1:
                return result
            outcome = outcome.updated_by(result)
            done.append(result)
        return outcome

    def _parts(self, envelope: Envelope) -> list[tuple[Transport | None, list[Address]]]:
        parts: dict[int, tuple[Transport | None, list[Address]]] = {}
        for address in envelope.recipients:
            transport = self._route(address.wire_domain.lower())
            parts.setdefault(id(transport), (transport, []))[1].append(address)
        return list(parts.values())

    def _route(self, domain: str) -> Transport | None:
        if domain in self._routes:
            return self._routes[domain]
        labels = domain.split(".")
        above = ("." + ".".join(labels[start:]) for start in range(1, len(labels)))
        return next((self._routes[suffix] for suffix in above if suffix in self._routes), self._routes.get(ANY))

    @property
    def serves_local_names(self) -> bool:
        """True if the default route does."""
        others = self._routes.get(ANY)
        return others is not None and others.serves_local_names

    @property
    def statistics(self) -> PoolStatistics | None:
        """The sum over all routes."""
        return total(self._routes.values())

    async def open(self, deadlines: Deadlines) -> None:
        """Open all routes."""
        for transport in self._routes.values():
            await transport.open(deadlines)

    async def close(self, deadlines: Deadlines) -> None:
        """Close all routes. Raises the first error, when all are closed."""
        await close_all(self._routes.values(), deadlines)

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Check all routes; return the result of the last one."""
        infos = [await transport.verify(deadlines) for transport in self._routes.values()]
        return infos[-1]


def _normal(domain: str) -> str:
    """Return a domain for look-up: in ASCII and lower case. Raises ``ConfigError``."""
    if domain == ANY:
        return domain
    dot = "." if domain.startswith(".") else ""
    try:
        return dot + parse_address(f"x@{domain.removeprefix('.')}").wire_domain.lower()
    except SMTPError as error:
        raise ConfigError(f"routes: {error.message}", stage=Stage.SETTINGS) from error


def _without_route(envelope: Envelope) -> Outcome:
    names = ", ".join(envelope.addresses[:3]) + (", …" if len(envelope.recipients) > 3 else "")
    hint = "Give a route for the domain, or one for all others: *"
    error = MessageError(f"No route leads to {names}", stage=Stage.MESSAGE, hint=hint)
    return Outcome.of(envelope.addresses, RecipientStatus.NOT_SENT, error=error)
