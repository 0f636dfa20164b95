"""Types of what the session's methods are given and return: messages, and the options of ``send``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypedDict

from wlsmtp.message.envelope import Envelope
from wlsmtp.message.merge import MergeRow
from wlsmtp.message.model import Fields
from wlsmtp.message.render import Sendable
from wlsmtp.settings.options import DeliveryOptions, When

if TYPE_CHECKING:
    from wlsmtp.smtp.connection import ServerInfo as ServerInfo
    from wlsmtp.transports.base import Transport as Transport
else:
    ServerInfo = Transport = Any  # importing them takes long

Item = Sendable | MergeRow | tuple[Sendable, Envelope]
"""The items of ``send_many``: a message, a row of a mail merge, or a message with its envelope."""


class SendOptions(TypedDict, total=False):
    """The options of ``SMTPSession.send``."""

    recipients: str | Iterable[str] | None
    options: DeliveryOptions | None
    timeout: float | None
    send_at: When | None
    priority: int
    expires: When | None
    idempotency_key: str | None
    lane: str | None
    within: object


class FieldsAndOptions(Fields, SendOptions, total=False):
    """The options and the fields of a message."""
