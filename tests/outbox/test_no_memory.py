"""Without memory no caller waits for what nobody does, and the next message is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.outbox.stores import RAW, url_of
from tests.worlds import World
from wlsmtp import Envelope, Message, OutboxError
from wlsmtp.errors import NOTHING_SENT
from wlsmtp.io.blocking import BlockingIO, run
from wlsmtp.message.content import BytesContent
from wlsmtp.message.mail import Mail
from wlsmtp.outbox.clerk import Clerk, Duties
from wlsmtp.outbox.postgres.desk import Desk
from wlsmtp.outbox.schedule import Schedule
from wlsmtp.outbox.sqlite import SQLiteOutbox
from wlsmtp.outbox.verdict import abandoned
from wlsmtp.testing import SMTPServer


def fail(*_: Any, **__: Any) -> Any:
    raise MemoryError


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_clerk_that_fails_with_a_job_in_its_hands_says_so(
    world: World, kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the database cannot be made either, as there is no memory."""
    message = Message(sender="ann@example.com", to="bob@example.org", text="x")
    with SMTPServer() as server:
        session = world.session(server.host, server.port, mode="async", outbox=url_of(kind, request, tmp_path))
        session.send(message)
        assert session.flush() == 0
        with monkeypatch.context() as patch:
            for owner in (SQLiteOutbox, Desk):
                patch.setattr(owner, "_as_outbox_error", fail)
            patch.setattr("wlsmtp.outbox.database.Database.transaction", fail)
            patch.setattr("wlsmtp.outbox.postgres.desk.Desk._with_database", fail)
            with pytest.raises(OutboxError, match=r"broken off \(MemoryError\): it may be done or not") as caught:
                session.send(message)
            assert caught.value.temporary
        session.send(message)
        assert session.flush() == 0
        session.close()
        assert len(server.messages) == 2


def test_a_caller_does_not_wait_for_a_clerk_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wlsmtp.outbox.clerk.PATIENCE", 0.05)
    clerk: Clerk

    def lose() -> None:
        clerk.take(clerk.writes)
        clerk._taken.clear()
        raise SystemExit

    io = BlockingIO()
    clerk = Clerk(io, "clerk", Duties(lose, lambda: True, lambda: None, fail, fail))
    with pytest.raises(OutboxError, match="broken off: it may be done or not"):
        run(clerk.ask(clerk.writes, None, io.now() + 0.05))


def test_what_was_not_begun_for_lack_of_memory_is_tried_again_soon() -> None:
    envelope = Envelope("ann@example.com", "bob@example.org")
    entry = Schedule().entry(Mail(envelope, BytesContent(RAW)), 0.0)
    errors = [MemoryError(), ZeroDivisionError()]
    for error in errors:
        error.add_note(NOTHING_SENT)
    outcomes = [abandoned(entry, error) for error in errors]
    assert [outcome.error is not None and outcome.error.temporary for outcome in outcomes] == [True, False]
