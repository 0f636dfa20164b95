"""A client of servers with quirks: what the receipts say is what the server stored, and nothing is stored twice.

Of each forty messages one has a recipient who is refused, and one a content that is refused: what follows a refusal is
where servers differ most.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest

import wlsmtp
from tests.worlds import Session, World
from wlsmtp import Envelope, PoolLimits, Receipt, RetryPolicy, Status
from wlsmtp.testing import CLOSE, QUIRKS, ReceivedMessage, SMTPServer
from wlsmtp.testing.conversation import Scripted, ServerSide

COUNT, SPAM, NOBODY = 40, 10, 20
AT_ONCE = RetryPolicy(backoff=0, jitter=0)
NUMBERS = {
    "max-recipients": 2,
    "max-recipients-451": 2,
    "max-connections": 2,
    "max-connections-432": 2,
    "max-errors": 1,
}
PLAYED = [f"{name}:{NUMBERS.get(name, 7)}" if quirk.takes_number else name for name, quirk in QUIRKS.items()]
FLOWS = {"pipelining": ["PIPELINING"], "chunking": ["PIPELINING", "CHUNKING"]}

HONEST = {
    "tests-newcomers": "a temporary refusal of a recipient says nothing of the connection",
    "idle-451": "in a window it cannot be told from any other temporary refusal; one by one, nothing fails (see below)",
    "two-replies-to-last-chunk": "a reply that answers nothing ends a connection, and each connection comes to that",
}
"""Where messages may fail, if the receipts say so, and why."""
DOUBTFUL = {
    "closes-silently": "what was sent whole and not answered may have arrived",
    "250-without-recipients": "replies are out of step, and nothing that is open can be known",
    "two-replies-to-last-chunk": "replies are out of step, and nothing that is open can be known",
}
"""Where messages may be unknown, and why."""


class Side(ServerSide):
    def _finish(self, content: bytes, via: str) -> None:
        if b"spam" in content:
            self._forget_transaction()
            self._say("554 5.7.1 Spam")
        else:
            super()._finish(content, via)


class Server(SMTPServer):
    """Refuses spam and one recipient, and notices a recipient that is offered again after a message was stored for
    it."""

    side = Side

    def __init__(self, **options: Any) -> None:
        self.stored: Counter[str] = Counter()
        self.offered_again: list[str] = []
        super().__init__(**options)
        self.refuse(address(NOBODY))

    def store(self, message: ReceivedMessage) -> int:
        for recipient in message.recipients:
            assert message.header("Subject") == recipient.partition("@")[0], "an envelope of another message"
            self.stored[recipient] += 1
        return super().store(message)

    def scripted_reply(self, stage: str) -> Scripted | None:
        recipient = stage.removeprefix("RCPT <").removesuffix(">").casefold()
        if self.stored[recipient]:
            self.offered_again.append(recipient)
        return super().scripted_reply(stage)


def address(number: int) -> str:
    return f"n{number}@example.org"


def item(number: int) -> tuple[bytes, Envelope]:
    text = "spam" if number == SPAM else "x"
    return f"Subject: n{number}\r\n\r\n{text}\r\n".encode(), Envelope("ann@example.com", [address(number)])


def check(server: Server, receipts: Iterable[Receipt], quirk: str) -> None:
    """Hold the receipts against what the server stored."""
    name = quirk.partition(":")[0]
    told = {receipt.recipients[0].address: receipt for receipt in receipts}
    assert len(told) == COUNT
    for recipient, receipt in told.items():
        allowed = {Status.SENT: (1,), Status.UNKNOWN: (0, 1)}.get(receipt.status, (0,))
        assert server.stored[recipient] in allowed, f"stored {server.stored[recipient]} times: {receipt}"
    assert server.offered_again == []
    unknown = {who: str(receipt.error) for who, receipt in told.items() if receipt.status is Status.UNKNOWN}
    failed = {who: str(receipt.error) for who, receipt in told.items() if receipt.status is Status.ERROR}
    assert unknown == {} or name in DOUBTFUL
    assert {address(SPAM), address(NOBODY)} <= failed.keys() | unknown.keys()
    if name not in HONEST:
        assert len(failed) <= 2, failed


def server_with(quirk: str, flow: str, **options: Any) -> Server:
    return Server(quirks=[quirk], extensions=["8BITMIME", *FLOWS[flow]], **options)


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("quirk", PLAYED)
class TestFortyMessages:
    def test_in_one_stream(self, world: World, quirk: str, flow: str) -> None:
        with (
            server_with(quirk, flow) as server,
            world.session(server.host, server.port, retry=AT_ONCE, timeout=3) as session,
        ):
            check(server, list(session.send_many(item(number) for number in range(COUNT))), quirk)
            assert goes_on(session, quirk)

    def test_of_many_senders_who_share_a_session(self, world: World, quirk: str, flow: str) -> None:
        with (
            server_with(quirk, flow) as server,
            world.session(server.host, server.port, retry=AT_ONCE, timeout=3) as session,
        ):
            calls = [partial(session.face.send, item(number)[0], **envelope(number)) for number in range(COUNT)]
            check(server, map(receipt_of, world.together(*((None, call) for call in calls))), quirk)
            assert goes_on(session, quirk)


def goes_on(session: Session, quirk: str) -> bool:
    """Whether the session still sends. Where messages may be unknown, the next one may as well."""
    name = quirk.partition(":")[0]
    try:
        return name in HONEST or bool(session.send(b"Subject: n99\r\n\r\nx\r\n", **envelope(99)))
    except wlsmtp.OutcomeUnknown:
        return name in DOUBTFUL


def envelope(number: int) -> dict[str, Any]:
    return {"sender": "ann@example.com", "recipients": address(number)}


def receipt_of(result: Any) -> Receipt:
    if isinstance(result, wlsmtp.SMTPError):
        assert result.receipt is not None, result
        return result.receipt
    assert isinstance(result, Receipt), result
    return result


@pytest.mark.parametrize("quirk", ["unread-chunk", "bdat-unknown", "250-without-recipients"])
def test_a_body_never_becomes_commands(world: World, quirk: str) -> None:
    forged = b"Subject: n1\r\n\r\nwire the money\r\n"
    commands = b"RSET\r\nMAIL FROM:<boss@example.com>\r\nRCPT TO:<n1@example.org>\r\nBDAT %d LAST\r\n%b"
    body = b"Subject: n20\r\n\r\n" + commands % (len(forged), forged)
    with server_with(quirk, "chunking") as server, world.session(server.host, server.port, retry=AT_ONCE) as session:
        assert session.send(b"Subject: n99\r\n\r\nx\r\n", **envelope(99))
        with pytest.raises(wlsmtp.SMTPError):
            session.send(body, **envelope(NOBODY))
    assert [message.sender for message in server.messages if message.recipients] == ["ann@example.com"]


@pytest.mark.parametrize("quirk", ["refused-login-451", "refused-login-454"])
def test_a_refused_login_is_one_whatever_its_code(world: World, quirk: str) -> None:
    with Server(quirks=[quirk], users={"ann": "s3cret"}, mechanisms=["PLAIN"]) as server:
        session = world.session(server.host, server.port, username="ann", password="wrong", retry=AT_ONCE)
        for _ in range(2):
            with pytest.raises(wlsmtp.AuthenticationFailed):
                session.send(b"Subject: n1\r\n\r\nx\r\n", **envelope(1))
        session.close()
    wrong = base64.b64encode(b"\0ann\0wrong")
    assert sum(wrong in line for _, who, line in server.transcript if who == "C") == 1


@pytest.mark.parametrize("quirk", ["no-noop", "idle-421", "silent-quit", "bare-codes", "many-lines", "lone-lf"])
def test_a_server_is_verified_all_the_same(world: World, quirk: str) -> None:
    with server_with(quirk, "pipelining") as server, world.session(server.host, server.port) as session:
        assert session.verify() and session.verify()
        assert session.send(b"Subject: n1\r\n\r\nx\r\n", **envelope(1))
        assert session.verify()


@pytest.mark.parametrize("quirk", ["idle-451", "idle-421", "max-messages:1", "max-messages-close:1"])
@pytest.mark.parametrize("flow", FLOWS)
def test_one_by_one_each_message_gets_the_connection_that_it_needs(world: World, quirk: str, flow: str) -> None:
    with server_with(quirk, flow) as server, world.session(server.host, server.port, retry=AT_ONCE) as session:
        receipts = [session.send(item(number)[0], **envelope(number)) for number in range(SPAM)]
    assert all(receipts) and [receipt.attempts for receipt in receipts] == [1] * SPAM
    mails = [line for _, who, line in server.transcript if who == "C" and line.startswith(b"MAIL")]
    assert len(server.messages) == SPAM and len(mails) <= 2 * SPAM


@pytest.mark.parametrize("code", [421, 450, 554])
def test_a_refused_connection_beside_others_costs_no_message(world: World, code: int) -> None:
    """Some servers refuse for good what is one connection too many."""
    pool = PoolLimits(max_connections=4)
    with (
        Server(extensions=["8BITMIME"]) as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=1), pool=pool) as session,
    ):
        assert session.send(b"Subject: n99\r\n\r\nx\r\n", **envelope(99))
        server.reply_to("CONNECT", (f"{code} 5.7.1 No", CLOSE))
        calls = [partial(session.face.send, item(number)[0], **envelope(number)) for number in range(SPAM)]
        receipts = list(map(receipt_of, world.together(*((None, call) for call in calls))))
        assert {receipt.status for receipt in receipts} == {Status.SENT}, receipts
        assert server.connections > 1


def test_what_is_excused_is_a_quirk() -> None:
    assert {*HONEST, *DOUBTFUL, *NUMBERS} <= set(QUIRKS)
