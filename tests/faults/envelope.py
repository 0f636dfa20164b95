"""Faults of MAIL, RCPT and DATA: the message is certainly not sent to those who are not accepted."""

from __future__ import annotations

from typing import Any

from tests.faults.table import (
    ACCEPTED,
    BOB,
    BY_BDAT,
    BY_DATA,
    CLEO,
    NOT_SENT,
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
    RecipientsRefused,
    SenderRefused,
    SMTPError,
    Stage,
    Timeouts,
)
from wlsmtp.testing import CLOSE, HEAR, RESET, SILENCE
from wlsmtp.testing.conversation import Scripted

DELIVERED, REST = Again.DELIVERED, Again.THE_REST
MAIL, RCPT, DATA = Stage.MAIL, Stage.RCPT, Stage.DATA
TO_BOB, TO_CLEO = f"RCPT <{BOB}>", f"RCPT <{CLEO}>"


def refused(what: str, reply: Scripted, code: int, again: Again = Again.NO) -> Fault:
    """The sender is refused, and so are all recipients."""
    return Fault(
        what=what, says=(Says("MAIL", reply),), error=SenderRefused, stage=MAIL, code=code, again=again,
        **nobody(REFUSED),
    )  # fmt: skip


def lost(what: str, stage: Stage, reply: Scripted, error: Any = ConnectionFailed, **more: Any) -> Fault:
    """The connection is lost, or nobody speaks any more, before the end of the content was said or while it was."""
    verb = TO_CLEO if stage is RCPT else str(stage)
    row = {"doubtful": BY_BDAT, "again": DELIVERED, "over_tls": True, **nobody(NOT_SENT), **more}
    return Fault(what=what, says=(Says(verb, reply),), error=error, stage=stage, **row)


SENDERS = [
    refused("answers MAIL with 450", "450 4.1.8 Later", 450, DELIVERED),
    refused("answers MAIL with 452", "452 4.3.1 Disk full", 452, DELIVERED),
    refused("answers MAIL with 421 and closes", ("421 4.7.0 Closing", CLOSE), 421, DELIVERED),
    refused("answers MAIL with 430, which no standard knows", "430 Hm", 430, DELIVERED),
    refused("answers MAIL with 550", "550 5.7.1 Not you", 550),
    refused("answers MAIL with 552: too big", "552 5.3.4 Too big", 552),
    refused("answers MAIL with 530: log in first", "530 5.7.0 Authentication required", 530),
    refused("answers MAIL with 599, which no standard knows", "599 Hm", 599),
    Fault(what="answers MAIL with 299, which no standard knows", says=(Says("MAIL", "299 Fine"),)),
    lost("closes at MAIL", MAIL, CLOSE),
    lost("resets the connection at MAIL", MAIL, RESET),
    lost("closes in the middle of the reply to MAIL", MAIL, (b"250 2.1.0 O", CLOSE)),
    lost("never answers MAIL", MAIL, SILENCE, DeadlineExceeded, settings={"timeout": Timeouts(command=0.4)}),
    lost("answers MAIL with garbage", MAIL, b"\0\1\2\r\n", ProtocolError, again=Again.NO),
    lost("answers MAIL with one endless line", MAIL, b"250 " + b"x" * 100_000, ProtocolError, again=Again.NO),
    lost("answers MAIL with 10,000 lines", MAIL, b"250-x\r\n" * 10_000 + b"250 x\r\n", ProtocolError, again=Again.NO),
    lost("answers MAIL with 354, as if it were DATA", MAIL, "354 Go ahead", ProtocolError, again=Again.NO,
         modes=BY_DATA, over_tls=False),
    lost("answers MAIL twice", MAIL, b"250 a\r\n250 b\r\n", ProtocolError, again=Again.NO, modes=(Mode.PLAIN,),
         over_tls=False),
]  # fmt: skip


def some(what: str, reply: Scripted, again: Again, code: int | None = None, **more: Any) -> Fault:
    """Cleo is refused; bob gets the message."""
    return Fault(
        what=what, says=(Says(TO_CLEO, reply),), error=RecipientsRefused, stage=RCPT, code=code, bob=ACCEPTED,
        cleo=REFUSED, again=again, **more,
    )  # fmt: skip


def everybody(what: str, reply_to_bob: str, reply_to_cleo: str, again: Again, code: int, **more: Any) -> Fault:
    """Both are refused."""
    return Fault(
        what=what, says=(Says(TO_BOB, reply_to_bob), Says(TO_CLEO, reply_to_cleo), *more.pop("says", ())),
        error=RecipientsRefused, stage=RCPT, code=code, again=again, **nobody(REFUSED), **more,
    )  # fmt: skip


