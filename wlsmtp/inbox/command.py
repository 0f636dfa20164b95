"""``wlsmtp inbox``: the inbox as a command. It needs no other extra than ``inbox``."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.inbox.core import Inbox
from wlsmtp.inbox.store import MAX_MESSAGES, MAX_OCTETS, Store

TOKEN_VARIABLE = "WLSMTP_INBOX_TOKEN"
RELEASE_VARIABLE = "WLSMTP_INBOX_RELEASE"


def parser() -> argparse.ArgumentParser:
    """The options."""
    words = "Receive mail on this machine and show it in a browser. Nothing that a mail names is fetched."
    options = argparse.ArgumentParser(prog="wlsmtp inbox", description=words)
    add = options.add_argument
    add("--port", type=_port, default=1025, metavar="PORT", help="of the SMTP server (default: 1025; 0: any)")
    add("--web", type=_port, default=8025, metavar="PORT", help="of the web page (default: 8025; 0: any)")
    add("--host", default="127.0.0.1", help="where both listen (default: 127.0.0.1, this machine only)")
    add("--keep", metavar="FILE", help="keep the mail in this SQLite file (default: in memory)")
    add("--open", action="store_true", help="open the page in the browser")
    add(
        "--security",
        choices=("default", "tls", "ssl"),
        default="default",
        help='TLS with a throw-away certificate: "tls" offers STARTTLS, "ssl" begins with TLS; needs wlsmtp[testing]',
    )
    add(
        "--release",
        metavar="URL",
        default=os.environ.get(RELEASE_VARIABLE),
        help=f"the server by which messages can be sent on; better in the variable {RELEASE_VARIABLE}",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which the page may be asked for, besides those of this machine",
    )
    add(
        "--no-token",
        action="store_true",
        help=f"let any program on this machine change things by the API; without it, it needs {TOKEN_VARIABLE}",
    )
    add(
        "--max-messages",
        type=int,
        default=MAX_MESSAGES,
        metavar="N",
        help=f"the oldest are deleted beyond that (default: {MAX_MESSAGES})",
    )
    add("--max-megabytes", type=int, default=MAX_OCTETS // 1024**2, metavar="N",
        help=f"the oldest are deleted beyond that (default: {MAX_OCTETS // 1024**2})")  # fmt: skip
    return options


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; 0 is any free one, and the largest is 65535")
    return int(text)


@contextmanager
def _naming(option: str, port: int) -> Iterator[None]:
    """Let an error of a port that cannot be had name the option that gives another."""
    try:
        yield
    except OSError as error:
        words = f"port {port} cannot be used ({error.strerror or error}); give another with {option}, or 0 for any"
        raise ConfigError(words, stage=Stage.SETTINGS) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the inbox until it is interrupted; return the exit code."""
    asked = parser().parse_args(arguments)
    say = sys.stderr.write
    try:
        limits = {"max_messages": asked.max_messages, "max_octets": asked.max_megabytes * 1024**2}
        token = None if asked.no_token else os.environ.get(TOKEN_VARIABLE, "")
        with Store(asked.keep, **limits) as store:
            inbox = Inbox(store=store, token=token, hosts=asked.allow_host, release=asked.release)
            with inbox:
                with _naming("--port", asked.port):
                    inbox.listen(asked.port, host=asked.host, security=asked.security)
                with _naming("--web", asked.web):
                    server, listener = inbox.web_server(asked.web, host=asked.host)
                assert inbox.smtp is not None
                say(f"Mail goes to    {inbox.url}\n")
                if inbox.smtp.ca_file:
                    say(f"  authority     {inbox.smtp.ca_file}\n")
                say(f"The page is at  {inbox.web_url}\n")
                if asked.keep:
                    say(f"Kept in         {store.path}\n")
                say("Stop with Ctrl-C.\n")
                if asked.open:
                    webbrowser.open(inbox.web_url)
                server.run(sockets=[listener])
    except KeyboardInterrupt:
        return 0
    except (SMTPError, OSError, RuntimeError) as error:
        say(f"wlsmtp inbox: {error}\n")
        return 2
    return 0
