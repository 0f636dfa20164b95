"""The standard library's smtplib."""

from __future__ import annotations

import smtplib
import ssl
import threading
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import job as jobs
from job import PASSWORD, SENDER, TEXT, USER, Job, Watch


def connect(job: Job) -> smtplib.SMTP:
    if job.ca_file:
        context = ssl.create_default_context(cafile=job.ca_file)
        return smtplib.SMTP_SSL(job.host, job.port, local_hostname="localhost", context=context)
    return smtplib.SMTP(job.host, job.port, local_hostname="localhost")


def rendered(job: Job, watch: Watch) -> None:
    messages = job.rendered()
    with watch:
        client = connect(job)
        for content, recipient in messages:
            client.sendmail(SENDER, [recipient], content)
    client.quit()


def built(job: Job, watch: Watch) -> None:
    with watch:
        client = connect(job)
        for number in job.numbers:
            client.send_message(text_message(number, job.to(number)))
    client.quit()


def standard_again(job: Job, watch: Watch) -> None:
    """One EmailMessage again and again."""
    message = text_message(0, "bob@example.org")
    with watch:
        client = connect(job)
        for number in job.numbers:
            client.send_message(message, SENDER, [job.to(number)])
    client.quit()


def text_message(number: int, recipient: str) -> EmailMessage:
    """With the headers that other libraries add by themselves."""
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = recipient
    message["Subject"] = f"Report {number}"
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain="example.com")
    message.set_content(TEXT)
    return message


def connections(job: Job, watch: Watch) -> None:
    """One thread for each."""
    shares = [share.rendered() for share in job.shares()]

    def send(messages: list[tuple[bytes, str]]) -> None:
        client = connect(job)
        for content, recipient in messages:
            client.sendmail(SENDER, [recipient], content)
        clients.append(client)

    clients: list[smtplib.SMTP] = []
    threads = [threading.Thread(target=send, args=[share]) for share in shares]
    with watch:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for client in clients:
        client.quit()


def attachment(job: Job, watch: Watch) -> None:
    client = connect(job)
    with watch:
        message = text_message(0, job.to(0))
        message.add_attachment(Path(job.file).read_bytes(), "application", "octet-stream", filename="large.bin")
        client.send_message(message)
    client.quit()


def rendered_attachment(job: Job, watch: Watch) -> None:
    """A message that is in memory already, so only the sending counts."""
    message = text_message(0, job.to(0))
    message.add_attachment(Path(job.file).read_bytes(), "application", "octet-stream", filename="large.bin")
    content = message.as_bytes().replace(b"\n", b"\r\n")
    del message
    client = connect(job)
    with watch:
        client.sendmail(SENDER, [job.to(0)], content)
    client.quit()


def recipients(job: Job, watch: Watch) -> None:
    content, addresses = job.contents()[0], job.many_recipients()
    with watch:
        client = connect(job)
        client.sendmail(SENDER, addresses, content)
    client.quit()


def first(job: Job, watch: Watch) -> None:
    content = job.contents()[0]
    context = ssl.create_default_context(cafile=job.ca_file)
    with watch, smtplib.SMTP_SSL(job.host, job.port, local_hostname="localhost", context=context) as client:
        client.login(USER, PASSWORD)
        client.sendmail(SENDER, [job.to(0)], content)


if __name__ == "__main__":
    jobs.main(
        {
            "rendered": rendered, "built": built, "standard-again": standard_again, "connections": connections,
            "attachment": attachment, "rendered-attachment": rendered_attachment, "recipients": recipients,
            "first": first,
        }
    )  # fmt: skip
