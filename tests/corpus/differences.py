"""In what a message may differ from what it is compared with: rows of a table, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.corpus.sending import Sent


@dataclass(frozen=True)
class Difference:
    """Where it shows, and why it is right so, or whose fault it is. Letters, idioms, server and names are patterns."""

    reason: str
    letters: str
    names: str = ""
    """Of what is compared."""
    seen_by: tuple[str, ...] = ("",)
    """The readers, each of which must see it somewhere."""
    idioms: str = ".*"
    server: str = ".*"
    is_everywhere: bool = True
    """Whether every version of Python has it; its own faults come and go, also with patch releases."""

    def covers(self, sent: Sent, name: str) -> bool:
        """Whether it is what was found there."""
        found = (sent.case.letter.name, name, sent.case.idiom, sent.server)
        wanted = (self.letters, self.names, self.idioms, self.server)
        return all(re.fullmatch(pattern, text) for pattern, text in zip(wanted, found, strict=True))


class Ledger:
    """What was found that is in no row of a table, and the rows for which nothing was found."""

    def __init__(self, table: Iterable[Difference], reader: str = "") -> None:
        self._table = [row for row in table if reader in row.seen_by]
        self._unused = {row: None for row in self._table if row.is_everywhere}
        self._unknown: list[str] = []

    def add(self, sent: Sent, name: str, found: object, compared_with: object) -> None:
        """Something differs."""
        rows = [row for row in self._table if row.covers(sent, name)]
        for row in rows:
            self._unused.pop(row, None)
        if not rows:
            shown = "".join(f"\n    {value!r:.400}" for value in (found, compared_with))
            self._unknown.append(f"{sent.name}, {name}:{shown}")

    def check(self) -> None:
        """Fail if the table is not what was found."""
        unused = [f"nothing differs any more: {row.reason}" for row in self._unused]
        assert not self._unknown and not unused, "\n".join([*self._unknown, *unused])
