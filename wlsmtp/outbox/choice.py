"""Creates an outbox from the setting ``outbox``."""

from __future__ import annotations

from typing import Any

from wlsmtp.outbox.base import Outbox
from wlsmtp.outbox.memory import MemoryOutbox
from wlsmtp.settings.urls import URL, wrong

_SECONDS = ("lease", "keep")


def make_outbox(setting: object) -> Outbox:
    """Return the outbox for ``"memory:"``, ``"sqlite:///relative/path"`` or ``"sqlite:////absolute/path"``, the latter
    two with ``?synchronous=normal&lease=60&keep=604800``; or return an outbox unchanged. Raises ``ConfigError``."""
    if isinstance(setting, Outbox):
        return setting
    url = URL.read(setting if isinstance(setting, str) else "", "outbox")
    options = {name: _value(name, texts[-1]) for name, texts in url.options.items()}
    try:
        if url.text.startswith("memory:") and not url.path:
            return MemoryOutbox(**options)
        if url.text.startswith("sqlite:///") and len(url.path) > 1:
            from wlsmtp.outbox.sqlite import SQLiteOutbox

            return SQLiteOutbox(url.path[1:], **options)
    except TypeError:
        words = f"outbox: one of the options {', '.join(options)} is not known"
        raise wrong(words) from None
    raise wrong("outbox: must be 'memory:', 'sqlite:///path' or an Outbox")


def _value(name: str, text: str) -> Any:
    if name not in _SECONDS:
        return text
    try:
        return float(text)
    except ValueError:
        raise wrong(f"outbox: {name} must be a number of seconds") from None
