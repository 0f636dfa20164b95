"""LMTP (RFC 2033): LHLO, and one answer for each accepted recipient after the content. Dovecot's is in tests/real."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wlsmtp
from tests.worlds import World
from wlsmtp import RecipientStatus, RetryPolicy, SessionConfig, SMTPSession, Stage, Status
from wlsmtp.errors import ConnectionFailed
from wlsmtp.results.reply import Reply
from wlsmtp.smtp import judge
from wlsmtp.testing import ScriptedPeer

ACCEPTED, REFUSED, UNKNOWN = RecipientStatus.ACCEPTED, RecipientStatus.REFUSED, RecipientStatus.UNKNOWN
RAW = b"Subject: x\r\n\r\n.Hello\r\n"
THREE = ["a@example.org", "b@example.org", "c@example.org"]
HELLO = "S: 220 hi\nC: LHLO *\nS: 250-hi\nS: 250-CHUNKING\nS: 250 PIPELINING\n"
ENVELOPE = "C: MAIL FROM:<ann@example.com>\n" + "".join(f"C: RCPT TO:<{address}>\n" for address in THREE)
ALL_GOOD = "S: 250 ok\nS: 250 a\nS: 250 b\nS: 250 c\n"
DATA = "C: DATA\nS: 354 go\n!content\n"
BYE = "C: QUIT\nS: 221 bye"


def send(world: World, peer: ScriptedPeer, **options: Any) -> wlsmtp.Receipt:
    options = {"timeout": 5, "retry": RetryPolicy(attempts=1), "protocol": "lmtp", **options}
    with world.session("127.0.0.1", peer.port, **options) as session:
        return session.send(RAW, sender="ann@example.com", recipients=THREE)


def statuses(receipt: wlsmtp.Receipt) -> list[RecipientStatus]:
    return [result.status for result in receipt.recipients]


@pytest.mark.parametrize("chunking", ["whole", "bytes", 5])
def test_each_recipient_has_the_answer_that_is_its_own(world: World, chunking: str | int) -> None:
    answers = "S: 250 2.0.0 <a> queued as AAA1\nS: 452 4.2.2 c is full\n"
    script = HELLO + ENVELOPE + "S: 250 ok\nS: 250 a\nS: 550 5.1.1 no b\nS: 250 c\n" + DATA + answers + BYE
    with ScriptedPeer(script, chunking=chunking) as peer:
        receipt = send(world, peer)
    assert receipt.status is Status.PARTIAL and statuses(receipt) == [ACCEPTED, REFUSED, REFUSED]
    assert [result.reply.code for result in receipt.recipients if result.reply] == [250, 550, 452]
    assert receipt.queue_id == "AAA1"
    assert isinstance(receipt.error, wlsmtp.RecipientsRefused) and receipt.error.temporary
    assert peer.received[-2] == b"Subject: x\r\n\r\n..Hello\r\n.\r\n"


def test_who_has_no_answer_that_makes_sense_is_in_doubt(world: World) -> None:
    script = HELLO + ENVELOPE + ALL_GOOD + DATA + "S: 250 a\nS: 550 b\nS: 354 c\n"
    with ScriptedPeer(script) as peer:
        receipt = send(world, peer)
    assert statuses(receipt) == [ACCEPTED, REFUSED, UNKNOWN]
    assert isinstance(receipt.error, wlsmtp.OutcomeUnknown)


def test_only_who_may_be_served_later_is_tried_again(world: World) -> None:
    first = HELLO + ENVELOPE + ALL_GOOD + DATA + "S: 250 a\nS: 550 b\nS: 451 c\n"
    second = "C: MAIL FROM:<ann@example.com>\nC: RCPT TO:<c@example.org>\nS: 250 ok\nS: 250 c\n" + DATA + "S: 250 c\n"
    with ScriptedPeer(first + second + BYE) as peer:
        receipt = send(world, peer, retry=RetryPolicy(backoff=0, jitter=0))
    assert statuses(receipt) == [ACCEPTED, REFUSED, ACCEPTED] and receipt.attempts == 2


def test_without_pipelining_one_command_waits_for_the_other(world: World) -> None:
    rcpts = "".join(f"C: RCPT TO:<{address}>\nS: 250 ok\n" for address in THREE)
    script = "S: 220 hi\nC: LHLO *\nS: 250 hi\nC: MAIL *\nS: 250 ok\n" + rcpts + DATA + "S: 250 a\nS: 250 b\nS: 250 c\n"
    with ScriptedPeer(script + BYE) as peer:
        assert send(world, peer)


@pytest.mark.parametrize("end", ["!close", "!reset", "!silence"])
def test_who_was_answered_before_the_connection_broke_is_known(world: World, end: str) -> None:
    script = HELLO + ENVELOPE + ALL_GOOD + DATA + "S: 250 a\nS: 550 b\n" + end
    with ScriptedPeer(script) as peer:
        receipt = send(world, peer, timeout=1)
    assert receipt.status is Status.PARTIAL and isinstance(receipt.error, wlsmtp.OutcomeUnknown)
    # A reset may throw away what was said before it.
    assert statuses(receipt) in ([ACCEPTED, REFUSED, UNKNOWN], [UNKNOWN] * 3 if end == "!reset" else [])


def test_nobody_answered_is_in_doubt(world: World) -> None:
    with (
        ScriptedPeer(HELLO + ENVELOPE + ALL_GOOD + DATA + "!close") as peer,
        pytest.raises(wlsmtp.OutcomeUnknown) as caught,
    ):
        send(world, peer)
    assert caught.value.receipt is not None and statuses(caught.value.receipt) == [UNKNOWN] * 3


def test_all_refused_after_the_content_is_an_error(world: World) -> None:
    script = HELLO + ENVELOPE + ALL_GOOD + DATA + "S: 552 a\nS: 552 b\nS: 552 c\n" + BYE
    with ScriptedPeer(script) as peer, pytest.raises(wlsmtp.RecipientsRefused) as caught:
        send(world, peer)
    assert caught.value.stage is Stage.CONTENT and not caught.value.temporary


def test_a_server_that_knows_no_lhlo_is_not_greeted_otherwise(world: World) -> None:
    with (
        ScriptedPeer("S: 220 hi\nC: LHLO *\nS: 500 what?\n") as peer,
        pytest.raises(wlsmtp.CommandRefused, match="refused LHLO"),
    ):
        send(world, peer)


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("lmtp://mx.example", {"server": "mx.example", "port": 24, "security": "default"}),
        ("lmtp+tls://mx.example:2424", {"port": 2424, "security": "tls"}),
        ("lmtp+unix:///run/lmtp.sock", {"server": "/run/lmtp.sock", "is_unix": True}),
    ],
)
def test_a_url_spells_it(url: str, fields: dict[str, Any]) -> None:
    config = SessionConfig.from_url(url)
    assert config.is_lmtp and {name: getattr(config, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"partial": "abort"}, "partial: 'abort' cannot be combined with LMTP"),
        ({"port": 25}, "port: 25 is for SMTP only"),
    ],
)
def test_what_cannot_go_with_it_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(wlsmtp.ConfigError, match=words):
        SMTPSession("localhost", protocol="lmtp", **options)


REPLIES = st.sampled_from([Reply(250), Reply(451), Reply(550)])


@given(st.data(), st.lists(REPLIES, min_size=1, max_size=6))
def test_answers_are_matched_to_accepted_recipients_in_order(data: st.DataObject, rcpts: list[Reply]) -> None:
    accepted = [number for number, reply in enumerate(rcpts) if reply.is_positive]
    finals = data.draw(st.lists(REPLIES, max_size=len(accepted)))
    broken = ConnectionFailed("gone") if len(finals) < len(accepted) else None
    names = [f"{number}@example.org" for number in range(len(rcpts))]
    outcome = judge.answered_each(names, rcpts, finals, broken)
    answer = dict(zip(accepted, finals, strict=False))
    for number, result in enumerate(outcome.recipients):
        word = answer.get(number) if rcpts[number].is_positive else rcpts[number]
        assert (result.address, result.reply) == (names[number], word)
        assert result.status is (UNKNOWN if word is None else ACCEPTED if word.is_positive else REFUSED)
    assert (outcome.error is None) is all(result.status is ACCEPTED for result in outcome.recipients)
    assert (broken is None) is not isinstance(outcome.error, wlsmtp.OutcomeUnknown)
