"""How other clients handle the faults that wlsmtp is tested with: ``python benchmarks/faults_of_peers.py``.

Each client sends in its own process to the same faulty server, with a timeout of a second. The script checks what the
client reported, what the server stored, and how long it took, and prints a Markdown table. A client is right if it
reports success exactly where the server has accepted the message, ends in time, and keeps to the settings.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from wlsmtp.testing import CLOSE, HEAR, RESET, SILENCE, Certificates, SMTPServer  # noqa: E402
from wlsmtp.testing.certificates import default_certificates  # noqa: E402

PEERS, NODE = HERE / ".work" / "peers", HERE / ".work" / "node"
CLIENTS = ("wlsmtp", "wlsmtp, asyncio", "smtplib", "aiosmtplib", "Nodemailer")
ONE_MAIL = HERE / "clients" / "one_mail.py"
BOB, CLEO = "bob@example.org", "cleo@example.net"
TIMEOUT, PATIENCE = 1.0, 20.0
"""Seconds given to the clients as their time-out, and after which the script says that they hang."""
MEGABYTE = 1024 * 1024


@dataclass
class Told:
    """The result of one client's attempt."""

    server: SMTPServer
    hung: bool = False
    error: str | None = None
    text: str = ""
    refused: list[str] = field(default_factory=list)
    peak: int = 0

    @property
    def is_sent(self) -> bool:
        return not self.hung and self.error is None

    @property
    def stored(self) -> int:
        return len(self.server.messages)

    def said(self, verb: bytes) -> bool:
        return any(who == "C" and line.upper().startswith(verb) for _, who, line in self.server.transcript)


Verdict = Callable[[Told], bool]


@dataclass(frozen=True)
class Fault:
    """One row: what the server does, what is asked of the client, and what is right."""

    what: str
    says: tuple[tuple[Any, ...], ...]
    is_right: Verdict
    options: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)


class Drip:
    """A reply that never ends."""

    def __init__(self, start: bytes) -> None:
        self._start = start

    def __iter__(self) -> Iterator[bytes]:
        yield self._start
        while True:
            time.sleep(0.2)
            yield b"x"


def fails(told: Told) -> bool:
    """Says that it failed, and nothing was taken."""
    return told.error is not None and told.stored == 0


def fails_with(code: str) -> Verdict:
    """… and shows the server's reply."""
    return lambda told: fails(told) and code in told.text


def fails_unsaid(*verbs: bytes) -> Verdict:
    """… and has not said these verbs."""
    return lambda told: fails(told) and not any(told.said(verb) for verb in verbs)


def sends(count: int) -> Verdict:
    """Says sent, and it is."""
    return lambda told: told.is_sent and told.stored == count


def knows_not(told: Told) -> bool:
    """Does not say sent; whether it was, it cannot know."""
    return told.error is not None


LOGIN = {"login": ["ann", "s3cret-Pa55"]}
USERS = {"users": {"ann": "s3cret-Pa55"}}
MORE = ("334 bW9yZQ==", HEAR) * 100_000
SMUGGLED = "\r.\rMAIL FROM:<eve@evil.example>\rRCPT TO:<victim@example.org>\rDATA\rx\r.\r\n"

FAULTS = [
    Fault("greets an octet at a time, without end", (("CONNECT", Drip(b"220 ")),), fails),
    Fault("sends an endless reply", (("EHLO", itertools.repeat(b"250-x\r\n" * 10_000)),),
          lambda told: fails(told) and told.peak < 200),
    Fault("sends an endless line", (("EHLO", itertools.repeat(b"x" * 65536)),),
          lambda told: fails(told) and told.peak < 200),
    Fault("answers EHLO with 421", (("EHLO", ("421 4.3.2 Busy", CLOSE)),), fails_with("421")),
    Fault("answers MAIL with 421 and closes", (("MAIL", ("421 4.7.0 Too much", CLOSE)),), fails_with("421")),
    Fault("answers RCPT with 421 and closes", (("RCPT", ("421 4.7.0 Too much", CLOSE)),), fails_with("421")),
    Fault("answers DATA with 250 instead of 354", (("DATA", "250 2.0.0 Ok"),), fails_unsaid(b"SUBJECT")),
    Fault("acknowledges behind the 354, and takes nothing", (("DATA", (b"354 go\r\n250 Queued\r\n", SILENCE)),), fails),
    Fault("closes in the middle of the last reply", ((".", (b"250 2.0.0 Queu", CLOSE)),), knows_not),
    Fault("closes after the first of two lines of the last reply", ((".", (b"250-2.0.0 Queued\r\n", CLOSE)),),
          knows_not),
    Fault("resets the connection after the content", (("STORED", RESET),), knows_not),
    Fault("never answers the content", (("STORED", SILENCE),), knows_not),
    Fault("answers the content an octet at a time, without end", (("STORED", Drip(b"250 ")),), knows_not),
    Fault("refuses one of two recipients", (("RCPT <" + CLEO + ">", "550 5.1.1 No"),),
          lambda told: told.is_sent and told.refused == [CLEO] and told.stored == 1, job={"recipients": [BOB, CLEO]}),
    Fault("never answers QUIT", (("QUIT", SILENCE),), sends(1)),
    Fault("closes at QUIT", (("QUIT", CLOSE),), sends(1)),
    Fault("has closed the idle connection", (("STORED", ("250 2.0.0 Queued", CLOSE), 1),), sends(2),
          job={"messages": 2}),
    Fault("reads slowly but steadily", (), sends(1), options={"pace": 0.01}, job={"repeat": 6 * MEGABYTE}),
    Fault("does not offer STARTTLS any more", (("EHLO", "250 hi"),), fails_unsaid(b"AUTH", b"MAIL"),
          {"security": "tls", **USERS}, {"tls": True, **LOGIN}),
    Fault("injects a reply behind the 220 to STARTTLS", (("STARTTLS", b"220 go\r\n250 Injected\r\n"),),
          fails_unsaid(b"AUTH", b"MAIL"), {"security": "tls", **USERS}, {"tls": True, **LOGIN}),
    Fault("has an expired certificate", (), fails_unsaid(b"AUTH", b"MAIL"),
          {"security": "tls", "certificates": Certificates.expired(default_certificates()), **USERS},
          {"tls": True, **LOGIN}),
    Fault("does not offer AUTH to a client with a password", (("EHLO", "250 hi"),), fails_unsaid(b"MAIL"), USERS,
          LOGIN),
    Fault("asks on and on: 334 after 334", (("AUTH", MORE),), fails, {**USERS, "mechanisms": ["LOGIN"]}, LOGIN),
    Fault("(the recipient has a CR LF in it)", (), lambda told: fails(told) and not told.said(b"RCPT"),
          job={"recipients": ["bob@example.org>\r\nRCPT TO:<eve@evil.example"]}),
    Fault("(the content has CR . CR in it)", (),
          lambda told: told.stored == 1 and b"\r.\r" not in told.server.messages[0].content, job={"body": SMUGGLED}),
    Fault("(the content has LF . LF in it)", (),
          lambda told: told.stored == 1 and b"\n.\n" not in told.server.messages[0].content.replace(b"\r\n", b"??"),
          job={"body": SMUGGLED.replace("\r", "\n")}),
]  # fmt: skip


