"""The results of a session: receipts of its messages, counts, and the events that report them."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING

from wlsmtp.errors import SMTPError
from wlsmtp.events import Failed, Sent
from wlsmtp.receipt import Receipt, Status, overall_status
from wlsmtp.results.accepted import accepted_receipt
from wlsmtp.results.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wlsmtp.message.content import Content
    from wlsmtp.receipt import Outcome
    from wlsmtp.transports.base import Context, Transport

_COUNTED = {
    Status.PARTIAL: "partial",
    Status.ERROR: "failed",
    Status.UNKNOWN: "unknown",
}
_SENT = Status.SENT  # a member is slow to read from its class in Python 3.11


class Accounts:
    """Accounts for each message exactly once, whether sent alone, in a stream, or through the outbox."""

    def __init__(self, context: Context, transport: Transport) -> None:
        self._announce = context.announce
        self._transport = transport
        self.session: str = uuid.uuid4().hex[:16]
        """With this each receipt's ``id`` begins; one of ``numbers`` follows."""
        self.numbers: Iterator[int] = itertools.count(1)
        self.sent: int = 0
        """Number of messages that all their recipients got."""
        self._counts: dict[str, int] = dict.fromkeys(("partial", "failed", "unknown", "retries"), 0)

    @property
    def is_silent(self) -> bool:
        """True if nobody listens to what is reported about a message that was sent."""
        return not self._announce.wants_successes

    def receipt_for(
        self, outcome: Outcome, content: Content, attempts: int, elapsed: float, *, is_streamed: bool = False
    ) -> Receipt:
        """Return the receipt for a message that was sent at once, after counting and reporting it. ``elapsed`` is the
        time in seconds that it took."""
        if attempts == 1 and outcome.error is None and self.is_silent:
            self.sent += 1
            return accepted_receipt(outcome, self.session, next(self.numbers), content.message_id, elapsed)
        error, status = outcome.error, _SENT
        if error is not None:
            status = overall_status(outcome.recipients)
        receipt = Receipt(
            f"{self.session}{next(self.numbers):08x}",
            status,
            outcome.recipients,
            outcome.reply,
            content.message_id,
            attempts,
            error,
            elapsed,
            outcome.tls,
        )
        if error is not None:
            error.receipt = receipt
        if attempts > 1:
            self._counts["retries"] += attempts - 1
        self._report(receipt, elapsed, is_streamed)
        return receipt

    def not_a_message(self, error: SMTPError, *, is_streamed: bool = False) -> Receipt:
        """Return the receipt for an item that is not a valid message, after counting and reporting it."""
        id = f"{self.session}{next(self.numbers):08x}"
        error.receipt = receipt = Receipt(id, Status.ERROR, (), error=error)
        self._report(receipt, 0.0, is_streamed)
        return receipt

    def count(self, receipt: Receipt, seconds: float) -> None:
        """Count and report a message that the worker of the outbox has finished."""
        self._counts["retries"] += receipt.attempts - 1
        self._report(receipt, seconds)

    def statistics(self) -> Statistics:
        """Return the current counts."""
        pool = self._transport.statistics
        if pool is None:
            return Statistics(sent=self.sent, **self._counts)
        return Statistics(
            sent=self.sent,
            **self._counts,
            connections_opened=pool.opened,
            connections_resumed=pool.resumed,
            connections_lost=pool.lost,
            connections_open=pool.open,
            connections_idle=pool.idle,
            connections_allowed=pool.allowed,
        )

    def _report(self, receipt: Receipt, seconds: float, is_streamed: bool = False) -> None:
        if receipt.status is _SENT:
            self.sent += 1
        else:
            self._counts[_COUNTED[receipt.status]] += 1
        if receipt.error is not None and receipt.status is not Status.PARTIAL:
            self._announce(Failed(receipt, receipt.error, self._transport.name, seconds, is_streamed))
        elif self._announce.wants_successes:
            self._announce(Sent(receipt, self._transport.name, seconds, is_streamed))
