"""Messages of the usual kind follow each other without questions; whatever is unusual among them has its own result."""

from __future__ import annotations

import pytest

from tests.worlds import World
from wlsmtp import DSN, DeliveryOptions, Envelope, RecipientStatus, Status
from wlsmtp.smtp.run import PlainTransaction, Run
from wlsmtp.testing import CLOSE, SMTPServer

COUNT = 60


def message(number: int, text: str = "Hello") -> bytes:
    return f"Subject: {number}\r\nMessage-ID: <{number}@example.com>\r\n\r\n{text}\r\n".encode()


def to(number: int) -> Envelope:
    return Envelope("ann@example.com", [f"n{number}@example.org"])


def stored(server: SMTPServer) -> list[str]:
    return [one.recipients[0] for one in server.messages]


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the messages that were sent without questions."""
    sizes: list[int] = []
    begin = Run.begin

    def noting(self: Run, *args: object) -> None:
        begin(self, *args)  # type: ignore[arg-type]
        sizes.extend(mail.content.size for mail in self.mails)

    monkeypatch.setattr(Run, "begin", noting)
    return sizes


@pytest.fixture
def spread(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many transactions were made of each run that was spread."""
    counts: list[int] = []
    was = Run.spread

    def noting(self: Run) -> list[PlainTransaction]:
        counts.append(len(transactions := was(self)))
        return transactions

    monkeypatch.setattr(Run, "spread", noting)
    return counts


def test_nearly_all_messages_of_a_stream_follow(world: World, followed: list[int]) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        receipts = session.send_all([(message(number), to(number)) for number in range(COUNT)])
    assert len(followed) > COUNT * 0.8
    assert [receipt.recipients[0].address for receipt in receipts] == stored(server)
    assert [receipt.message_id for receipt in receipts] == [f"<{number}@example.com>" for number in range(COUNT)]
    assert {receipt.status for receipt in receipts} == {Status.SENT} and len({one.id for one in receipts}) == COUNT
    assert all(receipt.queue_id in str(receipt.reply) for receipt in receipts if receipt.queue_id)


UNUSUAL = {
    "8 bit": (message(30, "grüß dich"), to(30)),
    "a stuffed line": (message(30, ".\r\n.."), to(30)),
    "several recipients": (message(30), Envelope("ann@example.com", ["n30@example.org", "cy@example.net"])),
    "SMTPUTF8": (message(30), Envelope("ann@example.com", ["n30@example.org", "jörg@example.net"])),
    "options": (
        message(30),
        Envelope("ann@example.com", ["n30@example.org"], DeliveryOptions(dsn=DSN(notify={"failure"}))),
    ),
    "large": (message(30, "x" * 70 + "\r\n" * 40_000), to(30)),
    "empty": (b"", to(30)),
    "the null sender": (message(30), Envelope("", ["n30@example.org"])),
}


def test_they_follow_without_size_too(world: World, followed: list[int]) -> None:
    with SMTPServer(extensions=["PIPELINING", "CHUNKING"], size_limit=None) as server:
        with world.session(server.host, server.port) as session:
            receipts = session.send_all([(message(number), to(number)) for number in range(COUNT)])
        assert not any(b"SIZE" in line for _, who, line in server.transcript if who == "C")
    assert all(receipts) and len(stored(server)) == COUNT and len(followed) > COUNT * 0.8


@pytest.mark.parametrize("kind", UNUSUAL)
def test_an_unusual_message_is_sent_among_them(world: World, followed: list[int], kind: str) -> None:
    items = [(message(number), to(number)) for number in range(COUNT)]
    items[30] = UNUSUAL[kind]
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        receipts = session.send_all(items)
    assert all(receipts) and stored(server) == [f"n{number}@example.org" for number in range(COUNT)]
    assert server.messages[30].content == items[30][0] and len(followed) > COUNT * 0.7


