"""The messages in flight over one connection, and the usual way in and out.

Nearly every message of a stream is like the one before: in memory, in 7 bit, without options, to a server that is known
to read one whole message behind another. ``Flight.allow`` asks once for all messages of one write whether the
connection and the server are as usual; ``Flight.follow`` then sends each message at once, whole, and
``settle_accepted_locked`` settles those that were answered as usual. All else is left to ``window.py``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, Stage
from wlsmtp.io.order import Rank
from wlsmtp.results.accepted import accepted_outcome
from wlsmtp.smtp import learning
from wlsmtp.smtp.plan import PIPELINED_BDAT, Flow, Plan, stages_of
from wlsmtp.smtp.quirks import PROVEN, UNPROVEN
from wlsmtp.smtp.transaction import ChunkProbe, Transaction, Trial
from wlsmtp.smtp.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.errors import SMTPError
    from wlsmtp.io.base import IO
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.message.mail import Mail
    from wlsmtp.settings.limits import Pipelining
    from wlsmtp.smtp.expectation import Expectation
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.plan import Planner
    from wlsmtp.smtp.quirks import ServerQuirks

_CONTENT = Stage.CONTENT
_STAGES = stages_of(1, _CONTENT, True)


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
    _was_all_accepted = False
    probe: ChunkProbe | None = None
    chunks: list[Expectation] = []  # noqa: RUF012 - stays empty, as the content is sent with its envelope

    def __init__(
        self, envelope: Envelope, content: Content, size: int, server: str, stages: tuple[Stage, ...], end_at: int
    ) -> None:
        self.envelope: Envelope = envelope
        self.content: Content = content
        self.size: int = size  # pyright: ignore[reportIncompatibleMethodOverride]
        self.server: str = server
        self.stages = stages
        self.left: int = len(stages)
        self.not_positive: int = 0
        self.may_grow: bool = False
        self.lines: Sequence[bytes] = ()
        self._replies = []
        self.end_at: int | None = end_at
        self.outcome = None

    @property
    def plan(self) -> Plan:  # type: ignore[override]
        """The plan that it follows."""
        return Plan(self.envelope, self.envelope.mail_line, self.content, server=self.server)

    def settle_if_accepted(self, wording: Wording) -> bool:
        """Set the outcome as ``Transaction.settle_if_accepted``."""
        lines = self.lines
        if not lines:
            return super().settle_if_accepted(wording)
        line = lines[-1]
        if line[wording.compared] != wording.content_start:
            return False  # ``conclude`` raises the error, if it is one
        self.outcome = accepted_outcome(self.envelope.addresses, line)
        return True


class Flight:
    """The transactions in flight over a link."""

    def __init__(self, link: Link, planner: Planner, limits: Pipelining, quirks: ServerQuirks, io: IO) -> None:
        self.link = link
        self._planner = planner
        # Read for each message, which takes long from a model of settings.
        self._max_in_flight, self._max_bytes = limits.max_in_flight, limits.max_bytes
        self._quirks = quirks
        self._open: deque[Transaction | Trial] = deque()
        """Transactions that were sent at least in part and are not settled."""
        self._queued: deque[Transaction] = deque()
        """Transactions that wait until something may follow the last one in ``_open``."""
        self._octets: int = 0
        self.allowance: int = 0
        """How many messages of the usual kind may follow before the next write or read."""
        self.begun: int = 0
        """Number of transactions added."""
        self.settled: int = 0
        """Number of transactions answered in full."""
        self.has_delivered: bool = False
        """True if any message was delivered over this connection."""
        self.must_end: bool = False
        """True if the connection must not carry another message: it exceeds the server's limit, or the server may keep
        an envelope and has no RSET."""
        self._wording = Wording(quirks.wording, planner.offered)
        self._mutex = io.mutex(Rank.WINDOW)

    @property
    def load(self) -> int:
        """Number of transactions in flight or waiting for those."""
        return len(self._open) + len(self._queued)

    def has_room(self, size: int) -> bool:
        """Return whether a message of ``size`` octets may follow those in flight."""
        if self.link.ended or self.link.closing_reply is not None or self.must_end:
            return False
        if (load := len(self._open) + len(self._queued)) == 0:
            return True
        if self.begun == self._quirks.lost_after or (self._open and self._open[-1].is_suspect):
            return False
        if (trust := self._planner.window_trust()) is not PROVEN:
            # Two may wait behind the first: the next content also probes what the server does after content.
            return trust is UNPROVEN and load < 3
        if load >= self._max_in_flight or (self._quirks.window is not None and load >= self._quirks.window):
            return False
        return self._octets + size <= self._max_bytes

    def allow(self, most: int) -> bool:
        """Allow up to ``most`` messages to follow until the next write or read, if the last one in flight, the
        connection and the server are as usual. Return whether any may."""
        with self._mutex:
            self.allowance = 0
            if not self._open or self._queued or self.must_end or not self.link.accepts_commands:
                return False
            last = self._open[-1]
            if not last.is_fully_queued or not last.by_bdat or last.is_suspect or self._quirks.window is not None:
                return False
            if not self._planner.sends_whole or self.link.wants_lines():
                return False
            self.allowance = max(0, min(most, self._max_in_flight - len(self._open)))
            return self.allowance > 0

    def follow(self, mail: Mail) -> Transaction | None:
        """Let a message of the usual kind follow those in flight, if ``allow`` has said that it may; else return
        None."""
        envelope, content = mail.envelope, mail.content
        octets = content.plain
        if octets is None or not envelope.is_usual or mail.is_suspect:
            return None
        size, rcpts, link = len(octets), envelope.rcpt_lines, self.link
        if size > self._planner.most_whole:
            return None
        to = rcpts[0] if len(rcpts) == 1 else b"".join(rcpts)
        if self._planner.takes_size:
            commands = b"RSET\r\n%b SIZE=%d\r\n%bBDAT %d LAST\r\n" % (envelope.mail_line[:-2], size, to, size)
        else:
            commands = b"RSET\r\n%b%bBDAT %d LAST\r\n" % (envelope.mail_line, to, size)
        stages = _STAGES if len(rcpts) == 1 else stages_of(len(rcpts), _CONTENT, True)
        try:
            with self._mutex:
                if self.allowance <= 0 or self._octets + size > self._max_bytes:
                    return None
                end_at = link.octets_queued + len(commands) + size
                transaction = PlainTransaction(envelope, content, size, link.server, stages, end_at)
                self.allowance -= 1
                self.begun += 1
                self._octets += size
                link.queue_expecting(commands, transaction, octets)
                self._open.append(transaction)
        except BaseException:
            self.fail(interrupted(Stage.MAIL))
            raise
        return transaction

    def fail(self, error: SMTPError) -> None:
        """Fail the connection: everything in flight is not sent, or in doubt."""
        raise NotImplementedError

    def _settle_accepted_locked(self) -> None:
        """Settle all that were answered and accepted, up to the first that was not: the usual case."""
        quirks, transactions, wording = self._quirks, self._open, self._wording
        learns = quirks.window is not None or not quirks.has_delivered or not wording.is_known
        count = octets = 0
        try:
            while transactions and (head := transactions[0]).settle_if_accepted(wording):
                transactions.popleft()
                count, octets = count + 1, octets + head.size
                if learns and isinstance(head, Transaction):
                    learning.from_delivery(quirks, wording, head, self._max_in_flight)
        finally:
            self.has_delivered = self.has_delivered or count > 0
            self._count_settled_locked(count, octets)

    def _count_settled_locked(self, count: int, octets: int) -> None:
        self.settled += count
        self._octets -= octets


def interrupted(stage: Stage) -> ConnectionFailed:
    """Return the error for a sender that was cancelled mid-operation."""
    return ConnectionFailed("The sender of a message was interrupted", stage=stage)
