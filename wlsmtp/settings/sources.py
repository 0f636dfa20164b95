"""Reads settings from sources other than keywords: a URL, the environment, the table of providers (``presets.py``)."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from wlsmtp.patterns import later
from wlsmtp.presets import LIMITS, PRESETS
from wlsmtp.settings import texts
from wlsmtp.settings.limits import PoolLimits
from wlsmtp.settings.urls import SMTP_SCHEMES, URL, home_of, parse_transport, wrong
from wlsmtp.settings.validation import Settings

_SES = later(r"ses-([a-z]{2}(?:-[a-z]+){1,3}-\d)")
DEFAULT_PREFIX = "WLSMTP_"


def fields_from_url(text: str, config: type[Settings]) -> dict[str, Any]:
    """Return the settings in a URL of a server or a transport. ``config`` is their model."""
    found, options = _read(text, config)
    return found | texts.fields(options, config)


def _read(text: str, config: type[Settings]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the part of a URL before its ``?`` as fields, and the query as texts by their paths."""
    if not isinstance(text, str) or text.partition(":")[0].strip().lower() not in SMTP_SCHEMES:
        return {"transport": transport_from_url(text, config)}, {}
    url = URL.read(text)
    protocol, _, kind = url.scheme.partition("+")
    is_unix = kind == "unix"
    server = url.path if is_unix else url.host
    if is_unix and (url.host or url.port is not None):
        raise wrong(f"url: {url.scheme} takes a path, which has three slashes: {url.scheme}:///run/smtp.sock")
    if not server or (not is_unix and url.path not in ("", "/")):
        raise wrong("url: must look like smtp+tls://user:password@host:587")
    found: dict[str, Any] = {
        "server": server,
        "protocol": protocol.removesuffix("s"),
        "security": SMTP_SCHEMES[url.scheme],
    }
    if url.port is not None:
        found["port"] = url.port
    options = {name: values[-1] for name, values in url.options.items()}
    for name, value in options.items():
        if name not in texts.paths(config):
            raise wrong(_not_in_url(name, value, config))
    found |= url.credentials
    for name, default in (("security", "default"), ("protocol", "smtp")):
        if found[name] == default and name in options:  # the scheme leaves it open
            del found[name]
    if twice := [name for name, values in url.options.items() if name in found or len(values) > 1]:
        raise wrong(f"url: {twice[0]} is given twice: leave out one of them")
    return found, options


def _not_in_url(name: str, value: str, config: type[Settings]) -> str:
    """Return the text for a name that is not a setting. It is not repeated unless it resembles one: it may be the rest
    of a password."""
    answer = texts.answer(name, value, config, lambda path, text: f"{path}={text}" if text else path)
    if answer is None:
        known = ", ".join(path for path in texts.paths(config) if "." not in path)
        return f"url: unknown setting after '?'; there are {known}, and parts such as tls.ca_file"
    return f"url: {name} is not known after '?'; {answer}"


def transport_from_url(text: str, config: type[Settings]) -> URL:
    """Return the transport that a URL names, after checking every part of it."""
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


def fields_from_env(environ: Mapping[str, str] | None, prefix: str, config: type[Settings]) -> dict[str, Any]:
    """Return the settings in environment variables. An empty one counts as not set."""
    environ = os.environ if environ is None else environ
    variables = {texts.variable(path, prefix): path for path in texts.paths(config)}
    for name in environ:
        if name not in variables and name != prefix + "URL":
            _refuse_unknown(name, environ[name], prefix, config)
    found = {path: environ[name] for name, path in variables.items() if environ.get(name)}
    url = environ.get(prefix + "URL")
    if not url and "server" not in found:
        raise wrong(f"set {prefix}URL (smtp+tls://user:password@host:587), or at least {prefix}SERVER")
    fields, options = _read(url, config) if url else ({}, {})
    return fields | texts.fields(options | found, config)


def _refuse_unknown(name: str, value: str, prefix: str, config: type[Settings]) -> None:
    """Raise ``ConfigError`` for a variable with the prefix that is not a setting: it would be ignored silently. If the
    caller chose the prefix, a variable that resembles no setting may belong to the caller's program."""
    if not name.upper().startswith(prefix.upper()):
        return
    bare = name[len(prefix) :]
    right = texts.variable(bare, prefix)
    if right != name and (bare.lower() == "url" or bare.lower().replace("_", ".") in _bare_paths(config)):
        raise wrong(f"{name} is not known; did you mean {right}?")
    if not name.startswith(prefix) and prefix != DEFAULT_PREFIX:
        return
    answer = texts.answer(bare, value, config, lambda path, text: texts.variable(path, prefix) + (text and f"={text}"))
    if answer is None and prefix != DEFAULT_PREFIX:
        return
    known = f"see docs/reference/settings.md for those that are: {prefix}SERVER, …"
    raise wrong(f"{name} is not known; {answer or known}")


@cache
def _bare_paths(config: type[Settings]) -> frozenset[str]:
    return frozenset(path.replace("_", ".") for path in texts.paths(config))


def fields_from_preset(provider: str) -> dict[str, Any]:
    """Return the settings of a provider by name, alias or mail domain; ``ses-REGION`` is Amazon SES in any region."""
    if not isinstance(provider, str):
        raise wrong(f"provider: must be a str, not {type(provider).__name__}")
    known, wanted = _preset_names(), provider.strip().lower()
    if wanted not in known:
        if (region := _SES.fullmatch(wanted)) is not None:
            server = f"email-smtp.{region[1]}.amazonaws.com"
            return _with_limits("ses-us-east-1", {"server": server, "port": 587, "security": "tls"})
        near = difflib.get_close_matches(provider.lower(), known, n=3) or sorted(PRESETS)
        # A URL, an address, or a name and a password in the wrong place: only what resembles a name is repeated.
        shown = repr(provider) if re.fullmatch(r"[\w .-]{1,40}", provider) else "it"
        raise wrong(f"provider: {shown} is not known; known are, among others, {', '.join(near)}")
    name = known[wanted]
    return _with_limits(name, {field: PRESETS[name][field] for field in ("server", "port", "security")})


def _with_limits(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "pool": PoolLimits(**LIMITS[name])} if name in LIMITS else fields


@cache
def _preset_names() -> dict[str, str]:
    """Return each name, alias and mail domain with its preset."""
    return {
        name.lower(): main
        for main, entry in PRESETS.items()
        for name in (main, *entry.get("aliases", ()), *entry.get("domains", ()))
    }
