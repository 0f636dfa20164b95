"""AUTH (RFC 4954): choose a mechanism, play it to its end, and say what a refusal means."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pydantic import SecretStr

from wlsmtp.errors import AuthenticationFailed, ProtocolError, Stage
from wlsmtp.sasl import Secrets, choose
from wlsmtp.sources import advice_for
from wlsmtp.wire import command

if TYPE_CHECKING:
    from wlsmtp.config import SessionConfig
    from wlsmtp.io.base import IO
    from wlsmtp.sasl import Mechanism
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.link import Link
    from wlsmtp.wire.extensions import Capabilities
    from wlsmtp.wire.reply import Reply

_NOT_SUPPORTED = frozenset({500, 502, 503, 504, 534})
"""Replies that speak against the mechanism, not against the password: the next mechanism may do. After any other one a
second mechanism would only count as a second wrong password, until the account locks."""
_MASK = "********"


async def authenticate(
    link: Link, config: SessionConfig, capabilities: Capabilities, io: IO, deadlines: Deadlines
) -> str | None:
    """Log in as configured; return the user name, or None when there is none (``auth="optional"``)."""
    if not config.username:
        return None
    secrets = await _secrets(config, io, deadlines)
    usable = choose(capabilities.mechanisms, secrets, config.mechanisms)
    if not usable and config.auth == "optional":
        return None
    if not usable:
        raise _nothing_fits(config, capabilities)
    _refuse_clear_link(link, config)
    for mechanism in usable:
        reply = await _play(link, mechanism, secrets, deadlines)
        if reply.is_positive:
            return config.username
        if reply.code not in _NOT_SUPPORTED:
            break
    raise _refused(config, mechanism, reply)


async def _secrets(config: SessionConfig, io: IO, deadlines: Deadlines) -> Secrets:
    password = config.password.get_secret_value() if config.password else None
    token = config.token
    if isinstance(token, SecretStr):
        token_text: str | None = token.get_secret_value()
    else:
        token_text = await io.call(token, deadlines("command")) if token else None
    return Secrets(config.username or "", password, token_text)


async def _play(link: Link, mechanism: Mechanism, secrets: Secrets, deadlines: Deadlines) -> Reply:
    """One whole exchange; the server's last word."""
    exchange = mechanism.start(secrets)
    first = next(exchange)
    words = command.auth(mechanism.name, first if mechanism.client_first else None)
    # A token may be too long for one line; then it follows as the answer to an empty challenge (RFC 4954 §4).
    unsaid = first if len(words) > command.MAX_AUTH_LINE else None
    if unsaid is not None:
        words = command.auth(mechanism.name, None)
    shown = f"AUTH {mechanism.name}" + (f" {_MASK}" if len(words.split()) > 2 else "")
    reply = await link.ask(Stage.AUTH, words, deadlines("command"), shown)
    while reply.is_intermediate:
        try:
            response = unsaid if unsaid is not None else exchange.send(_challenge(reply))
        except StopIteration:
            return await _cancel(link, deadlines)
        unsaid = None
        reply = await link.ask(Stage.AUTH, command.sasl_response(response), deadlines("command"), _MASK)
    return reply


async def _cancel(link: Link, deadlines: Deadlines) -> Reply:
    """The server asks on and on: end the exchange (RFC 4954 §4), and fail if it does not end even so."""
    reply = await link.ask(Stage.AUTH, command.CANCEL_AUTH, deadlines("command"))
    if reply.is_intermediate or reply.is_positive:
        raise ProtocolError("The server does not end the authentication exchange", stage=Stage.AUTH, reply=reply)
    return reply


def _challenge(reply: Reply) -> bytes:
    with suppress(binascii.Error, ValueError):
        return base64.b64decode(reply.lines[-1], validate=True)
    return b""  # LOGIN's prompts are free text on some servers, and nothing depends on them


def _refuse_clear_link(link: Link, config: SessionConfig) -> None:
    if link.stream.tls or config.allow_cleartext_auth or config.is_unix or is_loopback(link.stream.local_ip):
        return
    raise AuthenticationFailed(
        f"The connection to {config.address} is not encrypted, so no password is sent over it",
        stage=Stage.AUTH,
        hint="Use security='tls' or 'ssl'; allow_cleartext_auth=True sends it for anybody on the way to read",
    )


def is_loopback(ip: str | None) -> bool:
    """Whether the connection does not leave this machine, as this end has a loopback address."""
    return ip is not None and ip_address(ip.partition("%")[0]).is_loopback


def _nothing_fits(config: SessionConfig, capabilities: Capabilities) -> AuthenticationFailed:
    kind = "a token" if config.token else "a password"
    offered = ", ".join(capabilities.mechanisms)
    words = f"{config.address} offers {f'only {offered}' if offered else 'no authentication'}, nothing for {kind}"
    if not offered:
        hint = "Some servers offer it only over TLS (security='tls'); auth='optional' goes on without logging in"
    else:
        hint = "XOAUTH2 takes a token; PLAIN, LOGIN and CRAM-MD5 take a password"
    return AuthenticationFailed(words, stage=Stage.AUTH, hint=hint)


def _refused(config: SessionConfig, mechanism: Mechanism, reply: Reply) -> AuthenticationFailed:
    words = f"{config.address} refused the login of {config.username!r} with {mechanism.name}"
    hint = advice_for(config.server) or "Check the user name (often the whole address) and the password"
    if config.token:
        hint = advice_for(config.server) or "Check that the token is fresh and made for sending mail (its scope)"
    return AuthenticationFailed(words, stage=Stage.AUTH, reply=reply, hint=None if reply.is_transient else hint)
