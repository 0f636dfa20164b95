"""Shows messages instead of sending them: for programs in development.

The content of a message is never interpreted as markup, nor as control sequences of the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import TextIO

from wlsmtp.errors import LocalDeliveryFailed, Stage
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import RecipientStatus
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.base import WholeTransport, reverse_path

MAX_LINES = 200
"""Lines of one text that are shown."""


class ConsoleTransport(WholeTransport):
    """Writes each message to ``file`` in readable form, in a frame if rich is installed. URL: ``console:``."""

    says_options = True
    """True, as it stands for a server that accepts everything."""

    def __init__(self, file: TextIO | None = None) -> None:
        """``file`` defaults to standard output."""
        self._file = file

    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> None:
        """Show the message."""
        deadlines.certain = RecipientStatus.NOT_SENT
        text = "\n".join(_described(envelope, b"".join(content.chunks())))
        deadlines.certain = RecipientStatus.UNKNOWN
        try:
            _show(text, self._file or sys.stdout)
            deadlines.certain = RecipientStatus.ACCEPTED
        except (OSError, ValueError) as error:  # nobody reads any more, or the file is closed
            raise LocalDeliveryFailed(f"The message could not be shown ({error})", stage=Stage.CONTENT) from error


def _show(text: str, file: TextIO) -> None:
    try:
        from rich.console import Console
        from rich.panel import Panel
        from rich.text import Text
    except ImportError:
        file.write(f"{text}\n\n")  # in one piece, as other threads may be writing too
    else:
        Console(file=file).print(Panel(Text(text), title="message"))
    file.flush()


def _described(envelope: Envelope, content: bytes) -> Iterator[str]:
    email: EmailMessage = message_from_bytes(content, policy=policy.default)
    yield f"from <{reverse_path(envelope)}> to {', '.join(f'<{address}>' for address in envelope.addresses)}"
    yield ""
    yield from (_plain(f"{name}: {value}") for name, value in email.items())
    for part in email.walk():
        if not part.is_multipart():
            yield ""
            yield from _part(part)


def _part(part: EmailMessage) -> Iterator[str]:
    name, kind = part.get_filename(), part.get_content_type()
    if name is not None or part.get_content_maintype() != "text":
        payload = part.get_payload(decode=True)
        size = len(payload) if isinstance(payload, bytes) else 0
        yield _plain(f"[{name or 'attachment'}: {kind}, {size:,} octets]")
        return
    if kind != "text/plain":
        yield f"[{kind}]"
    lines = _text(part).splitlines()
    yield from map(_plain, lines[:MAX_LINES])
    if len(lines) > MAX_LINES:
        yield f"[{len(lines) - MAX_LINES} more lines]"


def _text(part: EmailMessage) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # an unknown character set, or octets that are not in it
        payload = part.get_payload(decode=True)
        return payload.decode("ascii", "replace") if isinstance(payload, bytes) else ""


def _plain(line: str) -> str:
    """Return a line without control characters, so that it cannot control the terminal."""
    line = line.expandtabs(4)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
