"""Transports of other packages: the one of the documentation keeps the contract, and an entry point gives it a URL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_readme import FENCE, PAGES
from tests.worlds import World
from wlsmtp import (
    AsyncSMTPSession,
    ConfigError,
    ConnectionFailed,
    ContentRefused,
    DeadlineExceeded,
    Envelope,
    MemoryTransport,
    Message,
    OutcomeUnknown,
    Receipt,
    RecipientResult,
    RecipientStatus,
    Reply,
    RetryPolicy,
    SMTPError,
    SMTPSession,
    Status,
)
from wlsmtp.events import Event, Retrying
from wlsmtp.smtp.connection import ServerInfo
from wlsmtp.testing.transport_contract import TransportContract
from wlsmtp.transports import (
    ByDomainTransport,
    Content,
    Deadlines,
    EmlTransport,
    FailoverTransport,
    Outcome,
    Transport,
    WholeTransport,
)

PAGE = next(page for page in PAGES if page.stem == "transports").read_text(encoding="utf-8")
EXAMPLE = next(block for block in FENCE.findall(PAGE) if "class JSONLinesTransport" in block)
TESTS = next(block for block in FENCE.findall(PAGE) if "class TestJSONLines" in block)

NAMESPACE: dict[str, Any] = {}
exec(compile(EXAMPLE + TESTS, "docs/guides/transports.md", "exec"), NAMESPACE)
Example: Any = NAMESPACE["TestJSONLines"]


class TestTheExample(Example, TransportContract):  # type: ignore[misc]
    pass


def test_the_example_leaves_no_part_of_a_message_when_the_file_cannot_grow(tmp_path: Path) -> None:
    limit = 2000
    code = f"""
import resource, signal
from wlsmtp import Message, SMTPSession
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
session = SMTPSession(transport=JSONLinesTransport({str(tmp_path / "out.jsonl")!r}))
for size in (10, 3000, 20):
    message = Message(sender="ann@example.com", to="bob@example.org", text="x" * size)
    [receipt] = session.send_all([message])
    print(receipt.status)
"""
    run = subprocess.run([sys.executable, "-c", EXAMPLE + code], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("sent\nerror\nsent\n", "")
    contents = [json.loads(line)["content"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [content.count("x" * 10) for content in contents] == [1, 2]


@pytest.mark.parametrize("face", ["SMTPSession", "AsyncSMTPSession"])
def test_an_entry_point_makes_its_name_a_scheme(tmp_path: Path, face: str) -> None:
    package = tmp_path / "site"
    (package / "example-1.0.dist-info").mkdir(parents=True)
    (package / "example.py").write_text(EXAMPLE)
    (package / "example-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    points = "[wlsmtp.transports]\njsonlines = example:JSONLinesTransport\n"
    (package / "example-1.0.dist-info" / "entry_points.txt").write_text(points)
    code = f"""
import asyncio, inspect, sys
sys.path.insert(0, {str(package)!r})
from wlsmtp import {face}, Message
async def wait(result): return await result
session = {face}.from_url("failover(jsonlines://{tmp_path}/out.jsonl)")
result = session.send(Message(sender="ann@example.com", to="bob@example.org", text="x"))
receipt = asyncio.run(wait(result)) if inspect.isawaitable(result) else result
print(receipt.status)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("sent\n", "")
    assert json.loads((tmp_path / "out.jsonl").read_text())["recipients"] == ["bob@example.org"]


class EndsEarly(MemoryTransport):
    """Reads two messages of a stream, reports one, and ends the stream."""

    async def deliver_many(
        self, mails: Any, deadlines: Any, connections: int | None = None
    ) -> AsyncGenerator[Any, None]:
        read = []
        async for mail in mails:
            read.append(mail)
            if len(read) == 2:
                break
        for first in read[:1]:
            yield [await self.deliver(first.envelope, first.content, deadlines())]


