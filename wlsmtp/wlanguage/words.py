"""Translates the library's errors to WLanguage's words: what happened, and what to do about it.

What has no translation is left out or generalized: ``ErrorInfo`` never names a class, a call or a setting of the
library, which does not exist in WLanguage.
"""

from __future__ import annotations

import re

import wlsmtp
from wlsmtp.errors import DeadlineExceeded, SMTPError

__all__: list[str] = []

_ADVICE = {
    "allow_cleartext_auth": "Use emailOptionSecuredTLS or emailOptionSecuredSSL; EmailConfigure("
    "emailParameterClearPassword, 1) sends it as the original does, where anyone on the path can read it",
    "TLS(ca_file": "If the server uses a private authority, name its file with EmailConfigure(emailParameterCAFile, …),"
    " or choose another trust store with EmailConfigure(emailParameterMode, 1); with emailOptionDefault, "
    "EmailConfigure(emailParameterOpportunisticTLS, 0) continues without TLS",
    "server_hostname": "Set ServerAddress to a name that is in the certificate",
    "opportunistic_tls": "EmailConfigure(emailParameterOpportunisticTLS, 0) continues without TLS",
    "auth='optional'": "Some servers offer it only over TLS (emailOptionSecuredTLS)",
    "error's left": "The session stays open and continues sending; close it once more. EmailConfigure("
    "emailParameterSpooler, …) keeps emails in files",
    "verify() and open()": "Starting the session again asks it at once",
    "open()": "Start it again",
}  # fmt: skip
"""What to do, in the words of this package, by a word of the library's own advice."""

_WORDS = {
    "security='tls' or 'ssl'": "emailOptionSecuredTLS or emailOptionSecuredSSL",
    "security='tls'": "emailOptionSecuredTLS",
    "security='ssl'": "emailOptionSecuredSSL",
    "security='default'": "emailOptionDefault",
    "an OAuth 2.0 token (token=…)": "an OAuth 2.0 token (AuthToken)",
    "pass token=…, a callable that returns an access token": "set AuthToken to a token, or to a function",
    "is a URL; use SMTPSession.from_url(…)": "is a URL; give the name of the server alone",
    "without port (port=…), or the path of a unix socket": "without port (Port)",
    "the outbox": "the spooler", "The outbox": "The spooler", "The token provider": "The function in AuthToken",
    "The transport failed": "The sending failed",
    "Fill to, cc or bcc": "Fill Recipient, Cc or Bcc",
    "Give several addresses as a list": "Give each address an element of its own",
    "a str": "a character string", "must be bytes": "must be a buffer",
}  # fmt: skip

_FIELDS = {
    "server": "ServerAddress", "port": "Port", "username": "Name", "password": "Password", "token": "AuthToken",
    "sender": "Sender", "to": "Recipient", "cc": "Cc", "bcc": "Bcc", "reply_to": "SenderAddress",
    "subject": "Subject", "text": "Message", "html": "HTML", "attachments": "Attach", "message_id": "MessageID",
    "outbox": "emailParameterSpooler", "tls.ca_file": "emailParameterCAFile", "tls.trust": "emailParameterMode",
    "timeout": "EmailSetTimeOut",
}  # fmt: skip
_FIELD = re.compile(rf"(?:^|(?<=; ))({'|'.join(map(re.escape, _FIELDS))})(?:\.(\d+))?(?=:)")

_IN_GENERAL = {
    "ConfigError": "The settings cannot work", "MessageError": "The email cannot be sent as it is",
    "ConnectionFailed": "The server was not reached, or the connection was lost",
    "DeadlineExceeded": "The server took too long", "TLSError": "The connection could not be secured",
    "AuthenticationFailed": "The login failed", "ReplyError": "The server refused",
    "ProtocolError": "What the server said cannot be understood",
    "ExtensionMissing": "The email needs what the server does not offer",
    "OutcomeUnknown": "Nobody knows whether the email arrived", "OutboxError": "The spooler cannot be used",
}  # fmt: skip
"""By the name of a kind of error, if the library's sentence cannot be translated."""

_QUOTED = re.compile(r"(?<!\w)'[^']*'|\"[^\"]*\"|<[^<>]*>|\S*@\S*")
"""Quoted text is the user's or server's: an address, a name, a file."""
_CLASSES = "|".join(name for name in wlsmtp.__all__ if re.fullmatch(r"(?:[A-Z]+[a-z]+){2,}", name))
_LIBRARY = re.compile(
    rf"\b(?:{_CLASSES})\b|\b\w+(?:Error|Exception|Interrupt)\b|\b\w+=|\b(?!Email)\w\w+\((?!s\))|\b__\w+|\boutbox\b|\bsqlite:"
    r"|\ba?sync\b|\bcallback|\bevent loop"
)
"""A class, an exception, ``setting=``, ``call(…)``, and what WLanguage does not have."""
_SETTING = re.compile(
    r"(?<![\w.'-])[a-z]+(?:_[a-z]+)+(?![\w.:-])|(?:^|; )(?:(?:tls|pool|network|options|retry)\.\w+|\w+_\w+):"
)
"""``local_hostname`` and similar; not in the name of a host or a file."""
_PART = re.compile(r"\b(?:tls|pool|network|options|retry)\.[a-z]\w+")
"""In advice, which names no host: one of a part of the settings."""
_PYTHON = re.compile(r" \((?:[A-Za-z_]\w*(?:Error|Exception|Exit|Interrupt|Iteration|Group|error))\)|\[Errno -?\d+\] ")
"""Python's names of failures."""


def in_wlanguage(error: SMTPError) -> str:
    """Return what happened, without the server's words and without advice."""
    message = _PYTHON.sub("", error.message)
    message = _FIELD.sub(_member, _translated(message))
    own = _QUOTED.sub("", message)
    if not _LIBRARY.search(own) and not _SETTING.search(own):
        return message
    kinds = (kind.__name__ for kind in type(error).__mro__)
    return next((_IN_GENERAL[kind] for kind in kinds if kind in _IN_GENERAL), "The email was not sent")


def advice(error: SMTPError, port: int | None) -> str | None:
    """Return what to do about it, if there is anything to say. ``port`` is the one that was used."""
    hint = error.hint
    if isinstance(error, DeadlineExceeded) and port is not None and "firewall" not in (hint or ""):
        return f"Check the settings of the firewall on the port used ({port})"
    if hint is None:
        return None
    ours = next((ours for word, ours in _ADVICE.items() if word in hint), None)
    if ours is not None:
        return ours
    clauses = [clause for clause in re.split(r"(?<=[;.]) ", _translated(hint)) if not _is_the_librarys(clause)]
    return " ".join(clauses).removesuffix(";") or None


def _translated(text: str) -> str:
    for theirs, ours in _WORDS.items():
        text = re.sub(rf"\b{re.escape(theirs)}(?!\w)", ours, text)
    return text


def _member(found: re.Match[str]) -> str:
    return _FIELDS[found[1]] + ("" if found[2] is None else f"[{int(found[2]) + 1}]")


def _is_the_librarys(clause: str) -> bool:
    return any(word.search(clause) for word in (_LIBRARY, _SETTING, _PART)) and "pip install" not in clause
