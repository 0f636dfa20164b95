"""What holds at every real server: receipts say what the server did, and it stored what was sent, once."""

from __future__ import annotations

import functools
import re
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

import wlsmtp
from tests.real import poll
from tests.real.registry import ENDPOINTS, RunningServers, endpoint_of
from tests.real.server import DOMAIN, RECIPIENT, SENDER, Endpoint, RealServer
from tests.worlds import Session, World
from wlsmtp import Envelope, Pipelining, Receipt, RecipientStatus, RetryPolicy, Status

AT_RCPT = ("nouser", "tempfail", "full")
CODES = {"nouser": 550, "tempfail": 451, "full": 452, "deferdot": 451}
TRANSIENT = frozenset({"tempfail", "full", "deferdot"})

_MARKER = re.compile(rb"^X-Begin: (\S+)\r?$", re.MULTILINE)
_HEAD = 16_384
_ARRIVAL = 30.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs at each endpoint; one that takes a `refusal`, with each that the endpoint can be asked for."""
    names = {"endpoint_name", "refusal"} & set(metafunc.fixturenames)
    if names == {"endpoint_name"}:
        metafunc.parametrize("endpoint_name", ENDPOINTS)
    elif names:
        pairs = [
            (endpoint.name, refusal)
            for server in dict.fromkeys(ENDPOINTS.values())
            for endpoint in server.make().endpoints
            for refusal in sorted(endpoint.refusals)
        ]
        metafunc.parametrize(("endpoint_name", "refusal"), pairs)


@dataclass(frozen=True)
class Real:
    """A running server, reached by one of its endpoints from one of the worlds."""

    server: RealServer
    endpoint: Endpoint
    world: World

    def session(self, **settings: Any) -> Session:
        """A session that tries each message once."""
        options = {"retry": RetryPolicy(attempts=1), "timeout": 10, **self.endpoint.options, **settings}
        if self.endpoint.is_lmtp:
            return self.world.from_url(f"lmtp://{self.endpoint.host}:{self.endpoint.port}", **options)
        return self.world.session(self.endpoint.host, self.endpoint.port, **options)

    def refusals(self, *among: str) -> list[str]:
        """The refusals that can be asked for here, of those named, or of all."""
        return sorted(self.endpoint.refusals & set(among or self.endpoint.refusals))

    def assert_refused(self, receipt: Receipt, refusal: str) -> None:
        """Nobody got it, and the receipt has the server's own reply."""
        assert receipt.status is Status.ERROR, receipt
        (result,) = receipt.recipients
        assert result.status is RecipientStatus.REFUSED, receipt
        assert result.reply is not None and receipt.error is not None and receipt.attempts == 1
        if result.reply.code == 421 and self.endpoint.max_errors is not None:
            return  # it said no more than that this was one error too many
        is_transient = refusal in TRANSIENT
        assert (result.reply.is_transient, result.reply.is_permanent) == (is_transient, not is_transient), receipt
        assert receipt.error.temporary is is_transient
        assert result.reply.code == CODES.get(refusal, result.reply.code), receipt

    def stored(self) -> Mapping[str, list[bytes]]:
        """What the server has stored of each message, without its trace headers and with the line ends of the wire."""
        found = defaultdict(list)
        for content in self.server.stored():
            if (marker := _MARKER.search(content, 0, _HEAD)) is not None:
                sent = content[marker.start() :].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                found[marker[1].decode()].append(sent)
        return found

    def assert_stored_once(self, messages: Sequence[bytes]) -> None:
        """Wait until the server has stored all of them, and compare octets."""
        wanted = {marker_of(message): [message] for message in messages}
        poll(lambda: wanted.keys() <= self.stored().keys(), _ARRIVAL)
        stored = self.stored()
        assert {marker: stored.get(marker) for marker in wanted} == wanted


@pytest.fixture
def real(
    endpoint_name: str, request: pytest.FixtureRequest, real_servers: RunningServers, world: World
) -> Iterator[Real]:
    registered = ENDPOINTS[endpoint_name]
    server = real_servers.get(registered.make, registered.what_is_missing)
    yield Real(server, endpoint_of(server, endpoint_name), world)


