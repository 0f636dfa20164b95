"""Red Mail, which builds and sends over smtplib."""

from __future__ import annotations

import job as jobs
from job import SENDER, TEXT, Job, Watch
from redmail import EmailSender


def built(job: Job, watch: Watch) -> None:
    with watch:
        sender = EmailSender(host=job.host, port=job.port, use_starttls=False, local_hostname="localhost")
        sender.connect()
        for number in job.numbers:
            sender.send(subject=f"Report {number}", sender=SENDER, receivers=[job.to(number)], text=TEXT)
    sender.close()


if __name__ == "__main__":
    jobs.main({"built": built})
