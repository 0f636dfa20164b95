"""Pure: decides the next state of a mail in an outbox; ``worker.py`` and ``spooler.py`` act on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.errors import (
    MUST_NOT_RAISE,
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
    """The settings for further attempts."""

    policy: RetryPolicy
    all_or_nothing: bool = False
    """True if all recipients are tried again together, or none (``partial="abort"``)."""


def after_try(entry: Entry, outcome: Outcome, rules: Rules, now: float, ahead: float = 0.0) -> Entry:
    """Return the entry after an attempt: finished, or waiting for the next attempt for those it may still reach. The
    clock may be ``ahead`` by so many seconds, which do not count for its age."""
    before = entry.receipt
    merged = Outcome(before.recipients, before.reply, before.error, before.tls).updated_by(outcome)
    attempts = before.attempts + 1
    receipt = before.changed(
        recipients=merged.recipients, reply=merged.reply, attempts=attempts, error=merged.error, tls=merged.tls
    )
    rest = _rest(merged, rules)
    # The pause is as long as the server asks for: nobody waits, and a message may expire.
    pause = next_pause(rules.policy, attempts, merged.error, max(now - ahead - entry.created, 0.0)) if rest else None
    if pause is not None:
        return entry.waits_until(now + pause, receipt, rest, pause)
    return entry.ends(now, receipt.changed(status=overall_status(merged.recipients)))


def _rest(outcome: Outcome, rules: Rules) -> tuple[str, ...]:
    """Return the recipients that another attempt may reach."""
    left = [result.address for result in outcome.recipients if _is_left(result, outcome.error, rules.policy)]
    return () if rules.all_or_nothing and len(left) < len(outcome.recipients) else tuple(left)


def _is_left(result: RecipientResult, latest: SMTPError | None, policy: RetryPolicy) -> bool:
    """Return whether the mail stays pending. A problem with all mail (a wrong password, an expired certificate) is not
    the fault of this one, which waits until somebody has fixed it."""
    error = result.error or latest
    is_no_fault = concerns_all(error) or isinstance(error, ProtocolError)
    return (is_no_fault and result.status is RecipientStatus.NOT_SENT) or may_retry(result, error, policy)


def concerns_all(error: SMTPError | None) -> bool:
    """Return whether a failure affects all mail to this server: no command of a message had been sent."""
    return error is not None and error.stage is not None and error.stage.is_before_mail


def was_raised(error: SMTPError | None) -> bool:
    """Return whether a third-party transport raised something in place of an outcome: it may do so for all mail."""
    return error is not None and MUST_NOT_RAISE in getattr(error.__cause__, "__notes__", ())


def may_pass(error: SMTPError) -> bool:
    """Return whether a failure that affects all mail may pass by itself. A reply that is not SMTP may, as of a proxy
    whose server is being started, and asking again locks no account."""
    return error.temporary or was_raised(error) or isinstance(error, ProtocolError)


def expired(entry: Entry, now: float) -> Entry:
    """Return the entry as expired; the last failure remains the reason."""
    before = entry.receipt
    why = f"; the last try failed: {before.error.message}" if before.error is not None else ""
    error = DeadlineExceeded(f"The message expired before it was sent{why}", stage=Stage.MESSAGE)
    error.reply = before.error.reply if before.error is not None else None
    return entry.ends(now, before.changed(status=overall_status(before.recipients), error=error))


def cancelled(entry: Entry, now: float) -> Entry:
    """Return the entry as cancelled by the user."""
    error = MessageCancelled("The message was cancelled", stage=Stage.MESSAGE)
    before = entry.receipt
    return entry.ends(now, before.changed(status=overall_status(before.recipients), error=error))


def again(entry: Entry, now: float) -> Entry | None:
    """Return the entry with an attempt due at once for all recipients that it has not certainly reached; None if there
    are none."""
    receipt = entry.receipt
    rest = tuple(result.address for result in receipt.recipients if result.status is not RecipientStatus.ACCEPTED)
    if not rest or receipt.status is Status.SENT:
        return None
    return entry.waits_until(now, receipt, rest, 0.0)


def interrupted(entry: Entry, now: float) -> Entry:
    """Return the entry after its worker died or gave no sign of life for too long."""
    receipt = entry.receipt.changed(interruptions=entry.receipt.interruptions + 1)
    return entry.waits_until(now, receipt, entry.waiting, 0.0)


def abandoned(entry: Entry, cause: BaseException, known: Outcome | None = None) -> Outcome:
    """Return the outcome of a mail whose transport failed unexpectedly: unknown, unless a connection was being opened,
    or the transport knows better."""
    if NOTHING_SENT in getattr(cause, "__notes__", ()):
        failure = ConnectionFailed(f"The connection could not be opened ({type(cause).__name__})", stage=Stage.CONNECT)
        failure.is_lasting = not isinstance(cause, MemoryError)
        failure.__cause__ = cause
        return Outcome.failed(entry.waiting, failure)
    if known is not None and all(result.status is not RecipientStatus.UNKNOWN for result in known.recipients):
        return known
    words = f"The transport failed while it had the message ({type(cause).__name__})"
    hint = "It may or may not have been delivered: sending it again may deliver it twice"
    error = OutcomeUnknown(words, stage=Stage.CONTENT, hint=hint)
    error.__cause__ = cause
    return Outcome.failed(entry.waiting, error)
