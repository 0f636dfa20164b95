"""The contract of an outbox that keeps to rates by lane, as tests to inherit beside those of ``outbox_contract``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wlsmtp.outbox.pace import Pace
from wlsmtp.testing.outbox_contract import START, OutboxContract, Store, ids


class LanesContract(OutboxContract):
    """For an outbox that ``keeps_pace``."""

    @staticmethod
    def pace(store: Store, scope: Any = "cluster", **rates: tuple[int, float]) -> None:
        """Give the outbox rates, as a session does before it opens the outbox."""
        named = {{"others": "*"}.get(name, f"{name}.example"): rate for name, rate in rates.items()}
        store.outbox.pace = Pace(named, scope)
        store.open()

    def test_a_lane_keeps_its_rate_and_holds_up_no_other(self, store: Store) -> None:
        self.pace(store, slow=(1, 1.0))
        slow = [store.stored(to=f"{number}@Slow.example") for number in range(3)]
        other = [store.stored(to=f"{number}@other.example") for number in range(2)]
        assert sorted(ids(store.claim("me", 10))) == sorted(ids([slow[0], *other]))
        assert store.claim("me", 10) == [] == store.claim("you", 10)
        store.pass_by(0.8)
        assert store.claim("me", 10) == []
        store.pass_by(0.3)
        assert ids(store.claim("you", 10)) == [slow[1].receipt.id]

    def test_the_agenda_says_when_the_lane_is_free(self, store: Store) -> None:
        self.pace(store, slow=(1, 60.0))
        first, second = (store.stored(to="bob@slow.example") for _ in range(2))
        assert ids(store.claim("me", 10)) == ids([first])
        began = store.now
        assert store.agenda().due == pytest.approx(began + 59.0)
        assert store.statistics().next_due.timestamp() == pytest.approx(second.due)
        store.pass_by(59.001)
        assert ids(store.claim("me", 10)) == ids([second]) and store.agenda().due is None

    def test_what_was_not_sent_a_moment_ago_may_be_sent_at_once(self, store: Store) -> None:
        self.pace(store, quick=(95, 1.0))
        for number in range(30):
            store.stored(to=f"{number}@quick.example")
        assert len(store.claim("me", 30)) == 10
        store.pass_by(0.0501)
        assert len(store.claim("me", 2)) == 2 and len(store.claim("me", 30)) == 3

    def test_each_other_lane_has_a_rate_of_its_own(self, store: Store) -> None:
        self.pace(store, own=(600, 60.0), others=(1, 60.0))
        for lane in ("own", "a", "b", "a", "b", "own"):
            store.stored(to=f"bob@{lane}.example")
        claimed = store.claim("me", 10)
        assert sorted(entry.lane for entry in claimed) == ["a.example", "b.example", "own.example", "own.example"]

    def test_a_lane_may_be_named(self, store: Store) -> None:
        self.pace(store, slow=(1, 60.0))
        entries = [store.stored(lane="slow.example"), store.stored(lane="SLOW.example"), store.stored()]
        assert [entry.lane for entry in entries] == ["slow.example", "slow.example", "example.org"]
        assert sorted(ids(store.claim("me", 10))) == sorted(ids([entries[0], entries[2]]))

    def test_urgent_mail_of_a_lane_goes_first_and_counts_for_it(self, store: Store) -> None:
        self.pace(store, slow=(1, 1.0))
        for priority in (0, 5, 0):
            store.stored(to="bob@slow.example", priority=priority)
        urgent = store.stored(priority=-5)
        claimed = store.claim("me", 10)
        assert [entry.priority for entry in claimed] == [5, -5] and claimed[1].receipt.id == urgent.receipt.id
        store.pass_by(1)
        assert [entry.priority for entry in store.claim("me", 10)] == [0]

    def test_the_lane_that_has_waited_longest_goes_first(self, store: Store) -> None:
        self.pace(store, nobody=(1, 1.0))
        stored = [store.stored(to=f"bob@{lane}.example") for lane in ("z", "a", "m", "z")]
        assert {entry.lane for entry in store.claim("me", 2)} == {"z.example"}
        assert ids(store.claim("me", 10)) == ids(stored[1:3])

    def test_of_many_lanes_each_has_its_turn(self, store: Store) -> None:
        self.pace(store, others=(1, 60.0))
        stored = [store.entry(to=f"bob@{number % 150:03}.example") for number in range(900)]
        store.put(stored)
        assert ids(store.claim("me", 1000)) == ids(stored[:150])
        assert store.claim("me", 1000) == [] and store.agenda().due == pytest.approx(store.now + 59.0)
        last = store.stored(to="bob@last.example")
        assert store.agenda().due <= store.now
        assert ids(store.claim("me", 1000)) == ids([last])
        store.pass_by(59.001)
        assert store.agenda().due <= store.now
        assert ids(store.claim("me", 100)) == ids(stored[150:250])
        assert ids(store.claim("me", 100)) == ids(stored[250:300])
        assert store.claim("me", 100) == []

    def test_sessions_keep_a_rate_together_or_each_its_own(self, store: Store) -> None:
        for _ in range(6):
            store.stored(to="bob@slow.example")
        found = []
        for scope in ("cluster", "cluster", "session", "session"):
            self.pace(store, scope, slow=(1, 60.0))
            found.append(len(store.claim(scope, 10)))
        assert found == [1, 0, 1, 1]

    def test_a_clock_that_was_set_back_closes_no_lane(self, store: Store) -> None:
        self.pace(store, slow=(1, 1.0))
        store.now += 86400
        for _ in range(3):
            store.put([replace(store.entry(to="bob@slow.example"), due=START)])
        assert len(store.claim("me", 10)) == 1
        store.now -= 86400 - 60
        assert len(store.claim("me", 10)) == 1
        assert store.claim("me", 10) == []
        store.pass_by(1.001)
        assert len(store.claim("me", 10)) == 1

    def test_without_rates_nothing_is_held_back(self, store: Store) -> None:
        self.pace(store, slow=(1, 60.0))
        for _ in range(3):
            store.stored(to="bob@slow.example")
        store.outbox.pace = None
        store.open()
        assert len(store.claim("me", 10)) == 3
