"""Several servers as one: who gets what is left, who is left alone for a while, and nobody twice."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wlsmtp
from tests.worlds import World
from wlsmtp import (
    Message,
    Pipelining,
    RecipientStatus,
    RetryPolicy,
    SessionConfig,
    Stage,
    Status,
    Timeouts,
    Transport,
)
from wlsmtp.errors import ConnectionFailed, OutcomeUnknown, SenderRefused
from wlsmtp.events import Attempted, Event
from wlsmtp.io.blocking import run as run_blocking
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import Outcome
from wlsmtp.results.reply import Reply
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.testing import CLOSE, RESET, SILENCE, ReceivedMessage, SMTPServer
from wlsmtp.testing.conversation import Ended
from wlsmtp.transports import FailoverTransport, MemoryTransport, RoundRobinTransport
from wlsmtp.transports.members import Member

ANN, BOB, CLEO = "ann@example.com", "bob@example.org", "cleo@example.net"
MESSAGE = Message(sender=ANN, to=[BOB, CLEO], text="x")
NO_RETRY = RetryPolicy(attempts=1)
NOWHERE = "smtp://127.0.0.1:1"


@pytest.fixture
def servers() -> Iterator[tuple[SMTPServer, SMTPServer]]:
    with SMTPServer() as one, SMTPServer() as two:
        yield one, two


def play(world: World, coroutine: Any) -> Any:
    return world.run(coroutine) if world.name == "asyncio" else run_blocking(coroutine)


async def now(transport: Transport) -> float:
    return transport.io.now()


def received(*servers: SMTPServer) -> list[Counter[str]]:
    return [Counter(name for message in server.messages for name in message.recipients) for server in servers]


class TestFailover:
    def test_the_first_carries_all_while_it_works(self, world: World, servers: tuple[SMTPServer, SMTPServer]) -> None:
        one, two = servers
        with world.from_url(f"failover({one.url}, {two.url})") as session:
            session.open()
            assert session.verify().server == f"{one.host}:{one.port}"
            assert session.capabilities is not None
            assert all(session.send_many([MESSAGE] * 5))
        assert received(one, two) == [{BOB: 5, CLEO: 5}, {}]

    def test_only_who_was_not_served_goes_on(self, world: World, servers: tuple[SMTPServer, SMTPServer]) -> None:
        one, two = servers
        one.refuse(BOB, "451 4.7.1 Greylisted")
        with world.from_url(f"failover({one.url}, {two.url})", retry=NO_RETRY) as session:
            receipt = session.send(MESSAGE)
        assert receipt.status is Status.SENT and receipt.error is None and receipt.attempts == 1
        assert received(one, two) == [{CLEO: 1}, {BOB: 1}]

    def test_what_was_refused_for_good_is_not_tried_elsewhere(
        self, world: World, servers: tuple[SMTPServer, SMTPServer]
    ) -> None:
        one, two = servers
        one.refuse(BOB, "550 5.1.1 No such user")
        with world.from_url(f"failover({one.url}, {two.url})") as session:
            receipt = session.send(MESSAGE)
        assert receipt.status is Status.PARTIAL and receipt.refused[0].address == BOB
        assert received(one, two) == [{CLEO: 1}, {}] and two.connections == 0

    def test_what_is_in_doubt_is_not_sent_twice(self, world: World, servers: tuple[SMTPServer, SMTPServer]) -> None:
        one, two = servers
        one.reply_to(".", CLOSE)
        with (
            world.from_url(f"failover({one.url}, {two.url})") as session,
            pytest.raises(OutcomeUnknown) as caught,
        ):
            session.send(MESSAGE)
        assert caught.value.receipt is not None and caught.value.receipt.status is Status.UNKNOWN
        assert two.connections == 0

    def test_all_or_nothing_goes_on_as_a_whole(self, world: World, servers: tuple[SMTPServer, SMTPServer]) -> None:
        one, two = servers
        one.refuse(BOB, "451 4.7.1 Greylisted")
        options: dict[str, Any] = {"partial": "abort", "retry": NO_RETRY}
        with world.from_url(f"failover({one.url}, {two.url})", **options) as session:
            assert session.send(MESSAGE).status is Status.SENT
            one.refuse(CLEO, "550 5.1.1 No such user")
            with pytest.raises(wlsmtp.RecipientsRefused):
                session.send(MESSAGE)
        assert received(one, two) == [{}, {BOB: 1, CLEO: 1}]

    def test_one_that_is_down_is_left_alone_and_each_try_is_told(self, world: World, smtp_server: SMTPServer) -> None:
        events: list[Event] = []
        url = f"failover({NOWHERE}, {smtp_server.url})?retry_after=300"
        with world.from_url(url, listeners=[events.append]) as session:
            assert all(session.send_many([MESSAGE] * 3))
        attempts = [event for event in events if isinstance(event, Attempted)]
        here = f"127.0.0.1:{smtp_server.port}"
        assert [(attempt.transport, attempt.seconds) for attempt in attempts] == [
            ("127.0.0.1:1", 300), (here, 0), (here, 0), (here, 0),
        ]  # fmt: skip
        assert isinstance(attempts[0].outcome.error, ConnectionFailed)

    @pytest.mark.parametrize("chunking", [True, False])
    def test_a_stream_goes_on_with_the_next_when_its_server_dies(self, world: World, chunking: bool) -> None:
        dying, two = DiesAfter(20), SMTPServer()
        message = b"Message-ID: <%d@x>\r\n\r\n"
        items = [(message % number, Envelope(ANN, [BOB])) for number in range(100)]
        with dying, two:
            options: dict[str, Any] = {"retry": NO_RETRY, "pipelining": Pipelining(chunking=chunking)}
            with world.from_url(f"failover({dying.url}, {two.url})", **options) as session:
                receipts = list(session.send_many(items))
                counts = session.face.statistics()
        assert [receipt.message_id for receipt in receipts] == [f"<{number}@x>" for number in range(100)]
        stored = Counter(one.header("Message-ID") for one in (*dying.messages, *two.messages))
        for receipt in receipts:
            assert receipt.status in (Status.SENT, Status.UNKNOWN)
            assert stored[receipt.message_id] == 1 if receipt else stored[receipt.message_id] <= 1
        assert len(dying.messages) == 20 and len(two.messages) >= 100 - 20 - Pipelining().max_in_flight
        # Both were given streams: each message over a connection of its own would have opened many more.
        assert counts.connections_opened <= 4 and two.connections <= 2

    def test_one_that_is_back_is_used_again(self, world: World, servers: tuple[SMTPServer, SMTPServer]) -> None:
        one, two = servers
        one.reply_to("CONNECT", "421 4.3.2 Closing", times=1)
        with world.from_url(f"failover({one.url}, {two.url})?retry_after=0") as session:
            assert all(session.send_many([MESSAGE] * 2))
        assert received(one, two) == [{BOB: 1, CLEO: 1}, {BOB: 1, CLEO: 1}]

    def test_when_all_are_left_alone_all_are_tried(self, world: World, servers: tuple[SMTPServer, SMTPServer]) -> None:
        one, two = servers
        for server in servers:
            server.reply_to("CONNECT", "421 4.3.2 Closing", times=1)
        with world.from_url(f"failover({one.url}, {two.url})?retry_after=300", retry=NO_RETRY) as session:
            with pytest.raises(wlsmtp.CommandRefused) as caught:
                session.send(MESSAGE)
            assert caught.value.stage is Stage.GREETING
            assert session.send(MESSAGE)

    def test_a_refused_message_is_no_reason_to_leave_a_server_alone(
        self, world: World, servers: tuple[SMTPServer, SMTPServer]
    ) -> None:
        one, two = servers
        one.reply_to("MAIL", "451 4.3.0 Later", times=1)
        with world.from_url(f"failover({one.url}, {two.url})?retry_after=300") as session:
            assert all(session.send_many([MESSAGE] * 2))
        assert received(one, two) == [{BOB: 1, CLEO: 1}, {BOB: 1, CLEO: 1}]

    def test_a_silent_server_leaves_time_for_the_next(
        self, world: World, servers: tuple[SMTPServer, SMTPServer]
    ) -> None:
        one, two = servers
        one.reply_to("CONNECT", SILENCE)
        with world.from_url(f"failover({one.url}, {two.url})", timeout=Timeouts(total=2)) as session:
            assert session.send(MESSAGE)
        assert received(one, two) == [{}, {BOB: 1, CLEO: 1}]

    def test_opening_is_content_with_one_and_says_why_there_is_none(
        self, world: World, smtp_server: SMTPServer
    ) -> None:
        with world.from_url(f"failover({NOWHERE}, {smtp_server.url})") as session:
            session.open()
            assert session.verify().server == f"127.0.0.1:{smtp_server.port}"
        with world.from_url(f"failover({NOWHERE}, {NOWHERE})") as session:
            for use in (session.open, session.verify):
                with pytest.raises(ConnectionFailed):
                    use()

    def test_servers_share_the_settings_and_a_url_may_have_its_own_user(self, world: World) -> None:
        users = {"ann": "one-secret", "bob": "two-secret"}
        with (
            SMTPServer(users=users, require_auth=True) as one,
            SMTPServer(users=users, require_auth=True) as two,
        ):
            own = two.url.replace("//", "//bob:two-secret@")
            options: dict[str, Any] = {"username": "ann", "password": "one-secret", "local_hostname": "me.example"}
            with world.from_url(f"roundrobin({one.url}, {own})", **options) as session:
                assert all(session.send_many([MESSAGE] * 2))
            assert [server.messages[0].username for server in (one, two)] == ["ann", "bob"]
            assert all((1, "C", b"EHLO me.example") in server.transcript for server in (one, two))

    def test_members_may_be_objects_settings_and_combinations(self, world: World, smtp_server: SMTPServer) -> None:
        nowhere = SessionConfig(server="127.0.0.1", port=1)
        last = MemoryTransport()
        nested = FailoverTransport(nowhere, f"failover({NOWHERE})")
        with world.session(transport=FailoverTransport(nested, last), retry=NO_RETRY) as session:
            assert session.send(MESSAGE)
        assert last.messages[0].recipients == (BOB, CLEO)

    def test_it_needs_a_member(self) -> None:
        with pytest.raises(wlsmtp.ConfigError, match="at least one"):
            FailoverTransport()

    def test_one_that_was_found_to_be_up_again_takes_what_a_stream_has_left(self, world: World) -> None:
        last = MemoryTransport()
        ending = Ending(3)
        transport = FailoverTransport(ending, last)
        with world.session(transport=transport, retry=NO_RETRY) as session:
            second = transport._members[1]
            second.end(ConnectionFailed("gone"), play(world, now(transport)))
            ending.on_end = partial(second.end, None, 0)  # as the probe of another sender would find
            assert all(session.send_many([MESSAGE] * 5))
        assert len(last.messages) == 2


class TestRest:
    DOWN = ConnectionFailed("gone")

    def test_one_message_probes_after_the_rest(self) -> None:
        member = Member(MemoryTransport(), retry_after=60)
        assert not member.is_resting(0)
        assert member.end(self.DOWN, 10) == 60
        assert member.is_resting(69) and not member.is_resting(70)
        member.begin(70)
        assert member.is_resting(71), "the others wait for what comes of the probe"
        assert member.end(None, 72) == 0
        assert not member.is_resting(72)

    def test_a_probe_that_fails_begins_another_rest(self) -> None:
        member = Member(MemoryTransport(), retry_after=60)
        member.end(self.DOWN, 0)
        member.begin(60)
        member.end(self.DOWN, 65)
        assert member.is_resting(124) and not member.is_resting(125)

    def test_a_421_is_about_the_server_whatever_it_answers(self) -> None:
        member = Member(MemoryTransport(), retry_after=60)
        assert member.end(SenderRefused("no", reply=Reply(450)), 0) == 0
        assert member.end(SenderRefused("no", reply=Reply(421)), 0) == 60


class TestRoundRobin:
    def test_each_gets_its_turn_by_its_weight(self, world: World, servers: tuple[SMTPServer, SMTPServer]) -> None:
        one, two = servers
        with world.from_url(f"roundrobin(3*{one.url}, {two.url})") as session:
            assert all(session.send_many([MESSAGE] * 8))
        assert received(one, two) == [{BOB: 6, CLEO: 6}, {BOB: 2, CLEO: 2}]

    def test_the_turn_of_one_that_is_down_goes_to_the_next(self, world: World) -> None:
        one, two = MemoryTransport(), MemoryTransport()
        transport = RoundRobinTransport(one, NOWHERE, two, weights=[1, 1, 1])
        with world.session(transport=transport) as session:
            assert all(session.send_many([MESSAGE] * 6))
        assert (len(one.messages), len(two.messages)) == (2, 4)

    def test_turns_are_spread(self, world: World) -> None:
        order: list[int] = []
        members = [_Noting(partial(order.append, number)) for number in range(2)]
        with world.session(transport=RoundRobinTransport(*members, weights=[3, 1])) as session:
            assert all(session.send_many([MESSAGE] * 8))
        assert order == [0, 0, 1, 0, 0, 0, 1, 0]

    @pytest.mark.parametrize("weights", [[1], [0, 1], [1, 101]])
    def test_weights_are_checked(self, weights: list[int]) -> None:
        with pytest.raises(wlsmtp.ConfigError, match="weights"):
            RoundRobinTransport("memory:", "memory:", weights=weights)


class Ending(Transport):
    """Takes a few messages and is gone then."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.on_end: Callable[[], object] | None = None

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        self.count -= 1
        if self.count >= 0:
            return Outcome.of(envelope.addresses, RecipientStatus.ACCEPTED)
        if self.on_end is not None:
            self.on_end()
        return Outcome.failed(envelope.addresses, ConnectionFailed("gone", stage=Stage.CONNECT))


