"""Red Mail, which builds and sends over smtplib."""

from __future__ import annotations

import job as jobs
from job import ITEMS, SENDER, TEXT, Job, Watch
from redmail import EmailSender


def built(job: Job, watch: Watch) -> None:
    with watch:
        sender = EmailSender(host=job.host, port=job.port, use_starttls=False, local_hostname="localhost")
        sender.connect()
        for number in job.numbers:
            sender.send(subject=f"Report {number}", sender=SENDER, receivers=[job.to(number)], text=TEXT)
    sender.close()


def letter(job: Job, watch: Watch) -> None:
    """A letter of Jinja2 templates with a picture. It is not signed, its CSS stays where it is."""
    with watch:
        sender = EmailSender(host=job.host, port=job.port, use_starttls=False, local_hostname="localhost")
        sender.set_template_paths(html=job.file, text=job.file)
        sender.connect()
        for number in job.numbers:
            sender.send(
                subject=f"Your order, Customer {number}", sender=SENDER, receivers=[job.to(number)],
                html_template="redmail.html", text_template="redmail.txt", body_images={"logo": f"{job.file}/logo.png"},
                body_params={"name": f"Customer {number}", "items": ITEMS},
            )  # fmt: skip
    sender.close()


if __name__ == "__main__":
    jobs.main({"built": built, "letter": letter})