def test_a_stream_that_ends_early_leaves_no_message_unreported(world: World) -> None:
    messages = [Message(sender="ann@example.com", to=f"u{number}@example.org", text="x") for number in range(3)]
    receipts: list[Receipt] = []
    with world.session(transport=EndsEarly()) as session:
        with pytest.raises(SMTPError, match=r"EndsEarly ended the stream; the rest of the input was not sent"):
            for receipt in session.send_many(messages):
                receipts.append(receipt)  # noqa: PERF402 - kept when it raises
        assert [receipt.status for receipt in receipts] == [Status.SENT, Status.UNKNOWN]
        assert [result.status for result in receipts[1].recipients] == [RecipientStatus.UNKNOWN]
        assert (session.statistics().sent, session.statistics().unknown) == (1, 1)


def test_after_a_stream_that_ends_early_no_message_has_the_receipt_of_another(world: World) -> None:
    messages = [Message(sender="ann@example.com", to=f"u{number}@example.org", text="x") for number in range(4)]
    with world.session(transport=FailoverTransport(EndsEarly())) as session:
        receipts = list(session.send_many(messages))
    # One that ends early counts as down, and then gets the messages one by one.
    assert [receipt.status for receipt in receipts] == [Status.SENT, Status.UNKNOWN, Status.SENT, Status.SENT]
    assert [receipt.message_id for receipt in receipts] == [message.message_id for message in messages]
    assert [receipt.recipients[0].address for receipt in receipts] == [f"u{number}@example.org" for number in range(4)]


def test_one_object_serves_several_sessions_of_one_kind(world: World, tmp_path: Path) -> None:
    transport = EmlTransport(tmp_path)
    with world.session(transport=transport) as one, world.session(transport=transport) as other:
        for session in (one, other, one):
            assert session.send(sender="ann@example.com", to="bob@example.org", text="x")
    assert len([*tmp_path.glob("*.eml")]) == 3


def test_one_object_does_not_serve_sessions_of_both_kinds(world: World) -> None:
    transport = MemoryTransport()
    other = AsyncSMTPSession if world.name == "blocking" else SMTPSession
    with world.session(transport=transport) as session:
        with pytest.raises(ConfigError, match="cannot serve a blocking session and one for asyncio"):
            other(transport=transport)
        assert session.send(sender="ann@example.com", to="bob@example.org", text="x")


def test_a_combination_belongs_to_one_session(world: World) -> None:
    member = MemoryTransport()
    transport = FailoverTransport(member, retry_after=5)
    with world.session(transport=transport) as session:
        with pytest.raises(ConfigError, match=r"this FailoverTransport belongs to another session\. Make one for each"):
            world.session(transport=transport)
        with world.session(transport=FailoverTransport(member)) as other:
            assert other.send(sender="ann@example.com", to="bob@example.org", text="x")
        assert session.send(sender="ann@example.com", to="bob@example.org", text="x")
    assert len(member.messages) == 2


def test_a_transport_that_a_session_has_refused_is_free_for_another(world: World) -> None:
    transport = ByDomainTransport({"*": "memory:"})
    with pytest.raises(ConfigError, match="partial"):
        world.session(transport=transport, partial="abort")
    with world.session(transport=transport) as session:
        assert session.send(sender="ann@example.com", to="bob@example.org", text="x")


def outcome_of(envelope: Envelope, *statuses: RecipientStatus) -> Outcome:
    return Outcome(tuple(map(RecipientResult, envelope.addresses, statuses)))


