"""libcurl through pycurl; one handle keeps its connection."""

from __future__ import annotations

import io

import job as jobs
import pycurl
from job import PASSWORD, SENDER, USER, Job, Watch


def handle_for(job: Job, scheme: str = "smtp") -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, f"{scheme}://{job.host}:{job.port}/localhost")
    handle.setopt(pycurl.MAIL_FROM, SENDER)
    handle.setopt(pycurl.UPLOAD, 1)
    return handle


def send(handle: pycurl.Curl, content: bytes, recipients: list[str]) -> None:
    handle.setopt(pycurl.MAIL_RCPT, recipients)
    handle.setopt(pycurl.READDATA, io.BytesIO(content))
    handle.setopt(pycurl.INFILESIZE, len(content))
    handle.perform()


def rendered(job: Job, watch: Watch) -> None:
    messages = job.rendered()
    with watch:
        handle = handle_for(job)
        for content, recipient in messages:
            send(handle, content, [recipient])
    handle.close()


def recipients(job: Job, watch: Watch) -> None:
    content, addresses = job.contents()[0], job.many_recipients()
    with watch:
        handle = handle_for(job)
        send(handle, content, addresses)
    handle.close()


def first(job: Job, watch: Watch) -> None:
    content = job.contents()[0]
    with watch:
        handle = handle_for(job, "smtps")
        handle.setopt(pycurl.CAINFO, job.ca_file)
        handle.setopt(pycurl.USERPWD, f"{USER}:{PASSWORD}")
        send(handle, content, [job.to(0)])
        handle.close()


if __name__ == "__main__":
    jobs.main({"rendered": rendered, "recipients": recipients, "first": first})
