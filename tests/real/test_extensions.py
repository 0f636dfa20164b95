"""Delivery options against a real Postfix: the reports that it sends are the proof of what it understood."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

import wlsmtp
from tests.real.postfix import PostfixServer
from tests.worlds import World
from wlsmtp import DSN, TLS, DeliverBy, DeliveryOptions, Message, RecipientDSN


def report_in(stored: bytes) -> tuple[dict[str, str], list[dict[str, str]], str]:
    """A report's fields for the message, those for each recipient, and the type of what it returns (RFC 3464)."""
    report = message_from_bytes(stored, policy=policy.default)
    assert report.get_content_type() == "multipart/report"
    _text, status, returned = list(report.iter_parts())
    groups = [{name: str(value) for name, value in part.items()} for part in status.get_payload()]  # type: ignore[union-attr]
    return groups[0], groups[1:], returned.get_content_type()


def test_a_report_of_success_says_what_was_asked_for(world: World, postfix: PostfixServer) -> None:
    sender, reported, silent = (postfix.mailbox() for _ in range(3))
    options = DeliveryOptions(
        dsn=DSN(
            notify="success", ret="headers", envid="order 7+1=8",
            recipients=[
                RecipientDSN(address=reported, original="team+x@example.test"),
                RecipientDSN(address=silent, notify="never"),
            ],
        )
    )  # fmt: skip
    with world.session(postfix.host, postfix.plain_port) as session:
        receipt = session.send(Message(sender=sender, to=[reported, silent], text="a secret body"), options=options)
    assert receipt and "DSN" in (session.capabilities or ())
    (stored,) = postfix.wait_for_message(sender)
    message, recipients, returned = report_in(stored)
    assert message["Original-Envelope-Id"] == "order 7+1=8"
    assert [(group["Final-Recipient"], group["Action"]) for group in recipients] == [
        (f"rfc822; {reported}", "delivered")
    ]
    assert recipients[0]["Original-Recipient"] == "rfc822;team+x@example.test"
    assert b"a secret body" not in stored and "rfc822-headers" in returned
    assert len(postfix.wait_for_message(silent)) == 1


def test_without_options_there_is_no_report(world: World, postfix: PostfixServer) -> None:
    sender, recipient, asked = (postfix.mailbox() for _ in range(3))
    with world.session(postfix.host, postfix.plain_port, options=DeliveryOptions(dsn=DSN(notify="success"))) as session:
        session.send(Message(sender=sender, to=recipient, text="x"), options=DeliveryOptions())
        session.send(Message(sender=sender, to=asked, text="x"))
    (stored,) = postfix.wait_for_message(sender)
    assert asked.encode() in stored and recipient.encode() not in stored


def test_the_submitter_is_accepted(world: World, postfix: PostfixServer, mailbox: str) -> None:
    login = {"username": postfix.username, "password": postfix.password, "tls": TLS(ca_file=postfix.ca_file)}
    with world.session(postfix.host, postfix.submission_port, security="tls", **login) as session:
        for submitter in ("e+mc2@example.test", ""):
            assert session.send(
                Message(sender=postfix.username, to=mailbox, text="x"), options=DeliveryOptions(submitter=submitter)
            )
    assert len(postfix.wait_for_message(mailbox, count=2)) == 2


@pytest.mark.parametrize(
    "options",
    [
        DeliveryOptions(deliver_by=DeliverBy(within=60)),
        DeliveryOptions(priority=3),
        DeliveryOptions(hold_for=60),
        DeliveryOptions(submitter=""),
        DeliveryOptions(require_tls=True),
    ],
    ids=str,
)
def test_what_postfix_has_not_is_refused_and_the_session_goes_on(
    options: DeliveryOptions, world: World, postfix: PostfixServer, mailbox: str
) -> None:
    with world.session(postfix.host, postfix.plain_port) as session:
        with pytest.raises(wlsmtp.ExtensionMissing):
            session.send(Message(sender="ann@example.test", to=mailbox, text="refused"), options=options)
        assert session.send(Message(sender="ann@example.test", to=mailbox, text="sent"))
    (stored,) = postfix.wait_for_message(mailbox)
    assert b"sent" in stored
