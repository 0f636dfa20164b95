"""From the setting ``outbox`` to an outbox."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.outbox.base import Outbox
from wlsmtp.outbox.memory import MemoryOutbox

_SECONDS = ("lease", "keep")


def make_outbox(setting: object) -> Outbox:
    """``"memory:"``, ``"sqlite:///relative/path"``, ``"sqlite:////absolute/path"``, the latter two with
    ``?synchronous=normal&lease=60&keep=604800``; or an outbox itself. Raises ``ConfigError``."""
    if isinstance(setting, Outbox):
        return setting
    url = setting if isinstance(setting, str) else ""
    parts = urlsplit(url)
    options = {name: _value(name, text) for name, text in parse_qsl(parts.query, keep_blank_values=True)}
    try:
        if url.startswith("memory:") and not parts.path:
            return MemoryOutbox(**options)
        if url.startswith("sqlite:///") and len(parts.path) > 1:
            from wlsmtp.outbox.sqlite import SQLiteOutbox

            return SQLiteOutbox(unquote(parts.path[1:]), **options)
    except TypeError:
        words = f"outbox: one of the options {', '.join(options)} is not known"
        raise ConfigError(words, stage=Stage.SETTINGS) from None
    raise ConfigError("outbox: must be 'memory:', 'sqlite:///path' or an Outbox", stage=Stage.SETTINGS)


def _value(name: str, text: str) -> Any:
    if name not in _SECONDS:
        return text
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"outbox: {name} must be a number of seconds", stage=Stage.SETTINGS) from None
