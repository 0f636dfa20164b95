"""What is left of an outbox when its programs are killed in the middle: nothing is lost, and every copy too many is of
a mail that was on its way, and is counted."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.outbox.programs import SENDER, WORKER, copies, newer, start
from tests.real import poll
from wlsmtp import Message, SMTPSession, SQLiteOutbox, Status
from wlsmtp.testing import SMTPServer

ROUNDS = 6
A_ROUND = 500
"""Messages that each program would store, if it lived."""


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


def in_flight(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        return {id for (id,) in database.execute("SELECT id FROM mails WHERE owner IS NOT NULL")}


def column(path: Path, name: str) -> dict[str, str | None]:
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute(f"SELECT id, {name} FROM mails").fetchall())


def run_and_kill(server: SMTPServer, path: Path, name: int, lines: int, program: str = SENDER) -> dict[str, str]:
    """Start a program and kill it once it has told of so many messages; gives all that it had told of."""
    process = start(program, server.host, server.port, path, name, A_ROUND)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    rest, _ = process.communicate(timeout=20)
    whole = [line.split() for line in [*told, *rest.splitlines(keepends=True)] if line.endswith("\n")]
    return {id: subject for subject, id in whole}


@pytest.mark.parametrize("seed", [4711])
def test_nothing_that_was_stored_is_lost_and_every_copy_too_many_is_accounted_for(
    server: SMTPServer, tmp_path: Path, seed: int
) -> None:
    chance, path = random.Random(seed), tmp_path / "outbox.db"
    stored: dict[str, str] = {}
    open_leases: Counter[str] = Counter()
    for name in range(ROUNDS):
        stored |= run_and_kill(server, path, name, chance.randrange(1, A_ROUND))
        open_leases.update(in_flight(path))
    outbox = SQLiteOutbox(path, lease=0.5)
    with SMTPSession(server.host, server.port, mode="async", outbox=outbox) as session:
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
    assert counts.sent == len(receipts) > A_ROUND


VERSIONS = (SENDER, newer(SENDER), newer(SENDER, wants_options=True))
"""This one, one with another field in its records, and one with an option of a message besides."""


def test_nothing_is_lost_when_programs_of_two_versions_are_killed_over_one_outbox(
    server: SMTPServer, tmp_path: Path
) -> None:
    chance, path = random.Random(4712), tmp_path / "outbox.db"
    stored: dict[str, str] = {}
    of_newer: set[str] = set()
    for name in range(ROUNDS):
        told = run_and_kill(server, path, name, chance.randrange(1, A_ROUND // 2), VERSIONS[name % 3])
        stored |= told
        if name % 3:
            of_newer |= told.keys()
    with SMTPSession(server.host, server.port, mode="async", outbox=SQLiteOutbox(path, lease=0.5)) as session:
        session.flush(30)
    left = {id for id, status in column(path, "status").items() if status != "sent"}
    asks = {id for id, options in column(path, "options").items() if options is not None}
    assert left <= asks, "only what asks for something that is not known here is left to others"

    worker = start(newer(WORKER), server.host, server.port, path, "newer.example")
    assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    assert poll(lambda: set(column(path, "status").values()) == {"sent"}, 30)
    _, errors = worker.communicate("stop\n", timeout=30)
    assert worker.returncode == 0, errors
    written = {id: json.loads(text or "") for id, text in column(path, "receipt").items()}
    arrived = Counter(mail.header("Message-ID") for mail in server.messages)
    assert stored.keys() <= written.keys() and len(arrived) == len(written)
    for receipt in written.values():
        assert 1 <= arrived[receipt["message_id"]] <= 1 + receipt.get("interruptions", 0)
    assert of_newer <= {id for id, receipt in written.items() if "signature" in receipt}


def test_two_workers_share_one_outbox_and_never_the_same_mail(server: SMTPServer, tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    workers = [start(WORKER, server.host, server.port, path, name) for name in ("one.example", "two.example")]
    for worker in workers:
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    session = SMTPSession("localhost", mode="async", outbox=f"sqlite:///{path}", outbox_worker=False)
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
