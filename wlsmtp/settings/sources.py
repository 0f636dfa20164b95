"""Where settings come from besides keywords: a URL, the environment, the table of providers (``presets.py``)."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.presets import PRESETS
from wlsmtp.settings.config import SessionConfig
from wlsmtp.settings.urls import SMTP_SCHEMES, TransportURL, home_of, parse_transport

_BARE = "url: a '#', '@', '/' or '?' in the user name, the password or the query must be percent-encoded"
_NOT_PLAIN = frozenset({"tls", "pool", "retry", "listeners", "on_sent", "on_error", "transport", "network", "options"})
PLAIN_FIELDS = tuple(name for name in SessionConfig.model_fields if name not in _NOT_PLAIN)
"""The fields that one string can give, in a query or a variable."""


_SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)


def fields_from_url(url: str) -> dict[str, Any]:
    """The settings that a URL spells: of a server, or a transport."""
    if not url.isprintable():  # urlsplit would drop a newline in silence, and with it a part of a password
        raise _wrong("url: control characters must be percent-encoded")
    if url.partition(":")[0].lower() not in SMTP_SCHEMES:
        return {"transport": transport_from_url(url)}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _wrong(f"url: {_without_secret(error)}") from None
    if parts.fragment or "@" in (parts.hostname or ""):
        raise _wrong(_BARE)
    protocol, _, kind = parts.scheme.partition("+")
    is_unix = kind == "unix"
    server = unquote((parts.path if is_unix else parts.hostname) or "")
    if not server or (not is_unix and parts.path not in ("", "/")):
        raise _wrong("url: must look like smtp+tls://user:password@host:587")
    named = {"username": parts.username, "password": parts.password}
    credentials = {name: unquote(value) for name, value in named.items() if value}
    found = {
        "server": server,
        "protocol": protocol.removesuffix("s"),
        "security": SMTP_SCHEMES[parts.scheme],
        "port": port,
        **credentials,
    }
    return {name: value for name, value in found.items() if value is not None} | _query(parts.query)


def transport_from_url(text: str) -> TransportURL:
    """The transport that a URL names, when every part of it is known."""
    url = parse_transport(text)
    _check(url)
    return url


def _check(url: TransportURL) -> None:
    if url.scheme in SMTP_SCHEMES:
        SessionConfig(**fields_from_url(url.text))
    else:
        home_of(url.scheme)
    for member in url.members:
        _check(member.url)


def _query(query: str) -> dict[str, Any]:
    if "@" in query:  # the rest of a password with a bare '?'; its words must not be repeated
        raise _wrong(_BARE)
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [name for name in pairs if name not in PLAIN_FIELDS]
    if unknown:
        raise _wrong(f"url: knows no {', '.join(unknown)}; allowed after '?' are {', '.join(PLAIN_FIELDS)}")
    return {name: _value(name, text) for name, text in pairs.items()}


def fields_from_env(environ: Mapping[str, str] | None, prefix: str) -> dict[str, Any]:
    """The settings that environment variables give."""
    environ = os.environ if environ is None else environ
    _refuse_misspelt(environ, prefix)
    set_ = {name: environ[variable] for name in PLAIN_FIELDS if environ.get(variable := prefix + name.upper())}
    url = environ.get(prefix + "URL")
    if not url and "server" not in set_:
        raise _wrong(f"set {prefix}URL (smtp+tls://user:password@host:587), or at least {prefix}SERVER")
    return (fields_from_url(url) if url else {}) | {name: _value(name, text) for name, text in set_.items()}


def _refuse_misspelt(environ: Mapping[str, str], prefix: str) -> None:
    """A misspelt password would be missed at the server, at the latest; a misspelt time-out never. A variable that is
    like none of the settings is somebody else's."""
    known = [*map(str.upper, PLAIN_FIELDS), "URL"]
    for variable in environ:
        name = variable.removeprefix(prefix)
        if name != variable and name not in known and (near := difflib.get_close_matches(name, known, 1, cutoff=0.8)):
            raise _wrong(f"{variable} is not known; did you mean {prefix}{near[0]}?")


def _value(name: str, text: str) -> Any:
    """A string as the field wants it; pydantic converts the rest."""
    if name == "timeout":
        try:
            return float(text)
        except ValueError:
            raise _wrong("timeout: must be a number of seconds") from None
    if name == "pipelining":
        if text.strip().lower() not in _SWITCH:
            raise _wrong("pipelining: must be true or false")
        return _SWITCH[text.strip().lower()]
    return tuple(text.replace(",", " ").split()) if name.endswith("mechanisms") else text


def fields_from_preset(provider: str) -> dict[str, Any]:
    """The settings of a provider by name, alias or mail domain."""
    known = _preset_names()
    entry = known.get(provider.strip().lower())
    if entry is None:
        near = difflib.get_close_matches(provider.lower(), known, n=3) or sorted(PRESETS)
        # A URL or an address in the wrong place may carry a password.
        shown = "it" if "@" in provider or "/" in provider else repr(provider[:80])
        raise _wrong(f"provider: {shown} is not known; known are, among others, {', '.join(near)}")
    return {name: entry[name] for name in ("server", "port", "security")}


def advice_for(server: str) -> str | None:
    """What the provider behind a server name asks for at login (app passwords, OAuth2), when that is known."""
    return next((entry["advice"] for entry in PRESETS.values() if entry["server"] == server.lower()), None)


@cache
def _preset_names() -> dict[str, dict[str, Any]]:
    return {
        name.lower(): entry
        for main, entry in PRESETS.items()
        for name in (main, *entry.get("aliases", ()), *entry.get("domains", ()))
    }


def _wrong(message: str) -> ConfigError:
    return ConfigError(message, stage=Stage.SETTINGS)


def _without_secret(error: ValueError) -> str:
    """urllib repeats parts of the URL in its errors, and a misread password may be such a part."""
    return "the port must be a number from 1 to 65535" if "port" in str(error).lower() else "is malformed"
