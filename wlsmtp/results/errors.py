"""Everything that can go wrong, as one tree.

::

    SMTPError
    ├── ConfigError (ValueError)            settings that cannot work
    ├── MessageError (ValueError)           address, header, attachment, size: refused before anything was sent
    ├── ConnectionFailed (ConnectionError)  never reached the server, or lost it
    ├── DeadlineExceeded (TimeoutError)     a stage or the whole send took too long
    ├── TLSError (OSError)                  handshake, certificate, name, downgrade
    ├── AuthenticationFailed (PermissionError)
    ├── ReplyError (OSError)                the server answered 4xx or 5xx
    │   ├── SenderRefused                   … to MAIL
    │   ├── RecipientsRefused               … to every RCPT
    │   ├── ContentRefused                  … to DATA, or to the content itself
    │   └── CommandRefused                  … to anything else (greeting, EHLO, …)
    ├── LocalDeliveryFailed (OSError)       a program or a directory of this machine did not take the message
    ├── ProtocolError (OSError)             what the server sent cannot be parsed or paired
    ├── ExtensionMissing (OSError)          the message or the user needs what the server does not offer
    ├── OutcomeUnknown (OSError)            the end of the content was written and no answer came
    ├── MessageCancelled (OSError)          the message was taken out of the outbox before it was sent
    └── OutboxError (OSError, RuntimeError)  the outbox cannot keep mail, or give it
        ├── NotInOutbox (LookupError)       … knows no such message
        └── OutboxNotEmpty                  … would lose the mail that is still in it (``outbox/base.py``)

Each is also the matching builtin, so that ``except TimeoutError`` works: a ``ValueError`` where what the caller gave
cannot work, and an ``OSError`` everywhere else, as the errors of ``smtplib`` and of sockets are. Its ``errno`` is None;
the system's own error, where there is one, is ``__cause__``. An error answers the questions that a caller has: at which
``stage`` it happened, what the server said (``reply``), what to do about it (``hint``), whether another try may help
(``temporary``) and whether the message may have been delivered all the same (``ambiguous``).

This file imports nothing of the package but replies, and receipts for type checkers: every other room leans on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from wlsmtp.results.reply import Reply, shortened


class Stage(StrEnum):
    """Where in the conversation something happened, in the order of the conversation."""

    SETTINGS = "settings"
    MESSAGE = "message"
    CONNECT = "connect"
    TLS = "TLS"
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"
    RSET = "RSET"
    NOOP = "NOOP"
    QUIT = "QUIT"

    @property
    def is_before_mail(self) -> bool:
        """Whether the failure concerns the session rather than one message: nothing of a message was said yet."""
        return self in _BEFORE_MAIL


_BEFORE_MAIL = frozenset(
    {Stage.SETTINGS, Stage.CONNECT, Stage.TLS, Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.AUTH}
)


MAX_MESSAGE = 2000
"""Characters of an error's message, and of its hint: a longer one, which repeats what a server or a caller gave, is
cut in the middle."""

NOTHING_SENT = "No command of a message was sent: the connection was being opened."
"""A note on an exception of another kind than those below, which leaves no message in doubt."""


class SMTPError(Exception):
    """The root of the tree. ``str()`` gives one sentence of what happened, the server's words, and the hint; it is of
    bounded length, whatever the server said. ``reply.lines`` has all of it."""

    _server: str | None = None

    _record: Mapping[str, Any] = MappingProxyType({})
    """Of an error that was read from a record: what this class has no place for, as the answers of a class that is not
    known here."""
    row: int | None = None
    """The place of the row that makes no message, in a mail merge; that of the first is 0."""
    receipts: Sequence[Receipt] = ()
    """Of an error that ends ``send_all``: the receipts of the messages until then, in their order."""

    def __init__(
        self,
        message: str,
        *,
        stage: Stage | None = None,
        reply: Reply | None = None,
        receipt: Receipt | None = None,
        hint: str | None = None,
    ) -> None:
        message = shortened(message, MAX_MESSAGE)
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.reply = reply
        self.receipt = receipt
        self.hint: str | None = shortened(hint, MAX_MESSAGE) if hint else hint

    def __str__(self) -> str:
        parts = [self.message]
        if self.reply is not None:
            parts.append(f"The server said: {self.reply}")
        if self.hint:
            parts.append(self.hint)
        return " ".join(part if part.endswith((".", "!", "?", ":")) else part + "." for part in parts)

    @property
    def server(self) -> str | None:
        """Host and port of the server that was asked, or the path of its socket; None where none was."""
        return self._server

    def name_server(self, server: str) -> None:
        """Say which server was asked, unless that is known already."""
        self._server = self._server or server

    @property
    def temporary(self) -> bool:
        """Whether the same message, sent later to the same server, may well succeed."""
        if "temporary" in self._record:
            return bool(self._record["temporary"])
        return self.reply is not None and self.reply.may_pass

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server wants to be asked again, when it named a time, or a limit of mail in an hour
        or a day; else None."""
        if "retry_after" in self._record:
            seconds = self._record["retry_after"]
            return None if seconds is None else float(seconds)
        return self.reply.retry_after if self.reply is not None else None

    @property
    def ambiguous(self) -> bool:
        """Whether the message may have been delivered in spite of the error; if so, sending again may duplicate it."""
        return bool(self._record.get("ambiguous", False))


