"""Faults in the content and after it. Its end divides what is certainly not sent from what nobody can know."""

from __future__ import annotations

import itertools

from tests.faults.opening import Drip
from tests.faults.table import (
    BY_BDAT,
    BY_DATA,
    EVERY_MODE,
    LARGE,
    NOT_SENT,
    ONE_MODE,
    REFUSED,
    UNKNOWN,
    Again,
    Fault,
    Mode,
    Says,
    nobody,
)
from wlsmtp import (
    ConnectionFailed,
    ContentRefused,
    DeadlineExceeded,
    OutcomeUnknown,
    ProtocolError,
    SMTPError,
    Stage,
    Timeouts,
)
from wlsmtp.testing import CLOSE, DEAF, RESET, SILENCE
from wlsmtp.testing.conversation import Scripted

CONTENT, DELIVERED = Stage.CONTENT, Again.DELIVERED


def refused(what: str, reply: Scripted, code: int, again: Again = Again.NO, *, hangs_up: bool = False) -> Fault:
    """The content is refused."""
    return Fault(
        what=what, says=(Says(".", reply),), error=ContentRefused, stage=CONTENT, code=code, again=again,
        hangs_up=hangs_up, **nobody(REFUSED),
    )  # fmt: skip


def halfway(
    what: str, reply: Scripted, error: type[SMTPError], again: Again, *, code: int | None = None,
    modes: tuple[Mode, ...] = EVERY_MODE, at: str = "CONTENT", after: int = 0,
) -> Fault:  # fmt: skip
    """The server fails while it gets the content."""
    return Fault(
        what=what, says=(Says(at, reply, after=after),), content=LARGE, error=error, stage=CONTENT, code=code,
        again=again, over_tls=True, settings={"timeout": Timeouts(block=0.4)}, modes=modes,
        **nobody(REFUSED if error is ContentRefused else NOT_SENT),
    )  # fmt: skip


def doubtful(what: str, reply: Scripted, *, quick: bool = False, over_tls: bool = True) -> list[Fault]:
    """The end was written and no answer came: whether the message was stored, the client cannot know."""
    return [
        Fault(
            what=f"{what} {when}", says=(Says(stage, reply),), error=OutcomeUnknown, stage=CONTENT, again=Again.NO,
            over_tls=over_tls, settings={"timeout": Timeouts(content=0.4)} if quick else {}, **nobody(UNKNOWN),
        )
        for stage, when in ((".", "and has not stored the message"), ("STORED", "and has stored the message"))
    ]  # fmt: skip


REFUSALS = [
    refused("answers the content with 450", "450 4.2.0 Later", 450, DELIVERED),
    refused("answers the content with 452", "452 4.3.1 Disk full", 452, DELIVERED),
    refused("answers the content with 421 and closes", ("421 4.3.2 Closing", CLOSE), 421, DELIVERED),
    refused("answers the content with 487, which no standard knows", "487 Hm", 487, DELIVERED),
    refused("answers the content with 550", "550 5.7.1 Spam", 550),
    refused("answers the content with 552: too big", "552 5.3.4 Too big", 552),
    refused("answers the content with 554 and closes", ("554 5.6.0 Virus", CLOSE), 554, hangs_up=True),
    refused("answers the content with 577, which no standard knows", "577 Hm", 577),
    Fault(what="answers the content with 250 and closes", says=(Says(".", ("250 2.0.0 Queued", CLOSE)),),
          hangs_up=True),
    Fault(what="answers the content with 277, which no standard knows", says=(Says(".", "277 Fine"),)),
]  # fmt: skip

