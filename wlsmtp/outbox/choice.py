"""Creates an outbox from the setting ``outbox``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from wlsmtp.outbox.base import Outbox
from wlsmtp.settings.urls import URL, outbox_home_of, wrong


def make_outbox(setting: object) -> Outbox:
    """``"memory:"``, ``"sqlite:///relative/path"``, ``"sqlite:////absolute/path"``, ``"postgresql://user@host/db"``,
    each with options after ``?``, as ``?lease=60&keep=604800``; what a package offers; or an outbox itself. Raises
    ``ConfigError``."""
    if isinstance(setting, Outbox):
        return setting
    try:
        module, _, name = outbox_home_of(setting if isinstance(setting, str) else "").partition(":")
    except ValueError as error:
        raise wrong(f"outbox: {error}") from None
    url = URL.read(setting if isinstance(setting, str) else "", "outbox")
    made: Any = getattr(import_module(module), name).from_url(url)
    if not isinstance(made, Outbox):
        raise wrong("outbox: must be derived from wlsmtp.Outbox")
    return made
