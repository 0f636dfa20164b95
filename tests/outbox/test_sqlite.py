"""The file: who may read it, what is refused, what is done together, and what happens when the disk is full."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
from tests.outbox.stores import RAW, Store, ids, make
from tests.worlds import World
from wlsmtp import MemoryTransport, Message, MessageError, OutboxError, SMTPSession, SQLiteOutbox, Status
from wlsmtp.io.blocking import BlockingIO, run
from wlsmtp.outbox.clerk import Clerk
from wlsmtp.outbox.content import StoredContent
from wlsmtp.outbox.sqlite_schema import MIGRATIONS
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

    @pytest.mark.parametrize("was", ["ours", "empty", "behind a link to nothing"])
    def test_one_that_others_could_read_is_made_private(self, path: Path, was: str) -> None:
        file = path
        if was == "ours":
            with session_on(path, outbox_worker=False) as session:
                session.send(message())
        elif was == "empty":
            path.touch()
        else:
            file = path.with_name("elsewhere.db")
            path.symlink_to(file)
        if file.exists():
            file.chmod(0o644)
        with session_on(path, outbox_worker=False) as session:
            session.send(message())
            for one in path.parent.iterdir():
                assert stat.S_IMODE(one.stat().st_mode) == 0o600, one

    def test_one_that_stays_readable_by_others_is_not_used(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        path.touch()
        path.chmod(0o640)
        monkeypatch.setattr(Path, "chmod", refused)
        with pytest.raises(OutboxError, match="can be read by others"):
            session_on(path).send(message())
        assert path.stat().st_size == 0

    def test_a_file_of_something_else_keeps_its_mode(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE theirs (x)")
        path.chmod(0o644)
        with pytest.raises(OutboxError, match="something else"):
            session_on(path).send(message())
        assert stat.S_IMODE(path.stat().st_mode) == 0o644

    @pytest.mark.parametrize("how", ["deleted", "renamed", "replaced"])
    def test_mail_goes_into_the_file_that_is_there(
        self, store: Store, path: Path, how: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = store.stored()
        if how == "renamed":
            path.rename(path.with_name("moved.db"))
        elif how == "replaced":
            path.with_name("new.db").touch()
            path.with_name("new.db").replace(path)
        else:
            path.unlink()
        second = store.stored()
        assert "deleted or replaced" in caplog.text
        with session_on(path, outbox_worker=False) as session:
            assert [receipt.id for receipt in session.receipts()] == [second.receipt.id]
        with pytest.raises(wlsmtp.NotInOutbox), session_on(path, outbox_worker=False) as session:
            session.receipt(first.receipt.id)

    def test_a_large_content_is_not_read_from_another_file(self, store: Store, path: Path) -> None:
        large = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000
        store.stored(raw=large)
        [claimed] = store.claim("me", 1)
        path.rename(path.with_name("moved.db"))
        store.stored(raw=large.replace(b"0", b"1"))
        assert claimed.content is not None
        with pytest.raises(MessageError, match="deleted or replaced"):
            list(claimed.content.chunks())

    def test_says_where_it_should_be_when_the_directory_is_missing(self, tmp_path: Path) -> None:
        session = session_on(tmp_path / "missing" / "outbox.db")
        with pytest.raises(OutboxError, match="four slashes") as caught:
            session.send(message())
        assert str(tmp_path) in str(caught.value)

    @pytest.mark.parametrize(
        ("number", "temporary"), [(errno.EMFILE, True), (errno.ENOSPC, True), (errno.EACCES, False)]
    )
    def test_what_the_machine_lacks_for_a_while_is_temporary(
        self, path: Path, number: int, temporary: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number), str(path))

        session = session_on(path)
        with monkeypatch.context() as patched:
            patched.setattr("wlsmtp.outbox.database.make_private", fail)
            with pytest.raises(OutboxError, match=os.strerror(number)) as caught:
                session.send(message())
        assert caught.value.temporary is temporary
        assert session.send(message()).status is Status.PENDING

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


def wait_for(outbox: SQLiteOutbox, count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the clerk begin to write once so many jobs wait; gives how many it found then."""
    play = outbox._play
    found: list[int] = []

    def once_all_wait() -> Any:
        while len(outbox._at_hand.writes) < count and not found:
            threading.Event().wait(0.001)
        found.extend([len(outbox._at_hand.writes)] * (not found))
        return play()

    monkeypatch.setattr(outbox, "_play", once_all_wait)
    return found


