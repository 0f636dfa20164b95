"""The account notices every way in which mail is lost, duplicated, mixed up, or reported wrongly."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.account import Account, Balance
from tests.chaos.fate import Destiny
from tests.chaos.letters import Letter, letters
from wlsmtp import OutcomeUnknown, Receipt, RecipientStatus, Reply, SMTPError, Status
from wlsmtp.receipt import RecipientResult
from wlsmtp.testing import ReceivedMessage

HEAD = b"Message-ID: <1@example.com>\r\n\r\n"
LETTER = Letter("<1@example.com>", ("a@example.org", "b@example.org"), HEAD + b"x\r\n")
OTHER = Letter("<2@example.com>", ("c@example.org",), HEAD.replace(b"1", b"2") + b"y\r\n")
A, B, X = RecipientStatus.ACCEPTED, RecipientStatus.REFUSED, RecipientStatus.UNKNOWN

DOUBT = OutcomeUnknown("Who knows")


def stored(*recipients: str, content: bytes = LETTER.content) -> ReceivedMessage:
    return ReceivedMessage("ann@example.com", recipients, content)


def receipt(
    status: Status,
    *states: RecipientStatus,
    number: int = 1,
    message_id: str = LETTER.message_id,
    error: SMTPError | None = DOUBT,
) -> Receipt:
    reply = Reply(250, (f"2.0.0 Ok: queued as {number:010X}",))
    results = tuple(map(RecipientResult, LETTER.recipients, states, [reply] * len(states)))
    return Receipt("id", status, results, reply, message_id=message_id, error=error if X in states else None)


def balance(told: list[Receipt | None], *messages: ReceivedMessage, resends: bool = False) -> Balance:
    account = Account(resends=resends)
    for one in told:
        account.told(LETTER, one)
    return account.close([LETTER], list(messages))


BOTH = stored(*LETTER.recipients)


@pytest.mark.parametrize(
    ("told", "messages"),
    [
        (receipt(Status.SENT, A, A), [BOTH]),
        (receipt(Status.SENT, A, A, number=2), [stored("c@example.org", content=OTHER.content), BOTH]),
        (receipt(Status.PARTIAL, A, B), [stored("a@example.org")]),
        (receipt(Status.ERROR, B, B), []),
        (receipt(Status.UNKNOWN, X, X), []),
        (receipt(Status.UNKNOWN, X, X), [BOTH]),
        (None, []),
        (None, [BOTH]),
    ],
)
def test_what_was_told_rightly_closes(told: Receipt | None, messages: list[ReceivedMessage]) -> None:
    account = Account()
    account.told(LETTER, told)
    if len(messages) > 1:
        account.told(OTHER, None)
    assert account.close([LETTER], messages).faults == []


@pytest.mark.parametrize(
    ("told", "messages", "words"),
    [
        ([], [], "0 receipts"),
        ([receipt(Status.SENT, A, A)] * 2, [BOTH], "2 receipts"),
        ([receipt(Status.SENT, A, A)], [], "not stored"),
        ([receipt(Status.SENT, A, A)], [stored("a@example.org")], "b@example.org: accepted, and not stored"),
        ([receipt(Status.SENT, A, A)], [BOTH, BOTH], "stored 2 times"),
        ([receipt(Status.UNKNOWN, X, X)], [BOTH, BOTH], "stored 2 times"),
        ([None], [BOTH, BOTH], "stored 2 times"),
        ([receipt(Status.ERROR, B, B)], [BOTH], "refused, and stored"),
        ([receipt(Status.SENT, A, A, number=7)], [BOTH], "queued as 0000000007"),
        ([receipt(Status.SENT, A, A)], [stored(*LETTER.recipients, content=LETTER.content[:-1])], "other octets"),
        ([receipt(Status.SENT, A, A)], [stored(*LETTER.recipients, "eve@example.org")], "stored for eve@example.org"),
        ([receipt(Status.SENT, A, A)], [BOTH, stored("c@example.org", content=OTHER.content)], "nobody has sent it"),
        ([receipt(Status.SENT, A)], [BOTH], "other recipients"),
        ([receipt(Status.SENT, A, B)], [stored("a@example.org")], "do not bear out"),
        ([receipt(Status.SENT, A, A, message_id="<2@example.com>")], [BOTH], "the receipt of <2@example.com>"),
        ([receipt(Status.UNKNOWN, X, X, error=None)], [], "2 recipients in doubt"),
    ],
)
def test_whatever_goes_wrong_is_noticed(told: list[Receipt], messages: list[ReceivedMessage], words: str) -> None:
    assert words in " ".join(balance([*told], *messages).faults)


def test_what_may_be_sent_again_may_come_twice_and_not_be_lost() -> None:
    assert balance([receipt(Status.SENT, A, A)], BOTH, BOTH, resends=True).faults == []
    assert balance([receipt(Status.SENT, A, A)], resends=True).faults != []
    assert balance([receipt(Status.ERROR, B, B)], BOTH, resends=True).faults != []


@pytest.mark.parametrize("made", [lambda: [*letters(7, 100)], lambda: [Destiny(7, 3).next() for _ in range(100)]])
def test_a_seed_says_it_all(made: Callable[[], list[object]]) -> None:
    assert made() == made()
