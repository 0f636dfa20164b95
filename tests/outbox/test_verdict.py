"""The next state of a mail in an outbox, decided without a clock, a server or a store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from wlsmtp.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    DeadlineExceeded,
    MessageCancelled,
    MessageError,
    OutcomeUnknown,
    ProtocolError,
    RecipientsRefused,
    SMTPError,
    Stage,
    TLSError,
)
from wlsmtp.outbox import verdict
from wlsmtp.outbox.base import Entry
from wlsmtp.receipt import OutboxReceipt, Outcome, RecipientResult, RecipientStatus, Status
from wlsmtp.results.reply import Reply
from wlsmtp.settings.limits import RetryPolicy

NOW = 1_700_000_000.0
POLICY = RetryPolicy(attempts=3, backoff=10, max_backoff=60, jitter=0)
OK, LATER, NO = Reply(250, ("2.0.0 queued as 4711",)), Reply(450, ("4.2.0 later",)), Reply(550, ("5.1.1 no",))
ACCEPTED, REFUSED, NOT_SENT, UNKNOWN = RecipientStatus


def entry(*addresses: str, attempts: int = 0, **fields: Any) -> Entry:
    results = tuple(RecipientResult(address, NOT_SENT) for address in addresses or ("a@x.org",))
    receipt = OutboxReceipt("1", Status.PENDING, results, attempts=attempts)
    waiting = tuple(result.address for result in results)
    return Entry(receipt, "me@x.org", None, waiting, size=9, created=NOW - 5, due=NOW, **fields)


def outcome(*results: tuple[str, RecipientStatus, Reply | None], error: SMTPError | None = None) -> Outcome:
    return Outcome(tuple(RecipientResult(*result) for result in results), OK if error is None else None, error)


def after(entry: Entry, outcome: Outcome, policy: RetryPolicy = POLICY, *, all_or_nothing: bool = False) -> Entry:
    return verdict.after_try(entry, outcome, verdict.Rules(policy, all_or_nothing), NOW)


def test_an_acknowledgement_is_the_end() -> None:
    done = after(entry(), outcome(("a@x.org", ACCEPTED, OK)))
    assert done.is_finished and done.finished == NOW and done.waiting == ()
    assert done.receipt.status is Status.SENT and done.receipt.queue_id == "4711" and done.receipt.attempts == 1
    assert done.receipt.elapsed == 5 and done.receipt.next_attempt is None


@pytest.mark.parametrize(
    ("status", "reply", "error"),
    [
        (REFUSED, LATER, RecipientsRefused("…", stage=Stage.RCPT, reply=LATER)),
        (NOT_SENT, None, ConnectionFailed("lost", stage=Stage.MAIL)),
        (NOT_SENT, None, DeadlineExceeded("slow", stage=Stage.CONTENT)),
        (NOT_SENT, None, AuthenticationFailed("wrong password", stage=Stage.AUTH, reply=Reply(535))),
        (NOT_SENT, None, TLSError("certificate", stage=Stage.TLS)),
        (NOT_SENT, None, ProtocolError("no SMTP", stage=Stage.GREETING)),
        (NOT_SENT, None, ProtocolError("nonsense", stage=Stage.MAIL)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, SMTPError) else "",
)
def test_what_nobody_refused_for_good_waits_for_the_next_try(
    status: RecipientStatus, reply: Reply | None, error: SMTPError
) -> None:
    waiting = after(entry(), outcome(("a@x.org", status, reply), error=error))
    assert waiting.due == NOW + 10 and waiting.waiting == ("a@x.org",) and not waiting.is_finished
    assert waiting.receipt.status is Status.PENDING and waiting.receipt.error is error
    assert waiting.receipt.next_attempt == datetime.fromtimestamp(NOW + 10, UTC)


@pytest.mark.parametrize(
    ("status", "reply", "error", "final"),
    [
        (REFUSED, NO, RecipientsRefused("…", stage=Stage.RCPT, reply=NO), Status.ERROR),
        (NOT_SENT, None, MessageError("too large", stage=Stage.MAIL), Status.ERROR),
        (UNKNOWN, None, OutcomeUnknown("…", stage=Stage.CONTENT), Status.UNKNOWN),
    ],
    ids=["refused", "cannot be sent", "unknown"],
)
def test_what_another_try_cannot_help_is_the_end(
    status: RecipientStatus, reply: Reply | None, error: SMTPError, final: Status
) -> None:
    done = after(entry(), outcome(("a@x.org", status, reply), error=error))
    assert done.is_finished and done.receipt.status is final and done.receipt.error is error


def test_what_is_unknown_goes_again_only_when_that_is_wanted() -> None:
    tried = outcome(("a@x.org", UNKNOWN, None), error=OutcomeUnknown("…", stage=Stage.CONTENT))
    assert after(entry(), tried).is_finished
    assert not after(entry(), tried, POLICY.model_copy(update={"resend_unknown": True})).is_finished


def test_all_or_nothing_tries_again_for_all_or_for_nobody() -> None:
    two = entry("a@x.org", "b@x.org")
    mixed = outcome(
        ("a@x.org", REFUSED, LATER),
        ("b@x.org", REFUSED, NO),
        error=RecipientsRefused("…", stage=Stage.RCPT, reply=LATER),
    )
    assert after(two, mixed).waiting == ("a@x.org",)
    assert after(two, mixed, all_or_nothing=True).is_finished
    lost = outcome(("a@x.org", NOT_SENT, None), ("b@x.org", NOT_SENT, None), error=ConnectionFailed("lost"))
    assert after(two, lost, all_or_nothing=True).waiting == ("a@x.org", "b@x.org")


def test_the_server_may_ask_for_a_longer_pause() -> None:
    reply = Reply(450, ("4.7.1 Greylisted, try again in 5 minutes",))
    error = RecipientsRefused("…", stage=Stage.RCPT, reply=reply)
    assert after(entry(), outcome(("a@x.org", REFUSED, reply), error=error)).due == NOW + 300


def test_each_try_goes_to_those_who_are_left_and_forgets_nobody() -> None:
    error = RecipientsRefused("…", stage=Stage.RCPT, reply=LATER)
    first = after(
        entry("a@x.org", "b@x.org", "c@x.org"),
        outcome(("a@x.org", ACCEPTED, OK), ("b@x.org", REFUSED, NO), ("c@x.org", REFUSED, LATER), error=error),
    )
    assert first.waiting == ("c@x.org",) and first.receipt.status is Status.PENDING
    second = after(first, outcome(("c@x.org", ACCEPTED, OK)))
    assert second.is_finished and second.receipt.status is Status.PARTIAL and second.receipt.attempts == 2
    assert [result.status for result in second.receipt.recipients] == [ACCEPTED, REFUSED, ACCEPTED]
    assert second.receipt.error is error


def test_the_last_try_is_the_last() -> None:
    error = ConnectionFailed("lost", stage=Stage.CONNECT)
    assert after(entry(attempts=2), outcome(("a@x.org", NOT_SENT, None), error=error)).receipt.status is Status.ERROR


def test_the_pauses_double_up_to_their_limit() -> None:
    error = ConnectionFailed("lost", stage=Stage.CONNECT)
    policy = POLICY.model_copy(update={"attempts": 20_000})
    tried = outcome(("a@x.org", NOT_SENT, None), error=error)
    pauses = [(after(entry(attempts=tries), tried, policy).due or 0) - NOW for tries in (0, 1, 2, 3, 4, 9999)]
    assert pauses == [10, 20, 40, 60, 60, 60]


def test_no_try_is_planned_after_the_expiry() -> None:
    error = ConnectionFailed("lost", stage=Stage.CONNECT)
    waiting = after(entry(expires=NOW + 3), outcome(("a@x.org", NOT_SENT, None), error=error))
    assert waiting.due == NOW + 3
    gone = verdict.expired(waiting, NOW + 3)
    assert gone.receipt.status is Status.ERROR and isinstance(gone.receipt.error, DeadlineExceeded)
    assert "expired" in gone.receipt.error.message and "lost" in gone.receipt.error.message


def test_a_mail_that_reached_some_before_it_was_given_up_is_partial() -> None:
    results = (RecipientResult("a@x.org", ACCEPTED, OK), RecipientResult("b@x.org", REFUSED, LATER))
    receipt = OutboxReceipt("1", Status.PENDING, results, attempts=1)
    half = Entry(receipt, "", None, ("b@x.org",), 9, created=NOW, due=NOW)
    assert verdict.expired(half, NOW).receipt.status is Status.PARTIAL
    gone = verdict.cancelled(half, NOW)
    assert gone.receipt.status is Status.PARTIAL and isinstance(gone.receipt.error, MessageCancelled)


def test_again_is_for_those_who_were_not_reached_for_certain() -> None:
    results = [("a@x.org", ACCEPTED), ("b@x.org", REFUSED), ("c@x.org", UNKNOWN)]
    receipt = OutboxReceipt("1", Status.PARTIAL, tuple(RecipientResult(*result) for result in results))
    done = Entry(receipt, "", None, (), 9, created=NOW, due=None, finished=NOW)
    again = verdict.again(done, NOW + 7)
    assert again is not None and again.waiting == ("b@x.org", "c@x.org") and again.due == NOW + 7
    assert again.receipt.status is Status.PENDING and again.finished is None
    sent = Entry(OutboxReceipt("1", Status.SENT, ()), "", None, (), 9, created=NOW, due=None)
    assert verdict.again(sent, NOW) is None


def test_an_interruption_is_counted_and_the_mail_goes_again_at_once() -> None:
    waiting = verdict.interrupted(entry("a@x.org", "b@x.org", owner="dead"), NOW + 60)
    assert waiting.receipt.interruptions == 1 and waiting.due == NOW + 60 and waiting.owner is None
    assert waiting.waiting == ("a@x.org", "b@x.org")


def test_a_transport_that_fails_leaves_everybody_in_doubt() -> None:
    abandoned = verdict.abandoned(entry("a@x.org", "b@x.org"), ZeroDivisionError())
    assert {result.status for result in abandoned.recipients} == {UNKNOWN}
    assert after(entry("a@x.org", "b@x.org"), abandoned).receipt.status is Status.UNKNOWN
