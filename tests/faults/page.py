"""The fault table as Markdown, for ``docs/reference/faults.md``; to write it there: ``python -m tests.faults.page``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests import marked
from tests.faults.content import CONTENT_FAULTS
from tests.faults.envelope import ENVELOPE
from tests.faults.keeping import KEEPING
from tests.faults.login import LOGIN
from tests.faults.opening import OPENING
from tests.faults.securing import SECURING
from tests.faults.table import EVERY_MODE, UNKNOWN, Again, Fault

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"
BEGIN, END = "<!-- the table begins -->\n", "<!-- the table ends -->\n"

SUBJECTS: dict[str, Sequence[Fault]] = {
    "Connection, greeting, EHLO": OPENING,
    "STARTTLS, handshake, certificates": SECURING,
    "AUTH": LOGIN,
    "MAIL, RCPT, DATA": ENVELOPE,
    "Content, its end, QUIT": CONTENT_FAULTS,
    "Kept connections, groups, odd chunks": KEEPING,
}


def as_markdown() -> str:
    """All rows, a table a subject."""
    return "\n".join(line for title, faults in SUBJECTS.items() for line in _section(title, faults))


def _section(title: str, faults: Iterable[Fault]) -> Iterable[str]:
    yield f"### {title}\n"
    yield "| the server … | with | `send` gives | bob, cleo | tried again |"
    yield "|---|---|---|---|---|"
    yield from (f"| {' | '.join(_cells(fault))} |" for fault in faults)
    yield ""


def _cells(fault: Fault) -> tuple[str, ...]:
    return fault.what, _modes(fault), _result(fault), _recipients(fault), _again(fault)


def _modes(fault: Fault) -> str:
    short = {"one command at a time": "single", "PIPELINING": "groups", "PIPELINING and CHUNKING": "chunks"}
    modes = "any" if set(fault.modes) == set(EVERY_MODE) else ", ".join(short[mode] for mode in fault.modes)
    return modes if len(fault.modes) > 1 or fault.modes[0] != EVERY_MODE[1] else "any"


def _result(fault: Fault) -> str:
    if not fault.errors:
        return "a receipt"
    names = " or ".join(f"`{error.__name__}`" for error in fault.errors)
    code = f", {fault.code}" if fault.code is not None else ""
    return f"{names} at {fault.stage}{code}" + (" ¹" if fault.doubtful else "")


def _recipients(fault: Fault) -> str:
    return fault.bob if fault.bob == fault.cleo else f"{fault.bob}, {fault.cleo}"


def _again(fault: Fault) -> str:
    if fault.again is Again.NO and UNKNOWN in (fault.bob, fault.cleo):
        return "no: it might arrive twice"
    return fault.again


def replaced(page: str) -> str:
    """``page`` with the table of now."""
    return marked.replaced(page, as_markdown(), BEGIN, END)


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
