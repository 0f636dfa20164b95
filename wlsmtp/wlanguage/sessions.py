"""The functions: sessions known by the name of their user, started, used and closed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import overload

from wlsmtp.errors import ConfigError, MessageError, Stage
from wlsmtp.io.thread import Lock
from wlsmtp.wlanguage.constants import emailOptionDefault
from wlsmtp.wlanguage.email import AnyEmail
from wlsmtp.wlanguage.errors import WLanguageError, failed, succeeded
from wlsmtp.wlanguage.variable import emailSMTPSession, started

__all__ = ["EmailCloseSession", "EmailSend", "EmailSendMessage", "EmailStartSMTPSession", "EmailStartSession"]

Session = str | emailSMTPSession
"""The name of the user who has started it, or the variable."""


@dataclass
class _Entry:
    session: emailSMTPSession
    users: int
    """How many have started it and not closed it yet."""


_registry: dict[tuple[str, Session], _Entry] = {}
"""By protocol and user name, so that the same name may stand for a session that reads mail as well."""
_lock = Lock()


def _key(name: Session) -> tuple[str, Session]:
    return ("SMTP", name)


@overload
def EmailStartSMTPSession(
    user: str,
    password: str,
    server: str,
    port: int = 25,
    asynchronous: bool | int = False,
    option: int = emailOptionDefault,
    /,
) -> bool: ...
@overload
def EmailStartSMTPSession(
    user: str, server: str, port: int = 25, asynchronous: bool | int = False, option: int = emailOptionDefault, /
) -> bool: ...
def EmailStartSMTPSession(user: str, *arguments: str | int) -> bool:
    """Start a session for sending: user name, password (may be left out), server, port (25), asynchronous mode (False)
    and option (``emailOptionDefault``). The user name is the session's name from now on.

    False when the session was not started: ``ErrorInfo`` says why. The rules are those of ``emailSMTPSession``. A name
    that stands for a session with the same settings stands for it once more, and is to be closed once more; with other
    settings the new session takes its place.
    """
    try:
        session = _described(user, *arguments)
    except WLanguageError as error:
        return failed(error)
    if not session.StartSession():
        return False
    surplus = _register(user, session)
    if surplus is not None:
        surplus.close()
    return succeeded()


def EmailStartSession(session: emailSMTPSession, *arguments: object) -> bool:
    """Start the session of a variable. The form with a POP3 server is a ``WLanguageError``: sessions here send only."""
    if not isinstance(session, emailSMTPSession):
        words = "EmailStartSession: takes an emailSMTPSession variable; to send by names use EmailStartSMTPSession"
        raise WLanguageError(f"{words}, to read mail use POP3 (poplib) or IMAP (imaplib)")
    return session.StartSession()


def EmailSendMessage(session: Session, email: AnyEmail = None, options: int = 0) -> bool:
    """Send an email, by default the structure ``Email``. See ``emailSMTPSession.SendMessage``."""
    found = _find(session)
    return failed(_unknown(session)) if found is None else found.SendMessage(email, options)


def EmailSend(session: Session, file: str) -> bool:
    """Send a file that holds an email in its Internet form, as ``EmailBuildSource`` makes it, to the recipients in its
    To, Cc and Bcc fields; the Bcc fields themselves are not sent."""
    found = _find(session)
    if found is None:
        return failed(_unknown(session))
    try:
        source = Path(file).read_bytes()
    except OSError as error:
        return failed(MessageError(f"{file} cannot be read ({error.strerror})", stage=Stage.MESSAGE))
    return found.SendSource(source)


def EmailCloseSession(session: Session) -> None:
    """Close a session; what an asynchronous one still keeps is sent first. See ``emailSMTPSession.CloseSession``."""
    with _lock:
        found = _find(session)
        is_unused = found is session or _give_back(session)
    if found is None:
        failed(_unknown(session))
    elif not is_unused:
        succeeded()
    elif not found.close() and found is not session:
        # It still has emails to send: it is to be found by its name again.
        _register(found.Name, found)


def _described(user: str, *arguments: str | int) -> emailSMTPSession:
    """The variable for the arguments of ``EmailStartSMTPSession``."""
    has_password = len(arguments) > 1 and isinstance(arguments[1], str)
    names = [*(["Password"] if has_password else []), "ServerAddress", "Port", "Asynchronous", "Option"]
    if not 1 <= len(arguments) <= len(names):
        raise WLanguageError("EmailStartSMTPSession: takes user, password, server, port, asynchronous mode and option")
    session = emailSMTPSession()
    session.Name = user
    for name, value in zip(names, arguments, strict=False):
        setattr(session, name, value)
    return session


def _register(name: str, session: emailSMTPSession) -> emailSMTPSession | None:
    """Let a name stand for a started session; return the session that is not needed then."""
    with _lock:
        entry = _registry.get(_key(name))
        if entry is not None and entry.session.is_like(session):
            entry.users += 1
            return session
        _registry[_key(name)] = _Entry(session, 1 if entry is None else entry.users + 1)
        return None if entry is None else entry.session


def _give_back(name: Session) -> bool:
    """Note that one user of a name has closed it; whether nobody uses it any more."""
    entry = _registry.get(_key(name))
    if entry is None:
        return True
    entry.users -= 1
    if entry.users <= 0:
        del _registry[_key(name)]
    return entry.users <= 0


def _find(session: Session) -> emailSMTPSession | None:
    """The session that is started under a name. Raises ``WLanguageError`` for what is neither name nor variable."""
    if isinstance(session, emailSMTPSession):
        return session
    if not isinstance(session, str):
        raise WLanguageError(f"a session is a user name or an emailSMTPSession, not {type(session).__name__}")
    entry = _registry.get(_key(session))
    return entry.session if entry is not None else started.get(session)


def _unknown(session: Session) -> ConfigError:
    words = f"No SMTP session is started by the name of {session!r}"
    return ConfigError(words, stage=Stage.SETTINGS, hint="Call EmailStartSMTPSession first")
