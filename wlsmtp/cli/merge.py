"""``wlsmtp merge``: a template and the rows of a CSV file, first to look at, then sent."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from wlsmtp.cli import compose as msg
from wlsmtp.cli import settings as opt
from wlsmtp.cli.report import FAILED, OK, PARTIAL, USAGE, exit_code, show_error
from wlsmtp.cli.screen import Screen, masked
from wlsmtp.cli.settings import ServerOptions, wrong
from wlsmtp.cli.words import in_options
from wlsmtp.errors import MessageError, SMTPError, Stage
from wlsmtp.message.merge import MergeRow
from wlsmtp.message.model import Message
from wlsmtp.message.templates import Templates
from wlsmtp.receipt import Receipt, Status
from wlsmtp.session import SMTPSession

TemplateFile = Annotated[Path, typer.Argument(metavar="TEMPLATE", help="A Jinja2 template with blocks.")]
RowsFile = Annotated[Path, typer.Argument(metavar="ROWS.csv", help="UTF-8, with the names of the columns first.")]
ToColumn = Annotated[str, typer.Option(metavar="NAME", help="The column with the address.")]
LocaleColumn = Annotated[str | None, typer.Option(metavar="NAME", help="The column with the language, as de or de-AT.")]
UnsubscribeColumn = Annotated[str | None, typer.Option(metavar="NAME", help="The column with an https URL.")]
InlineCss = Annotated[bool, typer.Option("--inline-css", help="Move style sheets into the elements.")]
EmbedImages = Annotated[Path | None, typer.Option(metavar="DIRECTORY", help="Embed the pictures of a directory.")]
Send = Annotated[bool, typer.Option("--send", help="Send; without it only look at all messages.")]
OutboxFile = Annotated[
    str | None, typer.Option("--outbox", "-o", metavar="URL", help="Keep them in sqlite:///PATH until they are sent.")
]
RunName = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Of this mailing, for a second try with -o.")
]


@dataclass(frozen=True, slots=True)
class Mailing:
    """The messages of one run."""

    templates: Templates
    template: Path
    rows: list[dict[str, str]]
    columns: Mapping[str, str | None]
    """For a field of the message the column that has it."""

    def __iter__(self) -> Iterator[MergeRow]:
        return iter(Message().merge([partial(self._message, row) for row in self.rows]))

    def _message(self, row: dict[str, str]) -> Message:
        # Columns are values of the template, but for those named: no column becomes a Bcc or an attachment.
        fields = {field: row[column] for field, column in self.columns.items() if column is not None and row[column]}
        return self.templates.message(self.template.name, row, **fields)

    def key(self, index: int, name: str | None) -> str:
        """Return the idempotency key of a row's message in an outbox: this mailing, and all values of the row."""
        mailing = name or self.template.read_text(encoding="utf-8")
        text = json.dumps([mailing, self.rows[index]], sort_keys=True)
        return f"merge-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def merge(
    template: TemplateFile,
    rows: RowsFile,
    url: opt.Url = None,
    preset: opt.Preset = None,
    server: opt.Server = None,
    port: opt.Port = None,
    security: opt.SecurityOption = None,
    username: opt.Username = None,
    password: opt.Password = None,
    password_file: opt.PasswordFile = None,
    ask_password: opt.AskPassword = False,
    token_file: opt.TokenFile = None,
    ca_file: opt.CaFile = None,
    fingerprint: opt.Fingerprint = None,
    insecure: opt.Insecure = False,
    local_hostname: opt.LocalHostname = None,
    proxy: opt.Proxy = None,
    timeout: opt.Timeout = None,
    sender: msg.Sender = None,
    to_column: ToColumn = "to",
    locale_column: LocaleColumn = None,
    unsubscribe_column: UnsubscribeColumn = None,
    inline_css: InlineCss = False,
    embed_images: EmbedImages = None,
    really_send: Send = False,
    outbox: OutboxFile = None,
    name: RunName = None,
    verbose: opt.Verbose = False,
) -> None:
    """Make a message of each row of a CSV file and a template. Without --send nothing is sent: the first message is
    shown, and each row that makes none.

    The template is a file of Jinja2 with the blocks subject, text and html; the columns are its values. With --outbox
    the messages are kept in a file until they are sent, each once: after an interruption the same command goes on.

    \b
    Exit codes:
      0   all messages can be made, or were sent
      1   none was sent
      2   the options, the settings or some rows are wrong; nothing was sent
      3   some were sent
    """
    options = ServerOptions(
        url=url, preset=preset, server=server, port=port, security=security, username=username, password=password,
        password_file=password_file, ask_password=ask_password, token_file=token_file, ca_file=ca_file,
        fingerprint=fingerprint or (), insecure=insecure, local_hostname=local_hostname, proxy=proxy, timeout=timeout,
    )  # fmt: skip
    columns = {"to": to_column, "locale": locale_column, "unsubscribe": unsubscribe_column}
    try:
        mailing = mailing_of(template, rows, columns, sender=sender, inline_css=inline_css, embed_images=embed_images)
        if not really_send:
            raise typer.Exit(look(mailing, Screen()))
        config = options.config(listeners=(Screen(err=True).conversation,) if verbose else ())
        if outbox is None:
            raise typer.Exit(send(mailing, Screen(lasting=True), SMTPSession(config)))
        raise typer.Exit(store(mailing, Screen(lasting=True), SMTPSession(config, mode="async", outbox=outbox), name))
    except SMTPError as error:
        show_error(error)
        raise typer.Exit(exit_code(error)) from None


