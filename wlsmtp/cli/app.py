"""The commands and their options. The other modules of this package implement them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script
from typer.core import TyperGroup

from wlsmtp import __version__
from wlsmtp.cli import compose as msg
from wlsmtp.cli import settings as opt
from wlsmtp.cli.compose import Draft
from wlsmtp.cli.dkim import dkim_app
from wlsmtp.cli.merge import merge
from wlsmtp.cli.once import App
from wlsmtp.cli.outbox import outbox_app
from wlsmtp.cli.report import FAILED, INTERRUPTED, exit_code, receipt_as_json, show_error, show_receipt, write_json
from wlsmtp.cli.screen import Screen, despite_lost_output, masked
from wlsmtp.cli.settings import ServerOptions
from wlsmtp.errors import SMTPError
from wlsmtp.receipt import Receipt
from wlsmtp.session import SMTPSession


class Shell(StrEnum):
    """The shells with completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


COMPLETE = "_WLSMTP_COMPLETE"
"""The variable with which a shell asks for completions."""

_ZSH_START = "compdef _wlsmtp_completion wlsmtp"
_ZSH_ALSO_AUTOLOADED = f"""if [[ $funcstack[1] = _wlsmtp ]]; then
  _wlsmtp_completion
else
  {_ZSH_START}
fi"""
"""A script in a folder of ``$fpath`` runs at the first completion, which it must then answer itself."""

_UsageError: Any = typer.BadParameter.__base__


class _DiscreetGroup(TyperGroup):
    """Hides arguments in usage errors: a repeated argument may be a URL with its password."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().make_context(*args, **extra)
        except _UsageError as error:
            raise _without_secrets(error) from None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            raise _without_secrets(error) from None
        except (KeyboardInterrupt, typer.Abort):
            typer.echo("wlsmtp: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _without_secrets(error: Any) -> Any:
    error.message = masked(error.message)
    return error


# Locals would show passwords, hence no pretty exceptions; no markup, so that \b keeps the lists in the help.
app: App = App(
    name="wlsmtp",
    cls=_DiscreetGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


app.add_typer(outbox_app, name="outbox")
app.add_typer(dkim_app, name="dkim")
app.command(short_help="Send a message made of a template to each row of a CSV file.")(merge)
completion_init()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wlsmtp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Send mail over SMTP, and find out why it fails.

    The server is named by --url, --preset or --server, or by the environment: WLSMTP_URL, or WLSMTP_SERVER,
    WLSMTP_PORT, WLSMTP_SECURITY, WLSMTP_USERNAME, WLSMTP_PASSWORD and so on. With one of the three options the
    environment is not read.
    """


@app.command(short_help="Watch messages go to an embedded server.")
def demo() -> None:
    """Send a few messages to an embedded server, blocking and with asyncio, and show everything that happens.

    \b
    Exit code: 0 when every message sent was received, 1 otherwise.
    """
    try:
        from wlsmtp.cli.demo import run_demo

        passed = run_demo(Screen())
    except SMTPError as error:
        show_error(error)
        passed = False
    except ModuleNotFoundError as error:
        typer.echo(f'wlsmtp: the demo needs {error.name}: pip install "wlsmtp[cli]"', err=True)
        passed = False
    raise typer.Exit(0 if passed else FAILED)


@app.command(short_help="Send a message.")
def send(
    file: msg.File = None,
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
    sender: msg.Sender = None,
    to: msg.To = None,
    cc: msg.Cc = None,
    bcc: msg.Bcc = None,
    subject: msg.Subject = None,
    text: msg.Text = None,
    html: msg.Html = None,
    attach: msg.Attach = None,
    as_json: opt.Json = False,
    verbose: opt.Verbose = False,
) -> None:
    """Send a message: a finished one from a file or standard input, unchanged, or one written with options.

    With a finished message, --from and --to, --cc, --bcc replace the envelope in its headers.

    \b
    Exit codes:
      0   sent to all recipients
      1   sent to nobody, and another try will not help
      2   the options, the settings or the message are wrong; nothing was sent
      3   sent to some recipients, refused for others
      4   not known: the server did not answer after the whole message; sending again may duplicate it
      75  sent to nobody for now; try again later
      130 interrupted (Ctrl-C); not known unless a receipt says more
    """
    options = ServerOptions(
        url=url, preset=preset, server=server, port=port, security=security, username=username, password=password,
        password_file=password_file, ask_password=ask_password, token_file=token_file, ca_file=ca_file,
        fingerprint=fingerprint or (), insecure=insecure, local_hostname=local_hostname, proxy=proxy, timeout=timeout,
    )  # fmt: skip
    draft = Draft(
        file=file, sender=sender, to=to or [], cc=cc or [], bcc=bcc or [], subject=subject, text=text, html=html,
        attach=attach or [],
    )  # fmt: skip
    outcome = _deliver(options, draft, attempts=attempts, verbose=verbose)
    _tell(outcome, as_json=as_json)
    raise typer.Exit(exit_code(outcome))


