"""Pure: what becomes of a mail in an outbox. It decides; ``worker.py`` and ``spooler.py`` do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.errors import (
    NOTHING_SENT,
    ConnectionFailed,
    DeadlineExceeded,
    MessageCancelled,
    OutcomeUnknown,
    ProtocolError,
    Stage,
)
from wlsmtp.receipt import Outcome, RecipientStatus, Status, overall_status
from wlsmtp.retry import may_retry, next_pause

if TYPE_CHECKING:
    from wlsmtp.errors import SMTPError
    from wlsmtp.outbox.base import Entry
    from wlsmtp.receipt import RecipientResult
    from wlsmtp.settings.limits import RetryPolicy


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about further tries."""

    policy: RetryPolicy
    all_or_nothing: bool = False
    """Whether all recipients are tried again together, or nobody (``partial="abort"``)."""


def after_try(entry: Entry, outcome: Outcome, rules: Rules, now: float) -> Entry:
    """The mail after a try: finished, or waiting for the next try for those whom it may still reach."""
    before = entry.receipt
    merged = Outcome(before.recipients, before.reply, before.error, before.tls).updated_by(outcome)
    attempts = before.attempts + 1
    receipt = before.changed(
        recipients=merged.recipients, reply=merged.reply, attempts=attempts, error=merged.error, tls=merged.tls
    )
    rest = _rest(merged, rules)
    # As long as a server asks for: nobody waits, and a message may expire.
    pause = next_pause(rules.policy, attempts, merged.error, max(now - entry.created, 0.0)) if rest else None
    if pause is not None:
        return entry.waits_until(now + pause, receipt, rest)
    return entry.ends(now, receipt.changed(status=overall_status(merged.recipients)))


def _rest(outcome: Outcome, rules: Rules) -> tuple[str, ...]:
    """Whom another try may reach."""
    left = [result.address for result in outcome.recipients if _is_left(result, outcome.error, rules.policy)]
    return () if rules.all_or_nothing and len(left) < len(outcome.recipients) else tuple(left)


def _is_left(result: RecipientResult, latest: SMTPError | None, policy: RetryPolicy) -> bool:
    """What stands in the way of all mail (a wrong password, a certificate that ran out) is no fault of this one, which
    waits until somebody has seen to it."""
    error = result.error or latest
    is_no_fault = concerns_all(error) or isinstance(error, ProtocolError)
    return (is_no_fault and result.status is RecipientStatus.NOT_SENT) or may_retry(result, error, policy)


def concerns_all(error: SMTPError | None) -> bool:
    """Whether a failure stands in the way of all mail to this server: nothing of a message had been said yet."""
    return error is not None and error.stage is not None and error.stage.is_before_mail


def expired(entry: Entry, now: float) -> Entry:
    """The mail, given up because its time is over; the reason of the last failure stays with it."""
    before = entry.receipt
    why = f"; the last try failed: {before.error.message}" if before.error is not None else ""
    error = DeadlineExceeded(f"The message expired before it was sent{why}", stage=Stage.MESSAGE)
    error.reply = before.error.reply if before.error is not None else None
    return entry.ends(now, before.changed(status=overall_status(before.recipients), error=error))


def cancelled(entry: Entry, now: float) -> Entry:
    """The mail, which nobody wants to be sent any more."""
    error = MessageCancelled("The message was cancelled", stage=Stage.MESSAGE)
    before = entry.receipt
    return entry.ends(now, before.changed(status=overall_status(before.recipients), error=error))


def again(entry: Entry, now: float) -> Entry | None:
    """The mail, to be tried at once for all whom it did not reach for certain; None when there is nobody."""
    receipt = entry.receipt
    rest = tuple(result.address for result in receipt.recipients if result.status is not RecipientStatus.ACCEPTED)
    if not rest or receipt.status is Status.SENT:
        return None
    return entry.waits_until(now, receipt, rest)


def interrupted(entry: Entry, now: float) -> Entry:
    """The mail, whose worker died or was too long without a sign of life."""
    receipt = entry.receipt.changed(interruptions=entry.receipt.interruptions + 1)
    return entry.waits_until(now, receipt, entry.waiting)


def abandoned(entry: Entry, cause: BaseException) -> Outcome:
    """What is known of a mail when its transport failed in a way that it should not have: nothing, unless a connection
    was being opened."""
    if NOTHING_SENT in getattr(cause, "__notes__", ()):
        failure = ConnectionFailed(f"The connection could not be opened ({type(cause).__name__})", stage=Stage.CONNECT)
        failure.is_lasting = True
        failure.__cause__ = cause
        return Outcome.failed(entry.waiting, failure)
    words = f"The transport failed while it had the message ({type(cause).__name__})"
    hint = "It may or may not have been delivered: sending it again may deliver it twice"
    error = OutcomeUnknown(words, stage=Stage.CONTENT, hint=hint)
    error.__cause__ = cause
    return Outcome.failed(entry.waiting, error)
