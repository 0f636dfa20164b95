"""Strategies of tenacity's in a ``RetryPolicy``: they say when there is another try, and when there is none. What may
be sent again is not for them to say."""

from __future__ import annotations

import logging
import pickle
from datetime import timedelta
from typing import Any

import pytest
import tenacity
from tenacity import RetryCallState

import wlsmtp
from tests.worlds import World
from wlsmtp import ConfigError, Message, RetryPolicy, SenderRefused, SessionConfig, SMTPError, Stage
from wlsmtp.events import Event, Retrying
from wlsmtp.retry import next_pause
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")
SLOW_DOWN = SenderRefused("refused", stage=Stage.MAIL)


def pauses(policy: RetryPolicy, *, seconds_a_try: float = 0.0, error: SMTPError = SLOW_DOWN) -> list[float]:
    """The pauses between tries that all fail, up to ten."""
    found: list[float] = []
    for attempts in range(1, 11):
        pause = next_pause(policy, attempts, error, sum(found) + attempts * seconds_a_try, sum(found))
        if pause is None:
            break
        found.append(pause)
    return found


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetryPolicy(attempts=4, backoff=2, jitter=0, max_backoff=5), [2, 4, 5]),
        (RetryPolicy(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(7)), [7, 7]),
        (RetryPolicy(attempts=3, wait=tenacity.wait_incrementing(start=1, increment=2)), [1, 3]),
        (RetryPolicy(stop=tenacity.stop_after_attempt(3), backoff=3, jitter=0), [3, 6]),
        (RetryPolicy(attempts=4, wait=tenacity.wait_fixed(timedelta(minutes=5))), [300, 300, 300]),
        (RetryPolicy(attempts=3, wait=tenacity.wait_none()), [0, 0]),
        (RetryPolicy(attempts=5, wait=tenacity.wait_chain(*map(tenacity.wait_fixed, (1, 5, 9)))), [1, 5, 9, 9]),
        (RetryPolicy(attempts=3, wait=tenacity.wait_fixed(1) + tenacity.wait_fixed(2)), [3, 3]),
        (RetryPolicy(stop=tenacity.stop_never, wait=tenacity.wait_fixed(1)), [1] * 10),
        (RetryPolicy(stop=tenacity.stop_after_delay(5), wait=tenacity.wait_fixed(2)), [2, 2, 2]),
        (RetryPolicy(stop=tenacity.stop_before_delay(5), wait=tenacity.wait_fixed(2)), [2, 2]),
        (RetryPolicy(stop=tenacity.stop_after_attempt(9) | tenacity.stop_after_delay(3), wait=lambda _: 1), [1, 1, 1]),
        (RetryPolicy(stop=lambda state: state.idle_for >= 2, wait=lambda state: state.attempt_number), [1, 2]),
    ],
)  # fmt: skip
def test_a_policy_is_what_its_strategies_say(policy: RetryPolicy, expected: list[float]) -> None:
    assert pauses(policy) == expected


def test_the_time_of_the_tries_counts() -> None:
    policy = RetryPolicy(stop=tenacity.stop_after_delay(20), wait=tenacity.wait_none())
    assert len(pauses(policy, seconds_a_try=5.0)) == 3


def test_a_strategy_never_comes_back_before_the_server_wants_it() -> None:
    class Patient(SenderRefused):
        retry_after = 30.0

    error = Patient("refused", stage=Stage.MAIL)
    assert pauses(RetryPolicy(attempts=2, wait=tenacity.wait_fixed(1)), error=error) == [30]
    stop = tenacity.stop_before_delay(20)
    assert pauses(RetryPolicy(stop=stop, wait=tenacity.wait_fixed(1)), error=error) == []


