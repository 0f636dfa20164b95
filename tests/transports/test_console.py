"""Messages for people to read, with rich and without, and no way for a message to command the terminal."""

from __future__ import annotations

import sys
from io import StringIO

import pytest

from tests.worlds import World
from wlsmtp import Attachment, Message
from wlsmtp.transports import ConsoleTransport
from wlsmtp.transports.console import MAX_LINES

MESSAGE = Message(
    sender="Ann <ann@example.com>", to="bob@example.org", bcc="cleo@example.net", subject="Grüße [bold]x[/bold]",
    text="Hällo\n\x1b[2Jthere\n", html="<p>Hällo</p>",
    attachments=[Attachment.from_bytes(b"\x00" * 1234, "däta.bin")],
)  # fmt: skip


@pytest.fixture(params=["rich", "plain"])
def rich(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "rich.console", None)


@pytest.mark.usefixtures("rich")
def test_people_see_what_would_be_sent(world: World) -> None:
    file = StringIO()
    with world.session(transport=ConsoleTransport(file)) as session:
        assert session.send(MESSAGE)
    shown = file.getvalue()
    assert "from <ann@example.com> to <bob@example.org>, <cleo@example.net>" in shown
    assert "Subject: Grüße [bold]x[/bold]" in shown and "Hällo" in shown and "[text/html]" in shown
    assert "[däta.bin: application/octet-stream, 1,234 octets]" in shown
    assert "\x1b" not in shown and "[2Jthere" in shown


def test_standard_output_is_looked_up_when_it_is_written_to(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with world.from_url("console:") as session:
        assert session.send(MESSAGE)
    assert "from <ann@example.com>" in capsys.readouterr().out


def test_a_long_text_is_cut_and_a_strange_one_does_no_harm(world: World) -> None:
    file = StringIO()
    long = b"Subject: x\r\n\r\n" + b"line\r\n" * (MAX_LINES + 7)
    strange = b"Subject: =?nonsense?q?=ff?=\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff\xfe\r\n"
    headless = b"\r\n"
    with world.session(transport=ConsoleTransport(file)) as session:
        for raw in (long, strange, headless):
            assert session.send(raw, sender="", recipients="bob@example.org")
    assert "[7 more lines]" in file.getvalue() and file.getvalue().count("from <>") == 3
