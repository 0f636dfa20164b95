"""The rates of lanes: the algorithm, what several programs share, and the settings. What every outbox does with them is
in ``wlsmtp.testing.lanes_contract``."""

from __future__ import annotations

import math
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.outbox.stores import START, Store, make
from tests.postgres import Postgres, PostgresStore
from tests.real import poll
from tests.worlds import World
from wlsmtp import ConfigError, MemoryOutbox, Message, MessageError, PostgresOutbox, SessionConfig, SMTPSession
from wlsmtp.outbox.pace import CLOCK_TOLERANCE, Pace, Rate, lane_of
from wlsmtp.outbox.postgres.statements import HEAD, MANY_LANES
from wlsmtp.outbox.sqlite_lanes import Lanes
from wlsmtp.testing import SMTPServer

RATES = st.builds(Rate.of, st.integers(1, 5000), st.sampled_from([1.0, 60.0, 3600.0, 86400.0]))
TIMES = st.floats(0, 5, allow_nan=False)


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hello", **fields})


class TestRate:
    @given(RATES, st.lists(st.tuples(TIMES, st.integers(0, 300)), min_size=1, max_size=40))
    def test_no_time_has_more_than_its_rate_and_what_may_be_early(
        self, rate: Rate, looks: list[tuple[float, int]]
    ) -> None:
        now, tat = START, 0.0
        sent: list[tuple[float, int]] = []
        for pause, wanted in looks:
            now += pause
            count = min(wanted, rate.allowed(tat, now))
            tat = rate.after(tat, now, count) if count else tat
            sent.append((now, count))
        for place, (begin, _) in enumerate(sent):
            total = 0
            for end, count in sent[place:]:
                total += count
                assert total <= (end - begin + rate.tolerance) / rate.interval + 1 + 1e-3

    @given(RATES, st.integers(1, 200))
    def test_who_comes_when_the_lane_is_free_sends_at_the_full_rate(self, rate: Rate, count: int) -> None:
        tat, now = 0.0, START
        for _ in range(count):
            now = max(now, rate.free_at(tat, now)) + 1e-6
            assert rate.allowed(tat, now) >= 1
            tat = rate.after(tat, now, 1)
        assert now - START <= (count - 1) * rate.interval + 1e-3 * count

    @given(RATES, st.lists(st.floats(0, 1), min_size=1, max_size=50))
    def test_who_is_late_by_less_than_the_tolerance_loses_nothing(self, rate: Rate, delays: list[float]) -> None:
        tat, now, sent = 0.0, START, 0
        for delay in delays:
            now = max(now, rate.free_at(tat, now)) + delay * rate.tolerance * 0.99
            count = rate.allowed(tat, now)
            assert count >= 1
            tat, sent = rate.after(tat, now, count), sent + count
        assert sent >= math.floor((now - START) / rate.interval - 1e-3)

    @given(RATES, st.floats(-10, 10), st.integers(0, 50))
    def test_several_who_share_it_get_as_much_as_one(self, rate: Rate, ahead: float, first: int) -> None:
        tat = START + ahead * rate.interval
        allowed = rate.allowed(tat, START)
        first = min(first, allowed)
        rest = rate.allowed(rate.after(tat, START, first) if first else tat, START)
        assert abs(first + rest - allowed) <= 1  # where a mail is allowed to the very moment

    @given(RATES, st.floats(0, 1e7))
    def test_a_time_from_a_wrong_clock_closes_the_lane_for_one_mail(self, rate: Rate, ahead: float) -> None:
        assert rate.free_at(START + ahead, START) <= START + rate.interval + CLOCK_TOLERANCE + 1e-3

    @pytest.mark.parametrize(
        ("addresses", "lane"),
        [(("Bob@Example.ORG", "x@y"), "example.org"), (('"a@b"@c.example',), "c.example"), (("root",), ""), ((), "")],
    )
    def test_a_lane_is_the_domain_of_the_first_recipient(self, addresses: tuple[str, ...], lane: str) -> None:
        assert lane_of(addresses) == lane


