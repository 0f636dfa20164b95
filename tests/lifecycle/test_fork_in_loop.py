"""A program forks inside a coroutine, while a message is in flight. Its child goes on with the same session in an event
loop of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.gates import Gate
from tests.outbox.programs import copies, start
from wlsmtp.testing import SMTPServer

PROGRAM = """
    import asyncio, multiprocessing, sys, warnings
    from wlsmtp import AsyncSMTPSession, Message

    warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, as there are threads

    host, port, outbox = sys.argv[1:]
    options = {"mode": "async", "outbox": outbox} if outbox else {}
    session = AsyncSMTPSession(host, int(port), **options)

    async def send(subject):
        message = Message(sender="a@example.com", to="b@example.org", subject=subject, text="x")
        receipt = await session.send(message)
        return await receipt if outbox else receipt

    async def in_child():
        async with session:
            await send("child")

    async def main():
        await send("before")
        in_flight = asyncio.create_task(send("in flight"))
        await asyncio.to_thread(sys.stdin.readline)  # until the server has it
        child = multiprocessing.get_context("fork").Process(target=lambda: asyncio.run(in_child()))
        child.start()
        await asyncio.to_thread(child.join)
        print("child", child.exitcode, flush=True)
        print((await in_flight).status, (await send("after")).status, flush=True)
        await session.close()

    asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("outbox", ["", "sqlite"])
def test_each_side_sends_its_mail_once(outbox: str, tmp_path: Path) -> None:
    if outbox == "sqlite":
        outbox = f"sqlite:///{tmp_path}/outbox.db"
    with SMTPServer() as server:
        gate = Gate("250 2.0.0 Queued")
        server.reply_to("STORED", "250 2.0.0 Queued", times=1)
        server.reply_to("STORED", gate, times=1)
        process = start(PROGRAM, server.host, server.port, outbox)
        assert process.stdin is not None and process.stdout is not None
        assert gate.event.wait(30)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "child 0\n"
        gate.opened.set()
        output, errors = process.communicate(timeout=30)
        assert (output, errors, process.returncode) == ("sent sent\n", "", 0)
        assert copies(server) == {"before": 1, "in flight": 1, "child": 1, "after": 1}