def _deliver(options: ServerOptions, draft: Draft, *, attempts: int | None, verbose: bool) -> Receipt | SMTPError:
    try:
        if draft.file is not None and "://" in draft.file:
            raise opt.wrong("FILE.eml is a URL", hint="Put --url before it")
        listeners = (Screen(err=True).conversation,) if verbose else ()
        config = options.config(listeners=listeners, attempts=attempts)
        message = draft.message(config.username)
        sender, recipients = (draft.sender, draft.recipients) if draft.file is not None else (None, None)
        with SMTPSession(config) as session:
            return session.send(message, sender=sender, recipients=recipients)
    except SMTPError as error:
        return error


def _tell(outcome: Receipt | SMTPError, *, as_json: bool) -> None:
    """Write the receipt to standard output and, for people, the error to standard error."""
    receipt = outcome if isinstance(outcome, Receipt) else outcome.receipt
    error = None if isinstance(outcome, Receipt) else outcome
    if as_json:
        with despite_lost_output():
            write_json(receipt_as_json(receipt, error))
        return
    if receipt is not None:
        show_receipt(Screen(lasting=True), receipt)
    if error is not None:
        show_error(error)


@app.command(short_help="Check whether a server accepts mail from here.")
def check(
    address: Annotated[str | None, typer.Argument(metavar="ADDRESS", help="host:port, or a URL as with --url.")] = None,
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
    as_json: opt.Json = False,
    verbose: opt.Verbose = False,
) -> None:
    """Connect and log in without sending, and report each stage: what happens, what is offered and what is wrong.
    Then probe how the server handles NOOP, RSET, groups of commands and refused chunks.

    \b
    Exit codes:
      0   mail can be sent
      1   a stage failed
      2   the options or the settings are wrong
    """
    from wlsmtp.cli.check import Hearing, findings_as_json, show_findings
    from wlsmtp.cli.check import check as run_check

    if address is not None and (url is not None or server is not None):
        raise typer.BadParameter(f"the {'URL' if url is not None else 'server'} is given twice")
    options = ServerOptions(
        url=url, preset=preset, server=server, port=port, security=security, username=username, password=password,
        password_file=password_file, ask_password=ask_password, token_file=token_file, ca_file=ca_file,
        fingerprint=fingerprint or (), insecure=insecure, local_hostname=local_hostname, proxy=proxy, timeout=timeout,
    )  # fmt: skip
    watching = (Screen(err=True).conversation,) if verbose else ()

    def make_config(hearing: Hearing) -> Any:
        named = options if address is None else opt.with_address(options, address)
        return named.config(listeners=(hearing, *watching), attempts=1)

    findings = run_check(make_config)
    if as_json:
        write_json(findings_as_json(findings))
    else:
        show_findings(Screen(), findings)
    raise typer.Exit(findings.exit_code)


@app.command(
    short_help="Receive mail on this machine, and show it in a browser.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
def inbox(context: typer.Context) -> None:
    """Receive mail while you develop, and show it in a browser.

    Its options are described in the guide to the inbox, and by: wlsmtp inbox --help
    """
    from wlsmtp.inbox.command import main as run_inbox

    raise typer.Exit(run_inbox(context.args))


@app.command(short_help="List the known providers.")
def presets(
    word: Annotated[str, typer.Argument(metavar="WORD", help="Only those with this word in a name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the providers that --preset knows, with the server, and what each requires at login."""
    from wlsmtp.cli.words import in_options
    from wlsmtp.presets import PRESETS

    rows = {
        name: row
        for name, row in PRESETS.items()
        if any(word.lower() in text.lower() for text in (name, row["title"], *row["aliases"], *row["domains"]))
    }
    if as_json:
        write_json(rows)
    elif rows:
        listed = [
            (name, row["title"], f"{row['server']}:{row['port']}", row["security"], in_options(row["advice"]))
            for name, row in rows.items()
        ]
        Screen().table(("preset", "provider", "server", "security", "at login"), listed)
    else:
        Screen(err=True).line(f"wlsmtp: no provider has {word!r} in a name; without a word all are listed")
    raise typer.Exit(0 if rows else FAILED)


@app.command(short_help="Print the script with which a shell completes commands and options.")
def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print a script for the shell, which then completes commands, options and presets.

    \b
    bash: eval "$(wlsmtp completion bash)"                                   in ~/.bashrc
    zsh:  wlsmtp completion zsh > "${fpath[1]}/_wlsmtp"
    fish: wlsmtp completion fish > ~/.config/fish/completions/wlsmtp.fish
    """
    script = get_completion_script(prog_name="wlsmtp", complete_var=COMPLETE, shell=shell.value)
    typer.echo(script.replace(_ZSH_START, _ZSH_ALSO_AUTOLOADED) if shell is Shell.ZSH else script)
