"""aiosmtplib."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiosmtplib
import job as jobs
from job import PASSWORD, SENDER, USER, Job, Watch
from use_smtplib import text_message


def client_for(job: Job, **settings: object) -> aiosmtplib.SMTP:
    given: dict[str, object] = {"start_tls": False}
    if job.ca_file:
        given = {"use_tls": True, "start_tls": None, "tls_context": ssl.create_default_context(cafile=job.ca_file)}
    return aiosmtplib.SMTP(hostname=job.host, port=job.port, local_hostname="localhost", **{**given, **settings})


async def rendered(job: Job, watch: Watch) -> None:
    messages = job.rendered()
    with watch:
        client = client_for(job)
        await client.connect()
        for content, recipient in messages:
            await client.sendmail(SENDER, [recipient], content)
    await client.quit()


async def built(job: Job, watch: Watch) -> None:
    with watch:
        client = client_for(job)
        await client.connect()
        for number in job.numbers:
            await client.send_message(text_message(number, job.to(number)))
    await client.quit()


async def connections(job: Job, watch: Watch) -> None:
    """One task for each."""
    shares = [share.rendered() for share in job.shares()]

    async def send(messages: list[tuple[bytes, str]]) -> aiosmtplib.SMTP:
        client = client_for(job)
        await client.connect()
        for content, recipient in messages:
            await client.sendmail(SENDER, [recipient], content)
        return client

    with watch:
        clients = await asyncio.gather(*(send(share) for share in shares))
    for client in clients:
        await client.quit()


async def attachment(job: Job, watch: Watch) -> None:
    client = client_for(job)
    await client.connect()
    with watch:
        message = text_message(0, job.to(0))
        data = await asyncio.to_thread(Path(job.file).read_bytes)
        message.add_attachment(data, "application", "octet-stream", filename="large.bin")
        await client.send_message(message)
    await client.quit()


async def recipients(job: Job, watch: Watch) -> None:
    content, addresses = job.contents()[0], job.many_recipients()
    with watch:
        client = client_for(job)
        await client.connect()
        await client.sendmail(SENDER, addresses, content)
    await client.quit()


async def first(job: Job, watch: Watch) -> None:
    content = job.contents()[0]
    with watch:
        async with client_for(job) as client:
            await client.login(USER, PASSWORD)
            await client.sendmail(SENDER, [job.to(0)], content)


def in_a_loop(task: Callable[[Job, Watch], Coroutine[Any, Any, None]]) -> jobs.Task:
    return lambda job, watch: asyncio.run(task(job, watch))


if __name__ == "__main__":
    tasks = {
        "rendered": rendered, "built": built, "connections": connections, "attachment": attachment,
        "recipients": recipients, "first": first,
    }  # fmt: skip
    jobs.main({name: in_a_loop(task) for name, task in tasks.items()})
