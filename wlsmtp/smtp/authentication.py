"""AUTH (RFC 4954): choose a mechanism, run its exchange, and try the next one only where that is harmless.

A secret is tested once. The next mechanism is tried only if the failure cannot be about the secret: the reply says that
the mechanism is not supported, or no secret was sent before it. If the connection was lost at that point, the next
mechanism is tried over a new connection. A token that came from a provider and was refused is requested again, and
tried once more if the new token differs.
"""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from wlsmtp.errors import (
    AuthenticationFailed,
    ConfigError,
    ConnectionFailed,
    DeadlineExceeded,
    ProtocolError,
    SMTPError,
    Stage,
)
from wlsmtp.sasl import MECHANISMS, Confirmed, Proof, Secrets, Unusable, choose, mechanism_named
from wlsmtp.sasl.base import NOTHING, unproved
from wlsmtp.sasl.binding import channel_binding
from wlsmtp.smtp import refusal
from wlsmtp.smtp.hints.row import Scene
from wlsmtp.smtp.refused_login import RefusedLogin, own_turn, refuse_again, secret_of
from wlsmtp.smtp.token import fetch_token, renew_token
from wlsmtp.wire import command
from wlsmtp.wire.masking import MASK, Notations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wlsmtp.io.base import IO
    from wlsmtp.results.reply import Reply
    from wlsmtp.sasl import Mechanism
    from wlsmtp.sasl.base import Exchange
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.quirks import ServerQuirks
    from wlsmtp.wire.extensions import Capabilities

_NOT_SUPPORTED = frozenset({500, 502, 503, 504})
"""Replies that say that the mechanism is the problem."""
_NAMES_MECHANISM = re.compile(
    r"\b(?:invalid|unknown|unsupported|unrecogni[sz]ed|bad)\b[\w ]{0,20}\b(?:mechanism|authentication type)|"
    r"\bmechanism\b[\w ]{0,20}\b(?:not (?:supported|allowed|available|offered|permitted)|unsupported|disabled)",
    re.IGNORECASE,
)
"""Wording of a 5xx with any code that blames the mechanism, as Postfix passes it on from its SASL library."""
_MAY_BE_SUSPENDED = 0x200
"""The flag of the code of an asynchronous generator, which may go on after an error."""
_NEEDS_TRANSITION = "4.7.12"
"""The user must log in once with a mechanism that shows the password (RFC 4954 §6: 432)."""


@dataclass(frozen=True, slots=True)
class Login:
    """The authenticated user and the mechanism; both None without a login."""

    username: str | None = None
    mechanism: str | None = None


@dataclass(frozen=True, slots=True)
class _ExchangeResult:
    """The result of one complete SASL exchange."""

    reply: Reply
    challenge: bytes
    """The server's last challenge."""
    is_tested: bool
    """True if the server received the secret and could test it."""

    @property
    def is_about_mechanism(self) -> bool:
        """True if the refusal cannot be about the secret."""
        reply = self.reply
        if reply.code in _NOT_SUPPORTED or str(reply.enhanced) == _NEEDS_TRANSITION:
            return True
        if reply.is_permanent and _NAMES_MECHANISM.search(reply.text):
            return True
        # After 421 the server answers nothing more.
        return reply.code != 421 and not self.is_tested


class ExchangeCut(ConnectionFailed):
    """The connection was lost before the secret was tested; another mechanism may work over a new connection."""


def check_mechanisms(config: SessionConfig) -> None:
    """Raise ``ConfigError`` for mechanisms that are not known, not installed, or all excluded."""
    named = [name.upper() for name in config.mechanisms or ()]
    excluded = [name.upper() for name in config.exclude_mechanisms]
    for field, names in (("mechanisms", config.mechanisms or ()), ("exclude_mechanisms", config.exclude_mechanisms)):
        if unknown := [name.upper() for name in names if mechanism_named(name) is None]:
            words = f"{field}: unknown {', '.join(unknown)}; allowed are {', '.join(MECHANISMS)}"
            raise ConfigError(words, stage=Stage.SETTINGS)
    for mechanism in map(mechanism_named, config.mechanisms or ()):
        if mechanism is not None and not mechanism.is_installed:
            hint = f'Install it with: pip install "wlsmtp[{mechanism.extra}]"' if mechanism.extra else None
            words = f"mechanisms: {mechanism.name} needs the package {mechanism.module}"
            raise ConfigError(words, stage=Stage.SETTINGS, hint=hint)
    if set(named or MECHANISMS) <= set(excluded):
        raise ConfigError("exclude_mechanisms: leaves none", stage=Stage.SETTINGS)
    if named == ["EXTERNAL"] and not _has_certificate(config):
        words = "mechanisms: EXTERNAL needs a client certificate, TLS(client_cert=…)"
        raise ConfigError(words, stage=Stage.SETTINGS)


