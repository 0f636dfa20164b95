"""The outcome and the receipt of an accepted message: made when they are read, and the same as all others."""

import copy
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

from wlsmtp import Receipt, RecipientResult, Reply
from wlsmtp.receipt import Outcome, RecipientStatus, Status
from wlsmtp.results.accepted import accepted_outcome, accepted_receipt

LINE = b"250 2.0.0 Ok: queued as 4XyZ"
REPLY = Reply(250, ("2.0.0 Ok: queued as 4XyZ",))
RESULTS = tuple(RecipientResult(to, RecipientStatus.ACCEPTED, REPLY) for to in ("ann@example.com", "bob@example.org"))


def outcome() -> Outcome:
    return accepted_outcome(("ann@example.com", "bob@example.org"), LINE)


def receipt() -> Receipt:
    return accepted_receipt(outcome(), "0123456789abcdef", 10, "<1@example.com>", 0.5)


def test_the_outcome_is_that_of_the_reply() -> None:
    plain = Outcome(RESULTS, REPLY)
    assert outcome() == plain and plain == outcome() == outcome() and repr(plain.recipients) in repr(outcome())
    assert outcome() != Outcome(RESULTS[:1], REPLY)
    assert outcome().recipients == RESULTS and (made := outcome()).recipients is made.recipients


def test_the_receipt_is_that_of_the_outcome() -> None:
    made, plain = (
        receipt(),
        Receipt("0123456789abcdef0000000a", Status.SENT, RESULTS, REPLY, "<1@example.com>", elapsed=0.5),
    )
    assert made.as_dict() == plain.as_dict() and repr(made) == repr(plain) and str(made) == str(plain)
    assert made and made.queue_id == "4XyZ" and made.accepted == RESULTS and made.raise_for_status() is made
    assert made.recipients[0] is made.recipients[0]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_are_the_same(copied: Any) -> None:
    assert copied(outcome()) == outcome() and copied(receipt()).as_dict() == receipt().as_dict()


def test_errors_of_others_show_the_public_name() -> None:
    with pytest.raises(TypeError, match="type Receipt is not JSON serializable"):
        json.dumps(receipt())
    assert repr(outcome()).startswith("Outcome(")


def test_a_field_can_be_replaced() -> None:
    assert replace(outcome(), reply=None) == Outcome(RESULTS)
