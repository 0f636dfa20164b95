"""What replies mean: properties that hold whatever a server answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import OutcomeUnknown, ProtocolError, RecipientsRefused, RecipientStatus, Reply, Stage, Status
from wlsmtp.receipt import overall_status
from wlsmtp.smtp import judge

replies = st.builds(Reply, st.integers(200, 599), st.just(("text",)))
maybe_replies = st.lists(st.none() | replies, min_size=1, max_size=6)
OK = Reply(250, ("2.0.0 Ok",))


def names(count: int) -> list[str]:
    return [f"r{number}@example.com" for number in range(count)]


@given(maybe_replies)
def test_nobody_is_accepted_whose_rcpt_was_not(known: list[Reply | None]) -> None:
    outcome = judge.delivered(names(len(known)), known, OK)
    for result, reply in zip(outcome.recipients, known, strict=True):
        refused = reply is not None and not reply.is_positive
        assert (result.status is RecipientStatus.REFUSED) is refused
        assert result.reply is (reply if refused else OK)
    assert (outcome.error is None) is all(reply is None or reply.is_positive for reply in known)


@given(maybe_replies, replies)
def test_a_refused_content_is_delivered_to_nobody(known: list[Reply | None], reply: Reply) -> None:
    outcome = judge.content_refused(names(len(known)), known, reply, Stage.CONTENT)
    assert overall_status(outcome.recipients) is Status.ERROR and outcome.error is not None


@given(maybe_replies, st.booleans())
def test_an_interruption_is_in_doubt_only_after_the_end(known: list[Reply | None], end_written: bool) -> None:
    error = ProtocolError("lost")
    outcome = judge.interrupted(names(len(known)), known, error, end_written=end_written)
    states = {result.status for result in outcome.recipients}
    assert (RecipientStatus.UNKNOWN in states) <= end_written and RecipientStatus.ACCEPTED not in states
    if all(reply is not None and not reply.is_positive for reply in known):
        assert isinstance(outcome.error, RecipientsRefused)  # so nothing is in doubt
    else:
        assert isinstance(outcome.error, OutcomeUnknown) if end_written else outcome.error is error


@given(st.lists(replies, min_size=1, max_size=6), replies)
def test_a_conclusion_accepts_those_whose_recipient_and_content_were_accepted(rcpts: list[Reply], last: Reply) -> None:
    outcome = judge.concluded(names(len(rcpts)), rcpts, last, Stage.CONTENT)
    for result, reply in zip(outcome.recipients, rcpts, strict=True):
        assert (result.status is RecipientStatus.ACCEPTED) is (last.is_positive and reply.is_positive)
        assert result.status is not RecipientStatus.UNKNOWN
    assert (outcome.error is None) is (last.is_positive and all(reply.is_positive for reply in rcpts))


@given(st.integers(1, 4), st.booleans())
def test_out_of_step_nothing_is_known_of_what_was_written(count: int, end_written: bool) -> None:
    outcome = judge.out_of_step(names(count), ProtocolError("a reply that cannot be"), end_written=end_written)
    assert outcome.error is not None and outcome.error.ambiguous is end_written
    states = {result.status for result in outcome.recipients}
    assert states == {RecipientStatus.UNKNOWN if end_written else RecipientStatus.NOT_SENT}


def reply(text: str) -> Reply:
    return Reply(int(text[:3]), (text[4:],))


@pytest.mark.parametrize(
    ("resets", "mail", "rcpts", "data", "is_mishandled"),
    [
        ([], "250 Ok", ["250 Ok"], "354 Go on", False),
        ([], "250 Ok", ["250 Ok"], None, False),
        ([], "250 Ok", ["250 Ok"], "503 Bad sequence", True),
        ([], "250 Ok", ["503 Bad sequence", "250 Ok"], "354 Go on", True),
        ([], "250 Ok", ["250 Ok"], "554 5.5.0 Improper use of SMTP command PIPELINING", True),
        ([], "554 SMTP synchronization error", ["503 No MAIL"], "503 No MAIL", True),
        ([], "250 Ok", ["550 No"], "503 No recipients", False),
        ([], "250 Ok", ["503 5.7.1 Not wanted here", "250 Ok"], "354 Go on", False),
        ([], "503 AUTH first", ["503 AUTH first"], "503 AUTH first", False),
        ([], "250 Ok", ["250 Ok"], "552 Too much", False),
        (["503 Bad sequence"], "250 Ok", ["250 Ok"], "354 Go on", True),
        (["250 Ok"], "250 Ok", ["250 Ok"], "354 Go on", False),
    ],
)
def test_a_first_group_that_was_not_understood_is_told_from_a_refusal(
    resets: list[str], mail: str, rcpts: list[str], data: str | None, is_mishandled: bool
) -> None:
    found = judge.mishandles_groups(
        [reply(text) for text in resets], reply(mail), [reply(text) for text in rcpts], reply(data) if data else None
    )
    assert found is is_mishandled


@pytest.mark.parametrize(
    ("text", "is_misunderstood"),
    [
        ("500 What?", True), ("502 Not here", True), ("502 5.7.0 Your account is not yet activated", False),
        ("503 5.5.1 Bad sequence", True), ("550 No", False), ("451 Later", False),
    ],
)  # fmt: skip
def test_a_policy_is_no_misunderstanding(text: str, is_misunderstood: bool) -> None:
    assert judge.is_misunderstanding(reply(text)) is is_misunderstood


CONNECTIONS, RATE, IDLENESS = judge.names_connections, judge.names_rate, judge.names_idleness


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", [CONNECTIONS]),
        ("432 No", [CONNECTIONS]),
        ("432 4.7.12 Log in by password once", []),
        ("421 4.7.0 mx.example.com Error: too many connections from 192.0.2.1", [CONNECTIONS]),
        ("421 Too many concurrent SMTP connections", [CONNECTIONS]),
        ("421 4.3.2 Too many open connections.", [CONNECTIONS]),
        ("421 OFR004_104 Trop de connexions, veuillez verifier votre configuration.", [CONNECTIONS]),
        ("421 4.7.0 Maximum number of connections from user+IP exceeded", [CONNECTIONS]),
        ("421 4.7.0 Too many messages in this connection", []),
        ("421 4.7.0 Message limit per connection reached", []),
        ("421 4.3.2 too many messages", []),
        ("421 4.4.2 Message submission rate for this client has exceeded the configured limit", [RATE]),
        ("450 4.7.1 Error: too much mail from 192.0.2.1", [RATE]),
        ("550 5.7.0 Too many emails per second", [RATE]),
        ("454 Throttling failure: Maximum sending rate exceeded.", [RATE]),
        ("421 4.4.2 mx.example.com Error: timeout exceeded", [IDLENESS]),
        ("421 4.4.2 Idle for too long", [IDLENESS]),
        ("421 4.3.0 Temporary System Problem. Try again later", []),
        ("451 4.7.1 Greylisted", []),
    ],
)
def test_a_reason_is_told_from_others_by_its_words(text: str, names: list[object]) -> None:
    assert [one for one in (CONNECTIONS, RATE, IDLENESS) if one(reply(text))] == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("452 4.3.2 Too many messages in this connection", True),
        ("452 Too many messages for this session", True),
        ("451 4.7.0 Maximum number of messages per SMTP session reached", True),
        ("450 4.7.0 Message limit for this connection reached", True),
        ("452 4.5.3 Too many messages", False),
        ("550 5.7.1 Too many messages in this connection", False),
        ("451 4.3.0 Mail server connection failed, too many messages in the queue", False),
    ],
)
def test_enough_messages_for_one_connection(text: str, names: bool) -> None:
    assert judge.names_messages(reply(text)) is names
    assert judge.is_closing(reply(text)) is names


@given(maybe_replies, replies, st.booleans(), st.sampled_from([Stage.DATA, Stage.CONTENT]))
def test_every_recipient_ends_in_exactly_one_state_that_its_replies_bear_out(
    known: list[Reply | None], reply: Reply, end_written: bool, stage: Stage
) -> None:
    to = names(len(known))
    for outcome, others in [
        (judge.delivered(to, known, OK), RecipientStatus.ACCEPTED),
        (judge.recipients_refused(to, known), RecipientStatus.NOT_SENT),
        (judge.content_refused(to, known, reply, stage), RecipientStatus.REFUSED),
        (
            judge.interrupted(to, known, ProtocolError("lost"), end_written=end_written),
            RecipientStatus.UNKNOWN if end_written else RecipientStatus.NOT_SENT,
        ),
    ]:
        assert [result.address for result in outcome.recipients] == to
        for result, own in zip(outcome.recipients, known, strict=True):
            refused = own is not None and not own.is_positive
            assert result.status is (RecipientStatus.REFUSED if refused else others)
            assert not refused or result.reply is own
        in_doubt = any(result.status is RecipientStatus.UNKNOWN for result in outcome.recipients)
        assert in_doubt <= (outcome.error is not None and outcome.error.ambiguous)


@given(st.lists(replies.filter(lambda reply: not reply.is_intermediate), min_size=1))
def test_one_who_may_be_served_later_makes_the_refusal_temporary(known: list[Reply | None]) -> None:
    error = judge.recipients_refused(names(len(known)), known).error
    assert error is not None
    assert error.temporary is any(reply is not None and reply.is_transient for reply in known)


@given(replies)
def test_a_refused_sender_is_refused_for_all(reply: Reply) -> None:
    outcome = judge.sender_refused(names(3), reply)
    assert {(result.status, result.reply) for result in outcome.recipients} == {(RecipientStatus.REFUSED, reply)}