class ConfigError(SMTPError, ValueError):
    """Settings that cannot work: the message names the field and says what is allowed."""


class MessageError(SMTPError, ValueError):
    """The message cannot be sent as it is (address, header, attachment, size); nothing was sent."""


class ConnectionFailed(SMTPError, ConnectionError):
    """The server was never reached, or the connection was lost before the end of the content was written."""

    is_lasting = False
    """Whether waiting will not help: the host name does not exist, or the session was closed."""

    @property
    def temporary(self) -> bool:
        """Whether the network may come back."""
        return not self.is_lasting


class DeadlineExceeded(SMTPError, TimeoutError):
    """A stage, or the whole send, took longer than its time-out; nothing was delivered."""

    @property
    def temporary(self) -> bool:
        """True: the server may be quicker next time."""
        return True


class TLSError(SMTPError, OSError):
    """The link could not be secured: handshake, certificate, host name, or a downgrade. Tried again only after a 4xx to
    STARTTLS (454, RFC 3207 §4)."""


class AuthenticationFailed(SMTPError, PermissionError):
    """The server refused the credentials (RFC 4954 §6), or no usable mechanism is left."""

    mechanism: str | None = None
    """The SASL mechanism that was refused last."""
    is_lasting = False
    """Whether waiting will not help although the reply was 4xx, as it says that the credentials are wrong."""
    rests: float | None = None
    """Seconds without a login that the server needs, as it was asked too often."""
    problem: Mapping[str, str] = MappingProxyType({})
    """What the server, or the token endpoint, says of a refused OAuth 2.0 token (``status``, ``scope``, ``schemes``,
    ``openid-configuration``, or ``error`` and ``error_description``); RFC 7628 §3.2.2, RFC 6749 §5.2."""

    @property
    def temporary(self) -> bool:
        """Whether the same login may succeed later: never after a 5xx, as each try may be the one that locks the
        account."""
        return self.reply is not None and self.reply.is_transient and not self.is_lasting

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server wants to be asked again; None when it did not say so."""
        return max(self.rests or 0.0, super().retry_after or 0.0) or None


class ReplyError(SMTPError, OSError):
    """The server answered 4xx or 5xx; ``reply`` has its words."""


class SenderRefused(ReplyError):
    """The server refused the sender: its reply to MAIL was 4xx or 5xx."""


class RecipientsRefused(ReplyError):
    """The server refused every recipient; ``receipt.refused`` has the reply for each."""


class ContentRefused(ReplyError):
    """The server refused DATA, or the content after it was sent whole."""


class CommandRefused(ReplyError):
    """The server refused the session itself: its greeting, EHLO, STARTTLS or another command was 4xx or 5xx."""


class LocalDeliveryFailed(SMTPError, OSError):
    """A program or a directory of this machine could not be used; nothing was delivered."""

    is_lasting = True
    """Whether waiting will not help, as with a missing permission; a full disk may be emptied."""

    @property
    def temporary(self) -> bool:
        """Whether another try later may succeed."""
        return not self.is_lasting


class ProtocolError(SMTPError, OSError):
    """What the server sent cannot be parsed, or answers nothing that was asked; the connection is not used again."""


class ExtensionMissing(SMTPError, OSError):
    """The message, or a setting, needs an extension that the server does not offer."""


class OutcomeUnknown(SMTPError, OSError):
    """The end of the content was written and no answer came: the message may or may not have been delivered.

    It is not sent again on its own, as that might duplicate it (RFC 5321 §4.5.3.2.6, RFC 1047)."""

    @property
    def ambiguous(self) -> bool:
        """True: only the recipient's mailbox knows."""
        return True


class MessageCancelled(SMTPError, OSError):
    """The message was taken out of the outbox before it was sent (mode ``async``)."""


class OutboxError(SMTPError, OSError, RuntimeError):
    """The outbox cannot be used: its file is missing, damaged, full, locked for too long or of a newer version."""

    @property
    def temporary(self) -> bool:
        """Whether the same may work later: a lock or a full disk passes, and other things do not."""
        return self.is_passing

    is_passing = False
    """Whether waiting may help."""


class NotInOutbox(OutboxError, LookupError):
    """The outbox knows no message with this id: it never had it, or its record was purged."""


# Tracebacks and pickles name the path by which programs import them.
for _value in tuple(vars().values()):
    if isinstance(_value, type) and _value.__module__ == __name__:
        _value.__module__ = "wlsmtp.errors"

# Here, as the two modules need each other; annotations are read with it.
from wlsmtp.results.receipt import Receipt  # noqa: E402