def mailing_of(
    template: Path, rows: Path, columns: Mapping[str, str | None], *, sender: str | None, **more: Any
) -> Mailing:
    """The mailing that the options describe. Raises ``ConfigError``."""
    if not template.is_file():
        raise wrong(f"{os.fspath(template)!r} is not a file")
    if sender is None:
        raise wrong("--from is missing")
    found = _rows(rows)
    for column in columns.values():
        if column is not None and found and column not in found[0]:
            raise wrong(f"There is no column {column!r}", hint=f"There are {', '.join(found[0])}")
    fields = {name: value for name, value in more.items() if value}
    return Mailing(Templates(template.parent, sender=sender, **fields), template, found, columns)


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            head = lines.readline()
            delimiter = max(",;\t", key=head.count)
            names = next(csv.reader([head], delimiter=delimiter, strict=True), [])
            rows = [row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row]
    except (OSError, ValueError, csv.Error) as error:
        why = getattr(error, "strerror", None) or (error if isinstance(error, csv.Error) else "not UTF-8")
        raise wrong(f"{os.fspath(file)!r} cannot be read: {why}") from None
    if len(set(names)) < len(names) or not all(names):
        raise wrong(f"{os.fspath(file)!r}: the first line must name each column, and each once")
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise wrong(f"{os.fspath(file)!r}, row {number}: has {len(row)} cells, and there are {len(names)} columns")
    return [dict(zip(names, row, strict=True)) for row in rows]


def look(mailing: Mailing, screen: Screen) -> int:
    """Make all messages, send none; show the first, and each row that makes none."""
    first, bad = None, 0
    for row in _shown(mailing, len(mailing.rows), "Looking"):
        try:
            made = row.message()
            first = first or made
            if isinstance(made, Message) and (names := [to.local for to in made.recipients() if not to.domain]):
                raise MessageError(f"rows[{row.index}]: to: {names[0]!r} has no domain", stage=Stage.MESSAGE)
        except SMTPError as error:
            bad += 1
            _complain(screen, error)
    if isinstance(first, Message):
        screen.line(first.preview())
        screen.line()
    screen.line(f"{len(mailing.rows) - bad} messages, {bad} rows that make none. Nothing was sent; --send sends.")
    return USAGE if bad else OK


def send(mailing: Mailing, screen: Screen, session: SMTPSession) -> int:
    """Send all, and show each that failed."""
    counts = dict.fromkeys(Status, 0)
    with session:
        for receipt in _shown(session.send_many(mailing), len(mailing.rows), "Sending"):
            counts[receipt.status] += 1
            if receipt.error is not None or not receipt:
                _complain(screen, receipt)
    return _summed_up(counts, screen)


def store(mailing: Mailing, screen: Screen, session: SMTPSession, name: str | None) -> int:
    """Put all into the outbox, where each is once however often this is called, and wait until they are sent."""
    counts = dict.fromkeys(Status, 0)
    stored: list[Receipt] = []
    with session:
        for row in _shown(mailing, len(mailing.rows), "Storing"):
            try:
                stored.append(session.send(row.message(), idempotency_key=mailing.key(row.index, name)))
            except SMTPError as error:
                counts[Status.ERROR] += 1
                _complain(screen, error)
        for receipt in _shown(stored, len(stored), "Sending"):
            finished = receipt.wait()
            counts[finished.status] += 1
            if finished.error is not None:
                _complain(screen, finished)
    return _summed_up(counts, screen)


def _complain(screen: Screen, what: Receipt | SMTPError) -> None:
    words = str(what.error or what) if isinstance(what, Receipt) else str(what)
    words = re.sub(r"^rows\[(\d+)\]", lambda found: f"row {int(found[1]) + 1}", words)
    screen.line(masked(in_options(words)))


def _summed_up(counts: dict[Status, int], screen: Screen) -> int:
    screen.line(", ".join(f"{number} {status.value}" for status, number in counts.items() if number) or "nothing")
    bad = sum(number for status, number in counts.items() if status is not Status.SENT)
    return OK if not bad else PARTIAL if counts[Status.SENT] or counts[Status.PARTIAL] else FAILED


def _shown(items: Iterable[Any], total: int, title: str) -> Iterator[Any]:
    """The items, with a bar of progress where standard error is a terminal."""
    console = Console(stderr=True)
    return iter(track(items, title, total, console=console, transient=True) if console.is_terminal else items)
