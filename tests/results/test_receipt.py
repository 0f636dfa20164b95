"""What is known of each recipient after one more try, whatever the tries brought."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds import World
from wlsmtp import ConnectionFailed, Message, OutcomeUnknown, RecipientStatus, Reply, SMTPError, Status
from wlsmtp.receipt import OutboxReceipt, Outcome, Receipt, RecipientResult, refusal
from wlsmtp.testing import SMTPServer

ADDRESSES = ("a@example.com", "b@example.com", "c@example.com")
WORDS = {
    RecipientStatus.ACCEPTED: Reply(250, ("Ok",)),
    RecipientStatus.REFUSED: Reply(450, ("Later",)),
    RecipientStatus.NOT_SENT: None,
    RecipientStatus.UNKNOWN: None,
}


def outcome(states: dict[str, RecipientStatus]) -> Outcome:
    results = tuple(RecipientResult(address, state, WORDS[state]) for address, state in states.items())
    error: SMTPError | None = None
    if RecipientStatus.UNKNOWN in states.values():
        error = OutcomeUnknown("Who knows")
    elif RecipientStatus.NOT_SENT in states.values():
        error = ConnectionFailed("Lost")
    elif RecipientStatus.REFUSED in states.values():
        error = refusal(results)
    return Outcome(results, error=error)


def test_the_error_of_several_tries_names_the_servers_that_refused() -> None:
    doubt = OutcomeUnknown("Who knows")
    doubt.name_server("a.example:587")
    ann, bob, _ = ADDRESSES
    first = Outcome(
        (
            RecipientResult(ann, RecipientStatus.REFUSED, Reply(550, ("No",))),
            RecipientResult(bob, RecipientStatus.UNKNOWN),
        ),
        error=doubt,
    )
    merged = first.updated_by(Outcome.of([bob], RecipientStatus.ACCEPTED, reply=Reply(250, ("Ok",))))
    assert merged.error is not None and merged.error.message.startswith("a.example:587 refused 1 of 2 recipients")


states = st.sampled_from(RecipientStatus)
first_tries = st.fixed_dictionaries({address: states for address in ADDRESSES})
later_tries = st.lists(st.dictionaries(st.sampled_from(ADDRESSES), states, min_size=1), max_size=4)


@given(first_tries, later_tries)
def test_the_latest_word_counts_but_a_doubt_stands_until_an_acceptance(
    first: dict[str, RecipientStatus], later: list[dict[str, RecipientStatus]]
) -> None:
    known = outcome(first)
    expected = dict(first)
    for one in later:
        known = known.updated_by(outcome(one))
        for address, state in one.items():
            in_doubt = expected[address] is RecipientStatus.UNKNOWN and state is not RecipientStatus.ACCEPTED
            expected[address] = RecipientStatus.UNKNOWN if in_doubt else state
    assert {result.address: result.status for result in known.recipients} == expected
    assert known.is_certainly_not_sent is not bool(
        {RecipientStatus.ACCEPTED, RecipientStatus.UNKNOWN}.intersection(expected.values())
    )


@given(first_tries, later_tries)
def test_the_error_is_ambiguous_if_somebody_is_in_doubt_and_none_if_all_are_served(
    first: dict[str, RecipientStatus], later: list[dict[str, RecipientStatus]]
) -> None:
    known = outcome(first)
    for one in later:
        known = known.updated_by(outcome(one))
    found = {result.status for result in known.recipients}
    assert (known.error is None) is (found == {RecipientStatus.ACCEPTED})
    assert (known.error is not None and known.error.ambiguous) is (RecipientStatus.UNKNOWN in found)


@pytest.mark.parametrize("outbox", ["memory", "sqlite"])
def test_a_pickled_receipt_says_the_same_and_nothing_of_its_session(world: World, outbox: str, tmp_path: Path) -> None:
    url = "memory:" if outbox == "memory" else f"sqlite:///{tmp_path}/outbox.db"
    login = {"username": "ann", "password": "s3cret-Pa55"}
    with SMTPServer(users={"ann": "s3cret-Pa55"}) as server:
        server.refuse("bob@example.org")
        with world.session(server.host, server.port, mode="async", outbox=url, **login) as session:
            pending = session.send(Message(sender="ann@example.com", to="bob@example.org", text="x"))
            copies = [copy.copy(pending), copy.deepcopy(pending), pending]
            finished = [session.wait(receipt) for receipt in copies]
            octets = [pickle.dumps(receipt) for receipt in (pending, *finished)]
            error = finished[0].error
            assert error is not None and pickle.loads(pickle.dumps(error)).receipt.as_dict() == finished[0].as_dict()
    assert [receipt.status for receipt in finished] == [Status.ERROR] * 3
    restored = [pickle.loads(each) for each in octets]
    assert [receipt.as_dict() for receipt in restored] == [receipt.as_dict() for receipt in (pending, *finished)]
    assert restored[0].wait(0) is restored[0] and not any(b"s3cret" in each for each in octets)


def test_a_receipt_of_an_outbox_has_all_fields_however_it_is_made() -> None:
    when, to = datetime.now(UTC), (RecipientResult("bob@example.org", RecipientStatus.NOT_SENT),)
    called = OutboxReceipt(
        "1", Status.PENDING, to, None, "<1@example.com>", 0, next_attempt=when, carried={"trace": "1"}
    )
    made = OutboxReceipt.pending("1", to, "<1@example.com>", when, {"trace": "1"})
    names = (*Receipt.__slots__, *OutboxReceipt.__slots__)
    assert [getattr(made, name) for name in names] == [getattr(called, name) for name in names]
    marks = {name: object() for name in names}
    copied = copy.copy(called.changed(**marks))
    assert {name: getattr(copied, name) for name in names} == marks
