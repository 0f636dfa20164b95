"""The short form of ``python -m tests.outbox.endurance``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.outbox.endurance import Endurance
from tests.postgres import Postgres, missing, what_is_missing
from wlsmtp.testing import SMTPServer


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server of this test, as it is restarted."""
    if (reason := what_is_missing()) is not None:
        missing(reason)
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_nothing_is_lost_while_workers_are_killed_and_the_database_is_restarted(own_postgres: Postgres) -> None:
    with SMTPServer() as server:
        account = Endurance(own_postgres, server, mails=800, workers=2).run(restarts=1, kill_every=0.3, kills=3)
    assert account.is_right, account
    assert account.restarts == 1 and account.kills == 3 and account.copies <= account.interruptions
