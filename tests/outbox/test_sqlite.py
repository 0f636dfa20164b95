"""The file: who may read it, what is refused, what is done together, and what happens when the disk is full."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.outbox.stores import RAW, Store, make
from tests.worlds import World
from wlsmtp import Message, MessageError, OutboxError, SMTPSession, SQLiteOutbox, Status
from wlsmtp.io.blocking import BlockingIO, run
from wlsmtp.outbox.content import StoredContent
from wlsmtp.outbox.database import MIGRATIONS
from wlsmtp.receipt import Outcome, RecipientStatus
from wlsmtp.transports.base import Transport


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def store(world: World, tmp_path: Path) -> Iterator[Store]:
    store = Store(world, make("sqlite", tmp_path))
    yield store
    store.close()


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hello", **fields})


def session_on(path: Path, **options: Any) -> SMTPSession:
    return SMTPSession("localhost", mode="async", outbox=f"sqlite:///{path}", **options)


class TestFile:
    def test_is_for_its_owners_eyes_only(self, store: Store, path: Path) -> None:
        store.stored()
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

    def test_says_where_it_should_be_when_the_directory_is_missing(self, tmp_path: Path) -> None:
        session = session_on(tmp_path / "missing" / "outbox.db")
        with pytest.raises(OutboxError, match="four slashes") as caught:
            session.send(message())
        assert str(tmp_path) in str(caught.value)

    def test_another_database_is_left_alone(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE mails (theirs)")
        with pytest.raises(OutboxError, match="something else"):
            session_on(path).send(message())

    def test_a_file_that_is_no_database_is_left_alone(self, path: Path) -> None:
        path.write_bytes(b"dear diary" * 1000)
        with pytest.raises(OutboxError, match="not a database") as caught:
            session_on(path).send(message())
        assert not caught.value.temporary and path.read_bytes() == b"dear diary" * 1000

    def test_a_newer_version_is_left_alone(self, store: Store, path: Path) -> None:
        store.stored()
        store.close()
        with closing(sqlite3.connect(path)) as newer:
            newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        with pytest.raises(OutboxError, match="newer version"):
            session_on(path).send(message())

    def test_what_was_put_is_there_after_close(self, store: Store) -> None:
        stored = store.stored()
        store.close()
        assert store.get(stored.receipt.id) is not None

    def test_purged_mail_gives_its_room_back(self, store: Store, path: Path) -> None:
        for _ in range(20):
            store.stored(raw=b"x" * 100_000)
        store.settle("me", [entry.ends(store.now, entry.receipt) for entry in store.claim("me", 20)])
        while store.purge(store.now + 1):
            pass
        store.close()
        assert path.stat().st_size < 200_000


class TestTogether:
    def test_what_waits_for_its_turn_is_done_in_one_transaction(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        outbox = SQLiteOutbox(path)
        store = Store(World("blocking"), outbox)
        transactions: list[int] = []
        play = outbox._play

        def counted(job: Any) -> None:
            transactions.append(len(outbox._queue))
            play(job)

        monkeypatch.setattr(outbox, "_play", counted)
        entries = [store.entry() for _ in range(8)]
        threads = [threading.Thread(target=store.put, args=([entry],)) for entry in entries]

        async def hold_the_turn() -> None:
            async with outbox._turn:
                for thread in threads:
                    thread.start()
                while len(outbox._queue) < len(threads):
                    await outbox.io.sleep(0.001)

        run(hold_the_turn())
        for thread in threads:
            thread.join()
        assert transactions == [8] and store.statistics().pending == 8
        store.close()

    def test_one_that_fails_harms_no_other(self, path: Path) -> None:
        def changed() -> Iterator[bytes]:
            yield b"Sub"
            raise MessageError("The attachment has changed")

        outbox = SQLiteOutbox(path)
        store = Store(World("blocking"), outbox)
        good, bad = store.entry(), store.entry()
        content = StoredContent(5, None, 0, True, changed)
        failures: list[Exception] = []

        def put_bad() -> None:
            try:
                store.put([replace(bad, content=content)])
            except MessageError as error:
                failures.append(error)

        threads = [threading.Thread(target=put_bad), threading.Thread(target=store.put, args=([good],))]

        async def hold_the_turn() -> None:
            async with outbox._turn:
                for thread in threads:
                    thread.start()
                while len(outbox._queue) < len(threads):
                    await outbox.io.sleep(0.001)

        run(hold_the_turn())
        for thread in threads:
            thread.join()
        assert len(failures) == 1 and store.get(good.receipt.id) is not None and store.get(bad.receipt.id) is None
        store.close()

    def test_a_full_disk_is_told_and_passes(self, store: Store) -> None:
        store.stored()
        database = store.outbox._database  # type: ignore[attr-defined]
        [pages] = database._one("PRAGMA page_count")
        database._one(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(OutboxError, match="full") as caught:
            store.stored(raw=b"x" * 100_000)
        assert caught.value.temporary and store.statistics().pending == 1
        database._one("PRAGMA max_page_count = 1000000")
        store.stored(raw=b"x" * 100_000)
        assert store.statistics().pending == 2


class TestLarge:
    SIZE = 24 * 1024 * 1024

    def test_a_large_mail_is_never_in_memory(self, path: Path, tmp_path: Path) -> None:
        (tmp_path / "large.bin").write_bytes(os.urandom(self.SIZE))
        received: list[int] = []

        class Counting(Transport):
            async def deliver(self, envelope: Any, content: Any, deadlines: Any) -> Outcome:
                received.append(sum(map(len, content.chunks())))
                assert content.is_streamed and received[-1] == content.size
                return Outcome.of(envelope.addresses, RecipientStatus.ACCEPTED)

        large = message(attachments=[tmp_path / "large.bin"])
        with session_on(path, transport=Counting()) as session:
            tracemalloc.start()
            receipt = session.send(large)
            (tmp_path / "large.bin").unlink()
            assert receipt.wait(30)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert received[0] > self.SIZE and peak < self.SIZE / 4


def script(text: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class TestProcesses:
    def test_many_may_open_and_fill_a_new_file_at_once(self, path: Path) -> None:
        text = """
            import sys
            from wlsmtp import Message, SMTPSession
            session = SMTPSession("localhost", mode="async", outbox=f"sqlite:///{sys.argv[1]}")
            for _ in range(20):
                session.send(Message(sender="a@example.com", to="b@example.com", text="x"), send_at=3600)
            session.close()
        """
        processes = [script(text, path) for _ in range(4)]
        for process in processes:
            output, _ = process.communicate(timeout=30)
            assert process.returncode == 0, output
        assert session_on(path).outbox_statistics().pending == 80


def test_a_forked_child_may_not_use_the_connection_of_its_parent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.stored()
    pid = os.getpid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid + 1)
        with pytest.raises(OutboxError, match="before a fork"):
            store.stored()
    store.stored()


def test_a_forked_child_does_not_send_its_parents_mail_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(World("blocking"), make("memory", Path()))
    store.stored()
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    store.stored()
    assert store.statistics().pending == 1


def test_the_blocking_world_blocks(path: Path) -> None:
    outbox = SQLiteOutbox(path)
    outbox.io = BlockingIO()
    run(outbox.open())
    assert run(outbox.statistics()).pending == 0
    run(outbox.close())


def test_statuses_are_columns_of_the_statistics(store: Store) -> None:
    store.stored(raw=RAW)
    counts = store.statistics()
    assert all(isinstance(getattr(counts, status.value), int) for status in Status)
