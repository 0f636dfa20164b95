"""Django's mail, over its SMTP backend with the connection kept open."""

from __future__ import annotations

import django.conf
import job as jobs
from django.core.mail import EmailMessage, get_connection
from job import SENDER, TEXT, Job, Watch


def built(job: Job, watch: Watch) -> None:
    with watch:
        backend = "django.core.mail.backends.smtp.EmailBackend"
        connection = get_connection(backend, host=job.host, port=job.port, fail_silently=False)
        connection.open()
        for number in job.numbers:
            EmailMessage(f"Report {number}", TEXT, SENDER, [job.to(number)], connection=connection).send()
    connection.close()


if __name__ == "__main__":
    django.conf.settings.configure(USE_TZ=True)
    jobs.main({"built": built})
