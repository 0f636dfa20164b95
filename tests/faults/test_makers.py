"""Servers of two makers behind one name: what the one says is no measure for the other."""

from __future__ import annotations

import pytest

from tests.faults.table import BOB, CLEO, SENDER
from tests.faults.test_window import content, copies
from tests.worlds import Session, World
from wlsmtp import Envelope, PoolLimits, Receipt, RetryPolicy, SMTPError, Status
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


class OneReadsChunks(ServerSide):
    """Every second connection leads to a server that reads the chunk of a refused BDAT as commands, and offers less."""

    def _offers(self) -> list[str]:
        return [word for word in super()._offers() if self._number % 2 or not word.startswith("SIZE")]

    def _do_bdat(self, rest: str) -> None:
        if self._number % 2 or self._recipients:
            super()._do_bdat(rest)
        else:
            self._say("502 5.5.1 Missing RCPT TO command")


class Mixed(SMTPServer):
    side = OneReadsChunks


FORGED = b"Subject: forged\r\n\r\nx\r\n"
COMMANDS = b"RSET\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<y@example.com>\r\nBDAT %d LAST\r\n%b" % (len(FORGED), FORGED)


@pytest.mark.parametrize("how", ["send", "send_many"])
def test_what_one_server_does_with_a_refused_chunk_says_nothing_of_another(world: World, how: str) -> None:
    """A content would be read as commands there."""
    with (
        Mixed(extensions=["PIPELINING", "CHUNKING"]) as server,
        world.session(
            server.host, server.port, retry=RetryPolicy(attempts=1), pool=PoolLimits(max_messages=COUNT)
        ) as session,
    ):
        server.reply_to(f"RCPT <{CLEO}>".upper(), "550 5.1.1 Nobody here")
        items = [(content(n) + COMMANDS, CLEO if n == COUNT else BOB) for n in range(2 * COUNT)]
        if how == "send_many":
            receipts = session.send_many([(message, Envelope(SENDER, [to])) for message, to in items])
            statuses = [receipt.status for receipt in receipts]
        else:
            statuses = [sent(session, *item).status for item in items]
        assert statuses == [Status.SENT] * COUNT + [Status.ERROR] + [Status.SENT] * (COUNT - 1)
        assert server.connections == 2 and len(server.messages) == 2 * COUNT - 1
        assert all(mail.content.endswith(COMMANDS) for mail in server.messages)


def sent(session: Session, message: bytes, to: str) -> Receipt:
    try:
        return session.send(message, sender=SENDER, recipients=[to])
    except SMTPError as error:
        assert error.receipt is not None
        return error.receipt
