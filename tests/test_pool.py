"""Connections are kept, replaced when they have had their time, and never more than allowed."""

from __future__ import annotations

import threading

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, PoolLimits, RetryPolicy, SMTPSession
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")


@pytest.mark.parametrize(
    ("limits", "connections"),
    [
        (PoolLimits(), 1),
        (PoolLimits(max_messages=2), 3),
        (PoolLimits(max_messages=1), 5),
        (PoolLimits(max_age=1e-9), 5),
        (PoolLimits(idle_timeout=1e-9), 5),
        (PoolLimits(max_messages=None, max_age=None, idle_timeout=None), 1),
    ],
    ids=["kept", "two messages", "one message", "age", "idle", "no limits"],
)
def test_connections_are_replaced_by_count_age_and_idleness(world: World, limits: PoolLimits, connections: int) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, pool=limits) as session:
        for _ in range(5):
            assert session.send(MESSAGE)
        assert server.connections == connections


def test_who_finds_no_free_connection_waits_no_longer_than_allowed() -> None:
    with SMTPServer() as server:
        server.reply_to(".", server.SILENCE, times=1)
        session = SMTPSession(
            server.host, server.port, pool=PoolLimits(max_connections=1), retry=RetryPolicy(attempts=1)
        )
        holder = threading.Thread(target=pytest.raises, args=(wlsmtp.OutcomeUnknown, session.send, MESSAGE))
        holder.start()
        while not any(line.startswith(b"BDAT") for _, _, line in list(server.transcript)):
            threading.Event().wait(0.005)
        with pytest.raises(wlsmtp.DeadlineExceeded, match="max_connections"):
            session.send(MESSAGE, timeout=0.05)
        server.drop_connections()
        holder.join(10)
        assert session.send(MESSAGE)
        session.close()


def test_a_failed_opening_gives_its_place_back(world: World) -> None:
    with SMTPServer() as server:
        server.reply_to("CONNECT", "421 4.3.2 Busy", times=3)
        options = {"pool": PoolLimits(max_connections=1), "retry": RetryPolicy(attempts=1)}
        with world.session(server.host, server.port, **options) as session:
            for _ in range(3):
                with pytest.raises(wlsmtp.CommandRefused):
                    session.send(MESSAGE)
            assert session.send(MESSAGE)
