"""How many small messages a second over 10 and over 100 connections?

Messages of 2 KB, rendered beforehand. Where there are no connections to speak of, a client has one thread (smtplib) or
task (aiosmtplib) for each. With 20 ms between them and the server, connections hide the round trips that a client waits
for. The time to connect counts.
"""

from __future__ import annotations

from harness import Bench, Contender, Outcomes
from report import Claim, Question, Section, Table, rates, show

ROUNDS = 3
PEERS = {
    "smtplib, threads": "smtplib",
    "aiosmtplib, tasks": "aiosmtplib",
    "smtp-source": "smtp_source",
    "Nodemailer, pool": "nodemailer",
}
OURS = {"wlsmtp, send_many": "wlsmtp", "wlsmtp async, send_many": "wlsmtp_async"}
SLOW, FAST = 2000, 10_000
MESSAGES_AT_A_DISTANCE = 20
"""For each connection of those that wait; ours get ten times as many."""


def contenders(bench: Bench, connections: int, slow: int, fast: int) -> list[Contender]:
    slow, fast = bench.count(slow, at_least=connections), bench.count(fast, at_least=connections)
    options = {"connections": connections}
    return [
        *(Contender(name, client, "connections", fast, options=options) for name, client in OURS.items()),
        *(Contender(name, client, "connections", slow, options=options) for name, client in PEERS.items()),
    ]


def ahead_of_all(outcomes: Outcomes, ours: str) -> Claim:
    """That nobody else sends more messages a second."""
    others = {name: outcome.rate for name, outcome in outcomes.items() if outcome.samples and name not in OURS}
    what = f"10 connections, no delay, {ours}: messages/s of the fastest other client's"
    if not others or not outcomes[ours].samples:
        return Claim(what, ">= 1 x", "no figures", None)
    fastest = max(others, key=others.__getitem__)
    value = outcomes[ours].rate / others[fastest]
    return Claim(what, ">= 1 x", f"{value:.2f} x ({fastest})", value >= 1)


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
            if connections == 10:
                section.claims = [ahead_of_all(near, name) for name in OURS]
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
