"""A message that is alone on its connection goes in one write; whatever is unusual about it has its own result."""

from __future__ import annotations

import pytest

from tests.smtp.test_flight import UNUSUAL, message, stored, to
from tests.worlds import World
from wlsmtp import OutcomeUnknown, RecipientStatus, SMTPError, Status
from wlsmtp.smtp.alone import Alone
from wlsmtp.smtp.transaction import Transaction
from wlsmtp.smtp.window import Window
from wlsmtp.testing import CLOSE, SMTPServer

COUNT = 8


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each read of replies, whether they were those of a message that is alone."""
    results: list[bool] = []
    settle = Alone._settle_alone_locked

    def noting(self: Alone, data: bytes) -> bool:
        results.append(settle(self, data))
        return results[-1]

    monkeypatch.setattr(Alone, "_settle_alone_locked", noting)
    return results


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Transaction]:
    """The messages that were begun alone."""
    transactions: list[Transaction] = []
    begin = Alone._begin_alone_locked

    def noting(self: Alone, transaction: Transaction) -> bool:
        if is_alone := begin(self, transaction):
            transactions.append(transaction)
        return is_alone

    monkeypatch.setattr(Alone, "_begin_alone_locked", noting)
    return transactions


def test_messages_sent_one_by_one_go_alone(world: World, begun: list[Transaction], settled: list[bool]) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        receipts = [
            session.send(message(number), sender="ann@example.com", recipients=[f"n{number}@example.org"])
            for number in range(COUNT)
        ]
        commands = [line for _, who, line in server.transcript if who == "C"]
    assert stored(server) == [f"n{number}@example.org" for number in range(COUNT)]
    assert {receipt.status for receipt in receipts} == {Status.SENT} and len({one.id for one in receipts}) == COUNT
    assert all(receipt.reply is not None and receipt.reply.code == 250 for receipt in receipts)
    assert len(begun) == sum(settled) == COUNT - 2  # the first shows what the server does, the second its words
    assert all(b"RSET" not in line for line in commands[-3 * (COUNT - 2) :])


@pytest.mark.parametrize("kind", UNUSUAL)
def test_an_unusual_message_arrives_as_it_is(world: World, begun: list[Transaction], kind: str) -> None:
    content, envelope = UNUSUAL[kind]
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        for number in range(4):
            session.send(message(number), sender="ann@example.com", recipients=to(number).addresses)
        [receipt] = session.send_all([(content, envelope)])
        session.send(content, sender="ann@example.com", recipients=[*envelope.addresses], options=envelope.options)
        after = session.send(message(9), sender="ann@example.com", recipients=to(9).addresses)
    assert receipt and after and begun
    assert [one.content for one in server.messages[4:]] == [content, content, message(9)]


@pytest.mark.parametrize("refused", ["MAIL", "RCPT", "."])
@pytest.mark.parametrize("reply", ["550 5.7.1 No", "452 4.3.1 Later"])
def test_a_refusal_is_that_of_its_message(world: World, begun: list[Transaction], refused: str, reply: str) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, retry={"attempts": 1}) as session:
        for number in range(4):
            session.send(message(number), sender="ann@example.com", recipients=to(number).addresses)
        server.reply_to(refused, reply, times=1)
        with pytest.raises(SMTPError) as caught:
            session.send(message(4), sender="ann@example.com", recipients=to(4).addresses)
        assert caught.value.reply is not None and caught.value.reply.code == int(reply[:3])
        for number in (5, 6):
            session.send(message(number), sender="ann@example.com", recipients=to(number).addresses)
    assert stored(server) == [f"n{number}@example.org" for number in (0, 1, 2, 3, 5, 6)] and len(begun) > 2


def test_one_of_two_recipients_is_refused(world: World, begun: list[Transaction]) -> None:
    both = ["bob@example.org", "cleo@example.org"]
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        for number in range(4):
            assert session.send(message(number), sender="ann@example.com", recipients=both)
        server.refuse("cleo@example.org")
        receipt = session.send(message(4), sender="ann@example.com", recipients=both)
    assert receipt.status is Status.PARTIAL and len(begun) == 3
    assert [one.status for one in receipt.recipients] == [RecipientStatus.ACCEPTED, RecipientStatus.REFUSED]


@pytest.mark.parametrize("behind", ["MAIL", "RCPT"])
def test_a_reply_too_many_is_not_the_one_to_the_content(world: World, begun: list[Transaction], behind: str) -> None:
    usual = {"MAIL": "250 2.1.0 Sender ok", "RCPT": "250 2.1.5 Recipient ok"}[behind]
    with SMTPServer() as server, world.session(server.host, server.port, retry={"attempts": 1}) as session:
        for number in range(4):
            session.send(message(number), sender="ann@example.com", recipients=to(number).addresses)
        server.reply_to(behind, (usual, usual), times=1)
        server.reply_to(".", "550 5.7.1 No", times=1)
        try:
            receipt = session.send(message(4), sender="ann@example.com", recipients=to(4).addresses)
        except SMTPError as error:
            assert error.receipt is not None
            receipt = error.receipt
    assert receipt.status is not Status.SENT and len(begun) == 3
    assert f"{to(4).addresses[0]}" not in stored(server)


def test_a_connection_lost_behind_the_message_leaves_it_in_doubt(world: World, begun: list[Transaction]) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        for number in range(4):
            session.send(message(number), sender="ann@example.com", recipients=to(number).addresses)
        server.reply_to("STORED", CLOSE, times=1)
        with pytest.raises(OutcomeUnknown):
            session.send(message(4), sender="ann@example.com", recipients=to(4).addresses)
        assert session.send(message(5), sender="ann@example.com", recipients=to(5).addresses)
    assert stored(server) == [f"n{number}@example.org" for number in range(6)] and len(begun) == 4


def test_every_line_is_shown_to_who_listens(world: World, begun: list[Transaction]) -> None:
    lines: list[str] = []
    with (
        SMTPServer() as server,
        world.session(server.host, server.port, listeners=[lambda e: lines.append(str(e))]) as s,
    ):
        for number in range(4):
            s.send(message(number), sender="ann@example.com", recipients=to(number).addresses)
    assert not begun and sum("RCPT TO:<n3@example.org>" in line for line in lines) == 1


def test_messages_go_alone_behind_a_login(world: World, begun: list[Transaction], settled: list[bool]) -> None:
    login = {"username": "ann", "password": "s3cret-word"}
    with (
        SMTPServer(users={"ann": "s3cret-word"}) as server,
        world.session(server.host, server.port, **login) as session,
    ):
        for number in range(COUNT - 1):
            session.send(message(number), sender="ann@example.com", recipients=to(number).addresses)
        server.reply_to(".", "250 2.0.0 Queued s3cret-word", times=1)
        receipt = session.send(message(9), sender="ann@example.com", recipients=to(9).addresses)
    assert "s3cret-word" not in str(receipt.reply) and len(begun) == COUNT - 2 and sum(settled) == COUNT - 3


@pytest.mark.parametrize("is_refused", [False, True], ids=["all accepted", "one refused"])
def test_replies_that_come_one_by_one_count_each(
    world: World, begun: list[Transaction], monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    feed = Window._feed

    def feed_lines(self: Window, data: bytes, cause: OSError | None) -> None:
        for line in data.splitlines(keepends=True):
            feed(self, line, cause)

    with SMTPServer() as server, world.session(server.host, server.port) as session:
        for number in range(4):
            session.send(message(number), sender="ann@example.com", recipients=to(number).addresses)
        monkeypatch.setattr(Window, "_feed", feed_lines)
        if is_refused:
            server.reply_to("RCPT", "550 5.1.1 Nobody here", times=1)
        alone = len(begun)
        receipt = session.send(message(4), sender="ann@example.com", recipients=["a@example.org", "b@example.org"])
        after = session.send(message(5), sender="ann@example.com", recipients=to(5).addresses)
    assert len(begun) > alone and after
    assert receipt.status is (Status.PARTIAL if is_refused else Status.SENT)
    assert [list(one.recipients) for one in server.messages[4:]] == [
        ["b@example.org"] if is_refused else ["a@example.org", "b@example.org"], ["n5@example.org"],
    ]  # fmt: skip
