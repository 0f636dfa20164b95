"""The main thread is interrupted at random places: see ``interrupts.py``, whose ``python -m`` is the long form."""

from __future__ import annotations

import gc

import pytest

from tests.chaos import interrupts, loop_interrupts
from tests.chaos.interrupts import CASES, play_many
from wlsmtp.io.order import order
from wlsmtp.outbox import spooler, worker

ROUNDS = {"memory": 60, "sqlite": 20, "shared": 8, "postgres": 10, "sync": 60}


@pytest.mark.parametrize(("mode", "victim"), CASES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what an interrupt left is collected
def test_receipts_are_true_and_the_session_goes_on(
    mode: str, victim: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if mode == "postgres":
        monkeypatch.setattr(interrupts, "postgres", request.getfixturevalue("postgres"))
    # An interrupt between a lock and the check's note of it would spoil the notes.
    monkeypatch.setattr(order, "is_checked", False)
    if mode == "shared":
        monkeypatch.setattr(worker, "POLL_INTERVAL", 0.05)
        monkeypatch.setattr(spooler, "POLL_INTERVAL", 0.05)
    assert play_many(mode, victim, seed=4711, rounds=ROUNDS[mode]) == []
    gc.collect()


@pytest.mark.parametrize(("mode", "rounds"), [("memory", 30), ("sqlite", 30), ("shared", 10)])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_in_an_event_loop_no_mail_goes_twice_or_waits_for_a_lease(
    mode: str, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "is_checked", False)
    for module, name in ((worker, "POLL_INTERVAL"), (worker, "WRITE_RETRY_PAUSE"), (spooler, "POLL_INTERVAL")):
        monkeypatch.setattr(module, name, 0.05)
    assert loop_interrupts.play_many(mode, seed=4711, rounds=rounds) == []
    gc.collect()
