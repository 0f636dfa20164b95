"""Two slow workers share what is there, although their clocks differ by four minutes, and never send the same mail."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.outbox.stores import url_of
from tests.worlds import World
from wlsmtp import MemoryTransport, Message, SMTPSession

MAILS = 300
HALF = MAILS // 2
UNEVEN = 30
"""Mails by which a share may differ from a half. Workers that claim a hundred at a time end with 200 and 100."""


class Slow(MemoryTransport):
    """Takes 5 ms for a message, as a server far away does."""

    async def deliver(self, envelope: Any, content: Any, deadlines: Any) -> Any:
        await self.io.sleep(0.005)
        return await super().deliver(envelope, content, deadlines)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_slow_workers_share_what_is_there(
    world: World, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = url_of(kind, request, tmp_path)
    with SMTPSession("localhost", mode="async", outbox=url, outbox_worker=False) as session:
        session.send_all([
            Message(sender="ann@example.com", to="bob@example.org", subject=str(number), text="Hello")
            for number in range(MAILS)
        ])  # fmt: skip
        transports, workers = [Slow(), Slow()], []
        for transport, skew in zip(transports, (-120.0, 120.0) if kind == "postgres" else (0.0, 0.0), strict=True):
            worker = world.session(transport=transport, mode="async", outbox=url)
            io: Any = worker.face._mailer.io
            real = io.unix_time
            io.unix_time = lambda real=real, skew=skew: real() + skew
            workers.append(worker)
        for worker in workers:
            worker.open()
        for worker in workers:
            assert worker.flush(60) == 0
            worker.close()
        assert session.outbox_statistics().interruptions == 0
    shares = [len(transport.messages) for transport in transports]
    arrived = Counter(mail.content for transport in transports for mail in transport.messages)
    assert len(arrived) == MAILS and set(arrived.values()) == {1}
    assert all(abs(share - HALF) <= UNEVEN for share in shares), shares
