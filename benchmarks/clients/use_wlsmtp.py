"""wlsmtp, blocking."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import job as jobs
from job import ITEMS, PASSWORD, SENDER, TEXT, USER, Job, Watch
from use_smtplib import text_message

from wlsmtp import DKIM, TLS, Attachment, Envelope, Message, Pipelining, PoolLimits, SMTPSession, Templates


def over_tls(job: Job) -> dict[str, object]:
    """TLS 1.3 from the first octet, if the job has a certificate."""
    if not job.ca_file:
        return {}
    return {"security": "ssl", "tls": TLS(ca_file=job.ca_file, minimum_version="1.3")}  # type: ignore[arg-type]


def session_for(job: Job, **settings: object) -> SMTPSession:
    if job.window:
        settings["pipelining"] = Pipelining(max_in_flight=job.window)
    pool = PoolLimits(max_connections=job.connections, max_messages=None)
    settings = over_tls(job) | settings
    return SMTPSession(job.host, job.port, pool=pool, **settings)  # type: ignore[arg-type]


def many(job: Job, watch: Watch) -> None:
    """Rendered messages through send_many, over as many connections as the job says."""
    messages = job.rendered()
    with session_for(job) as session, watch:
        pairs = ((content, Envelope(SENDER, [recipient])) for content, recipient in messages)
        for receipt in session.send_many(pairs, connections=job.connections):
            receipt.raise_for_status()


def rendered(job: Job, watch: Watch) -> None:
    """Rendered messages one by one, each acknowledged before the next."""
    messages = job.rendered()
    with session_for(job) as session, watch:
        for content, recipient in messages:
            session.send(content, sender=SENDER, recipients=recipient)


def text_messages(job: Job) -> Iterator[Message]:
    for number in job.numbers:
        yield Message(sender=SENDER, to=job.to(number), subject=f"Report {number}", text=TEXT)


def built(job: Job, watch: Watch) -> None:
    with session_for(job) as session, watch:
        for message in text_messages(job):
            session.send(message)


def built_many(job: Job, watch: Watch) -> None:
    with session_for(job) as session, watch:
        for receipt in session.send_many(text_messages(job), connections=1):
            receipt.raise_for_status()


def built_standard(job: Job, watch: Watch) -> None:
    """EmailMessages of the standard library."""
    with session_for(job) as session, watch:
        for number in job.numbers:
            session.send(text_message(number, job.to(number)))


def standard_again(job: Job, watch: Watch) -> None:
    """One EmailMessage again and again."""
    message = text_message(0, "bob@example.org")
    with session_for(job) as session, watch:
        for number in job.numbers:
            session.send(message, recipients=job.to(number))


def with_attachment(job: Job) -> Message:
    attachment = Attachment.from_path(job.file, filename="large.bin")
    return Message(sender=SENDER, to=job.to(0), subject="Large", text=TEXT, attachments=[attachment])


def attachment(job: Job, watch: Watch) -> None:
    with session_for(job) as session:
        session.open()
        with watch:
            session.send(with_attachment(job))


def recipients(job: Job, watch: Watch) -> None:
    content, addresses = job.contents()[0], job.many_recipients()
    with session_for(job) as session, watch:
        session.send(content, sender=SENDER, recipients=addresses)


def letter_rows(job: Job) -> Iterator[dict[str, object]]:
    for number in job.numbers:
        yield {"to": job.to(number), "name": f"Customer {number}", "items": ITEMS}


def letter_session(job: Job, key: str) -> SMTPSession:
    return session_for(job, dkim=DKIM("example.com", "s1", key=f"{job.file}/{key}.pem"))


def letters(job: Job, watch: Watch, key: str = "ed25519") -> None:
    """Whole letters from a template, signed, through send_many."""
    with watch, letter_session(job, key) as session:
        templates = Templates(job.file, sender=SENDER, inline_css=True, embed_images=job.file)
        for receipt in session.send_many(templates.merge("letter", letter_rows(job)), connections=1):
            receipt.raise_for_status()


def letters_one_by_one(job: Job, watch: Watch) -> None:
    with watch, letter_session(job, "ed25519") as session:
        templates = Templates(job.file, sender=SENDER, inline_css=True, embed_images=job.file)
        for row in letter_rows(job):
            session.send(templates.message("letter", **row))  # type: ignore[arg-type]


def settings_of_first() -> dict[str, object]:
    return {"username": USER, "password": PASSWORD, "mechanisms": ("PLAIN",)}


def first(job: Job, watch: Watch) -> None:
    content = job.contents()[0]
    with watch, session_for(job, **settings_of_first()) as session:
        session.send(content, sender=SENDER, recipients=job.to(0))


def volume(job: Job, watch: Watch) -> None:
    """Messages made as they are asked for, so that whatever grows is the session's."""
    contents = job.contents()
    pairs = ((contents[number % len(contents)], Envelope(SENDER, [job.to(number)])) for number in job.numbers)
    step = max(1, job.count // 20)
    with session_for(job) as session, watch:
        for done, receipt in enumerate(session.send_many(pairs, connections=job.connections), 1):
            receipt.raise_for_status()
            if done % step == 0:
                watch.look_at_memory()


if __name__ == "__main__":
    jobs.main(
        {
            "many": many, "rendered": rendered, "built": built, "built-many": built_many,
            "built-standard": built_standard, "standard-again": standard_again, "connections": many,
            "attachment": attachment, "recipients": recipients, "first": first, "volume": volume,
            "letters": letters, "letters-rsa": partial(letters, key="rsa"), "letters-one-by-one": letters_one_by_one,
        }
    )  # fmt: skip
