"""What was observed at the real servers as Markdown, for ``docs/reference/servers.md``; to write it there:
``python -m tests.real.page``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests import marked

from .probes import Observed, observe
from .registry import REGISTERED

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "servers.md"
BEGIN, END = "<!-- the tables begin -->\n", "<!-- the tables end -->\n"

_TITLES = {
    "group": "MAIL, RCPT, DATA in one write",
    "behind_content": "RSET, MAIL, RCPT behind content",
    "behind_content_without_reset": "MAIL, RCPT behind content",
    "refused_chunk": "chunk of a refused BDAT",
    "after_refused_content": "after refused content",
    "noop": "NOOP",
    "rset": "RSET",
    "messages": "messages a connection",
    "refusals": "refused recipients a connection",
}
"""The columns of the second table: what they show of `Observed`, and their heads."""


def rows_of(name: str, observed: Observed) -> tuple[str, str]:
    """The two rows of one endpoint: what it offers, and what it does."""
    return _row(name, observed.offers), _row(name, *(getattr(observed, item) for item in _TITLES))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _head(*cells: str) -> str:
    return f"{_row(*cells)}|{'---|' * len(cells)}\n"


def names_on(page: str) -> list[str]:
    """The servers on the page: each has a row in each of the tables."""
    tables = page.partition(BEGIN)[2].partition(END)[0]
    rows = (line.split("|")[1].strip() for line in tables.splitlines() if line.startswith("| "))
    return [name for name in rows if name != "server"]


def replaced(page: str, rows: Iterable[tuple[str, str]]) -> str:
    """``page`` with the tables of now."""
    offers, does = zip(*rows, strict=True)
    first = _head("server", "offers") + "".join(offers)
    second = _head("server", *_TITLES.values()) + "".join(does)
    return marked.replaced(page, f"{first}\n{second}", BEGIN, END)


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
