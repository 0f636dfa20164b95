"""How many small text messages a second, each built from its parts and sent by itself?

One kilobyte of ASCII text with From, To, Subject, Date and Message-ID, over one connection without delay, each
acknowledged before the next is built. send_many, which does not wait, is there to compare.
"""

from __future__ import annotations

from harness import Bench, Contender
from report import Question, Section, at_least, rates, show

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
OURS = "wlsmtp, send(Message)"


def contenders(bench: Bench) -> list[Contender]:
    count, warmup = bench.count(COUNT), bench.count(WARMUP)
    ours = [
        Contender(OURS, "wlsmtp", "built", count, warmup),
        Contender("wlsmtp async, send(Message)", "wlsmtp_async", "built", count, warmup),
        Contender("wlsmtp, send(EmailMessage)", "wlsmtp", "built-standard", count, warmup),
        Contender("wlsmtp async, send(EmailMessage)", "wlsmtp_async", "built-standard", count, warmup),
        Contender("wlsmtp, send_many(Message)", "wlsmtp", "built-many", 2 * count, warmup),
        Contender("wlsmtp async, send_many(Message)", "wlsmtp_async", "built-many", 2 * count, warmup),
    ]
    theirs = [
        Contender(name, client, "built", bench.count(many), bench.count(before))
        for name, (client, many, before) in PEERS.items()
    ]
    return ours + theirs


def ask(bench: Bench) -> Section:
    with bench.sink() as sink:
        outcomes = bench.compete("built per message", contenders(bench), sink, bench.rounds(ROUNDS))
    section = Section("One connection, built per message", (__doc__ or "").strip())
    section.tables = [rates("Text of 1 KB, no delay", outcomes, BASE)]
    section.claims = [at_least(f"Built one by one: messages/s of {BASE}", 5, outcomes, OURS, BASE)]
    section.claims += [
        at_least(f"Built one by one: messages/s of {peer}", 1, outcomes, OURS, peer)
        for peer in ("Nodemailer", "Jakarta Mail", "Django")
    ]
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
