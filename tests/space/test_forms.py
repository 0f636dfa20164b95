"""Replies in every form that is still SMTP, and in some that are not: octet by octet, cut in two at each place, of many
lines, with a bare CR, in the wrong order, over a connection of which one half is closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.space.cases import MANNERS, Case, Flow, Sending, odd_cases
from tests.space.drive import complaint, run
from tests.space.server import Quirks, Stage
from tests.space.test_quirks import COUNT, refusals
from tests.worlds import World


@pytest.mark.parametrize("manner", MANNERS, ids=lambda quirks: str(quirks).removesuffix(", "))
@pytest.mark.parametrize("flow", Flow)
def test_the_form_of_replies_makes_no_difference(world: World, flow: Flow, manner: Quirks) -> None:
    case = Case(flow, Sending.MANY, COUNT, True, refusals(flow), quirks=manner)
    found, _ = run(world, case)
    assert not found, complaint(case, found)


@pytest.mark.parametrize("flow", [Flow.GROUPED, Flow.BDAT])
def test_replies_may_be_cut_anywhere(world: World, flow: Flow) -> None:
    """What the server says at once comes in two segments. A thousand octets are all that it says in a window."""
    case = Case(flow, Sending.MANY, 6, True, refusals(flow))
    for place in range(1, 1000, 97):
        found, _ = run(world, cut := replace(case, quirks=Quirks(cut=place)))
        assert not found, complaint(cut, found)


@pytest.mark.parametrize("flow", [Flow.GROUPED, Flow.BDAT])
def test_replies_out_of_order_and_halves_of_connections(world: World, flow: Flow) -> None:
    """Two replies read as one are left to ``ODD=1 python -m tests.space``: the client waits in vain for the other."""
    complaints = []
    for stage in (Stage.RCPT_ONE, flow.stages[-1]):
        for case in odd_cases(flow, stage, Sending.MANY, share=2):
            if not case.loses_replies:
                found, _ = run(world, case)
                complaints += [complaint(case, found)] if found else []
    assert not complaints, "\n\n" + "\n".join(complaints)
