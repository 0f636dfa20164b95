"""``wlsmtp outbox``: the worker as a program of its own, and commands to inspect an outbox that others fill."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from wlsmtp.cli import settings as opt
from wlsmtp.cli.journal import Journal
from wlsmtp.cli.once import App
from wlsmtp.cli.report import FAILED, USAGE, receipt_as_json, show_error, show_receipt, write_json
from wlsmtp.cli.screen import Screen, despite_lost_output
from wlsmtp.cli.settings import ServerOptions, wrong
from wlsmtp.cli.workers import run_workers
from wlsmtp.errors import ConfigError, NotInOutbox, SMTPError
from wlsmtp.events import Event, Failed, Interrupted, Listener, Retrying, Sent
from wlsmtp.outbox.base import Outbox, OutboxStatistics
from wlsmtp.outbox.choice import make_outbox
from wlsmtp.outbox.postgres.outbox import PostgresOutbox
from wlsmtp.outbox.sqlite import SQLiteOutbox
from wlsmtp.receipt import Receipt, Status
from wlsmtp.session import SMTPSession
from wlsmtp.settings.config import SessionConfig

Where = Annotated[
    str,
    typer.Option(
        "--outbox",
        "-o",
        envvar="WLSMTP_OUTBOX",
        metavar="PATH",
        help="The file, or a URL: sqlite:///PATH?… or postgresql://…",
    ),
]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="The ids of messages.")]
Statuses = Annotated[list[Status] | None, typer.Option("--status", help="Those in this state; may be repeated.")]

POLL_INTERVAL = 1.0
"""Seconds between two reads of the counts."""

outbox_app: App = App(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Send and inspect the messages in an outbox.",
    short_help="Work with the outbox of mode async.",
)


@outbox_app.command(short_help="Send the messages in an outbox until stopped.")
def run(
    outbox: Where,
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
    attempts: opt.Attempts = None,
    pace: Annotated[
        list[str] | None,
        typer.Option(metavar="LANE=RATE", help="The rate of a lane, as gmail.com=20/second or *=100/minute."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due any more.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that send.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each finished message.")] = False,
    verbose: opt.Verbose = False,
) -> None:
    """Send the messages in an outbox, and those that programs put there. Any number of workers may share one outbox.

    SIGTERM and Ctrl-C let it finish the messages in flight; the rest stays for the next worker. With --workers a
    process that dies is replaced. What it cannot do for a while, such as reach the server or the outbox, is reported on
    standard error, once a minute.

    \b
    Exit codes:
      0   stopped, or nothing is due any more
      1   the outbox cannot be used
      2   the options or the settings are wrong
    """
    if workers > 1:
        if ask_password:
            raise wrong("--ask-password: each of several workers would ask; use --password-file")
        raise typer.Exit(run_workers(workers, sys.argv[1:]))
    options = ServerOptions(
        url=url, preset=preset, server=server, port=port, security=security, username=username, password=password,
        password_file=password_file, ask_password=ask_password, token_file=token_file, ca_file=ca_file,
        fingerprint=fingerprint or (), insecure=insecure, local_hostname=local_hostname, proxy=proxy, timeout=timeout,
    )  # fmt: skip
    reach = _Reach()
    journal = Journal()
    listeners: list[Listener] = [_told_as_json if as_json else _Teller(Screen(lasting=True)), reach, journal]
    if verbose:
        listeners.append(Screen(err=True).conversation)
    with _errors_shown(), journal.kept():
        config = options.config(listeners=listeners, attempts=attempts)
        rates = ", ".join(pace or ()) or os.environ.get("WLSMTP_PACE")
        paced: dict[str, Any] = {"pace": rates} if rates else {}  # the URL of the server may have some
        session = SMTPSession(config, mode="async", outbox=_outbox(outbox, must_exist=False), **paced)
        _work(session, reach, once=once, shows_progress=not as_json)


class _Reach:
    """A listener that knows whether the last attempt has reached the server."""

    is_lost = False

    def __call__(self, event: Event) -> None:
        match event:
            case Sent() | Failed():
                self.is_lost = False
            case Retrying(_, _, _, None):  # all messages
                self.is_lost = True


def _work(session: SMTPSession, reach: _Reach, *, once: bool, shows_progress: bool) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _progress() if shows_progress else nullcontext(None) as show:
        counts = session.outbox_statistics()  # an outbox that cannot be used is reported at once
        session.open()
        while not stop.wait(POLL_INTERVAL):
            if show is None and not once:  # nobody wants to know, and counting takes time in a large outbox
                continue
            before, counts = counts, session.outbox_statistics()
            if show is not None:
                show(counts)
            # Mail that is due waits for its turn, for its lane, or for a server that could not be reached.
            is_stuck = reach.is_lost and replace(counts, oldest_due_age=before.oldest_due_age) == before
            if once and not counts.in_flight and (is_stuck or not _is_due(counts)):
                break
        session.close(drain=False)


def _is_due(counts: OutboxStatistics) -> bool:
    return counts.next_due is not None and counts.next_due <= datetime.now(UTC)


@contextmanager
def _progress() -> Iterator[Callable[[OutboxStatistics], None] | None]:
    """Show a line of counts that is updated in place, on a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, transient=True) as live:
        yield lambda counts: live.update(Text(_in_words(counts)))


