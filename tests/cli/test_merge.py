"""``wlsmtp merge``: it looks before it sends, and with an outbox sends each message once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import run
from wlsmtp.testing import SMTPServer

TEMPLATE = """\
{% block subject %}News for {{ name }}{% endblock %}
{% block html %}<style>p { margin: 0 }</style><p>Dear {{ name }}<img src="logo.png">{% endblock %}
"""
ROWS = "to,name,bcc,stop\nbob@example.org,Bob,eve@x.org,https://x.org/1\ncy@example.net,<Cy>,,\n"


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "news.html").write_text(TEMPLATE)
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    return tmp_path


def merge(folder: Path, *arguments: str | Path, server: SMTPServer | None = None, rows: str = "rows.csv") -> Any:
    where = () if server is None else ("--server", server.host, "--port", str(server.port))
    return run("merge", folder / "news.html", folder / rows, "--from", "ann@example.com", *where, *arguments)


def test_without_send_nothing_is_sent_and_the_first_is_shown(folder: Path, server: SMTPServer) -> None:
    done = merge(folder, server=server)
    assert done.exit_code == 0 and server.messages == []
    assert "To: bob@example.org" in done.output and "News for Bob" in done.output
    assert "2 messages, 0 rows that make none. Nothing was sent; --send sends." in done.output


def test_a_row_that_makes_no_message_is_named(folder: Path) -> None:
    (folder / "rows.csv").write_text("to,name\nbob@example.org,Bob\nnobody,Eve\n")
    done = merge(folder)
    assert done.exit_code == 2 and "row 2: to: 'nobody' has no domain" in done.output


def test_with_send_each_row_is_a_message(folder: Path, server: SMTPServer) -> None:
    options = ("--unsubscribe-column", "stop", "--inline-css", "--embed-images", folder)
    done = merge(folder, "--send", *options, server=server)
    assert done.exit_code == 0 and done.output == "2 sent\n"
    first, second = server.messages
    assert first.recipients == ("bob@example.org",)  # a column is not a field of the message, unless an option says so
    assert first.header("List-Unsubscribe") == "<https://x.org/1>" and second.header("List-Unsubscribe") is None
    assert 'style="margin: 0;"' in str(first.email) and "image/png" in str(first.email)
    assert "Dear &lt;Cy&gt;" in str(second.email)


def test_the_others_are_sent_where_one_fails(folder: Path, server: SMTPServer) -> None:
    (folder / "rows.csv").write_text("\ufeffto;name\nnobody;Eve\nbob@example.org;Bob, or Robert\n", encoding="utf-8")
    done = merge(folder, "--send", server=server)
    assert done.exit_code == 3 and "1 sent, 1 error" in done.output and len(server.messages) == 1


def test_with_an_outbox_a_second_run_sends_nothing_twice(folder: Path, server: SMTPServer) -> None:
    outbox = ("--send", "--outbox", f"sqlite:///{folder}/outbox.db")
    assert merge(folder, *outbox, server=server).output == "2 sent\n"
    with (folder / "rows.csv").open("a") as rows:
        rows.write("dee@example.net,Dee,,\n")
    assert merge(folder, *outbox, server=server).output == "3 sent\n"
    assert [one.recipients[0] for one in server.messages] == ["bob@example.org", "cy@example.net", "dee@example.net"]
    assert merge(folder, *outbox, "--name", "another", server=server).exit_code == 0 and len(server.messages) == 6


@pytest.mark.parametrize(
    ("rows", "arguments", "words"),
    [
        (ROWS, ["--to-column", "mail"], "There is no column 'mail'. There are to, name, bcc, stop"),
        ("to,to\n", [], "must name each column, and each once"),
        ("to,name\na@x.org\n", [], "row 2: has 1 cells, and there are 2 columns"),
        ("to\n\xff", [], "not UTF-8"),
        (None, [], "No such file"),
        (ROWS, ["--embed-images", "/no/such/directory"], "is not a directory"),
    ],
)
def test_what_cannot_be_merged_is_told_before_anything_is_sent(
    folder: Path, server: SMTPServer, rows: str | None, arguments: list[str], words: str
) -> None:
    if rows is not None:
        (folder / "other.csv").write_bytes(rows.encode("latin-1"))
    done = merge(folder, "--send", *arguments, server=server, rows="other.csv")
    assert done.exit_code in (1, 2) and words in " ".join(done.output.split()) and server.messages == []
