"""What is shown on a terminal, and where a terminal cannot show it."""

from __future__ import annotations

import io
import sys

import pytest

from wlsmtp.cli.screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """No fixture: between a fixture and its test pytest puts its own standard output back."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return terminal


def test_a_terminal_gets_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    Screen().line(("sent", "green"), ": all")
    assert "\x1b[" in terminal.getvalue() and terminal.getvalue().endswith(": all\n")


def test_the_words_of_a_server_are_never_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    Screen().line("250 [bold]Ok[/bold] :smile:")
    Screen().table(["reply"], [["[red]no[/red]"]])
    assert "250 [bold]Ok[/bold] :smile:" in terminal.getvalue() and "[red]no[/red]" in terminal.getvalue()


def test_elsewhere_tables_are_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(["from", "to"], [["ann@example.com", "bob"], ["a", "cleo"]])
    assert capsys.readouterr().out == "from             to\nann@example.com  bob\na                cleo\n"


def test_signs_are_words_where_the_encoding_has_no_such_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert [Screen().mark(good)[0] for good in (True, False, None)] == ["ok", "FAILED", "-"]
