"""A thread may be interrupted anywhere: the others get true results, and the next message is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.transports.test_cancellation import content, judge
from tests.transports.test_stream import AT_ONCE, MODES, numbered
from wlsmtp import PoolLimits, Receipt, SMTPError, SMTPSession
from wlsmtp.events import Event
from wlsmtp.testing import SMTPServer


class _Interrupt:
    """Raises ``KeyboardInterrupt`` in one thread, at the event ``number`` that it causes."""

    def __init__(self, number: int) -> None:
        self.victim: int | None = None
        self.left = number

    def __call__(self, _event: Event) -> None:
        if threading.get_ident() == self.victim:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def send(session: SMTPSession, number: int) -> Receipt:
    try:
        return session.send(content(number), sender="ann@example.com", recipients=f"n{number}@example.org", timeout=10)
    except SMTPError as error:
        assert error.receipt is not None
        return error.receipt


def one_is_interrupted(server: SMTPServer, number: int, victim: Callable[[SMTPSession], object]) -> bool:
    """Whether the victim was still under way at event ``number``."""
    interrupt = _Interrupt(number)
    receipts: dict[int, Receipt] = {}
    with SMTPSession(
        server.host, server.port, pool=PoolLimits(max_connections=1), retry=AT_ONCE, listeners=(interrupt,)
    ) as session:
        assert send(session, 99)
        interrupt.victim = threading.get_ident()
        start = threading.Barrier(4)

        def work(other: int) -> None:
            start.wait(10)
            receipts[other] = send(session, other)

        threads = [threading.Thread(target=work, args=(other,)) for other in range(50, 53)]
        for thread in threads:
            thread.start()
        start.wait(10)
        was_interrupted = False
        try:
            victim(session)
        except KeyboardInterrupt:
            was_interrupted = True
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        interrupt.victim = None
        receipts[98] = send(session, 98)
        assert receipts[98]
    judge(server, receipts)
    return was_interrupted


@MODES
def test_in_a_send_among_others(extensions: list[str]) -> None:
    for number in range(1, 200):
        with SMTPServer(extensions=extensions) as server:
            if not one_is_interrupted(server, number, lambda session: send(session, 0)):
                break
    assert number > 1


@MODES
def test_in_a_stream_beside_others(extensions: list[str]) -> None:
    for number in [*range(1, 20), *range(20, 200, 17)]:
        with SMTPServer(extensions=extensions) as server:
            if not one_is_interrupted(server, number, lambda session: list(session.send_many(numbered(20)))):
                break
    assert number > 1


@pytest.mark.parametrize("number", [1])
def test_while_closing(number: int) -> None:
    interrupt = _Interrupt(number)
    with SMTPServer() as server:
        session = SMTPSession(server.host, server.port, listeners=(interrupt,))
        assert send(session, 0)
        interrupt.victim = threading.get_ident()
        with pytest.raises(KeyboardInterrupt):
            session.close()
        interrupt.victim = None
        session.close()
        session.open()
        assert send(session, 1)
        session.close()