def new_message(body: bytes = b"Hello\r\n", kind: str = "sent", *, is_short: bool = False) -> bytes:
    marker = f"{kind}-{secrets.token_hex(8)}"
    if is_short:
        return f"X-Begin: {marker}\r\n\r\n".encode() + body
    return (
        f"X-Begin: {marker}\r\nFrom: {SENDER}\r\nTo: {RECIPIENT}\r\nDate: Sun, 01 Mar 2026 12:00:00 +0000\r\n"
        f"Message-ID: <{marker}@{DOMAIN}>\r\n\r\n".encode()
        + body
    )


def marker_of(message: bytes) -> str:
    found = _MARKER.match(message)
    assert found is not None
    return found[1].decode()


def send(session: Session, message: bytes, *local_parts: str) -> Receipt:
    """Send, and return the receipt, that of an error too."""
    recipients = [f"{name}@{DOMAIN}" for name in local_parts] or [RECIPIENT]
    try:
        return session.send(message, sender=SENDER, recipients=recipients)
    except wlsmtp.SMTPError as error:
        if error.receipt is None:
            raise
        return error.receipt


def test_a_message_arrives_byte_for_byte(real: Real) -> None:
    body = b".\r\n..\r\n.a\r\n\r\n  x \t\r\n" + b"x" * 900 + b"\r\n." + b"y" * 990 + b"\r\n\r\n\r\nQUIT\r\n.\r\n"
    with real.session() as session:
        offered = session.verify().capabilities
        message = new_message(body + ("Füße 你好\r\n".encode() if "8BITMIME" in offered else b""))
        receipt = send(session, message)
    assert receipt.status is Status.SENT and receipt.reply is not None and receipt.reply.is_positive
    real.assert_stored_once([message])


def test_a_refused_recipient_hinders_no_other(real: Real) -> None:
    messages = []
    with real.session() as session:
        for refusal in real.refusals(*AT_RCPT):
            for names in ((refusal, "bob"), ("bob", refusal)):
                messages.append(new_message())
                receipt = send(session, messages[-1], *names)
                assert receipt.status is Status.PARTIAL, receipt
                assert [result.address for result in receipt.accepted] == [RECIPIENT]
                (refused,) = receipt.refused
                assert refused.address == f"{refusal}@{DOMAIN}"
                assert refused.reply is not None and refused.reply.code == CODES[refusal]
    assert messages or not real.refusals(*AT_RCPT)
    real.assert_stored_once(messages)


def test_after_a_refusal_the_next_message_goes_through(real: Real, refusal: str) -> None:
    messages = [new_message() for _ in range(3)]
    with real.session() as session:
        real.assert_refused(send(session, new_message(kind="refused"), refusal), refusal)
        assert send(session, messages[0]), "the first message after a refusal"
        assert send(session, messages[1])
        real.assert_refused(send(session, new_message(kind="refused"), refusal), refusal)
        real.assert_refused(send(session, new_message(kind="refused"), refusal), refusal)
        assert send(session, messages[2]), "the first message after two refusals"
    real.assert_stored_once(messages)


@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "kept connection"])
def test_the_body_of_a_refused_message_gives_no_commands(real: Real, warm: bool) -> None:
    """A server may not read the chunk of a BDAT that it refuses: then it takes the octets for commands."""
    forged = [new_message(kind="forged", is_short=True) for _ in range(2)]
    dialogue = f"RSET\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\n".encode()
    by_chunk = dialogue + b"BDAT %d LAST\r\n%s" % (len(forged[0]), forged[0])
    by_data = dialogue + b"DATA\r\n" + forged[1] + b".\r\n"
    messages = []
    with real.session() as session:
        for refusal in real.refusals(*AT_RCPT):
            for body in (by_chunk, by_data):
                if warm:
                    messages.append(new_message())
                    assert send(session, messages[-1])
                # One header line only: a server may close the connection after some that it does not know.
                refused = new_message(body, "refused", is_short=True)
                real.assert_refused(send(session, refused, refusal), refusal)
                messages.append(new_message())
                assert send(session, messages[-1])
    real.assert_stored_once(messages)
    assert real.stored().keys().isdisjoint(map(marker_of, forged))


