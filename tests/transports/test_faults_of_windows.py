"""A failure of one message, or one sender, is reported as it is, and harms no other."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import wlsmtp
from tests.transports.test_stream import CHUNKING, PIPELINING, numbered, session_to, stored
from tests.worlds import World
from wlsmtp import RetryPolicy, Status
from wlsmtp.testing import CLOSE, HEAR, SMTPServer

ONCE = RetryPolicy(attempts=1)
GROUPS = pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING], ids=["pipelining", "chunking"])


class TestServersThatTakeLess:
    """The message with which that is found out is sent all the same."""

    @GROUPS
    @pytest.mark.parametrize("stage", ["MAIL", "RCPT"])
    def test_groups_are_refused_at_any_command(self, world: World, extensions: list[str], stage: str) -> None:
        with (
            SMTPServer(extensions=extensions) as server,
            session_to(world, server, retry=ONCE) as session,
        ):
            server.reply_to(stage, "503 5.5.0 Improper use of SMTP command pipelining", times=1)
            assert all(session.send_many(numbered(3)))
        assert stored(server) == [0, 1, 2]

    @pytest.mark.parametrize("stage", ["MAIL", "RCPT"])
    def test_groups_are_refused_before_a_large_content(self, world: World, stage: str) -> None:
        with SMTPServer() as server, session_to(world, server, retry=ONCE, partial="abort") as session:
            server.reply_to(stage, "503 5.5.0 Improper use of SMTP command pipelining", times=1)
            assert all(session.send_many(numbered(2)))
        assert stored(server) == [0, 1]

    def test_bdat_is_refused_on_two_connections_at_once(self) -> None:
        """The second one learns nothing new, and its message was sent by BDAT all the same."""
        both = threading.Barrier(2)
        connection = threading.local()  # the server has a thread for each

        class Slow(SMTPServer):
            def scripted_reply(self, stage: str) -> Any:
                if stage == "MAIL":
                    connection.has_sender = True
                if stage == "BDAT" and getattr(connection, "has_sender", False):
                    both.wait(20)
                    return "502 5.5.1 Not implemented"
                return super().scripted_reply(stage)

        with Slow() as server:
            session = wlsmtp.SMTPSession(server.host, server.port, retry=ONCE)
            receipts: list[Any] = []

            def work(number: int) -> None:
                receipts.extend(session.send_many(list(numbered(number + 1))[number:]))

            threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            session.close()
            refused = [line for _, who, line in server.transcript if who == "C" and line.startswith(b"BDAT 22 ")]
        assert len(refused) == 2
        assert len(receipts) == 2 and all(receipts) and sorted(stored(server)) == [0, 1]


class TestNeighboursOfARefusedMessage:
    """A connection that ends after a refusal is not a failure of the next message."""

    @pytest.mark.parametrize("stage", ["MAIL", "DATA", "CONTENT"])
    def test_the_server_hangs_up_behind_a_refusal(self, world: World, stage: str) -> None:
        with SMTPServer(extensions=[]) as server, session_to(world, server, retry=ONCE) as session:
            server.reply_to(stage, ["450 4.3.0 Try later", HEAR, CLOSE], times=1)
            receipts = list(session.send_many(numbered(3)))
        assert [receipt.status for receipt in receipts] == [Status.ERROR, Status.SENT, Status.SENT]
        assert stored(server) == [1, 2]


class TestRecipientsInParts:
    MANY = [f"r{number}@example.org" for number in range(5)]

    def test_that_all_of_one_part_are_refused_stops_no_other_part(self, world: World) -> None:
        with (
            SMTPServer(extensions=[*CHUNKING, "LIMITS RCPTMAX=2"]) as server,
            session_to(world, server, retry=ONCE) as session,
        ):
            server.refuse(self.MANY[0])
            server.refuse(self.MANY[1])
            receipt = session.send(b"x", sender="ann@example.com", recipients=self.MANY)
        assert receipt.status is Status.PARTIAL
        assert [result.address for result in receipt.accepted] == self.MANY[2:]
        assert [result.address for result in receipt.refused] == self.MANY[:2]

    def test_a_part_in_doubt_stops_no_other_part(self, world: World) -> None:
        with (
            SMTPServer(extensions=[*PIPELINING, "LIMITS RCPTMAX=2"]) as server,
            session_to(world, server, retry=ONCE) as session,
        ):
            server.reply_to("CONTENT", CLOSE, times=1)
            receipt = session.send(b"x", sender="ann@example.com", recipients=self.MANY)
        assert receipt.status is Status.PARTIAL
        assert [result.address for result in receipt.unknown] == self.MANY[:2]
        assert [result.address for result in receipt.accepted] == self.MANY[2:]

    def test_a_full_mailbox_is_no_limit_on_recipients(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server, retry=ONCE) as session:
            server.refuse(self.MANY[1], "452 4.2.2 Mailbox full")
            assert len(session.send(b"x", sender="ann@example.com", recipients=self.MANY).accepted) == 4
            others = ["a@example.org", "b@example.org", "c@example.org", "d@example.org", "e@example.org"]
            assert session.send(b"x", sender="ann@example.com", recipients=others)
        assert [mail.recipients for mail in server.messages][1:] == [tuple(others)]
