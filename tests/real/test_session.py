"""Sessions against a real Postfix, with SASL through a real Dovecot: what lies in the Maildir is what was sent."""

from __future__ import annotations

import json
import subprocess
import sys
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import wlsmtp
from tests.real.postfix import PostfixServer
from tests.worlds import Session, World
from wlsmtp import Message, RetryPolicy, Status

NO_RETRY = RetryPolicy(attempts=1)


def as_sent(stored: bytes) -> bytes:
    """A stored message without the trace headers of the server, and with the line ends of the wire."""
    lines = stored.replace(b"\r\n", b"\n").split(b"\n")
    start = next(number for number, line in enumerate(lines) if line.startswith(b"X-Begin:"))
    return b"\r\n".join(lines[start:])


def session_for(kind: str, world: World, postfix: PostfixServer, **options: Any) -> Session:
    secured = {
        "username": postfix.username, "password": postfix.password, "tls": wlsmtp.TLS(ca_file=postfix.ca_file),
    }  # fmt: skip
    settings: dict[str, dict[str, Any]] = {
        "plain": {"port": postfix.plain_port},
        "starttls": {"port": postfix.submission_port, "security": "tls", **secured},
        "implicit": {"port": postfix.smtps_port, "security": "ssl", **secured},
    }
    return world.session("localhost", **{"retry": NO_RETRY, **settings[kind], **options})


@pytest.mark.parametrize("kind", ["plain", "starttls", "implicit"])
def test_delivers_into_the_maildir(kind: str, world: World, postfix: PostfixServer, mailbox: str) -> None:
    message = Message(
        sender="ann@example.test", to=mailbox, subject="Grüße", text="Hällo\n.\n..", html="<p>Hi</p>",
        attachments=[wlsmtp.Attachment.from_bytes(b"\x00\xff" * 100, "däta.bin")],
    )  # fmt: skip
    with session_for(kind, world, postfix) as session:
        info = session.verify()
        receipt = session.send(message)
    assert receipt.status is Status.SENT and receipt.queue_id
    assert {"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE"} <= set(info.capabilities)
    assert (info.tls is not None) is (kind != "plain") and (info.username is not None) is (kind != "plain")
    (stored,) = postfix.wait_for_message(mailbox)
    assert receipt.queue_id.encode() in stored
    email = message_from_bytes(stored, policy=policy.default)
    body = email.get_body(("plain",))
    assert email["Subject"] == "Grüße" and body is not None and body.get_content() == "Hällo\n.\n..\n"
    (attachment,) = email.iter_attachments()
    assert attachment.get_filename() == "däta.bin" and attachment.get_content() == b"\x00\xff" * 100


BODIES = {
    "dots at line starts": b".\r\n..\r\n.a\r\n\r\n.\r\nend\r\n",
    "long lines": b"x" * 990 + b"\r\n" + b"." + b"y" * 900 + b"\r\n",
    "UTF-8": "Füße 你好 🎈\r\n".encode() * 50,
    "empty": b"",
    "one dot": b".\r\n",
    "10 MB": b"0123456789abcdef" * 4 + b"\r\n",
}


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "one by one"])
@pytest.mark.parametrize("body", BODIES)
def test_content_arrives_byte_for_byte(
    body: str, pipelining: bool, world: World, postfix: PostfixServer, mailbox: str
) -> None:
    text = BODIES[body] * (160_000 if body == "10 MB" else 1)
    raw = b"X-Begin: 1\r\nFrom: ann@example.test\r\nMessage-ID: <1@example.test>\r\nDate: now\r\nTo: x@y\r\n\r\n" + text
    with session_for("plain", world, postfix, pipelining=pipelining) as session:
        session.send(raw, sender="ann@example.test", recipients=mailbox)
    (stored,) = postfix.wait_for_message(mailbox)
    assert as_sent(stored) == raw


def test_a_missing_final_newline_is_added(world: World, postfix: PostfixServer, mailbox: str) -> None:
    raw = b"X-Begin: 1\r\nFrom: ann@example.test\r\nMessage-ID: <1@example.test>\r\nDate: now\r\n\r\nno newline"
    with session_for("plain", world, postfix) as session:
        session.send(raw, recipients=mailbox)
    (stored,) = postfix.wait_for_message(mailbox)
    assert as_sent(stored) == raw + b"\r\n"