def _in_words(counts: OutboxStatistics) -> str:
    shown = ("pending", "in_flight", "deferred", "sent", "partial", "error", "unknown")
    return ", ".join(f"{getattr(counts, name)} {name.replace('_', ' ')}" for name in shown)


class _Teller:
    """A listener that writes a line for each finished message."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def __call__(self, event: Event) -> None:
        match event:
            case Sent(receipt) | Failed(receipt, _):
                self._screen.line(_summary(receipt))
            case Interrupted(receipt):
                self._screen.line(f"{receipt.id}  sent again, as its worker died; it may arrive twice")


def _told_as_json(event: Event) -> None:
    if isinstance(event, Sent | Failed):
        with despite_lost_output():
            write_json(receipt_as_json(event.receipt))


@outbox_app.command("list", short_help="List the messages in an outbox.")
def list_(outbox: Where, status: Statuses = None, as_json: opt.Json = False) -> None:
    """List the messages in an outbox, the oldest first: id, state, attempts, recipients, and why the last attempt
    failed."""
    with _looking_into(outbox) as session:
        for receipt in session.receipts(*(status or ())):
            if as_json:
                write_json(receipt_as_json(receipt))
            else:
                Screen().line(_summary(receipt))


@outbox_app.command(short_help="Show all that is known of messages.")
def show(ids: Ids, outbox: Where, as_json: opt.Json = False) -> None:
    """Show the result of each message so far, recipient by recipient, and the time of its next attempt."""
    with _looking_into(outbox) as session:
        for receipt in map(session.receipt, ids or ()):
            if as_json:
                write_json(receipt_as_json(receipt))
                continue
            screen = Screen()
            show_receipt(screen, receipt)
            facts = {
                "error": receipt.error,
                "next attempt": receipt.next_attempt,
                "interruptions": receipt.interruptions,
            }
            for name, value in facts.items():
                if value:
                    screen.line((f"  {name}: ", "dim"), str(value))


@outbox_app.command(short_help="Try messages again now.")
def retry(outbox: Where, ids: Ids = None, status: Statuses = None) -> None:
    """Try messages at once that wait for their next attempt, or that failed; only for the recipients not reached.

    Recipients with an unknown result may get the message twice.
    """
    _for_each(outbox, ids, status, SMTPSession.retry, "is tried again", "cannot be tried again")


@outbox_app.command(short_help="Cancel messages.")
def cancel(outbox: Where, ids: Ids = None, status: Statuses = None) -> None:
    """Cancel messages that are not being sent yet."""
    _for_each(outbox, ids, status, SMTPSession.cancel, "is cancelled", "cannot be cancelled any more")


@outbox_app.command(short_help="Count the messages in an outbox.")
def stats(
    outbox: Where,
    as_json: opt.Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Count again each second, until Ctrl-C.")] = False,
    max_age: Annotated[
        float | None,
        typer.Option(
            "--max-age", metavar="SECONDS", min=0, help="Exit with 1 if a message that is due waits for longer."
        ),
    ] = None,
) -> None:
    """Count the messages in an outbox by state.

    With --watch the counts and what changes in a second are updated in place; with --json each count is one line.
    --max-age is for monitoring: the exit code says whether the workers keep up.
    """
    with _looking_into(outbox) as session:
        if watch and max_age is not None:
            raise wrong("--max-age: is for one count, and --watch has no end")
        if watch:
            _watch(session, as_json=as_json)
            return
        counts = session.outbox_statistics()
    shown = _as_json(counts)
    if as_json:
        write_json(shown)
    else:
        Screen().table(("what", "number"), [(name.replace("_", " "), str(value)) for name, value in shown.items()])
    if max_age is not None and counts.oldest_due_age > max_age:
        raise typer.Exit(FAILED)


def _as_json(counts: OutboxStatistics) -> dict[str, Any]:
    return {name: v.isoformat() if isinstance(v, datetime) else v for name, v in asdict(counts).items()}


def _watch(session: SMTPSession, *, as_json: bool) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    before = None
    with nullcontext() if as_json else Live(console=Console(), transient=False) as live:
        while True:
            counts = session.outbox_statistics()
            if live is None:
                write_json(_as_json(counts))
            else:
                finished = _finished(counts) - (_finished(counts) if before is None else _finished(before))
                live.update(
                    Text(f"{_in_words(counts)}; {_age(counts)}{finished / POLL_INTERVAL:,.0f} finished a second")
                )
            before = counts
            if stop.wait(POLL_INTERVAL):
                return


def _finished(counts: OutboxStatistics) -> int:
    return counts.sent + counts.partial + counts.error + counts.unknown


def _age(counts: OutboxStatistics) -> str:
    """How long the oldest mail that is due has been waiting for its turn."""
    age = counts.oldest_due_age
    return f"the oldest due for {age:,.0f} s; " if age else ""


@outbox_app.command(short_help="Make the tables of an outbox in a database.")
def migrate(
    outbox: Where,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements, and change nothing.")] = False,
) -> None:
    """Make the tables of an outbox what this version needs.

    Sessions do that by themselves if they may. For PostgreSQL, --sql prints the statements for a role that may CREATE.
    """
    with _errors_shown():
        made = _outbox(outbox, must_exist=False)
        if sql:
            script = made.script() if isinstance(made, PostgresOutbox) else None
            if script is None:
                raise wrong("--sql: only an outbox in PostgreSQL has statements to look at")
            typer.echo(script or "-- Nothing is to be done.")
            return
        with SMTPSession(SessionConfig(server="localhost", mode="async", outbox=made, outbox_worker=False)) as session:
            session.outbox_statistics()
    Screen().line("The tables are what this version needs.")


def _for_each(
    outbox: str, ids: Sequence[str] | None, statuses: Sequence[Status] | None,
    change: Callable[[SMTPSession, str], bool], done: str, failed: str,
) -> None:  # fmt: skip
    complete = True
    with _looking_into(outbox) as session:
        if not ids and not statuses:
            raise wrong("Name the messages, by id or with --status")
        chosen = list(ids or ()) + [receipt.id for receipt in (session.receipts(*statuses) if statuses else ())]
        for id in chosen:
            succeeded = change(session, id)
            complete = complete and succeeded
            Screen().line(f"{id}  {done if succeeded else failed}")
    if not complete:
        raise typer.Exit(FAILED)


@contextmanager
def _looking_into(outbox: str) -> Iterator[SMTPSession]:
    """Return a session that never contacts the server."""
    with _errors_shown():
        config = SessionConfig(server="localhost", mode="async", outbox=_outbox(outbox), outbox_worker=False)
        with SMTPSession(config) as session:
            yield session


@contextmanager
def _errors_shown() -> Iterator[None]:
    try:
        yield
    except SMTPError as error:
        show_error(error)
        is_usage = isinstance(error, ConfigError) and not isinstance(error, NotInOutbox)
        raise typer.Exit(USAGE if is_usage else FAILED) from None


def _outbox(given: str, *, must_exist: bool = True) -> Outbox:
    is_url = "://" in given or given.startswith("memory:")
    outbox = make_outbox(given if is_url else f"sqlite:///{quote(given)}")
    if not outbox.is_shared:
        raise wrong("--outbox: must be a file or a database, as no other program sees what is in memory")
    if must_exist and isinstance(outbox, SQLiteOutbox) and not outbox.path.exists():
        raise wrong(f"--outbox: there is no {str(outbox.path)!r}")
    return outbox


def _summary(receipt: Receipt) -> str:
    to = ", ".join(result.address for result in receipt.recipients[:3])
    more = f" and {len(receipt.recipients) - 3} more" if len(receipt.recipients) > 3 else ""
    why = f"  {receipt.error}" if receipt.error is not None else ""
    return f"{receipt.id}  {receipt.status.value:8} {receipt.attempts:3}  {to}{more}{why}"
