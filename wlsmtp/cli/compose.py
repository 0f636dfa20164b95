"""The message of ``wlsmtp send`` and its options: a message written with options, or a finished one from a file or
standard input."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from wlsmtp.cli.settings import wrong
from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.model import Message

STDIN = "-"

Addresses = list[str] | None
File = Annotated[str | None, typer.Argument(metavar="FILE.eml|-", help="A finished message; - for standard input.")]
Sender = Annotated[
    str | None, typer.Option("--from", metavar="ADDRESS", help="Default: the user name, if it is an address.")
]
To = Annotated[Addresses, typer.Option(metavar="ADDRESS", help="A recipient; may be repeated.")]
Cc = Annotated[Addresses, typer.Option(metavar="ADDRESS", help="May be repeated.")]
Bcc = Annotated[Addresses, typer.Option(metavar="ADDRESS", help="May be repeated; not shown in the message.")]
Subject = Annotated[str | None, typer.Option(metavar="TEXT", help="The subject line.")]
Text = Annotated[str | None, typer.Option(metavar="TEXT", help="The text; - reads it from standard input.")]
Html = Annotated[str | None, typer.Option(metavar="TEXT", help="The same in HTML.")]
Attach = Annotated[list[Path] | None, typer.Option(metavar="FILE", help="A file to attach; may be repeated.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The options about the message."""

    file: str | None = None
    sender: str | None = None
    to: list[str] = field(default_factory=list)
    cc: list[str] = field(default_factory=list)
    bcc: list[str] = field(default_factory=list)
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    attach: list[Path] = field(default_factory=list)

    @property
    def recipients(self) -> list[str] | None:
        """The recipients that replace a finished message's own; None keeps them."""
        return [*self.to, *self.cc, *self.bcc] or None

    def message(self, username: str | None) -> Message | bytes:
        """Return the message; ``username`` is the sender if none is named and it is an address.

        Raises ``ConfigError`` for contradictory options, ``MessageError`` for a message that cannot be sent.
        """
        self._check()
        if self.file is not None:
            return _read(self.file)
        sender = self.sender or (username if username and "@" in username else None)
        if sender is None:
            raise wrong("--from is missing")
        return Message(
            sender=sender,
            to=self.to,
            cc=self.cc,
            bcc=self.bcc,
            subject=self.subject or "",
            text=_stdin_text() if self.text == STDIN else self.text,
            html=self.html,
            attachments=list(self.attach),
        )

    def _check(self) -> None:
        content = {"--subject": self.subject, "--text": self.text, "--html": self.html, "--attach": self.attach}
        given = [name for name, value in content.items() if value]
        if self.file is not None and given:
            raise wrong(f"{', '.join(given)}: a message from a file is sent as it is; only --from and --to go with it")
        if self.file is None and not given:
            raise wrong("There is nothing to send", hint="Give a FILE.eml, '-' for standard input, or --to and --text")
        if self.file is None and self.recipients is None:
            raise wrong("--to is missing")


def _stdin_text() -> str:
    try:
        return typer.get_binary_stream("stdin").read().decode("utf-8")
    except UnicodeDecodeError:
        raise MessageError("The text on standard input is not UTF-8", stage=Stage.MESSAGE) from None


def _read(file: str) -> bytes:
    if file == STDIN:
        return typer.get_binary_stream("stdin").read()
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        # Without -u, a URL would be taken for the file: nothing of it may be repeated.
        hint = "Is it a URL? Then put --url before it" if "@" in file or "://" in file else None
        name = "The message file" if hint else f"The message file {file!r}"
        why = getattr(error, "strerror", None) or "not a file name"
        raise MessageError(f"{name} cannot be read ({why})", stage=Stage.MESSAGE, hint=hint) from None
