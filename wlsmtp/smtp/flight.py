"""The messages in flight over one connection, and the usual way in and out.

``Flight.allow`` asks once for all messages of one write whether the connection and the server are as usual;
``Flight.follow`` then sends those of the usual kind at once, whole, as a ``Run`` (``run.py``), and
``_settle_accepted_locked`` settles those that were answered as usual. All else is left to ``window.py``.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, DeadlineExceeded, Stage
from wlsmtp.io.order import Rank
from wlsmtp.smtp import learning
from wlsmtp.smtp.probes import Trial
from wlsmtp.smtp.quirks import PROVEN, UNPROVEN
from wlsmtp.smtp.run import Run
from wlsmtp.smtp.second_look import is_beyond_doubt
from wlsmtp.smtp.transaction import Transaction
from wlsmtp.smtp.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.errors import SMTPError
    from wlsmtp.io.base import IO
    from wlsmtp.message.mail import Mail
    from wlsmtp.settings.limits import Pipelining
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.plan import Planner
    from wlsmtp.smtp.quirks import ServerQuirks
    from wlsmtp.smtp.second_look import SecondLook


class Flight:
    """The transactions in flight over a link."""

    def __init__(self, link: Link, planner: Planner, limits: Pipelining, quirks: ServerQuirks, io: IO) -> None:
        self.link = link
        self._planner = planner
        # Read for each message, which takes long from a model of settings.
        self._max_in_flight, self._max_bytes = limits.max_in_flight, limits.max_bytes
        self._quirks = quirks
        self._open: deque[Transaction | Trial | Run] = deque()
        """Transactions that were sent at least in part and are not settled, in the order in which they were sent."""
        self._has_runs = False
        """True if there may be runs among them."""
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
        self._second_look: SecondLook | None = None
        """What the reply to the oldest waits for."""
        self._wording = Wording(quirks.wording, planner.offered)
        self._mutex = io.mutex(Rank.WINDOW)

    @property
    def load(self) -> int:
        """Number of transactions in flight or waiting for those."""
        return self._in_flight + len(self._queued)

    @property
    def _in_flight(self) -> int:
        if not self._has_runs:
            return len(self._open)
        return sum([one.open if isinstance(one, Run) else 1 for one in self._open])

    def has_room(self, size: int) -> bool:
        """Return whether a message of ``size`` octets may follow those in flight."""
        if self.link.ended or self.link.closing_reply is not None or self.must_end:
            return False
        if (load := self.load) == 0:
            return True
        if self.begun == self._quirks.lost_after or (self._open and self._open[-1].is_suspect):
            return False
        if (trust := self._planner.window_trust()) is not PROVEN:
            # Two may wait behind the first: the next content also probes what the server does after content.
            return trust is UNPROVEN and load < 3
        if load >= self._max_in_flight or (self._quirks.window is not None and load >= self._quirks.window):
            return False
        return self._octets + size <= self._max_bytes

    def allow(self, most: int) -> int:
        """Allow up to ``most`` messages to follow until the next write or read, if the last one in flight, the
        connection and the server are as usual. Return how many may."""
        with self._mutex:
            self.allowance = 0
            if not self._open or self._queued or self.must_end or not self.link.accepts_commands:
                return 0
            last = self._open[-1]
            if not last.is_fully_queued or not last.by_bdat or last.is_suspect or self._learns:
                return 0
            if self._planner.sends_whole and not self.link.wants_lines():
                self.allowance = max(0, min(most, self._max_in_flight - self._in_flight))
            return self.allowance

    def follow(self, run: Run, mails: list[Mail]) -> int:
        """Let messages of the usual kind follow those in flight as a run, as many as ``allow`` has said, up to the
        first other one in ``mails``. Return how many."""
        pieces, recipients, size = self._written(mails)
        link, count = self.link, len(pieces) // 2
        try:
            with self._mutex:
                while count and (count > self.allowance or self._octets + size > self._max_bytes):
                    count -= 1
                    size -= len(pieces[2 * count + 1])
                if not count:
                    return 0
                del pieces[2 * count :]
                run.begin(mails[:count], pieces, recipients, size, link.server, link.octets_queued)
                self.allowance -= count
                self.begun += count
                self._octets += size
                self._has_runs = True
                link.queue_expecting(b"".join(pieces), run)
                self._open.append(run)
        except BaseException:
            self.fail(interrupted(Stage.MAIL))
            raise
        return count

    def _written(self, mails: Sequence[Mail]) -> tuple[list[bytes], int, int]:
        """Return the commands and the content of each message, up to the first that is not of the usual kind, or has
        another number of recipients than the first; that number; and the octets of all contents."""
        most, takes_size = self._planner.most_whole, self._planner.takes_size
        pieces: list[bytes] = []
        recipients, total = len(mails[0].envelope.addresses), 0
        mail_line, start = b"", ""
        for mail in mails:
            envelope, content = mail.envelope, mail.content.plain
            if content is None or not envelope.is_usual or mail.is_suspect:
                break
            size, to = len(content), envelope.plain_to
            if size > most or (1 if to is not None else len(envelope.rcpt_lines)) != recipients:
                break
            if envelope.mail_line is not mail_line:
                mail_line = envelope.mail_line
                start = f"RSET\r\n{str(mail_line[:-2], 'ascii')}{' SIZE=' if takes_size else ''}"
            octets = str(size)
            declared = octets if takes_size else ""
            if to is not None:  # in one step, as most have one recipient
                commands = f"{start}{declared}\r\nRCPT TO:<{to}>\r\nBDAT {octets} LAST\r\n".encode()
            else:
                rcpts = b"".join(envelope.rcpt_lines)
                commands = f"{start}{declared}\r\n".encode() + rcpts + b"BDAT %d LAST\r\n" % size
            pieces += (commands, content)
            total += size
        return pieces, recipients, total

    def fail(self, error: SMTPError) -> None:
        """Fail the connection: everything in flight is not sent, or in doubt."""
        raise NotImplementedError

    @property
    def _learns(self) -> bool:
        """True if each delivered message may show something new about the server."""
        return self._quirks.window is not None or not self._quirks.has_delivered or not self._wording.is_known

    def _spread_locked(self) -> deque[Transaction | Trial]:
        """Replace each run by transactions of its own. Return all that are in flight."""
        parts = [one.spread() if isinstance(one, Run) else (one,) for one in self._open]
        transactions: deque[Transaction | Trial] = deque(chain.from_iterable(parts))
        if self._has_runs:
            self._open = deque(transactions)
            self._has_runs = False
        return transactions

    def _settle_accepted_locked(self) -> None:
        """Settle all that were answered and accepted, up to the first that was not: the usual case."""
        quirks, wording, learns = self._quirks, self._wording, self._learns
        if learns:
            self._spread_locked()
        transactions = self._open
        count = octets = 0
        try:
            while transactions:
                head = transactions[0]
                if isinstance(head, Run):
                    before, unsettled = len(head.outcomes), head.octets
                    if not head.settle(wording):
                        break
                    count, octets = count + len(head.outcomes) - before, octets + unsettled - head.octets
                    if head.open:
                        break
                    transactions.popleft()
                elif self._counts_locked(head) and head.settle_if_accepted(wording):
                    transactions.popleft()
                    count, octets = count + 1, octets + head.size
                    if learns and isinstance(head, Transaction):
                        learning.from_delivery(quirks, wording, head, self._max_in_flight)
                else:
                    break
        finally:
            self.has_delivered = self.has_delivered or count > 0
            self._count_settled_locked(count, octets)

    def _counts_locked(self, head: Transaction | Trial) -> bool:
        """Return whether the acceptance of the oldest counts at once."""
        if head.by_bdat or isinstance(head, Trial):
            return True
        return self._second_look is None and is_beyond_doubt(head, self._open, self._quirks)

    def _count_settled_locked(self, count: int, octets: int) -> None:
        self.settled += count
        self._octets -= octets


def interrupted(stage: Stage) -> ConnectionFailed:
    """Return the error for a sender that was cancelled mid-operation."""
    return ConnectionFailed("The sender of a message was interrupted", stage=stage)


def out_of_time(cause: BaseException, server: str) -> DeadlineExceeded:
    """Return the error for a message whose time is over. The server may be fine."""
    error = DeadlineExceeded(f"The time for this message ended before {server} answered", stage=Stage.CONTENT)
    error.__cause__ = cause
    return error
