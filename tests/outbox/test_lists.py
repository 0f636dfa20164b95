"""Lists of messages that are put: what is read of the input, what is stored, and when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.message import EmailMessage
from itertools import islice
from typing import Any

import pytest

from tests.postgres import Postgres
from tests.real import poll
from tests.worlds import Session, World
from wlsmtp import MemoryOutbox, Message, PostgresOutbox, SQLiteOutbox, Status
from wlsmtp.outbox.base import Entry, Outbox
from wlsmtp.posting import TOGETHER


def message(number: int = 0, **fields: Any) -> Message:
    return Message(**{"sender": "a@example.com", "to": "b@example.org", "subject": str(number), "text": "x", **fields})


class Letters(Collection[Message]):
    """A list that counts how far it was read."""

    def __init__(self, count: int, ends: Exception | None = None) -> None:
        self.count, self.ends, self.read = count, ends, 0

    def __len__(self) -> int:
        return self.count

    def __contains__(self, item: object) -> bool:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Message]:
        for number in range(self.count):
            self.read = number + 1
            yield message(number)
        if self.ends is not None:
            raise self.ends


@pytest.fixture(params=["sqlite", "postgres"])
def outbox(request: pytest.FixtureRequest, tmp_path: Any) -> Outbox:
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        return PostgresOutbox(server.url, schema=server.schema())
    return SQLiteOutbox(tmp_path / "outbox.db")


Keeping = Callable[[Outbox], Session]


@pytest.fixture
def keeping(world: World) -> Keeping:
    """Makes a session that only keeps messages."""
    return lambda outbox: world.session("localhost", mode="async", outbox=outbox, outbox_worker=False)


def test_receipts_come_in_the_order_of_the_list(keeping: Keeping, outbox: Outbox) -> None:
    broken = {TOGETHER - 1, TOGETHER, 2 * TOGETHER}
    letters = [EmailMessage() if number in broken else message(number) for number in range(2 * TOGETHER + 1)]
    with keeping(outbox) as session:
        receipts = session.send_all(letters)
        kept = [receipt for receipt in receipts if receipt.status is Status.PENDING]
        assert {place for place, receipt in enumerate(receipts) if receipt.status is Status.ERROR} == broken
        assert [receipt.id for receipt in session.pending()] == [receipt.id for receipt in kept]


def test_nothing_is_stored_before_its_receipt_is_asked_for(keeping: Keeping, outbox: Outbox) -> None:
    with keeping(outbox) as session, closing(session.send_many(Letters(3 * TOGETHER))) as receipts:
        first = [*islice(receipts, TOGETHER)]
        assert [receipt.id for receipt in session.pending()] == [receipt.id for receipt in first]


def test_what_the_input_raises_comes_behind_the_receipts_of_what_was_stored(keeping: Keeping, outbox: Outbox) -> None:
    got: list[str] = []
    with keeping(outbox) as session:
        with pytest.raises(ZeroDivisionError):
            got.extend(receipt.id for receipt in session.send_many(Letters(TOGETHER + 1, ends=ZeroDivisionError())))
        assert len(got) == TOGETHER
        assert [receipt.id for receipt in session.pending()] == got


def test_a_content_that_cannot_be_read_stops_no_other(keeping: Keeping, outbox: Outbox, tmp_path: Any) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(b"x" * 400_000)
    letters = [message(number) for number in range(2 * TOGETHER)]
    letters[7] = message(attachments=[file])
    with keeping(outbox) as session:
        file.unlink()
        receipts = session.send_all(letters)
        stored = [receipt for receipt in receipts if receipt.status is Status.PENDING]
        assert len(receipts) == 2 * TOGETHER
        assert receipts[7].status is Status.ERROR
        assert len(stored) == 2 * TOGETHER - 1
        assert session.outbox_statistics().pending == len(stored)


def test_each_list_is_packed_before_the_one_before_it_is_reported(keeping: Keeping) -> None:
    done: list[str] = []

    class Packing(MemoryOutbox):
        is_durable = True  # so that nobody minds what is left

        def packed(self, entries: Sequence[Entry]) -> Sequence[Entry]:
            done.append(f"pack {len(entries)}")
            return tuple(entries)

        async def put(self, entries: Sequence[Entry], deadline: float | None = None) -> list[Entry]:
            done.append(f"put {type(entries).__name__} of {len(entries)}")
            return await super().put(entries, deadline)

    with keeping(Packing()) as session:
        for number, _ in enumerate(session.send_many([message() for _ in range(2 * TOGETHER + 1)])):
            if number == 0:
                done.append("first receipt")
        assert session.outbox_statistics().pending == 2 * TOGETHER + 1
    assert done == [
        f"pack {TOGETHER}", f"put tuple of {TOGETHER}", f"pack {TOGETHER}", "first receipt",
        f"put tuple of {TOGETHER}", "put list of 1",
    ]  # fmt: skip


def test_the_next_list_is_made_while_postgresql_stores_one(keeping: Keeping, postgres: Postgres) -> None:
    schema, letters = postgres.schema(), Letters(3 * TOGETHER)
    with keeping(PostgresOutbox(postgres.url, schema=schema)) as session:
        session.outbox_statistics()
        with ThreadPoolExecutor(1) as thread, postgres.connect() as other, other.transaction():
            other.execute(f"LOCK TABLE {schema}.mails".encode())
            sent = thread.submit(session.send_all, letters)
            assert poll(lambda: letters.read == 2 * TOGETHER, 30)
            assert not sent.done()
        assert len(sent.result(60)) == 3 * TOGETHER
