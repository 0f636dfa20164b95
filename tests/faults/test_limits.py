"""Servers with a limit: a message is offered once more than its attempts at most, and the others go through."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.table import BOB, Mode
from tests.faults.test_window import content
from tests.worlds import World
from wlsmtp import PoolLimits, Receipt, RetryPolicy, SMTPError
from wlsmtp.testing import SMTPServer

AGAIN = RetryPolicy(attempts=3, backoff=0, jitter=0)


class Held:
    """A reply that comes once its event is set."""

    def __init__(self, reply: str) -> None:
        self.reply, self.begun, self.released = reply, threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[str]:
        self.begun.set()
        assert self.released.wait(20)
        yield self.reply


def sender(number: int) -> str:
    return f"m{number}@example.com"


def offers(server: SMTPServer) -> Counter[str]:
    """How often each sender was said."""
    lines = [line.decode() for _, who, line in server.transcript if who == "C" and line.startswith(b"MAIL")]
    return Counter(line.partition("<")[2].partition(">")[0] for line in lines)


@pytest.mark.parametrize("reply", ["432 4.3.2 Concurrent connections limit exceeded", "451 4.7.1 Too many connections"])
def test_a_connection_too_many_costs_one_free_try_however_many_there_are(world: World, reply: str) -> None:
    """Three connections are open, and each refuses the same message as it comes to it."""
    holds = [Held("250 2.1.5 Recipient ok") for _ in range(2)]

    class Refuses:
        """Refuses a sender, and lets the next connection become free."""

        def __iter__(self) -> Iterator[str]:
            yield reply
            for hold in holds:
                if not hold.released.is_set():
                    hold.released.set()
                    break

    with (
        SMTPServer(extensions=Mode.PLAIN.extensions) as server,
        world.session(server.host, server.port, retry=AGAIN, pool=PoolLimits(max_connections=3), timeout=20) as session,
    ):
        server.reply_to("MAIL", Refuses(), 8, after=2)
        for number, hold in enumerate(holds):
            server.reply_to(f"RCPT <{number}@example.org>".upper(), hold, 1)

        def send(number: int) -> object:
            to = f"{number}@example.org" if number < 2 else BOB
            return session.face.send(content(number), sender=sender(number + 1), recipients=[to])

        first, second, third = world.together(
            (None, lambda: send(0)), (holds[0].begun, lambda: send(1)), (holds[1].begun, lambda: send(2))
        )
        assert isinstance(first, Receipt) and first and isinstance(second, Receipt) and second
        assert isinstance(third, SMTPError) and third.temporary and third.receipt is not None
        assert third.receipt.attempts == AGAIN.attempts
        assert offers(server)[sender(3)] == AGAIN.attempts + 1
        assert not [mail for mail in server.messages if mail.sender == sender(3)]
