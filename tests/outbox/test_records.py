"""A receipt survives being written down."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import errors
from wlsmtp.errors import ConnectionFailed, SMTPError, Stage
from wlsmtp.outbox import records
from wlsmtp.outbox.content import StoredContent, traits_of
from wlsmtp.receipt import OutboxReceipt, RecipientResult, RecipientStatus, Status
from wlsmtp.results.reply import Reply
from wlsmtp.results.secured import Certificate, TLSInfo
from wlsmtp.settings.options import DSN, DeliverBy, DeliveryOptions, RecipientDSN

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SMTPError)]

texts = st.text(max_size=40)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "is_lasting": st.booleans(),
    "is_passing": st.booleans(),
    "mechanism": st.none() | texts,
    "rests": st.none() | st.floats(0, 1e6),
    "row": st.none() | st.integers(0, 9),
    "problem": st.dictionaries(texts, texts, max_size=3),
}
"""What each attribute may be that some classes have beside those of all."""


def attributes(kind: type[SMTPError]) -> list[str]:
    """The public attributes that are neither methods nor answers; mail that a session leaves is not written down, nor
    are the receipts of other messages, and what a program sets for all errors."""
    own = [vars(one) for one in kind.__mro__ if issubclass(one, SMTPError)]
    values = {name: value for names in own for name, value in names.items() if name[0] != "_"}
    values = {name: value for name, value in values.items() if name not in ("left", "receipts", "documentation")}
    names = [name for name, value in values.items() if not callable(value) and not isinstance(value, property)]
    return list(dict.fromkeys(names))


replies = st.builds(Reply, st.integers(200, 599), st.lists(texts, min_size=1, max_size=3).map(tuple))


@st.composite
def failures(draw: Any) -> SMTPError:
    kind = draw(st.sampled_from(KINDS))
    stage, reply, hint = draw(st.none() | st.sampled_from(Stage)), draw(st.none() | replies), draw(st.none() | texts)
    error: SMTPError = kind(draw(texts), stage=stage, reply=reply, hint=hint or None)
    for name in attributes(kind):
        setattr(error, name, draw(VALUES[name]))
    return error


results = st.builds(
    RecipientResult, texts, st.sampled_from(RecipientStatus), st.none() | replies, st.none() | failures()
)
certificates = st.builds(Certificate, texts, st.none() | texts, st.none() | texts, st.none() | st.datetimes())
security = st.builds(TLSInfo, texts, texts, st.none() | certificates, st.booleans(), st.booleans())

receipts = st.builds(
    OutboxReceipt,
    id=texts,
    status=st.sampled_from(Status),
    recipients=st.lists(results, max_size=4).map(tuple),
    reply=st.none() | replies,
    message_id=st.none() | texts.filter(bool),
    attempts=st.integers(0, 1000),
    error=st.none() | failures(),
    elapsed=st.floats(0, 1e9),
    tls=st.none() | security,
    interruptions=st.integers(0, 9),
)


def answers(error: SMTPError | None) -> Any:
    if error is None:
        return None
    names = [name for name in dir(type(error)) if name[0] != "_" and isinstance(getattr(type(error), name), property)]
    assert {"temporary", "ambiguous", "retry_after"} <= set(names)
    names += ["message", "stage", "reply", "hint", *attributes(type(error))]
    return type(error), str(error), {name: getattr(error, name) for name in names}


@given(receipts)
def test_a_receipt_comes_back_as_it_was(receipt: OutboxReceipt) -> None:
    back = records.load(receipt.id, receipt.status, records.dump(receipt))
    for name in ("id", "status", "reply", "message_id", "attempts", "elapsed", "tls", "interruptions"):
        assert getattr(back, name) == getattr(receipt, name), name
    for was, result in zip(receipt.recipients, back.recipients, strict=True):
        assert (result.address, result.status, result.reply) == (was.address, was.status, was.reply)
        assert answers(result.error) == answers(was.error)
    assert answers(back.error) == answers(receipt.error)
    assert back.error is None or back.error.receipt is back
    positive = receipt.reply is not None and receipt.reply.is_positive
    assert back.queue_id == (receipt.reply.queue_id if positive and receipt.reply else None)


UNUSUAL: tuple[dict[str, Any], ...] = (
    {}, {"attempts": 3}, {"elapsed": 2.5}, {"interruptions": 1}, {"error": SMTPError("no")}, {"message_id": None},
    {"reply": Reply(451, ("4.3.0 später",))}, {"tls": TLSInfo("TLSv1.3", "AES", None, True, False)},
    {"carried": {"traceparent": "00-1"}},
    {"recipients": (RecipientResult("ä@x.example", RecipientStatus.REFUSED, Reply(550, ("no",))),)},
    {"recipients": (RecipientResult("a@x.example", RecipientStatus.REFUSED, None, SMTPError("no")),)},
)  # fmt: skip


@pytest.mark.parametrize("fields", UNUSUAL, ids=str)
def test_the_record_of_what_is_put_leaves_nothing_out(fields: dict[str, Any]) -> None:
    """Most records that are put have a recipient and an id alone; each of these has something else beside."""
    to = RecipientResult('"ä\\"b"@x.example', RecipientStatus.NOT_SENT)
    receipt = OutboxReceipt("1", Status.PENDING, (to,), message_id="<1@x.example>", attempts=0)
    receipt = receipt.changed(**fields)
    back = records.load("1", Status.PENDING, records.dump(receipt))
    for name in ("message_id", "attempts", "elapsed", "interruptions", "reply", "tls", "carried"):
        assert getattr(back, name) == getattr(receipt, name), name
    for was, found in zip(receipt.recipients, back.recipients, strict=True):
        assert (found.address, found.status, found.reply) == (was.address, was.status, was.reply)
        assert answers(found.error) == answers(was.error)
    assert answers(back.error) == answers(receipt.error)


def test_an_error_of_somebody_elses_class_comes_back_as_the_root() -> None:
    class Unheard(SMTPError):
        pass

    receipt = OutboxReceipt("1", Status.ERROR, (), error=Unheard("broken", stage=Stage.MAIL))
    back = records.load("1", Status.ERROR, records.dump(receipt))
    assert type(back.error) is SMTPError and back.error.message == "broken" and back.error.stage is Stage.MAIL


def round_trip(error: SMTPError) -> SMTPError:
    back = records.load("1", Status.PENDING, records.dump(OutboxReceipt("1", Status.PENDING, (), error=error)))
    assert back.error is not None
    return back.error


def test_a_refused_login_that_was_said_with_4xx_stays_what_it_was() -> None:
    error = errors.AuthenticationFailed("no", stage=Stage.AUTH, reply=Reply(454, ("4.7.0 Too many logins",)))
    error.is_lasting, error.rests, error.mechanism, error.problem = True, 300.0, "XOAUTH2", {"status": "401"}
    back = round_trip(error)
    assert answers(back) == answers(error) and back.retry_after == 300.0 and not back.temporary


class OwnError(SMTPError):
    temporary = property(lambda self: True)
    retry_after = property(lambda self: 12.0)


class OwnLoss(ConnectionFailed):
    pass


class OwnRefusal(errors.ReplyError):
    temporary = property(lambda self: False)


def test_the_answers_of_somebody_elses_class_are_kept() -> None:
    assert (round_trip(OwnError("x")).temporary, round_trip(OwnError("x")).retry_after) == (True, 12.0)
    assert round_trip(round_trip(OwnError("x"))).temporary
    lost = OwnLoss("x")
    lost.is_lasting = True
    assert type(round_trip(lost)) is ConnectionFailed and not round_trip(lost).temporary
    assert not round_trip(OwnRefusal("x", reply=Reply(450, ("later",)))).temporary


def test_what_a_newer_version_wrote_is_kept() -> None:
    reply = [250, "2.0.0 queued as 4711"]
    newer: dict[str, Any] = {
        "recipients": [["a@x.org", "accepted", reply, 0], ["b@x.org", "deferred", [], 1, "more"],
                       ["c@x.org", "not sent", [], 2]],
        "reply": reply,
        "error": 1,
        "errors": [
            {"type": "QuotaExceeded", "message": "full", "stage": "BURL", "temporary": True, "retry_after": 60,
             "more": {"quota": 5}, "new": [1]},
            {"type": "ConnectionFailed", "message": "lost", "more": {"is_lasting": True, "ttl": 3}},
        ],
        "tls": {"protocol": "TLSv1.4", "cipher": "X", "certificate": ["f", None, None, None, "k"],
                "is": [True, False, 1], "ech": True},
        "signature": {"d": "x.org"},
    }  # fmt: skip
    receipt = records.load("1", Status.PENDING, json.dumps(newer))
    assert [result.status for result in receipt.recipients] == [
        RecipientStatus.ACCEPTED, RecipientStatus.UNKNOWN, RecipientStatus.NOT_SENT,
    ]  # fmt: skip
    assert receipt.error is not None and receipt.error.temporary and receipt.error.retry_after == 60
    assert receipt.tls is not None and receipt.tls.cipher == "X"
    later = receipt.changed(attempts=1)
    assert json.loads(records.dump(later)) == {**newer, "attempts": 1}


def test_what_is_asked_of_the_server_comes_back_as_it_was() -> None:
    options = DeliveryOptions(
        dsn=DSN(notify="failure", envid="4711", recipients=(RecipientDSN(address="b@x.org", notify="never"),)),
        deliver_by=DeliverBy(within=timedelta(hours=1)),
        priority=3,
        hold_until=datetime(2030, 1, 1, tzinfo=UTC),
        require_tls=True,
        optional=frozenset({"dsn", "priority"}),
    )
    assert records.load_options(records.dump_options(options)) == options
    assert records.load_options(records.dump_options(None)) is None


def test_a_thousand_recipients_share_one_error() -> None:
    error = SMTPError("lost " * 100, stage=Stage.MAIL)
    results = tuple(
        RecipientResult(f"r{number}@x.org", RecipientStatus.NOT_SENT, None, error) for number in range(1000)
    )
    assert len(records.dump(OutboxReceipt("1", Status.PENDING, results, error=error))) < 50_000


def test_an_error_of_a_record_names_its_server() -> None:
    error = errors.ContentRefused("no", stage=Stage.CONTENT, reply=Reply(554, ("no",)))
    error.name_server("mail.example.com:587")
    receipt = OutboxReceipt("1", Status.ERROR, (), error=error)
    back = records.load("1", Status.ERROR, records.dump(receipt)).error
    assert back is not None and back.server == "mail.example.com:587"


def test_what_is_stored_again_keeps_its_traits() -> None:
    """A message that goes from one outbox to another may still be rewritten, signed, or left unsigned."""
    stored = StoredContent(1, None, 31, False, lambda: iter((b"x",)))
    assert traits_of(stored) == 31 and stored.is_sealed and stored.awaits_signature and stored.is_8bit
