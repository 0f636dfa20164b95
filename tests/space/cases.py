"""The space, enumerated: each reply at each stage, by flow, connection and way of sending."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import cycle, product

from tests.space.server import GARBAGE, NONE, ODD, SILENT, Quirks, Rule, Stage, Then

ATTEMPTS = 2
WINDOW = 4
"""``Pipelining(max_in_flight=…)``: how many messages a cut connection may leave in doubt."""


class Flow(StrEnum):
    """What the server offers, and so how the client talks."""

    STEP = "step"
    """One command at a time."""
    GROUPED = "grouped"
    """PIPELINING: MAIL, RCPT and DATA in one group (RFC 2920)."""
    BDAT = "bdat"
    """PIPELINING and CHUNKING: whole messages behind one another (RFC 3030)."""

    @property
    def keywords(self) -> tuple[str, ...]:
        """What EHLO offers."""
        offers = {Flow.STEP: (), Flow.GROUPED: ("PIPELINING",), Flow.BDAT: ("PIPELINING", "CHUNKING")}
        return ("8BITMIME", "ENHANCEDSTATUSCODES", *offers[self])

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that a transaction has."""
        content = (Stage.BDAT,) if self is Flow.BDAT else (Stage.DATA, Stage.END)
        return (Stage.RSET, Stage.MAIL, Stage.RCPT_ONE, Stage.RCPT_ALL, *content)


class Sending(StrEnum):
    """How the messages are handed to the session."""

    SEND = "send"
    MANY = "send_many"
    SHARED = "shared"
    """``send`` by several threads or tasks at once."""
    OUTBOX = "outbox"
    """Mode ``async``."""


@dataclass(frozen=True)
class Case:
    """One point of the space. Message 0 warms a kept connection; ``1 … count`` are the run; ``count + 1`` comes after
    it, to show that the session goes on."""

    flow: Flow
    sending: Sending
    count: int
    is_kept: bool
    rules: tuple[Rule, ...]
    unwanted: frozenset[int] = frozenset()
    """Messages whose recipients are all refused (550), so that RSET is due behind them."""
    quirks: Quirks = NONE

    @property
    def messages(self) -> range:
        """The numbers of the run."""
        return range(1, self.count + 1)

    @property
    def loses_replies(self) -> bool:
        """Whether the client reads fewer replies than commands were answered."""
        return any(rule.then is Then.BARE for rule in self.rules)

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """With those that refuse what is unwanted."""
        nobody = (Rule(Stage.RCPT_ALL, number, "550 5.1.1 nobody here", times=None) for number in sorted(self.unwanted))
        return (*self.rules, *nobody)

    def __str__(self) -> str:
        where = "kept" if self.is_kept else "new"
        rules = " + ".join(map(str, self.rules))
        return f"{self.flow}, {self.sending} of {self.count}, {where}: {self.quirks}{rules}"


POSITIVE = ("250 2.0.0 fine", "251 2.1.5 forwarded", "252 2.0.0 perhaps")
INTERMEDIATE = ("354 go ahead", "334 VXNlcm5hbWU6")
TEMPORARY = (
    "432 4.3.2 concurrent connections exceeded",
    "450 4.2.0 greylisted",
    "450 4.7.1 client host rejected",
    "450 busy",
    "451 local error",
    "451 4.3.0 temporary lookup failure",
    "451 4.4.2 timeout waiting for data",
    "451 4.5.3 too many recipients",
    "451 4.7.0 too much mail",
    "451 4.7.500 server busy",
    "452 insufficient storage",
    "452 4.2.2 mailbox full",
    "452 4.3.1 disk full",
    "452 4.5.3 too many recipients",
    "455 unable to accommodate parameters",
)
PERMANENT = (
    "500 what",
    "501 5.5.4 syntax error in parameters",
    "502 not implemented",
    "502 5.7.0 account not yet activated",
    "503 bad sequence",
    "503 5.5.1 bad sequence of commands",
    "503 5.7.1 not wanted here",
    "504 5.5.4 parameter not implemented",
    "521 5.3.2 takes no mail",
    "530 5.7.0 authentication required",
    "535 5.7.8 authentication failed",
    "550 no such user",
    "550 5.7.1 rejected",
    "550 5.7.1 rejected by our content pipeline",
    "551 5.1.6 user not local",
    "552 5.2.2 mailbox full",
    "552 5.3.4 too big",
    "553 5.1.3 bad address",
    "554 transaction failed",
    "554 5.5.1 no valid recipients",
    "554 5.6.0 virus",
    "555 parameters not recognised",
    "556 5.1.10 domain takes no mail",
)
FAREWELL = "421 4.3.2 closing down"
CLOSING = ("250 2.0.0 fine", "450 4.2.0 greylisted", "451 4.4.2 timeout waiting for data", "550 5.7.1 rejected",
           "554 5.5.1 no valid recipients", FAREWELL)  # fmt: skip
