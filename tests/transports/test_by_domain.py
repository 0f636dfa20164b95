"""A routing table splits the recipients, and combines the results of each part."""

from __future__ import annotations

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, RecipientStatus, RetryPolicy, Status
from wlsmtp.testing import CLOSE, SMTPServer
from wlsmtp.transports import ByDomainTransport, MemoryTransport

ONE, BELOW, UNICODE, OTHER = "a@Example.ORG", "b@deep.sub.example.net", "c@bücher.example", "d@example.edu"
MESSAGE = Message(sender="ann@example.com", to=[OTHER, ONE, BELOW, UNICODE], text="x")
AT_ONCE = RetryPolicy(backoff=0, jitter=0)


def test_the_longest_route_that_fits_counts(world: World) -> None:
    exact, below, deep, unicode, rest = (MemoryTransport() for _ in range(5))
    routes = {
        "example.org": exact, ".example.net": below, ".sub.example.net": deep, "BÜCHER.example": unicode, "*": rest,
    }  # fmt: skip
    with world.session(transport=ByDomainTransport(routes)) as session:
        receipt = session.send(MESSAGE)
        assert session.send(Message(sender="ann@example.com", to=["x@example.net", "y@a.example.net"], text="x"))
    assert receipt.status is Status.SENT
    assert [result.address for result in receipt.recipients] == [OTHER, ONE, BELOW, UNICODE]
    assert [transport.messages[0].recipients[0] for transport in (exact, deep, unicode, rest)] == [
        ONE, BELOW, UNICODE, OTHER,
    ]  # fmt: skip
    # A domain is not below itself.
    assert below.messages[0].recipients == ("y@a.example.net",) and rest.messages[1].recipients == ("x@example.net",)


def test_who_goes_the_same_way_goes_together(world: World) -> None:
    one, two = MemoryTransport(), MemoryTransport()
    with world.session(transport=ByDomainTransport({"example.org": one, "example.edu": one, "*": two})) as session:
        assert session.send(MESSAGE)
    assert [message.recipients for message in one.messages] == [(OTHER, ONE)]
    assert [message.recipients for message in two.messages] == [(BELOW, UNICODE)]


def test_each_recipient_has_the_word_of_its_own_server(world: World) -> None:
    with SMTPServer() as good, SMTPServer() as later, SMTPServer() as doubtful:
        later.reply_to("MAIL", "451 4.3.0 Later", times=1)
        doubtful.reply_to(".", CLOSE)
        url = f"by_domain(example.org={good.url}, .example.net={later.url}, xn--bcher-kva.example={doubtful.url})"
        with world.from_url(url, retry=AT_ONCE) as session:
            receipt = session.send(MESSAGE)
    assert receipt.status is Status.PARTIAL and receipt.attempts == 2
    other, one, below, unicode = receipt.recipients
    assert one.status is below.status is RecipientStatus.ACCEPTED and one.error is None
    assert other.status is RecipientStatus.NOT_SENT and isinstance(other.error, wlsmtp.MessageError)
    assert unicode.status is RecipientStatus.UNKNOWN and isinstance(unicode.error, wlsmtp.OutcomeUnknown)
    # Of all failures, doubt is what the caller must not overlook.
    assert receipt.error is unicode.error
    assert [len(server.messages) for server in (good, later, doubtful)] == [1, 1, 0]


def test_a_recipient_without_a_route_is_named(world: World) -> None:
    with (
        world.from_url("by_domain(example.org=memory:)") as session,
        pytest.raises(wlsmtp.MessageError, match=r"No route leads to d@example\.edu") as caught,
    ):
        session.send(Message(sender="ann@example.com", to=OTHER, text="x"))
    assert caught.value.receipt is not None and not caught.value.temporary


def test_all_or_nothing_cannot_be_promised(world: World) -> None:
    with pytest.raises(wlsmtp.ConfigError, match="abort"):
        world.from_url("by_domain(*=memory:)", partial="abort")


def test_verify_asks_all(world: World, smtp_server: SMTPServer) -> None:
    with world.from_url(f"by_domain(example.org=smtp://127.0.0.1:1, *={smtp_server.url})") as session:
        with pytest.raises(wlsmtp.ConnectionFailed):
            session.verify()
        with pytest.raises(wlsmtp.ConnectionFailed):
            session.open()
    with world.from_url(f"by_domain(*={smtp_server.url})") as session:
        assert session.verify().server == f"127.0.0.1:{smtp_server.port}"


def test_it_needs_a_route() -> None:
    with pytest.raises(wlsmtp.ConfigError, match="routes"):
        ByDomainTransport({})
