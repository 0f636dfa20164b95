"""Programs with an outbox, to be killed and to be counted."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import Counter

from wlsmtp.testing import SMTPServer

SENDER = """
    import sys
    from wlsmtp import Message, SMTPSession, SQLiteOutbox

    host, port, path, name, count = sys.argv[1:]
    outbox = SQLiteOutbox(path, lease=0.5)
    session = SMTPSession(host, int(port), mode="async", outbox=outbox).open()
    for number in range(int(count)):
        subject = f"{name}-{number}"
        receipt = session.send(Message(sender="a@example.com", to="b@example.com", subject=subject, text="x"))
        print(subject, receipt.id, flush=True)
    session.close()
"""
"""Stores messages, tells of each that it is stored, and sends them meanwhile."""

WORKER = """
    import sys
    from wlsmtp import SMTPSession

    host, port, path, name = sys.argv[1:]
    with SMTPSession(host, int(port), mode="async", outbox=f"sqlite:///{path}", local_hostname=name) as session:
        session.open()
        print("ready", flush=True)
        sys.stdin.readline()
"""
"""Sends what is in the outbox until it is told to stop."""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def copies(server: SMTPServer) -> Counter[str]:
    """How often each message arrived, by its subject."""
    return Counter(mail.header("Subject") or "" for mail in server.messages)
