"""Where settings come from besides keywords: a URL, the environment, the table of providers (``presets.py``)."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from wlsmtp.presets import LIMITS, PRESETS
from wlsmtp.settings.limits import PoolLimits
from wlsmtp.settings.urls import SMTP_SCHEMES, URL, home_of, parse_transport, wrong
from wlsmtp.settings.validation import Settings

_NOT_PLAIN = frozenset({"tls", "pool", "retry", "listeners", "on_sent", "on_error", "transport", "network", "options"})
_SES = re.compile(r"ses-([a-z]{2}(?:-[a-z]+){1,3}-\d)")
_SWITCH = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


@cache
def plain_fields(config: type[Settings]) -> tuple[str, ...]:
    """The settings that one string can give, in a query or a variable."""
    return tuple(name for name in config.model_fields if name not in _NOT_PLAIN)


def fields_from_url(text: str, config: type[Settings]) -> dict[str, Any]:
    """The settings that a URL spells: of a server, or a transport. ``config`` is what they are for."""
    if text.partition(":")[0].strip().lower() not in SMTP_SCHEMES:
        return {"transport": transport_from_url(text, config)}
    url = URL.read(text)
    protocol, _, kind = url.scheme.partition("+")
    is_unix = kind == "unix"
    server = url.path if is_unix else url.host
    if not server or (not is_unix and url.path not in ("", "/")):
        raise wrong("url: must look like smtp+tls://user:password@host:587")
    found: dict[str, Any] = {
        "server": server,
        "protocol": protocol.removesuffix("s"),
        "security": SMTP_SCHEMES[url.scheme],
    }
    if url.port is not None:
        found["port"] = url.port
    return found | url.credentials | _options(url, plain_fields(config))


def transport_from_url(text: str, config: type[Settings]) -> URL:
    """The transport that a URL names, when every part of it is known."""
    url = parse_transport(text)
    _check(url, config)
    return url


def _check(url: URL, config: type[Settings]) -> None:
    if url.scheme in SMTP_SCHEMES:
        config(**fields_from_url(url.text, config))
    else:
        home_of(url.scheme)
    for member in url.members:
        _check(member.url, config)


def _options(url: URL, allowed: tuple[str, ...]) -> dict[str, Any]:
    if unknown := [name for name in url.options if name not in allowed]:
        raise wrong(f"url: knows no {', '.join(unknown)}; allowed after '?' are {', '.join(allowed)}")
    return {name: _value(name, texts[-1]) for name, texts in url.options.items()}


def fields_from_env(environ: Mapping[str, str] | None, prefix: str, config: type[Settings]) -> dict[str, Any]:
    """The settings that environment variables give."""
    environ = os.environ if environ is None else environ
    plain = plain_fields(config)
    _refuse_misspelt(environ, prefix, plain)
    set_ = {name: environ[variable] for name in plain if environ.get(variable := prefix + name.upper())}
    url = environ.get(prefix + "URL")
    if not url and "server" not in set_:
        raise wrong(f"set {prefix}URL (smtp+tls://user:password@host:587), or at least {prefix}SERVER")
    return (fields_from_url(url, config) if url else {}) | {name: _value(name, text) for name, text in set_.items()}


def _refuse_misspelt(environ: Mapping[str, str], prefix: str, plain: tuple[str, ...]) -> None:
    """A misspelt password would be missed at the server, at the latest; a misspelt time-out never. A variable that is
    like none of the settings is somebody else's."""
    known = [*map(str.upper, plain), "URL"]
    for variable in environ:
        name = variable.removeprefix(prefix)
        if name != variable and name not in known and (near := difflib.get_close_matches(name, known, 1, cutoff=0.8)):
            raise wrong(f"{variable} is not known; did you mean {prefix}{near[0]}?")


def _value(name: str, text: str) -> Any:
    """A string as the field wants it; pydantic converts the rest."""
    if name == "timeout":
        seconds = _float(text)
        if seconds is None:
            raise wrong("timeout: must be a number of seconds")
        return seconds
    if name == "pipelining":
        if text.strip().lower() not in _SWITCH:
            raise wrong("pipelining: must be true or false")
        return _SWITCH[text.strip().lower()]
    return tuple(text.replace(",", " ").split()) if name.endswith("mechanisms") else text


def _float(text: str) -> float | None:
    with suppress(ValueError):
        return float(text)
    return None


def fields_from_preset(provider: str) -> dict[str, Any]:
    """The settings of a provider by name, alias or mail domain; ``ses-REGION`` is Amazon SES in any of its regions."""
    known, wanted = _preset_names(), provider.strip().lower()
    if wanted not in known:
        if (region := _SES.fullmatch(wanted)) is not None:
            server = f"email-smtp.{region[1]}.amazonaws.com"
            return _with_limits("ses-us-east-1", {"server": server, "port": 587, "security": "tls"})
        near = difflib.get_close_matches(provider.lower(), known, n=3) or sorted(PRESETS)
        # A URL or an address in the wrong place may carry a password.
        shown = "it" if "@" in provider or "/" in provider else repr(provider[:80])
        raise wrong(f"provider: {shown} is not known; known are, among others, {', '.join(near)}")
    name = known[wanted]
    return _with_limits(name, {field: PRESETS[name][field] for field in ("server", "port", "security")})


def _with_limits(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "pool": PoolLimits(**LIMITS[name])} if name in LIMITS else fields


@cache
def _preset_names() -> dict[str, str]:
    """Each name, alias and mail domain, and the preset that it stands for."""
    return {
        name.lower(): main
        for main, entry in PRESETS.items()
        for name in (main, *entry.get("aliases", ()), *entry.get("domains", ()))
    }
