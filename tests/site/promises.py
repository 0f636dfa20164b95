"""The six promises of the README with the figures that were measured; to write them there:
``python -m tests.site.promises``."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BEGIN, END = "<!-- promises begin -->\n", "<!-- promises end -->"
CLIENTS = ("wlsmtp", "smtplib", "aiosmtplib", "Nodemailer")
NOT_MEASURED = "\u2013"


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _rows(text: str) -> list[list[str]]:
    return [[cell.strip(" *`") for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def faults() -> list[str]:
    """Faults that each client gets right, of those that were tried with all."""
    rows = _rows(_text("docs/reference/faults.md").partition("## The same faults with")[2])
    [right] = (row for row in rows if row[0].startswith("right, of"))
    columns = dict(zip(rows[0], right, strict=True))
    return [columns.get(client, NOT_MEASURED) for client in CLIENTS]


def tried_faults() -> str:
    """Of how many faults."""
    found = re.search(r"right, of (\d+)", _text("docs/reference/faults.md"))
    assert found is not None
    return found[1]


def results(section: str, table: str, column: str, names: dict[str, str]) -> list[str]:
    """A column of the results of the benchmarks."""
    body = _text("benchmarks/RESULTS.md").partition(f"\n## {section}\n")[2].partition(f"**{table}**")[2]
    head, _, *rows = _rows(body.lstrip().partition("\n\n")[0])
    found = {row[0]: row[head.index(column)] for row in rows}
    return [found.get(names.get(client, client), NOT_MEASURED) for client in CLIENTS]


def features() -> tuple[list[str], int]:
    """Features that each library has, and how many were looked for."""
    head: list[str] = []
    counts, looked_for = dict.fromkeys(CLIENTS, 0), 0
    for row in _rows(_text("docs/reference/features.md")):
        if row[0] == "Feature":
            head = [name.lower() for name in row]
        elif head and not row[0].startswith("-"):
            looked_for += 1
            for client in CLIENTS:
                counts[client] += row[head.index(client.lower())] == "yes"
    return [str(count) for count in counts.values()], looked_for


def servers() -> list[str]:
    """Configurations of real servers that the tests run against."""
    rows = _rows(_text("docs/reference/servers.md").partition("<!-- the tables begin -->")[2])
    return [
        str(len({row[0] for row in rows} - {"server"} - {row[0] for row in rows if row[0][:3] == "---"})),
        *[NOT_MEASURED] * 3,
    ]


def as_markdown() -> str:
    """The table."""
    near = results(
        "One connection, messages rendered beforehand", "2 KB, no delay", "messages/s", {"wlsmtp": "wlsmtp, send_many"}
    )
    far = results(
        "At a distance: 20 and 100 ms",
        "20 ms, PIPELINING and CHUNKING",
        "messages/s",
        {"wlsmtp": "wlsmtp, send_many"},
    )
    with_email = {name: f"{name} with EmailMessage" for name in ("smtplib", "aiosmtplib")}
    memory = results("One large attachment", "100 MB, no delay", "peak memory growth, MB", with_email)
    had, looked_for = features()
    rows = [
        ("**You know what happened to your mail**", f"faults handled right, of {tried_faults()}", faults()),
        ("**It works with real servers**", "configurations of real servers in the tests", servers()),
        ("**It is fast**", "messages a second over one connection", near),
        ("**It stays fast far away**", "the same, to a server 20 ms away", far),
        ("**It needs little memory**", "MB for an attachment of 100 MB", memory),
        ("**It is complete**", f"features, of {looked_for}", had),
    ]
    lines = [f"| promise | measured | {' | '.join(CLIENTS)} |", f"|---|---|{'---:|' * len(CLIENTS)}"]
    lines += [f"| {promise} | {what} | {' | '.join(figures)} |" for promise, what, figures in rows]
    return "\n".join(lines) + "\n"


def replaced(page: str) -> str:
    """``page`` with the table of now."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{as_markdown()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    README.write_text(replaced(README.read_text(encoding="utf-8")), encoding="utf-8")
