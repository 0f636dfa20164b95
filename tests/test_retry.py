"""Only what is certainly not sent is tried again, only for those not served, and only as often as allowed."""

from __future__ import annotations

import errno
import random

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, PoolLimits, Receipt, RetryPolicy, Status
from wlsmtp.events import Event, Retrying
from wlsmtp.testing import ScriptedPeer, SMTPServer

AT_ONCE = RetryPolicy(attempts=3, backoff=0, jitter=0)
MESSAGE = Message(sender="ann@example.com", to=["a@example.com", "b@example.com"], text="x")


def test_it_ends_after_the_allowed_tries(world: World) -> None:
    events: list[Event] = []
    with SMTPServer() as server:
        server.reply_to("MAIL", "451 4.3.0 Later")
        with (
            world.session(server.host, server.port, retry=AT_ONCE, listeners=(events.append,)) as session,
            pytest.raises(wlsmtp.SenderRefused) as caught,
        ):
            session.send(MESSAGE)
    assert caught.value.receipt is not None and caught.value.receipt.attempts == 3
    assert [event.attempt for event in events if isinstance(event, Retrying)] == [2, 3]


def test_what_failed_is_tried_again_and_told_although_no_file_can_be_opened_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tenacity is not loaded before something has failed."""

    def cannot_be_loaded(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("wlsmtp.retry._state", cannot_be_loaded)
    with SMTPServer() as server, world.session(server.host, server.port, retry=AT_ONCE) as session:
        server.reply_to("MAIL", "451 4.3.0 Later", 5)
        with pytest.raises(wlsmtp.SenderRefused) as caught:
            session.send(MESSAGE)
        assert caught.value.receipt is not None and caught.value.receipt.attempts == 3
        assert [receipt.attempts for receipt in session.send_many([MESSAGE])] == [3]


def test_it_ends_when_the_next_try_would_come_too_late(world: World) -> None:
    with SMTPServer() as server:
        server.reply_to("MAIL", "451 4.3.0 Later")
        patient = RetryPolicy(attempts=3, backoff=3600, max_backoff=3600)
        with (
            world.session(server.host, server.port, retry=patient) as session,
            pytest.raises(wlsmtp.SenderRefused) as caught,
        ):
            session.send(MESSAGE, timeout=5)
    assert caught.value.receipt is not None and caught.value.receipt.attempts == 1


def test_a_permanent_refusal_of_one_does_not_spoil_the_retry_of_the_other(world: World) -> None:
    with SMTPServer() as server:
        server.refuse("a@example.com", "550 5.1.1 Unknown")
        server.reply_to(".", "451 4.3.0 Later", times=2)
        with world.session(server.host, server.port, retry=AT_ONCE) as session:
            receipt = session.send(MESSAGE)
        rcpts = [line for _, _, line in server.transcript if line.startswith(b"RCPT")]
    assert receipt.status is Status.PARTIAL and receipt.attempts == 3
    assert [result.address for result in receipt.refused] == ["a@example.com"]
    assert rcpts.count(b"RCPT TO:<a@example.com>") == 1 and rcpts.count(b"RCPT TO:<b@example.com>") == 3


@pytest.mark.parametrize("many", [False, True], ids=["send", "send_many"])
def test_all_or_nothing_is_tried_again_for_all_or_not_at_all(world: World, many: bool) -> None:
    with SMTPServer() as server:
        server.reply_to("RCPT", "450 4.2.0 Later", times=1)
        options = {"retry": AT_ONCE, "partial": "abort"}
        with world.session(server.host, server.port, **options) as session:
            (receipt,) = session.send_many([MESSAGE]) if many else (session.send(MESSAGE),)
            assert receipt.status is Status.SENT and receipt.attempts == 2
            server.refuse("b@example.com", "550 5.1.1 Unknown")
            server.reply_to("RCPT", "450 4.2.0 Later", times=1)
            with pytest.raises(wlsmtp.RecipientsRefused):
                (receipt,) = session.send_many([MESSAGE]) if many else (session.send(MESSAGE),)
                raise receipt.error or AssertionError
    assert [message.recipients for message in server.messages] == [("a@example.com", "b@example.com")]


@pytest.mark.parametrize(("resend", "stored"), [(False, 1), (True, 2)])
def test_what_is_in_doubt_is_sent_again_only_on_request(world: World, resend: bool, stored: int) -> None:
    policy = RetryPolicy(attempts=2, backoff=0, jitter=0, resend_unknown=resend)
    with SMTPServer() as server, world.session(server.host, server.port, retry=policy) as session:
        server.reply_to(".", server.CLOSE, times=1)
        if resend:
            assert session.send(MESSAGE).attempts == 2
        else:
            with pytest.raises(wlsmtp.OutcomeUnknown):
                session.send(MESSAGE)
        contents = [line for _, _, line in server.transcript if line == b"DATA"]
    assert len(contents) == stored


def test_a_doubt_is_not_dispelled_by_a_refusal_of_the_next_try(world: World) -> None:
    policy = RetryPolicy(attempts=3, backoff=0, jitter=0, resend_unknown=True)
    with SMTPServer() as server, world.session(server.host, server.port, retry=policy) as session:
        server.reply_to(".", server.CLOSE, times=1)
        server.reply_to(".", "554 5.6.0 No", times=1)
        with pytest.raises(wlsmtp.OutcomeUnknown) as caught:
            session.send(MESSAGE)
    receipt = caught.value.receipt
    assert receipt is not None and receipt.status is Status.UNKNOWN and receipt.attempts == 2
    assert [str(result.reply) for result in receipt.unknown] == ["554 5.6.0 No"] * 2


def test_who_was_served_later_leaves_the_others_in_doubt(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, retry=AT_ONCE) as session:
        server.reply_to("RCPT", "450 4.2.1 Later", times=1)
        server.reply_to(".", server.CLOSE, times=1)
        receipt = session.send(MESSAGE)
    assert receipt.status is Status.PARTIAL and receipt.error is not None and receipt.error.ambiguous
    assert [result.address for result in receipt.unknown] == ["b@example.com"]
    assert [result.address for result in receipt.accepted] == ["a@example.com"]


def test_a_doubt_that_is_dispelled_leaves_the_refusal_of_another(world: World) -> None:
    policy = RetryPolicy(attempts=3, backoff=0, jitter=0, resend_unknown=True)
    with SMTPServer() as server, world.session(server.host, server.port, retry=policy) as session:
        server.refuse("a@example.com", "550 5.1.1 Unknown")
        server.reply_to(".", server.CLOSE, times=1)
        receipt = session.send(MESSAGE)
    assert receipt.status is Status.PARTIAL and isinstance(receipt.error, wlsmtp.RecipientsRefused)
    assert str(receipt.error.reply) == "550 5.1.1 Unknown"


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_a_strange_refusal_of_one_brings_the_message_to_the_other_only_once(
    world: World, extensions: tuple[str, ...]
) -> None:
    with SMTPServer(extensions=extensions) as server, world.session(server.host, server.port, retry=AT_ONCE) as session:
        server.refuse("a@example.com", "500 5.5.2 What")
        receipt = session.send(MESSAGE)
        [also] = session.send_many([MESSAGE])
    assert [result.address for result in (*receipt.accepted, *also.accepted)] == ["b@example.com"] * 2
    assert [message.recipients for message in server.messages] == [("b@example.com",)] * 2


def test_a_server_that_goes_on_after_421_is_believed_no_farewell(world: World) -> None:
    dialogue = """
        S: 220 x
        C: EHLO *
        S: 250-x
        S: 250 PIPELINING
        C: MAIL *
        C: RCPT *
        C: RCPT *
        C: DATA
        S: 250 Ok
        S: 421 4.7.0 Not this one
        S: 250 Ok
        S: 354 Go ahead
        !content
        !close
    """
    once = RetryPolicy(attempts=1)
    with ScriptedPeer(dialogue) as peer, world.session("127.0.0.1", peer.port, retry=once) as session:
        [receipt] = session.send_many([MESSAGE])
    assert [result.address for result in receipt.unknown] == ["b@example.com"]
    assert [result.address for result in receipt.refused] == ["a@example.com"]


def test_a_stream_that_has_to_end_leaves_nobody_without_a_receipt(world: World) -> None:
    first, second = (Message(sender="ann@example.com", to=f"{name}@example.com", text="x") for name in "ab")
    with SMTPServer() as server:
        server.reply_to("CONNECT", "220 Welcome", times=1)
        server.reply_to("CONNECT", "554 5.3.2 No more")
        server.refuse("a@example.com", "450 4.2.1 Later")
        receipts: list[Receipt] = []
        limits = PoolLimits(max_messages=2)
        with (
            world.session(server.host, server.port, retry=AT_ONCE, pool=limits) as session,
            pytest.raises(wlsmtp.CommandRefused),
        ):
            receipts.extend(session.send_many([first, second, first]))
    assert [receipt.message_id for receipt in receipts] == [mail.message_id for mail in (first, second, first)]
    assert [receipt.status for receipt in receipts] == [Status.ERROR, Status.SENT, Status.ERROR]


@pytest.mark.parametrize(("named", "pauses"), [("3 seconds", [3.0, 3.0]), ("10 minutes", [])], ids=["near", "far"])
def test_the_time_that_the_server_names_is_obeyed(
    world: World, named: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time beyond ``max_backoff`` ends the tries: to come back earlier would be refused again."""
    slept: list[float] = []

    async def sleep(self: object, seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("wlsmtp.io.blocking.BlockingIO.sleep", sleep)
    monkeypatch.setattr("wlsmtp.io.aio.AsyncioIO.sleep", sleep)
    with SMTPServer() as server:
        server.reply_to("RCPT", f"450 4.7.1 Greylisted, try again in {named}")
        with (
            world.session(server.host, server.port, retry=AT_ONCE) as session,
            pytest.raises(wlsmtp.RecipientsRefused) as caught,
        ):
            session.send(MESSAGE)
    assert slept == pauses and caught.value.retry_after


def test_a_pause_takes_no_random_number_of_the_program(world: World) -> None:
    policy = RetryPolicy(attempts=2, backoff=0, jitter=0.001)
    with SMTPServer() as server, world.session(server.host, server.port, retry=policy) as session:
        server.reply_to("MAIL", "451 4.3.0 Later", 1)
        before = random.getstate()
        receipt = session.send(b"Subject: hello\r\n\r\n", sender="ann@example.com", recipients="bob@example.org")
        assert receipt.attempts == 2 and random.getstate() == before
