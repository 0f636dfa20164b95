"""Mail settings for one test: ``EMAIL_BACKEND`` before Django 6.1, ``MAILERS`` from then on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.core import mail

from tests.contrib import project

BACKEND = "wlsmtp.contrib.django.EmailBackend"
HAS_MAILERS = django.VERSION >= (6, 1)


@contextmanager
def mail_settings(
    *, backend: str = BACKEND, host: str = "localhost", port: int | None = None, **ours: Any
) -> Iterator[None]:
    """Have mail sent to a server, with these settings of wlsmtp besides."""
    project.set_up()
    from django.test import override_settings

    names_server = {"url", "server", "transport", "preset"} & ours.keys()
    django_own: dict[str, Any] = {} if names_server else {"host": host}
    django_own |= {"port": port} if port else {}
    django_own |= {name: ours.pop(name) for name in ("use_tls", "use_ssl") if name in ours}
    if HAS_MAILERS:
        settings: dict[str, Any] = {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": django_own | ours}}}
    else:
        settings = {"EMAIL_BACKEND": backend, "WLSMTP": ours}
        settings |= {f"EMAIL_{name.upper()}": value for name, value in django_own.items()}
    with override_settings(**settings):
        yield


def backend() -> Any:
    """The backend that ``send_mail`` would use."""
    return mail.mailers.default if HAS_MAILERS else mail.get_connection()
