"""Delivers by the ``sendmail`` program of this machine's mail system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from wlsmtp.errors import (
    ContentRefused,
    DeadlineExceeded,
    ExtensionMissing,
    LocalDeliveryFailed,
    OutcomeUnknown,
    SMTPError,
    Stage,
)
from wlsmtp.io.base import Ended
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import RecipientStatus
from wlsmtp.results.reply import Reply
from wlsmtp.settings.urls import URL
from wlsmtp.smtp.connection import ServerInfo
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.base import WholeTransport, reverse_path
from wlsmtp.wire.content import with_unix_line_ends
from wlsmtp.wire.extensions import Capabilities
from wlsmtp.wire.reply import printable

PROGRAM = "/usr/sbin/sendmail"

EX_TEMPFAIL = 75
# The exit statuses of sysexits.h as mail systems interpret them, as SMTP replies.
_MEANING = {
    64: (500, "5.0.0 Bad usage"),
    65: (501, "5.6.0 Data format error"),
    66: (550, "5.3.0 Cannot open input"),
    67: (550, "5.1.1 User unknown"),
    68: (550, "5.1.2 Host unknown"),
    69: (554, "5.3.0 Service unavailable"),
    70: (554, "5.3.0 Internal error"),
    71: (451, "4.3.0 Operating system error"),
    72: (554, "5.3.5 System file missing"),
    73: (550, "5.3.0 Cannot create output"),
    74: (451, "4.3.0 Input/output error"),
    EX_TEMPFAIL: (450, "4.3.0 Temporary failure"),
    76: (554, "5.5.0 Remote protocol error"),
    77: (550, "5.7.0 Insufficient permission"),
    78: (554, "5.3.5 Configuration error"),
}
_OTHER = (554, "5.3.0 Unknown failure")
_NULL_SENDER = "<>"
"""The null sender, as Sendmail, Postfix, Exim, Courier, msmtp, nullmailer and others read it."""
_OTHER_NULL_SENDERS = {"esmtp": "", "dma": None, "ssmtp": None}
"""Programs that read it otherwise. ``dma`` completes an empty address, and takes ``<>`` for a user; ``ssmtp`` reads the
address from the header."""


class SendmailTransport(WholeTransport):
    """Runs ``program`` for each message, without a shell: ``-i -f sender -- recipient …``, with the message on its
    standard input. It accepts a message for all recipients or for none. URL: ``sendmail:`` or
    ``sendmail:///path/of/program``."""

    def __init__(
        self, program: str = PROGRAM, arguments: Sequence[str] = (), *, queues_on_tempfail: bool = False
    ) -> None:
        """``arguments`` come before all others. With ``queues_on_tempfail``, exit status 75 leaves the message in
        doubt: Sendmail itself uses it for messages that it has queued, all others for those that they have not."""
        self._command = (program, *arguments)
        self._queues_on_tempfail = queues_on_tempfail

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """``sendmail:///usr/sbin/sendmail?argument=-C&argument=/etc/mail``: each ``argument`` is one word."""
        url.expect("path", options=("argument",))
        return cls(url.path or PROGRAM, url.options.get("argument", ()))

    @property
    def name(self) -> str:
        """The program, as named in events and errors."""
        return self._command[0]

    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> None:
        """Run the program with the message."""
        eight_bit = ("-B8BITMIME",) if content.is_8bit else ()
        recipients = [address.wire for address in envelope.recipients]
        sender = reverse_path(envelope) or self._null_sender()
        command = [*self._command, "-i", *eight_bit, "-f", sender, "--", *recipients]
        deadlines.certain = RecipientStatus.NOT_SENT
        chunks = _watched(with_unix_line_ends(content.chunks()), deadlines)
        try:
            ended = await self.io.run_program(command, chunks, deadlines("content"))
        except SMTPError:  # of the content, which is generated as it is written
            raise
        except OSError as error:
            raise self._unusable(error) from error
        if failure := self._failure_of(ended):
            raise failure
        deadlines.certain = RecipientStatus.ACCEPTED

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Check that the program can be started; its opinion of a message is not tested."""
        from shutil import which

        if which(self.name) is None:
            raise self._unusable(FileNotFoundError(2, "there is no such program"))
        return ServerInfo(self.name, self.name, None, None, Capabilities())

    def _null_sender(self) -> str:
        """Return the null sender as this program reads it. Raises ``ExtensionMissing`` if it would send another one: a
        bounce would be answered with a bounce."""
        from os.path import basename, realpath
        from shutil import which

        program = basename(realpath(which(self.name) or self.name))
        word = _OTHER_NULL_SENDERS.get(program, _NULL_SENDER)
        if word is None:
            words = f"{self.name} is {program}, which cannot send a message from the null sender"
            hint = (
                'Give a sender, or send by SMTP: sender="" is for reports of what was not delivered (RFC 5321 §4.5.5)'
            )
            raise ExtensionMissing(words, stage=Stage.MAIL, hint=hint)
        return word

    def _failure_of(self, ended: Ended) -> SMTPError | None:
        if ended.was_fed and ended.status == 0:
            return None
        if ended.status is None and not ended.was_fed:
            return DeadlineExceeded(f"{self.name} did not accept the message in time", stage=Stage.CONTENT)
        if self._is_in_doubt(ended):
            words = f"{self.name} {_how(ended)}, and may or may not have queued the message"
            hint = "It may or may not be delivered: sending it again may deliver it twice"
            return OutcomeUnknown(_with_output(words, ended), stage=Stage.CONTENT, hint=hint)
        code, meaning = _MEANING.get(ended.status or 0, _OTHER)
        if ended.status is not None and ended.status < 0:
            code, meaning = 451, "4.3.0 Ended by a signal"
        words = f"{self.name} refused the message ({_how(ended)})"
        return ContentRefused(words, stage=Stage.CONTENT, reply=Reply(code, (_with_output(meaning, ended),)))

    def _is_in_doubt(self, ended: Ended) -> bool:
        """Return whether the message is in doubt. It is if the program was killed after it had the whole message, or
        claims success without having read all of it."""
        was_killed = ended.status is None or ended.status < 0
        return (
            ended.status == 0
            or (was_killed and ended.was_fed)
            or (ended.status == EX_TEMPFAIL and self._queues_on_tempfail)
        )

    def _unusable(self, error: OSError) -> LocalDeliveryFailed:
        return LocalDeliveryFailed(
            f"{self.name} could not be started ({error.strerror or error})",
            stage=Stage.CONNECT,
            hint="A mail system with a sendmail program must be installed (Postfix, Exim, msmtp, …)",
        )


def _watched(chunks: Iterable[bytes], deadlines: Deadlines) -> Iterator[bytes]:
    """Yield the input of a program that is killed when it is interrupted: only after the end of its input it may have
    queued the message."""
    yield from chunks
    deadlines.certain = RecipientStatus.UNKNOWN


def _how(ended: Ended) -> str:
    match ended.status:
        case None:
            return "did not end in time"
        case status if status < 0:
            return f"was ended by signal {-status}"
        case status:
            return f"ended with status {status}"


def _with_output(words: str, ended: Ended) -> str:
    output = " ".join(printable(ended.output).replace("\N{REPLACEMENT CHARACTER}", " ").split())
    return f"{words}: {output}" if output else words
