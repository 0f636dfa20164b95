"""Decides which failures are retried, and when: only what is certainly not sent, and only for recipients not served
yet.

``again_after`` is the only place that decides. A message that did not cause its failure is sent again over another
connection, without delay and only once. What the server may accept later is retried as ``RetryPolicy`` says.

tenacity says how long to wait and when to stop: ``RetryPolicy`` is converted to its strategies, or brings some. They
are used only after a failure, so that a message that succeeds at once costs nothing extra.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from wlsmtp.errors import ConnectionFailed, Stage
from wlsmtp.events import Retrying, log
from wlsmtp.receipt import Outcome, RecipientResult, RecipientStatus
from wlsmtp.smtp.judge import names_connections, names_messages, names_rate
from wlsmtp.smtp.transaction import Bystander, Misunderstood, NotStarted, OutOfStep

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from wlsmtp.errors import SMTPError
    from wlsmtp.events import Announcer
    from wlsmtp.io.base import IO
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.settings.limits import RetryPolicy
    from wlsmtp.smtp.deadlines import Deadlines

Attempt = Callable[["Envelope"], Awaitable[Outcome]]


class Again(Enum):
    """If and how a message is sent again."""

    NEVER = auto()
    AT_ONCE = auto()
    """Over a new connection; it does not count as an attempt."""
    ELSEWHERE = auto()
    """Over another connection of the session, as soon as there is room; it does not count as an attempt."""
    LATER = auto()
    """As the policy says; it counts."""


class Circumstances(Protocol):
    """The state of a connection that shows whether a failure is about the message."""

    @property
    def was_idle(self) -> bool:
        """True if it has been idle since it was opened."""
        ...

    @property
    def may_be_stale(self) -> bool:
        """True if nothing came from the server since it was idle."""
        ...

    @property
    def has_delivered(self) -> bool:
        """True if it has delivered a message."""
        ...

    @property
    def has_settled(self) -> bool:
        """True if it has answered a message in full, whatever the result."""
        ...

    @property
    def is_closing(self) -> bool:
        """True if the server has announced that it ends the connection."""
        ...

    @property
    def exceeds_limit(self) -> bool:
        """True if it is one connection too many."""
        ...


def again_after(
    outcome: Outcome, connection: Circumstances, *, had_free_retry: bool = False, has_others: bool = False
) -> Again:
    """Return what one attempt over ``connection`` requires; ``has_others``: the session has more connections. Some
    failures are not about the message: a kept connection that was dead, a connection that ended after it had answered
    others or was one too many, an extension that does not work."""
    error = outcome.error
    if error is None or not outcome.is_certainly_not_sent:
        return Again.NEVER
    if isinstance(error, NotStarted):
        return Again.ELSEWHERE if connection.exceeds_limit else Again.AT_ONCE  # a new one might be too many again
    if has_others and not had_free_retry and error.reply is not None and names_connections(error.reply):
        return Again.ELSEWHERE
    if not had_free_retry and _is_none_of_the_message(error, outcome, connection):
        return Again.AT_ONCE
    return Again.LATER if error.temporary else Again.NEVER


def _is_none_of_the_message(error: SMTPError, outcome: Outcome, connection: Circumstances) -> bool:
    if isinstance(error, Misunderstood | Bystander) or (isinstance(error, OutOfStep) and error.stage is Stage.RSET):
        return True
    if any(result.reply is not None and result.reply.code == 421 for result in outcome.recipients):
        is_about_mail = error.stage is Stage.MAIL and not (error.reply is not None and names_rate(error.reply))
        return is_about_mail and (connection.was_idle or connection.has_delivered)
    if isinstance(error, ConnectionFailed):
        return connection.may_be_stale or connection.has_settled or (connection.was_idle and connection.is_closing)
    if error.reply is None or error.stage is not Stage.MAIL:
        return False
    if names_messages(error.reply):
        return connection.has_delivered
    return connection.was_idle and str(error.reply.enhanced) == "4.4.2"


async def keep_trying(
    outcome: Outcome, attempt: Attempt, state: RetryState, io: IO, deadlines: Deadlines
) -> tuple[Outcome, int]:
    """After a first unsuccessful ``outcome``, retry for the recipients that may be served later, as ``state`` and the
    deadline allow. Returns the final outcome and the number of attempts."""
    while (pause := state.pause_after(outcome, deadlines.remaining, io.now() - deadlines.began)) is not None:
        await io.sleep(pause)
        outcome = outcome.updated_by(await attempt(state.envelope_for_retry(outcome)))
    return outcome, state.attempts


class RetryState:
    """The attempts of one message: how many there were, and when the next one is due."""

    def __init__(
        self, envelope: Envelope, config: SessionConfig, announce: Announcer, message_id: str | None = None
    ) -> None:
        self.message_id = message_id
        self.attempts: int = 0
        """Attempts whose outcome was passed to ``pause_after``."""
        self._envelope = envelope
        self._policy = config.retry
        self._announce = announce
        self._all_or_nothing = config.all_or_nothing
        """True if all recipients are tried again together, or none."""
        self._waited = 0.0
        """Seconds of pauses between its attempts."""

    def pause_after(self, outcome: Outcome, remaining: float, elapsed: float) -> float | None:
        """Return how many seconds after one more attempt, with this outcome, the next one is due. None if there should
        be none: it could not help, there were enough, or ``remaining`` seconds are too few. Also None if the server has
        named a longer time than ``max_backoff``: to come back earlier would only be refused again. ``elapsed`` is the
        number of seconds since the first attempt began."""
        self.attempts += 1
        if outcome.error is None or not self._unserved(outcome):
            return None
        pause = next_pause(self._policy, self.attempts, outcome.error, elapsed, self._waited)
        if pause is None or pause >= remaining or (outcome.error.retry_after or 0.0) > self._policy.max_backoff:
            return None
        self._waited += pause
        self._announce(Retrying(outcome.error, self.attempts + 1, pause, self.message_id))
        return pause

    def envelope_for_retry(self, outcome: Outcome) -> Envelope:
        """Return the envelope for the recipients that may still be served."""
        waiting = set(self._unserved(outcome))
        return self._envelope.only(address for address in self._envelope.recipients if str(address) in waiting)

    def _unserved(self, outcome: Outcome) -> list[str]:
        """Return the recipients for whom another attempt is safe and sensible; with all or nothing, all of them or
        none."""
        unserved = [
            result.address
            for result in outcome.recipients
            if may_retry(result, result.error or outcome.error, self._policy)
        ]
        return [] if self._all_or_nothing and len(unserved) < len(outcome.recipients) else unserved


def next_pause(
    policy: RetryPolicy, attempts: int, error: SMTPError | None, elapsed: float, waited: float = 0.0
) -> float | None:
    """Return the seconds between attempt number ``attempts``, which has failed, and the next one: as the policy says,
    and not before the time that the server named. None if the policy has no further attempt. ``elapsed`` is the number
    of seconds since the first one began, of which ``waited`` were pauses."""
    try:
        state = _state(attempts, error, elapsed, waited)
    except OSError:  # tenacity is loaded at the first failure, which may be that no file can be opened any more
        pause = max(_plain_wait(policy, attempts), (error.retry_after if error is not None else None) or 0.0)
        return pause if attempts < policy.attempts else None
    state.upcoming_sleep = max(_wait(policy, state), (error.retry_after if error is not None else None) or 0.0)
    return None if _stops(policy, state) else state.upcoming_sleep


def pause_between(policy: RetryPolicy, attempts: int, error: SMTPError | None = None) -> float:
    """Return the seconds between attempt number ``attempts`` and the next one, as the policy says, however many there
    may be."""
    try:
        return _wait(policy, _state(attempts, error))
    except OSError:
        return _plain_wait(policy, attempts)


def _plain_wait(policy: RetryPolicy, attempts: int) -> float:
    return min(policy.backoff * 2.0 ** min(attempts - 1, 100), policy.max_backoff)


def _state(attempts: int, error: SMTPError | None, elapsed: float = 0.0, waited: float = 0.0) -> RetryCallState:
    """Return a failed attempt in the form that tenacity's strategies use."""
    from tenacity import Future, RetryCallState

    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = attempts
    state.start_time, state.outcome_timestamp, state.idle_for = 0.0, elapsed, waited
    if error is not None:
        state.outcome = Future.construct(attempts, error, has_exception=True)
    return state


