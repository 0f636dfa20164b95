"""A message that is alone on its connection, the usual case of ``send``: it goes whole, in one write (RFC 3030 §4.2),
and is accepted. All else is left to ``window.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import Stage
from wlsmtp.results.accepted import accepted_outcome
from wlsmtp.smtp.flight import Flight
from wlsmtp.smtp.plan import PIPELINED_BDAT, stages_of
from wlsmtp.smtp.quirks import PROVEN
from wlsmtp.smtp.transaction import Transaction

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.settings.limits import Pipelining
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.plan import Planner
    from wlsmtp.smtp.quirks import ServerQuirks

_CONTENT = Stage.CONTENT


class Alone(Flight):
    """A window that may have one message in flight."""

    def __init__(self, link: Link, planner: Planner, limits: Pipelining, quirks: ServerQuirks, io: IO) -> None:
        super().__init__(link, planner, limits, quirks, io)
        self._must_reset = False
        """True if the server may still keep an envelope, so that RSET must come first (RFC 5321 §4.1.1.5)."""
        self._due: float | None = None
        """The time by which the next reply must have come."""

    def _begin_alone_locked(self, transaction: Transaction) -> bool:
        """Queue the whole message at once, if its octets are as usual and nobody listens to lines. Nothing else is in
        flight, and its flow is ``WHOLE``. Return whether it was queued."""
        link, plan, content = self.link, transaction.plan, transaction.plan.content.plain
        if content is None or not self._wording.is_learned or link.wants_lines():
            return False
        lines = plan.envelope.rcpt_lines
        to = lines[0] if len(lines) == 1 else b"".join(lines)
        transaction.flow, transaction.by_bdat = PIPELINED_BDAT, True
        transaction.stages = stages = stages_of(len(lines), _CONTENT, False)
        transaction.left = len(stages)
        link.queue_expecting(b"%b%bBDAT %d LAST\r\n%b" % (plan.mail, to, len(content), content), transaction)
        transaction.is_fully_queued, transaction.end_at = True, link.octets_queued
        self._open.append(transaction)
        return True

    def _settle_alone_locked(self, data: bytes) -> bool:
        """Settle the only message in flight if ``data`` are all its replies, it was accepted in words that are known,
        and so there is nothing to be learned. Return whether it was; nothing is changed otherwise."""
        quirks, wording = self._quirks, self._wording
        if len(self._open) != 1 or self._queued or quirks.wording is not wording or quirks.window is not None:
            return False
        head = self._open[0]
        if type(head) is not Transaction or head.flow is not PIPELINED_BDAT or head.with_reset or not wording.has_own:
            return False
        if head.left != len(head.stages):  # an earlier one may be a refusal; and only all together are paired
            return False
        lines = self.link.accepts_all(data)
        if lines is None or lines[-1][wording.compared] != wording.content_start or quirks.bdat is not PROVEN:
            return False
        self.link.pair_all(lines)
        head.outcome = accepted_outcome(head.plan.envelope.addresses, lines[-1])
        self._open.popleft()
        self.has_delivered = True
        self._count_settled_locked(1, head.size)
        return True
