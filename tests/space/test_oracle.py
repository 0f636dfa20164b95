"""The oracle notices whatever is not true, and accepts what is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.space.cases import FAREWELL, Case, Flow, Sending, answers
from tests.space.drive import run
from tests.space.oracle import faults_of
from tests.space.server import ODD, Answer, Record, Rule, Stage, Stored, Then
from tests.worlds import World
from wlsmtp import OutcomeUnknown, Receipt, RecipientResult, RecipientStatus, Reply, SenderRefused, SMTPError, Status

ACCEPTED, REFUSED, UNKNOWN = RecipientStatus.ACCEPTED, RecipientStatus.REFUSED, RecipientStatus.UNKNOWN
NOT_SENT = RecipientStatus.NOT_SENT
LATER = Rule(Stage.MAIL, 1, "450 busy")
CUT = Rule(Stage.BDAT, 1, "", Then.CLOSE)


def case(rule: Rule, flow: Flow = Flow.BDAT) -> Case:
    return Case(flow, Sending.SEND, 1, False, (rule,))


def receipt(number: int, *states: RecipientStatus, text: str = "stored", **changes: Any) -> Receipt:
    is_sent = set(states) == {ACCEPTED}
    reply = Reply(250 if is_sent else 450, (f"{text} [m{number} {'BDAT' if is_sent else 'MAIL'}]",))
    given = None if UNKNOWN in states or NOT_SENT in states else reply
    names = [f"m{number}{letter}@example.test" for letter in "ab"]
    error: SMTPError | None = None if is_sent else SenderRefused("no", reply=reply)
    if UNKNOWN in states:
        error = OutcomeUnknown("who knows")
    status = Status.SENT if is_sent else Status.UNKNOWN if UNKNOWN in states else Status.ERROR
    results = tuple(RecipientResult(name, state, given) for name, state in zip(names, states, strict=True))
    return Receipt("id", **{"status": status, "recipients": results, "reply": given, "error": error, **changes})


def record(rule: Rule, *, stores_first: int = 1, mails: int = 2, cut: bool = False) -> Record:
    """The record of a server that was offered both messages."""
    made = Record(connections=1)
    made.mails.update({1: mails, 2: 1})
    made.struck[rule] = 1
    made.answers.append(Answer(1, 1, rule.stage, None, f"{rule.reply} [m1 MAIL]" if rule.reply else "", False))
    for number in [1] * stores_first + [2]:
        recipients = (f"m{number}a@example.test", f"m{number}b@example.test")
        made.stored.append(Stored(number, f"m{number}", recipients, f"250 stored [m{number} BDAT]"))
        if not cut or number != 1:
            made.answers.append(Answer(1, number, Stage.BDAT, None, f"250 stored [m{number} BDAT]", False))
    if cut:
        made.cut.add(1)
    return made


SENT, NEXT = receipt(1, ACCEPTED, ACCEPTED), receipt(2, ACCEPTED, ACCEPTED)
DENIED = receipt(1, REFUSED, REFUSED, text="busy")
DOUBT = receipt(1, UNKNOWN, UNKNOWN)


@pytest.mark.parametrize(
    ("rule", "made", "told"),
    [
        (LATER, record(LATER), SENT),
        (CUT, record(CUT, cut=True, mails=1), DOUBT),
        (CUT, record(CUT, cut=True, mails=1, stores_first=0), DOUBT),
    ],
)
def test_the_truth_is_accepted(rule: Rule, made: Record, told: Receipt) -> None:
    assert faults_of(case(rule), made, {1: [told], 2: [NEXT]}) == []


@pytest.mark.parametrize(
    ("rule", "made", "told", "words"),
    [
        (LATER, record(LATER), [], "m1 has 0 receipts"),
        (LATER, record(LATER), [SENT, SENT], "m1 has 2 receipts"),
        (LATER, record(LATER, stores_first=0), [SENT], "accepted, and not stored"),
        (LATER, record(LATER, stores_first=2), [SENT], "stored 2 times"),
        (LATER, record(LATER), [DENIED], "refused, and stored"),
        (LATER, record(LATER, stores_first=0), [DENIED], "another try would have delivered it"),
        (LATER, record(LATER, stores_first=0), [receipt(1, NOT_SENT, NOT_SENT)], "another try would have delivered it"),
        (LATER, record(LATER, mails=4), [SENT], "MAIL was said 4 times, 3 at most"),
        (LATER, record(LATER), [receipt(1, ACCEPTED, ACCEPTED, attempts=3)], "3 attempts"),
        (LATER, record(LATER), [receipt(1, ACCEPTED, ACCEPTED, text="other")], "with the reply '250 other"),
        (LATER, record(LATER, stores_first=0), [receipt(1, REFUSED, REFUSED)], "a reply that was not given to it"),
        (LATER, record(LATER), [NEXT], "the receipt is about"),
        (LATER, record(LATER), [receipt(1, ACCEPTED, ACCEPTED, status=Status.PARTIAL)], "do not bear out"),
        (LATER, record(LATER), [receipt(1, ACCEPTED, ACCEPTED, error=OutcomeUnknown("?"))], "and the error"),
        (LATER, record(LATER, stores_first=0), [DOUBT], "certainly not stored"),
        (LATER, record(LATER), [DOUBT], "unknown, and stored and acknowledged"),
        (CUT, record(CUT, cut=True, stores_first=0), [receipt(1, NOT_SENT, NOT_SENT)], "no reply to its content"),
        (CUT, record(CUT, cut=True), [receipt(1, UNKNOWN, UNKNOWN, error=SMTPError("?"))], "ambiguous is False"),
    ],
)
def test_whatever_is_not_true_is_noticed(rule: Rule, made: Record, told: list[Receipt], words: str) -> None:
    assert words in "\n".join(faults_of(case(rule), made, {1: told, 2: [NEXT]}))


def test_a_next_message_that_does_not_go_through_is_noticed() -> None:
    left = receipt(2, NOT_SENT, NOT_SENT)
    made = record(LATER)
    made.stored.pop()
    assert "m2a@example.test not sent, and nothing was done to it" in "\n".join(
        faults_of(case(LATER), made, {1: [SENT], 2: [left]})
    )


def test_envelopes_and_contents_that_mix_are_noticed() -> None:
    made = record(LATER)
    made.stored[0] = Stored(1, "m2", ("m1a@example.test", "m1b@example.test", "m2a@example.test"), "250 x")
    found = "\n".join(faults_of(case(LATER), made, {1: [SENT], 2: [NEXT]}))
    assert "content of m2 was stored in the envelope of m1" in found and "was stored for ['m2a@example.test']" in found


def test_without_a_fault_all_is_well(world: World) -> None:
    for flow in Flow:
        for sending in Sending:
            found, server = run(world, Case(flow, sending, 5, True, ()))
            assert found == []
            assert sorted(stored.message for stored in server.record.stored) == list(range(7))


def test_the_space_has_every_class_of_reply() -> None:
    for stage in Stage:
        replies = [rule for rule in answers(stage, 1)]
        assert {rule.code // 100 for rule in replies} == {0, 2, 3, 4, 5}
        assert {rule.then for rule in replies if rule.reply == FAREWELL} == {*Then} - {*ODD}
        assert len(replies) == len(set(replies)) > 50
