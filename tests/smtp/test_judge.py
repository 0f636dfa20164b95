"""What replies mean: properties that hold whatever a server answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import OutcomeUnknown, ProtocolError, RecipientStatus, Reply, Stage, Status
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
    assert isinstance(outcome.error, OutcomeUnknown) if end_written else outcome.error is error


@given(replies)
def test_a_refused_sender_is_refused_for_all(reply: Reply) -> None:
    outcome = judge.sender_refused(names(3), reply)
    assert {(result.status, result.reply) for result in outcome.recipients} == {(RecipientStatus.REFUSED, reply)}
