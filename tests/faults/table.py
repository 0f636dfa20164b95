"""The words in which the fault table is written: what the server does, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from wlsmtp import RecipientStatus, SMTPError, Stage, Timeouts
from wlsmtp.testing import SMTPServer
from wlsmtp.testing.conversation import Scripted

SENDER, BOB, CLEO = "ann@example.com", "bob@example.org", "cleo@example.net"
USER, SECRET = "ann", "s3cret-Pa55"

ACCEPTED, REFUSED = RecipientStatus.ACCEPTED, RecipientStatus.REFUSED
NOT_SENT, UNKNOWN = RecipientStatus.NOT_SENT, RecipientStatus.UNKNOWN

SMALL = b"Subject: faulty\r\n\r\n.a line that begins with a dot\r\n"
LARGE = b"Subject: faulty\r\n\r\n" + b"x" * 78 + b"\r\n" * 8_000_000
"""More than any socket buffer holds, so that its end cannot have been written when the server fails in the middle."""

QUICK = Timeouts.of(0.4)
"""For servers that say nothing: how long they may."""


class Mode(StrEnum):
    """What the server offers, and so how the client talks."""

    PLAIN = "one command at a time"
    PIPELINING = "PIPELINING"
    CHUNKING = "PIPELINING and CHUNKING"

    @property
    def extensions(self) -> tuple[str, ...]:
        """The keywords of EHLO."""
        common = ("8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
        return {
            Mode.PLAIN: common,
            Mode.PIPELINING: (*common, "PIPELINING"),
            Mode.CHUNKING: (*common, "PIPELINING", "CHUNKING"),
        }[self]


EVERY_MODE = tuple(Mode)
BY_DATA = (Mode.PLAIN, Mode.PIPELINING)
BY_BDAT = (Mode.CHUNKING,)
ONE_MODE = (Mode.PIPELINING,)
"""For what happens before or after the transactions."""


class Again(StrEnum):
    """What happens to the message when retries are allowed and the fault occurs once."""

    NEEDLESS = "not needed"
    DELIVERED = "yes: delivered to all, once"
    THE_REST = "yes, the rest: nobody gets it twice"
    NO = "no"


class Says(NamedTuple):
    """One thing that the server does wrong; see ``SMTPServer.reply_to``."""

    stage: str
    reply: Scripted
    times: int | None = 1
    after: int = 0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row."""

    what: str
    """What the server does, in words."""
    says: tuple[Says, ...] = ()
    does: Callable[[SMTPServer], None] | None = None
    """What else happens to the server before the message is sent."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the server, all the time."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the session."""
    content: bytes = SMALL
    kept: bool = False
    """Whether the fault meets a connection that has carried a message before."""
    leaves: tuple[bytes | str, ...] = ()
    """What the server has said or done on that connection since."""
    modes: tuple[Mode, ...] = EVERY_MODE
    hangs_up: bool = False
    """Whether the server closes although all is well: the next send comes after that."""
    over_tls: bool = False
    """Whether the row runs over TLS as well."""
    doubtful: tuple[Mode, ...] = ()
    """The modes in which the end of the content is written by then, so that nobody can know the outcome."""

    error: type[SMTPError] | tuple[type[SMTPError], ...] | None = None
    stage: Stage | None = None
    code: int | None = None
    """That of ``error.reply``."""
    hint: str | None = None
    bob: RecipientStatus = ACCEPTED
    cleo: RecipientStatus = ACCEPTED
    again: Again = Again.NEEDLESS
    never: tuple[str, ...] = ()
    """Verbs that the client must not have said by the end of the first try."""

    @property
    def errors(self) -> tuple[type[SMTPError], ...]:
        """The errors that are right."""
        if self.error is None:
            return ()
        return self.error if isinstance(self.error, tuple) else (self.error,)


def nobody(status: RecipientStatus) -> Mapping[str, Any]:
    """The same for both recipients."""
    return {"bob": status, "cleo": status}
