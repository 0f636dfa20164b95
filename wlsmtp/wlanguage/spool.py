"""What came of the emails that were sent: ``EmailStatus``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.receipt import Status
from wlsmtp.wlanguage.constants import emailError, emailPending, emailSent
from wlsmtp.wlanguage.errors import failed, succeeded

if TYPE_CHECKING:
    from wlsmtp.receipt import Receipt

__all__ = ["EmailStatus"]

_REMEMBERED = 10_000
"""Emails whose status can be asked for; the oldest are forgotten first."""

_receipts: dict[str, Receipt | None] = {}
"""None for an email that was sent before ``EmailSendMessage`` returned."""


def remember(receipt: Receipt) -> None:
    """Keep in mind that an email was sent, or who can tell what came of it."""
    _receipts[receipt.id] = receipt if receipt.status is Status.PENDING else None
    if len(_receipts) > _REMEMBERED:
        _receipts.pop(next(iter(_receipts)), None)


def EmailStatus(identifier: str) -> int:
    """What came of an email, by the ``ID`` or ``MailIdentifier`` that it had after sending.

    ``emailSent`` when the server has taken it, ``emailPending`` when it is still to be sent, ``emailError`` when it
    was not sent for good or is not known here; ``ErrorInfo`` says why.
    """
    try:
        status = _status(identifier)
    except SMTPError as error:
        failed(error)
        return emailError
    succeeded()
    return emailPending if status is Status.PENDING else emailSent


def _status(identifier: str) -> Status:
    if identifier not in _receipts:
        raise ConfigError("No email with this identifier was sent by this program", stage=Stage.SETTINGS)
    known = _receipts[identifier]
    if known is None:
        return Status.SENT
    receipt = _receipts[identifier] = known.wait(0)
    status: Status = receipt.status
    if status is not Status.PENDING and receipt.error is not None:
        raise receipt.error
    return status
