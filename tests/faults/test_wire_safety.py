"""What a user or an attacker puts into a message never becomes syntax: no second message, no second recipient, no
header, no command."""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wlsmtp
from tests.faults.table import BOB, SECRET, SENDER, USER, Mode
from tests.worlds import World
from wlsmtp import TLS, Attachment, Envelope, Message, MessageError, RetryPolicy, Stage
from wlsmtp.testing import HEAR, ScriptedPeer, SMTPServer
from wlsmtp.wire import command

SECOND = "MAIL FROM:<eve@evil.example>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: forged\r\n\r\nx"
ENDS = {
    "LF . LF": "\n.\n", "LF . CR LF": "\n.\r\n", "CR LF . LF": "\r\n.\n", "CR . CR": "\r.\r", "CR . CR LF": "\r.\r\n",
    "CR LF . CR": "\r\n.\r", "LF . CR": "\n.\r", "CR . LF": "\r.\n", "CR LF . CR LF": "\r\n.\r\n",
    "CR CR LF . CR CR LF": "\r\r\n.\r\r\n", "NUL": "\r\n.\0\r\n", "NEL": "\x85.\x85",
}  # fmt: skip
"""What some server has taken for the end of the content, or might (CVE-2023-51764, CVE-2023-51765, CVE-2023-51766)."""


def as_bytes(body: str, _: Path) -> Any:
    return b"Subject: x\r\n\r\n" + body.encode("latin-1")


def as_email_message(body: str, _: Path) -> Any:
    email = EmailMessage()
    email["Subject"] = "x"
    email.set_payload(body.encode("latin-1"), charset=None)
    return email


def as_message(body: str, _: Path) -> Any:
    return Message(sender=SENDER, to=BOB, subject="x", text=body)


def as_html(body: str, _: Path) -> Any:
    return Message(sender=SENDER, to=BOB, subject="x", text="x", html=f"<pre>{body}</pre>")


def as_attached_text(body: str, directory: Path) -> Any:
    file = directory / "a.txt"
    file.write_bytes(body.encode("latin-1") * 5_000)
    return Message(sender=SENDER, to=BOB, subject="x", text="x", attachments=[Attachment(path=file)])


def as_attached_message(body: str, directory: Path) -> Any:
    file = directory / "a.eml"
    file.write_bytes(b"Subject: inner\r\n\r\n" + body.encode("latin-1") * 5_000)
    return Message(sender=SENDER, to=BOB, text="x", attachments=[Attachment(path=file)])


PATHS = [as_bytes, as_email_message, as_message, as_html, as_attached_text, as_attached_message]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_content_never_ends_before_its_end(
    world: World, path: Callable[[str, Path], Any], mode: Mode, end: str, tmp_path: Path
) -> None:
    message = path(f"before{end}{SECOND}{end}after\r\n", tmp_path)
    with (
        SMTPServer(extensions=mode.extensions) as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=1)) as session,
    ):
        assert session.send(message, sender=SENDER, recipients=BOB)
        [received] = server.messages
        verbs = [line.split(b" ")[0] for _, who, line in server.transcript if who == "C"]
    assert received.sender == SENDER and received.recipients == (BOB,)
    assert verbs.count(b"MAIL") == verbs.count(b"RCPT") == 1
    pairs = received.content.count(b"\r\n")
    assert pairs == received.content.count(b"\r") == received.content.count(b"\n"), "a bare CR or LF left"


ONE_MESSAGE = """
S: 220 hi
C: EHLO *
S: 250-hi
S: 250 8BITMIME
C: MAIL *
S: 250 ok
C: RCPT *
S: 250 ok
C: DATA
S: 354 go
!content
S: 250 ok
C: QUIT
S: 221 bye
"""


@pytest.mark.parametrize("path", [as_bytes, as_email_message, as_message, as_attached_message])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_on_the_wire_every_line_that_begins_with_a_dot_has_two(
    world: World, path: Callable[[str, Path], Any], end: str, tmp_path: Path
) -> None:
    """Also for a server that takes a bare CR or LF for a line end: there is none."""
    message = path(f"before{end}{SECOND}{end}after\r\n", tmp_path)
    with ScriptedPeer(ONE_MESSAGE) as peer, world.session("127.0.0.1", peer.port, timeout=10) as session:
        assert session.send(message, sender=SENDER, recipients=BOB)
    content = peer.received[4]
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert lines[-2:] == [b".", b""]
    assert all(line.startswith(b"..") for line in lines[:-2] if line.startswith(b"."))


