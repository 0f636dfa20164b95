"""wlsmtp: SMTP sessions with truthful receipts. The public names are imported on first use; see ``SMTPSession``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wlsmtp.message.envelope import Envelope as Envelope
    from wlsmtp.message.invitation import Invitation as Invitation
    from wlsmtp.message.model import Attachment as Attachment
    from wlsmtp.message.model import Message as Message
    from wlsmtp.message.templates import Templates as Templates
    from wlsmtp.oauth import ClientCredentials as ClientCredentials
    from wlsmtp.oauth import RefreshToken as RefreshToken
    from wlsmtp.outbox.base import Outbox as Outbox
    from wlsmtp.outbox.base import OutboxNotEmpty as OutboxNotEmpty
    from wlsmtp.outbox.memory import MemoryOutbox as MemoryOutbox
    from wlsmtp.outbox.postgres.outbox import PostgresOutbox as PostgresOutbox
    from wlsmtp.outbox.sqlite import SQLiteOutbox as SQLiteOutbox
    from wlsmtp.results.errors import AuthenticationFailed as AuthenticationFailed
    from wlsmtp.results.errors import CommandRefused as CommandRefused
    from wlsmtp.results.errors import ConfigError as ConfigError
    from wlsmtp.results.errors import ConnectionFailed as ConnectionFailed
    from wlsmtp.results.errors import ContentRefused as ContentRefused
    from wlsmtp.results.errors import DeadlineExceeded as DeadlineExceeded
    from wlsmtp.results.errors import ExtensionMissing as ExtensionMissing
    from wlsmtp.results.errors import LocalDeliveryFailed as LocalDeliveryFailed
    from wlsmtp.results.errors import MessageCancelled as MessageCancelled
    from wlsmtp.results.errors import MessageError as MessageError
    from wlsmtp.results.errors import NotInOutbox as NotInOutbox
    from wlsmtp.results.errors import OutboxError as OutboxError
    from wlsmtp.results.errors import OutcomeUnknown as OutcomeUnknown
    from wlsmtp.results.errors import ProtocolError as ProtocolError
    from wlsmtp.results.errors import RecipientsRefused as RecipientsRefused
    from wlsmtp.results.errors import ReplyError as ReplyError
    from wlsmtp.results.errors import SenderRefused as SenderRefused
    from wlsmtp.results.errors import SMTPError as SMTPError
    from wlsmtp.results.errors import Stage as Stage
    from wlsmtp.results.errors import TLSError as TLSError
    from wlsmtp.results.receipt import Receipt as Receipt
    from wlsmtp.results.receipt import RecipientResult as RecipientResult
    from wlsmtp.results.receipt import RecipientStatus as RecipientStatus
    from wlsmtp.results.receipt import Status as Status
    from wlsmtp.results.reply import EnhancedStatusCode as EnhancedStatusCode
    from wlsmtp.results.reply import Reply as Reply
    from wlsmtp.results.secured import Certificate as Certificate
    from wlsmtp.results.secured import TLSInfo as TLSInfo
    from wlsmtp.results.statistics import OutboxStatistics as OutboxStatistics
    from wlsmtp.results.statistics import Statistics as Statistics
    from wlsmtp.session import AsyncSMTPSession as AsyncSMTPSession
    from wlsmtp.session import SMTPSession as SMTPSession
    from wlsmtp.settings.config import TLS as TLS
    from wlsmtp.settings.config import Mode as Mode
    from wlsmtp.settings.config import Security as Security
    from wlsmtp.settings.config import SessionConfig as SessionConfig
    from wlsmtp.settings.config import SessionKeywords as SessionKeywords
    from wlsmtp.settings.dkim import DKIM as DKIM
    from wlsmtp.settings.limits import Pipelining as Pipelining
    from wlsmtp.settings.limits import PoolLimits as PoolLimits
    from wlsmtp.settings.limits import RetryPolicy as RetryPolicy
    from wlsmtp.settings.limits import Timeouts as Timeouts
    from wlsmtp.settings.network import Network as Network
    from wlsmtp.settings.network import Proxy as Proxy
    from wlsmtp.settings.options import DSN as DSN
    from wlsmtp.settings.options import DeliverBy as DeliverBy
    from wlsmtp.settings.options import DeliveryOptions as DeliveryOptions
    from wlsmtp.settings.options import RecipientDSN as RecipientDSN
    from wlsmtp.smtp.connection import ServerInfo as ServerInfo
    from wlsmtp.transports.base import Transport as Transport
    from wlsmtp.transports.memory import MemoryTransport as MemoryTransport
    from wlsmtp.wire.extensions import Capabilities as Capabilities

__version__ = "0.1.0"

_ROOMS = {
    "session": ("SMTPSession", "AsyncSMTPSession"),
    "message.model": ("Message", "Attachment"),
    "message.envelope": ("Envelope",),
    "message.invitation": ("Invitation",),
    "message.templates": ("Templates",),
    "receipt": ("Receipt", "RecipientResult", "RecipientStatus", "Status"),
    "settings.config": ("SessionConfig", "SessionKeywords", "Security", "Mode", "TLS"),
    "settings.dkim": ("DKIM",),
    "settings.limits": ("Timeouts", "PoolLimits", "Pipelining", "RetryPolicy"),
    "errors": (
        "SMTPError", "ConfigError", "MessageError", "ConnectionFailed", "DeadlineExceeded", "TLSError",
        "AuthenticationFailed", "ReplyError", "SenderRefused", "RecipientsRefused", "ContentRefused", "CommandRefused",
        "LocalDeliveryFailed", "ProtocolError", "ExtensionMissing", "OutcomeUnknown", "MessageCancelled", "OutboxError",
        "NotInOutbox", "Stage",
    ),
    "oauth": ("ClientCredentials", "RefreshToken"),
    "settings.options": ("DeliveryOptions", "DSN", "RecipientDSN", "DeliverBy"),
    "settings.network": ("Network", "Proxy"),
    "results.secured": ("TLSInfo", "Certificate"),
    "outbox.base": ("Outbox", "OutboxNotEmpty"),
    "outbox.memory": ("MemoryOutbox",),
    "outbox.sqlite": ("SQLiteOutbox",),
    "outbox.postgres.outbox": ("PostgresOutbox",),
    "smtp.connection": ("ServerInfo",),
    "results.statistics": ("Statistics", "OutboxStatistics"),
    "transports.base": ("Transport",),
    "transports.memory": ("MemoryTransport",),
    "wire.extensions": ("Capabilities",),
    "results.reply": ("Reply", "EnhancedStatusCode"),
}  # fmt: skip
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

# The imports above are for type checkers.
__all__ = ["__version__", *sorted(_HOME)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Import the module of a public name on first use (PEP 562), so that ``import wlsmtp`` stays light."""
    if name not in _HOME:
        raise _missing(name, sys._getframe(1).f_code.co_name)
    value = globals()[name] = getattr(import_module(f"wlsmtp.{_HOME[name]}"), name)
    return value


def _missing(name: str, caller: str) -> Exception:
    """Return the error about a name that does not exist, with what to write. ``from wlsmtp import name`` asks first
    whether it does: what the import says itself would hide the advice."""
    words, advice = f"module 'wlsmtp' has no attribute {name!r}", None
    if not name.startswith("_"):
        from importlib.util import find_spec

        from wlsmtp.habits import missing

        advice = missing(name, _HOME)
        if advice and caller == "_handle_fromlist" and find_spec(f"wlsmtp.{name}") is None:
            return ImportError(f"cannot import name {name!r} from 'wlsmtp': {advice}", name="wlsmtp")
    return AttributeError(f"{words}: {advice}" if advice else words)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
