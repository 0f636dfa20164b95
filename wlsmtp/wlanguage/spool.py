"""What came of the emails that were sent: ``EmailStatus``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.receipt import Status
from wlsmtp.wlanguage.constants import emailError, emailPending, emailSent
from wlsmtp.wlanguage.errors import failed, succeeded

if TYPE_CHECKING:
    from wlsmtp.receipt import Receipt
    from wlsmtp.session import SMTPSession

__all__ = ["EmailStatus"]

_REMEMBERED = 100_000
"""Emails whose status can be asked for; the oldest are forgotten first."""

_sent: dict[str, Any] = {}
"""The session that knows the status; None for an email that was sent synchronously, and so for good."""


def remember(receipt: Receipt, session: SMTPSession) -> None:
    """Keep in mind who can tell what came of an email."""
    _sent[receipt.id] = session if receipt.status is Status.PENDING else None
    if len(_sent) > _REMEMBERED:
        _sent.pop(next(iter(_sent)), None)


def EmailStatus(identifier: str) -> int:
    """What came of an email, by the ``ID`` or ``MailIdentifier`` that it had after sending.

    ``emailSent`` when the server has taken it, ``emailPending`` when it is still to be sent, ``emailError`` when it
    was not sent for good or is not known here; ``ErrorInfo`` says why.
    """
    try:
        return _status(identifier)
    except SMTPError as error:
        failed(error)
        return emailError


def _status(identifier: str) -> int:
    if identifier not in _sent:
        raise ConfigError("No email with this identifier was sent by this program", stage=Stage.SETTINGS)
    session = _sent[identifier]
    receipt = session.status(identifier) if session is not None else None
    if receipt is not None and receipt.status is Status.PENDING:
        succeeded()
        return emailPending
    if receipt is not None and receipt.error is not None:
        raise receipt.error
    succeeded()
    return emailSent