INJECTED = ["\r\n", "\n", "\r", "\0", ">\r\nRCPT TO:<eve@evil.example", "\u2028", "\x85", "\x0b"]


@pytest.mark.parametrize("piece", INJECTED, ids=[ascii(piece) for piece in INJECTED])
@pytest.mark.parametrize(
    "inject",
    [
        lambda piece: (b"x", {"sender": f"ann{piece}@example.com", "recipients": BOB}),
        lambda piece: (b"x", {"sender": f"ann@example.com{piece}", "recipients": BOB}),
        lambda piece: (b"x", {"sender": SENDER, "recipients": [f"bob{piece}@example.org"]}),
        lambda piece: (b"x", {"sender": SENDER, "recipients": [f"bob@example.org{piece}x"]}),
        lambda piece: (b"x", {"sender": SENDER, "recipients": [f'"bob{piece}"@example.org']}),
        lambda piece: (b"x", {"sender": SENDER, "recipients": [f"Bob{piece}Eve <bob@example.org>"]}),
    ],
    ids=["sender", "sender's end", "recipient", "recipient's end", "quoted", "name"],
)
def test_a_control_character_in_an_address_is_refused(
    world: World, inject: Callable[[str], tuple[bytes, dict[str, Any]]], piece: str
) -> None:
    content, envelope = inject(piece)
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        with pytest.raises(MessageError):
            session.send(content, **envelope)
        assert server.connections == 0


@pytest.mark.parametrize("piece", ["\r\n", "\n", "\r", "\0"], ids=ascii)
@pytest.mark.parametrize(
    "field",
    [
        lambda piece: {"subject": f"x{piece}Bcc: eve@evil.example"},
        lambda piece: {"to": f"bob{piece}@example.org"},
        lambda piece: {"to": f"Bob{piece}Eve <bob@example.org>"},
        lambda piece: {"reply_to": f"bob@example.org{piece}Bcc: eve@evil.example"},
        lambda piece: {"headers": {"X-A": f"1{piece}Bcc: eve@evil.example"}},
        lambda piece: {"headers": {f"X-A{piece}Bcc": "1"}},
        lambda piece: {"attachments": [Attachment(b"x", f"a{piece}Bcc: eve.txt")]},
        lambda piece: {"attachments": [Attachment(b"x", "a", f"text/plain{piece}Bcc: eve")]},
        lambda piece: {"attachments": [Attachment(b"x", "a", content_id=f"a{piece}Bcc: eve")]},
    ],
    ids=["subject", "to", "name", "reply to", "header", "header's name", "file name", "media type", "content id"],
)
def test_a_header_cannot_be_injected(field: Callable[[str], dict[str, Any]], piece: str) -> None:
    with pytest.raises(MessageError):
        Message(**{"sender": SENDER, "to": BOB, "text": "x", **field(piece)})


ONE_RECIPIENT = [
    "bob@example.org, eve@evil.example",
    "bob@example.org; eve@evil.example",
    "bob@example.org eve@evil.example",
    "bob@example.org>,<eve@evil.example",
    "Bob <bob@example.org> <eve@evil.example>",
    "Bob (eve@evil.example) <bob@example.org>",
    "<bob@example.org>,<eve@evil.example>",
    "friends: bob@example.org, eve@evil.example;",
    "bob@example.org@evil.example",
    "@evil.example:bob@example.org",
    "<@evil.example:bob@example.org>",
    "bob@example.org\uff20evil.example",
    "bob\uff20evil.example@example.org, x",
    "bob@example.org\u3002evil.example@x",
    '"bob@example.org, eve"@',
    "bob(@evil.example)@example.org,eve@evil.example",
    "bob@example.org NOTIFY=NEVER",
    "bob@example.org> NOTIFY=NEVER <x",
]


@pytest.mark.parametrize("text", ONE_RECIPIENT)
def test_one_address_never_becomes_two(world: World, text: str) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        with pytest.raises(MessageError):
            session.send(b"Subject: x\r\n\r\nx", sender=SENDER, recipients=[text])
        with pytest.raises(MessageError):
            session.send(Message(sender=SENDER, to=[text], text="x"))
        assert server.connections == 0


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ('"Doe, Jane" <jane@example.org>', "jane@example.org"),
        ('"eve@evil.example" <jane@example.org>', "jane@example.org"),
        ('"jane, eve@evil.example"@example.org', '"jane, eve@evil.example"@example.org'),
        ('"jane> <eve@evil.example"@example.org', '"jane> <eve@evil.example"@example.org'),
    ],
)
def test_a_name_or_a_quoted_part_that_looks_like_an_address_is_none(world: World, text: str, wire: str) -> None:
    with (
        ScriptedPeer(ONE_MESSAGE.replace("C: RCPT *", f"C: RCPT TO:<{wire}>")) as peer,
        world.session("127.0.0.1", peer.port, timeout=10) as session,
    ):
        assert session.send(Message(sender=SENDER, to=[text], text="x"))
    assert sum(line.startswith(b"RCPT") for line in peer.received) == 1


