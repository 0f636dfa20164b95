"""How long does it take to import the library, and how much does it bring along?

In a fresh interpreter each, in turn, with all files in the cache; the interpreter's own start does not count. What is
imported is what a program needs to build and send one message.
"""

from __future__ import annotations

import json
import statistics

from harness import Bench
from peers import PYTHON, Unavailable, run, say
from report import Question, Section, Table, show

STATEMENTS = {
    "wlsmtp": "from wlsmtp import Message, SMTPSession",
    "wlsmtp async": "from wlsmtp import AsyncSMTPSession, Message",
    "wlsmtp, its name only": "import wlsmtp",
    "smtplib with email": "import smtplib; from email.message import EmailMessage",
    "aiosmtplib with email": "import aiosmtplib; from email.message import EmailMessage",
    "smtpproto with email": "import smtpproto.client; from email.message import EmailMessage",
    "pycurl": "import pycurl",
    "Red Mail": "import redmail",
    "yagmail": "import yagmail",
    "Django": "from django.core.mail import EmailMessage, get_connection",
    "pydantic with one model": "from pydantic import BaseModel; type('Model', (BaseModel,), {})",
}
PROGRAM = """
import json, sys, time
with open("/proc/self/statm") as file: before = int(file.read().split()[1])
modules, start = len(sys.modules), time.perf_counter()
{statement}
seconds = time.perf_counter() - start
with open("/proc/self/statm") as file: after = int(file.read().split()[1])
print(json.dumps([seconds, len(sys.modules) - modules, (after - before) * 4096]))
"""
ROUNDS = 9


def ask(bench: Bench) -> Section:
    figures: dict[str, list[list[float]]] = {name: [] for name in STATEMENTS}
    notes: dict[str, str] = {}
    say("import time")
    for number in range(bench.rounds(ROUNDS) + 1):
        for name, statement in STATEMENTS.items():
            if name in notes:
                continue
            try:
                answer = json.loads(run([PYTHON, "-I", "-c", PROGRAM.format(statement=statement)], statement))
            except Unavailable as error:
                notes[name] = str(error)
                continue
            if number:  # the first time fills the caches
                figures[name].append(answer)
    section = Section("Import time", (__doc__ or "").strip())
    headers = ("what", "milliseconds", "modules", "MB")
    rows = [_row(name, samples) for name, samples in figures.items()]
    section.tables = [Table("Imports", headers, rows, [f"{name}: {why}" for name, why in notes.items()])]
    return section


def _row(name: str, samples: list[list[float]]) -> tuple[str, ...]:
    if not samples:
        return (name, "-", "-", "-")
    seconds, modules, octets = (statistics.median(column) for column in zip(*samples, strict=True))
    return (name, f"{seconds * 1e3:.0f}", f"{modules:.0f}", f"{octets / 1e6:.1f}")


question: Question = ask

if __name__ == "__main__":
    show(question)
