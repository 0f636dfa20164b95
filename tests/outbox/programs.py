"""Programs with an outbox, to be killed and to be counted."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import Counter

from wlsmtp.testing import SMTPServer

SENDER = """
    import sys
    from wlsmtp import Message, SMTPSession

    host, port, outbox, name, count = sys.argv[1:]
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

    host, port, outbox, name = sys.argv[1:]
    with SMTPSession(host, int(port), mode="async", outbox=outbox, local_hostname=name) as session:
        session.open()
        print("ready", flush=True)
        sys.stdin.readline()
"""
"""Sends the messages of the outbox until it is stopped."""


NEWER = """
    import json
    from wlsmtp.outbox import records

    dump, dump_options, load_options = records.dump, records.dump_options, records.load_options

    def newer_dump(receipt):
        return json.dumps({**json.loads(dump(receipt)), "signature": {"d": "example.com"}})

    def newer_dump_options(options):
        return json.dumps({**json.loads(dump_options(options) or "{}"), "by_burl": True})

    def newer_load_options(text):
        known = {name: value for name, value in json.loads(text or "{}").items() if name != "by_burl"}
        return load_options(json.dumps(known)) if known else None

    records.dump, records.load_options = newer_dump, newer_load_options
    if {wants_options}:
        records.dump_options = newer_dump_options
"""
"""What makes a program one of a newer version: its receipts have a field, and with ``wants_options`` its messages an
option, that this version does not know."""


def newer(program: str, *, wants_options: bool = False) -> str:
    """The program as a newer version would run it."""
    return textwrap.dedent(NEWER).replace("{wants_options}", str(wants_options)) + textwrap.dedent(program)


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def copies(server: SMTPServer) -> Counter[str]:
    """How often each message arrived, by its subject."""
    return Counter(mail.header("Subject") or "" for mail in server.messages)
