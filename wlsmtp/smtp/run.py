"""Messages of the usual kind that were sent together.

Nearly every message of a stream is like the one before: in memory, in 7 bit, without options, to a server that is known
to read one whole message behind another. Those of one write are a ``Run``: as long as the server accepts each of them,
the run pairs their replies and has their outcomes. Anything else spreads it: each message that has no outcome becomes a
transaction of its own, as if it had always been one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import Stage
from wlsmtp.results.accepted import accepted_outcome
from wlsmtp.results.reply import reply_of
from wlsmtp.smtp.expectation import Expectation
from wlsmtp.smtp.plan import PIPELINED_BDAT, Flow, Plan, stages_of
from wlsmtp.smtp.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.message.mail import Mail
    from wlsmtp.receipt import Outcome
    from wlsmtp.results.secured import TLSInfo
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.probes import ChunkProbe
    from wlsmtp.smtp.wording import Wording

_CONTENT = Stage.CONTENT


class Run(Expectation):
    """Messages that were sent one behind the other, each whole, in one write or several.

    Each has as many replies as ``stages``. A message's place in ``mails`` is that of its outcome in ``outcomes``, of
    its octets in ``pieces`` (two each: commands, content) and of its replies in ``lines``. Nothing moves, so that an
    interrupt leaves nothing half moved.
    """

    __slots__ = (
        "_begins_at",
        "_server",
        "deadlines",
        "given",
        "mails",
        "octets",
        "outcomes",
        "pieces",
        "seen",
        "tls",
        "transactions",
    )

    is_trial = is_suspect = wants_writer = False
    is_fully_queued = by_bdat = True

    def __init__(self, tls: TLSInfo | None, deadlines: Deadlines) -> None:
        """``tls`` is the security of the connection that will carry its messages."""
        super().__init__(())
        self.mails: list[Mail] = []
        self.deadlines: Deadlines = deadlines
        self.tls: TLSInfo | None = tls
        self.lines: list[bytes] = []  # pyright: ignore[reportIncompatibleVariableOverride]
        self.pieces: list[bytes] = []
        self.outcomes: list[Outcome] = []
        """The outcomes of the first messages, all accepted. It only grows."""
        self.transactions: list[PlainTransaction] = []
        """Those of the messages behind them, once it was spread. It has no more outcomes then."""
        self.octets: int = 0
        """Octets of content of the messages without an outcome."""
        self.seen: int = 0
        """Number of outcomes that its owner has counted."""
        self.given: int = 0
        """Number of outcomes that its owner has returned."""

    def begin(
        self, mails: list[Mail], pieces: list[bytes], recipients: int, octets: int, server: str, begins_at: int
    ) -> None:
        """Note that these messages, each with so many ``recipients``, and ``octets`` of content in all, are queued on a
        link from octet ``begins_at`` on."""
        self._server, self._begins_at, self.octets = server, begins_at, octets
        self.stages = stages_of(recipients, _CONTENT, True)
        self.left = len(mails) * len(self.stages)
        self.mails, self.pieces = mails, pieces

    @property
    def outcome(self) -> Outcome | None:
        """The first outcome that was not returned yet."""
        return self.outcomes[self.given] if len(self.outcomes) > self.given else None

    @property
    def is_settled(self) -> bool:
        """True if there is anything new for its owner."""
        return len(self.outcomes) > self.seen or bool(self.transactions)

    @property
    def is_answered(self) -> bool:
        """True if all replies have come."""
        return not self.left

    @property
    def waits(self) -> bool:
        """True if nothing is to be done before more replies come."""
        whole = (len(self.outcomes) + 1) * len(self.stages)
        return self.open > 0 and not self.transactions and len(self.lines) < whole

    @property
    def open(self) -> int:
        """Number of messages without an outcome."""
        return len(self.mails) - len(self.outcomes)

    @property
    def stage(self) -> Stage:
        """The stage that the next reply answers."""
        return self.stages[-(self.left % len(self.stages))]

    def take(self, lines: list[bytes], place: int) -> int:
        """Pair the lines of positive replies from ``place`` on, as ``Expectation.take``, also with a part of the
        messages. Once it was spread, its ``parts`` take them."""
        if self.transactions:
            return 0
        taken = lines[place : place + self.left]
        self.lines.extend(taken)
        self.left -= len(taken)
        return len(taken)

    def settle(self, wording: Wording) -> bool:
        """Set the outcomes of the messages that were answered. Return False if it was spread, or a reply has other
        words than those to accepted content: ``Transaction.conclude`` says what that means."""
        if self.transactions:
            return False
        done, replies = len(self.outcomes), len(self.stages)
        finals = self.lines[(done + 1) * replies - 1 :: replies]
        if finals:
            # If the least and the greatest begin with the same octets, all others do.
            compared, start = wording.compared, wording.content_start
            if min(finals)[compared] != start or max(finals)[compared] != start:
                return False
        tls, mails = self.tls, self.mails[done:]
        self.outcomes += [
            accepted_outcome(mail.envelope.plain_to or mail.envelope.addresses, line, tls)
            for mail, line in zip(mails, finals, strict=False)
        ]
        settled = self.pieces[2 * done + 1 : 2 * len(self.outcomes) : 2]
        self.octets = self.octets - sum(map(len, settled)) if self.open else 0  # seldom in parts
        return True

    def record_known(self) -> None:
        """Store the outcomes that were not returned in the mails."""
        for mail, outcome in zip(self.mails[self.given :], self.outcomes[self.given :], strict=False):
            mail.known = outcome

    def spread(self) -> list[PlainTransaction]:
        """Return a transaction for each message without an outcome, always the same ones."""
        if not self.transactions:
            self.transactions = [self._transaction(place) for place in range(len(self.outcomes), len(self.mails))]
        return self.transactions

    def _transaction(self, place: int) -> PlainTransaction:
        mail, replies = self.mails[place], len(self.stages)
        end_at = self._begins_at + sum(map(len, self.pieces[: 2 * place + 2]))
        lines = self.lines[place * replies : (place + 1) * replies]
        return PlainTransaction(mail.envelope, mail.content, self._server, self.stages, end_at, lines)

    def parts(self) -> Sequence[Expectation]:
        """Return a place for the replies to each message that still lacks any, as ``Expectation.parts``."""
        return [transaction for transaction in self.spread() if transaction.left]


class PlainTransaction(Transaction):
    """A transaction of the usual kind, sent whole behind others. What is the same for all of them belongs to the
    class."""

    __slots__ = ("content", "envelope", "server", "size")

    flow: Flow | None = PIPELINED_BDAT
    by_bdat: bool = True
    with_reset: bool = True
    is_fully_queued: bool = True
    follows: bool | None = True
    is_suspect: bool = False
    wants_writer: bool = False
    has_surplus: bool = False
    _was_all_accepted = False
    probe: ChunkProbe | None = None
    chunks: list[Expectation] = []  # noqa: RUF012 - stays empty, as the content is sent with its envelope

    def __init__(
        self,
        envelope: Envelope,
        content: Content,
        server: str,
        stages: tuple[Stage, ...],
        end_at: int,
        lines: Sequence[bytes],
    ) -> None:
        """``lines`` are the positive replies that have come."""
        Expectation.__init__(self, stages)
        self.envelope: Envelope = envelope
        self.content: Content = content
        self.size: int = content.size  # pyright: ignore[reportIncompatibleMethodOverride]
        self.server: str = server
        self.end_at: int | None = end_at
        self.outcome = None
        self.left = len(stages) - len(lines)
        if self.left:
            self._replies = list(map(reply_of, lines))
        else:
            self.lines = lines

    @property
    def plan(self) -> Plan:  # type: ignore[override]
        """The plan that it follows."""
        return Plan(self.envelope, self.envelope.mail_line, self.content, server=self.server)