async def authenticate(
    link: Link,
    config: SessionConfig,
    capabilities: Capabilities,
    io: IO,
    deadlines: Deadlines,
    quirks: ServerQuirks,
) -> Login:
    """Log in as configured. Does nothing if no login is configured, or if nothing fits and ``auth="optional"`` allows
    that. Raises ``ExchangeCut`` to be called again with a new connection."""
    if not config.logs_in:
        return Login()
    secrets = _secrets(link, config, capabilities, await fetch_token(config, io, deadlines))
    usable = choose(capabilities.mechanisms, secrets, config.mechanisms, config.exclude_mechanisms)
    if not usable and config.auth == "optional":
        return Login()
    if not usable:
        raise refusal.nothing_fits(config, capabilities)
    _refuse_clear_link(link, config, usable)
    usable = [mechanism for mechanism in usable if mechanism.name not in quirks.broken_mechanisms] or usable
    usable.sort(key=lambda mechanism: mechanism.name != quirks.mechanism)
    scene = Scene((config.server, capabilities.name), is_secure=link.stream.tls is not None)
    authenticator = _Authenticator(link, config, io, deadlines, quirks, scene)
    async with own_turn(quirks, io, deadlines):
        refuse_again(secret_of(config, secrets.token), quirks, io.now())
        try:
            mechanism = await authenticator.log_in(usable, secrets)
        except AuthenticationFailed as error:
            token = await renew_token(config, io, deadlines, secrets.token, error)
            if token is None:
                raise
            secrets = _secrets(link, config, capabilities, token)
            mechanism = await authenticator.log_in(usable, secrets)
        quirks.mechanism, quirks.refused_login = mechanism, None
    return Login(config.username, mechanism)


def _secrets(link: Link, config: SessionConfig, capabilities: Capabilities, token: str | None) -> Secrets:
    tls, offered = link.stream.tls, [name.upper() for name in capabilities.mechanisms]
    # Computed only where it is used: it requires parsing a certificate.
    binds = config.password is not None and any(name.startswith("SCRAM-") for name in offered)
    default_only = not any(name.upper().endswith("-PLUS") for name in config.mechanisms or ())
    certificate = tls.certificate.der if tls and tls.certificate else None
    return Secrets(
        username=config.username or "",
        password=config.password.get_secret_value() if config.password else None,
        token=token,
        host=config.certificate_name if not config.is_unix or config.tls.server_hostname else "localhost",
        port=0 if config.is_unix else config.port,
        binding=channel_binding(certificate, tls.unique, default_only=default_only) if tls and binds else None,
        server_binds=any(name.endswith("-PLUS") for name in offered),
        server=config.address,
        has_certificate=_has_certificate(config),
    )


def _has_certificate(config: SessionConfig) -> bool:
    return config.tls.client_cert is not None or config.is_unix


def _forget_variables(error: BaseException) -> None:
    """Clear the variables of the calls that an error has ended. They hold what was sent, and reports of crashes show
    them. Calls that go on are not in question."""
    failures: list[BaseException | None] = [error]
    seen: set[int] = set()
    while failures:
        failure = failures.pop()
        if failure is None or id(failure) in seen:
            continue
        seen.add(id(failure))
        place = failure.__traceback__
        while place is not None:
            frame, place = place.tb_frame, place.tb_next
            is_ours = str(frame.f_globals.get("__name__")).startswith("wlsmtp.")
            if is_ours and not frame.f_code.co_flags & _MAY_BE_SUSPENDED:
                with suppress(RuntimeError):  # it goes on
                    frame.clear()
        failures += [failure.__cause__, failure.__context__]