ACCEPTED, NOT_SENT, UNKNOWN = RecipientStatus.ACCEPTED, RecipientStatus.NOT_SENT, RecipientStatus.UNKNOWN
TO = ["bob@example.org", "cleo@example.net"]
BOTH_IN_DOUBT = [UNKNOWN, UNKNOWN]
LIES: dict[str, tuple[Callable[[Envelope], Any], list[RecipientStatus], str]] = {
    "one recipient is missing": (
        lambda envelope: outcome_of(envelope, ACCEPTED),
        [ACCEPTED, UNKNOWN],
        "returned no clear result for cleo@example.net",
    ),
    "no recipient at all": (lambda envelope: Outcome(()), BOTH_IN_DOUBT, "no clear result for bob@example.org, cleo"),
    "another recipient": (
        lambda envelope: Outcome.of(["bob@example.org", "dora@example.org"], ACCEPTED),
        [ACCEPTED, UNKNOWN],
        "no clear result for cleo@example.net",
    ),
    "one recipient is both accepted and not": (
        lambda envelope: Outcome((*Outcome.of(TO, ACCEPTED).recipients, *Outcome.of(TO[:1], NOT_SENT).recipients)),
        [UNKNOWN, ACCEPTED],
        "no clear result for bob@example.org",
    ),
    "nothing": (lambda envelope: None, BOTH_IN_DOUBT, "returned nothing, not an Outcome"),
    "a truth value": (lambda envelope: True, BOTH_IN_DOUBT, "returned a bool, not an Outcome"),
    "its type": (lambda envelope: Outcome, BOTH_IN_DOUBT, "returned a type, not an Outcome"),
    "texts in place of results": (
        lambda envelope: Outcome(tuple(TO)),  # type: ignore[arg-type]
        BOTH_IN_DOUBT,
        "recipients are not RecipientResults",
    ),
    "a status that is none": (
        lambda envelope: Outcome.of(TO, "sent"),  # type: ignore[arg-type]
        BOTH_IN_DOUBT,
        "a status that is a str",
    ),
    "a text in place of a reply": (
        lambda envelope: Outcome.of(TO, ACCEPTED, reply="250 Ok"),  # type: ignore[arg-type]
        BOTH_IN_DOUBT,
        "a reply that is a str",
    ),
    "an error that is none of this package": (
        lambda envelope: Outcome.of(TO, NOT_SENT, error=OSError()),  # type: ignore[arg-type]
        BOTH_IN_DOUBT,
        "an error that is an OSError",
    ),
    "in doubt without an error": (
        lambda envelope: outcome_of(envelope, ACCEPTED, UNKNOWN),
        [ACCEPTED, UNKNOWN],
        "did not deliver the message, and did not say why",
    ),
}
WAYS = ("send", "send_many", "failover", "failover, send_many", "by_domain", "outbox")


class Liar(Transport):
    """Returns a given value as its outcome."""

    def __init__(self, lie: Callable[[Envelope], Any]) -> None:
        self.lie = lie

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        return self.lie(envelope)  # type: ignore[no-any-return]


def receipt_by(world: World, way: str, transport: Transport) -> Receipt:
    """Send a message to two recipients by a third-party transport, in one of the ways."""
    if way.startswith("failover"):
        transport = FailoverTransport(transport, MemoryTransport())
    elif way == "by_domain":
        transport = ByDomainTransport({"*": transport})
    message = Message(sender="ann@example.com", to=TO, text="x")
    with world.session(transport=transport, mode="async" if way == "outbox" else "sync") as session:
        if way == "outbox":
            receipt: Receipt = session.wait(session.send(message))
        elif way.endswith("send_many"):
            [receipt] = session.send_many([message])
        else:
            try:
                receipt = session.send(message)
            except SMTPError as error:
                assert error.receipt is not None
                receipt = error.receipt
    return receipt


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lie", LIES)
def test_no_recipient_counts_as_served_unless_the_transport_says_so(world: World, lie: str, way: str) -> None:
    outcome, expected, words = LIES[lie]
    receipt = receipt_by(world, way, Liar(outcome))
    assert [(result.address, result.status) for result in receipt.recipients] == list(zip(TO, expected, strict=True))
    assert not receipt and isinstance(receipt.error, OutcomeUnknown)
    assert "Liar" in str(receipt.error) and words in str(receipt.error)


@pytest.mark.parametrize("way", WAYS)
def test_results_in_another_order_are_put_in_order(world: World, way: str) -> None:
    receipt = receipt_by(world, way, Liar(lambda envelope: Outcome.of(reversed(envelope.addresses), ACCEPTED)))
    assert receipt and [result.address for result in receipt.recipients] == TO


def test_a_recipient_that_was_not_sent_to_without_a_word_goes_to_the_next_transport(world: World) -> None:
    other = MemoryTransport()
    transport = FailoverTransport(Liar(lambda envelope: outcome_of(envelope, ACCEPTED, NOT_SENT)), other)
    with world.session(transport=transport) as session:
        assert session.send(Message(sender="ann@example.com", to=TO, text="x"))
    assert [message.recipients for message in other.messages] == [("cleo@example.net",)]