@pytest.mark.parametrize("refused", ["RCPT", "MAIL", "."])
def test_a_refused_message_is_the_only_one(world: World, followed: list[int], refused: str) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        if refused == "RCPT":
            server.refuse("n30@example.org")
        else:
            server.reply_to(refused, "550 5.7.1 No", times=1, after=30)
        receipts = session.send_all([(message(number), to(number)) for number in range(COUNT)])
    failed = [number for number, receipt in enumerate(receipts) if not receipt]
    assert (
        failed == [30] and receipts[30].recipients[0].status is RecipientStatus.REFUSED and len(followed) > COUNT * 0.7
    )
    assert stored(server) == [f"n{number}@example.org" for number in range(COUNT) if number != 30]


def test_a_lost_connection_leaves_no_message_without_its_result(world: World, followed: list[int]) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        server.reply_to("STORED", CLOSE, times=1, after=30)
        receipts = session.send_all([(message(number), to(number)) for number in range(COUNT)])
    there = stored(server)
    for number, receipt in enumerate(receipts):
        copies = there.count(f"n{number}@example.org")
        assert copies == 1 if receipt.status is Status.SENT else receipt.status is Status.UNKNOWN and copies <= 1
    assert len(followed) > COUNT * 0.5


def test_a_limit_on_messages_is_kept(world: World, followed: list[int]) -> None:
    extensions = ["PIPELINING", "CHUNKING", "SIZE", "LIMITS MAILMAX=7"]
    with SMTPServer(extensions=extensions) as server, world.session(server.host, server.port) as session:
        receipts = session.send_all([(message(number), to(number)) for number in range(COUNT)])
        assert session.statistics().connections_opened == -(-COUNT // 7)
    assert all(receipts) and len(server.messages) == COUNT and followed


def test_the_servers_limit_on_the_size_is_kept(world: World, followed: list[int]) -> None:
    with SMTPServer(size_limit=1000) as server, world.session(server.host, server.port) as session:
        items = [(message(number, "x" * 960 if number == 30 else "x"), to(number)) for number in range(COUNT)]
        receipts = session.send_all(items)
    assert [number for number, receipt in enumerate(receipts) if not receipt] == [30] and followed


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_reply_that_does_not_fit_spreads_its_run_and_no_other_message_fails(
    world: World, spread: list[int], times: int
) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        assert all(session.send_all([(message(number), to(number)) for number in range(COUNT)])) and not any(spread)
        server.reply_to(".", "452 4.3.1 Full", times=times, after=30)
        receipts = session.send_all([(message(number), to(number)) for number in range(COUNT)])
    assert all(receipts) and any(spread) and sum(receipt.attempts for receipt in receipts) == COUNT + times


def test_messages_with_several_recipients_follow_each_other_too(world: World, followed: list[int]) -> None:
    both = [Envelope("ann@example.com", [f"n{number}@example.org", "cy@example.net"]) for number in range(COUNT)]
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        receipts = session.send_all([(message(number), both[number]) for number in range(COUNT)])
    assert [len(receipt.accepted) for receipt in receipts] == [2] * COUNT and len(followed) > COUNT * 0.8


def test_messages_follow_each_other_after_a_login(world: World, spread: list[int]) -> None:
    secret = "s3cret-and-long"
    login = {"username": "ann", "password": secret, "allow_cleartext_auth": True}
    with (
        SMTPServer(users={"ann": secret}) as server,
        world.session(server.host, server.port, **login) as session,
    ):
        receipts = session.send_all([(message(number), to(number)) for number in range(COUNT)])
        assert not any(spread)
        server.reply_to(".", f"250 2.0.0 queued for {secret}", times=1, after=3)
        receipts += session.send_all([(message(number), to(number)) for number in range(COUNT)])
    assert all(receipts) and any(spread)
    assert [str(receipt.reply) for receipt in receipts if "queued for" in str(receipt.reply)]
    assert not any("s3cret" in str(receipt.reply) for receipt in receipts)
