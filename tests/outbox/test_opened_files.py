"""A session that has sent opens no file and imports nothing to send again."""

from __future__ import annotations

from pathlib import Path

from tests.outbox.programs import start
from wlsmtp.testing import SMTPServer

PROGRAM = """
    import asyncio, inspect, sys
    from wlsmtp import AsyncSMTPSession, Message, SMTPSession

    host, port, file = sys.argv[1:]
    opened = []
    sys.addaudithook(lambda event, _: opened.append(event) if event in {"open", "import", "os.scandir"} else None)

    async def result(value):
        return await value if inspect.isawaitable(value) else value

    async def send(face, outbox):
        session = face(host, int(port), **({"mode": "async", "outbox": outbox} if outbox else {}))
        for round in range(6):
            if round == 3:
                opened.clear()
            message = Message(sender="a@example.com", to="b@example.org", text="x", html="<p>x</p>")
            await result(session.send(message))
            await result(session.send_all([message] * 3))
            if outbox:
                assert not await result(session.flush(20))
        print(face.__name__, outbox[:6], opened)
        await result(session.close())

    for face in (SMTPSession, AsyncSMTPSession):
        for outbox in ("", "memory:", "sqlite:///" + file):
            asyncio.run(send(face, outbox))
"""


def test_a_warm_send_opens_no_file(tmp_path: Path) -> None:
    with SMTPServer() as server:
        process = start(PROGRAM, server.host, server.port, tmp_path / "outbox.db")
        output, errors = process.communicate(timeout=60)
    faces, outboxes = ("SMTPSession", "AsyncSMTPSession"), ("", "memory", "sqlite")
    assert output.splitlines() == [f"{face} {outbox} []" for face in faces for outbox in outboxes]
    assert errors == "" and len(server.messages) == 6 * 6 * 4