def broken(_: object) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "wait", [broken, lambda _: "soon", lambda _: -1, lambda _: float("nan"), lambda _: float("inf")]
)
def test_what_is_no_pause_is_logged_and_the_backoff_is_used(wait: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert all(pause >= 1 for pause in pauses(RetryPolicy(attempts=3, wait=wait)))
    assert len(pauses(RetryPolicy(attempts=3, wait=wait))) == 2
    assert {record.levelno for record in caplog.records} == {logging.ERROR} and "RetryPolicy: wait" in caplog.text


def test_a_broken_stop_is_logged_and_the_attempts_are_used(caplog: pytest.LogCaptureFixture) -> None:
    assert len(pauses(RetryPolicy(stop=broken))) == 2
    assert "RetryPolicy: stop returned no usable result" in caplog.text


@pytest.mark.parametrize("many", [False, True], ids=["send", "send_many"])
def test_a_session_asks_the_strategies_after_each_failed_try(world: World, many: bool) -> None:
    states: list[tuple[Any, ...]] = []
    events: list[Event] = []

    def stop(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        assert state.seconds_since_start is not None and state.seconds_since_start >= state.idle_for
        states.append((state.attempt_number, type(error), state.upcoming_sleep, state.idle_for))
        return state.attempt_number >= 3

    retry = RetryPolicy(stop=stop, wait=tenacity.wait_incrementing(start=0.125, increment=-0.0625))
    with SMTPServer() as server:
        server.reply_to("MAIL", "451 4.3.0 Later")
        with world.session(server.host, server.port, retry=retry, listeners=(events.append,)) as session:
            if many:
                [receipt] = session.send_many([MESSAGE])
            else:
                with pytest.raises(SenderRefused) as caught:
                    session.send(MESSAGE)
                assert caught.value.receipt is not None
                receipt = caught.value.receipt
    assert receipt.attempts == 3
    assert states == [
        (1, SenderRefused, 0.125, 0.0), (2, SenderRefused, 0.0625, 0.125), (3, SenderRefused, 0.0, 0.1875)
    ]  # fmt: skip
    assert [event.delay for event in events if isinstance(event, Retrying)] == [0.125, 0.0625]


def test_an_outbox_asks_the_strategies_too(world: World) -> None:
    retry = RetryPolicy(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
    with SMTPServer() as server:
        server.reply_to("MAIL", "451 4.3.0 Later")
        with world.session(server.host, server.port, mode="async", retry=retry) as session:
            receipt = session.send(MESSAGE)
            assert session.flush(30) == 0
            final = session.receipt(receipt.id)
    assert final.status is wlsmtp.Status.ERROR and final.attempts == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stop": 5}, "stop: must be a strategy of tenacity's, such as stop_after_delay(300); a number is for"),
        ({"wait": 2.5}, "wait: must be a strategy of tenacity's, such as wait_fixed(2); a number is for backoff"),
        ({"wait": timedelta(seconds=2)}, "wait: must be a strategy"),
        ({"stop": "never"}, "stop: must be a strategy"),
        ({"stop": tenacity.wait_fixed(2)}, "stop: is a wait strategy; give it as wait=…"),
        ({"wait": tenacity.stop_after_attempt(2)}, "wait: is a stop strategy; give it as stop=…"),
        ({"stop": tenacity.stop_after_attempt}, "such as stop_after_attempt(…), not its class"),
        ({"wait": tenacity.wait_random_exponential}, "such as wait_random_exponential(…), not its class"),
        ({"stop": tenacity.retry_if_exception_type(OSError)}, "stop: is a retry strategy"),
        ({"stop": tenacity.stop_never, "attempts": 3}, "stop: cannot be combined with attempts; give one of them"),
        ({"wait": tenacity.wait_none(), "backoff": 3}, "wait: cannot be combined with backoff"),
        ({"wait": tenacity.wait_none(), "jitter": 0}, "wait: cannot be combined with jitter"),
    ],
)  # fmt: skip
def test_what_is_no_strategy_is_refused_at_once(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RetryPolicy(**fields)
    assert words in str(caught.value)


def test_an_async_strategy_is_refused() -> None:
    async def stop(_: object) -> bool:
        return True

    class Wait:
        async def __call__(self, _: object) -> float:
            return 1.0

    policies: list[dict[str, Any]] = [{"stop": stop}, {"wait": Wait()}]
    for fields in policies:
        with pytest.raises(ConfigError, match="cannot be async"):
            RetryPolicy(**fields)


def test_settings_with_strategies_can_be_pickled() -> None:
    config = SessionConfig(server="x", retry=RetryPolicy(stop=tenacity.stop_after_attempt(2)))
    assert pauses(pickle.loads(pickle.dumps(config)).retry) != []
