"""SQLite files and connections that take no writes, and connections that commit in a way of their own."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp import ConfigError, MemoryTransport, Message, OutboxError, SMTPSession
from wlsmtp.outbox import connections
from wlsmtp.outbox.sqlite_schema import MIGRATIONS


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hello", **fields})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def session(world: World, path: Path) -> Iterator[Any]:
    """A session that only keeps messages; one is kept."""
    with world.session("localhost", mode="async", outbox=f"sqlite:///{path}", outbox_worker=False) as session:
        session.send(message())
        yield session


def without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open files as SQLite does for a user who may not write them; these tests may be run by root, who may."""

    def connect(path: Path, _: str, timeout: float, **options: Any) -> sqlite3.Connection:
        return connections.connect(path, f"file:{path}?mode=ro", timeout, uri=True, **options)

    monkeypatch.setattr("wlsmtp.outbox.database.connect", connect)


class TestFiles:
    def test_one_that_may_not_be_written_is_read(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with SMTPSession("localhost", mode="async", outbox=f"sqlite:///{path}", outbox_worker=False) as session:
            kept = session.send(message())
        without_rights(monkeypatch)
        with SMTPSession("localhost", mode="async", outbox=f"sqlite:///{path}", outbox_worker=False) as session:
            assert [receipt.id for receipt in session.pending()] == [kept.id]
            with pytest.raises(OutboxError, match=r"readonly.*must be writable") as caught:
                session.send(message())
        assert not caught.value.temporary

    def test_one_of_an_older_version_that_may_not_be_written_says_so(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        older(path, monkeypatch)
        without_rights(monkeypatch)
        with pytest.raises(OutboxError, match=r"readonly.*must be writable") as caught:
            SMTPSession("localhost", mode="async", outbox=f"sqlite:///{path}").outbox_statistics()
        assert not caught.value.temporary

    def test_one_of_an_older_version_is_migrated_with_its_mail(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        older(path, monkeypatch)
        with closing(sqlite3.connect(path)) as other, other:
            other.execute(
                "INSERT INTO mails (id, status, priority, due, created, sender, options, waiting, size, traits, "
                "attempts, interruptions, receipt) VALUES ('1', 'pending', 0, 1, 1, 'ann@example.com', NULL, "
                "'[\"bob@example.org\"]', 5, 0, 0, 0, ?)",
                (RECEIPT,),
            )
            other.execute("INSERT INTO contents VALUES (1 << 20, x'48656c6c6f')")
        transport = MemoryTransport()
        with SMTPSession(transport=transport, mode="async", outbox=f"sqlite:///{path}") as session:
            session.open()
            assert session.flush(30) == 0
        assert [mail.content for mail in transport.messages] == [b"Hello"]

    @pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
    def test_one_that_may_not_be_made_says_so(self, path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr("wlsmtp.outbox.database.make_private", fail)
        with pytest.raises(OutboxError, match="must be writable") as caught:
            SMTPSession("localhost", mode="async", outbox=f"sqlite:///{path}").send(message())
        assert not caught.value.temporary


RECEIPT = "{}"


def older(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file of the first version."""
    with monkeypatch.context() as patch:
        patch.setattr("wlsmtp.outbox.database.MIGRATIONS", MIGRATIONS[:1])
        SMTPSession("localhost", mode="async", outbox=f"sqlite:///{path}").outbox_statistics()


def query_only(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA query_only = 1")
    return connection


def read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


Connect = Callable[[Path], sqlite3.Connection]


class TestConnections:
    @pytest.mark.parametrize("connect", [query_only, read_only])
    def test_one_that_takes_no_writes_is_refused(self, session: Any, path: Path, connect: Connect) -> None:
        with closing(connect(path)) as connection:
            with pytest.raises(ConfigError, match="within: the connection takes no writes"):
                session.send(message(), within=connection)
            assert not connection.in_transaction
        assert session.outbox_statistics().pending == 1

    def test_while_another_program_writes_the_transaction_is_to_be_done_again(self, session: Any, path: Path) -> None:
        with closing(sqlite3.connect(path, timeout=0)) as connection, closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OutboxError, match=r"locked.*BEGIN IMMEDIATE") as caught:
                session.send(message(), within=connection)
            assert caught.value.temporary and not connection.in_transaction
            other.rollback()
            session.send(message(), within=connection)
            connection.commit()
        assert session.outbox_statistics().pending == 2


class Autocommit(sqlite3.Connection):
    """As of Python 3.12, for older ones."""

    autocommit = True


def autocommit(path: Path, value: bool) -> sqlite3.Connection:
    if sys.version_info >= (3, 12):
        return sqlite3.connect(path, autocommit=value)
    if value:
        return sqlite3.connect(path, factory=Autocommit)
    return sqlite3.connect(path)


class TestAutocommit:
    """The attribute of Python 3.12. With True, ``commit`` does nothing; with False, a transaction is always open."""

    def test_one_that_commits_each_statement_is_refused(self, session: Any, path: Path) -> None:
        with closing(autocommit(path, True)) as connection:
            with pytest.raises(ConfigError, match="commits each statement"):
                session.send(message(), within=connection)
            assert not connection.in_transaction
            connection.execute("BEGIN")
            session.send(message(), within=connection)
            assert session.outbox_statistics().pending == 1
            connection.execute("COMMIT")
        assert session.outbox_statistics().pending == 2

    def test_one_that_is_always_in_a_transaction_commits_the_mail_with_it(self, session: Any, path: Path) -> None:
        with closing(autocommit(path, False)) as connection:
            session.send(message(), within=connection)
            connection.rollback()
            session.send(message(), within=connection)
            assert session.outbox_statistics().pending == 1
            connection.commit()
            with connection:
                session.send(message(), within=connection)
        assert session.outbox_statistics().pending == 3
