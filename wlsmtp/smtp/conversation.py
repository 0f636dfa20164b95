"""From nothing to a connection that takes mail, and back: connect, greeting, EHLO, TLS … QUIT (RFC 5321, 3207)."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.config import Security
from wlsmtp.errors import (
    CommandRefused,
    ConnectionFailed,
    DeadlineExceeded,
    ProtocolError,
    SMTPError,
    Stage,
    TLSError,
)
from wlsmtp.events import Connected
from wlsmtp.smtp.authentication import ExchangeCut, authenticate
from wlsmtp.smtp.link import Link
from wlsmtp.smtp.plan import Planner
from wlsmtp.smtp.quirks import Trust
from wlsmtp.smtp.refused_login import refuse_again, secret_of
from wlsmtp.smtp.window import Window, is_closing
from wlsmtp.wire import command
from wlsmtp.wire.extensions import Capabilities, parse_ehlo

if TYPE_CHECKING:
    from wlsmtp.config import SessionConfig
    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO, Stream, TLSInfo
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.plan import Plan
    from wlsmtp.smtp.quirks import ServerQuirks
    from wlsmtp.smtp.transaction import Transaction
    from wlsmtp.wire.reply import Reply

LONG_IDLE = 1.0
"""Seconds after which a connection may have died without a sign: the next message asks before it sends content."""

FEW = 3
"""Senders that may share a connection before the server was seen to take several messages at once."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What ``verify`` found: the server, how the connection is secured, who is logged in, what is offered."""

    server: str
    name: str
    """The name by which the server introduced itself."""
    tls: TLSInfo | None
    username: str | None
    """The user that was authenticated; None without authentication, or when only the server knows the name."""
    capabilities: Capabilities
    mechanism: str | None = None
    """The SASL mechanism that authenticated the user; None without authentication."""


class Connection:
    """A link that is greeted, secured and authenticated: ready for transactions."""

    def __init__(self, link: Link, info: ServerInfo, config: SessionConfig, io: IO, quirks: ServerQuirks) -> None:
        self.link = link
        self.info = info
        self.messages = 0
        """Transactions begun over this connection."""
        self.users = 0
        """Senders that it is lent to."""
        self.is_one_too_many = False
        """Whether the server has said over it that there are too many connections, or too much mail."""
        self.opened_at = self.idle_since = io.now()
        self.planner = Planner(
            info.capabilities,
            config.pipelining,
            quirks,
            server=config.address,
            all_or_nothing=config.partial == "abort",
            is_lmtp=config.is_lmtp,
        )
        self.window = Window(link, self.planner, config.pipelining, quirks, io)
        self._config = config
        self._io = io
        self._quirks = quirks
        self._heard_when_kept: int | None = None
        self._lay_idle = False
        limits = (config.pool.max_messages, info.capabilities.limit("MAILMAX"))
        self._max_messages = min((limit for limit in limits if limit), default=None)

    @property
    def is_reusable(self) -> bool:
        """Whether nothing speaks against another message, without asking the server."""
        return self.link.is_usable and self.window.is_empty and not self.window.must_end

    @property
    def is_spent(self) -> bool:
        """Whether it must not carry another message: it has had as many as it may have, or the server does not go on
        with it."""
        found = self._quirks.max_messages
        if self.window.must_end or (found is not None and self.messages >= found):
            return True
        return self._max_messages is not None and self.messages >= self._max_messages

    @property
    def was_kept(self) -> bool:
        """Whether it has lain idle since it was opened."""
        return self._heard_when_kept is not None

    @property
    def went_stale(self) -> bool:
        """Whether it had lain idle and has not been heard of since, so that the server may have closed it before."""
        return self._heard_when_kept == self.link.heard

    def retire(self) -> None:
        """It takes no more messages."""
        self._max_messages = 0

    @property
    def has_delivered(self) -> bool:
        """Whether it has delivered a message."""
        return self.window.has_delivered

    @property
    def has_settled(self) -> bool:
        """Whether it has answered a message in full, with whatever result."""
        return self.window.settled > 0

    @property
    def is_closing(self) -> bool:
        """Whether the server has announced that it ends the connection."""
        return self.link.farewell is not None

    def keep(self, now: float) -> None:
        """It lies idle from now on."""
        self.idle_since, self._heard_when_kept = now, self.link.heard

    def resume(self, now: float) -> None:
        """It is used again."""
        self._lay_idle = now - self.idle_since > LONG_IDLE
        if self._lay_idle:
            self.window.settled_when_idle = self.window.settled

    def has_room(self, size: int) -> bool:
        """Whether one more sender may use it beside the others, with a message of so many octets."""
        trust = self.planner.window_trust
        if not self.planner.may_group or trust is Trust.BROKEN:
            return False
        if self.is_spent or (self._max_messages is not None and self.messages + self.users >= self._max_messages):
            return False
        most = self._config.pipelining.max_in_flight if trust is Trust.PROVEN else FEW
        return self.users < most and self.window.has_room(size)

    def plan(self, envelope: Envelope, content: Content, *, expects_more: bool) -> Plan:
        """How to send a message here. Raises ``MessageError`` or ``ExtensionMissing`` before a command is sent."""
        may_be_dead = self._lay_idle and self.went_stale
        return self.planner.plan(envelope, content, may_be_dead=may_be_dead, expects_more=expects_more)

    def add(self, plan: Plan) -> Transaction:
        """Let a message follow those in flight."""
        self.messages += 1
        return self.window.add(plan)

    async def noop(self, deadlines: Deadlines) -> None:
        """Ask whether the server is still there. Any reply shows that it is, as some servers do not know NOOP; raises
        ``CommandRefused`` for one that ends the connection."""
        reply = await self.link.ask(Stage.NOOP, command.NOOP, deadlines("command"))
        _check_in_place(self.link, Stage.NOOP, reply)
        if is_closing(reply):
            raise CommandRefused("The server ends the connection", stage=Stage.NOOP, reply=reply)
        if reply.is_positive:
            self._quirks.noop = Trust.PROVEN
        elif reply.is_permanent:
            self._quirks.noop = Trust.BROKEN

    async def quit(self, deadlines: Deadlines) -> None:
        """Take leave. Never raises: nothing depends on the answer, and mail that was acknowledged stays so."""
        try:
            if self.link.is_usable and not self.link.stream.has_input():
                await self.link.ask(Stage.QUIT, command.QUIT, deadlines("quit"))
        except SMTPError:
            pass
        finally:
            await self.link.close()


