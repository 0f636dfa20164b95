"""How many small text messages a second, each built from its parts and sent by itself?

One kilobyte of ASCII text with From, To, Subject, Date and Message-ID, over one connection without delay, each
acknowledged before the next is built. send_many, which does not wait, is there to compare. The second table has a tree
of the standard library that is sent again and again, as it is. What the standard library needs to build an
``EmailMessage`` is the program's own cost, whatever sends it; it is measured alone.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

from harness import Bench, Contender, Outcomes
from peers import PYTHON, run
from report import Question, Section, at_least, cpu_ratio, rates, show

COUNT, WARMUP, COMPILED = 2000, 200, 4000
ROUNDS = 5
PEERS = {
    "smtplib with EmailMessage": ("smtplib", COUNT, WARMUP),
    "aiosmtplib with EmailMessage": ("aiosmtplib", COUNT, WARMUP),
    "smtpproto with EmailMessage": ("smtpproto", COUNT, WARMUP),
    "Red Mail": ("redmail", COUNT // 2, WARMUP),
    "yagmail": ("yagmail", COUNT // 2, WARMUP),
    "Django": ("django", COUNT, WARMUP),
    "Nodemailer": ("nodemailer", COUNT, COMPILED),
    "Jakarta Mail": ("jakarta_mail", COUNT, COMPILED),
}
BASE = "smtplib with EmailMessage"
OURS, OURS_ASYNC = "wlsmtp, send(Message)", "wlsmtp async, send(Message)"
BUILDING = """
import sys, time
sys.path.insert(0, sys.argv[1])
from use_smtplib import text_message
for number in range(200): text_message(number, "bob@example.org")
start = time.process_time()
for number in range(int(sys.argv[2])): text_message(number, "bob@example.org")
print((time.process_time() - start) / int(sys.argv[2]) * 1e6)
"""
STANDARD, STANDARD_ASYNC = "wlsmtp, send(EmailMessage)", "wlsmtp async, send(EmailMessage)"


def contenders(bench: Bench) -> list[Contender]:
    count, warmup = bench.count(COUNT), bench.count(WARMUP)
    ours = [
        Contender(OURS, "wlsmtp", "built", count, warmup),
        Contender(OURS_ASYNC, "wlsmtp_async", "built", count, warmup),
        Contender(STANDARD, "wlsmtp", "built-standard", count, warmup),
        Contender(STANDARD_ASYNC, "wlsmtp_async", "built-standard", count, warmup),
        Contender("wlsmtp, send_many(Message)", "wlsmtp", "built-many", 2 * count, warmup),
        Contender("wlsmtp async, send_many(Message)", "wlsmtp_async", "built-many", 2 * count, warmup),
    ]
    theirs = [
        Contender(name, client, "built", bench.count(many), bench.count(before))
        for name, (client, many, before) in PEERS.items()
    ]
    return ours + theirs


def sent_again(bench: Bench) -> list[Contender]:
    count, warmup = bench.count(COUNT), bench.count(WARMUP)
    clients = {STANDARD: "wlsmtp", STANDARD_ASYNC: "wlsmtp_async", BASE: "smtplib"}
    return [Contender(name, client, "standard-again", count, warmup) for name, client in clients.items()]


def building(bench: Bench, outcomes: Outcomes) -> str:
    """The share of the standard library's building."""
    command = [PYTHON, "-c", BUILDING, Path(__file__).with_name("clients"), str(bench.count(COUNT))]
    alone = statistics.median(float(run(command, "building")) for _ in range(bench.rounds(ROUNDS)))
    base, ours = outcomes[BASE].cpu, outcomes[STANDARD].cpu
    most, rest = base / alone, (base - alone) / (ours - alone)
    words = f"Building the EmailMessage alone: {alone:,.1f} us of CPU, {alone / base:.0%} of smtplib with EmailMessage"
    return (
        f"{words}. No client can be more than {most:.2f} x; without it, smtplib needs {rest:.2f} x the CPU of wlsmtp."
    )


def ask(bench: Bench) -> Section:
    with bench.sink() as sink:
        outcomes = bench.compete("built per message", contenders(bench), sink, bench.rounds(ROUNDS))
        again = bench.compete("sent again", sent_again(bench), sink, bench.rounds(ROUNDS))
    section = Section("One connection, built per message", (__doc__ or "").strip())
    built = rates("Text of 1 KB, no delay", outcomes, BASE)
    if outcomes[BASE].samples and outcomes[STANDARD].samples:
        built = replace(built, notes=[*built.notes, building(bench, outcomes)])
    section.tables = [
        built,
        rates("One EmailMessage sent again and again, no delay", again, BASE),
    ]
    section.claims = [at_least(f"Built one by one: messages/s of {BASE}", 5, outcomes, OURS, BASE)]
    section.claims += [
        at_least(f"Built one by one: messages/s of {peer}", 1, outcomes, OURS, peer)
        for peer in ("Nodemailer", "Jakarta Mail", "Django")
    ]
    aio = "aiosmtplib with EmailMessage"
    section.claims += [
        at_least("Built one by one, asyncio: messages/s of Jakarta Mail", 1, outcomes, OURS_ASYNC, "Jakarta Mail"),
        cpu_ratio(f"Built one by one, asyncio: CPU of {aio}", 8, outcomes, aio, OURS_ASYNC),
        cpu_ratio("EmailMessage built each time: CPU of smtplib", 1.5, outcomes, BASE, STANDARD),
        cpu_ratio("EmailMessage sent again: CPU of smtplib", 5, again, BASE, STANDARD),
    ]
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
