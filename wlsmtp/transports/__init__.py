"""Transports: strategies that deliver a message. A transport is one class with one method, ``deliver``; see ``base``.
What a transport of your own works with is here too. The names are imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wlsmtp.message.content import Content as Content
    from wlsmtp.receipt import Outcome as Outcome
    from wlsmtp.settings.urls import URL as URL
    from wlsmtp.smtp.deadlines import Deadlines as Deadlines
    from wlsmtp.transports.base import Context as Context
    from wlsmtp.transports.base import Transport as Transport
    from wlsmtp.transports.base import WholeTransport as WholeTransport
    from wlsmtp.transports.by_domain import ByDomainTransport as ByDomainTransport
    from wlsmtp.transports.combine import FailoverTransport as FailoverTransport
    from wlsmtp.transports.combine import RoundRobinTransport as RoundRobinTransport
    from wlsmtp.transports.console import ConsoleTransport as ConsoleTransport
    from wlsmtp.transports.directory import EmlTransport as EmlTransport
    from wlsmtp.transports.directory import MaildirTransport as MaildirTransport
    from wlsmtp.transports.memory import MemoryTransport as MemoryTransport
    from wlsmtp.transports.memory import NullTransport as NullTransport
    from wlsmtp.transports.memory import StoredMessage as StoredMessage
    from wlsmtp.transports.sendmail import SendmailTransport as SendmailTransport

_ROOMS = {
    "base": ("Transport", "WholeTransport", "Content", "Context", "Deadlines", "Outcome", "URL"),
    "by_domain": ("ByDomainTransport",),
    "combine": ("FailoverTransport", "RoundRobinTransport"),
    "console": ("ConsoleTransport",),
    "directory": ("EmlTransport", "MaildirTransport"),
    "memory": ("MemoryTransport", "NullTransport", "StoredMessage"),
    "sendmail": ("SendmailTransport",),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

# The imports above are for type checkers.
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value