async def open_connection(
    io: IO, config: SessionConfig, announce: Announcer, deadlines: Deadlines, quirks: ServerQuirks
) -> Connection:
    """Connect and go through the whole opening. Raises the error of the stage that failed."""
    refuse_again(secret_of(config), quirks, io.now())
    while True:
        try:
            return await _open(io, config, announce, deadlines, quirks)
        except ExchangeCut:  # one mechanism less each time
            continue
        except SMTPError:
            raise
        except Exception as error:  # of a connector, for one; no message is in doubt because of it
            words = f"The connection to {config.address} could not be opened ({type(error).__name__})"
            failure = ConnectionFailed(words, stage=Stage.CONNECT, hint="The error's __cause__ says more")
            failure.is_lasting = True
            raise failure from error


async def _open(
    io: IO, config: SessionConfig, announce: Announcer, deadlines: Deadlines, quirks: ServerQuirks
) -> Connection:
    stream = await _connect(io, config, deadlines)
    link = Link(stream, config.address, f"#{next(_numbers)}", announce)
    try:
        opening = _Opening(link, config, deadlines)
        await opening.greet()
        login = await authenticate(link, config, opening.capabilities, io, deadlines, quirks)
    except BaseException as error:
        link.end(type(error).__name__)
        await stream.close()
        raise
    info = ServerInfo(
        config.address, opening.capabilities.name, stream.tls, login.username, opening.capabilities, login.mechanism
    )
    announce(Connected(
        link.name, info.server, str(info.tls) if info.tls else None, info.username, info.capabilities,
        resumed=info.tls is not None and info.tls.resumed,
    ))  # fmt: skip
    return Connection(link, info, config, io, quirks)


async def _connect(io: IO, config: SessionConfig, deadlines: Deadlines) -> Stream:
    try:
        if config.is_unix:
            return await io.connect_unix(config.server, deadlines("connect"))
        return await io.connect(config.server, config.port, deadlines("connect"), config.network, config.proxy)
    except SMTPError:
        raise
    except TimeoutError as error:
        way = f" through the proxy {config.proxy}" if config.proxy else ""
        words = f"{config.address} could not be reached{way} in time"
        raise DeadlineExceeded(words, stage=Stage.CONNECT, hint=_firewall_hint(config)) from error
    except (OSError, UnicodeError) as error:
        raise _unreachable(config, error) from error


def _unreachable(config: SessionConfig, error: OSError | UnicodeError) -> ConnectionFailed:
    # The classes of the resolver's errors live in the socket module, which only io/ may import: names tell enough.
    if isinstance(error, UnicodeError) or type(error).__name__ == "gaierror":
        failure = ConnectionFailed(
            f"The server name {config.server!r} could not be resolved ({getattr(error, 'strerror', error)})",
            stage=Stage.CONNECT,
            hint="Check the spelling of the server name, and the DNS of this machine",
        )
        # "Temporary failure in name resolution" comes back; a name that does not exist will not exist in a second.
        failure.is_lasting = isinstance(error, UnicodeError) or "emporary" not in str(error.strerror)
        return failure
    # asyncio puts its own words into strerror.
    why = os.strerror(error.errno) if error.errno else str(error)
    words = f"{config.address} could not be reached ({why})"
    if isinstance(error, ConnectionRefusedError):
        hint = f"Nothing listens there: check the server and the port (now {config.port}; customary: 587, 465, 25)"
        return ConnectionFailed(words, stage=Stage.CONNECT, hint=hint if not config.is_unix else None)
    return ConnectionFailed(words, stage=Stage.CONNECT, hint=_firewall_hint(config))