class Plain(Transport):
    """Forgets "async"."""

    def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:  # type: ignore[override]
        return Outcome.of(envelope.addresses, ACCEPTED)


@pytest.mark.parametrize("way", WAYS)
def test_a_deliver_that_is_not_async_is_named(world: World, way: str) -> None:
    if way.endswith("send_many") or way == "outbox":
        return  # the inherited stream awaits it
    assert "Plain.deliver must be 'async def'" in str(receipt_by(world, way, Plain()).error)


class Carrier(WholeTransport):
    def __init__(self, result: Any) -> None:
        self.result = result

    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Reply | None:
        return self.result  # type: ignore[no-any-return]


@pytest.mark.parametrize("way", WAYS)
def test_a_negative_reply_that_is_returned_is_a_refusal(world: World, way: str) -> None:
    receipt = receipt_by(world, way, Carrier(Reply(550, ("5.7.1 No",))))
    assert {result.status for result in receipt.recipients} == {RecipientStatus.REFUSED}
    assert isinstance(receipt.error, ContentRefused) and "Carrier" in str(receipt.error)


@pytest.mark.parametrize("way", WAYS)
def test_a_carry_that_returns_no_reply_leaves_the_message_in_doubt(world: World, way: str) -> None:
    receipt = receipt_by(world, way, Carrier("250 Ok"))
    assert {result.status for result in receipt.recipients} == {UNKNOWN}
    assert "Carrier.carry returned str, neither a Reply nor None" in str(receipt.error)