@pytest.mark.parametrize(
    ("pipelining", "connections", "count"),
    [
        pytest.param(Pipelining(), {}, 50, id="window"),
        pytest.param(Pipelining(), {"connections": 4}, 50, id="4 connections"),
        pytest.param(Pipelining(chunking=False), {}, 20, id="pipelining alone"),
        pytest.param(Pipelining(enabled=False), {}, 20, id="one by one"),
    ],
)
def test_refusals_in_the_middle_of_many_touch_no_other_message(
    real: Real, pipelining: Pipelining, connections: dict[str, int], count: int
) -> None:
    refusals = real.refusals()
    # Two in a row, and one of each kind.
    names = ["bob"] * count
    names[0] = names[2] = names[3] = refusals[0]
    for number, refusal in enumerate(refusals):
        names[count // 5 + count // 10 * number] = refusal
    messages = [
        new_message(b"%d\r\n" % number, "sent" if name == "bob" else "refused") for number, name in enumerate(names)
    ]
    items = [(message, Envelope(SENDER, [f"{name}@{DOMAIN}"])) for message, name in zip(messages, names, strict=True)]
    with real.session(pipelining=pipelining) as session:
        receipts = list(session.send_many(items, **connections))
    assert len(receipts) == count
    for receipt, name in zip(receipts, names, strict=True):
        if name == "bob":
            assert receipt.status is Status.SENT, receipt
        else:
            real.assert_refused(receipt, name)
    real.assert_stored_once([message for message, name in zip(messages, names, strict=True) if name == "bob"])


def test_eight_senders_share_a_session(real: Real) -> None:
    refusal = real.refusals()[0]
    messages = []
    with real.session() as session:
        for _ in range(4):
            good, bad = [new_message() for _ in range(7)], new_message(kind="refused")
            calls = [functools.partial(session.face.send, message, recipients=RECIPIENT) for message in good]
            calls.insert(3, functools.partial(session.face.send, bad, recipients=f"{refusal}@{DOMAIN}"))
            results: list[Any] = real.world.together(*((None, call) for call in calls))
            error = results.pop(3)
            assert isinstance(error, wlsmtp.ReplyError) and error.receipt is not None, error
            real.assert_refused(error.receipt, refusal)
            assert [getattr(result, "status", result) for result in results] == [Status.SENT] * 7
            messages += good
    real.assert_stored_once(messages)


def test_a_large_message_arrives_whole(real: Real) -> None:
    messages = [new_message((b"." * 70 + b"\r\n") * 14_600), new_message()]
    with real.session() as session:
        assert all([send(session, message) for message in messages])
    real.assert_stored_once(messages)


def test_windows_of_none_and_of_one(real: Real) -> None:
    message = new_message()
    with real.session() as session:
        assert list(session.send_many([])) == []
        assert all(list(session.send_many([(message, Envelope(SENDER, [RECIPIENT]))])))
        assert list(session.send_many([])) == []
    real.assert_stored_once([message])


def test_a_session_is_opened_and_verified(real: Real) -> None:
    message = new_message()
    with real.session() as session:
        session.open()
        first = session.verify()
        assert send(session, message)
        assert session.verify().capabilities == first.capabilities
        assert session.statistics().connections_opened == 1 or real.endpoint.ends_at_unknown
    real.assert_stored_once([message])


def test_what_is_found_out_without_mail_is_true(real: Real) -> None:
    messages = [new_message() for _ in range(4)]
    with real.session() as session:
        found = session.examine()
        assert {found["rset"], found["noop"]} <= {"proven", "broken"} or real.endpoint.ends_at_unknown
        assert all(list(session.send_many([(message, Envelope(SENDER, [RECIPIENT])) for message in messages])))
        later = session.face.findings
        known = [name for name, state in found.items() if state != "unproven"]
        assert {name: later[name] for name in known} == {name: found[name] for name in known}
    real.assert_stored_once(messages)


def test_nothing_was_stored_twice_and_nothing_that_was_refused(real: Real) -> None:
    """The last test of the file: of all that the others sent."""
    message = new_message()
    with real.session() as session:
        assert send(session, message)
    real.assert_stored_once([message])
    stored = real.stored()
    assert [marker for marker, copies in stored.items() if len(copies) > 1 and marker.startswith("sent-")] == []
    assert [marker for marker in stored if marker.startswith("refused-")] == []
