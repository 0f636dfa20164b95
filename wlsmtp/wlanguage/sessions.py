"""The functions: sessions identified by the name of their user, started, used and closed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from wlsmtp.errors import ConfigError, MessageError, SMTPError, Stage
from wlsmtp.io.order import Rank
from wlsmtp.io.thread import Lock
from wlsmtp.wlanguage.constants import emailOptionDefault
from wlsmtp.wlanguage.email import AnyEmail
from wlsmtp.wlanguage.errors import WLanguageError, WrongArguments, WrongValue, failed, function, succeeded
from wlsmtp.wlanguage.members import checked, kind_of, path, text, whole
from wlsmtp.wlanguage.spelling import plain
from wlsmtp.wlanguage.variable import emailSMTPSession, started

__all__ = ["EmailCloseSession", "EmailSend", "EmailSendMessage", "EmailStartSMTPSession", "EmailStartSession"]

Session = str | emailSMTPSession
"""The name of the user who has started it, or the variable."""


@dataclass
class _Entry:
    session: emailSMTPSession
    users: int
    """Number of callers that have started it and not closed it yet."""


_registry: dict[tuple[str, str], _Entry] = {}
"""By protocol and user name, so that the same name may also be used for a session that reads mail."""
_lock = Lock(Rank.SESSIONS)

_ARGUMENTS = {
    "user": "Name", "password": "Password", "server": "ServerAddress", "port": "Port",
    "asynchronous": "Asynchronous", "option": "Option",
}  # fmt: skip
"""The arguments of ``EmailStartSMTPSession``, in order, with their members."""
_TWO_SERVERS = ("user", "password", "pop3", "smtp", "pop3_port", "smtp_port", "asynchronous")
"""The arguments of ``EmailStartSession``, in order."""


def _key(name: str) -> tuple[str, str]:
    return ("SMTP", name)


@overload
def EmailStartSMTPSession(
    user: str,
    password: str | None,
    server: str,
    port: int | str = 25,
    asynchronous: bool | int = False,
    option: int = emailOptionDefault,
) -> bool: ...
@overload
def EmailStartSMTPSession(
    user: str,
    server: str,
    port: int | str = 25,
    asynchronous: bool | int = False,
    option: int = emailOptionDefault,
) -> bool: ...
def EmailStartSMTPSession(*arguments: Any, **named: Any) -> bool:
    """Start a session for sending: user name, password (left out or None: nobody logs in), server, port (25; also as a
    text), asynchronous mode (False) and option (``emailOptionDefault``); by place or by name. The user name is the
    session's name from now on.

    False when the session was not started: ``ErrorInfo`` says why. The rules are those of ``emailSMTPSession``. A name
    that is in use is started once more, and must be closed once more; with other settings the session is restarted, and
    unsent emails are kept. Raises ``WLanguageError`` for arguments of a wrong type or number.
    """
    try:
        session = _described(arguments, named)
    except WrongValue as error:
        return failed(error)
    return _start(session.Name, session)


@overload
def EmailStartSession(session: emailSMTPSession, /) -> bool: ...
@overload
def EmailStartSession(
    user: str,
    password: str | None,
    pop3: str,
    smtp: str = "",
    pop3_port: int | str = 110,
    smtp_port: int | str = 25,
    asynchronous: bool | int = False,
) -> bool: ...
def EmailStartSession(*arguments: Any, **named: Any) -> bool:
    """Start the session of a variable; or, by user, password, POP3 server (``pop3``), SMTP server (``smtp``) [,
    ``pop3_port`` (110) [, ``smtp_port`` (25) [, asynchronous mode (False)]]], the half that sends: the POP3 server is
    not contacted. Without an SMTP server, the POP3 server is used for it."""
    if len(arguments) == 1 and isinstance(arguments[0], emailSMTPSession) and not named:
        return arguments[0].StartSession()
    given = _by_name(_TWO_SERVERS, arguments, named)
    if given is None or not {"user", "password", "pop3"} <= given.keys():
        words = f"takes an emailSMTPSession variable, or {', '.join(_TWO_SERVERS)}"
        raise WrongArguments(f"EmailStartSession: {words}; to read mail use POP3 (poplib) or IMAP (imaplib)")
    for name in ("pop3", "smtp"):
        checked(text, given.get(name, ""), f"EmailStartSession: {name}")
    checked(whole, given.get("pop3_port", 110), "EmailStartSession: pop3_port")
    server, port = given.get("smtp") or given["pop3"], given.get("smtp_port", 25)
    return EmailStartSMTPSession(given["user"], given["password"], server, port, given.get("asynchronous", False))


@function
def EmailSendMessage(session: Session, email: AnyEmail = None, options: int = 0) -> bool:
    """Send an email, by default the structure ``Email``. See ``emailSMTPSession.SendMessage``."""
    found = _find(session)
    return failed(_unknown(session)) if found is None else found.SendMessage(email, options)


@function
def EmailSend(session: Session, file: str) -> bool:
    """Send a file that contains an email in its Internet form, as made by ``EmailBuildSource``, to the recipients in
    its To, Cc and Bcc fields. The Bcc fields themselves are not sent."""
    found = _find(session)
    name = checked(path, file, "EmailSend")
    if found is None:
        return failed(_unknown(session))
    try:
        source = Path(name).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        return failed(MessageError(f"{name} cannot be read ({why})", stage=Stage.MESSAGE))
    return found.SendSource(source)


@function
def EmailCloseSession(session: Session) -> None:
    """Close a session; the emails of an asynchronous one are sent first. See ``emailSMTPSession.CloseSession``."""
    found = _find(session)
    if found is None:
        failed(_unknown(session))
    elif isinstance(session, str) and not _give_back(session):
        succeeded()
    elif not found.close() and isinstance(session, str):
        # It still has emails to send: its name must find it again.
        _put_back(session, found)


def _described(arguments: tuple[Any, ...], named: dict[str, Any]) -> emailSMTPSession:
    """Return the variable for the arguments of ``EmailStartSMTPSession``."""
    names = list(_ARGUMENTS)
    given_by_name = {plain(name) for name in named}
    if "password" not in given_by_name and _leaves_password_out(arguments[1:], given_by_name):
        names.remove("password")
    given = _by_name(names, arguments, named)
    if given is None:
        raise WrongArguments(f"EmailStartSMTPSession: takes {', '.join(_ARGUMENTS)}")
    session = emailSMTPSession()
    if not {"user", "server"} <= given.keys():
        raise WrongArguments("EmailStartSMTPSession: takes user, password and server, and one of them is missing")
    for name, value in given.items():
        setattr(session, _ARGUMENTS[name], value)
    return session


def _by_name(names: Iterable[str], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments by their names; None if there are too many, or one of another name, or one twice."""
    names = list(names)
    given = dict(zip(names, arguments, strict=False))
    others = [(plain(name), value) for name, value in named.items()]
    is_known = all(name in names and name not in given for name, _ in others)
    if len(arguments) > len(names) or not is_known or len(dict(others)) < len(others):
        return None
    return given | dict(others)


