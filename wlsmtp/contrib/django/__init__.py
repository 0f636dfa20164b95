"""Django's mail over a session, as ``EMAIL_BACKEND`` or as the ``BACKEND`` of a mailer.

Both are ``"wlsmtp.contrib.django.EmailBackend"``. Django makes one for each ``send_mail``; the session behind it, with
its connections, is kept for the process.
``INSTALLED_APPS = [..., "wlsmtp.contrib.django"]`` adds system checks (``apps.py``) and an admin page for the outbox
(``admin.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend as DjangoBackend
from django.db import DEFAULT_DB_ALIAS, connections

from wlsmtp.contrib.django import kept
from wlsmtp.contrib.django.translation import (
    Fields,
    address_of_django_5,
    as_smtplib_has_it,
    config_of,
    octets_of,
    session_settings,
)
from wlsmtp.errors import SMTPError
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import Receipt, Status
from wlsmtp.session import SMTPSession
from wlsmtp.settings.config import SessionConfig

_POSITIONAL = (
    "host", "port", "username", "password", "use_tls", "fail_silently", "use_ssl", "timeout", "ssl_keyfile",
    "ssl_certfile",
)  # fmt: skip
"""The arguments of Django's SMTP backend."""
_DJANGO = frozenset(_POSITIONAL) - {"fail_silently"}
_OPTIONS = (SessionConfig.model_fields.keys() | {"url", "preset"}) - _DJANGO
_NAMES_A_SERVER = frozenset({"url", "preset", "server", "transport"})