class _Authenticator:
    """Runs SASL mechanisms over one link."""

    def __init__(
        self, link: Link, config: SessionConfig, io: IO, deadlines: Deadlines, quirks: ServerQuirks, scene: Scene
    ) -> None:
        self._link = link
        self._config = config
        self._scene = scene
        self._io = io
        self._deadlines = deadlines
        self._quirks = quirks
        self._is_tested = False
        """True if the exchange in progress has sent the secret for testing."""

    async def log_in(self, usable: Sequence[Mechanism], secrets: Secrets) -> str:
        """Log in and return the name of the mechanism that succeeded. Raises ``AuthenticationFailed`` or
        ``ExchangeCut``."""
        self._mask(secrets)
        try:
            return await self._first_of(usable, secrets)
        except BaseException as error:
            _forget_variables(error)
            if isinstance(error, SMTPError):
                self._link.mask_error(error)  # its words may be those of a challenge
            raise

    def _mask(self, secrets: Secrets) -> None:
        """Mask the secret in replies from now on: the server may repeat it."""
        if secret := secrets.token or secrets.password:
            if self._quirks.secret is None or self._quirks.secret.of != secret:
                self._quirks.secret = Notations.of_secret(secret)
            self._link.mask(self._quirks.secret)

    async def _first_of(self, usable: Sequence[Mechanism], secrets: Secrets) -> str:
        failure: AuthenticationFailed | None = None
        refused: Mechanism | None = None
        for mechanism in usable:
            heard = self._link.replies_read
            try:
                result = await self._run_exchange(mechanism, secrets)
            except Unusable as why:
                failure = failure or AuthenticationFailed(str(why), stage=Stage.AUTH)
                continue
            except ConnectionFailed as error:
                if refused is not None and self._link.replies_read == heard:
                    # The server closed the connection right after its refusal.
                    self._skip_broken(refused, usable, error)
                elif not self._is_tested:
                    self._skip_broken(mechanism, usable, error)
                raise
            refused = mechanism
            if result.reply.is_positive:
                return mechanism.name
            failure = refusal.refused(self._config, mechanism, result.reply, result.challenge, self._scene)
            self._link.mask_error(failure)
            if failure.rests or not result.is_about_mechanism:
                break
        assert failure is not None  # there is always a mechanism to try
        if refused is not None:
            self._remember(refused, secrets, failure)
        raise failure

    def _remember(self, mechanism: Mechanism, secrets: Secrets, failure: AuthenticationFailed) -> None:
        """Record that the server refused a secret permanently."""
        secret = secret_of(self._config, secrets.token)
        reply = failure.reply
        is_about_secret = (
            reply is not None and reply.code not in refusal.NOT_UNDERSTOOD and not refusal.is_about_tls(reply)
        )
        if secret and is_about_secret and mechanism.needs in ("password", "token") and not failure.temporary:
            self._quirks.refused_login = RefusedLogin.of(secret, failure, self._io.now())

    def _skip_broken(self, cut: Mechanism, usable: Sequence[Mechanism], error: ConnectionFailed) -> None:
        """Handle a connection that the server closed during a mechanism: if another mechanism is left, record that and
        raise ``ExchangeCut``. A server that closed with 421 had other reasons."""
        left = {mechanism.name for mechanism in usable} - self._quirks.broken_mechanisms - {cut.name}
        if left and error.reply is None:
            self._quirks.broken_mechanisms.add(cut.name)
            raise ExchangeCut(error.message, stage=Stage.AUTH) from error

    async def _run_exchange(self, mechanism: Mechanism, secrets: Secrets) -> _ExchangeResult:
        """Run one complete exchange."""
        exchange: Exchange | None = None

        def step(challenge: bytes | None) -> bytes | None:
            nonlocal exchange
            if exchange is None:
                exchange = mechanism.start(secrets)
            return next(exchange) if challenge is None else exchange.send(challenge)

        response = await self._step(mechanism, step, None) or NOTHING
        self._link.mask(Notations.of_response(response))
        words = command.auth(mechanism.name, response if mechanism.client_first else None)
        # A token may be too long for one line; then it follows as the answer to an empty challenge (RFC 4954 §4).
        unsaid = response if mechanism.client_first and len(words) > command.MAX_AUTH_LINE else None
        if unsaid is not None:
            words = command.auth(mechanism.name, None)
        shown = f"AUTH {mechanism.name}" + (f" {MASK}" if len(words.split()) > 2 else "")
        challenge, self._is_tested = b"", unsaid is None and isinstance(response, Proof)
        reply = await self._link.ask(Stage.AUTH, words, self._deadlines("command"), shown)
        while reply.is_intermediate:
            challenge = _challenge(reply)
            following = unsaid if unsaid is not None else await self._step(mechanism, step, challenge)
            unsaid = None
            if following is None:
                return _ExchangeResult(await self._cancel(), challenge, self._is_tested)
            response, self._is_tested = following, self._is_tested or isinstance(following, Proof)
            self._link.mask(Notations.of_response(response))
            words = command.sasl_response(response)
            reply = await self._link.ask(Stage.AUTH, words, self._deadlines("command"), MASK)
        if reply.is_positive and mechanism.is_mutual and not isinstance(response, Confirmed):
            raise unproved(
                mechanism.name, "it reported success before it had proved its identity", self._config.address
            )
        return _ExchangeResult(reply, challenge, self._is_tested)

    async def _step(
        self, mechanism: Mechanism, step: Callable[[bytes | None], bytes | None], challenge: bytes | None
    ) -> bytes | None:
        """Return the next response, or None when the mechanism has finished. What a third-party one raises becomes an
        error that repeats nothing of it."""

        def next_response() -> bytes | None:
            try:
                response: object = step(challenge)
            except StopIteration:
                return None
            if isinstance(response, bytes):
                return response
            words = f"mechanisms: {mechanism.name} yielded {type(response).__name__}, not bytes"
            raise ConfigError(words, stage=Stage.AUTH)

        try:
            if not mechanism.is_slow:
                return next_response()
            return await self._io.call(next_response, self._deadlines("command"))
        except (SMTPError, Unusable):
            raise
        except TimeoutError as error:
            raise DeadlineExceeded(f"{mechanism.name} took too long on this side", stage=Stage.AUTH) from error
        except Exception as error:
            words = f"The mechanism {mechanism.name} failed ({type(error).__name__})"
            hint = None
            if isinstance(error, TypeError | AttributeError):
                hint = "It must be a generator function that takes Secrets and yields bytes"
            raise AuthenticationFailed(words, stage=Stage.AUTH, hint=hint) from error

    async def _cancel(self) -> Reply:
        """Cancel an exchange in which the server sends challenge after challenge (RFC 4954 §4); fail if it does not end
        even then."""
        reply = await self._link.ask(Stage.AUTH, command.CANCEL_AUTH, self._deadlines("command"))
        if reply.is_intermediate or reply.is_positive:
            words = f"{self._link.server} does not end the authentication exchange"
            raise ProtocolError(words, stage=Stage.AUTH, reply=reply)
        return reply


def _challenge(reply: Reply) -> bytes:
    with suppress(binascii.Error, ValueError):
        return base64.b64decode(reply.lines[-1], validate=True)
    return b""  # LOGIN's prompts are free text on some servers, and nothing depends on them


def _refuse_clear_link(link: Link, config: SessionConfig, usable: Sequence[Mechanism]) -> None:
    is_safe = link.stream.tls or config.is_unix or is_loopback(link.stream.local_ip)
    if is_safe or config.allow_cleartext_auth or all(mechanism.needs == "nothing" for mechanism in usable):
        return
    raise AuthenticationFailed(
        f"The connection to {config.address} is not encrypted, so no password is sent over it",
        stage=Stage.AUTH,
        hint="Use security='tls' or 'ssl'; allow_cleartext_auth=True sends it where anyone on the path can read it",
    )


def is_loopback(ip: str | None) -> bool:
    """Return whether the connection stays on this machine, judged by the loopback address of this end."""
    return ip is not None and ip_address(ip.partition("%")[0]).is_loopback