RECIPIENTS = [
    some("refuses one recipient with 550", "550 5.1.1 Unknown", Again.NO, 550),
    some("greylists one recipient: 451", "451 4.7.1 Greylisted", REST, 451),
    Fault(what="takes one recipient at a time: 452", says=(Says(TO_CLEO, "452 4.5.3 Too many recipients"),)),
    some("answers one RCPT with 498, which no standard knows", "498 Hm", REST, 498),
    Fault(what="answers RCPT with 251, 254", says=(Says(TO_BOB, "251 Forwarded"), Says(TO_CLEO, "254 Fine"))),
    everybody("refuses all recipients with 550", "550 5.1.1 Unknown", "550 5.1.1 Unknown", Again.NO, 550),
    everybody("greylists all recipients", "451 4.7.1 Later", "451 4.7.1 Later", DELIVERED, 451),
    everybody("refuses one recipient permanently, and the other for now", "550 5.1.1 No", "450 4.2.1 Later", REST, 450),
    everybody("says 354 although all recipients were refused", "550 5.1.1 No", "550 5.1.1 No", Again.NO, 550,
              says=(Says("DATA", ("354 Go ahead", HEAR, "554 5.5.1 No valid recipients")),), modes=(Mode.PIPELINING,)),
    Fault(
        what="refuses one recipient, and the session wants all or nothing", says=(Says(TO_CLEO, "550 5.1.1 No"),),
        settings={"partial": "abort"}, error=RecipientsRefused, stage=RCPT, code=550, bob=NOT_SENT, cleo=REFUSED,
        again=Again.NO,
    ),
    Fault(
        what="greylists one recipient, and the session wants all or nothing", says=(Says(TO_CLEO, "451 4.7.1 Later"),),
        settings={"partial": "abort"}, error=RecipientsRefused, stage=RCPT, code=451, bob=NOT_SENT, cleo=REFUSED,
        again=DELIVERED,
    ),
    Fault(
        what="refuses one recipient permanently and one for now, and the session wants all or nothing",
        says=(Says(TO_BOB, "550 5.1.1 No"), Says(TO_CLEO, "451 4.7.1 Later")), settings={"partial": "abort"},
        error=RecipientsRefused, stage=RCPT, again=Again.NO, **nobody(REFUSED),
    ),
    Fault(
        what="answers the second RCPT with 421, and closes before the content",
        says=(Says(TO_CLEO, ("421 4.3.2 Closing", CLOSE)),), modes=BY_DATA, error=ConnectionFailed, stage=DATA,
        bob=NOT_SENT, cleo=REFUSED, again=DELIVERED,
    ),
    Fault(
        what="answers the second RCPT with 421, and closes when the content is there",
        says=(Says(TO_CLEO, ("421 4.3.2 Closing", CLOSE)),), modes=BY_BDAT, error=OutcomeUnknown, stage=Stage.CONTENT,
        bob=UNKNOWN, cleo=REFUSED, again=REST,
    ),
    Fault(
        what="answers the second RCPT with 421, goes on, stores the message, and closes without a word",
        says=(Says(TO_CLEO, "421 4.3.2 Closing"), Says("STORED", CLOSE)), error=OutcomeUnknown, stage=Stage.CONTENT,
        bob=UNKNOWN, cleo=REFUSED, again=REST,
    ),
    lost("closes at the second RCPT", RCPT, CLOSE),
    lost("resets the connection at the second RCPT", RCPT, RESET),
    lost("never answers the second RCPT", RCPT, SILENCE, DeadlineExceeded, settings={"timeout": Timeouts(command=0.4)}),
    lost("answers the second RCPT with 354, as if it were DATA", RCPT, "354 Go ahead", ProtocolError, again=Again.NO,
         modes=BY_DATA, over_tls=False),
    lost("answers the second RCPT with garbage", RCPT, b"\xff\r\n", ProtocolError, again=Again.NO),
]  # fmt: skip


def data(what: str, reply: Scripted, error: type[SMTPError], again: Again, **more: Any) -> Fault:
    """A fault at DATA, or at BDAT."""
    row = {"error": error, "stage": DATA, "again": again, **nobody(REFUSED), **more}
    return Fault(what=what, says=(Says("DATA", reply),), modes=BY_DATA, **row)


CONTENTS = [
    data("answers DATA with 451", "451 4.3.0 Later", ContentRefused, DELIVERED, code=451),
    data("answers DATA with 421 and closes", ("421 4.3.2 Closing", CLOSE), ContentRefused, DELIVERED, code=421),
    data("answers DATA with 554", "554 5.5.1 No", ContentRefused, Again.NO, code=554),
    data("answers DATA with 250 instead of 354", "250 2.0.0 Ok", ProtocolError, Again.NO, **nobody(NOT_SENT)),
    data("answers DATA with 334, as if it were AUTH", "334 VXNlcm5hbWU6", ProtocolError, Again.NO, **nobody(NOT_SENT)),
    data("acknowledges the message behind the 354", b"354 go\r\n250 2.0.0 Queued\r\n", ProtocolError, Again.NO,
         **nobody(NOT_SENT)),
    data("closes at DATA", CLOSE, ConnectionFailed, DELIVERED, over_tls=True, **nobody(NOT_SENT)),
    data("resets the connection at DATA", RESET, ConnectionFailed, DELIVERED, over_tls=True, **nobody(NOT_SENT)),
    data(
        "never answers DATA", SILENCE, DeadlineExceeded, DELIVERED, settings={"timeout": Timeouts(data=0.4)},
        **nobody(NOT_SENT),
    ),
    data("answers DATA with garbage", b"\xff\r\n", ProtocolError, Again.NO, **nobody(NOT_SENT)),
]  # fmt: skip

ENVELOPE = [*SENDERS, *RECIPIENTS, *CONTENTS]
