"""A message that ends each connection on which it is sent takes its neighbours with it once, and never again."""

from __future__ import annotations

import pytest

from tests.space.cases import FAREWELL, Case, Flow, Sending
from tests.space.drive import complaint, run
from tests.space.server import Rule, Stage, Then
from tests.worlds import World


@pytest.mark.parametrize("then", [Then.CLOSE, Then.RESET])
@pytest.mark.parametrize(
    ("sending", "count", "is_kept", "at"), [(Sending.MANY, 6, False, 3), (Sending.SHARED, 8, True, 4)]
)
def test_a_message_that_ends_connections_is_followed_by_none(
    world: World, sending: Sending, count: int, is_kept: bool, at: int, then: Then
) -> None:
    rule = Rule(Stage.MAIL, at, FAREWELL, then, times=None)
    case = Case(Flow.BDAT, sending, count, is_kept, (rule,))
    found, _ = run(world, case)
    assert not found, complaint(case, found)
