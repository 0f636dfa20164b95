"""A server that fails at random, by the seed: whatever it does, the account closes. ``make soak`` is the long form."""

from __future__ import annotations

from itertools import chain, product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.chaos.fate import Decision, Destiny, Fate
from tests.chaos.quirks import Quirk
from tests.chaos.run import OFFERS, SENDERS, Run
from tests.chaos.server import ChaosServer
from tests.chaos.virtual import VirtualWorld
from tests.worlds import World
from wlsmtp import Envelope, PoolLimits, Timeouts

COUNT = 20
SEEDS = {(offers, sender): seed for seed, (offers, sender) in enumerate(product(OFFERS, SENDERS), start=1)}


@pytest.mark.parametrize("resends", [False, True], ids=["", "resending"])
@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("offers", OFFERS)
def test_nothing_is_lost_and_nothing_comes_twice(world: World, offers: str, sender: str, resends: bool) -> None:
    run = Run(SEEDS[offers, sender], COUNT, offers, sender, resends)
    balance = run.carry_out(world, run.server())
    assert balance.letters == COUNT and balance.faults == [], run


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("offers", OFFERS)
@pytest.mark.parametrize("quirk", Quirk)
def test_no_quirk_of_a_server_breaks_a_promise(quirk: Quirk, offers: str, sender: str) -> None:
    run = Run(SEEDS[offers, sender], COUNT, offers, sender, quirks=frozenset({quirk}))
    server = run.server()
    world = VirtualWorld(server)
    try:
        balance = run.carry_out(world, server)
    finally:
        world.close()
    assert balance.letters == COUNT and balance.faults == [], run


# A fault after some commands that go well: from the greeting to the end of the first content there are six.
faults = st.tuples(st.integers(0, 9), st.sampled_from(Fate), st.floats(0, 1, exclude_max=True))
runs = st.builds(
    Run,
    st.integers(0, 100),
    st.integers(1, 10),
    st.sampled_from([*OFFERS]),
    st.sampled_from([*SENDERS]),
    st.booleans(),
    st.frozensets(st.sampled_from(Quirk), max_size=2),
)


class Told(Destiny):
    """Predetermined fates; everything works when they are over."""

    def __init__(self, course: list[tuple[int, Fate, float]]) -> None:
        well = Decision(Fate.NOTHING, 0)
        self._decisions = chain.from_iterable([well] * count + [Decision(fate, share)] for count, fate, share in course)

    def next(self) -> Decision:
        return next(self._decisions, Decision(Fate.NOTHING, 0))


class ToldServer(ChaosServer):
    """What befalls each command, whatever its connection."""

    def __init__(self, run: Run, course: list[tuple[int, Fate, float]]) -> None:
        self._told = Told(course)
        super().__init__(run.seed, OFFERS[run.offers], run.quirks)

    def destiny(self, connection: int) -> Destiny:
        return self._told


@settings(deadline=None, max_examples=300)
@given(runs, st.lists(faults, max_size=6))
@example(  # a transient refusal of the probe's chunk is not that of one without recipients
    Run(0, 4, "pipelining, chunking", "send_many", quirks=frozenset({Quirk.KEEPS_ENVELOPE, Quirk.UNREAD_CHUNK})),
    [(3, Fate.LATER, 0.0)],
)
def test_no_course_of_events_breaks_a_promise(run: Run, course: list[tuple[int, Fate, float]]) -> None:
    server = ToldServer(run, course)
    world = VirtualWorld(server)
    try:
        assert run.carry_out(world, server).faults == []
    finally:
        world.close()


@pytest.mark.parametrize("sender", SENDERS)
def test_a_seed_gives_one_history(sender: str) -> None:
    def history() -> list[tuple[int, str, bytes]]:
        run = Run(5, 30, "pipelining, chunking", sender)
        server = run.server()
        world = VirtualWorld(server)
        run.carry_out(world, server)
        world.close()
        return server.transcript

    assert history() == history()


@pytest.mark.parametrize("octets", [10, 20_000, 200_000])
def test_a_stream_waits_for_its_pace_and_its_messages_lose_no_time(octets: int) -> None:
    server = ToldServer(Run(1, 20, "pipelining, chunking", "send_many"), [])
    world = VirtualWorld(server)
    content = b"Subject: x\r\n\r\n" + b"x" * octets
    mails = ((content, Envelope("ann@example.com", [f"n{number}@example.org"])) for number in range(20))
    try:
        with world.session("server", pool=PoolLimits(rate="3/minute"), timeout=Timeouts(total=50)) as session:
            assert all(session.send_many(mails))
    finally:
        world.close()
    assert [mail.recipients[0] for mail in server.messages] == [f"n{number}@example.org" for number in range(20)]
