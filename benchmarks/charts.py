"""Charts from RESULTS.md, as SVG: ``python benchmarks/charts.py DIRECTORY``.

They are drawn from the tables that `make bench` has written, so a chart never differs from the figures beside it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from plot import COLOURS, FAINT, GREY, INK, Curve, Plot

RESULTS = Path(__file__).parent / "RESULTS.md"
CLIENTS = {
    "wlsmtp, send_many": "wlsmtp, send_many", "wlsmtp async, send_many": "wlsmtp async, send_many",
    "wlsmtp, send": "wlsmtp, send", "smtplib": "smtplib", "aiosmtplib": "aiosmtplib", "Nodemailer": "Nodemailer",
}  # fmt: skip
GROWTH = "peak memory growth, MB"
WIDTH, BAR, LABEL = 760, 18, 210


def tables(text: str, section: str) -> dict[str, list[dict[str, str]]]:
    """The tables of a section by their titles, each row a dict by the heads of its columns."""
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = {}
    for title, rows in re.findall(r"\*\*([^*\n]+)\*\*\n\n((?:\|.*\n)+)", body):
        head, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in rows.splitlines())
        found[title] = [dict(zip(head, line, strict=True)) for line in lines]
    return found


def number(cell: str) -> float:
    """A figure of the results."""
    return float(cell.replace(",", ""))


@dataclass(frozen=True)
class Bars:
    """Groups of bars; their scale is logarithmic, so that small ones can be compared too."""

    title: str
    groups: Sequence[tuple[str, Sequence[tuple[str, float]]]]

    def svg(self) -> str:
        """The picture."""
        low = min(value for _, bars in self.groups for _, value in bars)
        high = max(value for _, bars in self.groups for _, value in bars)
        floor, span = log10(low) - 0.3, log10(high) - log10(low) + 0.3
        y, parts = 52, []
        for name, bars in self.groups:
            if name:
                parts.append(f'<text x="20" y="{y + 4}" font-weight="bold">{escape(name)}</text>')
                y += 14
            for label, value in bars:
                width = max(2.0, (log10(value) - floor) / span * (WIDTH - LABEL - 110))
                colour = COLOURS[0] if label.startswith("wlsmtp") else COLOURS[1]
                figure = f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
                parts.append(f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>')
                parts.append(f'<rect x="{LABEL}" y="{y + 2}" width="{width:.1f}" height="{BAR - 4}" fill="{colour}"/>')
                parts.append(f'<text x="{LABEL + width + 6:.1f}" y="{y + 13}">{figure}</text>')
                y += BAR
            y += 14
        note = f'<text x="20" y="{y + 6}" fill="{GREY}" font-size="11">The scale is logarithmic.</text>'
        line = f'<line x1="{LABEL}" y1="44" x2="{LABEL}" y2="{y - 10}" stroke="{FAINT}"/>'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 16}" width="{WIDTH}" '
        title = f'<text x="20" y="26" font-size="16" font-weight="bold">{escape(self.title)}</text>'
        style = f'font-family="sans-serif" font-size="12" fill="{INK}">'
        paper = f'<rect width="{WIDTH}" height="{y + 16}" fill="#ffffff"/>'
        return "\n".join([head + style, paper, title, line, *parts, note, "</svg>"]) + "\n"


def bars_of(rows: list[dict[str, str]], column: str) -> list[tuple[str, float]]:
    """The clients that a reader compares, in one order."""
    values = {row["client"]: row[column] for row in rows}
    return [(label, number(values[name])) for name, label in CLIENTS.items() if name in values]


def distance(text: str) -> str:
    """Messages a second over one connection, near and far."""
    near = tables(text, "One connection, messages rendered beforehand")["2 KB, no delay"]
    far = tables(text, "At a distance: 20 and 100 ms")
    groups = [("no distance", near)]
    groups += [(f"{ms} ms away", far[f"{ms} ms, PIPELINING and CHUNKING"]) for ms in (20, 100)]
    drawn = [(name, bars_of(rows, "messages/s")) for name, rows in groups]
    return Bars("Messages a second over one connection (2 KB each)", drawn).svg()


def cpu(text: str) -> str:
    """CPU time of the client for one message."""
    rows = tables(text, "One connection, messages rendered beforehand")["2 KB, no delay"]
    return Bars("CPU time of the client for one message, microseconds", [("", bars_of(rows, "CPU us/message"))]).svg()


def memory(text: str) -> str:
    """Peak memory by the size of the attachment."""
    found = tables(text, "One large attachment")
    groups = [
        (
            title.removesuffix(", no delay"),
            [(row["client"], max(0.1, number(row[GROWTH]))) for row in rows if row[GROWTH] != "-"],
        )
        for title, rows in sorted(found.items(), key=lambda one: len(one[0]))
        if rows and GROWTH in rows[0]
    ]
    return Bars("Peak memory for one message with an attachment, MB", groups).svg()


def window(text: str) -> str:
    """Speed against doubt: the window is also the most messages that one lost connection leaves in doubt."""
    rows = tables(text, "At a distance: 20 and 100 ms")["The window, at 20 ms with CHUNKING"]
    points = [(number(row["messages in flight"]), number(row["wlsmtp: messages/s"])) for row in rows]
    [smtplib] = (
        number(row["messages/s"])
        for row in tables(text, "At a distance: 20 and 100 ms")["20 ms, PIPELINING and CHUNKING"]
        if row["client"] == "smtplib"
    )
    label = "messages in flight = most messages in doubt when the connection is lost"
    return Plot(
        "The window at 20 ms", label, "messages a second", [Curve("wlsmtp", points)], {"smtplib": smtplib}
    ).svg()


CHARTS = {"distance": distance, "cpu": cpu, "memory": memory, "window": window}


def draw(directory: Path, results: Path = RESULTS) -> None:
    """Write all charts."""
    directory.mkdir(parents=True, exist_ok=True)
    text = results.read_text(encoding="utf-8")
    for name, chart in CHARTS.items():
        (directory / f"{name}.svg").write_text(chart(text), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