@given(st.text(st.sampled_from('ab.@<>,;:()[]"\\ \t\r\n\0=?\uff20\u3002é'), max_size=30))
def test_whatever_is_taken_for_an_address_is_one_recipient_on_one_line(text: str) -> None:
    try:
        envelope = Envelope(None, [f"{text}@example.org"])
    except MessageError:
        return
    [address] = envelope.recipients
    line = command.rcpt(address.wire)
    assert line.startswith(b"RCPT TO:<") and line.endswith(b">\r\n")
    inner = line[9:-3]
    assert b"\r" not in inner and b"\n" not in inner and b"\0" not in inner
    if b'"' not in inner:
        assert inner.count(b"@") == 1 and not set(inner) & set(b"<> ,;")


def test_the_name_of_the_client_cannot_carry_a_command() -> None:
    for name in ("a\r\nMAIL FROM:<eve@evil.example>", "a b", "a\0", "a\n", "é b.example"):
        with pytest.raises(wlsmtp.ConfigError, match="local_hostname"):
            wlsmtp.SMTPSession("127.0.0.1", local_hostname=name)


CREDENTIALS: dict[str, Any] = {"username": USER, "password": SECRET}


def test_nothing_learned_before_tls_counts_after_it(world: World) -> None:
    """A man in the middle may have sent it: limits, mechanisms, extensions."""
    lies = "250-evil.example\r\n250-STARTTLS\r\n250-SIZE 10\r\n250-AUTH XOAUTH2\r\n250 X-EVIL"
    with SMTPServer(security="tls", users={USER: SECRET}) as server:
        server.reply_to("EHLO", lies, 1)
        tls = TLS(ca_file=server.ca_file)
        with world.session(server.host, server.port, security="tls", tls=tls, **CREDENTIALS) as session:
            assert session.send(b"Subject: more than ten octets\r\n\r\nx\r\n", sender=SENDER, recipients=BOB)
            assert session.capabilities is not None
            assert "X-EVIL" not in session.capabilities and session.capabilities.size_limit != 10
        assert server.messages[0].username == USER and server.messages[0].tls


def test_a_login_offered_in_the_clear_only_is_not_used(world: World) -> None:
    with SMTPServer(security="tls") as server:
        server.reply_to("EHLO", "250-hi\r\n250-STARTTLS\r\n250 AUTH PLAIN", 1)
        tls = TLS(ca_file=server.ca_file)
        with (
            world.session(server.host, server.port, security="tls", tls=tls, **CREDENTIALS) as session,
            pytest.raises(wlsmtp.AuthenticationFailed) as caught,
        ):
            session.verify()
        assert caught.value.stage is Stage.AUTH
        assert not any(line.startswith(b"AUTH") for _, _, line in server.transcript)


def test_no_password_goes_out_unencrypted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only loopback is excepted, so the test makes it look like another machine."""
    monkeypatch.setattr("wlsmtp.smtp.authentication.is_loopback", lambda ip: False)
    with (
        SMTPServer(users={USER: SECRET}) as server,
        world.session(server.host, server.port, **CREDENTIALS) as session,
        pytest.raises(wlsmtp.AuthenticationFailed, match="not encrypted"),
    ):
        session.verify()
    assert not any(line.startswith(b"AUTH") for _, _, line in server.transcript)


def test_a_password_in_a_challenge_or_a_refusal_of_the_server_is_all_that_is_repeated(world: World) -> None:
    """The client's own words are masked even when the exchange goes wrong in the middle."""
    with SMTPServer(users={USER: SECRET}, mechanisms=["LOGIN"]) as server:
        server.reply_to("AUTH", ("334 VXNlcm5hbWU6", HEAR, "334 UGFzc3dvcmQ6", HEAR, b"\0\xff\r\n"), 1)
        with (
            world.session(server.host, server.port, **CREDENTIALS) as session,
            pytest.raises(wlsmtp.ProtocolError),
        ):
            session.verify()