class EmailBackend(DjangoBackend):
    """A backend of Django that sends over a kept ``SMTPSession``.

    Takes the arguments of Django's SMTP backend and all settings of ``SessionConfig``, also ``url`` and ``preset``: as
    ``OPTIONS`` of a mailer, in the setting ``WLSMTP``, or as keywords. A backend that is made with keywords of its own
    (``send_mail(auth_user=…)``) has a session of its own, which ends with ``close()`` or behind ``send_messages``.
    """

    # Django's own has one of smtplib there.
    connection: SMTPSession | None  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, *args: Any, alias: str | None = None, **options: Any) -> None:
        """Store the options; nothing is connected yet. Raises ``InvalidMailer`` for an unknown option of a mailer."""
        options = Fields({**dict(zip(_POSITIONAL, args, strict=False)), **options})
        del args  # reports of errors show variables, but not what is in ``Fields``
        options = Fields((name, value) for name, value in options.items() if value is not None)
        overrides = options.keys() if alias is None else options.get("_ignore_unknown_kwargs", ())
        self.is_kept: bool = set(overrides) <= {"fail_silently"}
        ours = (getattr(settings, "WLSMTP", None) or {}) if alias is None else {}
        if not isinstance(ours, Mapping):
            raise ImproperlyConfigured(f"WLSMTP must be a dict of settings, not {type(ours).__name__}")
        self._given: dict[str, Any] = dict(ours)
        self._given |= {name: value for name, value in options.items() if name in _OPTIONS | _DJANGO}
        self._names_server: bool = not _NAMES_A_SERVER.isdisjoint(self._given)
        passed = Fields((name, value) for name, value in options.items() if name not in _OPTIONS)
        if alias is not None and self._names_server:
            passed.setdefault("host", "")  # which Django asks for
        super().__init__(**passed, alias=alias)
        self.alias: str | None = alias
        vars(self).update((name, value) for name, value in self._given.items() if name in _DJANGO)
        self.connection = None
        self._own: SMTPSession | None = None

    @property
    def config(self) -> SessionConfig:
        """The settings of the session. Raises ``ImproperlyConfigured``, on Django 6.1 ``InvalidMailer``, when they
        cannot work."""
        return config_of(self._settings(), self._database, self.alias)

    def _settings(self) -> Fields:
        """Django's own, unless ours name the server, and ours over them."""
        ours = Fields((name, value) for name, value in self._given.items() if name not in _DJANGO)
        has_all = self._names_server or self.alias is not None
        names = _DJANGO & self._given.keys() if has_all else _DJANGO
        django = Fields((name, getattr(self, name)) for name in names)
        return session_settings(django, ours)

    @property
    def _database(self) -> str | None:
        """The alias of the database that has the outbox, as ``"outbox": "database"`` and ``"database:ALIAS"`` say."""
        kind, _, alias = str(self._given.get("outbox")).partition(":")
        return (alias or DEFAULT_DB_ALIAS) if kind == "database" else None

    @property
    def session(self) -> SMTPSession:
        """The session that mail goes over, made at the first use. Raises as ``config`` does."""
        if not self.is_kept:
            self._own = self._own or SMTPSession(self.config)
            return self._own
        return kept.session_of(self.alias, self._settings(), self._database)

    def open(self) -> bool | None:
        """Connect and log in now. Returns True, False if it was open, None when it failed silently."""
        if self.connection is not None:
            return False
        try:
            self.connection = self.session.open()
        except OSError as error:
            if self.fail_silently:
                return None
            raise as_smtplib_has_it(error) from error.__cause__
        return True

    def close(self) -> None:
        """Close a session of its own. A kept one stays open for the next mail, until the process ends."""
        session, self._own = self._own, None
        self.connection = None  # pyright: ignore[reportIncompatibleVariableOverride]  # declared above
        if session is not None:
            session.close()

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send messages, several in one stream, and return how many were accepted, for one recipient at least.

        Each message gets its receipt, see ``receipt_of``. What fails does not stop the others; the first error is
        raised when all are done, unless ``fail_silently``. It is an ``SMTPException`` too, and carries a receipt.
        """
        messages = [message for message in email_messages or () if message.recipients()]
        for message in messages:
            vars(message).pop("wlsmtp_receipt", None)
        accepted, failure = 0, None
        # A session of its own ends behind its messages: threads take turns, as with Django's backend.
        with nullcontext() if self.is_kept else self._lock:
            try:
                for receipt, message in zip(self._receipts(messages), messages, strict=False):
                    vars(message)["wlsmtp_receipt"] = receipt
                    if receipt.status in (Status.ERROR, Status.UNKNOWN):
                        failure = failure or receipt.error
                    else:
                        accepted += 1
            except SMTPError as error:
                failure = failure or error
            finally:
                if self.connection is None:
                    self.close()
        if failure is not None and not (self.fail_silently and isinstance(failure, OSError)):
            raise as_smtplib_has_it(failure) from failure.__cause__
        return accepted

    def _receipts(self, messages: Sequence[EmailMessage]) -> Iterator[Receipt]:
        if not messages:
            return
        session = self.session  # first, as it says what is wrong with the settings
        within = connections[self._database] if self._database is not None else None
        if len(messages) > 1:
            yield from session.send_many(map(self._written, messages), within=within)
        else:
            octets, envelope = self._written(messages[0])
            sender, recipients = str(envelope.sender), [*envelope.addresses]
            try:
                yield session.send(octets, sender=sender, recipients=recipients, within=within)
            except SMTPError as error:
                if error.receipt is None:
                    raise
                yield error.receipt
        if "outbox" in self._given:
            kept.close_at_exit()

    def _written(self, message: EmailMessage) -> tuple[bytes, Envelope]:
        """The octets and the addresses that Django's own backend would send."""
        address: Callable[[str], str] = getattr(self, "prep_address", address_of_django_5)  # a method from 6.0 on
        return octets_of(message), Envelope(address(message.from_email), [address(to) for to in message.recipients()])


def receipt_of(message: EmailMessage) -> Receipt | None:
    """Return the receipt of a message's last sending, also if that failed: ``message.wlsmtp_receipt``. None before
    that, and if no command of it was sent."""
    receipt: Receipt | None = vars(message).get("wlsmtp_receipt")
    return receipt
