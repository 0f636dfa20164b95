"""Streams of messages: what goes out together, and that no message is mistaken for another, whatever happens to one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
from tests.worlds import Session, World
from wlsmtp import Attachment, Envelope, Message, Pipelining, PoolLimits, RetryPolicy, SMTPSession, Status
from wlsmtp.testing import ReceivedMessage, ScriptedPeer, SMTPServer

AT_ONCE = RetryPolicy(backoff=0, jitter=0)
PIPELINING, CHUNKING = ["PIPELINING"], ["PIPELINING", "CHUNKING"]
MODES = pytest.mark.parametrize("extensions", [[], PIPELINING, CHUNKING], ids=["plain", "pipelining", "chunking"])


def session_to(world: World, server: SMTPServer, **options: Any) -> Session:
    return world.session(server.host, server.port, **{"retry": AT_ONCE, **options})


def numbered(count: int, sender: str = "ann@example.com") -> Iterator[tuple[bytes, Envelope]]:
    for number in range(count):
        yield f"Subject: {number}\r\n\r\nText {number}\r\n".encode(), Envelope(sender, [f"n{number}@example.org"])


def names(count: int) -> list[str]:
    return [f"n{number}@example.org" for number in range(count)]


def stored(server: SMTPServer) -> list[int]:
    """The numbers of the messages that the server has; each with the recipient of its content, or it is an error."""
    numbers = [int(str(mail.header("Subject"))) for mail in server.messages]
    assert [mail.recipients for mail in server.messages] == [(f"n{number}@example.org",) for number in numbers]
    return numbers


def commands(server: SMTPServer) -> list[bytes]:
    return [line for _, who, line in server.transcript if who == "C"]


@MODES
def test_every_message_arrives_once_and_in_order(world: World, extensions: list[str]) -> None:
    with SMTPServer(extensions=extensions) as server, session_to(world, server) as session:
        receipts = list(session.send_many(numbered(200)))
    assert all(receipts) and stored(server) == list(range(200))
    assert [receipt.recipients[0].address for receipt in receipts] == [
        f"n{number}@example.org" for number in range(200)
    ]
    assert {mail.via for mail in server.messages} == {"BDAT" if extensions == CHUNKING else "DATA"}


@MODES
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("reply", ["550 5.7.1 No", "451 4.3.0 Later"])
def test_a_refusal_in_the_middle_leaves_the_others_untouched(
    world: World, extensions: list[str], stage: str, reply: str
) -> None:
    stage = "BDAT" if stage == "DATA" and extensions == CHUNKING else stage
    few = Pipelining(max_in_flight=8)
    with SMTPServer(extensions=extensions) as server, session_to(world, server, pipelining=few) as session:
        receipts = []
        for receipt in session.send_many(numbered(60)):
            receipts.append(receipt)
            if len(receipts) == 10:
                server.reply_to(stage, reply, times=1)
    failed = [number for number, receipt in enumerate(receipts) if not receipt]
    again = [receipt for receipt in receipts if receipt.attempts == 2]
    assert (len(failed), len(again)) == ((1, 0) if reply.startswith("5") else (0, 1))
    assert sorted(stored(server)) == [number for number in range(60) if number not in failed]


def test_each_envelope_in_a_window_starts_from_nothing(world: World) -> None:
    """Message 5 is refused after its MAIL was accepted: without RSET its sender would be that of message 6."""
    items = [
        (f"Subject: {number}\r\n\r\nx\r\n".encode(), Envelope(f"s{number}@example.com", [f"n{number}@example.org"]))
        for number in range(30)
    ]
    with SMTPServer() as server, session_to(world, server) as session:
        server.refuse("n5@example.org")
        receipts = list(session.send_many(items))
    assert [number for number, receipt in enumerate(receipts) if not receipt] == [5]
    assert [mail.sender for mail in server.messages] == [
        f"s{number}@example.com" for number in range(30) if number != 5
    ]


GREETING = """
S: 220 peer
C: EHLO *
S: 250-peer
S: 250 PIPELINING
"""
FIRST = """
C: MAIL FROM:<ann@example.com>
C: RCPT TO:<n0@example.org>
C: DATA
S: 250 Ok
S: 250 Ok
S: 354 Go on
"""


@pytest.mark.parametrize("chunking", ["whole", "bytes"])
def test_with_pipelining_the_end_of_a_message_goes_with_the_envelope_of_the_next(world: World, chunking: str) -> None:
    """The peer says nothing to the content of message 1 before it has the envelope of message 2. With the content of
    message 0 came an RSET, whose answer has shown that the peer reads what follows content."""
    to_0, to_1, to_2 = (FIRST.replace("n0@", f"n{number}@") for number in range(3))
    asked, accepted = to_2[: to_2.index("S: ")], to_2[to_2.index("S: ") :]
    crossing = (
        f"{to_1}!content\nC: RSET{asked}S: 250 Queued\nS: 250 Ok\n{accepted}!content\nS: 250 Queued\n"
        "C: QUIT\nS: 221 Bye\n"
    )
    dialogue = f"{GREETING}{to_0}!content\nC: RSET\nS: 250 Queued\nS: 250 Ok{crossing}"
    with ScriptedPeer(dialogue, chunking=chunking) as peer, world.session("127.0.0.1", peer.port) as session:
        assert all(session.send_many(numbered(3)))
    contents = [line for line in peer.received if line.startswith(b"Subject")]
    assert contents == [f"Subject: {number}\r\n\r\nText {number}\r\n.\r\n".encode() for number in range(3)]


def test_after_354_without_a_recipient_a_lone_dot_leads_out(world: World) -> None:
    dialogue = GREETING + FIRST.replace("S: 250 Ok\nS: 354", "S: 550 No\nS: 354") + "C: .\nS: 554 Nobody\nC: QUIT\n"
    with ScriptedPeer(dialogue) as peer, world.session("127.0.0.1", peer.port) as session:
        (receipt,) = session.send_many(numbered(1))
        assert isinstance(receipt.error, wlsmtp.RecipientsRefused)


def test_a_server_that_wants_content_from_a_refused_sender_gets_none(world: World) -> None:
    dialogue = GREETING + FIRST.replace("S: 250 Ok\nS: 250 Ok", "S: 550 No\nS: 250 Ok")
    once = RetryPolicy(attempts=1)
    with ScriptedPeer(dialogue) as peer, world.session("127.0.0.1", peer.port, retry=once) as session:
        (receipt,) = session.send_many(numbered(1))
    assert receipt.status is Status.ERROR and not any(b"Subject" in line for line in peer.received)


@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING], ids=["pipelining", "chunking"])
def test_421_divides_the_window_exactly_and_nothing_is_lost(world: World, extensions: list[str]) -> None:
    few = Pipelining(max_in_flight=8)
    with SMTPServer(extensions=extensions) as server, session_to(world, server, pipelining=few) as session:
        receipts = []
        for receipt in session.send_many(numbered(100)):
            receipts.append(receipt)
            if len(receipts) == 20:
                server.reply_to("MAIL", "421 4.3.2 Enough", times=1)
    # The connection had delivered, so 421 is not a failure of a message; the number it accepted is the limit from then
    # on.
    assert all(receipts) and sum(receipt.attempts for receipt in receipts) == 100
    assert server.connections > 2
    counts = Counter(number for number, who, line in server.transcript if who == "C" and line.startswith(b"MAIL"))
    first, *others = counts.values()
    assert max(others) < first
    assert sorted(stored(server)) == list(range(100))


def test_a_lost_connection_leaves_in_doubt_only_what_was_sent_and_not_answered(world: World) -> None:
    window = Pipelining(max_in_flight=8)
    with SMTPServer() as server, session_to(world, server, pipelining=window) as session:
        receipts = []
        for receipt in session.send_many(numbered(60)):
            receipts.append(receipt)
            if len(receipts) == 20:
                server.reply_to(".", server.CLOSE, times=1)
    doubtful = [number for number, receipt in enumerate(receipts) if receipt.status is Status.UNKNOWN]
    assert 1 <= len(doubtful) <= 8 and len(receipts) == 60
    assert not any(receipt.status is Status.ERROR for receipt in receipts)
    known = stored(server)
    assert len(known) == len(set(known)) and set(known) | set(doubtful) == set(range(60))


@MODES
def test_the_server_may_close_after_any_number_of_messages(world: World, extensions: list[str]) -> None:
    limits = PoolLimits(max_messages=7)
    with SMTPServer(extensions=extensions) as server, session_to(world, server, pool=limits) as session:
        assert all(session.send_many(numbered(50)))
        assert server.connections == 8
    assert stored(server) == list(range(50))


def test_declared_limits_are_kept(world: World) -> None:
    extensions = [*CHUNKING, "LIMITS MAILMAX=3 RCPTMAX=2"]
    many = [f"r{number}@example.org" for number in range(5)]
    with SMTPServer(extensions=extensions) as server, session_to(world, server) as session:
        assert all(session.send_many(numbered(7)))
        assert server.connections == 3
        receipt = session.send(b"Subject: many\r\n\r\nx\r\n", sender="ann@example.com", recipients=many)
    assert receipt and [result.address for result in receipt.accepted] == many
    assert [mail.recipients for mail in server.messages[7:]] == [tuple(many[:2]), tuple(many[2:4]), tuple(many[4:])]


def test_recipients_after_452_get_the_message_in_another_transaction_at_once(world: World) -> None:
    many = [f"r{number}@example.org" for number in range(7)]
    with SMTPServer() as server, session_to(world, server, retry=RetryPolicy(attempts=1)) as session:
        for name in many[3:]:
            server.refuse(name, "452 4.5.3 Too many recipients")
        with pytest.raises(wlsmtp.RecipientsRefused):  # nobody else is taken, so this is a refusal
            session.send(b"x", sender="ann@example.com", recipients=many[3:])
        receipt = session.send(b"x", sender="ann@example.com", recipients=many)
        assert [result.address for result in receipt.accepted] == many[:3] and receipt.attempts == 1
        assert [mail.recipients for mail in server.messages] == [tuple(many[:3])]


class TestServersThatTakeLess:
    def test_one_that_refuses_bdat_is_sent_data_from_then_on(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server) as session:
            server.reply_to("BDAT", "502 5.5.1 Not implemented")
            receipts = list(session.send_many(numbered(20)))
        assert all(receipts) and all(receipt.attempts == 1 for receipt in receipts)
        assert stored(server) == list(range(20)) and server.connections == 2

    def test_one_that_is_confused_by_groups_is_spoken_to_line_by_line(self, world: World) -> None:
        with SMTPServer(extensions=PIPELINING) as server, session_to(world, server) as session:
            server.reply_to("DATA", "503 5.5.0 Improper use of SMTP command pipelining", times=1)
            assert all(session.send_many(numbered(10)))
            server.transcript.clear()
            assert all(session.send_many(numbered(3)))
            speakers = [who for _, who, line in server.transcript if not line.startswith((b"Subject", b"Text", b"."))]
        assert "CC" not in "".join(speakers).replace("CCCC", "")  # never two commands in a row
        assert server.connections == 2

    @pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING], ids=["pipelining", "chunking"])
    def test_the_first_message_goes_alone(self, world: World, extensions: list[str]) -> None:
        with SMTPServer(extensions=extensions) as server, session_to(world, server) as session:
            server.reply_to("MAIL", server.CLOSE, times=1)
            receipts = list(session.send_many(numbered(20)))
        assert all(receipts)


@MODES
@pytest.mark.parametrize("width", [2, 4])
def test_several_connections_side_by_side_keep_the_order_of_the_receipts(
    world: World, extensions: list[str], width: int
) -> None:
    with SMTPServer(extensions=extensions) as server, session_to(world, server) as session:
        receipts = list(session.send_many(numbered(300), connections=width))
        counts = session.statistics()
    assert [receipt.recipients[0].address for receipt in receipts] == [
        f"n{number}@example.org" for number in range(300)
    ]
    assert all(receipts) and sorted(stored(server)) == list(range(300))
    assert 1 <= server.connections <= width and counts.sent == 300 and counts.connections_opened == server.connections


class StoresTogether(SMTPServer):
    """Takes no message before it has four."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._all_there = threading.Barrier(4)

    def store(self, message: ReceivedMessage) -> int:
        with suppress(threading.BrokenBarrierError):
            self._all_there.wait(10)
        return super().store(message)


