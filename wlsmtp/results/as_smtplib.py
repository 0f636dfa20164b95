"""Replies and errors in the form of ``smtplib``, for adapters whose users catch the exceptions of ``smtplib``."""

from __future__ import annotations

import smtplib
from collections.abc import Iterable, Mapping

from wlsmtp.results.errors import (
    ConfigError,
    ConnectionFailed,
    DeadlineExceeded,
    OutcomeUnknown,
    ProtocolError,
    RecipientsRefused,
    SMTPError,
    Stage,
)
from wlsmtp.results.receipt import RecipientResult, RecipientStatus
from wlsmtp.results.reply import Reply

Answer = tuple[int, bytes]
"""Code and text of a reply."""

_REFUSED: Mapping[Stage | None, type[smtplib.SMTPResponseException]] = {
    Stage.GREETING: smtplib.SMTPConnectError, Stage.EHLO: smtplib.SMTPHeloError,
    Stage.AUTH: smtplib.SMTPAuthenticationError, Stage.MAIL: smtplib.SMTPSenderRefused,
    Stage.DATA: smtplib.SMTPDataError, Stage.CONTENT: smtplib.SMTPDataError, Stage.RSET: smtplib.SMTPResponseException,
    Stage.NOOP: smtplib.SMTPResponseException, Stage.STARTTLS: smtplib.SMTPResponseException,
}  # fmt: skip


class SMTPMessageError(smtplib.SMTPException, ValueError):
    """The message, or an address, cannot be sent as it is; nothing was sent."""

    __module__ = "wlsmtp.contrib.smtplib"  # the path by which programs import it


def answer(reply: Reply | None) -> Answer:
    """Return code and text of a reply, -1 without one."""
    return (reply.code, "\n".join(reply.lines).encode()) if reply is not None else (-1, b"")


def refusals(recipients: Iterable[RecipientResult]) -> dict[str, Answer]:
    """Return the answers to the recipients that were not accepted, as ``sendmail`` does. The code is -1 for one in
    doubt, as when the connection was lost between two answers of LMTP."""
    return {item.address: answer(item.reply) for item in recipients if item.status is not RecipientStatus.ACCEPTED}


def exception(error: SMTPError, sender: str = "") -> Exception:
    """Return the exception that a program for ``smtplib`` waits for, or the ``OSError`` of the system."""
    words, cause = str(error), error.__cause__
    if isinstance(error, RecipientsRefused):
        return smtplib.SMTPRecipientsRefused(refusals(error.receipt.recipients if error.receipt is not None else ()))
    if error.stage in _REFUSED and error.reply is not None:
        return _REFUSED[error.stage](*answer(error.reply), *([sender] if error.stage is Stage.MAIL else []))
    if error.stage in (Stage.CONNECT, Stage.TLS) and isinstance(cause, OSError):
        cause.add_note(words)
        return cause
    if isinstance(error, ConfigError):
        return OSError(words)
    if isinstance(error, ProtocolError):
        return smtplib.SMTPResponseException(500, words)
    if isinstance(error, ConnectionFailed | OutcomeUnknown | DeadlineExceeded):
        return smtplib.SMTPServerDisconnected(words)
    return (SMTPMessageError if isinstance(error, ValueError) else smtplib.SMTPNotSupportedError)(words)
