"""Windows of messages against a real Postfix with PIPELINING and CHUNKING."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.real.postfix import PostfixServer
from tests.worlds import World
from wlsmtp import Envelope, Pipelining, RetryPolicy, Status

NO_RETRY = RetryPolicy(attempts=1)
MODES = {
    "whole messages": Pipelining(),
    "pipelining alone": Pipelining(chunking=False),
    "one by one": Pipelining(enabled=False),
}


def numbered(postfix: PostfixServer, count: int, mailbox: str, unknown: set[int]) -> Iterator[tuple[bytes, Envelope]]:
    for number in range(count):
        recipient = postfix.unknown_mailbox() if number in unknown else mailbox
        text = f"Subject: {number}\r\nX-Begin: {number}\r\n\r\n.{number}\r\n..\r\n".encode()
        yield text, Envelope("ann@example.test", [recipient])


@pytest.mark.parametrize("mode", MODES)
def test_each_message_is_delivered_once_and_refusals_touch_no_other(
    mode: str, world: World, postfix: PostfixServer, mailbox: str
) -> None:
    unknown = {0, 7, 8, 99, 150}
    options: dict[str, Any] = {"port": postfix.plain_port, "retry": NO_RETRY, "pipelining": MODES[mode]}
    with world.session("localhost", **options) as session:
        receipts = list(session.send_many(numbered(postfix, 200, mailbox, unknown)))
    assert {number for number, receipt in enumerate(receipts) if receipt.status is Status.ERROR} == unknown
    assert sum(receipt.status is Status.SENT for receipt in receipts) == 195
    stored = postfix.wait_for_message(mailbox, 195)
    numbers = [int(found[1]) for mail in stored if (found := re.search(rb"^X-Begin: (\d+)", mail, re.MULTILINE))]
    assert sorted(numbers) == [number for number in range(200) if number not in unknown]
    for mail, number in zip(stored, numbers, strict=True):
        assert mail.replace(b"\r\n", b"\n").endswith(b"\n\n.%d\n..\n" % number)


def test_several_connections_share_the_work(world: World, postfix: PostfixServer, mailbox: str) -> None:
    with world.session("localhost", port=postfix.plain_port, retry=NO_RETRY) as session:
        receipts = list(session.send_many(numbered(postfix, 200, mailbox, set()), connections=4))
        assert session.statistics().connections_opened > 1
    assert all(receipts)
    assert len(postfix.wait_for_message(mailbox, 200)) == 200


@pytest.mark.parametrize("connections", [1, 4])
def test_a_server_whose_processes_are_all_busy_has_no_patience_with_errors_and_gets_all_mail(
    connections: int, world: World, postfix: PostfixServer, mailbox: str
) -> None:
    with world.session("localhost", port=postfix.port_of("busy"), retry=NO_RETRY) as session:
        receipts = list(session.send_many(numbered(postfix, 50, mailbox, set()), connections=connections))
    assert all(receipts)
    assert len(postfix.wait_for_message(mailbox, 50)) == 50
