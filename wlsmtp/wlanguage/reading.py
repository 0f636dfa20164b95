"""The functions that read mail. Sessions here only send, so each raises the error that the original reports, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from wlsmtp.wlanguage.errors import WLanguageError, failed

__all__ = [
    "EmailReadFirst", "EmailReadFirstHeader", "EmailReadLast", "EmailReadLastHeader", "EmailReadMessage",
    "EmailReadNext", "EmailReadNextHeader", "EmailReadPrevious", "EmailReadPreviousHeader", "EmailSeekFirst",
]  # fmt: skip


def _reading(name: str) -> Callable[..., NoReturn]:
    def read(*_: object, **__: object) -> NoReturn:
        error = WLanguageError(f"{name}: an SMTP session only sends mail; use POP3 (poplib) or IMAP (imaplib) to read")
        failed(error)
        raise error

    read.__name__ = read.__qualname__ = name
    read.__doc__ = "Raises ``WLanguageError``: mail is read with POP3 or IMAP."
    return read


EmailReadMessage: Callable[..., NoReturn] = _reading("EmailReadMessage")
EmailReadFirst: Callable[..., NoReturn] = _reading("EmailReadFirst")
EmailReadNext: Callable[..., NoReturn] = _reading("EmailReadNext")
EmailReadPrevious: Callable[..., NoReturn] = _reading("EmailReadPrevious")
EmailReadLast: Callable[..., NoReturn] = _reading("EmailReadLast")
EmailReadFirstHeader: Callable[..., NoReturn] = _reading("EmailReadFirstHeader")
EmailReadNextHeader: Callable[..., NoReturn] = _reading("EmailReadNextHeader")
EmailReadPreviousHeader: Callable[..., NoReturn] = _reading("EmailReadPreviousHeader")
EmailReadLastHeader: Callable[..., NoReturn] = _reading("EmailReadLastHeader")
EmailSeekFirst: Callable[..., NoReturn] = _reading("EmailSeekFirst")
