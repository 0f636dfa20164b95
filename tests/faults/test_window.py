"""Faults that strike while several messages are on their way: the account closes, in order, and nobody gets anything
twice."""

from __future__ import annotations

import select
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.table import BOB, CLEO, SENDER, Mode
from tests.worlds import World
from wlsmtp import TLS, Envelope, Network, Pipelining, Receipt, RetryPolicy, Status
from wlsmtp.testing import CLOSE, RESET, SMTPServer
from wlsmtp.testing.conversation import Scripted

COUNT = 12
ONCE = RetryPolicy(attempts=1)
AT_ONCE = RetryPolicy(attempts=4, backoff=0, jitter=0)

HANGS_UP_WHEN_ALL_IS_WELL = ("250 2.0.0 Queued", CLOSE)

STRIKES: list[tuple[str, str, Scripted]] = [
    ("closes at MAIL", "MAIL", CLOSE),
    ("closes at RCPT", "RCPT", CLOSE),
    ("closes at DATA or BDAT", "DATA", CLOSE),
    ("closes in the content", "CONTENT", CLOSE),
    ("closes at the end of the content", ".", CLOSE),
    ("stores the message and closes", "STORED", CLOSE),
    ("stores the message and resets", "STORED", RESET),
    ("acknowledges the message and closes", "STORED", HANGS_UP_WHEN_ALL_IS_WELL),
    ("takes no more messages: 421", "MAIL", ("421 4.7.0 Enough", CLOSE)),
    ("refuses the content with 421", ".", ("421 4.7.0 Enough", CLOSE)),
    ("refuses a sender", "MAIL", "550 5.7.1 No"),
    ("refuses a sender for now", "MAIL", "451 4.3.0 Later"),
    ("refuses a recipient", "RCPT", "550 5.1.1 No"),
    ("refuses a recipient for now", "RCPT", "450 4.2.1 Later"),
    ("refuses a content", ".", "554 5.6.0 No"),
    ("refuses a content for now", ".", "451 4.3.0 Later"),
    ("refuses a recipient with 503", "RCPT", "503 5.5.1 Bad sequence of commands"),
    ("refuses a recipient with 503 for policy", "RCPT", "503 5.7.1 Not wanted here"),
    ("refuses a recipient, and speaks of a pipeline", "RCPT", "550 5.7.1 Rejected by our pipeline"),
    ("refuses a content, and speaks of a pipeline", ".", "550 5.7.1 Rejected by our content pipeline"),
    ("refuses a content with 502 for policy", ".", "502 5.7.0 Account not yet activated"),
    ("refuses a content with 503", ".", "503 5.5.1 Bad sequence of commands"),
    ("thinks a sender idle: 451 4.4.2", "MAIL", "451 4.4.2 Timeout waiting for data"),
    ("answers in garbage", ".", b"\0\xff\r\n"),
    ("answers a content with 354", ".", "354 Go ahead"),
]


def content(number: int) -> bytes:
    return b"Subject: number %d\r\n\r\nx\r\n" % number


def items() -> list[Any]:
    return [(content(number), Envelope(SENDER, [BOB, CLEO])) for number in range(COUNT)]


def copies(server: SMTPServer, number: int) -> Counter[str]:
    return Counter(to for mail in server.messages if mail.content == content(number) for to in mail.recipients)


def check_account(receipt: Receipt, stored: Counter[str]) -> None:
    """Accepted is stored once, in doubt at most once, and nothing else is."""
    for result in receipt.recipients:
        least = int(result.status == "accepted")
        most = int(result.status in ("accepted", "unknown"))
        assert least <= stored[result.address] <= most, (receipt, stored)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("at", [0, 1, COUNT // 2, COUNT - 1])
@pytest.mark.parametrize(("stage", "reply"), [row[1:] for row in STRIKES], ids=[row[0] for row in STRIKES])
@pytest.mark.parametrize("retry", [ONCE, AT_ONCE], ids=["one try", "more tries"])
def test_every_message_is_accounted_for(
    world: World, mode: Mode, at: int, stage: str, reply: Scripted, retry: RetryPolicy
) -> None:
    with (
        SMTPServer(extensions=mode.extensions) as server,
        world.session(server.host, server.port, retry=retry, timeout=20) as session,
    ):
        if stage == "DATA" and mode is Mode.CHUNKING:
            stage = "BDAT"
        server.reply_to(stage, reply, 1, after=at)
        receipts = list(session.send_many(items()))
        for number, receipt in enumerate(receipts):
            check_account(receipt, copies(server, number))
        if isinstance(reply, str) and reply[0] in "45":  # it refused, and went on: nothing is unknown
            assert not any(receipt.unknown for receipt in receipts)
            assert sum(not receipt for receipt in receipts) <= 1
        if retry is AT_ONCE:
            failed = [receipt for receipt in receipts if receipt.status is Status.ERROR]
            assert all(not receipt.error.temporary for receipt in failed if receipt.error is not None)
        assert len(receipts) == COUNT
        while reply == HANGS_UP_WHEN_ALL_IS_WELL and server.connections == server.open_connections == 1:
            threading.Event().wait(0.005)
        assert session.send(content(COUNT), sender=SENDER, recipients=[BOB])


@pytest.mark.parametrize("security", ["default", "ssl"])
def test_what_was_acknowledged_before_a_write_failed_is_not_in_doubt(world: World, security: str) -> None:
    """The client is busy while the server acknowledges a message, says 421 and resets the connection."""
    is_second, is_written, warm = threading.Event(), threading.Event(), 5

    class Busy(socket.socket):
        def send(self, data: Any, flags: int = 0) -> int:
            if is_second.is_set() and not is_written.is_set():
                is_written.set()
                until_reset = select.poll()
                until_reset.register(self, 0)
                assert until_reset.poll(10_000)
            return super().send(data, flags)

    def connect(*address: Any) -> socket.socket:
        sock = Busy()
        sock.connect(address)
        return sock

    class LetsTheFirstBeFollowed:
        def __iter__(self) -> Iterator[str]:
            is_second.set()
            yield "250 2.1.0 Sender ok"
            assert is_written.wait(10)

    with (
        SMTPServer(security=security) as server,
        world.session(
            server.host, server.port, security=security, tls=TLS(ca_file=server.ca_file), retry=ONCE, timeout=20,
            network=Network(connector=connect), pipelining=Pipelining(max_in_flight=2),
        ) as session,
    ):  # fmt: skip
        assert all(session.send_many(items()[:warm]))
        server.messages.clear()
        server.reply_to("MAIL", LetsTheFirstBeFollowed(), 1, after=1)
        server.reply_to("STORED", ("250 2.0.0 Queued", "421 4.7.0 Enough", RESET), 1, after=1)
        receipts = list(session.send_many(items()))
        assert is_written.is_set() and server.connections > 1
        for number, receipt in enumerate(receipts):
            assert receipt.status is Status.SENT, receipt
            check_account(receipt, copies(server, number))
