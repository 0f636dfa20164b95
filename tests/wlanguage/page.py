"""The Python in docs/migration/wlanguage.md, to be run against any server."""

from __future__ import annotations

import re
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "migration" / "wlanguage.md").read_text(encoding="utf-8")
SECTIONS = {
    section.splitlines()[0]: re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    for section in PAGE.split("\n## ")
}


def examples(title: str) -> list[str]:
    """The programs of a section."""
    return SECTIONS[title]


def run(program: str, *, plain: int, secured: int, user: str, password: str, mailbox: str) -> None:
    """Run a program with the servers' ports in place of the customary ones. What it prints, or tells with
    ``Error``, is an error."""
    program = re.sub(r'SMTPSession\(\s*"smtp\.example\.com", (?!587)', f'SMTPSession("localhost", {plain}, ', program)
    for page, here in {
        '"smtp.example.com", 587': f'"localhost", {secured}',
        "sSMTPServer) ==": f"sSMTPServer, {plain}) ==",
        '"smtp.example.com"': '"localhost"',
        '"ann@example.com"': repr(user),
        '"secret"': repr(password),
        '"bob@example.org"': repr(mailbox),
    }.items():
        program = program.replace(page, here)

    def complain(*words: object) -> None:
        raise AssertionError(" ".join(map(str, words)))

    namespace: dict[str, Any] = {"print": complain}
    with redirect_stderr(StringIO()) as said:
        exec(compile(program, "docs/migration/wlanguage.md", "exec"), namespace)
    assert not said.getvalue()
