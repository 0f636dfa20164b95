"""Between Django and a session: messages and addresses as Django's own backend writes them, and errors as programs that
were written for it catch them."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from email.policy import SMTP
from functools import cache
from ipaddress import ip_address
from typing import Any, TypeVar

from django.conf import settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend as DjangoBackend
from django.db import connections

from wlsmtp.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConfigError,
    ConnectionFailed,
    ContentRefused,
    ExtensionMissing,
    OutcomeUnknown,
    RecipientsRefused,
    SenderRefused,
    SMTPError,
    Stage,
    TLSError,
)
from wlsmtp.receipt import Receipt
from wlsmtp.results.as_smtplib import answer, refusals
from wlsmtp.results.reply import Reply
from wlsmtp.settings.config import TLS, SessionConfig

E = TypeVar("E", bound=Exception)

_USUAL: Mapping[type[SMTPError], type[OSError]] = {
    AuthenticationFailed: smtplib.SMTPAuthenticationError,
    CommandRefused: smtplib.SMTPResponseException,
    ConnectionFailed: smtplib.SMTPServerDisconnected,
    ContentRefused: smtplib.SMTPDataError,
    ExtensionMissing: smtplib.SMTPNotSupportedError,
    OutcomeUnknown: smtplib.SMTPServerDisconnected,
    RecipientsRefused: smtplib.SMTPRecipientsRefused,
    SenderRefused: smtplib.SMTPSenderRefused,
    TLSError: ssl.SSLError,
}


def as_smtplib_has_it(error: E) -> E:
    """The same error, which ``except smtplib.SMTPException`` catches as well; what is wrong with a message or with
    settings stays a ``ValueError`` only."""
    if isinstance(error, SMTPError) and isinstance(error, OSError) and not isinstance(error, _Both):
        object.__setattr__(
            error, "__class__", _both(type(error))
        )  # an error with its receipt, traceback and notes stays one object
    return error


class _Both:
    """The attributes of ``smtplib``'s exceptions, from those of ours."""

    reply: Reply | None
    receipt: Receipt | None
    sender: str | None = None
    """Nothing, as a receipt does not name the sender."""

    @property
    def smtp_code(self) -> int:
        """The code of the server's reply; -1 without one."""
        return answer(self.reply)[0]

    @property
    def smtp_error(self) -> bytes:
        """The server's words."""
        return answer(self.reply)[1]

    @property
    def recipients(self) -> dict[str, tuple[int, bytes]]:
        """Code and words for each refused recipient."""
        return refusals(self.receipt.refused if self.receipt is not None else ())

    def __reduce__(self) -> tuple[Any, ...]:  # another process reads the plain error
        return type(self).__bases__[1], self.args, vars(self)  # type: ignore[attr-defined]


@cache
def _both(kind: type[SMTPError]) -> type[SMTPError]:
    usual = next((_USUAL[base] for base in kind.__mro__ if base in _USUAL), smtplib.SMTPException)
    bases = (usual,) if issubclass(usual, smtplib.SMTPException) else (usual, smtplib.SMTPException)
    return type(kind.__name__, (_Both, kind, *bases), {"__module__": kind.__module__, "__doc__": kind.__doc__})


def octets_of(message: EmailMessage) -> bytes:
    """Write a message as Django's own backend does."""
    if hasattr(DjangoBackend, "prep_address"):  # Django 6.0
        return message.message(policy=SMTP).as_bytes()
    return message.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # its own class of messages


def address_of_django_5(address: str) -> str:
    """Return an address as Django 5 gives it to a server. Raises ``ValueError``, as Django 6 does, for letters before
    the @ that are not ASCII: Django 5 writes another address in their place."""
    from django.core.mail.message import sanitize_address

    if not str(address).rpartition("@")[0].rpartition("<")[2].isascii():
        raise ValueError(f"Invalid address {address!r}: local-part contains non-ASCII characters")
    return sanitize_address(address, settings.DEFAULT_CHARSET)


def outbox_in(alias: str) -> Any:
    """Return the outbox in a database of the site. Raises ``ConfigError`` for one that is not PostgreSQL or not
    there."""
    if alias not in connections:
        hint = f"There are: {', '.join(connections)}"
        raise ConfigError(f"outbox: DATABASES has no {alias[:80]!r}", stage=Stage.SETTINGS, hint=hint)
    database = connections[alias]
    if database.vendor != "postgresql":
        hint = 'Use a file, "outbox": "sqlite:////var/lib/site/outbox.db", and transaction.on_commit'
        raise ConfigError(f"outbox: the database {alias!r} is not PostgreSQL", stage=Stage.SETTINGS, hint=hint)
    from wlsmtp.outbox.postgres.outbox import PostgresOutbox

    try:
        from psycopg.conninfo import make_conninfo
        from psycopg.pq import Conninfo
    except ImportError as error:
        hint = 'Install it with: pip install "wlsmtp[postgres]"'
        raise ConfigError("outbox: PostgreSQL needs psycopg 3", stage=Stage.SETTINGS, hint=hint) from error
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    parameters = database.get_connection_params()
    return PostgresOutbox(make_conninfo(**{name: value for name, value in parameters.items() if name in known}))


class Fields(dict[str, Any]):
    """Settings that show no value: Django's error reports print the variables of each function."""

    def __repr__(self) -> str:
        return f"<{', '.join(self)}>"


def session_settings(django: Mapping[str, Any], ours: Mapping[str, Any]) -> Fields:
    """Return the settings of a session: Django's, and ours over them."""
    fields = Fields(local_names=True)  # as Django would leave them to the server
    fields |= {"server": django.get("host"), "port": django.get("port"), "timeout": django.get("timeout")}
    if django.get("use_ssl") or django.get("use_tls"):
        fields["security"] = "ssl" if django.get("use_ssl") else "tls"
    elif is_this_machine(django.get("host")):
        fields["opportunistic_tls"] = False  # Django would not use TLS, and nobody listens in between
    if django.get("username") and (django.get("password") or "token" in ours or "mechanisms" in ours):
        fields |= {"username": django["username"], "password": django.get("password")}
    if certificate := django.get("ssl_certfile"):
        key = django.get("ssl_keyfile")
        fields["tls"] = TLS(client_cert=(certificate, key) if key else certificate)
    if "outbox" in ours:
        fields["mode"] = "async"
    return Fields((name, value) for name, value in {**fields, **ours}.items() if value is not None)


def config_of(fields: Mapping[str, Any], database: str | None, alias: str | None) -> SessionConfig:
    """Return the configuration of a session, with the outbox in a database of the site if ``database`` names one.
    Raises ``ImproperlyConfigured``, for a mailer ``InvalidMailer``."""
    given = Fields(fields)
    try:
        if database is not None:
            given["outbox"] = outbox_in(database)
        if "url" in given:
            return SessionConfig.from_url(given.pop("url"), **given)
        if "preset" in given:
            return SessionConfig.from_preset(given.pop("preset"), **given)
        return SessionConfig(**given)
    except ConfigError as error:
        if alias is None:
            raise ImproperlyConfigured(f"Mail settings: {error}") from None
        raise mail.InvalidMailer(str(error), alias=alias) from None


def is_this_machine(host: str | None) -> bool:
    """Return whether a server is on this machine."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
