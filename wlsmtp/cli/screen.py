"""Output of the commands: styled by rich on a terminal, plain text everywhere else, and never a secret.

Text of servers and users is never interpreted as markup: it goes to rich as ``Text`` only.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from io import TextIOWrapper

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wlsmtp.events import Event, Line

Piece = str | tuple[str, str]
"""Text, or text with a style."""

_USER_INFO = re.compile(r"(\w://)(?!user:password@host).*@")  # hints show the form of a URL with these words


def masked(text: str) -> str:
    """Return the text without what is between ``://`` and ``@``: a URL typed in the wrong place contains a password. It
    removes rather too much, as a password may contain any character."""
    return _USER_INFO.sub(r"\1***@", text)


def tolerate_any_encoding() -> None:
    """Let a terminal or a pipe that cannot show a character show its escape, instead of raising an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def open_missing_streams() -> None:
    """Open the standard streams that the caller has closed, which are None, on the null device."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


@contextmanager
def despite_lost_output() -> Iterator[None]:
    """Go on when standard output cannot be written any more, as behind ``| head`` or on a full disk: what was sent was
    sent, and the exit code must say so."""
    try:
        yield
    except OSError as error:
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())  # what is written from now on, and flushed at the exit
            os.close(null)
        if not isinstance(error, BrokenPipeError):
            with suppress(OSError, ValueError):
                sys.stderr.write(f"wlsmtp: the output cannot be written ({error.strerror})\n")


class Screen:
    """Writes lines and tables to standard output, or to standard error."""

    def __init__(self, *, err: bool = False, lasting: bool = False) -> None:
        """``lasting``: go on when the output cannot be written any more, see ``despite_lost_output``."""
        self._err = err
        self._guard = despite_lost_output if lasting else nullcontext
        self._console = Console(stderr=err, highlight=False, markup=False, emoji=False)
        self._rich = (sys.stderr if err else sys.stdout).isatty()

    def line(self, *pieces: Piece) -> None:
        """Write one line."""
        with self._guard():
            if self._rich:
                self._console.print(Text.assemble(*pieces), soft_wrap=True)
            else:
                typer.echo("".join(piece if isinstance(piece, str) else piece[0] for piece in pieces), err=self._err)

    def title(self, text: str) -> None:
        """Write a heading."""
        self.line()
        self.line((text, "bold"))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows under their header."""
        if self._rich:
            self._console.print(_rich_table(head, rows))
        else:
            self._columns([head, *rows])

    def _columns(self, rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def conversation(self, event: Event) -> None:
        """Return a listener that shows the lines of the conversation (secrets are masked before)."""
        if isinstance(event, Line):
            who, style = ("C:", "cyan") if event.who == "client" else ("S:", "green")
            self.line((f"  {event.connection} ", "dim"), (who, style), " ", event.text)

    def mark(self, good: bool | None) -> Piece:
        """Return a sign for passed, failed, or (None) not done."""
        signs = ("✓", "✗", "–") if _can_show("✓✗–", self._err) else ("ok", "FAILED", "-")  # noqa: RUF001
        if good is None:
            return signs[2], "dim"
        return (signs[0], "green") if good else (signs[1], "bold red")


def _rich_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table()
    for name in head:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _can_show(text: str, err: bool) -> bool:
    try:
        text.encode(getattr(sys.stderr if err else sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