class _Noting(Transport):
    def __init__(self, note: Callable[[], None]) -> None:
        self._note = note

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        self._note()
        return Outcome.of(envelope.addresses, RecipientStatus.ACCEPTED)


# What a server may do to a message, and what is then known of a recipient that it was asked about.

ACCEPTS, REFUSES, PASSES_ON, LEAVES_IN_DOUBT = "accepts", "refuses", "passes on", "leaves in doubt"
DISASTERS = {"closes": CLOSE, "resets": RESET, "says 421": "421 4.3.2 Going down"}
STAGES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA")


class StoresAndDies(SMTPServer):
    """Keeps a message, and is gone before it says so."""

    def store(self, message: ReceivedMessage) -> int:
        super().store(message)
        raise Ended


class DiesAfter(SMTPServer):
    """Is gone for good before it acknowledges message ``count``, which it keeps."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def store(self, message: ReceivedMessage) -> int:
        number = super().store(message)
        if number >= self.count:
            self.close_listener()
            raise Ended
        return number

    def close_listener(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Behaviour:
    """One way in which a server behaves, and what it means for each recipient."""

    def __init__(self, name: str, fate: dict[str, str], arrange: Callable[[SMTPServer], None] | None = None) -> None:
        self.name, self.fate, self._arrange = name, fate, arrange

    def start(self, stack: ExitStack) -> SMTPServer:
        kind = StoresAndDies if self.name == "stores and dies" else SMTPServer
        server = stack.enter_context(kind())
        if self._arrange is not None:
            self._arrange(server)
        return server

    def __repr__(self) -> str:
        return self.name


def both(fate: str) -> dict[str, str]:
    return {BOB: fate, CLEO: fate}


def replies(stage: str, reply: str) -> Callable[[SMTPServer], None]:
    return lambda server: server.reply_to(stage, reply)


def refuses(recipient: str, reply: str) -> Callable[[SMTPServer], None]:
    return lambda server: server.refuse(recipient, reply)


BEHAVIOURS = [
    Behaviour("works", both(ACCEPTS)),
    Behaviour("is down", both(PASSES_ON), SMTPServer.close),
    Behaviour("stores and dies", both(LEAVES_IN_DOUBT)),
    *(Behaviour(f"{name} at .", both(LEAVES_IN_DOUBT), replies(".", CLOSE)) for name in ("closes", "resets")),
    *(
        Behaviour(f"{name} at {stage}", both(PASSES_ON), replies(stage, what))
        for name, what in DISASTERS.items()
        for stage in STAGES
    ),
    *(Behaviour(f"is silent at {stage}", both(PASSES_ON), replies(stage, SILENCE)) for stage in ("CONNECT", "DATA")),
    *(
        Behaviour(f"{code} to {stage}", both(REFUSES if code == 550 else PASSES_ON), replies(stage, f"{code} No"))
        for code in (450, 550)
        for stage in ("MAIL", "DATA", ".")
    ),
    Behaviour("550 to bob", {BOB: REFUSES, CLEO: ACCEPTS}, refuses(BOB, "550 5.1.1 No")),
    Behaviour("450 to cleo", {BOB: ACCEPTS, CLEO: PASSES_ON}, refuses(CLEO, "450 4.2.0 No")),
]


def expected(behaviours: list[Behaviour], recipient: str) -> str:
    fates = (behaviour.fate[recipient] for behaviour in behaviours)
    return next((fate for fate in fates if fate != PASSES_ON), PASSES_ON)


def check(receipt: wlsmtp.Receipt, behaviours: list[Behaviour], stored: Counter[str], *, is_exact: bool) -> None:
    for result in receipt.recipients:
        count = stored[result.address]
        why = result.reply or result.error or receipt.error
        match result.status:
            case RecipientStatus.ACCEPTED:
                assert count == 1, "accepted is stored once"
            case RecipientStatus.UNKNOWN:
                assert count <= 1 and isinstance(result.error or receipt.error, OutcomeUnknown)
            case RecipientStatus.NOT_SENT | RecipientStatus.REFUSED:
                assert count == 0 and why is not None
        if not is_exact:
            continue
        match expected(behaviours, result.address):
            case "accepts":
                assert result.status is RecipientStatus.ACCEPTED
            case "refuses":
                assert result.status is RecipientStatus.REFUSED and result.is_permanent
            case "leaves in doubt":
                assert result.status is RecipientStatus.UNKNOWN
            case _:
                assert result.status in (RecipientStatus.NOT_SENT, RecipientStatus.REFUSED)
                assert not result.is_permanent


@pytest.mark.parametrize("kind", ["failover", "roundrobin"])
@given(
    behaviours=st.lists(st.sampled_from(BEHAVIOURS), min_size=1, max_size=3),
    attempts=st.sampled_from([1, 1, 2]),
    pipelining=st.sampled_from([Pipelining(enabled=False, chunking=False), Pipelining(chunking=False), Pipelining()]),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_recipient_gets_the_message_once_or_the_receipt_says_why_not(
    world: World, kind: str, behaviours: list[Behaviour], attempts: int, pipelining: Pipelining
) -> None:
    # Where somebody is silent, somebody else may be found to be too slow for the short wait.
    waits = "silent" in repr(behaviours)
    options: dict[str, Any] = {
        "timeout": Timeouts(greeting=0.2, data=0.2) if waits else Timeouts(),
        "retry": RetryPolicy(attempts=attempts, backoff=0, jitter=0),
        "pipelining": pipelining,
    }
    with ExitStack() as stack:
        servers = [behaviour.start(stack) for behaviour in behaviours]
        url = f"{kind}({', '.join(server.url for server in servers)})"
        with world.from_url(url, **options) as session:
            try:
                receipt = session.send(MESSAGE)
            except wlsmtp.SMTPError as error:
                assert error.receipt is not None
                receipt = error.receipt
        stored = sum(received(*servers), Counter[str]())
    # Where the content goes with its commands, a server that dies leaves it in doubt wherever it dies.
    check(receipt, behaviours, stored, is_exact=attempts == 1 and not waits and not pipelining.chunking)
