"""The end of an event loop in which receipts were read in part: their generators are closed without an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from wlsmtp import AsyncSMTPSession, Message, Receipt
from wlsmtp.testing import SMTPServer

MESSAGES = [Message("ann@example.com", "bob@example.org", text="Hello")] * 50


def ignore(_: Receipt) -> None:
    pass


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("smtp://{}", {}),
        ("smtp://{}", {"after_send": ignore}),
        ("failover(smtp://{}, smtp://127.0.0.1:1)", {}),
    ],
)
def test_half_read_receipts_of_send_many(url: str, options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    read: list[AsyncGenerator[Receipt, None]] = []

    async def read_one(server: SMTPServer) -> None:
        session = AsyncSMTPSession.from_url(url.format(f"{server.host}:{server.port}"), **options)
        receipts = session.send_many(MESSAGES)
        read.append(receipts)
        await anext(receipts)

    with SMTPServer() as server:
        for _ in range(3):
            asyncio.run(read_one(server))
    assert caplog.messages == []
