"""``emailSMTPSession``: a session as a variable, with its settings as members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.io.thread import Lock
from wlsmtp.receipt import Status
from wlsmtp.wlanguage import constants, settings, spool
from wlsmtp.wlanguage.email import AnyEmail, EmailVariable, variable_of
from wlsmtp.wlanguage.errors import ErrorInfo, failed, function, succeeded
from wlsmtp.wlanguage.french_members import FrenchSession
from wlsmtp.wlanguage.members import (
    Member,
    Variable,
    checked,
    flag,
    one_of,
    text,
    text_or_nothing,
    whole,
    whole_options,
)
from wlsmtp.wlanguage.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from wlsmtp.message.render import Sendable
    from wlsmtp.receipt import Receipt

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
    number = whole(value)
    if not 1 <= number <= 65535:
        raise ValueError("must be a number from 1 to 65535")
    return number


def _token(value: object) -> Any:
    if not isinstance(value, str) and not callable(value):
        raise TypeError("must be an OAuth 2.0 access token, or a function that returns one")
    return value


class emailSMTPSession(FrenchSession, Variable):
    """A session that sends only. Setting an impossible value is a ``WLanguageError``.

    Login follows the original's rule: by LOGIN or PLAIN. If the server offers one of them and refuses, the start fails;
    if it offers neither, the session continues without authentication. Without a name or without a password nobody logs
    in.
    """

    __slots__ = ("_retired", "_running", "_turn")
    _type = "emailSMTPSession"
    _shown = ("ServerAddress", "Port", "Name", "Option")

    ServerAddress: Member[str] = Member(text, "")
    """A DNS name or an IP address."""
    Port: Member[int] = Member(_port, 25)
    """A number, also as a text."""
    Name: Member[str] = Member(text, "")
    """The user to log in as."""
    Password: Member[str] = Member(text_or_nothing, "")
    """Empty, or None: nobody logs in."""
    Option: Member[int] = Member(one_of(_OPTIONS), constants.emailOptionDefault)
    """``emailOptionDefault``, ``emailOptionSecuredTLS`` or ``emailOptionSecuredSSL``."""
    Asynchronous: Member[bool] = Member(flag, constants.emailSynchronous)
    """``emailAsynchronous`` (True): ``SendMessage`` returns at once, and ``EmailStatus`` returns the result."""
    AuthToken: Member[Any] = Member(_token, "")
    """An OAuth 2.0 access token, or a function that returns one for each connection. It replaces the password
    (XOAUTH2), and then the server must accept it."""

    def __init__(self) -> None:
        super().__init__()
        self._running: Running | None = None
        self._retired: list[Running] = []
        """Earlier starts with other settings that still have emails to send."""
        self._turn = Lock(None)
        """Allows one start or close at a time."""

    @function
    def StartSession(self) -> bool:
        """Connect and log in; an asynchronous session connects when there is something to send.

        False when that failed: ``ErrorInfo`` says why. A started session is checked, or restarted when its members have
        changed. Unsent emails of an asynchronous one continue with the new settings, if these are for the same user and
        server, else with the old ones.
        """
        try:
            self.start_as(self)
        except SMTPError as error:
            return failed(error, self.Port)
        return succeeded()

    OpenSession = StartSession

    @function
    def SendMessage(self, email: AnyEmail = None, options: int = 0) -> bool:
        """Send an email, by default the structure ``Email``, to all of its recipients or to none.

        True when the server has accepted it or, in an asynchronous session, when it is stored for sending. False when
        nobody got it; ``ErrorInfo(errCode)`` is 10 when the result is unknown. It is tried once; asynchronous sessions
        try again what may succeed later. ``options`` exist for compatibility: headers are always encoded.
        """
        variable = variable_of(email)
        checked(whole_options, options, "SendMessage")
        return self._deliver(variable, variable.sendable)

    @function
    def SendSource(self, source: bytes) -> bool:
        """Send an email in its Internet form, unchanged apart from its Bcc fields. Its identifier and its error are
        stored in the structure ``Email``."""
        return self._deliver(variable_of(None), lambda: source)

    @function
    def CloseSession(self) -> None:
        """Send the remaining emails of an asynchronous session, and close the connections.

        ``ErrorOccurred`` says whether something could not be sent within the timeout and would be lost. Then the
        session stays open, continues sending, and must be closed once more.
        """
        self.close()

    def close(self) -> bool:
        """Close the session; return False if it had to stay open."""
        failure: SMTPError | None = None
        with self._turn:
            for running in self._all():
                try:
                    running.close()
                except SMTPError as error:
                    failure = failure or error
            self._retired = [running for running in self._retired if not running.is_closed]
            self._running = None if self._running is None or self._running.is_closed else self._running
        is_closed = not self._all()
        if is_closed and started.get(self.Name) is self:
            del started[self.Name]
        if failure is None:
            succeeded()
        else:
            failed(failure, self.Port)
        return is_closed

    def _all(self) -> list[Running]:
        return [*self._retired, *([] if self._running is None else [self._running])]

    def adopt(self, other: emailSMTPSession) -> None:
        """Take over what another variable had to keep open, so that it is closed with this one."""
        self._retired += other._all()

    def start_as(self, other: emailSMTPSession) -> None:
        """Start with the members of another variable, which are copied. Raises ``SMTPError``; then nothing has
        changed."""
        with self._turn:
            wanted, running = other._settings(), self._running
            if running is not None and running.settings == wanted and running.session_error is None:
                running.session.open()
            else:
                self._replace(running, other.Name, wanted)
            self._values = {**other._values}
        if self.Name:
            started[self.Name] = self

    def _replace(self, old: Running | None, name: str, wanted: dict[str, Any]) -> None:
        takes_over = old is not None and old.gives_its_emails_to(name, wanted)
        try:
            new = Running(name, wanted, old.outbox if old is not None and takes_over else None)
            new.open()
        except BaseException:
            if old is not None and takes_over:
                old.session.open()
            raise
        self._running = new
        if old is not None and takes_over:
            old.is_followed_by(new)
        elif old is not None and not old.retire():
            self._retired.append(old)

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
        running = self._running
        if running is None:
            raise ConfigError("The session is not started", stage=Stage.SETTINGS, hint="Call StartSession first")
        receipt = running.session.send(message)
        if receipt.error is not None and receipt.status is not Status.PENDING:
            raise receipt.error
        spool.remember(receipt, running)
        return receipt

    def _settings(self) -> dict[str, Any]:
        """Return the settings as keywords of ``SMTPSession``. Raises ``ConfigError``."""
        from wlsmtp.settings.limits import RetryPolicy

        if not self.ServerAddress:
            raise ConfigError("ServerAddress: is empty", stage=Stage.SETTINGS)
        fields = {
            "server": self.ServerAddress, "port": self.Port, "security": _SECURITY[self.Option],
            # One result for all recipients, as the original has only one.
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
