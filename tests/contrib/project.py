"""A project of Django for the tests: all of them share it, as a process has one."""

from __future__ import annotations

SETTINGS = {
    "SECRET_KEY": "of no use",
    "USE_TZ": True,
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],  # quick
    "ALLOWED_HOSTS": ["testserver"],
    "LOGGING_CONFIG": None,
    "ROOT_URLCONF": "tests.contrib.urls",
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    "INSTALLED_APPS": [
        "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
        "django.contrib.messages", "wlsmtp.contrib.django",
    ],
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    "TEMPLATES": [{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": [
            "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages",
        ]},
    }],
}  # fmt: skip


def configure() -> None:
    """Give Django its settings, in place of those that an example of the docs may have made; no application is
    loaded."""
    from django.conf import settings
    from django.utils.functional import empty

    if not settings.configured or not settings.is_overridden("ROOT_URLCONF"):
        settings._wrapped = empty
        settings.configure(**SETTINGS)


def set_up() -> None:
    """Load the applications too."""
    import django
    from django.apps import apps

    configure()
    if not apps.ready:
        django.setup()
