"""Faults of connections that have carried a message before: idle ones that the server has given up, limits, and what a
server does with commands that come in groups."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from tests.faults.table import (
    BY_BDAT,
    EVERY_MODE,
    NOT_SENT,
    REFUSED,
    Again,
    Fault,
    Mode,
    Says,
    nobody,
)
from wlsmtp import DeadlineExceeded, PoolLimits, SenderRefused, Stage, Timeouts
from wlsmtp.testing import CLOSE, RESET, SILENCE, SMTPServer


def idle(what: str, *says: Says, **more: Any) -> Fault:
    """A kept connection that is replaced, and nobody notices: one try, delivered once."""
    return Fault(what=what, says=says, kept=True, over_tls=True, **more)


class Leaves:
    """The server acknowledges the message before, and then does what nobody asked for; ``event`` is set after it."""

    def __init__(self, *parts: bytes | str) -> None:
        self._parts = parts
        self.event = threading.Event()

    def __iter__(self) -> Iterator[bytes | str]:
        try:
            yield b"250 2.0.0 Queued\r\n"
            yield from self._parts
        finally:
            self.event.set()


KEPT = [
    idle("has closed the idle connection", does=SMTPServer.drop_connections),
    idle("closes the kept connection at MAIL", Says("MAIL", CLOSE), doubtful=BY_BDAT),
    idle("resets the kept connection at MAIL", Says("MAIL", RESET), doubtful=BY_BDAT),
    idle("answers MAIL over the kept connection with 421, and closes it", Says("MAIL", ("421 4.4.2 Idle", CLOSE))),
    idle("answers MAIL over the kept connection with 451 4.4.2, as Amazon SES does", Says("MAIL", "451 4.4.2 Idle")),
    Fault(
        what="has silently dropped the idle connection", says=(Says("MAIL", SILENCE),), kept=True, doubtful=BY_BDAT,
        settings={"timeout": Timeouts(command=0.4)}, error=DeadlineExceeded, stage=Stage.MAIL, again=Again.DELIVERED,
        **nobody(NOT_SENT),
    ),
    Fault(
        what="answers MAIL with 451 4.4.2 over the kept connection, and over the new one too", kept=True,
        says=(Says("MAIL", "451 4.4.2 Idle", 2),), error=SenderRefused, stage=Stage.MAIL, code=451,
        again=Again.DELIVERED, **nobody(REFUSED),
    ),
    Fault(
        what="answers MAIL with 421 over the kept connection, and over the new one too", kept=True,
        says=(Says("MAIL", ("421 4.3.2 Closing", CLOSE), 2),), error=SenderRefused, stage=Stage.MAIL, code=421,
        again=Again.DELIVERED, **nobody(REFUSED),
    ),
    Fault(
        what="answers MAIL over the kept connection with 421, and stays", says=(Says("MAIL", "421 4.7.0 Enough"),),
        kept=True,
    ),
    Fault(
        what="answers MAIL over the kept connection with 451", says=(Says("MAIL", "451 4.3.0 Later"),), kept=True,
        error=SenderRefused, stage=Stage.MAIL, code=451, again=Again.DELIVERED, **nobody(REFUSED),
    ),
    Fault(
        what="takes one message a connection, and does not say so", says=(Says("MAIL", ("421 4.7.0 Enough", CLOSE)),),
        kept=True, settings={"pool": PoolLimits(max_messages=None)},
    ),
]  # fmt: skip

LEFT_BEHIND = [
    Fault(what=f"has left {what} on the idle connection", kept=True, leaves=reply,
          over_tls=True)
    for what, reply in (
        ("a 421 and its end", (b"421 4.4.2 Idle\r\n", CLOSE)),
        ("a 421", (b"421 4.4.2 Idle\r\n",)),
        ("a reply to nothing", (b"250 2.0.0 Ok\r\n",)),
        ("half a line", (b"250-",)),
        ("garbage", (b"\0\xff",)),
    )
]  # fmt: skip

GROUPS = [
    Fault(
        what="offers PIPELINING and answers a group with 503", says=(Says("GROUP", "503 5.5.1 No pipelining", None),),
        modes=(Mode.PIPELINING,),
    ),
    Fault(
        what="offers PIPELINING and finds one RCPT out of order, but takes the message for the other",
        says=(Says("RCPT", "503 5.5.1 Bad sequence"),), modes=(Mode.PIPELINING,),
    ),
    Fault(
        what="offers PIPELINING and finds all RCPTs out of order", says=(Says("RCPT", "503 5.5.1 Bad sequence", 2),),
        modes=(Mode.PIPELINING,),
    ),
]  # fmt: skip

CUT = [
    Fault(what=f"sends its replies {what}", options={"cut": size}, over_tls=True, modes=EVERY_MODE)
    for what, size in (("an octet at a time", 1), ("seven octets at a time", 7))
]

TARPIT = [Fault(what="takes its time before it hears anything (a tarpit)", options={"pace": 0.03}, over_tls=True)]

KEEPING = [*KEPT, *LEFT_BEHIND, *GROUPS, *CUT, *TARPIT]