"""After these the server may close the connection."""


def answers(stage: Stage, message: int) -> Iterator[Rule]:
    """Every answer at one stage, once in the life of the message."""
    for reply in (*POSITIVE, *INTERMEDIATE, *TEMPORARY, *PERMANENT, GARBAGE):
        if not (reply.startswith("354") and stage is Stage.DATA):
            yield Rule(stage, message, reply)
    yield Rule(stage, message, FAREWELL)
    yield Rule(stage, message, FAREWELL, Then.REFUSE)
    for reply in (SILENT, *CLOSING):
        yield Rule(stage, message, reply, Then.CLOSE)
    for reply in (SILENT, FAREWELL, "250 2.0.0 fine"):
        yield Rule(stage, message, reply, Then.RESET)
    if stage in (Stage.END, Stage.BDAT):
        for reply in ("450 4.2.0 greylisted", "550 5.7.1 rejected", "554 5.6.0 virus", "452 4.3.1 disk full"):
            yield Rule(stage, message, reply, keeps=True)
        yield Rule(stage, message, SILENT, Then.CLOSE, stores=True)
        yield Rule(stage, message, SILENT, Then.RESET, stores=True)
        yield Rule(stage, message, GARBAGE, stores=True)
        yield Rule(stage, message, "354 go ahead", stores=True)


def odd_answers(stage: Stage, message: int) -> Iterator[Rule]:
    """Answers out of order, or with the line end of no reply; and half of a connection that is closed. Once each."""
    replies = ("250 2.0.0 fine", "450 4.2.0 greylisted", "550 5.7.1 rejected", "354 go ahead")
    for reply, then in product(replies, ODD):
        if reply.startswith("354") is (stage is Stage.DATA):
            yield Rule(stage, message, reply, then)
    for then in (Then.MUTE, Then.DEAF):
        yield Rule(stage, message, SILENT, then)


MANNERS = (
    Quirks(piece=1),
    Quirks(piece=7),
    Quirks(cut=1),
    Quirks(lines=200),
    Quirks(lines=20, width=3000),
    Quirks(mark="\rand more"),
    Quirks(ending="\n"),
    Quirks(ending="\r\r\n"),
    Quirks(offers_less=True, max_messages=2),
)
"""In which form replies may come. None of it does any harm."""


PLACES: tuple[tuple[Sending, int, bool, int], ...] = (
    (Sending.SEND, 1, False, 1),
    (Sending.SEND, 1, True, 1),
    (Sending.MANY, 6, False, 1),
    (Sending.MANY, 6, True, 1),
    (Sending.MANY, 6, False, 3),
    (Sending.MANY, 6, True, 6),
    (Sending.SHARED, 8, True, 4),
    (Sending.OUTBOX, 3, False, 2),
)
"""How messages are sent, how many, whether over a kept connection, and which of them the rule strikes."""


def cases(flow: Flow, stage: Stage, sending: Sending, share: int = 1) -> Iterator[Case]:
    """One part of the space, or every ``share``-th case of it. Which ones differs from place to place, so that with a
    ``share`` of up to eight each answer is tried at each stage of each flow, once and always, somewhere."""
    for place, (how, count, is_kept, at) in enumerate(PLACES):
        if how is not sending:
            continue
        # RSET is due behind a message that nobody may have. A lone one is followed by the one after the run.
        unwanted = frozenset({at}) if stage is Stage.RSET else frozenset[int]()
        rules = [replace(rule, times=times) for rule in answers(stage, at) for times in (1, None)]
        for rule in rules[place % share :: share]:
            yield Case(flow, sending, count, is_kept, (rule,), unwanted)


def odd_cases(flow: Flow, stage: Stage, sending: Sending, share: int = 1) -> Iterator[Case]:
    """The same with answers that no server should give."""
    for place, (how, count, is_kept, at) in enumerate(PLACES):
        if how is sending:
            unwanted = frozenset({at}) if stage is Stage.RSET else frozenset[int]()
            for rule in list(odd_answers(stage, at))[place % share :: share]:
                yield Case(flow, sending, count, is_kept, (rule,), unwanted)


def in_all_manners(cases: Iterable[Case]) -> Iterator[Case]:
    """Each case, with one form of replies after the other."""
    for case, quirks in zip(cases, cycle(MANNERS), strict=False):
        yield replace(case, quirks=quirks)
