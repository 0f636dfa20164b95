"""Opens a connection that accepts mail: connect, greeting, EHLO, STARTTLS, AUTH (RFC 5321 §3.1, RFC 3207, RFC 4954)."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from wlsmtp.errors import (
    NOTHING_SENT,
    CommandRefused,
    ConnectionFailed,
    DeadlineExceeded,
    ProtocolError,
    SMTPError,
    Stage,
    TLSError,
)
from wlsmtp.events import Connected
from wlsmtp.presets import PRESETS, preset_of
from wlsmtp.settings.config import Security
from wlsmtp.smtp import learning
from wlsmtp.smtp.authentication import ExchangeCut, authenticate
from wlsmtp.smtp.connection import Connection, ServerInfo, check_in_place
from wlsmtp.smtp.expectation import EarlyReply
from wlsmtp.smtp.hints import advise
from wlsmtp.smtp.hints.row import Scene
from wlsmtp.smtp.link import Link
from wlsmtp.smtp.refused_login import refuse_again, secret_of
from wlsmtp.smtp.silence import wait_for_greeting
from wlsmtp.wire import command
from wlsmtp.wire.extensions import Capabilities, parse_ehlo
from wlsmtp.wire.reply import printable

if TYPE_CHECKING:
    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO, Stream
    from wlsmtp.results.reply import Reply
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.quirks import ServerQuirks

_numbers = itertools.count(1)

_EARLY_TIMEOUT = 10.0
"""Seconds to wait for the reply to EHLO after another one came with the greeting."""
_DONE, _CLOSING = 250, 421


async def open_connection(
    io: IO, config: SessionConfig, announce: Announcer, deadlines: Deadlines, quirks: ServerQuirks
) -> Connection:
    """Connect and complete the opening. Raises the error of the stage that failed."""
    refuse_again(secret_of(config), quirks, io.now())
    while True:
        try:
            return await _open(io, config, announce, deadlines, quirks)
        except ExchangeCut:  # each round excludes one more mechanism
            continue
        except SMTPError as error:
            error.name_server(config.address)
            _mention_preset(error, config)
            raise
        except Exception as error:  # a bug, or an exception from a signal handler; it puts no message in doubt
            error.add_note(NOTHING_SENT)
            raise


async def _open(
    io: IO, config: SessionConfig, announce: Announcer, deadlines: Deadlines, quirks: ServerQuirks
) -> Connection:
    began = io.now()
    stream = await _connect(io, config, deadlines)
    link = Link(stream, config.address, f"#{next(_numbers)}", announce)
    if quirks.secret is not None:
        link.mask(quirks.secret)
    opening = _Opening(link, config, deadlines, io, began)
    try:
        await opening.greet(quirks)
        login = await authenticate(link, config, opening.capabilities, io, deadlines, quirks)
        if login.mechanism is not None:
            opening.ends(Stage.AUTH)
        info = ServerInfo(
            config.address, opening.capabilities.name, stream.tls, login.username, opening.capabilities, login.mechanism
        )
        link.emit_events()
        announce(Connected(
            link.name, info.server, str(info.tls) if info.tls else None, info.username, info.capabilities,
            resumed=info.tls is not None and info.tls.resumed, stages=tuple(opening.stages),
        ))  # fmt: skip
    except BaseException as error:
        if isinstance(error, SMTPError):
            advise(error, Scene((config.server, opening.capabilities.name), stream.tls is not None), config.address)
        link.end(type(error).__name__)
        try:
            await stream.close()
        finally:
            link.emit_events()
        raise
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
    except Exception as error:
        if config.network.connector is None:
            raise
        raise _connector_failed(config, error) from error


def _mention_preset(error: SMTPError, config: SessionConfig) -> None:
    """Name the preset when the login fails at a known provider whose port or security differ from the settings. Not
    where the server has refused the login itself, which the preset would not change."""
    preset = preset_of(config.server)
    if (
        preset is None
        or not config.logs_in
        or config.is_unix
        or (error.stage is Stage.AUTH and error.reply is not None)
    ):
        return
    if (config.port, config.security) in ((587, Security.TLS), (587, Security.DEFAULT), (465, Security.SSL)):
        return
    entry = PRESETS[preset]
    words = f'SMTPSession.from_preset("{preset}", …) uses port {entry["port"]} with security="{entry["security"]}"'
    error.hint = f"{error.hint.rstrip('.')}. {words}" if error.hint else words


def _connector_failed(config: SessionConfig, error: Exception) -> ConnectionFailed:
    words = f"The connection to {config.address} could not be opened: the connector failed ({type(error).__name__})"
    failure = ConnectionFailed(words, stage=Stage.CONNECT, hint="The error's __cause__ says more")
    failure.is_lasting = True
    return failure


def _unreachable(config: SessionConfig, error: OSError | UnicodeError) -> ConnectionFailed:
    # The resolver's error classes live in the socket module, which only io/ may import; their names are enough.
    if isinstance(error, UnicodeError) or type(error).__name__ == "gaierror":
        failure = ConnectionFailed(
            f"The server name {config.server!r} could not be resolved ({getattr(error, 'strerror', error)})",
            stage=Stage.CONNECT,
            hint="Check the spelling of the server name, and the DNS of this machine",
        )
        # "Temporary failure in name resolution" goes away; a name that does not exist will not exist in a second.
        failure.is_lasting = isinstance(error, UnicodeError) or "emporary" not in str(error.strerror)
        return failure
    # asyncio replaces strerror with its own text.
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

    def __init__(self, link: Link, config: SessionConfig, deadlines: Deadlines, io: IO, began: float) -> None:
        self._link = link
        self._config = config
        self._deadlines = deadlines
        self._io = io
        self.capabilities = Capabilities()
        self.stages: list[tuple[Stage, float]] = []
        """How long each took, in seconds."""
        self._since = began
        self.ends(Stage.CONNECT)

    def ends(self, stage: Stage) -> None:
        """Note how long a stage took that ends here."""
        self._since, began = self._io.now(), self._since
        self.stages.append((stage, self._since - began))

    async def greet(self, quirks: ServerQuirks) -> None:
        """Do everything up to authentication."""
        if self._config.security is Security.SSL:
            await self._secure()
        expected, deadline = self._link.expect(Stage.GREETING), self._deadlines("greeting")
        await wait_for_greeting(self._link, deadline, self._io, self._config, quirks)
        greeting = await self._link.reply(expected, deadline)
        check_in_place(self._link, Stage.GREETING, greeting)
        if not greeting.is_positive:
            raise self._link.refused_at_greeting(greeting)
        await self._link.early_reply(deadline)
        learning.from_wording(quirks, Stage.GREETING, greeting)
        self.ends(Stage.GREETING)
        learning.from_wording(quirks, Stage.EHLO, await self._introduce())
        if self._config.security is Security.TLS or self._may_upgrade():
            await self._start_tls()
        tls = self._link.stream.tls
        if tls is not None:
            self._link.stream.keep_tls_session()
        if tls is None or not tls.verified:
            # The promise is worthless if an attacker may have made it (RFC 8689 §4.2.1).
            self.capabilities = self.capabilities.without("REQUIRETLS")

    def _may_upgrade(self) -> bool:
        wanted = self._config.security is Security.DEFAULT and self._config.opportunistic_tls
        return wanted and "STARTTLS" in self.capabilities and not self._config.is_unix

    async def _ask(self, stage: Stage, line: bytes) -> Reply:
        reply = await self._link.ask(stage, line, self._deadlines("command"))
        check_in_place(self._link, stage, reply)
        return reply

    async def _ask_after(self, early: Reply, hello: bytes) -> Reply:
        """Return the reply to EHLO from a server that has sent ``early`` with its greeting. That may be the reply, or
        one too many. Raises ``ProtocolError`` if it is neither."""
        link, deadline = self._link, min(self._deadlines("command"), self._io.now() + _EARLY_TIMEOUT)
        if link.wants_lines():
            link.show(f"{printable(hello.rstrip())}, HELP (which command does the early reply answer?)")
        link.queue_expecting(hello + command.HELP, probe := EarlyReply())
        await link.flush(deadline)
        last = await link.reply(probe, deadline)
        check_in_place(link, Stage.EHLO, last)
        if len(probe.replies) > 1 or last.code == _CLOSING:
            return probe.replies[0]
        if early.code != _DONE:
            link.end("a reply out of place")
            words = f"{link.server} sent a reply with its greeting that answers nothing"
            raise ProtocolError(words, stage=Stage.GREETING, reply=early)
        return early

    async def _introduce(self) -> Reply:
        """Send EHLO, or HELO to a server that does not know EHLO (RFC 5321 §3.2); for LMTP only LHLO. Returns the
        reply."""
        name = self._config.local_hostname or _address_literal(self._link.stream.local_ip)
        hello = command.lhlo(name) if self._config.is_lmtp else command.ehlo(name)
        early, self._link.early = self._link.early, None
        reply = await (self._ask(Stage.EHLO, hello) if early is None else self._ask_after(early, hello))
        if reply.is_permanent and not self._config.is_lmtp:
            reply = await self._ask(Stage.EHLO, command.helo(name))
        if not reply.is_positive:
            verb = "LHLO" if self._config.is_lmtp else "EHLO"
            raise CommandRefused(f"{self._config.address} refused {verb} {name}", stage=Stage.EHLO, reply=reply)
        self.capabilities = parse_ehlo(reply)
        self.ends(Stage.EHLO)
        return reply

    async def _start_tls(self) -> None:
        if "STARTTLS" not in self.capabilities:
            raise TLSError(
                f"{self._config.address} does not offer STARTTLS, and security='tls' needs it",
                stage=Stage.STARTTLS,
                hint="If it did before, someone may be interfering; on port 465 use security='ssl'",
            )
        reply = await self._ask(Stage.STARTTLS, command.STARTTLS)
        if not reply.is_positive:
            hint = None
            if self._config.security is Security.DEFAULT:
                hint = "opportunistic_tls=False continues without TLS, where anyone on the path can read the mail"
            words = f"{self._config.address} refused STARTTLS after offering it"
            raise TLSError(words, stage=Stage.STARTTLS, reply=reply, hint=hint)
        await self._secure()
        # Anything received in plain text may have come from an attacker (RFC 3207 §4.2).
        self.capabilities = Capabilities()
        await self._introduce()

    async def _secure(self) -> None:
        tls = self._config.tls
        await self._link.start_tls(tls, self._config.certificate_name, self._deadlines("tls"))
        self.ends(Stage.TLS)


def _address_literal(ip: str | None) -> str:
    """Return the name of a client without a DNS name (RFC 5321 §4.1.3). It needs no look-up and reveals no host
    name."""
    if ip is None:  # behind a proxy, where the name of this machine must not be revealed
        return "[127.0.0.1]"
    return f"[IPv6:{ip.partition('%')[0]}]" if ":" in ip else f"[{ip}]"
