"""Whatever a server answers, wherever: receipts equal what it stored, no message is offered without measure, and the
messages around the one that was struck are unharmed.

Here every eighth case is tried; ``SPACE_SHARE=1`` tries all. ``python -m tests.space WORD …`` runs those whose names
have all the words and shows what is wrong.
"""

from __future__ import annotations

import os

import pytest

from tests.space.cases import Flow, Sending, cases
from tests.space.drive import complaint, run
from tests.space.server import Stage
from tests.worlds import World

SHARE = int(os.environ.get("SPACE_SHARE", "8"))
MOST = 6
"""Cases that fail before the rest of a part is left out."""
PARTS = [
    pytest.param(flow, stage, sending, id=f"{flow}-{stage}-{sending}".replace(" ", "-"))
    for flow in Flow
    for stage in flow.stages
    for sending in Sending
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("flow", "stage", "sending"), PARTS)
def test_receipts_equal_the_truth_and_the_next_message_goes_through(
    world: World, flow: Flow, stage: Stage, sending: Sending
) -> None:
    complaints: list[str] = []
    strikes = 0
    for case in cases(flow, stage, sending, SHARE):
        found, server = run(world, case)
        strikes += any(server.record.struck[rule] for rule in case.rules)
        if found:
            complaints.append(complaint(case, found))
        if len(complaints) == MOST:
            break
    assert not complaints, "\n\n" + "\n".join(complaints)
    assert strikes, "no rule of this part ever struck"