HALFWAY = [
    halfway("closes in the middle of the content", CLOSE, ConnectionFailed, DELIVERED),
    halfway("resets the connection in the middle of the content", RESET, ConnectionFailed, DELIVERED),
    halfway("stops reading in the middle of the content", DEAF, DeadlineExceeded, DELIVERED),
    halfway("refuses in the middle of the content: 552", ("552 5.3.4 Too big", SILENCE), ContentRefused, Again.NO,
            code=552, modes=BY_DATA),
    halfway("gives up in the middle of the content: 421", ("421 4.3.2 Closing", SILENCE), ContentRefused, DELIVERED,
            code=421, modes=BY_DATA),
    halfway("refuses a chunk in the middle of the content: 552", "552 5.3.4 Too big", ContentRefused, Again.NO,
            code=552, modes=BY_BDAT, at="BDAT", after=2),
    halfway("refuses a chunk in the middle of the content for now: 452", "452 4.3.1 Disk full", ContentRefused,
            DELIVERED, code=452, modes=BY_BDAT, at="BDAT", after=2),
]  # fmt: skip

DOUBTS = [
    *doubtful("closes after the content", CLOSE),
    *doubtful("resets the connection after the content", RESET),
    *doubtful("never answers the content", SILENCE, quick=True),
    *doubtful("answers the content an octet at a time, without end", Drip(b"250 "), quick=True, over_tls=False),
    *doubtful("closes in the middle of the reply to the content", (b"250 2.0.0 Queu", CLOSE)),
    *doubtful("closes after one of two lines of the reply to the content", (b"250-2.0.0 Queued\r\n", CLOSE)),
    *doubtful("answers the content with garbage", b"\0\xff\r\n", over_tls=False),
    *doubtful("answers the content with one endless line", itertools.repeat(b"250 " + b"x" * 65536), over_tls=False),
    *doubtful("answers the content with 354, as if it were still to come", "354 Go ahead", over_tls=False),
]

BDATS = [
    Fault(
        what="answers BDAT with 502, although it has accepted it before", says=(Says("BDAT", "502 5.5.1 What"),),
        modes=BY_BDAT, error=ContentRefused, stage=CONTENT, code=502, again=Again.NO, **nobody(REFUSED),
    ),
    Fault(
        what="answers BDAT with 451", says=(Says("BDAT", "451 4.3.0 Later"),), modes=BY_BDAT, error=ContentRefused,
        stage=CONTENT, code=451, again=DELIVERED, **nobody(REFUSED),
    ),
    Fault(
        what="answers BDAT with 354, as if it were DATA", says=(Says("BDAT", "354 Go ahead"),), modes=BY_BDAT,
        error=OutcomeUnknown, stage=CONTENT, again=Again.NO, **nobody(UNKNOWN),
    ),
    Fault(
        what="closes at BDAT", says=(Says("BDAT", CLOSE),), modes=BY_BDAT, error=OutcomeUnknown, stage=CONTENT,
        again=Again.NO, over_tls=True, **nobody(UNKNOWN),
    ),
]  # fmt: skip

CONTRADICTIONS = [
    Fault(
        what="refuses the content and accepts it: 550 and 250",
        says=(Says(".", b"550 5.7.1 No\r\n250 2.0.0 Queued\r\n"),),
        error=OutcomeUnknown, stage=CONTENT, again=Again.NO, **nobody(UNKNOWN),
    ),
]  # fmt: skip

EARLY = [
    Fault(
        what="acknowledges the message in the middle of the content", says=(Says("CONTENT", "250 2.0.0 Queued"),),
        content=LARGE, error=ProtocolError, stage=CONTENT, again=Again.NO, modes=BY_DATA, over_tls=True,
        **nobody(NOT_SENT),
    ),
]  # fmt: skip

ENDING = [
    Fault(
        what=f"{what}, once the message is acknowledged", says=(Says("QUIT", reply),), modes=ONE_MODE, over_tls=True,
        settings={"timeout": Timeouts(quit=0.2)},
    )
    for what, reply in (
        ("closes at QUIT", CLOSE), ("resets the connection at QUIT", RESET), ("never answers QUIT", SILENCE),
        ("answers QUIT with 500", "500 5.5.1 What?"), ("answers QUIT with garbage", b"\0\r\n"),
        ("answers QUIT with one endless line", itertools.repeat(b"x" * 65536)),
    )
]  # fmt: skip

CONTENT_FAULTS = [*REFUSALS, *HALFWAY, *EARLY, *DOUBTS, *CONTRADICTIONS, *BDATS, *ENDING]
