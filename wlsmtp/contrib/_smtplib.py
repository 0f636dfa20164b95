"""The differences between ``smtplib`` and a session: replies, errors and settings. For the drop-in and for Django."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from wlsmtp.errors import (
    ConfigError,
    ConnectionFailed,
    DeadlineExceeded,
    OutcomeUnknown,
    ProtocolError,
    RecipientsRefused,
    SMTPError,
    Stage,
)
from wlsmtp.receipt import RecipientResult, RecipientStatus
from wlsmtp.results.reply import Reply
from wlsmtp.session import SMTPSession
from wlsmtp.settings.config import TLS, SessionConfig
from wlsmtp.transports.base import Context
from wlsmtp.transports.smtp import SMTPTransport

Answer = tuple[int, bytes]

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


def translated(error: SMTPError, sender: str = "") -> Exception:
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


class Server(SMTPTransport):
    """The server of a session, to which names without a domain are offered too: it decides, as with ``smtplib``."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.config = SessionConfig(**settings)
        self.session = SMTPSession(self.config, transport=self)

    @property
    def serves_local_names(self) -> bool:
        """Return True, as ``smtplib`` leaves names to the server."""
        return True

    def attach(self, context: Context) -> None:
        """Become the server of a session."""
        super().attach(context)
        super().__init__(self.config, context.io, context.announce)


def settings_of(session: SMTPSession) -> dict[str, Any]:
    """Return what was set, for another session with changes."""
    return {name: getattr(session.config, name) for name in session.config.model_fields_set - {"transport"}}


def tls_settings(context: Any, certfile: Any = None, keyfile: Any = None) -> dict[str, TLS]:
    """Return the setting for a context, or a certificate of the client."""
    if context is None:
        return {"tls": TLS(client_cert=(certfile, keyfile) if keyfile else certfile)} if certfile else {}
    return {"tls": TLS(context=context, verify=bool(context.verify_mode) and context.check_hostname)}


def seconds(timeout: Any) -> float | None:
    """Return the seconds that ``timeout`` says, or those that ``socket.setdefaulttimeout`` has set. None means the
    timeouts of a session. Raises ``ValueError`` for 0, as ``smtplib`` does."""
    if timeout is None or timeout is socket._GLOBAL_DEFAULT_TIMEOUT:  # type: ignore[attr-defined]
        timeout = socket.getdefaulttimeout()
    if timeout == 0:
        raise ValueError("Non-blocking socket (timeout=0) is not supported")
    return timeout  # type: ignore[no-any-return]
