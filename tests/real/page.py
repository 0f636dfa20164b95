"""What was observed at the real servers as Markdown, for ``docs/servers.md``; to write it there:
``python -m tests.real.page``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .probes import Observed, observe
from .registry import REGISTERED

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
BEGIN, END = "<!-- the tables begin -->\n", "<!-- the tables end -->\n"

_OFFERS = """\
| server | offers |
|---|---|
"""
_DOES = """\
| server | MAIL, RCPT, DATA in one write | RSET, MAIL, RCPT behind content | MAIL, RCPT behind content | \
chunk of a refused BDAT | after refused content | NOOP | RSET | messages a connection | refused recipients a connection |
|---|---|---|---|---|---|---|---|---|---|
"""


def rows_of(name: str, observed: Observed) -> tuple[str, str]:
    """The two rows of one endpoint: what it offers, and what it does."""
    does = (
        observed.group,
        observed.behind_content,
        observed.behind_content_without_reset,
        observed.refused_chunk,
        observed.after_refused_content,
        observed.noop,
        observed.rset,
        observed.messages,
        observed.refusals,
    )
    return f"| {name} | {observed.offers} |\n", f"| {name} | {' | '.join(does)} |\n"


def names_on(page: str) -> list[str]:
    """The servers on the page: each has a row in each of the tables."""
    tables = page.partition(BEGIN)[2].partition(END)[0]
    rows = (line.split("|")[1].strip() for line in tables.splitlines() if line.startswith("| "))
    return [name for name in rows if name != "server"]


def replaced(page: str, rows: Iterable[tuple[str, str]]) -> str:
    """``page`` with the tables of now."""
    offers, does = zip(*rows, strict=True)
    tables = f"{BEGIN}\n{_OFFERS}{''.join(offers)}\n{_DOES}{''.join(does)}\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: tables, page, flags=re.DOTALL)


def _observe_all() -> Iterable[tuple[str, str]]:
    for registered in REGISTERED:
        if (reason := registered.what_is_missing()) is not None:
            raise SystemExit(reason)
        server = registered.make()
        try:
            server.start()
            yield from (rows_of(endpoint.name, observe(endpoint)) for endpoint in server.endpoints)
        finally:
            server.stop()


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), list(_observe_all())), encoding="utf-8")
