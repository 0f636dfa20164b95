"""What is left of an outbox when its programs are killed in the middle: nothing is lost, and every copy too many is of
a mail that was on its way, and is counted."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.outbox.programs import SENDER, WORKER, copies, newer, start
from tests.postgres import Postgres
from tests.real import poll
from wlsmtp import Message, SMTPSession, Status
from wlsmtp.testing import SMTPServer

ROUNDS = 6
A_ROUND = 500
"""Messages that each program would store, if it lived."""


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


class Records:
    """An outbox that programs share, and a look at its records beside them."""

    a_round = A_ROUND

    def __init__(self, url: str, query: Callable[[str], list[Any]], table: str, connections: str = "") -> None:
        self.url, self._query, self._table, self._connections = url, query, table, connections

    def in_flight(self) -> set[str]:
        if self._connections:  # the server may still be at what a program has said before it was killed
            assert poll(lambda: not self._query(self._connections), 30)
        return {id for (id,) in self._query(f"SELECT id FROM {self._table} WHERE owner IS NOT NULL")}

    def column(self, name: str) -> dict[str, str | None]:
        return dict(self._query(f"SELECT id, {name} FROM {self._table}"))


@pytest.fixture(params=["sqlite", "postgres"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Records:
    if request.param == "postgres":
        postgres: Postgres = request.getfixturevalue("postgres")
        schema = postgres.schema()
        connections = f"SELECT FROM pg_stat_activity WHERE application_name = '{schema}'"
        url = postgres.outbox(schema, lease=0.5, application_name=schema)
        records = Records(url, postgres.query, f"{schema}.mails", connections)
        records.a_round = A_ROUND // 3  # two processes have to be scheduled for each statement
        return records
    path = tmp_path / "outbox.db"

    def query(statement: str) -> list[Any]:
        with closing(sqlite3.connect(path)) as database:
            return database.execute(statement).fetchall()

    return Records(f"sqlite:///{path}?lease=0.5", query, "mails")


def run_and_kill(server: SMTPServer, records: Records, name: int, lines: int, program: str = SENDER) -> dict[str, str]:
    """Start a program and kill it once it has reported so many messages; return all that it reported."""
    process = start(program, server.host, server.port, records.url, name, records.a_round)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    rest, _ = process.communicate(timeout=20)
    whole = [line.split() for line in [*told, *rest.splitlines(keepends=True)] if line.endswith("\n")]
    return {id: subject for subject, id in whole}


@pytest.mark.parametrize("seed", [4711])
def test_nothing_that_was_stored_is_lost_and_every_copy_too_many_is_accounted_for(
    server: SMTPServer, records: Records, seed: int
) -> None:
    chance = random.Random(seed)
    stored: dict[str, str] = {}
    open_leases: Counter[str] = Counter()
    for name in range(ROUNDS):
        stored |= run_and_kill(server, records, name, chance.randrange(1, records.a_round))
        open_leases.update(records.in_flight())
    with SMTPSession(server.host, server.port, mode="async", outbox=records.url) as session:
        assert session.flush(30) == 0
        receipts = {receipt.id: receipt for receipt in session.receipts()}
        counts = session.outbox_statistics()

    assert stored.keys() <= receipts.keys(), "what a program was told to be stored is stored"
    assert all(receipt.status is Status.SENT for receipt in receipts.values())
    arrived = copies(server)
    assert set(stored.values()) <= set(arrived), "what was stored has arrived"
    assert len(arrived) == len(receipts), "and nothing else"
    message_ids = Counter(mail.header("Message-ID") for mail in server.messages)
    for receipt in receipts.values():
        assert 1 <= message_ids[receipt.message_id] <= 1 + receipt.interruptions
        assert receipt.interruptions <= open_leases[receipt.id]
    assert counts.interruptions == sum(receipt.interruptions for receipt in receipts.values()) > 0
    assert counts.sent == len(receipts) > records.a_round


VERSIONS = (SENDER, newer(SENDER), newer(SENDER, wants_options=True))
"""This one, one with another field in its records, and one with an option of a message besides."""


def test_nothing_is_lost_when_programs_of_two_versions_are_killed_over_one_outbox(
    server: SMTPServer, records: Records
) -> None:
    chance = random.Random(4712)
    stored: dict[str, str] = {}
    of_newer: set[str] = set()
    for name in range(ROUNDS):
        told = run_and_kill(server, records, name, chance.randrange(1, records.a_round // 2), VERSIONS[name % 3])
        stored |= told
        if name % 3:
            of_newer |= told.keys()
    with SMTPSession(server.host, server.port, mode="async", outbox=records.url) as session:
        session.flush(30)
    left = {id for id, status in records.column("status").items() if status != "sent"}
    asks = {id for id, options in records.column("options").items() if options is not None}
    assert left <= asks, "only what asks for something that is not known here is left to others"

    worker = start(newer(WORKER), server.host, server.port, records.url, "newer.example")
    assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    assert poll(lambda: set(records.column("status").values()) == {"sent"}, 30)
    _, errors = worker.communicate("stop\n", timeout=30)
    assert worker.returncode == 0, errors
    written = {id: json.loads(text or "") for id, text in records.column("receipt").items()}
    arrived = Counter(mail.header("Message-ID") for mail in server.messages)
    assert stored.keys() <= written.keys() and len(arrived) == len(written)
    for receipt in written.values():
        assert 1 <= arrived[receipt["message_id"]] <= 1 + receipt.get("interruptions", 0)
    assert of_newer <= {id for id, receipt in written.items() if "signature" in receipt}


def test_two_workers_share_one_outbox_and_never_the_same_mail(server: SMTPServer, records: Records) -> None:
    workers = [start(WORKER, server.host, server.port, records.url, name) for name in ("one.example", "two.example")]
    for worker in workers:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    session = SMTPSession("localhost", mode="async", outbox=records.url, outbox_worker=False)
    both_awake = datetime.now() + timedelta(seconds=2)
    for number in range(1000):
        mail = Message(sender="a@example.com", to="b@example.com", subject=str(number), text="x")
        session.send(mail, send_at=both_awake)
    assert session.flush(30) == 0
    for worker in workers:
        _, errors = worker.communicate("stop\n", timeout=30)
        assert worker.returncode == 0 and errors == ""
    session.close()
    assert copies(server) == Counter({str(number): 1 for number in range(1000)})
    names = {line.split()[1] for _, who, line in server.transcript if who == "C" and line.startswith(b"EHLO")}
    assert {b"one.example", b"two.example"} <= names
