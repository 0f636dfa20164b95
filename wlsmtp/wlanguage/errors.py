"""How errors are told: a function returns False, ``ErrorOccurred`` says that it failed, ``ErrorInfo`` says why.

Each thread has its own last error. What the original reports by stopping the program, a mistake in the program rather
than in the world, is a ``WLanguageError``.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from wlsmtp.errors import ConfigError, DeadlineExceeded, SMTPError, Stage
from wlsmtp.io.thread import ThreadLocal
from wlsmtp.wlanguage.constants import errCode, errFullDetails, errMessage

__all__ = ["ErrorInfo", "ErrorOccurred", "WLanguageError"]


class WLanguageError(ConfigError):
    """A mistake in the program: a value that cannot be, a function that such a session does not have."""

    def __init__(self, message: str) -> None:
        super().__init__(message, stage=Stage.SETTINGS)


CODES = {
    "ConfigError": 1, "MessageError": 2, "ConnectionFailed": 3, "DeadlineExceeded": 4, "TLSError": 5,
    "AuthenticationFailed": 6, "ReplyError": 7, "ProtocolError": 8, "ExtensionMissing": 9, "OutcomeUnknown": 10,
    "MessageCancelled": 11, "OutboxError": 12,
}  # fmt: skip
"""``ErrorInfo(errCode)`` by the kind of error, where the server gave no reply code (those have three digits). 4 is a
time-out; after 10 the message may have been delivered all the same. Anything else is 99."""

_HINTS = {
    "allow_cleartext_auth": "Use emailOptionSecuredTLS or emailOptionSecuredSSL; EmailConfigure("
    "emailParameterClearPassword, 1) sends it as the original does, for anybody on the way to read",
    "TLS(ca_file": "If the server uses a private authority, name its file with EmailConfigure(emailParameterCAFile, …),"
    " or choose another trust store with EmailConfigure(emailParameterMode, 1); with emailOptionDefault, "
    "EmailConfigure(emailParameterOpportunisticTLS, 0) goes on without TLS",
    "opportunistic_tls": "EmailConfigure(emailParameterOpportunisticTLS, 0) goes on without TLS",
    "auth='optional'": "Some servers offer it only over TLS (emailOptionSecuredTLS)",
    "error's left": "The session stays open and goes on sending; close it once more. EmailConfigure("
    "emailParameterSpooler, …) keeps emails in files",
    "open()": "Start it again",
}
"""What to do, in the words of this module, by a word of the library's own advice."""

_WORDS = {
    "security='tls'": "emailOptionSecuredTLS",
    "security='ssl'": "emailOptionSecuredSSL",
    "security='default'": "emailOptionDefault",
}
_FIELDS = {
    "server": "ServerAddress", "port": "Port", "username": "Name", "password": "Password", "token": "AuthToken",
    "sender": "Sender", "to": "Recipient", "cc": "Cc", "bcc": "Bcc", "reply_to": "SenderAddress",
    "subject": "Subject", "text": "Message", "html": "HTML", "attachments": "Attach", "message_id": "MessageID",
}  # fmt: skip
_FIELD = re.compile(rf"(?:^|(?<=; ))({'|'.join(_FIELDS)})(?=[.:])")


class _LastError(ThreadLocal):
    error: SMTPError | None = None
    message: str = ""
    hint: str | None = None


_last = _LastError()


def succeeded() -> Literal[True]:
    """Forget the last error of this thread."""
    _last.error = None
    return True


def failed(error: SMTPError, port: int | None = None) -> Literal[False]:
    """Keep the last error of this thread, in the words of this module."""
    # Not the frames that it came through: they may hold a password for as long as nothing else fails.
    _last.error = error.with_traceback(None)
    _last.message = _FIELD.sub(lambda found: _FIELDS[found[1]], _in_our_words(error.message))
    _last.hint = _hint(error, port)
    return False


def _in_our_words(text: str) -> str:
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text


def _hint(error: SMTPError, port: int | None) -> str | None:
    hint = error.hint
    if isinstance(error, DeadlineExceeded) and port is not None and "firewall" not in (hint or ""):
        return f"Check the settings of the firewall on the port used ({port})"
    if hint is None:
        return None
    return next((ours for word, ours in _HINTS.items() if word in hint), None) or _in_our_words(hint)


class _ErrorOccurred:
    """Whether the last function that was called in this thread failed: as a variable (``if ErrorOccurred:``) or
    called."""

    def __call__(self) -> bool:
        return _last.error is not None

    def __bool__(self) -> bool:
        return self()

    def __eq__(self, other: object) -> bool:
        return self() == other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return repr(self())


ErrorOccurred = _ErrorOccurred()


def ErrorInfo(information: int = errMessage) -> Any:
    """What is known of the last error of this thread: ``errMessage`` (str), ``errCode`` (int) or ``errFullDetails``
    (str). After a success "" and 0. Raises ``WLanguageError`` for another constant."""
    error = _last.error
    if information == errCode:
        return 0 if error is None else _code(error)
    if information == errMessage:
        return "" if error is None else _message(error)
    if information == errFullDetails:
        return "" if error is None else "\n".join(_details(error))
    raise WLanguageError("ErrorInfo: takes errMessage, errCode or errFullDetails")


def _code(error: SMTPError) -> int:
    if error.reply is not None and not error.ambiguous:
        return error.reply.code
    return next((CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in CODES), 99)


def _message(error: SMTPError) -> str:
    return str(SMTPError(_last.message, reply=error.reply, hint=_last.hint))


def _details(error: SMTPError) -> list[str]:
    lines = [_last.message, f"Error code: {_code(error)} ({type(error).__name__})"]
    if error.stage is not None:
        lines.append(f"Stage: {error.stage.value}")
    if error.reply is not None:
        lines.append(f"The server said: {error.reply}")
    if error.receipt is not None:
        lines += [
            f"{each.address}: {each.status.value} {each.reply or ''}".rstrip() for each in error.receipt.recipients
        ]
    if _last.hint:
        lines.append(f"Advice: {_last.hint}")
    return lines