class TestShared:
    def test_four_workers_at_once_claim_what_one_may(self, postgres: Postgres) -> None:
        with ThreadPoolExecutor(4) as threads:
            first = PostgresStore(postgres)
            stores = [first]
            for _ in range(3):
                store = PostgresStore(postgres)
                store._clock, store.schema = first._clock, first.schema
                stores.append(store)
            plays = []
            for store in stores:
                io = store.io = SMTPSession._io()
                store.pace = Pace({"*": (1000, 1.0)})
                io.run_blocking(store.open())
                plays.append((io.run_blocking, store))
            play, _ = plays[0]
            first.set_clock(START)
            helper = Store.__new__(Store)
            helper._now, helper._set_clock = START, None
            play(first.put([helper.entry() for _ in range(400)]))
            first.set_clock(START + 1)
            claimed: list[int] = []
            for step in range(1, 4):
                turns = [threads.submit(play, store.claim("w", 100)) for play, store in plays * 3]
                claimed.append(sum(len(turn.result(60)) for turn in turns))
                first.set_clock(START + 1 + step * 0.05)
            assert claimed == [101, 50, 50]
            for play, store in plays:
                play(store.close())

    def test_a_claim_in_a_lane_that_is_used_up_waits_for_no_other(self, postgres: Postgres) -> None:
        impatient = f"{postgres.url}?options=-c%20lock_timeout%3D2s"
        outbox = PostgresOutbox(impatient, schema=(schema := postgres.schema()))
        io = outbox.io = SMTPSession._io()
        outbox.pace = Pace({"*": (1, 86400.0)})
        io.run_blocking(outbox.open())
        with SMTPSession("h", mode="async", outbox=f"{postgres.url}?schema={schema}", outbox_worker=False) as session:
            session.send_all([message(), message()])
            session.send(message(), lane="later", send_at=3600)
        assert len(io.run_blocking(outbox.claim("w", 10))) == 1
        # What is not due yet needs no lane.
        with postgres.connect() as other, other.transaction():
            assert other.execute(f"SELECT lane FROM {schema}.lanes FOR UPDATE".encode()).fetchall() == [
                ("example.org",)
            ]
            assert io.run_blocking(outbox.claim("w", 10)) == []
        io.run_blocking(outbox.close())

    def test_a_claim_looks_at_the_lanes_of_the_first_mails_only(self, postgres: Postgres) -> None:
        store = Store(World("blocking"), PostgresStore(postgres), lambda outbox, now: outbox.set_clock(now))  # type: ignore[attr-defined]
        store.outbox.pace = Pace({"*": (1, 60.0)})
        store.open()
        store.put([store.entry(to=f"bob@{number}.example") for number in range(MANY_LANES + 1)])
        assert len(store.claim("me", 1000)) == MANY_LANES + 1
        store.put([store.entry(to=f"bob@later{number}.example") for number in range(HEAD + 100)])
        assert len(store.claim("me", 10)) == 10
        # A lane that is looked at is given a row.
        assert postgres.query(f"SELECT count(*) FROM {store.outbox.schema}.lanes") == [(MANY_LANES + 1 + HEAD,)]  # type: ignore[attr-defined]
        store.close()

    def test_a_claim_from_a_file_looks_at_no_lane_behind_the_one_it_takes(self, tmp_path: Path) -> None:
        with SMTPSession("h", mode="async", outbox=f"sqlite:///{tmp_path}/o.db", outbox_worker=False) as session:
            session.send_all([message(to=f"bob@{number}.example") for number in range(300)])
        with closing(sqlite3.connect(tmp_path / "o.db")) as connection:
            statements: list[str] = []
            connection.set_trace_callback(statements.append)
            lanes = Lanes(connection, Pace({"*": (1, 60.0)}), time.time()).of(0)
            first = [lane for _, lane in islice(lanes, 100)]
            assert first == [f"{number}.example" for number in range(100)] and len(statements) == 1
            assert [lane for _, lane in lanes] == [f"{number}.example" for number in range(100, 300)]

    @pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
    def test_a_session_sends_at_the_rate_of_each_lane(
        self, world: World, kind: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        if kind == "postgres":
            outbox = request.getfixturevalue("postgres").outbox()
        else:
            outbox = "memory:" if kind == "memory" else f"sqlite:///{tmp_path}/outbox.db"
        pace = {"slow.example": "1/day", "*": "100/second"}
        with SMTPServer() as server:
            session = world.session(server.host, server.port, mode="async", outbox=outbox, pace=pace)
            slow = [session.send(message(to="bob@slow.example")) for _ in range(2)]
            others = [session.send(message(to=f"bob@{name}.example"), lane="one") for name in range(20)]
            assert all(session.wait(receipt, 30) for receipt in others)
            assert poll(lambda: session.flush(0.05) == 1, 30)
            assert sum(1 for message in server.messages if message.recipients == ("bob@slow.example",)) == 1
            session.cancel(slow[1].id)
            session.close()


class Unpaced(MemoryOutbox):
    """An outbox of another package, which knows no lanes."""

    keeps_pace = False


class TestSettings:
    def test_a_text_is_a_mapping_too(self) -> None:
        config = SessionConfig.from_url("smtp://h?mode=async&pace=gmail.com=20/second,*=100/minute")
        assert config.pace == {"gmail.com": "20/second", "*": "100/minute"}
        environ = {"WLSMTP_SERVER": "h", "WLSMTP_MODE": "async", "WLSMTP_PACE": "*=1/hour"}
        assert SessionConfig.from_env(environ).pace == {"*": "1/hour"}

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"pace": {"*": "often"}, "mode": "async"}, "10/second"), ({"pace": {}, "mode": "async"}, "rates by lane"),
            ({"pace": "100/minute", "mode": "async"}, "10/second"), ({"pace": {"*": "1/day"}}, "mode='async'"),
            ({"pace": {"*": "1/day"}, "mode": "async", "pace_scope": "world"}, "pace_scope"),
            ({"pace": {"": "1/day"}, "mode": "async"}, "rates by lane"),
            ({"pace": {"a\0": "1/day"}, "mode": "async"}, "rates by lane"),
            ({"pace": {"a\ud800": "1/day"}, "mode": "async"}, "rates by lane"),
            ({"pace": {"A": "1/day", "a": "2/day"}, "mode": "async"}, "one for each lane"),
            ({"pace": "a=1/day, a=2/day", "mode": "async"}, "one for each lane"),
        ],
    )  # fmt: skip
    def test_what_cannot_work_is_refused(self, settings: Any, words: str) -> None:
        with pytest.raises(ConfigError, match=words):
            SMTPSession("h", **settings)

    def test_an_outbox_that_knows_no_lanes_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="pace: Unpaced keeps to no rates"):
            SMTPSession("h", mode="async", outbox=Unpaced(), pace={"*": "1/day"})

    @pytest.mark.parametrize("lane", ["", "x" * 256, "a\nb", 7, "\ud800"])
    def test_a_lane_that_is_no_name_is_refused(self, lane: Any, tmp_path: Path) -> None:
        with SMTPSession("h", mode="async", outbox=make("sqlite", tmp_path), outbox_worker=False) as session:
            with pytest.raises(MessageError, match="lane: must have 1 to 255"):
                session.send(message(), lane=lane)
            assert session.outbox_statistics().pending == 0

    def test_without_an_outbox_a_lane_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="lane: cannot be kept to without an outbox"):
            SMTPSession("h").send(message(), lane="bulk")
