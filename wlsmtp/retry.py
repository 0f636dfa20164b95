"""Which failure deserves another try, and when: only what is certainly not sent, and only for those not served yet.

tenacity keeps the time and the count. It is entered on a failure only, so that a message that goes through at once
pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wlsmtp.errors import SMTPError
from wlsmtp.events import Retrying
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import Outcome, RecipientResult, RecipientStatus

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from wlsmtp.config import RetryPolicy
    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO
    from wlsmtp.smtp.deadlines import Deadlines

Attempt = Callable[[Envelope], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of all tries together."""

    outcome: Outcome
    attempts: int


async def deliver_with_retry(
    attempt: Attempt, envelope: Envelope, policy: RetryPolicy, io: IO, announce: Announcer, deadlines: Deadlines
) -> Tried:
    """Try, and try again for the recipients that may be served later, as ``policy`` and the deadline allow."""
    outcome = await attempt(envelope)
    if outcome.error is None or policy.attempts == 1 or not _unserved(outcome, policy):
        return Tried(outcome, 1)
    return await _Campaign(attempt, envelope, policy, io, announce, deadlines).go_on(outcome)


class _Campaign:
    """The further tries of one message."""

    def __init__(
        self, attempt: Attempt, envelope: Envelope, policy: RetryPolicy, io: IO, announce: Announcer,
        deadlines: Deadlines,
    ) -> None:  # fmt: skip
        self._attempt = attempt
        self._envelope = envelope
        self._policy = policy
        self._io = io
        self._announce = announce
        self._deadlines = deadlines

    async def go_on(self, outcome: Outcome) -> Tried:
        """Repeat until nobody is left who may be served, or the policy says enough."""
        from tenacity import AsyncRetrying, stop_after_attempt, wait_exponential, wait_random
        from tenacity import retry_if_exception_type as retry_if

        policy = self._policy
        pause = wait_exponential(multiplier=policy.backoff, max=policy.max_backoff) + wait_random(0, policy.jitter)
        enough = stop_after_attempt(policy.attempts)
        retrying = AsyncRetrying(
            sleep=self._io.sleep,
            stop=lambda state: enough(state) or self._is_too_late(state),
            wait=pause,
            retry=retry_if(_StillUnserved),
            before_sleep=self._tell,
        )
        tries = 0
        try:
            async for attempt in retrying:
                with attempt:
                    tries += 1
                    if tries > 1:
                        outcome = _merge(outcome, await self._attempt(self._rest(outcome)))
                    if outcome.error is not None and _unserved(outcome, policy):
                        raise _StillUnserved(outcome.error)
        except Exception as error:
            if not _is_exhausted(error):
                raise
        return Tried(outcome, tries)

    def _rest(self, outcome: Outcome) -> Envelope:
        waiting = set(_unserved(outcome, self._policy))
        rest = tuple(address for address in self._envelope.recipients if str(address) in waiting)
        return replace(self._envelope, recipients=rest)

    def _is_too_late(self, state: RetryCallState) -> bool:
        return state.upcoming_sleep >= self._deadlines.remaining

    def _tell(self, state: RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        if isinstance(failure, _StillUnserved):
            self._announce(Retrying(failure.error, state.attempt_number + 1, state.upcoming_sleep))


class _StillUnserved(Exception):
    """Tells tenacity to go on."""

    def __init__(self, error: SMTPError) -> None:
        super().__init__(str(error))
        self.error = error


def _is_exhausted(error: Exception) -> bool:
    from tenacity import RetryError

    return isinstance(error, RetryError)


def _unserved(outcome: Outcome, policy: RetryPolicy) -> list[str]:
    """The recipients for whom another try is safe and sensible."""
    error = outcome.error
    return [result.address for result in outcome.recipients if _may_retry(result, error, policy)]


def _may_retry(result: RecipientResult, error: SMTPError | None, policy: RetryPolicy) -> bool:
    match result.status:
        case RecipientStatus.REFUSED:
            return result.reply is not None and result.reply.is_transient
        case RecipientStatus.NOT_SENT:
            return error is not None and error.temporary
        case RecipientStatus.UNKNOWN:
            return policy.resend_unknown
        case _:
            return False


def _merge(earlier: Outcome, later: Outcome) -> Outcome:
    """The latest word on each recipient. A refusal that stood before the last try stands still."""
    latest = {result.address: result for result in later.recipients}
    results = tuple(latest.get(result.address, result) for result in earlier.recipients)
    all_served = all(result.status is RecipientStatus.ACCEPTED for result in results)
    return Outcome(results, later.reply or earlier.reply, None if all_served else later.error or earlier.error)
