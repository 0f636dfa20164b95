"""wlsmtp with asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import job as jobs
from job import SENDER, Job, Watch
from use_smtplib import text_message
from use_wlsmtp import over_tls, settings_of_first, text_messages, with_attachment

from wlsmtp import AsyncSMTPSession, Envelope, Pipelining, PoolLimits


def session_for(job: Job, **settings: object) -> AsyncSMTPSession:
    if job.window:
        settings["pipelining"] = Pipelining(max_in_flight=job.window)
    pool = PoolLimits(max_connections=job.connections, max_messages=None)
    settings = over_tls(job) | settings
    return AsyncSMTPSession(job.host, job.port, pool=pool, **settings)  # type: ignore[arg-type]


async def many(job: Job, watch: Watch) -> None:
    """Rendered messages through send_many, over as many connections as the job says."""
    messages = job.rendered()
    async with session_for(job) as session:
        with watch:
            pairs = ((content, Envelope(SENDER, [recipient])) for content, recipient in messages)
            async for receipt in session.send_many(pairs, connections=job.connections):
                receipt.raise_for_status()


async def rendered(job: Job, watch: Watch) -> None:
    """Rendered messages one by one, each acknowledged before the next."""
    messages = job.rendered()
    async with session_for(job) as session:
        with watch:
            for content, recipient in messages:
                await session.send(content, sender=SENDER, recipients=recipient)


async def built(job: Job, watch: Watch) -> None:
    async with session_for(job) as session:
        with watch:
            for message in text_messages(job):
                await session.send(message)


async def built_many(job: Job, watch: Watch) -> None:
    async with session_for(job) as session:
        with watch:
            async for receipt in session.send_many(text_messages(job), connections=1):
                receipt.raise_for_status()


async def built_standard(job: Job, watch: Watch) -> None:
    """EmailMessages of the standard library."""
    async with session_for(job) as session:
        with watch:
            for number in job.numbers:
                await session.send(text_message(number, job.to(number)))


async def standard_again(job: Job, watch: Watch) -> None:
    """One EmailMessage again and again."""
    message = text_message(0, "bob@example.org")
    async with session_for(job) as session:
        with watch:
            for number in job.numbers:
                await session.send(message, recipients=job.to(number))


async def attachment(job: Job, watch: Watch) -> None:
    async with session_for(job) as session:
        await session.open()
        with watch:
            await session.send(with_attachment(job))


async def recipients(job: Job, watch: Watch) -> None:
    content, addresses = job.contents()[0], job.many_recipients()
    async with session_for(job) as session:
        with watch:
            await session.send(content, sender=SENDER, recipients=addresses)


async def first(job: Job, watch: Watch) -> None:
    content = job.contents()[0]
    with watch:
        async with session_for(job, **settings_of_first()) as session:
            await session.send(content, sender=SENDER, recipients=job.to(0))


async def volume(job: Job, watch: Watch) -> None:
    """Messages made as they are asked for, so that whatever grows is the session's."""
    contents = job.contents()
    pairs = ((contents[number % len(contents)], Envelope(SENDER, [job.to(number)])) for number in job.numbers)
    step, done = max(1, job.count // 20), 0
    async with session_for(job) as session:
        with watch:
            async for receipt in session.send_many(pairs, connections=job.connections):
                receipt.raise_for_status()
                done += 1
                if done % step == 0:
                    watch.look_at_memory()


def in_a_loop(task: Callable[[Job, Watch], Coroutine[Any, Any, None]]) -> jobs.Task:
    """The event loop is there before the watch starts, as it is in a program that lives in one."""
    return lambda job, watch: asyncio.run(task(job, watch))


if __name__ == "__main__":
    tasks = {
        "many": many, "rendered": rendered, "built": built, "built-many": built_many,
        "built-standard": built_standard, "standard-again": standard_again, "connections": many,
        "attachment": attachment, "recipients": recipients, "first": first, "volume": volume,
    }  # fmt: skip
    jobs.main({name: in_a_loop(task) for name, task in tasks.items()})
