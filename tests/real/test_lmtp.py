"""LMTP to a real Dovecot: one answer for each recipient after the content, over a unix socket and over TCP."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path

import pytest

import wlsmtp
from tests.real.lmtp import LMTPServer, what_is_missing
from tests.worlds import Session, World
from wlsmtp import Envelope, Message, RecipientStatus, RetryPolicy, Status, Transport
from wlsmtp.testing.transport_contract import BOB, CLEO, ODD_ADDRESSES, TransportContract
from wlsmtp.transports.memory import StoredMessage

ANN = "ann@example.com"


@contextmanager
def running(*, takes_any: bool = False) -> Iterator[LMTPServer]:
    if (reason := what_is_missing()) is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    server = LMTPServer(takes_any=takes_any)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[LMTPServer]:
    with running() as server:
        yield server


@pytest.fixture(params=["unix", "tcp"])
def session(request: pytest.FixtureRequest, world: World, server: LMTPServer) -> Iterator[Session]:
    url = f"lmtp+unix://{server.socket}" if request.param == "unix" else f"lmtp://127.0.0.1:{server.port}"
    with world.from_url(url, retry=RetryPolicy(attempts=1)) as session:
        yield session


def test_a_message_lies_in_each_mailbox_when_send_returns(session: Session, server: LMTPServer) -> None:
    boxes = [server.mailbox(), server.mailbox()]
    receipt = session.send(Message(sender=ANN, to=boxes, subject="Grüße", text=".\nHällo\n"))
    assert receipt.status is Status.SENT
    assert [result.address for result in receipt.accepted] == boxes
    for box, result in zip(boxes, receipt.recipients, strict=True):
        (stored,) = server.messages(box)
        email = message_from_bytes(stored, policy=policy.default)
        assert email["Subject"] == "Grüße" and email.get_content().splitlines() == [".", "Hällo"]
        # Dovecot answers for each with its name, and an identifier of its own.
        assert result.reply is not None and box in result.reply.text and "Saved" in result.reply.text
    assert {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"} <= set(session.verify().capabilities)


def test_one_good_and_one_unknown_recipient_make_a_partial_receipt(session: Session, server: LMTPServer) -> None:
    good = server.mailbox()
    receipt = session.send(Message(sender=ANN, to=[server.unknown, good], text="x"))
    assert receipt.status is Status.PARTIAL
    unknown, accepted = receipt.recipients
    assert accepted.status is RecipientStatus.ACCEPTED and accepted.address == good
    assert unknown.status is RecipientStatus.REFUSED and unknown.is_permanent
    assert unknown.reply is not None and str(unknown.reply.enhanced) == "5.1.1"
    assert isinstance(receipt.error, wlsmtp.RecipientsRefused)
    assert len(server.messages(good)) == 1


def test_a_full_mailbox_is_told_after_the_content_and_hinders_nobody(session: Session, server: LMTPServer) -> None:
    first, last = server.mailbox(), server.mailbox()
    receipt = session.send(Message(sender=ANN, to=[first, server.full, server.unknown, last], text="x" * 100))
    assert [result.status for result in receipt.recipients] == [
        RecipientStatus.ACCEPTED, RecipientStatus.REFUSED, RecipientStatus.REFUSED, RecipientStatus.ACCEPTED,
    ]  # fmt: skip
    full = receipt.recipients[1]
    assert full.reply is not None and str(full.reply.enhanced) == "5.2.2"
    assert [len(server.messages(box)) for box in (first, last, server.full)] == [1, 1, 0]


def test_when_nobody_gets_it_that_is_an_error(session: Session, server: LMTPServer) -> None:
    with pytest.raises(wlsmtp.RecipientsRefused) as caught:
        session.send(Message(sender=ANN, to=[server.full], text="x" * 100))
    assert caught.value.receipt is not None and caught.value.receipt.status is Status.ERROR


def test_many_messages_go_over_one_connection(session: Session, server: LMTPServer) -> None:
    boxes = [server.mailbox() for _ in range(3)]
    message = Message(sender=ANN, to=boxes[0], text="x")
    items = [(message, Envelope(ANN, [boxes[number % 3], server.full])) for number in range(30)]
    receipts = list(session.send_many(items))
    assert {receipt.status for receipt in receipts} == {Status.PARTIAL}
    assert [len(server.messages(box)) for box in boxes] == [10, 10, 10]
    assert session.face.statistics().connections_opened == 1


def test_ten_megabytes_arrive_whole(session: Session, server: LMTPServer) -> None:
    box = server.mailbox()
    raw = b"Subject: large\r\n\r\n" + (b"." * 70 + b"\r\n") * 150_000
    assert session.send(raw, sender=ANN, recipients=box)
    (stored,) = server.messages(box)
    assert stored.replace(b"\r\n", b"\n").endswith(raw.replace(b"\r\n", b"\n"))


def test_mail_is_routed_to_it_by_domain(world: World, server: LMTPServer) -> None:
    box = server.mailbox()
    url = f"by_domain(example.test=lmtp+unix://{server.socket}, *=memory:)"
    with world.from_url(url) as session:
        receipt = session.send(Message(sender=ANN, to=[box, server.unknown, "cleo@example.net"], text="x"))
    assert [result.status for result in receipt.recipients] == [
        RecipientStatus.ACCEPTED, RecipientStatus.REFUSED, RecipientStatus.ACCEPTED,
    ]  # fmt: skip
    assert len(server.messages(box)) == 1


@pytest.fixture(scope="module")
def any_server() -> Iterator[LMTPServer]:
    with running(takes_any=True) as server:
        yield server


class TestContract(TransportContract):
    @pytest.fixture(autouse=True)
    def fresh(self, any_server: LMTPServer) -> None:
        self.server = any_server
        self.server.forget_everything()

    def make(self, directory: Path) -> Transport | str:
        return f"lmtp+unix://{self.server.socket}"

    def make_failing(self, directory: Path) -> Transport | str:
        return f"lmtp+unix://{directory}/nobody-listens"

    def delivered(self, transport: Transport, directory: Path) -> Sequence[StoredMessage]:
        """Each mailbox has a copy of its own, with the server's trace above it: put together what was one message."""
        recipients: dict[tuple[str, bytes], list[str]] = {}
        for address in (ANN, BOB, CLEO, *ODD_ADDRESSES):
            for stored in self.server.messages_of_any(address):
                lines = stored.replace(b"\r\n", b"\n").split(b"\n")
                sender = lines[0].decode().removeprefix("Return-Path: <").removesuffix(">")
                start = next(number for number, line in enumerate(lines) if not _is_trace(line))
                recipients.setdefault((sender, b"\r\n".join(lines[start:])), []).append(address)
        return [StoredMessage(sender, tuple(names), content) for (sender, content), names in recipients.items()]


def _is_trace(line: bytes) -> bool:
    return line.startswith((b"\t", b"Received:", b"Return-Path:", b"Delivered-To:"))
