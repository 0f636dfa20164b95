"""Two faults in one run that once made a message arrive twice: the server says that it ends the connection, or its
replies are out of step, and a message behind is stored without an answer.

Only what is safe is asserted: nothing is stored twice, and nothing that was stored is reported as refused or not sent.
"""

from __future__ import annotations

import pytest

from tests.space.cases import FAREWELL, Case, Flow, Sending
from tests.space.drive import run
from tests.space.server import GARBAGE, SILENT, Rule, Stage, Then
from tests.worlds import World

IDLE, CHALLENGE, COUNT = "451 4.4.2 timeout waiting for data", "334 VXNlcm5hbWU6", 8

LOST_IN_SILENCE = [
    Rule(Stage.BDAT, 3, GARBAGE),
    Rule(Stage.BDAT, 3, GARBAGE, stores=True),
    Rule(Stage.BDAT, 3, SILENT, Then.CLOSE, stores=True),
    Rule(Stage.BDAT, 4, SILENT, Then.RESET, stores=True),
    Rule(Stage.RCPT_ALL, 3, "354 go ahead"),
]
ENDINGS = [
    Rule(Stage.MAIL, 2, IDLE),
    Rule(Stage.BDAT, 2, IDLE),
    Rule(Stage.MAIL, 2, FAREWELL),
    Rule(Stage.RCPT_ALL, 2, FAREWELL),
    Rule(Stage.BDAT, 2, FAREWELL),
]
PAIRS = [
    *((ending, loss) for ending in ENDINGS for loss in LOST_IN_SILENCE),
    (Rule(Stage.RCPT_ALL, 2, CHALLENGE), Rule(Stage.MAIL, 3, FAREWELL)),
    (Rule(Stage.RCPT_ALL, 2, CHALLENGE), Rule(Stage.MAIL, 3, IDLE)),
]


@pytest.mark.parametrize("sending", [Sending.MANY, Sending.SHARED])
@pytest.mark.parametrize("rules", PAIRS, ids=lambda rules: " + ".join(map(str, rules)))
def test_nothing_arrives_twice(world: World, sending: Sending, rules: tuple[Rule, Rule]) -> None:
    found, server = run(world, Case(Flow.BDAT, sending, COUNT, True, rules))
    assert any(server.record.struck[rule] for rule in rules)
    assert not [
        fault
        for fault in found
        if "was stored 2" in fault or fault.endswith((" refused, and stored", " not sent, and stored"))
    ]
