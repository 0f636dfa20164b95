"""The results of sent emails: ``EmailStatus``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.receipt import Status
from wlsmtp.wlanguage.constants import emailError, emailPending, emailSent
from wlsmtp.wlanguage.errors import failed, function, succeeded
from wlsmtp.wlanguage.members import checked, text

if TYPE_CHECKING:
    from wlsmtp.receipt import Receipt
    from wlsmtp.wlanguage.running import Running

__all__ = ["EmailStatus"]

_REMEMBERED = 10_000
"""Number of emails whose status is remembered; the oldest are forgotten first."""

_known: dict[str, SMTPError | _Pending | None] = {}
"""None for an email that was sent, an error for one that was given up."""


class _Pending(NamedTuple):
    receipt: Receipt
    running: Running


def remember(receipt: Receipt, running: Running) -> None:
    """Remember that an email was sent, or the session that knows its result."""
    _known[receipt.id] = _Pending(receipt, running) if receipt.status is Status.PENDING else None
    if len(_known) > _REMEMBERED:
        _known.pop(next(iter(_known)), None)


@function
def EmailStatus(identifier: str) -> int:
    """Return the result of an email, by the ``ID`` or ``MailIdentifier`` that it had after sending.

    ``emailSent`` when the server has accepted it, ``emailPending`` when it is still to be sent, ``emailError`` when it
    has failed permanently or is unknown here; ``ErrorInfo`` says why. A permanent problem (a wrong password, a
    certificate, no STARTTLS, a server that does not exist) is ``emailError`` too, and then the email is not sent later.
    An email that is kept in a file waits for the next session, as ``emailPending`` with ``ErrorOccurred``.
    """
    checked(text, identifier, "EmailStatus")
    try:
        status = _status(identifier)
    except SMTPError as error:
        failed(error)
        return emailError
    return emailPending if status is Status.PENDING else emailSent


def _status(identifier: str) -> Status:
    if identifier not in _known:
        raise ConfigError("No email with this identifier was sent by this program", stage=Stage.SETTINGS)
    known = _known[identifier]
    if isinstance(known, SMTPError):
        raise known
    succeeded()
    if known is None:
        return Status.SENT
    given_up_for = known.running.give_up(known.receipt)
    receipt = known.receipt.wait(0)
    if receipt.status is Status.PENDING:
        if known.running.session_error is not None:
            failed(known.running.session_error)
        return receipt.status
    final = _known[identifier] = given_up_for or receipt.error
    if final is not None:
        raise final
    return receipt.status
