"""Error reporting: a function returns False, ``ErrorOccurred`` says that it failed, ``ErrorInfo`` says why.

Each thread has its own last error. A mistake in the program, for which the original stops the program, is a
``WLanguageError``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Literal, ParamSpec, TypeVar

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.io.thread import ThreadLocal
from wlsmtp.wlanguage import words
from wlsmtp.wlanguage.constants import errCode, errFullDetails, errMessage

__all__ = ["ErrorInfo", "ErrorOccurred", "WLanguageError"]


class WLanguageError(ConfigError):
    """A mistake in the program: an impossible value, or a function that such a session does not have."""

    def __init__(self, message: str) -> None:
        super().__init__(message, stage=Stage.SETTINGS)


class WrongValue(WLanguageError):
    """An impossible value of the right type: a function that receives it fails."""


class WrongArguments(WLanguageError, TypeError):
    """Too many arguments, too few, or an unknown name."""


class UnknownMember(WLanguageError, AttributeError):
    """A member that a variable does not have."""


P = ParamSpec("P")
R = TypeVar("R")


def function(call: Callable[P, R]) -> Callable[P, R]:
    """Mark a function or method that programs call: a wrong number of arguments is a ``WLanguageError`` too."""

    @wraps(call)
    def called(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return call(*arguments, **named)
        except TypeError:
            # Another TypeError comes from within. Checked afterwards, as it takes longer than most functions.
            takes = signature(call)
            try:
                takes.bind(*arguments, **named)
            except TypeError:
                names = [name for name in takes.parameters if name != "self"]
                words = f"{call.__name__}: takes {', '.join(names) or 'no arguments'}"
                raise WrongArguments(words) from None
            raise

    return called


CODES = {
    "ConfigError": 1, "MessageError": 2, "ConnectionFailed": 3, "DeadlineExceeded": 4, "TLSError": 5,
    "AuthenticationFailed": 6, "ReplyError": 7, "ProtocolError": 8, "ExtensionMissing": 9, "OutcomeUnknown": 10,
    "MessageCancelled": 11, "OutboxError": 12,
}  # fmt: skip
"""``ErrorInfo(errCode)`` by the kind of error, if the server gave no reply code (those have three digits). 4 is a
timeout; from 10 on the message may have been delivered all the same. Anything else is 99."""


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
    """Store the last error of this thread, in the words of this package."""
    # Without the frames that it passed through: they may hold a password until something else fails.
    _last.error = error.with_traceback(None)
    _last.message = error.message if isinstance(error, WLanguageError) else words.in_wlanguage(error)
    _last.hint = words.advice(error, port)
    return False


class _ErrorOccurred:
    """True if the last function called in this thread failed: as a variable (``if ErrorOccurred:``) or called."""

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


ErrorOccurred: _ErrorOccurred = _ErrorOccurred()


@function
def ErrorInfo(information: int = errMessage) -> Any:
    """Return the last error of this thread: ``errMessage`` (str), ``errCode`` (int) or ``errFullDetails`` (str). After
    a success "" and 0. Raises ``WLanguageError`` for another constant."""
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
    lines = [_last.message, f"Error code: {_code(error)}"]
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
