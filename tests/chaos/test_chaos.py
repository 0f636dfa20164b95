"""A server that fails at random, by the seed: whatever it does, the account closes. ``make soak`` is the long form."""

from __future__ import annotations

import itertools

import pytest

from tests.chaos.run import OFFERS, SENDERS, Run
from tests.worlds import World

COUNT = 20
SEEDS = {(offers, sender): seed for seed, (offers, sender) in enumerate(itertools.product(OFFERS, SENDERS), start=1)}


@pytest.mark.parametrize("resends", [False, True], ids=["", "resending"])
@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("offers", OFFERS)
def test_nothing_is_lost_and_nothing_comes_twice(world: World, offers: str, sender: str, resends: bool) -> None:
    run = Run(seed=SEEDS[offers, sender], count=COUNT, offers=offers, sender=sender, resends=resends)
    balance, _ = run.carry_out(world)
    assert balance.letters == COUNT and balance.faults == [], run