def test_one_clerk_does_all(world: World, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hired: list[object] = []
    serve = Clerk._serve

    async def counted(outbox: Clerk, clerk: Any) -> None:
        hired.append(clerk)
        await serve(outbox, clerk)

    monkeypatch.setattr(Clerk, "_serve", counted)
    options = {"mode": "async", "outbox": f"sqlite:///{path}", "outbox_worker": False}
    with world.session("localhost", **options) as session:
        for _ in range(20):
            session.send(message())
        assert session.outbox_statistics().pending == 20
    assert len(hired) == 1


class TestTogether:
    def test_what_waits_for_its_turn_is_done_in_one_transaction(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        outbox = SQLiteOutbox(path)
        store = Store(World("blocking"), outbox)
        entries = [store.entry() for _ in range(8)]
        transactions = wait_for(outbox, len(entries), monkeypatch)
        threads = [threading.Thread(target=store.put, args=([entry],)) for entry in entries]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert transactions == [8] and store.statistics().pending == 8
        store.close()

    def test_one_that_fails_harms_no_other(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

        wait_for(outbox, 2, monkeypatch)
        for thread in threads:
            thread.start()
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


class TestLocked:
    """Another program writes, and takes its time."""

    @pytest.fixture
    def lock(self, path: Path) -> Iterator[sqlite3.Connection]:
        with session_on(path, outbox_worker=False) as session:
            session.send(message())
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield other

    def test_a_send_waits_no_longer_than_its_timeout(self, world: World, path: Path, lock: sqlite3.Connection) -> None:
        options = {"mode": "async", "outbox": f"sqlite:///{path}", "outbox_worker": False}
        with world.session("localhost", **options) as session:
            with pytest.raises(OutboxError, match="locked by another program") as caught:
                session.send(message(), timeout=0.05)
            assert caught.value.temporary
            assert session.outbox_statistics().pending == 1, "to read, nobody waits"
            lock.execute("COMMIT")
            session.send(message(), timeout=10)
            assert session.outbox_statistics().pending == 2, "and what was given up was not kept"

    def test_who_is_interrupted_leaves_the_file_free(self, path: Path, lock: sqlite3.Connection) -> None:
        session = session_on(path, outbox_worker=False)
        session.outbox_statistics()
        outbox = session._mailer.spooler._outbox
        with interrupting(lambda: len(outbox._at_hand.writes) > 0), pytest.raises(KeyboardInterrupt):  # type: ignore[attr-defined]
            session.send(message())
        lock.execute("COMMIT")
        lock.execute("BEGIN IMMEDIATE")
        lock.execute("COMMIT")
        session.send(message())
        assert session.outbox_statistics().pending == 2
        session.close()


@contextmanager
def interrupting(is_time: Callable[[], bool]) -> Iterator[None]:
    """Has a signal raise ``KeyboardInterrupt`` in the main thread, once."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def wait() -> None:
        while not is_time():
            threading.Event().wait(0.001)
        signal.pthread_kill(main, signal.SIGUSR1)

    main = threading.get_ident()
    before = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)


class TestUnreadable:
    """One record that this version cannot read, as a newer one may write it, or a broken disk."""

    @pytest.fixture(params=["options", "receipt", "waiting"])
    def broken(self, request: pytest.FixtureRequest, path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
        with session_on(path, outbox_worker=False) as session:
            for number in range(3):
                session.send(message(subject=str(number), to="bob@example.org"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            [id, text] = other.execute(f"SELECT id, {request.param} FROM mails WHERE number = 2").fetchone()
            other.execute(f"UPDATE mails SET {request.param} = '{{' WHERE number = 2")

            def mend() -> None:
                other.execute(f"UPDATE mails SET {request.param} = ? WHERE number = 2", (text,))

            yield id, mend

    def test_is_set_aside_and_the_others_are_sent(
        self, world: World, path: Path, broken: tuple[str, Callable[[], None]], caplog: pytest.LogCaptureFixture
    ) -> None:
        id, mend = broken
        transport = MemoryTransport()
        options = {"mode": "async", "outbox": f"sqlite:///{path}", "transport": transport}
        with world.session("localhost", **options) as session:
            session.open()
            assert session.flush() == 0 and session.wait(session.send(message(subject="new")))
            assert subjects(transport) == ["0", "2", "new"]
            assert len(session.receipts()) == 3
            counts = session.outbox_statistics()
            assert (counts.sent, counts.unreadable, counts.pending) == (3, 1, 0)
            with pytest.raises(OutboxError, match="cannot be read"):
                session.receipt(id)
        assert id in caplog.text
        mend()
        with world.session("localhost", **options) as session:
            session.open()
            assert session.wait(session.send(message(subject="last"))) and session.flush() == 0
            assert session.outbox_statistics().unreadable == 0
            assert session.status(id) is Status.SENT and session.receipt(id).interruptions == 0
        assert sorted(subjects(transport)) == ["0", "1", "2", "last", "new"]

    def test_on_its_way_when_its_worker_died_is_set_aside_too(self, store: Store, path: Path) -> None:
        stored = [store.stored(), store.stored()]
        store.claim("dead", 2)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            [text] = other.execute("SELECT receipt FROM mails WHERE number = 1").fetchone()
            other.execute("UPDATE mails SET receipt = '{' WHERE number = 1")
            store.agenda()
            store.pass_by(61)
            assert ids(store.reclaim("me")) == ids(stored[1:])
            assert store.statistics().unreadable == 1
            other.execute("UPDATE mails SET receipt = ? WHERE number = 1", (text,))
        # The worker that died may have sent it: that is said as soon as the record can be read.
        [late] = store.reclaim("me")
        assert late.receipt.id == stored[0].receipt.id and late.receipt.interruptions == 1
        assert store.statistics().unreadable == 0 and store.reclaim("me") == []

    def test_a_key_that_it_has_is_not_given_to_another_one(self, store: Store, path: Path) -> None:
        store.stored(idempotency_key="k")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE mails SET receipt = '{'")
        with pytest.raises(OutboxError, match="cannot be read"):
            store.stored(idempotency_key="k")


def subjects(transport: MemoryTransport) -> list[str]:
    return [str(message_from_bytes(mail.content)["Subject"]) for mail in transport.messages]


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
