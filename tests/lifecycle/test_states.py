"""The states of connections and streams: what the table does not allow is a mistake, and is found at once."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

import pytest

from wlsmtp.lifecycle import Lifecycle
from wlsmtp.relay.pipeline import ALLOWED as OF_PIPELINES
from wlsmtp.relay.pipeline import PipelineState
from wlsmtp.smtp.connection import ALLOWED as OF_CONNECTIONS
from wlsmtp.smtp.connection import ConnectionState


class _Light(Enum):
    RED = auto()
    GREEN = auto()
    OUT = auto()


_ALLOWED = {
    _Light.RED: frozenset({_Light.GREEN, _Light.OUT}),
    _Light.GREEN: frozenset({_Light.RED, _Light.OUT}),
    _Light.OUT: frozenset[_Light](),
}


def test_only_what_the_table_allows_may_follow() -> None:
    light = Lifecycle(_Light.RED, _ALLOWED)
    light.to(_Light.GREEN)
    assert light.is_in(_Light.GREEN, _Light.RED) and not light.is_in(_Light.OUT)
    light.to(_Light.OUT)
    with pytest.raises(RuntimeError, match="_Light: RED cannot follow OUT"):
        light.to(_Light.RED)
    assert light.state is _Light.OUT


@pytest.mark.parametrize(("states", "table"), [(ConnectionState, OF_CONNECTIONS), (PipelineState, OF_PIPELINES)])
def test_every_state_has_a_row_and_can_end(states: type[Enum], table: Mapping[Enum, frozenset[Enum]]) -> None:
    ended = states["ENDED"]
    assert set(table) == set(states) and not table[ended]
    assert all(ended in after for state, after in table.items() if state is not ended)