class StoresTheLastLate(SMTPServer):
    """Takes the last of twenty messages when somebody has a receipt of another one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.has_a_receipt = threading.Event()

    def store(self, message: ReceivedMessage) -> int:
        if message.header("Subject") == "19":
            self.has_a_receipt.wait(10)
        return super().store(message)


@MODES
class TestSeveralConnections:
    def test_a_few_messages_are_shared_by_all_connections(self, world: World, extensions: list[str]) -> None:
        with StoresTogether(extensions=extensions) as server, session_to(world, server) as session:
            receipts = list(session.send_many(numbered(4), connections=4))
            assert all(receipts) and server.connections == 4

    def test_receipts_come_while_the_last_messages_are_on_their_way(self, world: World, extensions: list[str]) -> None:
        stored_by_then = []
        with StoresTheLastLate(extensions=extensions) as server, session_to(world, server) as session:
            for receipt in session.send_many(numbered(20), connections=2):
                assert receipt
                stored_by_then.append(len(server.messages))
                server.has_a_receipt.set()
        assert stored_by_then[0] < 20 == len(stored_by_then)


def test_more_connections_than_allowed_are_a_wrong_setting(world: World) -> None:
    with (
        SMTPServer() as server,
        session_to(world, server) as session,
        pytest.raises(wlsmtp.ConfigError, match="max_connections"),
    ):
        list(session.send_many(numbered(1), connections=5))


def test_what_is_tried_again_keeps_no_other_message_waiting(world: World) -> None:
    """The greylisted message is due after a pause; all others go out before."""
    policy = RetryPolicy(backoff=1.0, jitter=0)
    with SMTPServer() as server, session_to(world, server, retry=policy) as session:
        server.reply_to("RCPT", "450 4.2.0 Greylisted", times=1)
        receipts = list(session.send_many(numbered(100)))
    assert all(receipts) and [receipt.attempts for receipt in receipts] == [2] + [1] * 99
    assert stored(server) == [*range(1, 100), 0]


def test_a_slow_input_gets_each_receipt_before_it_is_asked_for_more(world: World) -> None:
    given: list[str] = []
    pause = threading.Event()

    def slow() -> Iterator[Message]:
        for number in range(4):
            given.append(f"asked {number}")
            pause.wait(0.06)  # that the input is slow is what this is about
            yield Message(sender="ann@example.com", to="bob@example.org", text="x")

    with SMTPServer() as server, session_to(world, server) as session:
        for number, receipt in enumerate(session.send_many(slow())):
            given.append(f"got {number}")
            assert receipt
    assert given == [f"{what} {number}" for number in range(4) for what in ("asked", "got")]


def test_a_large_message_among_small_ones_goes_alone_and_in_its_place(world: World) -> None:
    items = list(numbered(20))
    items[10] = (b"Subject: 10\r\n\r\n" + b"x" * 70 * 9000 + b"\r\n", items[10][1])
    with SMTPServer() as server, session_to(world, server) as session:
        assert all(session.send_many(items))
    assert stored(server) == list(range(20))


def test_a_send_inside_the_loop_shares_the_only_connection(world: World) -> None:
    with SMTPServer() as server, session_to(world, server, pool=PoolLimits(max_connections=1)) as session:
        receipts = []
        for receipt in session.send_many(numbered(100)):
            receipts.append(receipt)
            if len(receipts) in (10, 50):
                assert session.send(b"Subject: -1\r\n\r\n", sender="a@example.com", recipients="n-1@example.org")
        assert all(receipts) and server.connections == 1
    assert sorted(stored(server)) == [-1, -1, *range(100)]


def test_a_loop_that_is_left_early_leaves_a_session_that_works(world: World) -> None:
    with SMTPServer() as server:
        with session_to(world, server) as session:
            receipts = session.send_many(numbered(1000))
            for _ in range(5):
                assert next(receipts)
            assert session.send(b"Subject: -1\r\n\r\n", sender="a@example.com", recipients="n-1@example.org")
        # Closing settled what was on its way, and the rest was never sent.
        with pytest.raises(wlsmtp.ConnectionFailed, match="closed"):
            list(receipts)
        assert len(stored(server)) < 200


def test_the_pace_is_kept_over_all_connections(world: World) -> None:
    limits = PoolLimits(rate="30/hour")
    message = b"Subject: 30\r\n\r\n"
    with SMTPServer() as server, session_to(world, server, pool=limits) as session:
        assert all(session.send_many(numbered(30)))
        with pytest.raises(wlsmtp.DeadlineExceeded, match="30/hour"):
            session.send(message, sender="ann@example.com", recipients="n30@example.org", timeout=5)
    assert stored(server) == list(range(30))


def test_threads_share_windows_when_there_are_no_more_connections() -> None:
    with SMTPServer() as server:
        session = SMTPSession(server.host, server.port, pool=PoolLimits(max_connections=2), retry=AT_ONCE)
        start = threading.Barrier(24)
        receipts: list[Any] = []

        def work(name: int) -> None:
            start.wait(10)
            for number in range(10):
                text = f"Subject: {name * 10 + number}\r\n\r\nx\r\n".encode()
                recipient = f"n{name * 10 + number}@example.org"
                receipts.append(session.send(text, sender="ann@example.com", recipients=recipient))

        threads = [threading.Thread(target=work, args=(name,)) for name in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        session.close()
        assert len(receipts) == 240 and all(receipts)
        assert sorted(stored(server)) == list(range(240)) and server.connections <= 2
        assert any(line == b"RSET" for line in commands(server))  # messages were behind others


def test_too_many_connections_are_answered_with_fewer(world: World) -> None:
    with SMTPServer() as server, session_to(world, server) as session:
        assert session.statistics().connections_allowed == 4
        server.reply_to("CONNECT", "421 4.7.0 Too many connections", times=1)
        assert session.send(b"Subject: 0\r\n\r\n", sender="a@example.com", recipients="n0@example.org").attempts == 2
        assert session.statistics().connections_allowed == 1
        assert all(session.send_many(numbered(150)))
        assert session.statistics().connections_allowed > 1


@pytest.mark.parametrize("how", ["from memory", "from a file"])
def test_an_attachment_goes_unencoded_where_the_server_takes_binary(world: World, how: str, tmp_path: Path) -> None:
    octets = bytes(range(256)) * 4000 + b"\r\n.\r\nMAIL FROM:<x@example.com>\r\n\r"
    (tmp_path / "data.bin").write_bytes(octets)
    attachment = Attachment(octets, "data.bin") if how == "from memory" else Attachment(path=tmp_path / "data.bin")
    message = Message(sender="ann@example.com", to="bob@example.org", text="x", attachments=[attachment])
    with SMTPServer(extensions=[*CHUNKING, "BINARYMIME", "8BITMIME"]) as server:
        with session_to(world, server) as session:
            assert session.send(message)
        with session_to(world, server, pipelining=Pipelining(binary=False)) as session:
            assert session.send(message)
    binary, encoded = server.messages
    assert binary.mail_parameters["BODY"] == "BINARYMIME" and "BODY" not in encoded.mail_parameters
    assert len(binary.content) < 0.76 * len(encoded.content)
    for received in (binary, encoded):
        (part,) = received.email.iter_attachments()
        assert part.get_payload(decode=True) == octets