def _wait(policy: RetryPolicy, state: RetryCallState) -> float:
    from random import SystemRandom

    from tenacity import wait_exponential

    if policy.wait is not None:
        try:
            pause = float(policy.wait(state))
            if 0 <= pause < math.inf:
                return pause
            raise ValueError(pause)
        except Exception:
            log.exception(_FAILED, "wait", "backoff")
    # A worker pauses at any moment: the numbers of ``random`` belong to the program, which may have seeded them.
    jitter = SystemRandom().uniform(0, policy.jitter)
    return wait_exponential(multiplier=policy.backoff, max=policy.max_backoff)(state) + jitter


def _stops(policy: RetryPolicy, state: RetryCallState) -> bool:
    from tenacity import stop_after_attempt

    if policy.stop is not None:
        try:
            return bool(policy.stop(state))
        except Exception:
            log.exception(_FAILED, "stop", "attempts")
    return stop_after_attempt(policy.attempts)(state)


_FAILED = "RetryPolicy: %s returned no usable result; %s is used instead"


def may_retry(result: RecipientResult, error: SMTPError | None, policy: RetryPolicy) -> bool:
    """Return whether another attempt for this recipient is safe and sensible."""
    match result.status:
        case RecipientStatus.REFUSED:
            return result.reply is not None and result.reply.may_pass
        case RecipientStatus.NOT_SENT:
            return error is not None and error.temporary
        case RecipientStatus.UNKNOWN:
            return policy.resend_unknown and not result.is_permanent
        case _:
            return False
