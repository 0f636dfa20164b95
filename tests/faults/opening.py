"""Faults of the opening: the connection, the greeting, EHLO."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from tests.faults.table import NOT_SENT, ONE_MODE, QUICK, Again, Fault, Says, nobody
from wlsmtp import CommandRefused, ConnectionFailed, DeadlineExceeded, ProtocolError, SMTPError, Stage
from wlsmtp.testing import CLOSE, RESET, SILENCE
from wlsmtp.testing.conversation import Scripted


class Drip:
    """Octets without end, one every now and then: each read gets something, and the reply never comes."""

    def __init__(self, start: bytes) -> None:
        self._start = start

    def __iter__(self) -> Iterator[bytes]:
        yield self._start
        while True:
            time.sleep(0.05)
            yield b"x"


ENDLESS_LINE = itertools.repeat(b"250 " + b"x" * 65536)
ENDLESS_LINES = itertools.repeat(b"250-x\r\n" * 10_000)
MANY_LINES = b"250-x\r\n" * 10_000 + b"250 x\r\n"
TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x46"


def at(
    what: str, stage: Stage, reply: Scripted, error: type[SMTPError] | None, again: Again = Again.NO,
    *, code: int | None = None, hint: str | None = None, quick: bool = False, over_tls: bool = False,
) -> Fault:  # fmt: skip
    """A fault of the greeting or of EHLO: nothing of the message was said."""
    return Fault(
        what=what, says=(Says("CONNECT" if stage is Stage.GREETING else "EHLO", reply),), modes=ONE_MODE,
        settings={"timeout": QUICK} if quick else {}, over_tls=over_tls,
        error=error, stage=stage if error else None, code=code, hint=hint,
        again=again if error else Again.NEEDLESS, never=("MAIL",) if error else (),
        **nobody(NOT_SENT) if error else {},
    )  # fmt: skip


DELIVERED = Again.DELIVERED
GREETING, EHLO = Stage.GREETING, Stage.EHLO

GREETINGS = [
    at("greets with 421", GREETING, "421 4.3.2 Busy", CommandRefused, DELIVERED, code=421),
    at("greets with 421 and closes", GREETING, ("421 4.3.2 Busy", CLOSE), CommandRefused, DELIVERED, code=421),
    at("greets with 450", GREETING, "450 4.7.1 Come back", CommandRefused, DELIVERED, code=450),
    at("greets with 499, which no standard knows", GREETING, "499 Hm", CommandRefused, DELIVERED, code=499),
    at("greets with 554", GREETING, "554 5.7.1 Not you", CommandRefused, code=554),
    at("greets with 334", GREETING, "334 Password?", ProtocolError, code=334),
    at("greets with 354", GREETING, "354 Go ahead", ProtocolError, code=354),
    at("greets with 199", GREETING, b"199 Hm\r\n", ProtocolError),
    at("greets with 600", GREETING, b"600 Hm\r\n", ProtocolError),
    at("closes instead of greeting", GREETING, CLOSE, ConnectionFailed, DELIVERED, over_tls=True),
    at("resets the connection instead of greeting", GREETING, RESET, ConnectionFailed, DELIVERED, over_tls=True),
    at("closes in the middle of the greeting", GREETING, (b"220-hel", CLOSE), ConnectionFailed, DELIVERED),
    at("never greets", GREETING, SILENCE, DeadlineExceeded, DELIVERED, quick=True, over_tls=True),
    at("greets an octet at a time, without end", GREETING, Drip(b"220 "), DeadlineExceeded, DELIVERED, quick=True),
    at("greets line after line, without end", GREETING, ENDLESS_LINES, ProtocolError),
    at("greets with one endless line", GREETING, ENDLESS_LINE, ProtocolError, over_tls=True),
    at("speaks HTTP", GREETING, b"HTTP/1.1 400 Bad Request\r\n\r\n", ProtocolError, hint="web server"),
    at("speaks IMAP", GREETING, b"* OK ready\r\n", ProtocolError, hint="IMAP"),
    at("speaks TLS", GREETING, TLS_ALERT, ProtocolError, hint="security='ssl'"),
    at("greets, and answers what was not asked", GREETING, b"220 hi\r\n250 hi\r\n", None),
    at("greets twice", GREETING, b"220 hi\r\n220 hi\r\n", None),
    at("greets, and answers twice what was not asked", GREETING, b"220 hi\r\n250 hi\r\n250 hi\r\n", ProtocolError),
    Fault(
        what="greets twice, and never answers EHLO",
        modes=ONE_MODE,
        says=(Says("CONNECT", b"220 hi\r\n220 hi\r\n"), Says("EHLO", b"")),
        error=ProtocolError,
        stage=Stage.GREETING,
        code=220,
        again=Again.NO,
        never=("MAIL",),
        **nobody(NOT_SENT),
    ),
    at("greets in three lines", GREETING, b"220-a\r\n220-b\r\n220 c\r\n", None),
    at("greets with bare line feeds", GREETING, b"220-a\n220 b\n", None),
    at("greets with nothing but the code", GREETING, b"220\r\n", None),
    at("greets with NUL and octets that are no text", GREETING, b"220 \0\xff\xfe\x1b[2J\r\n", None),
]

INTRODUCTIONS = [
    at("answers EHLO with 421", EHLO, ("421 4.3.2 Bye", CLOSE), CommandRefused, DELIVERED, code=421),
    at("answers EHLO with 451", EHLO, "451 4.3.0 Later", CommandRefused, DELIVERED, code=451),
    at("answers EHLO with 500, and HELO as it should", EHLO, "500 5.5.1 Unknown", None),
    Fault(
        what="answers EHLO and HELO with 550", says=(Says("EHLO", "550 No"), Says("HELO", "550 No")), modes=ONE_MODE,
        error=CommandRefused, stage=EHLO, code=550, hint="local_hostname", again=Again.NO, never=("MAIL",),
        **nobody(NOT_SENT),
    ),
    at("answers EHLO with 354", EHLO, "354 Go ahead", ProtocolError, code=354),
    at("answers EHLO with 199", EHLO, b"199 Hm\r\n", ProtocolError),
    at("answers EHLO with 600", EHLO, b"600 Hm\r\n", ProtocolError),
    Fault(
        what="answers EHLO with 500, and HELO with 354", says=(Says("EHLO", "500 No"), Says("HELO", "354 Go ahead")),
        modes=ONE_MODE, error=ProtocolError, stage=EHLO, code=354, again=Again.NO, never=("MAIL",),
        **nobody(NOT_SENT),
    ),
    at("closes at EHLO", EHLO, CLOSE, ConnectionFailed, DELIVERED, over_tls=True),
    at("resets the connection at EHLO", EHLO, RESET, ConnectionFailed, DELIVERED, over_tls=True),
    at("closes in the middle of its answer to EHLO", EHLO, (b"250-hi\r\n250-PIPE", CLOSE), ConnectionFailed,
       DELIVERED),
    at("never answers EHLO", EHLO, SILENCE, DeadlineExceeded, DELIVERED, quick=True),
    at("answers EHLO an octet at a time, without end", EHLO, Drip(b"250-"), DeadlineExceeded, DELIVERED, quick=True),
    at("changes the code inside its answer to EHLO", EHLO, b"250-hi\r\n251 PIPELINING\r\n", ProtocolError),
    at("answers EHLO with 10,000 lines", EHLO, MANY_LINES, ProtocolError),
    at("answers EHLO with one endless line", EHLO, ENDLESS_LINE, ProtocolError),
    at("answers EHLO twice", EHLO, b"250 hi\r\n250 hi\r\n", ProtocolError),
    at("answers EHLO with nothing but the code", EHLO, "250", None),
    at("answers EHLO with extensions nobody has heard of", EHLO, "250-hi\r\n250-X-\udcff 1\r\n250-=\r\n250 ", None),
]  # fmt: skip

OPENING = [*GREETINGS, *INTRODUCTIONS]
