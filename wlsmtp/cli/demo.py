"""``wlsmtp demo``: the embedded server, and blocking and asyncio sessions that send to it over the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wlsmtp.cli.report import show_receipt
from wlsmtp.cli.screen import Screen
from wlsmtp.message.model import Attachment, Message
from wlsmtp.receipt import Receipt
from wlsmtp.session import AsyncSMTPSession, SMTPSession
from wlsmtp.settings.config import TLS, Security
from wlsmtp.testing import SMTPServer

if TYPE_CHECKING:
    from wlsmtp.testing.server import ReceivedMessage

USER, PASSWORD = "ann@example.com", "correct horse battery staple"
BOB, CLEO, NOBODY = "bob@example.org", "cleo@example.net", "nobody@example.org"
EXPECTED = 4


def run_demo(screen: Screen) -> bool:
    """Run the demo; return whether every message sent was received."""
    with _servers() as (secured, plain):
        receipts = [*_blocking(screen, secured), *asyncio.run(_asyncio(screen, plain))]
        received = [*secured.messages, *plain.messages]
    screen.title("What the servers received")
    screen.table(("from", "to", "subject", "parts", "octets", "TLS", "user"), [_row(mail) for mail in received])
    sent = sum(1 for receipt in receipts if receipt.accepted)
    screen.line()
    screen.line(f"{sent} messages sent, {len(received)} received.")
    return sent == len(received) == EXPECTED


@contextmanager
def _servers() -> Iterator[tuple[SMTPServer, SMTPServer]]:
    with SMTPServer(security="tls", users={USER: PASSWORD}) as secured, SMTPServer() as plain:
        secured.refuse(NOBODY, "550 5.1.1 No such user here")
        yield secured, plain


def _blocking(screen: Screen, server: SMTPServer) -> Iterator[Receipt]:
    screen.title(f"SMTPSession, blocking: STARTTLS and AUTH at {server.host}:{server.port}")
    with SMTPSession(
        server.host,
        server.port,
        security=Security.TLS,
        username=USER,
        password=PASSWORD,
        tls=TLS(ca_file=server.ca_file),
        listeners=(screen.conversation,),
    ) as session:
        for message in (_text_only(), _with_attachment(), _with_refused_recipient()):
            receipt = session.send(message)
            show_receipt(screen, receipt)
            yield receipt


async def _asyncio(screen: Screen, server: SMTPServer) -> list[Receipt]:
    screen.title(f"AsyncSMTPSession, asyncio: a plain connection to {server.host}:{server.port}")
    async with AsyncSMTPSession(server.host, server.port, listeners=(screen.conversation,)) as session:
        receipt = await session.send(_from_asyncio())
    show_receipt(screen, receipt)
    return [receipt]


def _text_only() -> Message:
    return Message(sender=USER, to=BOB, subject="Text only", text="Hello Bob,\n\na line of text.\n.\nAnd a lone dot.\n")


def _with_attachment() -> Message:
    return Message(
        sender=USER,
        to=[BOB, CLEO],
        subject="Text, HTML and a file: für alle",
        text="The numbers are attached.",
        html="<p>The <b>numbers</b> are attached.</p>",
        attachments=[Attachment.from_bytes(b"month,sold\r\nMay,12\r\nJune,19\r\n", "numbers.csv")],
    )


def _with_refused_recipient() -> Message:
    return Message(sender=USER, to=[BOB, NOBODY], subject="One of two", text="One of you does not exist.")


def _from_asyncio() -> Message:
    return Message(sender=USER, to=CLEO, subject="From a task", text="Sent without blocking anybody.")


def _row(mail: ReceivedMessage) -> tuple[str, ...]:
    email = mail.email
    parts = [part.get_content_type() for part in email.walk() if not part.is_multipart()]
    return (
        mail.sender,
        ", ".join(mail.recipients),
        str(email["Subject"]),
        ", ".join(parts),
        str(len(mail.content)),
        "yes" if mail.tls else "no",
        mail.username or "",
    )
