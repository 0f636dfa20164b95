"""``emailSMTPSession``: a session as a variable, with its settings as members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.receipt import Status
from wlsmtp.wlanguage import constants, settings, spool
from wlsmtp.wlanguage.email import AnyEmail, EmailVariable, variable_of
from wlsmtp.wlanguage.errors import ErrorInfo, failed, succeeded
from wlsmtp.wlanguage.french_members import FrenchSession
from wlsmtp.wlanguage.members import Member, Variable, flag, one_of, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from wlsmtp.message.render import Sendable
    from wlsmtp.receipt import Receipt
    from wlsmtp.session import SMTPSession

__all__ = ["emailSMTPSession"]

_OPTIONS = {
    name: getattr(constants, name) for name in ("emailOptionDefault", "emailOptionSecuredTLS", "emailOptionSecuredSSL")
}
_SECURITY = {
    constants.emailOptionDefault: "default",
    constants.emailOptionSecuredTLS: "tls",
    constants.emailOptionSecuredSSL: "ssl",
}

started: WeakValueDictionary[str, emailSMTPSession] = WeakValueDictionary()
"""The variable that was started last under each user's name: functions may use that name as well."""


def _port(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError("must be a number from 1 to 65535")
    return value


def _token(value: object) -> Any:
    if not isinstance(value, str) and not callable(value):
        raise ValueError("must be an OAuth 2.0 access token (str), or a function that returns one")
    return value


class emailSMTPSession(FrenchSession, Variable):
    """A session that sends, and sends only. A value of the wrong type is a ``WLanguageError`` when it is set.

    Who logs in, and how, is the original's rule: by LOGIN or PLAIN. A server that offers one of them and refuses makes
    the start fail; with a server that offers neither the session goes on without authentication. Without a name or
    without a password nobody logs in.
    """

    __slots__ = ("_session", "_started_with")
    _shown = ("ServerAddress", "Port", "Name", "Option")

    ServerAddress = Member(text, "")
    """A DNS name or an IP address."""
    Port = Member(_port, 25)
    Name = Member(text, "")
    """The user to log in as."""
    Password = Member(text, "")
    Option = Member(one_of(_OPTIONS), constants.emailOptionDefault)
    """``emailOptionDefault``, ``emailOptionSecuredTLS`` or ``emailOptionSecuredSSL``."""
    Asynchronous = Member(flag, constants.emailSynchronous)
    """``emailAsynchronous`` (True): ``SendMessage`` returns at once, and ``EmailStatus`` tells what came of it."""
    AuthToken = Member(_token, "")
    """An OAuth 2.0 access token, or a function that returns one and is asked anew for each connection. It takes the
    place of the password (XOAUTH2), and then the server must accept it."""

    def __init__(self) -> None:
        super().__init__()
        self._session: SMTPSession | None = None
        self._started_with: dict[str, Any] = {}

    def StartSession(self) -> bool:
        """Connect and log in; an asynchronous session connects when there is something to send.

        False when that failed: ``ErrorInfo`` says why. A session that is started already is asked whether it still
        works, or started anew when its members have changed.
        """
        try:
            self._start()
        except SMTPError as error:
            return failed(error, self.Port)
        return succeeded()

    OpenSession = StartSession

    def SendMessage(self, email: AnyEmail = None, options: int = 0) -> bool:
        """Send an email, by default the structure ``Email``, to all of its recipients or to none.

        True when the server has taken it, or, in an asynchronous session, when it is kept for sending. False when
        nobody got it; ``ErrorInfo(errCode)`` is 10 when nobody can know. It is offered once; asynchronous sessions try
        again what may succeed later. ``options`` are there for the original's sake: headers are always encoded.
        """
        variable = variable_of(email)
        return self._deliver(variable, variable.message)

    def SendSource(self, source: bytes) -> bool:
        """The same with an email in its Internet form, sent as it is, apart from its Bcc fields. Its identifier and its
        error are noted in the structure ``Email``."""
        return self._deliver(variable_of(None), lambda: source)

    def CloseSession(self) -> None:
        """Send what an asynchronous session still keeps, and close the connections.

        ``ErrorOccurred`` says whether there was something that could not be sent within the time-out and would be lost:
        then the session stays open, goes on sending, and is to be closed once more.
        """
        self.close()

    def close(self) -> bool:
        """The same; False when the session had to stay open."""
        session = self._session
        try:
            if session is not None:
                session.close(**self._patience())
        except SMTPError as error:
            if session is not None and self._is_spooling:
                session.open()
                return failed(error, self.Port)
        self._session = None
        if started.get(self.Name) is self:
            del started[self.Name]
        return succeeded()

    def is_like(self, other: emailSMTPSession) -> bool:
        """Whether both were started with the same settings."""
        return self._started_with == other._started_with

    def _start(self) -> None:
        from wlsmtp.session import SMTPSession

        wanted = self._settings()
        session = self._session
        if session is None or wanted != self._started_with:
            session = SMTPSession(**wanted)
        try:
            session.open()
        except SMTPError:
            if session is not self._session:
                session.close()
            raise
        if session is not self._session and not self.close():
            session.close()
            raise ConfigError("The session still has emails to send, so its settings stay", stage=Stage.SETTINGS)
        self._session, self._started_with = session, wanted
        if self.Name:
            started[self.Name] = self

    def _deliver(self, variable: EmailVariable, make: Callable[[], Sendable]) -> bool:
        try:
            receipt = self._send(make())
        except SMTPError as error:
            failed(error, self.Port)
            variable.Error = ErrorInfo()
            return False
        variable.sent_as(receipt.id)
        return succeeded()

    def _send(self, message: Sendable) -> Receipt:
        if self._session is None:
            raise ConfigError("The session is not started", stage=Stage.SETTINGS, hint="Call StartSession first")
        receipt = self._session.send(message)
        if receipt.error is not None and receipt.status is not Status.PENDING:
            raise receipt.error
        spool.remember(receipt)
        return receipt

    def _patience(self) -> dict[str, Any]:
        """How long to wait for what is left to be sent, when closing."""
        return {"timeout": float(settings.EmailGetTimeOut())} if self._is_spooling else {}

    @property
    def _is_spooling(self) -> bool:
        return self._started_with.get("mode") == "async"

    def _settings(self) -> dict[str, Any]:
        """As keywords of ``SMTPSession``. Raises ``ConfigError``."""
        from wlsmtp.settings.limits import RetryPolicy

        if not self.ServerAddress:
            raise ConfigError("ServerAddress: is empty", stage=Stage.SETTINGS)
        fields = {
            "server": self.ServerAddress, "port": self.Port, "security": _SECURITY[self.Option],
            # One answer for all recipients, as the original gives only one.
            "partial": "abort", **settings.fields(), **self._credentials(),
        }  # fmt: skip
        if self.Asynchronous:
            return {**fields, "mode": "async", "outbox": settings.outbox(self.Name, self.ServerAddress, self.Port)}
        return {**fields, "retry": RetryPolicy(attempts=1)}

    def _credentials(self) -> dict[str, Any]:
        if self.AuthToken:
            return {"username": self.Name, "token": self.AuthToken}
        if self.Password:
            password = {"password": self.Password, "auth": "optional", "mechanisms": ("LOGIN", "PLAIN")}
            return {"username": self.Name or None, **password}
        return {}
