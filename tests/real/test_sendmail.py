"""Postfix's own sendmail program: what it accepts arrives, and what it refuses is reported."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import wlsmtp
from tests.real import find_program, poll
from tests.real.postfix import SIZE_LIMIT, PostfixServer
from tests.real.test_session import BODIES, as_sent
from tests.worlds import Session, World
from wlsmtp import Message, RetryPolicy, Status
from wlsmtp.testing.transport_contract import BreakingOff
from wlsmtp.transports import SendmailTransport

HEAD = b"X-Begin: 1\r\nFrom: ann@example.test\r\nMessage-ID: <1@example.test>\r\nDate: now\r\nTo: x@y\r\n\r\n"


def sendmail(postfix: PostfixServer) -> SendmailTransport:
    return SendmailTransport(find_program("sendmail") or "sendmail", postfix.sendmail_arguments)


@pytest.fixture
def session(world: World, postfix: PostfixServer) -> Iterator[Session]:
    with world.session(transport=sendmail(postfix), retry=RetryPolicy(attempts=1)) as session:
        yield session


@pytest.mark.parametrize("body", BODIES)
def test_content_arrives_byte_for_byte(body: str, session: Session, postfix: PostfixServer, mailbox: str) -> None:
    text = BODIES[body] * (160_000 if body == "10 MB" else 1)
    assert session.send(HEAD + text, sender="ann@example.test", recipients=mailbox).status is Status.SENT
    (stored,) = postfix.wait_for_message(mailbox)
    assert as_sent(stored) == HEAD + text
    assert stored.startswith(b"Return-Path: <ann@example.test>\n")


def test_all_recipients_get_it_and_the_header_names_none(session: Session, postfix: PostfixServer) -> None:
    boxes = [postfix.mailbox() for _ in range(3)]
    receipt = session.send(Message(sender="ann@example.test", to=boxes[0], bcc=boxes[1:], text="x"))
    assert [result.address for result in receipt.accepted] == boxes
    for box in boxes:
        (stored,) = postfix.wait_for_message(box)
        assert b"\nbcc:" not in b"\n" + stored.lower()


def test_the_null_sender_and_odd_addresses_stay_what_they_are(session: Session, postfix: PostfixServer) -> None:
    quoted = '"a {}"@{}'.format(*postfix.mailbox().split("@"))
    piped, dashed = f"|cat`id`{postfix.mailbox()}", f"-C{postfix.mailbox()}"
    assert session.send(HEAD, sender="", recipients=[quoted, piped, dashed])
    for box in (quoted, piped):
        (stored,) = postfix.wait_for_message(box)
        assert stored.startswith(b"Return-Path: <>\n")
    # Postfix takes it for the address that it is, and delivers to none that looks like an option.
    assert poll(lambda: f"to=<{dashed}>" in postfix.log(), 20)


def test_what_is_too_large_for_the_queue_is_told(session: Session) -> None:
    with pytest.raises(wlsmtp.ContentRefused, match="message file too big") as caught:
        session.send(HEAD + b"0123456789abcdef\r\n" * (SIZE_LIMIT // 16), recipients="x@example.test", sender="")
    assert caught.value.reply is not None and caught.value.reply.code == 450


def test_wrong_use_is_told(world: World, postfix: PostfixServer) -> None:
    transport = SendmailTransport(find_program("sendmail") or "sendmail", [*postfix.sendmail_arguments, "-bX"])
    with (
        world.session(transport=transport, retry=RetryPolicy(attempts=1)) as session,
        pytest.raises(wlsmtp.ContentRefused, match=r"status 75.*unsupported: -bX"),
    ):
        session.send(HEAD, sender="", recipients="x@example.test")


def test_a_message_that_breaks_off_is_not_queued(world: World, postfix: PostfixServer) -> None:
    broken, whole = postfix.mailbox(), postfix.mailbox()
    with (
        world.session(transport=BreakingOff(sendmail(postfix))) as session,
        pytest.raises(wlsmtp.MessageError, match="has changed"),
    ):
        session.send(HEAD + BODIES["long lines"] * 100, sender="", recipients=broken)
    with world.session(transport=sendmail(postfix)) as session:
        assert session.send(HEAD, sender="", recipients=whole)
    # What was queued before would be here before.
    postfix.wait_for_message(whole)
    assert postfix.messages(broken) == []


def test_it_can_be_one_of_several(world: World, postfix: PostfixServer, mailbox: str) -> None:
    words = "&".join(f"argument={word}" for word in postfix.sendmail_arguments)
    url = f"failover(smtp://127.0.0.1:1, sendmail://{find_program('sendmail')}?{words})"
    with world.from_url(url) as session:
        assert session.send(Message(sender="ann@example.test", to=mailbox, text="x"))
    assert postfix.wait_for_message(mailbox)
