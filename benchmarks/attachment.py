"""How many MB a second of a message with one attachment of 100 MB, and how much memory does it take?

The attachment is a file. MB are those of the file, before it grows by a third in base64. Memory is the most that the
process held above what it held before the message was made, with the library imported and the connection open (VmHWM
over VmRSS). smtplib is there twice: with the building of its EmailMessage counted, as for all others, and with a
message that is finished in memory, where only the sending counts.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness import Bench, Contender, Outcome, Outcomes
from peers import WORK
from report import Question, Section, Table, at_most, ratio, show, troubles

SIZE, SMALL_SIZE = 100_000_000, 10_000_000
OTHER_SIZES = (1_000_000, 10_000_000)
"""Whether memory grows with the attachment."""
BLOCK = 1_000_000
LIMIT = 8.0
ROUNDS, SLOW_ROUNDS = 3, 2


def make_file(size: int) -> Path:
    """Random octets, which nothing can make shorter; made once."""
    path = WORK / f"{size}.bin"
    if not path.exists() or path.stat().st_size != size:
        with path.open("wb") as file:
            for _ in range(size // BLOCK):
                file.write(os.urandom(BLOCK))
    return path


def contenders(path: Path) -> list[Contender]:
    file = {"file": path}
    return [
        Contender("wlsmtp", "wlsmtp", "attachment", 1, options=file),
        Contender("wlsmtp async", "wlsmtp_async", "attachment", 1, options=file),
        Contender("smtplib with EmailMessage", "smtplib", "attachment", 1, options=file, at_most=SLOW_ROUNDS),
        Contender("smtplib, finished message", "smtplib", "rendered-attachment", 1, options=file),
        Contender("aiosmtplib with EmailMessage", "aiosmtplib", "attachment", 1, options=file, at_most=SLOW_ROUNDS),
        Contender("Nodemailer", "nodemailer", "attachment", 1, options=file),
    ]


def compete(bench: Bench, size: int, rounds: int) -> Outcomes:
    with bench.sink() as sink:
        return bench.compete("attachment", contenders(make_file(size)), sink, bench.rounds(rounds))


def table(size: int, outcomes: Outcomes) -> Table:
    def row(outcome: Outcome) -> tuple[str, ...]:
        if not outcome.samples:
            return (outcome.contender.name, "-", "-", "-")
        speed, growth = size / outcome.seconds / 1e6, outcome.peak_growth / 1e6
        return (outcome.contender.name, f"{speed:,.0f}", f"{growth:,.1f}", f"{outcome.cpu / 1e6:.2f}")

    headers = ("client", "MB/s", "peak memory growth, MB", "CPU s")
    rows = [row(outcome) for outcome in outcomes.values()]
    return Table(f"{size / 1e6:.0f} MB, no delay", headers, rows, troubles(outcomes))


def ask(bench: Bench) -> Section:
    size = SMALL_SIZE if bench.quick else SIZE
    section = Section("One large attachment", (__doc__ or "").strip())
    outcomes = compete(bench, size, ROUNDS)
    section.tables = [table(size, outcomes)]
    if not bench.quick:
        section.tables += [table(other, compete(bench, other, SLOW_ROUNDS)) for other in OTHER_SIZES]
    for world in ("wlsmtp", "wlsmtp async"):
        what = f"{size / 1e6:.0f} MB, {world}"
        section.claims += [
            at_most(
                f"{what}: peak memory growth", LIMIT, outcomes[world], lambda outcome: outcome.peak_growth / 1e6, "MB"
            ),
            ratio(f"{what}: MB/s of smtplib's", 1, outcomes, world, "smtplib with EmailMessage", faster),
            ratio(
                f"{what}: MB/s of smtplib's with a finished message",
                1,
                outcomes,
                world,
                "smtplib, finished message",
                faster,
            ),
        ]
    return section


def faster(one: Outcome, other: Outcome) -> float:
    return other.seconds / one.seconds


question: Question = ask

if __name__ == "__main__":
    show(question)
