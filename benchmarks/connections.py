"""How many small messages a second over 10 and over 100 connections?

Messages of 2 KB, rendered beforehand. Where there are no connections to speak of, a client has one thread (smtplib) or
task (aiosmtplib) for each. With 20 ms between them and the server, connections hide the round trips that a client waits
for. The time to connect counts.
"""

from __future__ import annotations

from harness import Bench, Contender
from report import Question, Section, Table, rates, show

ROUNDS = 3
PEERS = {
    "smtplib, threads": "smtplib",
    "aiosmtplib, tasks": "aiosmtplib",
    "smtp-source": "smtp_source",
    "Nodemailer, pool": "nodemailer",
}
SLOW, FAST = 2000, 10_000
MESSAGES_AT_A_DISTANCE = 20
"""For each connection of those that wait; ours get ten times as many."""


def contenders(bench: Bench, connections: int, slow: int, fast: int) -> list[Contender]:
    slow, fast = bench.count(slow, at_least=connections), bench.count(fast, at_least=connections)
    options = {"connections": connections}
    ours = {"wlsmtp, send_many": "wlsmtp", "wlsmtp async, send_many": "wlsmtp_async"}
    return [
        *(Contender(name, client, "connections", fast, options=options) for name, client in ours.items()),
        *(Contender(name, client, "connections", slow, options=options) for name, client in PEERS.items()),
    ]


def ask(bench: Bench) -> Section:
    section = Section("10 and 100 connections", (__doc__ or "").strip())
    with bench.sink() as sink, bench.delay(sink, 20) as line:
        for connections in (10, 100):
            title = f"{connections} connections, no delay"
            near = bench.compete(title, contenders(bench, connections, SLOW, FAST), sink, bench.rounds(ROUNDS))
            title_far = f"{connections} connections, 20 ms"
            slow = MESSAGES_AT_A_DISTANCE * connections
            far_contenders = contenders(bench, connections, slow, 10 * slow)
            far = bench.compete(title_far, far_contenders, sink, bench.rounds(ROUNDS), through=line)
            tables: list[Table] = [rates(title, near, "smtplib, threads"), rates(title_far, far, "smtplib, threads")]
            section.tables += tables
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
