"""Several connections that share a stream: what the reader has when something goes wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from wlsmtp.io.blocking import BlockingIO
from wlsmtp.io.steps import run
from wlsmtp.receipt import Outcome
from wlsmtp.relay.crew import Crew


def test_outcomes_that_are_ready_are_returned_before_a_failure_is_raised() -> None:
    """A message that the server has acknowledged has its receipt, whatever happens to the next one."""
    relay: Any = SimpleNamespace(io=BlockingIO(), pool=None)
    crew = Crew(relay, iter(()), lambda: None, 2)  # type: ignore[arg-type, return-value]
    accepted: Any = Outcome(())
    crew._read, crew._outcomes, crew._failure, crew._is_over = 2, {0: accepted}, ZeroDivisionError(), True
    assert run(crew._ready(at_most=0)) == (False, [accepted])
    with pytest.raises(ZeroDivisionError):
        run(crew._ready(at_most=0))
