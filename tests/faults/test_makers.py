"""Servers of two makers behind one name: what the one says is no measure for the other."""

from __future__ import annotations

import pytest

from tests.faults.table import BOB, SENDER
from tests.faults.test_window import content, copies
from tests.worlds import World
from wlsmtp import PoolLimits, RetryPolicy, Status
from wlsmtp.testing import SMTPServer
from wlsmtp.testing.conversation import ServerSide

COUNT = 6
EXIM = {"250 2.1.0": "250 OK", "250 2.1.5": "250 Accepted", "250 2.0.0 Ok: queued": "250 OK id=1vPqXr-00001"}


class OneOfTwo(ServerSide):
    """Every second connection leads to a server that answers everything with OK, and offers less."""

    def _offers(self) -> list[str]:
        return [word for word in super()._offers() if self._number % 2 or not word.startswith("SIZE")]

    def _say_text(self, reply: str) -> None:
        if reply.startswith("250 "):
            words = EXIM.items() if self._number % 2 else [("250", "250 OK")]
            reply = next((new for old, new in words if reply.startswith(old)), reply)
        super()._say_text(reply)


class LoadBalancer(SMTPServer):
    side = OneOfTwo


@pytest.mark.parametrize("per_connection", [1, 2, 3])
def test_the_words_of_one_server_put_no_message_to_another_in_doubt(world: World, per_connection: int) -> None:
    with (
        LoadBalancer(extensions=["PIPELINING", "CHUNKING"]) as server,
        world.session(
            server.host, server.port, retry=RetryPolicy(attempts=1), pool=PoolLimits(max_messages=per_connection)
        ) as session,
    ):
        for number in range(COUNT):
            assert session.send(content(number), sender=SENDER, recipients=[BOB]).status is Status.SENT
        assert all(copies(server, number)[BOB] == 1 for number in range(COUNT))
        assert server.connections == COUNT // per_connection
