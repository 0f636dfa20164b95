"""Servers that take less than they offer, all the time: mail goes through all the same, once, and receipts are true."""

from __future__ import annotations

import pytest

from tests.space.cases import Case, Flow, Sending
from tests.space.drive import complaint, run
from tests.space.server import Quirks, Rule, Stage
from tests.worlds import World

COUNT = 12
QUIRKS = [
    Quirks(max_messages=1),
    Quirks(max_messages=1, stays=False),
    Quirks(max_messages=3),
    Quirks(max_messages=3, stays=False),
    Quirks(max_recipients=1),
    Quirks(max_recipients=1, too_many="451 4.5.3 too many recipients"),
    Quirks(rset="500 5.5.1 what"),
    Quirks(rset="502 5.5.1 not implemented", max_messages=3),
    Quirks(keeps=True),
    Quirks(discards=True),
    Quirks(unread_chunk=True),
    Quirks(groups="503 5.5.0 improper command pipelining"),
    Quirks(bdat="502 5.5.1 not implemented"),
    Quirks(bdat="500 5.5.2 what"),
    Quirks(keeps=True, max_messages=3),
]


def refusals(flow: Flow) -> tuple[Rule, ...]:
    """What else happens, as it does every day: a recipient, all recipients, a content is refused, one for now."""
    content = Stage.BDAT if flow is Flow.BDAT else Stage.END
    return (
        Rule(Stage.RCPT_ONE, 3, "550 5.1.1 nobody here", times=None),
        Rule(Stage.RCPT_ALL, 5, "550 5.1.1 nobody here", times=None),
        Rule(content, 7, "554 5.6.0 virus", times=None),
        Rule(content, 9, "451 4.3.0 not now"),
        Rule(Stage.MAIL, 11, "550 5.7.1 not from you", times=None),
    )


@pytest.mark.parametrize("refuses", [False, True], ids=["takes all", "refuses some"])
@pytest.mark.parametrize("quirks", QUIRKS, ids=lambda quirks: str(quirks).removesuffix(", "))
@pytest.mark.parametrize("flow", Flow)
def test_a_quirk_harms_no_message(world: World, flow: Flow, quirks: Quirks, refuses: bool) -> None:
    complaints = []
    for sending in (Sending.MANY, Sending.SHARED, Sending.OUTBOX):
        rules = refusals(flow) if refuses else ()
        case = Case(flow, sending, COUNT, sending is not Sending.MANY, rules, quirks=quirks)
        found, _ = run(world, case)
        if found:
            complaints.append(complaint(case, found))
    assert not complaints, "\n\n" + "\n".join(complaints)
