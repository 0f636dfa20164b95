"""What comes out: sections with tables and claims, as text on the terminal and as RESULTS.md."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from harness import Bench, Outcome, Outcomes, prepare


@dataclass(frozen=True)
class Table:
    """Rows of words; the first column is set to the left, the others to the right."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        columns = list(zip(self.headers, *self.rows, strict=True))
        widths = [max(len(word) for word in column) for column in columns]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [self._line(row, widths) for row in (self.headers, rule, *self.rows)]
        notes = ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([f"**{self.title}**", "", *lines, *notes])

    @staticmethod
    def _line(words: Sequence[str], widths: Sequence[int]) -> str:
        first, *others = zip(words, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(word.rjust(width) for word, width in others)]
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Claim:
    """Something that has to be shown, and whether it was."""

    what: str
    wanted: str
    found: str
    is_met: bool | None
    """None: there was nothing to judge by."""

    @property
    def verdict(self) -> str:
        return {True: "met", False: "**not met**", None: "not shown"}[self.is_met]


@dataclass
class Section:
    """The answer to one question."""

    title: str
    about: str
    tables: list[Table] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    after: str = ""
    """What follows the tables: a picture, or a program's own words."""

    def __str__(self) -> str:
        parts = [f"## {self.title}", self.about, *map(str, self.tables)]
        if self.after:
            parts.append(self.after)
        if self.claims:
            parts.append(str(table_of(self.claims, "To be shown")))
        return "\n\n".join(parts) + "\n"


Question = Callable[[Bench], Section]


def table_of(claims: Iterable[Claim], title: str) -> Table:
    rows = [(claim.what, claim.wanted, claim.found, claim.verdict) for claim in claims]
    return Table(title, ("what", "wanted", "found", "verdict"), rows)


def rates(title: str, outcomes: Outcomes, base: str) -> Table:
    """Messages a second and CPU time of all, and how many times the base that is."""
    headers = ("client", "messages/s", f"x {base}", "from - to", "CPU us/message", "sink's CPU us/message")
    rows = [_rates_of(outcome, outcomes[base]) for outcome in outcomes.values()]
    return Table(title, headers, rows, troubles(outcomes))


def _rates_of(outcome: Outcome, base: Outcome) -> tuple[str, ...]:
    name = outcome.contender.name
    if not outcome.samples:
        return (name, "-", "-", "-", "-", "-")
    ratio = f"{outcome.rate / base.rate:.2f}" if base.samples else "-"
    spread = f"{min(outcome.rates):,.0f} - {max(outcome.rates):,.0f}"
    sink = outcome.sink_cpu
    return (name, f"{outcome.rate:,.0f}", ratio, spread, f"{outcome.cpu:,.1f}", "-" if sink is None else f"{sink:.1f}")


def troubles(outcomes: Outcomes) -> list[str]:
    """Who has no figures, and why."""
    return [f"{name}: {_plain(outcome.trouble)}" for name, outcome in outcomes.items() if outcome.trouble]


def _plain(text: str, length: int = 300) -> str:
    words = " ".join(text.split())
    return words if len(words) <= length else words[: length - 1] + "…"


def at_least(what: str, wanted: float, outcomes: Outcomes, one: str, other: str) -> Claim:
    """That one client's messages a second are so many times another's."""
    return ratio(what, wanted, outcomes, one, other, lambda first, second: first.rate / second.rate)


def ratio(
    what: str, wanted: float, outcomes: Outcomes, one: str, other: str, of: Callable[[Outcome, Outcome], float]
) -> Claim:
    first, second = outcomes[one], outcomes[other]
    if not first.samples or not second.samples:
        return Claim(what, f">= {wanted:g} x", "no figures", None)
    value = of(first, second)
    return Claim(what, f">= {wanted:g} x", f"{value:.2f} x", value >= wanted)


def cpu_ratio(what: str, wanted: float, outcomes: Outcomes, one: str, ours: str) -> Claim:
    """That a client uses so many times the CPU time a message that ours does: this holds on other machines too."""
    return ratio(f"{what} is at least so many times ours", wanted, outcomes, one, ours, _cpu_ratio)


def _cpu_ratio(one: Outcome, other: Outcome) -> float:
    return one.cpu / other.cpu


def at_most(what: str, wanted: float, outcome: Outcome, of: Callable[[Outcome], float], unit: str = "") -> Claim:
    """That a figure of a client does not exceed something."""
    words = f"<= {wanted:g} {unit}".strip()
    if not outcome.samples:
        return Claim(what, words, "no figures", None)
    value = of(outcome)
    return Claim(what, words, f"{value:,.4g} {unit}".strip(), value <= wanted)


def about_the_machine(bench: Bench, seconds: float) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in bench.peers.versions.items())
    load = "{:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg())
    lines = [
        f"- {os.cpu_count()} x {processor()}, {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}; {versions}",
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, after {seconds / 60:.0f} minutes; load average at the end "
        f"(1, 5, 15 minutes): {load}",
    ]
    lines += [f"- not available: {client} ({why})" for client, why in bench.peers.missing.items()]
    return "\n".join(lines)


def processor() -> str:
    """The name of the processor."""
    lines = _lines("/proc/cpuinfo")
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def write_results(path: Path, sections: Sequence[Section], bench: Bench, seconds: float) -> None:
    """All sections, after a summary of what was to be shown."""
    claims = [claim for section in sections for claim in section.claims]
    warning = "*A run of `--quick`: a sign of life, not a measurement.*" if bench.quick else ""
    head = [
        "# Results",
        "Written by `make bench`; [README.md](README.md) says how to read it. Ratios are of medians within this run. "
        "Figures of other machines and other days do not compare with these.",
        warning,
        about_the_machine(bench, seconds),
        str(table_of(claims, "What is to be shown")),
    ]
    path.write_text("\n\n".join([*(part for part in head if part), *map(str, sections)]))


def show(question: Question) -> None:
    """A question asked by itself: its answer on the terminal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a sign of life, not a measurement")
    sys.stdout.write(str(question(prepare(parser.parse_args().quick))))