def attempt(fault: Fault, client: str) -> Told:
    """Let one client meet one fault."""
    with SMTPServer(**{"extensions": ("8BITMIME",), **fault.options}) as server:
        for stage, reply, *times in fault.says:
            server.reply_to(stage, reply, *times)
        job = {
            "host": "localhost" if "security" in fault.options else server.host, "port": server.port,
            "recipients": [BOB], "body": "x\r\n", "repeat": 1, "messages": 1, "timeout": TIMEOUT, "tls": False,
            "login": None, "ca_file": server.ca_file, "memory": 2048 * MEGABYTE, **fault.job,
        }  # fmt: skip
        program = ["node", "one_mail_nodemailer.js"] if client == "Nodemailer" else [sys.executable, ONE_MAIL, client]
        command = [*map(str, program), json.dumps(job)]
        path = os.pathsep.join((str(HERE.parent), str(PEERS)))
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, "PYTHONPATH": path},
                cwd=NODE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Told(server, hung=True)
        lines = run.stdout.splitlines()
        return Told(server, **json.loads(lines[-1])) if lines else Told(server, error="crash", text=run.stderr[-200:])


def words(fault: Fault, told: Told) -> str:
    """One cell of the table."""
    if told.hung:
        return f"✗ hangs (over {PATIENCE:.0f} s)"
    mark = "✓" if fault.is_right(told) else "✗"
    result = f"`{told.error}`" if told.error else "sent" + (", one refused" if told.refused else "")
    truth = {0: "nothing stored", 1: "stored"}.get(told.stored, f"{told.stored} stored") if mark == "✗" else ""
    memory = f"{told.peak} MB" if mark == "✗" and told.peak >= 200 else ""
    return " ".join((mark, ", ".join(part for part in (result, truth, memory) if part)))


def versions() -> str:
    """What was compared."""
    code = "import aiosmtplib, platform; print('aiosmtplib', aiosmtplib.__version__, platform.python_version())"
    env = {**os.environ, "PYTHONPATH": str(PEERS)}
    python = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    code = "console.log('Nodemailer', require('nodemailer/package.json').version, 'Node.js', process.version)"
    return python + subprocess.run(["node", "-e", code], capture_output=True, text=True, check=True, cwd=NODE).stdout


def install() -> None:
    """Get the other clients, unless they are there."""
    if not PEERS.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(PEERS), "--no-deps", "aiosmtplib"]
        subprocess.run(pip, check=True)
    NODE.mkdir(parents=True, exist_ok=True)
    if not (NODE / "node_modules" / "nodemailer").exists():
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "nodemailer"], check=True, cwd=NODE)
    shutil.copy(HERE / "clients" / "one_mail_nodemailer.js", NODE)  # node looks for a library beside the script


def main() -> None:
    install()
    out = sys.stdout.write
    out(f"{versions()}\n")
    right = dict.fromkeys(CLIENTS, 0)
    out(f"| the server … | {' | '.join(CLIENTS)} |\n|---|{'---|' * len(CLIENTS)}\n")
    for fault in FAULTS:
        tried = {client: attempt(fault, client) for client in CLIENTS}
        cells = [words(fault, told) for told in tried.values()]
        for client, cell in zip(CLIENTS, cells, strict=True):
            right[client] += cell.startswith("✓")
        out(f"| {fault.what} | {' | '.join(cells)} |\n")
    out(f"| **right, of {len(FAULTS)}** | {' | '.join(f'**{count}**' for count in right.values())} |\n")


if __name__ == "__main__":
    main()