def test_a_large_attachment_arrives_whole(world: World, postfix: PostfixServer, mailbox: str) -> None:
    data = bytes(range(256)) * 40_960
    file = wlsmtp.Attachment.from_bytes(data, "large.bin")
    with session_for("starttls", world, postfix) as session:
        session.send(Message(sender="ann@example.test", to=mailbox, subject="10 MB", text="x", attachments=[file]))
    (stored,) = postfix.wait_for_message(mailbox)
    (attachment,) = message_from_bytes(stored, policy=policy.default).iter_attachments()
    assert attachment.get_content() == data


def test_an_unknown_recipient_is_refused_and_the_other_served(world: World, postfix: PostfixServer) -> None:
    known, unknown = postfix.mailbox(), postfix.unknown_mailbox()
    with session_for("plain", world, postfix) as session:
        receipt = session.send(Message(sender="ann@example.test", to=[unknown, known], text="x"))
        with pytest.raises(wlsmtp.RecipientsRefused):
            session.send(Message(sender="ann@example.test", to=[unknown], text="x"))
        assert session.send(Message(sender="ann@example.test", to=[known], text="y"))
    assert receipt.status is Status.PARTIAL and str(receipt.refused[0].reply).startswith("550 5.1.")
    assert len(postfix.wait_for_message(known, count=2)) == 2


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_a_wrong_password_is_refused(kind: str, world: World, postfix: PostfixServer) -> None:
    with (
        session_for(kind, world, postfix, password="wr0ng") as session,
        pytest.raises(wlsmtp.AuthenticationFailed) as caught,
    ):
        session.verify()
    assert caught.value.reply is not None and caught.value.reply.code == 535
    assert "wr0ng" not in str(caught.value)


def test_the_wrong_mode_for_a_port_is_named(world: World, postfix: PostfixServer) -> None:
    with (
        session_for("starttls", world, postfix, security="ssl") as session,
        pytest.raises(wlsmtp.TLSError, match="security='tls'"),
    ):
        session.verify()
    with (
        session_for("implicit", world, postfix, security="tls", timeout=1) as session,
        pytest.raises(wlsmtp.SMTPError, match="security='ssl'"),
    ):
        session.verify()


def test_an_untrusted_certificate_is_refused(world: World, postfix: PostfixServer) -> None:
    with (
        session_for("starttls", world, postfix, tls=wlsmtp.TLS()) as session,
        pytest.raises(wlsmtp.TLSError, match="ca_file"),
    ):
        session.verify()


def test_many_messages_go_over_one_connection(world: World, postfix: PostfixServer, mailbox: str) -> None:
    messages = (Message(sender="ann@example.test", to=mailbox, subject=f"{number}", text="x") for number in range(50))
    with session_for("plain", world, postfix) as session:
        receipts = list(session.send_many(messages))
    assert len(receipts) == 50 and all(receipts)
    assert len(postfix.wait_for_message(mailbox, count=50)) == 50


def test_an_address_outside_ascii_is_delivered_with_smtputf8(world: World, postfix: PostfixServer) -> None:
    address = "jörg-" + postfix.mailbox()
    with session_for("plain", world, postfix) as session:
        assert session.send(Message(sender="ann@example.test", to=address, subject="ö", text="x"))
    assert len(postfix.wait_for_message(address)) == 1


def test_the_command_line_sends_a_file(postfix: PostfixServer, mailbox: str, tmp_path: Path) -> None:
    file = tmp_path / "some.eml"
    file.write_bytes(f"From: ann@example.test\nTo: {mailbox}\nSubject: from a file\n\nHello\n".encode())
    user, password = quote(postfix.username, safe=""), quote(postfix.password, safe="")
    url = f"smtp+tls://{user}:{password}@localhost:{postfix.submission_port}"
    words = ["send", str(file), "--url", url, "--ca-file", str(postfix.ca_file), "--json"]
    run = subprocess.run([sys.executable, "-m", "wlsmtp", *words], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["status"] == "sent"
    (stored,) = postfix.wait_for_message(mailbox)
    assert b"Subject: from a file" in stored