class Collects(MemoryTransport):
    """Delivers a stream in batches of three, and does not look at None."""

    batch = 3

    async def deliver_many(
        self, mails: Any, deadlines: Any, connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        read = []
        async for mail in mails:
            if mail is not None:
                read.append(mail)
            if len(read) == self.batch:
                yield [await self.deliver(one.envelope, one.content, deadlines()) for one in read]
                read = []
        yield [await self.deliver(one.envelope, one.content, deadlines()) for one in read]


@pytest.mark.parametrize("combined", [False, True])
def test_a_stream_that_ignores_none_is_ended_and_begun_again(
    world: World, combined: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("wlsmtp.batch.SLOW", -1)  # each message of the input counts as slow
    inner = Collects()
    transport = FailoverTransport(inner) if combined else inner
    with world.session(transport=transport) as session:
        receipts = list(session.send_many(Message(sender="ann@example.com", to=TO, text="x") for _ in range(5)))
    assert [receipt.status for receipt in receipts] == [Status.SENT] * 5
    assert len(inner.messages) == 5
    [warning] = [record for record in caplog.records if "ignores None" in record.getMessage()]
    assert warning.getMessage().startswith("Collects.deliver_many ignores None among the mails")


def test_a_stream_that_ignores_none_and_forgets_what_it_had_leaves_it_in_doubt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgets(Collects):
        async def deliver_many(
            self, mails: Any, deadlines: Any, connections: int | None = None
        ) -> AsyncGenerator[list[Outcome], None]:
            async for _ in mails:
                pass
            return
            yield []

    monkeypatch.setattr("wlsmtp.batch.SLOW", -1)
    with world.session(transport=Forgets()) as session:
        receipts = list(session.send_many(Message(sender="ann@example.com", to=TO, text="x") for _ in range(3)))
    assert [receipt.status for receipt in receipts] == [Status.UNKNOWN] * 3


STREAMS: dict[str, tuple[Callable[[Outcome], Any], str]] = {
    "an outcome in no list": (lambda outcome: outcome, "Streams.deliver_many yielded an Outcome, not a list"),
    "nothing": (lambda outcome: None, "Streams.deliver_many yielded nothing, not a list"),
    "two for one": (lambda outcome: [outcome] * 2, "yielded more outcomes than it had read messages"),
}


@pytest.mark.parametrize("outbox", [False, True])
@pytest.mark.parametrize("fault", STREAMS)
def test_a_stream_of_nonsense_leaves_what_it_had_in_doubt(world: World, fault: str, outbox: bool) -> None:
    made, words = STREAMS[fault]

    class Streams(Liar):
        async def deliver_many(
            self, mails: Any, deadlines: Any, connections: int | None = None
        ) -> AsyncGenerator[list[Outcome], None]:
            async for mail in mails:
                yield made(await self.deliver(mail.envelope, mail.content, deadlines()))

    transport = Streams(lambda envelope: Outcome.of(envelope.addresses, ACCEPTED))
    message = Message(sender="ann@example.com", to=TO, text="x")
    if outbox:
        with world.session(transport=transport, mode="async") as session:
            final = session.wait(session.send(message))
    else:
        with world.session(transport=transport) as session, pytest.raises(SMTPError, match="Streams ended the stream"):
            for final in session.send_many([message]):  # noqa: B007 - the last is looked at
                pass
    assert final.status is Status.UNKNOWN and words in str(final.error)


def test_a_deliver_many_that_yields_nothing_is_a_config_error(world: World) -> None:
    class Returns(Liar):
        async def deliver_many(  # type: ignore[override]
            self, mails: Any, deadlines: Any, connections: int | None = None
        ) -> list[Outcome]:
            return []

    with (
        world.session(transport=Returns(lambda envelope: None)) as session,
        pytest.raises(ConfigError, match=r"Returns\.deliver_many must be an async generator"),
    ):
        list(session.send_many([Message(sender="ann@example.com", to=TO, text="x")]))


class ReadsNothing(MemoryTransport):
    streams = 0

    async def deliver_many(
        self, mails: Any, deadlines: Any, connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        self.streams += 1
        return
        yield []


def test_a_stream_that_reads_nothing_is_begun_once_for_each_message_at_most(world: World) -> None:
    message = Message(sender="ann@example.com", to=TO, text="x")
    inner = ReadsNothing()
    with world.session(transport=FailoverTransport(inner)) as session:
        assert all(session.send_many([message] * 3))  # one by one, as it counts as down
    assert (inner.streams, len(inner.messages)) == (4, 3)


def test_a_worker_pauses_when_its_transport_reads_nothing(world: World) -> None:
    transport, pauses = ReadsNothing(), list[float]()
    policy = RetryPolicy(backoff=30, jitter=0)

    def note(event: Event) -> None:
        if isinstance(event, Retrying):
            pauses.append(event.delay)

    with world.session(transport=transport, mode="async", retry=policy, listeners=[note]) as session:
        pending = session.send(Message(sender="ann@example.com", to=TO, text="x"))
        session.flush(0.3)
        assert session.status(pending.id) is Status.PENDING
        session.cancel(pending.id)
    assert (transport.streams, pauses) == (1, [30])


class Raises(Transport):
    """Raises what it must not for messages to Bob."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.served: list[str] = []

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        if envelope.addresses[0].startswith("bob"):
            raise self.error
        self.served.extend(envelope.addresses)
        return Outcome.of(envelope.addresses, ACCEPTED)


class RaisesInCarry(Raises, WholeTransport):
    certain = UNKNOWN

    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Reply | None:
        deadlines.certain = self.certain
        await Raises.deliver(self, envelope, content, deadlines)
        return None

    deliver = WholeTransport.deliver


class RaisesInStream(Raises):
    async def deliver_many(
        self, mails: Any, deadlines: Any, connections: int | None = None
    ) -> AsyncGenerator[list[Outcome], None]:
        async for mail in mails:
            yield [] if mail is None else [await Raises.deliver(self, mail.envelope, mail.content, deadlines())]


RAISED: list[Exception] = [OSError(111, "Connection refused"), ValueError("secret words"), RuntimeError()]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [Raises, RaisesInCarry, RaisesInStream])
@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_what_a_transport_raises_leaves_the_message_in_doubt(
    world: World, caplog: pytest.LogCaptureFixture, error: Exception, kind: type[Raises], way: str
) -> None:
    receipt = receipt_by(world, way, kind(error))
    assert [(result.address, result.status) for result in receipt.recipients] == [(one, UNKNOWN) for one in TO]
    assert isinstance(receipt.error, OutcomeUnknown) and "secret words" not in f"{receipt.error} {caplog.text}"
    assert f"{kind.__name__}." in str(receipt.error) and f"raised {type(error).__name__}" in str(receipt.error)
    assert way == "outbox" or receipt.error.__cause__ is error


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_this_package_that_deliver_raises_leaves_recipients_in_doubt(world: World, way: str) -> None:
    # It may have come from the second of two connections, when the first had delivered to some of them.
    receipt = receipt_by(world, way, Raises(ConnectionFailed("away")))
    assert receipt.status is Status.UNKNOWN and "Raises.deliver raised ConnectionFailed" in str(receipt.error)


CERTAIN: list[tuple[RecipientStatus, Exception, type[SMTPError] | None]] = [
    (NOT_SENT, OSError(), ConnectionFailed),
    (NOT_SENT, TimeoutError(), DeadlineExceeded),
    (NOT_SENT, KeyError(), SMTPError),
    (ACCEPTED, KeyError(), None),
]


@pytest.mark.parametrize(("certain", "error", "kind"), CERTAIN)
def test_what_carry_has_said_for_certain_counts_when_it_raises(
    world: World, certain: RecipientStatus, error: Exception, kind: type[SMTPError] | None
) -> None:
    transport = RaisesInCarry(error)
    transport.certain = certain
    with world.session(transport=transport, retry=RetryPolicy(attempts=1)) as session:
        [receipt] = session.send_many([Message(sender="ann@example.com", to=TO, text="x")])
    assert {result.status for result in receipt.recipients} == {certain}
    assert type(receipt.error) is (kind or type(None))


@pytest.mark.parametrize("combined", [False, True])
@pytest.mark.parametrize("kind", [Raises, RaisesInCarry, RaisesInStream])
def test_the_other_messages_of_a_stream_have_their_receipts(world: World, kind: type[Raises], combined: bool) -> None:
    names = ["a", "bob", "c", "bob", "bob", "d"]
    messages = [Message(sender="ann@example.com", to=f"{name}@example.org", text="x") for name in names]
    inner = kind(OSError())
    with world.session(transport=ByDomainTransport({"*": inner}) if combined else inner) as session:
        receipts = list(session.send_many(messages))
    expected = [Status.UNKNOWN if name == "bob" else Status.SENT for name in names]
    assert [receipt.status for receipt in receipts] == expected
    assert inner.served == ["a@example.org", "c@example.org", "d@example.org"]


def test_a_stream_that_raises_each_time_is_ended(world: World) -> None:
    messages = [Message(sender="ann@example.com", to="bob@example.org", text="x") for _ in range(9)]
    receipts: list[Receipt] = []
    with (
        world.session(transport=RaisesInStream(OSError())) as session,
        pytest.raises(SMTPError, match="RaisesInStream ended the stream; the rest of the input was not sent"),
    ):
        for receipt in session.send_many(messages):
            receipts.append(receipt)  # noqa: PERF402 - kept when it raises
    assert [receipt.status for receipt in receipts] == [Status.UNKNOWN] * 3


@pytest.mark.parametrize("kind", [Raises, RaisesInCarry, RaisesInStream])
def test_a_worker_pauses_after_a_message_when_its_transport_raises(world: World, kind: type[Raises]) -> None:
    pauses = list[float]()

    def note(event: Event) -> None:
        if isinstance(event, Retrying):
            pauses.append(event.delay)

    policy = RetryPolicy(backoff=30, jitter=0)
    with world.session(transport=kind(OSError()), mode="async", retry=policy, listeners=[note]) as session:
        pending = session.send(Message(sender="ann@example.com", to="bob@example.org", text="x"))
        assert session.wait(pending).status is Status.UNKNOWN
    assert pauses == [30]  # a transport that raises may do so for all mail


class Interrupt(BaseException):
    pass


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("kind", [Raises, RaisesInCarry, RaisesInStream])
def test_what_is_no_error_goes_on(world: World, kind: type[Raises], many: bool) -> None:
    message = Message(sender="ann@example.com", to=TO, text="x")
    with world.session(transport=kind(Interrupt())) as session, pytest.raises(Interrupt):
        list(session.send_many([message])) if many else session.send(message)


@pytest.mark.parametrize("kind", [Raises, RaisesInStream])
def test_an_error_of_the_input_is_not_the_transports(world: World, kind: type[Raises]) -> None:
    def messages() -> Iterator[Message]:
        yield Message(sender="ann@example.com", to="a@example.org", text="x")
        raise LookupError

    receipts: list[Receipt] = []
    with world.session(transport=kind(OSError())) as session, pytest.raises(LookupError):
        for receipt in session.send_many(messages()):
            receipts.append(receipt)  # noqa: PERF402 - kept when it raises
    assert [receipt.status for receipt in receipts] == [Status.SENT]


class FailsAround(MemoryTransport):
    """Raises what it must not in everything but ``deliver``."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def open(self, deadlines: Deadlines) -> None:
        raise self.error

    async def close(self, deadlines: Deadlines) -> None:
        raise self.error

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        raise self.error

    async def examine(self, deadlines: Deadlines) -> dict[str, str]:
        raise self.error


class Closes(MemoryTransport):
    closed = 0

    async def close(self, deadlines: Deadlines) -> None:
        self.closed += 1


AROUND = [(OSError, ConnectionFailed), (TimeoutError, DeadlineExceeded), (LookupError, SMTPError)]


@pytest.mark.parametrize("method", ["open", "verify", "examine", "close"])
@pytest.mark.parametrize(("raised", "expected"), AROUND)
def test_what_is_raised_around_a_delivery_is_an_error_of_this_package(
    world: World, raised: type[Exception], expected: type[SMTPError], method: str
) -> None:
    session = world.session(transport=FailsAround(raised("secret")))
    with pytest.raises(expected, match=rf"FailsAround\.{method} raised {raised.__name__}") as caught:
        getattr(session, method)()
    assert type(caught.value) is expected
    assert isinstance(caught.value.__cause__, raised)
    assert "secret" not in str(caught.value)


def test_a_member_that_raises_when_it_is_opened_is_one_that_is_down(world: World) -> None:
    other = MemoryTransport()
    session = world.session(transport=FailoverTransport(FailsAround(OSError()), other))
    session.open()
    with pytest.raises(ConnectionFailed):
        session.close()


@pytest.mark.parametrize("error", [OSError(), LookupError()])
@pytest.mark.parametrize(
    "kind", [FailoverTransport, lambda *both: ByDomainTransport(dict(zip("ab", both, strict=True)))]
)
def test_a_member_that_raises_when_it_is_closed_leaves_no_other_open(
    world: World, kind: Callable[..., Transport], error: Exception
) -> None:
    other = Closes()
    session = world.session(transport=kind(FailsAround(error), other))
    with pytest.raises(SMTPError, match=r"FailsAround\.close raised"):
        session.close()
    assert other.closed == 1


def test_a_worker_sends_although_its_transport_raises_when_it_is_opened(world: World) -> None:
    transport = FailsOnce()
    with world.session(transport=transport, mode="async") as session:
        session.close()
        session.open()
        pending = session.send(Message(sender="ann@example.com", to=TO, text="x"))
        assert session.wait(pending).status is Status.SENT


def test_a_method_that_is_not_async_is_named(world: World) -> None:
    session = world.session(transport=OpensAtOnce())
    with pytest.raises(ConfigError, match=r"OpensAtOnce\.open must be 'async def'"):
        session.open()


class FailsOnce(MemoryTransport):
    times = 0

    async def open(self, deadlines: Deadlines) -> None:
        self.times += 1
        if self.times == 1:
            raise OSError


class OpensAtOnce(MemoryTransport):
    def open(self, deadlines: Deadlines) -> None:  # type: ignore[override]
        return


@pytest.mark.parametrize("face", [SMTPSession, AsyncSMTPSession])
def test_the_transport_of_a_session_is_the_one_that_was_given(face: type[SMTPSession | AsyncSMTPSession]) -> None:
    transport = FailsOnce()
    assert face(transport=transport).transport is transport
