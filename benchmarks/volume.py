"""Does memory stay flat over 100,000 messages through send_many, and is every one acknowledged and there?

Messages of 2 KB, one connection, no delay; they are made as they are asked for. The client checks each receipt; the
sink ticks each message off by its number, so that one that is lost or comes twice is seen. Memory is looked at after
every twentieth of the messages; flat means that the highest is within 2 MB of the first.
"""

from __future__ import annotations

from harness import Bench, Contender, Outcome
from report import Claim, Question, Section, Table, at_most, show, troubles

COUNT = 100_000
FLAT = 2.0
WORLDS = {"wlsmtp": "wlsmtp", "wlsmtp async": "wlsmtp_async"}


def growth(outcome: Outcome) -> float:
    """MB, from the first look to the highest."""
    return max(max(sample.memory) - sample.memory[0] for sample in outcome.samples) / 1e6


def arrived(outcome: Outcome, count: int) -> Claim:
    what = f"{count:,} messages, {outcome.contender.name}: acknowledged, and at the sink once each"
    if not outcome.samples:
        return Claim(what, f"{count:,}", "no figures", None)
    distinct = min(sample.sink["distinct"] for sample in outcome.samples)
    return Claim(what, f"{count:,}", f"{distinct:,}", distinct == count)


def row(outcome: Outcome) -> tuple[str, ...]:
    if not outcome.samples:
        return (outcome.contender.name, *["-"] * 5)
    sample = outcome.samples[0]
    first, highest, last = sample.memory[0], max(sample.memory), sample.memory[-1]
    memory = [f"{octets / 1e6:.1f}" for octets in (first, highest, last)]
    return (outcome.contender.name, f"{outcome.rate:,.0f}", *memory, f"{sample.sink['distinct']:,}")


def ask(bench: Bench) -> Section:
    count = bench.count(COUNT)
    with bench.sink() as sink:
        contenders = [Contender(name, client, "volume", count) for name, client in WORLDS.items()]
        outcomes = bench.compete("volume", contenders, sink, rounds=1)
    section = Section("Volume", (__doc__ or "").strip())
    headers = ("client", "messages/s", "MB at 5 %", "MB at most", "MB at the end", "at the sink")
    rows = [row(outcome) for outcome in outcomes.values()]
    section.tables = [Table(f"{count:,} messages", headers, rows, troubles(outcomes))]
    for outcome in outcomes.values():
        what = f"{count:,} messages, {outcome.contender.name}: memory from the first look to the highest"
        section.claims += [arrived(outcome, count), at_most(what, FLAT, outcome, growth, "MB")]
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
