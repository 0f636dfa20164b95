"""The exceptions, as one tree.

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
    ├── LocalDeliveryFailed (OSError)       a program or a directory of this machine did not accept the message
    ├── ProtocolError (OSError)             the server's reply cannot be parsed or paired
    ├── ExtensionMissing (OSError)          the message or a setting requires what the server does not offer
    ├── OutcomeUnknown (OSError)            the end of the content was written and no reply came
    ├── MessageCancelled (OSError)          the message was removed from the outbox before it was sent
    └── OutboxError (OSError, RuntimeError)  the outbox cannot store mail, or return it
        ├── NotInOutbox (LookupError)       … has no such message
        └── OutboxNotEmpty                  … would lose the mail that is still in it (``outbox/base.py``)

Each is also the matching builtin, so that ``except TimeoutError`` works: a ``ValueError`` for bad input, and an
``OSError`` everywhere else, like the errors of ``smtplib`` and of sockets. Its ``errno`` is None; the system's own
error, if any, is ``__cause__``. An error says at which ``stage`` it happened, what the server said (``reply``) and what
to do about it (``hint``). ``temporary`` says whether another attempt may help, ``ambiguous`` whether the message may
have been delivered all the same.

This module imports only replies, and receipts for type checkers: every other package depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from wlsmtp.habits import OF_ERROR, Habits
from wlsmtp.results.reply import Reply, shortened


class Stage(StrEnum):
    """The stages of the conversation, in order."""

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
        """True if the failure concerns the session rather than one message: no command of a message was sent yet."""
        return self in _BEFORE_MAIL


_BEFORE_MAIL = frozenset(
    {Stage.SETTINGS, Stage.CONNECT, Stage.TLS, Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.AUTH}
)


MAX_MESSAGE = 2000
"""Maximum length of an error's message, and of its hint. A longer one, which repeats text of a server or caller, is cut
in the middle."""

NOTHING_SENT = "No command of a message was sent: the connection was being opened."
MUST_NOT_RAISE = "A transport of your own raised this, where it should report what happened to the message."
"""A note on an exception that is not an ``SMTPError`` and leaves no message in doubt."""


class SMTPError(Habits, Exception):
    """The base class of all errors. ``str()`` says what happened, what the server said, and what to do. Its length is
    bounded, whatever the server said; ``reply.lines`` has all of it."""

    _elsewhere = OF_ERROR
    documentation: ClassVar[str] = ""
    """Where you keep the documentation, such as ``https://docs.example.com/wlsmtp/``. If it is set, ``str()`` ends with
    the place that explains the error."""
    _server: str | None = None

    _record: Mapping[str, Any] = MappingProxyType({})
    """For an error that was read from a record: what this class cannot hold, such as the answers of an unknown
    class."""
    row: int | None = None
    """The index of the invalid row in a mail merge, from 0."""
    receipts: Sequence[Receipt] = ()
    """On an error that ends ``send_all``: the receipts of the messages until then, in order."""

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
        if self.documentation:
            parts.append(f"See {self.documentation.rstrip('/')}/{self.page}")
        return " ".join(part if part.endswith((".", "!", "?", ":")) else part + "." for part in parts)

    @property
    def page(self) -> str:
        """The place in the documentation that explains this kind of error, as ``reference/errors.html#tlserror``."""
        public = ("wlsmtp.errors", "wlsmtp.outbox.base")
        kinds = (kind.__name__.lower() for kind in type(self).__mro__ if kind.__module__ in public)
        return f"reference/errors.html#{next(kinds)}".removesuffix("#smtperror")

    @property
    def server(self) -> str | None:
        """Host and port of the server that was contacted, or the path of its socket; None without a server."""
        return self._server

    def name_server(self, server: str) -> None:
        """Set the server that was contacted, unless it is set already."""
        self._server = self._server or server

    @property
    def temporary(self) -> bool:
        """True if the same message, sent later to the same server, may well succeed."""
        if "temporary" in self._record:
            return bool(self._record["temporary"])
        return self.reply is not None and self.reply.may_pass

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server may be tried again. Set if it named a time, or a limit on mail per hour or
        day; else None."""
        if "retry_after" in self._record:
            seconds = self._record["retry_after"]
            return None if seconds is None else float(seconds)
        return self.reply.retry_after if self.reply is not None else None

    @property
    def ambiguous(self) -> bool:
        """True if the message may have been delivered in spite of the error; sending again may then duplicate it."""
        return bool(self._record.get("ambiguous", False))


class ConfigError(SMTPError, ValueError):
    """The settings cannot work. The message names the field and says what is allowed."""


class MessageError(SMTPError, ValueError):
    """The message cannot be sent as it is (address, header, attachment, size). Nothing was sent."""


class ConnectionFailed(SMTPError, ConnectionError):
    """The server was never reached, or the connection was lost before the end of the content was written."""

    is_lasting = False
    """True if waiting will not help: the host name does not exist, or the session was closed."""

    @property
    def temporary(self) -> bool:
        """True unless ``is_lasting``: the network may come back."""
        return not self.is_lasting


class DeadlineExceeded(SMTPError, TimeoutError):
    """A stage, or the whole send, exceeded its timeout. Nothing was delivered."""

    @property
    def temporary(self) -> bool:
        """Always True: the server may be faster next time."""
        return True


class TLSError(SMTPError, OSError):
    """The connection could not be secured: handshake, certificate, host name, or a downgrade. Retried only after a 4xx
    to STARTTLS (454, RFC 3207 §4)."""


class AuthenticationFailed(SMTPError, PermissionError):
    """The server refused the credentials (RFC 4954 §6), or no usable mechanism is left."""

    mechanism: str | None = None
    """The SASL mechanism that was refused last."""
    is_lasting = False
    """True if waiting will not help although the reply was 4xx, because it says that the credentials are wrong."""
    rests: float | None = None
    """Seconds without a login that the server requires after too many attempts."""
    problem: Mapping[str, str] = MappingProxyType({})
    """The server's or token endpoint's report on a refused OAuth 2.0 token (``status``, ``scope``, ``schemes``,
    ``openid-configuration``, or ``error`` and ``error_description``); RFC 7628 §3.2.2, RFC 6749 §5.2."""

    @property
    def temporary(self) -> bool:
        """True if the same login may succeed later. Never after a 5xx: the next attempt may lock the account."""
        return self.reply is not None and self.reply.is_transient and not self.is_lasting

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server may be tried again; None if it did not say so."""
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
    """The server refused the session itself: it answered 4xx or 5xx to the greeting, EHLO, STARTTLS or another
    command."""


