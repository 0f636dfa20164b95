"""Mode ``async`` against a real Postfix: what the outbox says was sent lies in the Maildir, once."""

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.real.postfix import PostfixServer
from tests.real.test_session import session_for
from tests.worlds import World
from wlsmtp import Message, Status

COUNT = 20


@pytest.mark.parametrize("kind", ["plain", "starttls"])
@pytest.mark.parametrize("outbox", ["memory", "sqlite"])
def test_what_was_sent_lies_in_the_maildir_once(
    world: World, postfix: PostfixServer, mailbox: str, tmp_path: Path, outbox: str, kind: str
) -> None:
    where = "memory:" if outbox == "memory" else f"sqlite:///{tmp_path}/outbox.db"
    messages = [Message(sender="ann@example.test", to=mailbox, subject=str(n), text="Grüße\n.") for n in range(COUNT)]
    with session_for(kind, world, postfix, mode="async", outbox=where) as session:
        receipts = list(session.send_many(messages))
        assert session.flush(30) == 0
        finals = [session.receipt(receipt.id) for receipt in receipts]
    assert all(final.status is Status.SENT and final.attempts == 1 for final in finals)
    assert len({final.queue_id for final in finals}) == COUNT
    assert all((final.tls is not None) is (kind != "plain") for final in finals)
    stored = postfix.wait_for_message(mailbox, COUNT)
    subjects = sorted(int(message_from_bytes(found, policy=policy.default)["Subject"]) for found in stored)
    assert subjects == list(range(COUNT))
