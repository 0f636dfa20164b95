"""The table of hints as Markdown. ``python -m tests.smtp.page`` writes it into ``docs/reference/refusals.md``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests import marked
from wlsmtp.smtp.hints.login import LOGIN_ROWS
from wlsmtp.smtp.hints.message import MESSAGE_ROWS
from wlsmtp.smtp.hints.row import ANY, CONTENT, ENVELOPE, LOGIN, OPENING, Row
from wlsmtp.smtp.hints.session import SESSION_ROWS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "refusals.md"
BEGIN, END = "<!-- the table begins -->\n", "<!-- the table ends -->\n"

SUBJECTS = {
    "The connection, this machine, the account": SESSION_ROWS,
    "The login": LOGIN_ROWS,
    "The sender, the amount of mail, the content": MESSAGE_ROWS,
}


def as_markdown() -> str:
    """All rows that have a hint, a table a subject."""
    return "\n".join(line for title, rows in SUBJECTS.items() for line in _section(title, rows))


def _section(title: str, rows: Iterable[Row]) -> Iterable[str]:
    yield f"### {title}\n"
    yield "| situation | at | a server says, for one | what to do |"
    yield "|---|---|---|---|"
    yield from (f"| {row.situation} | {_stages(row)} | `{row.like}` | {row.hint} |" for row in rows if row.hint)
    yield ""


def _stages(row: Row) -> str:
    groups = {
        ANY: "any stage", OPENING: "greeting, EHLO", LOGIN: "AUTH", ENVELOPE: "MAIL, RCPT, content", CONTENT: "content",
    }  # fmt: skip
    if row.stages in groups:
        return groups[row.stages]
    left, words = list(row.stages), []
    for stages in (OPENING, ENVELOPE, CONTENT):
        if set(stages) <= set(left):
            words.append(groups[stages])
            left = [stage for stage in left if stage not in stages]
    return ", ".join([*(stage.value for stage in left), *words])


def replaced(page: str) -> str:
    """``page`` with the table of now."""
    return marked.replaced(page, as_markdown(), BEGIN, END)


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
