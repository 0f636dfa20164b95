"""yagmail, which builds and sends over smtplib."""

from __future__ import annotations

import job as jobs
import yagmail
from job import SENDER, TEXT, Job, Watch


def built(job: Job, watch: Watch) -> None:
    with watch:
        sender = yagmail.SMTP(
            SENDER, host=job.host, port=job.port, smtp_starttls=False, smtp_ssl=False, smtp_skip_login=True,
            local_hostname="localhost",
        )  # fmt: skip
        sender.login()
        for number in job.numbers:
            sender.send(to=job.to(number), subject=f"Report {number}", contents=TEXT)
    sender.close()


if __name__ == "__main__":
    jobs.main({"built": built})
