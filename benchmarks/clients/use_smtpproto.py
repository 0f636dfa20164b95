"""smtpproto's own client, on asyncio. It takes EmailMessages only."""

from __future__ import annotations

import asyncio

import job as jobs
from job import Job, Watch
from smtpproto.client import AsyncSMTPClient
from use_smtplib import text_message


async def built(job: Job, watch: Watch) -> None:
    watch.__enter__()
    async with AsyncSMTPClient(job.host, job.port, domain="localhost").connect() as session:
        for number in job.numbers:
            await session.send_message(text_message(number, job.to(number)))
        watch.__exit__()


if __name__ == "__main__":
    jobs.main({"built": lambda job, watch: asyncio.run(built(job, watch))})
