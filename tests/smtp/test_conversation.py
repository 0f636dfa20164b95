"""Conversations replayed by a scripted peer, in odd chunkings and in both worlds."""

from __future__ import annotations

from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import DeliveryOptions, RetryPolicy, Stage
from wlsmtp.testing import ScriptedPeer, SMTPServer

RAW = b"Subject: x\r\n\r\n.Hello\r\n"
HELLO = "S: 220 hi\nC: EHLO *\n"
PLAIN = HELLO + "S: 250 hi\n"
PIPELINING = HELLO + "S: 250-hi\nS: 250 PIPELINING\n"
MAIL, RCPT, DATA = "C: MAIL FROM:<a@example.com>\n", "C: RCPT TO:<b@example.com>\n", "C: DATA\n"
GROUP = MAIL + RCPT + DATA
BYE = "C: QUIT\nS: 221 bye"


def send(world: World, peer: ScriptedPeer, **options: Any) -> wlsmtp.Receipt:
    options = {"timeout": 5, "retry": RetryPolicy(attempts=1), **options}
    with world.session("127.0.0.1", peer.port, **options) as session:
        return session.send(RAW, sender="a@example.com", recipients="b@example.com")


@pytest.mark.parametrize("chunking", ["whole", "bytes", 3, 7])
@pytest.mark.parametrize("grouped", [True, False], ids=["pipelined", "one by one"])
def test_any_chunking_reads_the_same(world: World, chunking: str | int, grouped: bool) -> None:
    answers = "S: 250-2.1.0 Ok\nS: 250 2.1.0 yes\n", "S: 250 2.1.5 Ok\n", "S: 354 go\n"
    one_by_one = MAIL + answers[0] + RCPT + answers[1] + DATA + answers[2]
    script = (PIPELINING + GROUP + "".join(answers)) if grouped else PLAIN + one_by_one
    with ScriptedPeer(script + "!content\nS: 250 queued as ABC123\n" + BYE, chunking=chunking) as peer:
        receipt = send(world, peer)
    assert receipt.queue_id == "ABC123"
    assert peer.received[-2] == b"Subject: x\r\n\r\n..Hello\r\n.\r\n"


def test_unknown_positive_codes_are_positive(world: World) -> None:
    with ScriptedPeer(
        PLAIN + MAIL + "S: 299 a\n" + RCPT + "S: 254\n" + DATA + "S: 354\n!content\nS: 259\n" + BYE
    ) as peer:
        assert send(world, peer)


FAILURES: list[tuple[str, str, type[wlsmtp.SMTPError], Stage]] = [
    ("greeting 421", "S: 421 busy", wlsmtp.CommandRefused, Stage.GREETING),
    ("greeting 554", "S: 554 no", wlsmtp.CommandRefused, Stage.GREETING),
    ("greeting is no SMTP", "S: HTTP/1.1 400 Bad Request", wlsmtp.ProtocolError, Stage.GREETING),
    ("greeting never ends", "S: 220-a\n!close", wlsmtp.ConnectionFailed, Stage.GREETING),
    ("closed at once", "!close", wlsmtp.ConnectionFailed, Stage.GREETING),
    ("reset after EHLO", HELLO + "!reset", wlsmtp.ConnectionFailed, Stage.EHLO),
    ("EHLO and HELO refused", HELLO + "S: 502 no\nC: HELO *\nS: 502 no", wlsmtp.CommandRefused, Stage.EHLO),
    ("code changes in a reply", HELLO + "S: 250-a\nS: 251 b", wlsmtp.ProtocolError, Stage.EHLO),
    ("421 to MAIL", PLAIN + MAIL + "S: 421 closing", wlsmtp.SenderRefused, Stage.MAIL),
    ("closed after 421 in a group", PIPELINING + GROUP + "S: 421 bye\n!close", wlsmtp.SenderRefused, Stage.MAIL),
    ("DATA answered 250", PLAIN + MAIL + "S: 250\n" + RCPT + "S: 250\n" + DATA + "S: 250 sent", wlsmtp.ProtocolError,
     Stage.DATA),
    ("250 behind the 354", PIPELINING + GROUP + "S: 250 a\nS: 250 b\nS: 354 go\nS: 250 queued", wlsmtp.ProtocolError,
     Stage.DATA),
    ("closed before the reply", PIPELINING + GROUP + "S: 250 a\nS: 250 b\nS: 354 go\n!content\n!close",
     wlsmtp.OutcomeUnknown, Stage.CONTENT),
    ("reply cut before its end", PIPELINING + GROUP + "S: 250 a\nS: 250 b\nS: 354 go\n!content\nS: 250-ok\n!close",
     wlsmtp.OutcomeUnknown, Stage.CONTENT),
]  # fmt: skip


