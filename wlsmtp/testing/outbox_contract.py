"""The contract of every outbox, as tests to inherit: for those of this package, and for yours.

::

    from wlsmtp.testing.outbox_contract import SharedOutboxContract

    class TestMine(SharedOutboxContract):
        def make(self, directory):
            return MyOutbox(directory)

``OutboxContract`` is for an outbox that only one program uses, and ``lanes_contract.LanesContract`` for one that keeps
to ``pace``: inherit from both if yours does. Each test runs with a blocking and an asyncio session,
under a clock that stands still. ``wlsmtp.testing`` does not import it, as it needs pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from wlsmtp.message.content import BytesContent
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mail import Mail
from wlsmtp.outbox.base import Agenda, Entry, Outbox
from wlsmtp.outbox.schedule import Schedule
from wlsmtp.outbox.verdict import again, cancelled
from wlsmtp.receipt import RecipientStatus, Status
from wlsmtp.session import AsyncSMTPSession, SMTPSession
from wlsmtp.testing.transport_contract import WORLDS, World

START = 1_700_000_000.0
RAW = b"From: ann@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000
CONTENTS = {
    "7bit": b"Subject: plain\r\n\r\nHello\r\n",
    "8bit": "Subject: body\r\n\r\nGrüße\r\n".encode(),
    "UTF-8 headers": "Subject: Grüße\r\n\r\nbody\r\n".encode(),
    "empty": b"",
    "large": LARGE,
}


class WorldLike(Protocol):
    """Runs sessions, blocking or asyncio, for tests."""

    name: str

    def run(self, result: Any) -> Any:
        """Wait for the result and return it."""
        ...


class Store:
    """An outbox, blocking or asyncio, called through blocking methods, under a clock that stands still."""

    def __init__(
        self, world: WorldLike, outbox: Outbox, set_clock: Callable[[Outbox, float], None] | None = None
    ) -> None:
        self.outbox: Outbox = outbox
        self._world = world
        self._set_clock = set_clock
        self._ahead = 0.0
        io: Any = AsyncSMTPSession._io() if world.name == "asyncio" else SMTPSession._io()
        monotonic = io.now
        io.unix_time = lambda: self.now
        io.now = lambda: monotonic() + self._ahead
        outbox.io = io
        self.now = START
        self.open()
        self.now = START  # its clock may be in the database that was opened

    @property
    def now(self) -> float:
        """The time by the clock."""
        return self._now

    @now.setter
    def now(self, now: float) -> None:
        self._now = now
        if self._set_clock is not None:
            self._set_clock(self.outbox, now)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.outbox, name)
        if self._world.name == "asyncio":
            return lambda *args: self._world.run(method(*args))
        return lambda *args: self.outbox.io.run_blocking(method(*args))

    def pass_by(self, seconds: float) -> None:
        """Advance both clocks."""
        self.now += seconds
        self._ahead += seconds

    def entry(self, raw: bytes = RAW, to: str = "bob@example.org", **schedule: Any) -> Entry:
        """Return an entry put at the present time."""
        self.now += 0.001
        mail = Mail(Envelope("ann@example.com", to), BytesContent(raw))
        return Schedule(**schedule).entry(mail, self.now)

    def stored(self, **options: Any) -> Entry:
        """Return an entry that was stored."""
        [entry] = self.put([self.entry(**options)])
        assert isinstance(entry, Entry)
        return entry


def ids(entries: list[Entry]) -> list[str]:
    """Return the ids of entries."""
    return [entry.receipt.id for entry in entries]


def finished(entry: Entry, status: Status = Status.SENT, now: float = START) -> Entry:
    """Return an entry that was tried, and is not tried again."""
    return entry.ends(now, entry.receipt.changed(status=status, attempts=1))


def octets(entry: Entry) -> bytes:
    """Return the content of a claimed entry."""
    assert entry.content is not None
    return b"".join(entry.content.chunks())


class OutboxContract:
    """Inherit from it, name the class ``Test…``, and implement ``make``."""

    def make(self, directory: Path) -> Outbox:
        """Return an empty outbox; ``directory`` is empty and for this test only."""
        raise NotImplementedError

    def set_clock(self, outbox: Outbox, now: float) -> None:
        """Set the time of the outbox to ``now``, if it does not use ``IO.unix_time``."""

    @pytest.fixture(params=WORLDS)
    def contract_world(self, request: pytest.FixtureRequest) -> Iterator[World]:
        """Blocking or asyncio."""
        with World(request.param) as world:
            yield world

    @pytest.fixture
    def store(self, contract_world: World, tmp_path: Path) -> Iterator[Store]:
        """The open outbox."""
        store = Store(contract_world, self.make(tmp_path), self.set_clock)
        yield store
        store.close()

    def test_what_was_put_can_be_asked_for(self, store: Store) -> None:
        stored = store.stored(priority=3, expires=60, send_at=5)
        got = store.get(stored.receipt.id)
        names = "sender waiting size created due expires priority key lane owner finished"
        for name in names.split():
            assert getattr(got, name) == getattr(stored, name), name
        assert got.receipt.status is Status.PENDING and got.receipt.message_id == "<1@example.com>"
        assert got.receipt.next_attempt == stored.receipt.next_attempt
        assert got.receipt.recipients[0].status is RecipientStatus.NOT_SENT
        assert store.get("nothing") is None

    def test_a_known_key_gives_the_mail_that_has_it(self, store: Store) -> None:
        first = store.stored(idempotency_key="k")
        one, two, three = store.put(
            [store.entry(idempotency_key="k"), store.entry(idempotency_key="new"), store.entry(idempotency_key="new")]
        )
        assert one.receipt.id == first.receipt.id and two.receipt.id == three.receipt.id
        assert store.statistics().pending == 2

    def test_gives_what_is_due_with_its_content_once(self, store: Store) -> None:
        stored = [store.stored() for _ in range(5)]
        first, second = store.claim("me", 3), store.claim("you", 10)
        assert ids(first) == ids(stored)[:3] and ids(second) == ids(stored)[3:]
        assert store.claim("me", 10) == []
        assert {entry.owner for entry in first} == {"me"} and {octets(entry) for entry in first} == {RAW}
        assert first[0].mail.envelope.addresses == ("bob@example.org",)
        assert first[0].mail.content.size == len(RAW) and first[0].mail.content.message_id == "<1@example.com>"

    def test_what_is_not_due_waits(self, store: Store) -> None:
        later = store.stored(send_at=60)
        assert store.claim("me", 10) == []
        assert store.agenda() == Agenda(later.due, None)
        store.now += 61
        assert ids(store.claim("me", 10)) == [later.receipt.id]
        assert store.agenda().due is None and store.agenda().lease is not None

    def test_greater_priority_first_then_what_was_due_first(self, store: Store) -> None:
        priorities = [0, 5, -10, 10, 5, 0]
        stored = [store.stored(priority=priority) for priority in priorities]
        expected = [stored[place].receipt.id for place in (3, 1, 4, 0, 5, 2)]
        assert ids(store.claim("me", 4)) + ids(store.claim("me", 4)) == expected

    def test_urgent_mail_that_is_not_due_holds_nothing_up(self, store: Store) -> None:
        store.stored(priority=10, send_at=60)
        now = store.stored()
        assert ids(store.claim("me", 10)) == [now.receipt.id]

    def test_finished_mail_is_remembered_and_not_claimed(self, store: Store) -> None:
        store.stored()
        [claimed] = store.claim("me", 1)
        assert store.settle("me", [finished(claimed)]) == []
        got = store.get(claimed.receipt.id)
        assert got.receipt.status is Status.SENT and got.is_finished and got.owner is None
        assert store.claim("me", 1) == [] and store.agenda() == Agenda(None, None)

    def test_deferred_mail_goes_to_whom_is_left(self, store: Store) -> None:
        store.stored()
        [claimed] = store.claim("me", 1)
        later = claimed.waits_until(store.now + 10, claimed.receipt.changed(attempts=1), ("rest@example.org",))
        store.settle("me", [later])
        assert store.claim("me", 1) == []
        assert store.statistics().deferred == 1
        store.now += 10
        [again] = store.claim("you", 1)
        assert again.waiting == ("rest@example.org",) and again.receipt.attempts == 1 and octets(again) == RAW

    def test_who_lost_a_mail_changes_nothing(self, store: Store) -> None:
        store.stored()
        [claimed] = store.claim("slow", 1)
        store.agenda()
        store.pass_by(61)
        assert ids(store.reclaim("quick")) == [claimed.receipt.id]
        store.claim("quick", 1)
        assert store.settle("slow", [finished(claimed, Status.ERROR)]) == [claimed.receipt.id]
        assert store.get(claimed.receipt.id).receipt.status is Status.PENDING

    def test_a_mail_whose_worker_died_goes_again_and_is_counted(self, store: Store) -> None:
        store.stored()
        [claimed] = store.claim("dead", 1)
        store.agenda()
        store.pass_by(61)
        [reclaimed] = store.reclaim("me")
        assert reclaimed.receipt.id == claimed.receipt.id and reclaimed.receipt.interruptions == 1
        assert store.reclaim("me") == []
        [again] = store.claim("me", 1)
        assert again.receipt.interruptions == 1 and octets(again) == RAW
        assert store.statistics().interruptions == 1

    def test_nobody_takes_his_own_mail_away(self, store: Store) -> None:
        store.stored()
        store.claim("me", 1)
        store.now += 1000
        assert store.reclaim("me") == []

    def test_a_waiting_mail_can_be_cancelled_and_tried_again(self, store: Store) -> None:
        stored = store.get(store.stored().receipt.id)
        gone = cancelled(stored, store.now)
        assert store.change(stored, gone) and not store.change(stored, gone)
        assert store.claim("me", 1) == []
        known = store.get(stored.receipt.id)
        new = again(known, store.now)
        assert new is not None and store.change(known, new)
        [claimed] = store.claim("me", 1)
        assert octets(claimed) == RAW

    def test_a_mail_on_its_way_cannot(self, store: Store) -> None:
        before = store.get(store.stored().receipt.id)
        [claimed] = store.claim("me", 1)
        assert not store.change(before, cancelled(before, store.now))
        assert not store.change(claimed, cancelled(claimed, store.now))

    def test_pages_give_every_mail_once_in_its_order(self, store: Store) -> None:
        stored = ids([store.stored() for _ in range(7)])
        store.settle("me", [finished(entry) for entry in store.claim("me", 2)])
        everything, pending = tuple(Status), (Status.PENDING,)
        first = store.page(everything, None, 3)
        second = store.page(everything, first[-1], 3)
        third = store.page(everything, second[-1], 3)
        assert ids(first + second + third) == stored and store.page(everything, third[-1], 3) == []
        assert ids(store.page(pending, None, 10)) == stored[2:]

    def test_statistics_count(self, store: Store) -> None:
        for _ in range(6):
            store.stored()
        ends = [Status.SENT, Status.PARTIAL, Status.ERROR, Status.UNKNOWN]
        store.settle("me", [finished(*pair) for pair in zip(store.claim("me", 4), ends, strict=True)])
        store.claim("me", 1)
        counts = store.statistics()
        assert (counts.sent, counts.partial, counts.error, counts.unknown) == (1, 1, 1, 1)
        assert (counts.pending, counts.in_flight, counts.deferred) == (2, 1, 0)
        assert counts.oldest_due_age == pytest.approx(store.now - counts.next_due.timestamp(), abs=0.1)
        assert counts.oldest is not None and counts.oldest.timestamp() == pytest.approx(START, abs=1)
        assert counts.next_due is not None and counts.next_due.timestamp() == pytest.approx(START, abs=1)

    def test_purge_forgets_what_is_finished_and_old(self, store: Store) -> None:
        old, new, waiting = (store.stored(idempotency_key=str(number)) for number in range(3))
        store.settle("me", [finished(store.claim("me", 1)[0], now=START)])
        store.settle("me", [finished(store.claim("me", 1)[0], now=START + 100)])
        assert store.purge(START + 50) == 1 and store.purge(START + 50) == 0
        assert store.get(old.receipt.id) is None
        assert store.get(new.receipt.id) is not None and store.get(waiting.receipt.id) is not None
        assert store.put([store.entry(idempotency_key="0")])[0].receipt.id != old.receipt.id

    def test_a_clock_that_jumped_ahead_forgets_nothing(self, store: Store) -> None:
        store.stored(idempotency_key="k")
        store.settle("me", [finished(store.claim("me", 1)[0], now=store.now)])
        store.now += 8 * 86400
        assert store.purge(store.now - 7 * 86400) == 0
        assert store.put([store.entry(idempotency_key="k")])[0].is_finished
        store.pass_by(3601)  # it was steady since, so it is trusted
        assert store.purge(store.now - 7 * 86400) == 1

    def test_what_was_put_while_the_clock_was_ahead_is_due_once_it_is_set(self, store: Store) -> None:
        store.now += 86400
        at_once, later = store.stored(), store.stored(send_at=datetime.fromtimestamp(store.now + 60, UTC))
        store.now -= 86400
        assert store.claim("me", 10) == []
        store.reclaim("me")
        assert ids(store.claim("me", 10)) == [at_once.receipt.id]
        assert store.get(later.receipt.id).due == later.due

    def test_what_waits_for_some_seconds_waits_no_longer_when_the_clock_is_set_back(self, store: Store) -> None:
        deferred, new = store.stored(), store.stored(send_at=60)
        [claimed] = store.claim("me", 1)
        due = store.now + 90
        store.settle("me", [claimed.waits_until(due, claimed.receipt.changed(attempts=1), claimed.waiting, 90)])
        store.reclaim("me")
        assert store.get(deferred.receipt.id).due == due and store.get(new.receipt.id).due == new.due
        for _ in range(2):
            store.now -= 86400
            store.reclaim("me")
            shown = store.get(deferred.receipt.id)
            assert shown.due == pytest.approx(store.now + 90, abs=0.1)
            assert shown.receipt.next_attempt.timestamp() == pytest.approx(shown.due, abs=0.1)
        store.now += 75
        assert ids(store.claim("me", 10)) == [new.receipt.id]
        store.now += 30
        assert ids(store.claim("me", 10)) == [deferred.receipt.id]

    def test_the_content_of_what_failed_is_kept_for_another_try(self, store: Store) -> None:
        store.stored()
        [claimed] = store.claim("me", 1)
        store.settle("me", [finished(claimed, Status.ERROR)])
        failed = store.get(claimed.receipt.id)
        new = again(failed, store.now)
        assert new is not None and store.change(failed, new)
        assert octets(store.claim("me", 1)[0]) == RAW

    @pytest.mark.parametrize("raw", CONTENTS.values(), ids=CONTENTS)
    def test_a_content_comes_back_as_it_was(self, store: Store, raw: bytes) -> None:
        was = BytesContent(raw)
        store.stored(raw=raw)
        [claimed] = store.claim("me", 1)
        content: Any = claimed.content
        assert b"".join(content.chunks()) == b"".join(content.chunks()) == was.data
        for name in ("size", "is_8bit", "has_utf8_headers", "message_id", "is_binary"):
            assert getattr(content, name) == getattr(was, name), name

    def test_a_list_is_kept_whole_and_in_its_order(self, store: Store) -> None:
        entries = [store.entry(raw=raw, to=f"{name}@example.org") for name, raw in enumerate(CONTENTS.values())]
        assert ids(store.put(entries)) == ids(entries)
        claimed = store.claim("me", 10)
        assert ids(claimed) == ids(entries) and [octets(entry) for entry in claimed] == list(CONTENTS.values())
        assert [entry.waiting for entry in claimed] == [entry.waiting for entry in entries]

    def test_what_is_given_back_untried_goes_first_again(self, store: Store) -> None:
        first, second = store.stored(), store.stored()
        [claimed] = store.claim("me", 1)
        assert ids([claimed]) == ids([first])
        assert store.settle("me", [claimed.waits_until(claimed.due or 0.0, claimed.receipt, claimed.waiting)]) == []
        assert ids(store.claim("you", 2)) == ids([first, second])

    def test_mail_that_was_due_long_ago_is_found_behind_newer_mail(self, store: Store) -> None:
        store.stored()
        store.pass_by(10)
        store.claim("me", 1)
        old = replace(store.entry(), due=START - 60)
        store.put([old])
        store.pass_by(60)  # however long the last look at all of it took
        assert ids(store.claim("me", 1)) == ids([old])

    def test_what_is_settled_twice_is_not_lost(self, store: Store) -> None:
        store.stored()
        [claimed] = store.claim("me", 1)
        assert store.settle("me", [finished(claimed)]) == []
        assert store.get(claimed.receipt.id).receipt.status is Status.SENT
        assert store.settle("other", [finished(claimed, Status.ERROR)]) == [claimed.receipt.id]
        assert store.get(claimed.receipt.id).receipt.status is Status.SENT

    def test_an_entry_is_replaced_and_never_changed(self, store: Store) -> None:
        stored = store.stored()
        store.claim("me", 1)
        assert stored.owner is None and replace(stored) == stored


class SharedOutboxContract(OutboxContract):
    """For an outbox that several programs use: the rules of leases."""

    def test_a_sign_of_life_keeps_the_lease(self, store: Store) -> None:
        store.stored()
        store.claim("alive", 1)
        store.agenda()
        store.pass_by(50)
        store.renew("alive")
        assert store.reclaim("me") == []
        store.pass_by(50)
        assert store.reclaim("me") == []
        store.pass_by(11)
        assert len(store.reclaim("me")) == 1

    @pytest.mark.parametrize("seconds", [300, 86400 * 365])
    def test_a_clock_that_was_set_takes_no_lease_from_the_living(self, store: Store, seconds: float) -> None:
        store.stored()
        store.claim("alive", 1)
        store.now += seconds
        for _ in range(10):
            assert store.reclaim("me") == []
            store.pass_by(20)
            store.renew("alive")

    def test_the_dead_are_found_although_the_clock_was_set_back(self, store: Store) -> None:
        store.stored()
        store.claim("dead", 1)
        store.now -= 86400
        assert store.reclaim("me") == []
        ahead = store.agenda().lease - store.now
        assert 0 < ahead <= 60
        store.pass_by(ahead)
        assert len(store.reclaim("me")) == 1
