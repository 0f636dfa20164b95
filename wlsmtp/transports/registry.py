"""Creates a transport from its name, a URL, an object, or the settings of a session."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from wlsmtp.settings.config import SessionConfig
from wlsmtp.settings.sources import fields_from_url
from wlsmtp.settings.urls import SMTP_SCHEMES, URL, home_of, parse_transport, wrong
from wlsmtp.transports.base import Context, Transport
from wlsmtp.transports.smtp import SMTPTransport

_OF_ONE_SERVER = frozenset({"server", "port", "security", "protocol", "transport"})
_CREDENTIALS = frozenset({"username", "password", "token"})

Given = Transport | URL | SessionConfig | str
"""The forms of a transport: itself, a URL, or the settings of a server."""


def transport_of(context: Context) -> Transport:
    """Return the transport of a session, attached to it. Raises ``ConfigError``."""
    given = context.config.transport
    return make_transport(context.config if given is None else given, context)


def make_transport(source: Given, context: Context) -> Transport:
    """Return the transport for ``source``, attached to the session of ``context``."""
    if isinstance(source, str):
        source = parse_transport(source)
    if isinstance(source, URL):
        source = _from_url(source, context.config)
    if isinstance(source, SessionConfig):
        source = SMTPTransport(source, context.io, context.announce)
    if not isinstance(source, Transport):
        raise wrong("transport: must be derived from wlsmtp.Transport")
    _attach(source, context)
    return source


def _attach(transport: Transport, context: Context) -> None:
    """Attach a transport to a session. Raises ``ConfigError`` for one that another session has, if it cannot serve
    both."""
    first: Context = vars(transport).setdefault("_attached_to", context)  # atomic: threads may make sessions
    if first is not context:
        name = type(transport).__name__
        if type(first.io) is not type(context.io):
            words = f"transport: one {name} cannot serve a blocking session and one for asyncio"
            raise wrong(words, "Make one for each of the two")
        if type(transport).attach is not Transport.attach:
            words = f"transport: this {name} belongs to another session"
            raise wrong(words, "Make one for each session, or give its URL")
    try:
        transport.attach(context)
    except BaseException:
        if first is context:
            del vars(transport)["_attached_to"]
        raise


def _from_url(url: URL, config: SessionConfig) -> Transport | SessionConfig:
    if url.scheme in SMTP_SCHEMES:
        own = fields_from_url(url.text, SessionConfig)
        return SessionConfig(**(_shared(config, "username" in own) | own))
    module, _, name = home_of(url.scheme).partition(":")
    made: Transport = getattr(import_module(module), name).from_url(url)
    return made


def _shared(config: SessionConfig, has_own_user: bool) -> dict[str, Any]:
    """Return the settings of a session that apply to each of its servers. A server with its own user gets no secret of
    another one."""
    left_out = _OF_ONE_SERVER | _CREDENTIALS if has_own_user else _OF_ONE_SERVER
    return {name: getattr(config, name) for name in config.model_fields_set - left_out}