class LocalDeliveryFailed(SMTPError, OSError):
    """A program or a directory of this machine could not be used. Nothing was delivered."""

    is_lasting = True
    """True if waiting will not help, as with a missing permission. A transport sets it to False where it may, as with a
    full disk, which may be emptied."""

    @property
    def temporary(self) -> bool:
        """True if another attempt later may succeed."""
        return not self.is_lasting


class ProtocolError(SMTPError, OSError):
    """The server's reply cannot be parsed, or answers nothing that was sent. The connection is not used again."""


class ExtensionMissing(SMTPError, OSError):
    """The message, or a setting, requires an extension that the server does not offer."""


class OutcomeUnknown(SMTPError, OSError):
    """The end of the content was written and no reply came: the message may or may not have been delivered.

    It is not sent again automatically, as that might duplicate it (RFC 5321 §4.5.3.2.6, RFC 1047).
    """

    @property
    def ambiguous(self) -> bool:
        """Always True: only the recipient's mailbox shows the result."""
        return True


class MessageCancelled(SMTPError, OSError):
    """The message was removed from the outbox before it was sent (mode ``async``)."""


class OutboxError(SMTPError, OSError, RuntimeError):
    """The outbox cannot be used: its file is missing, damaged, full, locked for too long, or of a newer version."""

    @property
    def temporary(self) -> bool:
        """True if the same operation may work later: a lock or a full disk is temporary, other failures are not."""
        return self.is_passing

    is_passing = False
    """True if waiting may help."""


class NotInOutbox(OutboxError, LookupError):
    """The outbox has no message with this id: it never had it, or its record was purged."""


# Tracebacks and pickles name the path by which programs import them.
for _value in tuple(vars().values()):
    if isinstance(_value, type) and _value.__module__ == __name__:
        _value.__module__ = "wlsmtp.errors"

# Imported here because the two modules refer to each other; annotations are evaluated with it.
from wlsmtp.results.receipt import Receipt  # noqa: E402
