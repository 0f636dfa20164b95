"""How many round trips does a message to 1,000 recipients take?

One message of 2 KB over a new connection at 20 ms. The round trips are counted by the proxy, from the greeting to the
end of QUIT: the longest chain of flights each of which was sent after the one before had been answered. The TCP
handshake is one more.
"""

from __future__ import annotations

from harness import WITHOUT_CHUNKING, Bench, Contender, Outcome, Outcomes
from report import Question, Section, Table, at_most, show, troubles

RECIPIENTS = 1000
LIMIT = 5
ROUNDS = 3
PIPELINING = {"wlsmtp": "wlsmtp", "wlsmtp async": "wlsmtp_async", "libESMTP": "libesmtp"}
WAITING = {"smtplib": "smtplib", "aiosmtplib": "aiosmtplib", "Nodemailer": "nodemailer"}


def contenders(many: int, waiting: dict[str, str]) -> list[Contender]:
    options = {"recipients": many}
    return [
        *(Contender(name, client, "recipients", 1, options=options) for name, client in PIPELINING.items()),
        *(Contender(name, client, "recipients", 1, options=options, at_most=1) for name, client in waiting.items()),
    ]


def table_of(title: str, outcomes: Outcomes) -> Table:
    rows = [_row(outcome) for outcome in outcomes.values()]
    return Table(title, ("client", "round trips", "seconds", "CPU ms"), rows, troubles(outcomes))


def _row(outcome: Outcome) -> tuple[str, ...]:
    if not outcome.samples:
        return (outcome.contender.name, "-", "-", "-")
    return (outcome.contender.name, f"{outcome.round_trips:,}", f"{outcome.seconds:.3f}", f"{outcome.cpu / 1e3:.1f}")


def ask(bench: Bench) -> Section:
    section = Section("One message, 1,000 recipients", (__doc__ or "").strip())
    many = 100 if bench.quick else RECIPIENTS
    with bench.sink() as sink, bench.delay(sink, 20) as line:
        entries = contenders(many, WAITING)
        chunking = bench.compete("recipients, CHUNKING", entries, sink, bench.rounds(ROUNDS), through=line)
    with bench.sink(WITHOUT_CHUNKING) as sink, bench.delay(sink, 20) as line:
        entries = contenders(many, {})
        pipelining = bench.compete("recipients, PIPELINING", entries, sink, bench.rounds(ROUNDS), through=line)
    section.tables = [
        table_of(f"{many:,} recipients at 20 ms, PIPELINING and CHUNKING", chunking),
        table_of(f"{many:,} recipients at 20 ms, PIPELINING without CHUNKING", pipelining),
    ]
    for outcomes, extensions in ((chunking, "CHUNKING"), (pipelining, "PIPELINING alone")):
        section.claims += [
            at_most(f"{many:,} recipients, {extensions}, {world}: round trips", LIMIT, outcomes[world], _round_trips)
            for world in ("wlsmtp", "wlsmtp async")
        ]
    return section


def _round_trips(outcome: Outcome) -> float:
    return outcome.round_trips


question: Question = ask

if __name__ == "__main__":
    show(question)
