"""A receipt survives being written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import errors
from wlsmtp.errors import ConnectionFailed, SMTPError, Stage
from wlsmtp.io.base import Certificate, TLSInfo
from wlsmtp.options import DSN, DeliverBy, DeliveryOptions, RecipientDSN
from wlsmtp.outbox import records
from wlsmtp.outbox.receipt import OutboxReceipt
from wlsmtp.receipt import RecipientResult, RecipientStatus, Status
from wlsmtp.wire.reply import Reply

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SMTPError)]

texts = st.text(max_size=40)
replies = st.builds(Reply, st.integers(200, 599), st.lists(texts, min_size=1, max_size=3).map(tuple))


@st.composite
def failures(draw: Any) -> SMTPError:
    kind = draw(st.sampled_from(KINDS))
    stage, reply, hint = draw(st.none() | st.sampled_from(Stage)), draw(st.none() | replies), draw(st.none() | texts)
    error: SMTPError = kind(draw(texts), stage=stage, reply=reply, hint=hint or None)
    if isinstance(error, ConnectionFailed):
        error.is_lasting = draw(st.booleans())
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
    return (
        type(error),
        error.message,
        error.stage,
        error.reply,
        error.hint,
        error.temporary,
        error.ambiguous,
        str(error),
    )


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


def test_an_error_of_somebody_elses_class_comes_back_as_the_root() -> None:
    class OwnError(SMTPError):
        pass

    receipt = OutboxReceipt("1", Status.ERROR, (), error=OwnError("broken", stage=Stage.MAIL))
    back = records.load("1", Status.ERROR, records.dump(receipt))
    assert type(back.error) is SMTPError and back.error.message == "broken" and back.error.stage is Stage.MAIL


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