def _firewall_hint(config: SessionConfig) -> str | None:
    if config.is_unix:
        return None
    hint = f"Check that no firewall blocks port {config.port}"
    if config.port == 25:
        hint += "; many networks block port 25 for all but mail servers: try 587 with security='tls'"
    return hint


class _Opening:
    """The opening of one connection."""

    def __init__(self, link: Link, config: SessionConfig, deadlines: Deadlines) -> None:
        self._link = link
        self._config = config
        self._deadlines = deadlines
        self.capabilities = Capabilities()

    async def greet(self) -> None:
        """Everything up to authentication."""
        if self._config.security is Security.SSL:
            await self._secure()
        greeting = await self._link.reply(self._link.expect(Stage.GREETING), self._deadlines("greeting"))
        _check_in_place(self._link, Stage.GREETING, greeting)
        if not greeting.is_positive:
            raise self._link.refused_at_greeting(greeting)
        await self._introduce()
        if self._config.security is Security.TLS or self._may_upgrade():
            await self._start_tls()
        tls = self._link.stream.tls
        if tls is not None:
            self._link.stream.keep_tls_session()
        if tls is None or not tls.verified:
            # The promise is worth nothing when anybody may have made it (RFC 8689 §4.2.1).
            self.capabilities = self.capabilities.without("REQUIRETLS")

    def _may_upgrade(self) -> bool:
        wanted = self._config.security is Security.DEFAULT and self._config.opportunistic_tls
        return wanted and "STARTTLS" in self.capabilities and not self._config.is_unix

    async def _ask(self, stage: Stage, line: bytes) -> Reply:
        reply = await self._link.ask(stage, line, self._deadlines("command"))
        _check_in_place(self._link, stage, reply)
        return reply

    async def _introduce(self) -> None:
        """EHLO, or HELO for a server that knows no EHLO (RFC 5321 §3.2); for LMTP, LHLO and nothing else."""
        name = self._config.local_hostname or _address_literal(self._link.stream.local_ip)
        hello = command.lhlo(name) if self._config.is_lmtp else command.ehlo(name)
        reply = await self._ask(Stage.EHLO, hello)
        if reply.is_permanent and not self._config.is_lmtp:
            reply = await self._ask(Stage.EHLO, command.helo(name))
        if not reply.is_positive:
            hint = "Set local_hostname to the DNS name of this machine" if reply.is_permanent else None
            verb = "LHLO" if self._config.is_lmtp else "EHLO"
            raise CommandRefused(f"The server refused {verb} {name}", stage=Stage.EHLO, reply=reply, hint=hint)
        self.capabilities = parse_ehlo(reply)

    async def _start_tls(self) -> None:
        if "STARTTLS" not in self.capabilities:
            raise TLSError(
                f"{self._config.address} does not offer STARTTLS, and security='tls' needs it",
                stage=Stage.STARTTLS,
                hint="If it offered it before, somebody may be interfering; on port 465 use security='ssl'",
            )
        reply = await self._ask(Stage.STARTTLS, command.STARTTLS)
        if not reply.is_positive:
            hint = "With security='default', opportunistic_tls=False goes on without TLS"
            raise TLSError(
                "The server refused STARTTLS after offering it", stage=Stage.STARTTLS, reply=reply, hint=hint
            )
        await self._secure()
        # Whatever was said in the clear may have been an attacker's word (RFC 3207 §4.2).
        self.capabilities = Capabilities()
        await self._introduce()

    async def _secure(self) -> None:
        tls = self._config.tls
        await self._link.start_tls(tls, tls.server_hostname or self._config.server, self._deadlines("tls"))


def _check_in_place(link: Link, stage: Stage, reply: Reply) -> None:
    """Raise ``ProtocolError`` for a 3xx reply, which asks for more where there is nothing more to send."""
    if reply.code // 100 == 3:
        link.end("a reply out of place")
        words = f"{link.server} sent a reply that is no answer to {stage}"
        if stage is Stage.GREETING:
            words = f"{link.server} sent a reply that is no greeting"
        raise ProtocolError(words, stage=stage, reply=reply)


def _address_literal(ip: str | None) -> str:
    """The name of a client without a DNS name (RFC 5321 §4.1.3), which needs no look-up and gives no host name away."""
    if ip is None:  # behind a proxy, where no name of this machine is to be given away
        return "[127.0.0.1]"
    return f"[IPv6:{ip.partition('%')[0]}]" if ":" in ip else f"[{ip}]"