@pytest.mark.parametrize(("script", "error", "stage"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_a_failure_is_told_with_its_stage(
    world: World, script: str, error: type[wlsmtp.SMTPError], stage: Stage
) -> None:
    with ScriptedPeer(script) as peer, pytest.raises(error) as caught:
        send(world, peer)
    assert type(caught.value) is error and caught.value.stage is stage
    assert caught.value.receipt is not None and not caught.value.receipt.accepted
    assert caught.value.ambiguous is (error is wlsmtp.OutcomeUnknown)


def test_a_lone_dot_leads_out_of_354_when_nobody_was_accepted(world: World) -> None:
    script = PIPELINING + GROUP + "S: 250 a\nS: 550 no\nS: 354 go\nC: .\nS: 554 no recipients\n" + BYE
    with ScriptedPeer(script) as peer, pytest.raises(wlsmtp.RecipientsRefused):
        send(world, peer)


LONG = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * 3_000_000


@pytest.mark.parametrize(
    ("reply", "error"),
    [("552 5.3.4 Too big", wlsmtp.ContentRefused), ("250 2.0.0 Queued already", wlsmtp.ProtocolError)],
)
def test_a_reply_in_the_middle_of_the_content_may_refuse_it_but_not_acknowledge_it(
    world: World, reply: str, error: type[wlsmtp.SMTPError]
) -> None:
    script = PLAIN + MAIL + "S: 250\n" + RCPT + "S: 250\n" + DATA + "S: 354 go\n!part\nS: " + reply
    with (
        ScriptedPeer(script) as peer,
        world.session("127.0.0.1", peer.port, timeout=10, retry=RetryPolicy(attempts=1)) as session,
        pytest.raises(error) as caught,
    ):
        session.send(LONG, sender="a@example.com", recipients="b@example.com")
    assert caught.value.receipt is not None and caught.value.receipt.status is wlsmtp.Status.ERROR


def test_rset_comes_before_the_next_message_when_the_last_one_was_left_open(world: World) -> None:
    first = MAIL + "S: 250\n" + RCPT + "S: 550 no\n"
    second = "C: RSET\nS: 250\n" + MAIL + "S: 250\n" + RCPT + "S: 250\n" + DATA + "S: 354\n!content\nS: 250\n"
    with (
        ScriptedPeer(PLAIN + first + second + BYE) as peer,
        world.session("127.0.0.1", peer.port, retry=RetryPolicy(attempts=1)) as session,
    ):
        with pytest.raises(wlsmtp.RecipientsRefused):
            session.send(RAW, sender="a@example.com", recipients="b@example.com")
        assert session.send(RAW, sender="a@example.com", recipients="b@example.com")


AUTH = HELLO + "S: 250-hi\nS: 250 AUTH PLAIN LOGIN CRAM-MD5\n"


@pytest.mark.parametrize(
    ("script", "works"),
    [
        (AUTH + "C: AUTH PLAIN *\nS: 504 no\nC: AUTH LOGIN\nS: 334\nC: YW5u\nS: 334\nC: czNjcmV0\nS: 235 ok\n", True),
        (AUTH + "C: AUTH PLAIN *\nS: 535 wrong\n", False),
        (AUTH + "C: AUTH PLAIN *\nS: 454 later\n", False),
        (AUTH + "C: AUTH PLAIN *\nS: 334 more?\nC: *\nS: 501 ok\n", False),
        (AUTH + "C: AUTH PLAIN *\nS: 334 more?\nC: *\nS: 334 and more?\n", False),
        (HELLO + "S: 250 hi\n", False),
    ],
    ids=["next mechanism", "wrong password", "temporary", "endless challenge", "never ends", "not offered"],
)  # fmt: skip
def test_authentication_goes_on_only_where_the_password_was_not_refused(world: World, script: str, works: bool) -> None:
    ending = BYE if works else "!silence"
    with (
        ScriptedPeer(script + ending) as peer,
        world.session("127.0.0.1", peer.port, username="ann", password="s3cret", timeout=5) as session,
    ):
        if works:
            assert session.verify().username == "ann"
            return
        with pytest.raises((wlsmtp.AuthenticationFailed, wlsmtp.ProtocolError)) as caught:
            session.verify()
        assert caught.value.stage is Stage.AUTH and "s3cret" not in str(caught.value)


def test_a_token_too_long_for_a_line_follows_after_the_challenge(world: World) -> None:
    token = "t" * 20_000
    with (
        SMTPServer(tokens={"ann": token}, mechanisms=["XOAUTH2"]) as server,
        world.session(server.host, server.port, username="ann", token=token) as session,
    ):
        assert session.verify().username == "ann"
        assert (1, "C", b"AUTH XOAUTH2") in server.transcript


def test_a_wrong_token_is_refused_with_the_servers_word(world: World) -> None:
    with (
        SMTPServer(tokens={"ann": "right"}, mechanisms=["XOAUTH2"]) as server,
        world.session(server.host, server.port, username="ann", token="wr0ng") as session,
        pytest.raises(wlsmtp.AuthenticationFailed) as caught,
    ):
        session.verify()
    assert caught.value.reply is not None and caught.value.reply.code == 535 and "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    ("offer", "options"),
    [
        ("SIZE 10", {}),
        ("HELP", {"recipients": "b\u00f6b@example.com"}),
        ("HELP", {"options": DeliveryOptions(require_tls=True)}),
        ("SMTPUTF8", {"message": "Subject: x\r\n\r\nb\u00f6b\r\n".encode()}),
        ("SMTPUTF8", {"message": "Subject: b\u00f6b\r\n\r\nx\r\n".encode()}),
        ("LIMITS RCPTMAX=1", {"recipients": ["b@example.com", "c@example.com"]}),
    ],
    ids=["size", "SMTPUTF8", "REQUIRETLS", "8BITMIME", "UTF-8 headers", "too many for all or nothing"],
)
def test_an_error_before_the_message_names_the_server_by_host_and_port(
    world: World, offer: str, options: dict[str, Any]
) -> None:
    script = f"S: 220 liar hi\nC: EHLO *\nS: 250-liar\nS: 250 {offer}\n{BYE}"
    with (
        ScriptedPeer(script) as peer,
        world.session("127.0.0.1", peer.port, timeout=5, partial="abort") as session,
        pytest.raises((wlsmtp.MessageError, wlsmtp.ExtensionMissing)) as caught,
    ):
        session.send(**{"message": RAW, "sender": "a@example.com", "recipients": "b@example.com", **options})
    assert f"127.0.0.1:{peer.port} " in caught.value.message and "liar" not in str(caught.value)


@pytest.mark.parametrize(
    "said",
    ["hello", "250-a\nS: 251 b", "250 " + 5000 * "x", "250 a\nS: 250 b"],
    ids=["no reply", "two codes", "too long", "two replies"],
)
def test_an_error_about_a_reply_names_the_server_by_host_and_port(world: World, said: str) -> None:
    with (
        ScriptedPeer(f"S: 220 liar hi\nC: EHLO *\nS: {said}\n") as peer,
        world.session("127.0.0.1", peer.port, timeout=5) as session,
        pytest.raises(wlsmtp.ProtocolError) as caught,
    ):
        session.verify()
    assert f"127.0.0.1:{peer.port} " in caught.value.message


@pytest.mark.parametrize(
    ("stage", "reply", "kind"),
    [
        ("MAIL", "550 5.7.1 No", wlsmtp.SenderRefused),
        ("RCPT", "550 5.1.1 No", wlsmtp.RecipientsRefused),
        ("DATA", "554 5.7.1 No", wlsmtp.ContentRefused),
        (".", "554 5.7.1 No", wlsmtp.ContentRefused),
        ("EHLO", "421 4.3.2 No", wlsmtp.CommandRefused),
        ("DATA", "334 dXNlcm5hbWU6", wlsmtp.ProtocolError),
        ("MAIL", "354 Go ahead", wlsmtp.ProtocolError),
        (".", "354 Go ahead", wlsmtp.OutcomeUnknown),
    ],
)
def test_an_error_of_a_message_names_the_server_by_host_and_port(
    world: World, stage: str, reply: str, kind: type[wlsmtp.SMTPError]
) -> None:
    with (
        SMTPServer(hostname="liar.example") as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=1)) as session,
    ):
        server.reply_to(stage, reply)
        with pytest.raises(kind) as caught:
            session.send(RAW, sender="a@example.com", recipients="b@example.com")
    assert f"{server.host}:{server.port} " in caught.value.message and "liar" not in caught.value.message