def _leaves_password_out(arguments: tuple[Any, ...], named: Collection[str]) -> bool:
    """Return whether the first argument is the server: what follows it is a port, or nothing."""
    if len(arguments) < 2:
        return "server" not in named
    if arguments[1] is None:  # the server, unless what follows is not a port
        return len(arguments) > 2 and isinstance(arguments[2], bool)
    return arguments[0] is not None and (not isinstance(arguments[1], str) or arguments[1].strip().isdigit())


def _start(name: str, session: emailSMTPSession) -> bool:
    with _lock:
        entry = _registry.get(_key(name))
        if entry is not None:
            entry.users += 1
    if entry is None:
        if not session.StartSession():
            return False
        with _lock:
            entry = _registry.setdefault(_key(name), _Entry(session, 0))
            entry.users += 1
        if entry.session is session:
            return succeeded()
    try:  # there is one of that name already, perhaps since a moment ago
        entry.session.start_as(session)
    except SMTPError as error:
        if _give_back(name):
            entry.session.close()
        return failed(error, session.Port)
    session.close()
    return succeeded()


def _give_back(name: str) -> bool:
    """Note that one user of a name has closed it; return whether nobody uses it any more."""
    with _lock:
        entry = _registry.get(_key(name))
        if entry is None:
            return True
        entry.users -= 1
        if entry.users <= 0:
            del _registry[_key(name)]
        return entry.users <= 0


def _put_back(name: str, session: emailSMTPSession) -> None:
    with _lock:
        # Nobody uses it: the next caller to start or close it is the only one.
        entry = _registry.setdefault(_key(name), _Entry(session, 0))
    if entry.session is not session:
        entry.session.adopt(session)


def _find(session: Session) -> emailSMTPSession | None:
    """Return the session that is started under a name. Raises ``WLanguageError`` for anything but a name or
    variable."""
    if isinstance(session, emailSMTPSession):
        return session
    if not isinstance(session, str):
        raise WLanguageError(f"a session is a user name or an emailSMTPSession, not {kind_of(session)}")
    entry = _registry.get(_key(session))
    return entry.session if entry is not None else started.get(session)


def _unknown(session: Session) -> ConfigError:
    words = f"No SMTP session is started by the name of {session!r}"
    return ConfigError(words, stage=Stage.SETTINGS, hint="Call EmailStartSMTPSession first")
