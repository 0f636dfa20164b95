"""Creates an outbox from the setting ``outbox``, and its rates from ``pace``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wlsmtp.outbox.base import Outbox
from wlsmtp.outbox.pace import Pace
from wlsmtp.settings.limits import rate_of
from wlsmtp.settings.urls import URL, outbox_home_of, wrong

if TYPE_CHECKING:
    from wlsmtp.settings.config import SessionConfig


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


def pace_of(config: SessionConfig, outbox: Outbox) -> Pace | None:
    """Return the rates of the lanes; None if there are none. Raises ``ConfigError`` for an outbox that knows no
    lanes."""
    if config.pace is None:
        return None
    if not outbox.keeps_pace:
        raise wrong(f"pace: {type(outbox).__name__} keeps to no rates")
    return Pace({lane: rate_of(rate) for lane, rate in config.pace.items()}, config.pace_scope)
