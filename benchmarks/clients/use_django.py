"""Django's mail, over its SMTP backend with the connection kept open; and as a site sends, over that or wlsmtp's."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import job as jobs
from django.conf import settings
from django.core.mail import EmailMessage, get_connection, send_mail, send_mass_mail
from job import PASSWORD, SENDER, TEXT, USER, Job, Watch

DJANGO, WLSMTP = "django.core.mail.backends.smtp.EmailBackend", "wlsmtp.contrib.django.EmailBackend"


def built(job: Job, watch: Watch) -> None:
    with watch:
        connection = get_connection(DJANGO, host=job.host, port=job.port, fail_silently=False)
        connection.open()
        for number in job.numbers:
            EmailMessage(f"Report {number}", TEXT, SENDER, [job.to(number)], connection=connection).send()
    connection.close()


def one_by_one(job: Job) -> None:
    for number in job.numbers:
        send_mail(f"Report {number}", TEXT, SENDER, [job.to(number)])


def together(job: Job) -> None:
    send_mass_mail([(f"Report {number}", TEXT, SENDER, [job.to(number)]) for number in job.numbers])


def as_a_site(backend: str, send: Callable[[Job], None], job: Job, watch: Watch) -> None:
    """TLS from the first byte and a login, as settings.py says."""
    os.environ["SSL_CERT_FILE"] = job.ca_file  # which OpenSSL trusts
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = backend, job.host, job.port
    settings.EMAIL_USE_SSL, settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = True, USER, PASSWORD
    get_connection()  # imports the backend
    with watch:
        send(job)


if __name__ == "__main__":
    settings.configure(USE_TZ=True)
    jobs.main({
        "built": built,
        "send-mail": partial(as_a_site, DJANGO, one_by_one),
        "send-mail-wlsmtp": partial(as_a_site, WLSMTP, one_by_one),
        "send-mass-mail": partial(as_a_site, DJANGO, together),
        "send-mass-mail-wlsmtp": partial(as_a_site, WLSMTP, together),
    })  # fmt: skip
