"""The latest results of each kind of machine, in ``machines/``: messages a second over loopback differ between them
much more than ratios of CPU time and round trips do."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from charts import tables
from report import Table, processor

MACHINES = Path(__file__).parent / "machines"
SECTION, NEAR = "One connection, messages rendered beforehand", "2 KB, no delay"
CLIENTS = ("wlsmtp, send_many", "wlsmtp async, send_many", "smtplib", "libESMTP")


def keep(results: Path) -> None:
    """Store complete results as those of this kind of machine, and add the table of all kinds to them."""
    name = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(\w+\)", "", processor().lower()).replace("processor", "")).strip("-")
    MACHINES.mkdir(exist_ok=True)
    (MACHINES / f"{name}.md").write_text(results.read_text(encoding="utf-8"), encoding="utf-8")
    with results.open("a", encoding="utf-8") as page:
        page.write(f"\n## On other machines\n\n{by_machine()}\n")


def by_machine() -> Table:
    """The figures of one connection on each kind of machine, from its latest run."""
    headers = ("machine", "run of", *(f"{client}: messages/s (CPU us)" for client in CLIENTS))
    rows = [_row(path.read_text(encoding="utf-8")) for path in sorted(MACHINES.glob("*.md"))]
    return Table("2 KB on one connection, no delay, by the latest run on each kind of machine", headers, rows)


def _row(text: str) -> tuple[str, ...]:
    about = (line.removeprefix("- ") for line in text.splitlines() if line.startswith("- "))
    machine, _, run_of = islice(about, 3)
    figures = {row["client"]: row for row in tables(text, SECTION)[NEAR]}
    cells = (f"{figures[client]['messages/s']} ({figures[client]['CPU us/message']})" for client in CLIENTS)
    return machine.partition(", Linux")[0], run_of.split()[0], *cells
