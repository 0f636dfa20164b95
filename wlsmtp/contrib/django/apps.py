"""The application for ``INSTALLED_APPS``: system checks of the mail settings, and the admin page for the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks, mail
from django.core.exceptions import ImproperlyConfigured

from wlsmtp.contrib.django import EmailBackend
from wlsmtp.settings.config import Mode, Security


class Application(AppConfig):
    """``INSTALLED_APPS = [..., "wlsmtp.contrib.django"]``."""

    name = "wlsmtp.contrib.django"
    label = "wlsmtp"
    verbose_name = "Mail"

    def ready(self) -> None:
        """Register the checks."""
        checks.register(check_mail, "mail")


def backends() -> list[EmailBackend]:
    """Return the backend of each mailer, or that of ``EMAIL_BACKEND``, if ours. Raises ``ImproperlyConfigured``."""
    if hasattr(mail, "mailers") and hasattr(settings, "MAILERS"):
        found = [mail.mailers[alias] for alias in settings.MAILERS]
    elif settings.is_overridden("EMAIL_BACKEND"):
        found = [mail.mailers.default if hasattr(mail, "mailers") else mail.get_connection()]
    else:
        found = []
    return [backend for backend in found if isinstance(backend, EmailBackend)]


def check_mail(app_configs: object, **_: Any) -> list[checks.CheckMessage]:
    """Say what cannot work, or is not what it looks like, before the first mail shows it."""
    try:
        found = backends()
        messages = [message for backend in found for message in _check(backend)]
    except (ImproperlyConfigured, ValueError) as error:  # ValueError: Django's own, for both kinds of TLS at once
        return [checks.Error(str(error), id="wlsmtp.E001")]
    if getattr(settings, "WLSMTP", None) and not any(backend.alias is None for backend in found):
        hint = 'Set EMAIL_BACKEND = "wlsmtp.contrib.django.EmailBackend", or put them into the OPTIONS of a mailer'
        messages.append(checks.Warning("The setting WLSMTP is not read", hint=hint, id="wlsmtp.W001"))
    return messages


def _check(backend: EmailBackend) -> Iterator[checks.CheckMessage]:
    config = backend.config
    where = f"MAILERS[{backend.alias!r}]" if backend.alias is not None else "EMAIL_…"
    if backend.username and not config.username:
        hint = "Give the password too, or neither"
        yield checks.Warning(f"{where}: a user without a password does not log in", hint=hint, id="wlsmtp.W002")
    is_plain = config.security is Security.DEFAULT and config.transport is None and not config.is_unix
    if config.username and is_plain and not config.allow_cleartext_auth and config.opportunistic_tls:
        words = f"{where}: nobody logs in at {config.address} unless it offers STARTTLS"
        yield checks.Warning(words, hint="Say that it does: use_tls, or EMAIL_USE_TLS", id="wlsmtp.W003")
    if config.mode is Mode.ASYNC and config.outbox == "memory:":
        words = f"{where}: mail in an outbox in memory is lost when the process is killed"
        yield checks.Warning(words, hint='Use a file: "outbox": "sqlite:////var/lib/site/outbox.db"', id="wlsmtp.W004")
