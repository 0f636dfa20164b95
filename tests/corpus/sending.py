"""All messages of the corpus, sent by wlsmtp and by smtplib to the same strict server."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from tests.corpus.idioms import Case, Sending, cases
from wlsmtp import RetryPolicy, SMTPError, SMTPSession
from wlsmtp.testing import ReceivedMessage, SMTPServer
from wlsmtp.testing.server import DEFAULT_EXTENSIONS

Outcome = ReceivedMessage | Exception


@dataclass(frozen=True)
class Sent:
    """What the server got from each, or why it got nothing."""

    case: Case
    server: str
    """``full`` has all extensions, ``bare`` has neither 8BITMIME nor SMTPUTF8."""
    ours: Outcome
    theirs: Outcome

    @property
    def name(self) -> str:
        """The case, and where it was sent to."""
        return f"{self.case.name} to the {self.server} server"

    @property
    def received(self) -> list[ReceivedMessage]:
        """What arrived of the two."""
        return [outcome for outcome in (self.ours, self.theirs) if isinstance(outcome, ReceivedMessage)]


def send_all() -> list[Sent]:
    """All messages to the full server, and those that make use of its extensions to the bare one too."""
    full = list(_sent_to("full", DEFAULT_EXTENSIONS, cases()))
    return [*full, *_sent_to("bare", ("PIPELINING",), [sent.case for sent in full if not _is_plain(sent)])]


def _is_plain(sent: Sent) -> bool:
    return all(
        isinstance(outcome, ReceivedMessage) and outcome.content.isascii() for outcome in (sent.ours, sent.theirs)
    )


def _sent_to(name: str, extensions: tuple[str, ...], chosen: Iterable[Case]) -> Iterable[Sent]:
    # Without SIZE: smtplib declares that of octets whose line ends it has yet to make CRLF.
    with (
        SMTPServer(strict=True, extensions=extensions, size_limit=None) as server,
        SMTPSession(server.host, server.port, retry=RetryPolicy(attempts=1)) as session,
        smtplib.SMTP(server.host, server.port) as client,
    ):
        for case in chosen:
            sending = case.make()
            ours = _outcome(server, lambda sending=sending: _by_wlsmtp(session, sending))  # type: ignore[misc]
            theirs = _outcome(server, lambda sending=sending: by_smtplib(client, sending))  # type: ignore[misc]
            if not isinstance(theirs, ReceivedMessage):
                # It does not always end what it has begun.
                with suppress(smtplib.SMTPException):
                    client.rset()
            yield Sent(case, name, ours, theirs)


def _outcome(server: SMTPServer, send: Callable[[], None]) -> Outcome:
    before = len(server.messages)
    try:
        send()
    except (SMTPError, smtplib.SMTPException, UnicodeError, TypeError) as error:
        return error.with_traceback(None)
    assert len(server.messages) == before + 1
    return server.messages[-1]


def _by_wlsmtp(session: SMTPSession, sending: Sending) -> None:
    session.send(sending.message, sender=sending.sender, recipients=sending.recipients)


def by_smtplib(client: smtplib.SMTP, sending: Sending) -> None:
    """With the options that a careful user gives: it asks for no extension by itself but SMTPUTF8, for addresses."""
    client.ehlo_or_helo_if_needed()
    options = ["BODY=8BITMIME"] if client.has_extn("8bitmime") else []
    if sending.sender is None or sending.recipients is None:
        client.send_message(sending.message, mail_options=options)
        return
    message = sending.message
    octets = message if isinstance(message, bytes) else _octets(message)
    if not octets.partition(b"\r\n\r\n")[0].isascii() and client.has_extn("smtputf8"):
        options.append("SMTPUTF8")
    client.sendmail(sending.sender, sending.recipients, octets, options)


def _octets(message: object) -> bytes:
    """As Django and Flask-Mail write their messages before they hand them over."""
    is_django = type(message).__module__.startswith("django")
    return message.as_bytes(**({"linesep": "\r\n"} if is_django else {}))  # type: ignore[attr-defined,no-any-return]
