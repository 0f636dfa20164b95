"""Every outbox of this package keeps the contract."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.outbox.stores import LARGE, RAW, Store, make, octets
from tests.postgres import Postgres, PostgresStore
from tests.worlds import World
from wlsmtp import MessageError
from wlsmtp.outbox.base import Outbox
from wlsmtp.testing.lanes_contract import LanesContract
from wlsmtp.testing.outbox_contract import SharedOutboxContract


class TestMemory(LanesContract):
    def make(self, directory: Path) -> Outbox:
        return make("memory", directory)


class TestSQLite(SharedOutboxContract, LanesContract):
    def make(self, directory: Path) -> Outbox:
        return make("sqlite", directory)


class TestPostgres(SharedOutboxContract, LanesContract):
    @pytest.fixture(autouse=True)
    def server(self, postgres: Postgres) -> None:
        self.postgres = postgres

    def make(self, directory: Path) -> Outbox:
        return PostgresStore(self.postgres)

    def set_clock(self, outbox: Outbox, now: float) -> None:
        assert isinstance(outbox, PostgresStore)
        outbox.set_clock(now)


def test_a_content_that_is_not_what_was_put_is_not_sent(world: World, tmp_path: Path) -> None:
    store = Store(world, make("sqlite", tmp_path))
    for raw in (RAW, LARGE):
        store.stored(raw=raw)
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as other:
        other.execute("DELETE FROM contents WHERE part % 1048576 = (SELECT max(part % 1048576) FROM contents)")
        other.execute("DELETE FROM contents WHERE part / 1048576 = 1")
        other.commit()
    for claimed in store.claim("me", 2):
        with pytest.raises(MessageError, match="not what was put"):
            octets(claimed)
    store.close()
