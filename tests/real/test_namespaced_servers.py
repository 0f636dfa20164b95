"""Sessions against the servers that run in private namespaces: what each receipt says is what the server has."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from email import message_from_bytes
from typing import Any

import pytest

import wlsmtp
from tests.worlds import Session, World
from wlsmtp import Envelope, RecipientStatus, RetryPolicy, Status
from wlsmtp.settings.options import DeliverBy, DeliveryOptions

from . import poll
from .dovecot_submission_24 import DovecotSubmission24
from .exim import MAIL_LIMIT, RECIPIENT_LIMIT, EximServer
from .namespace import HOST
from .namespaced_servers import what_is_missing
from .registry import RunningServers, endpoint_of
from .sendmail import MECHANISMS, SendmailServer
from .server import DOMAIN, Endpoint, RealServer

NO_RETRY = RetryPolicy(attempts=1)
SENDER = f"ann@{DOMAIN}"
BOB = f"bob@{DOMAIN}"


class Reached:
    """A running server and one of the ways to reach it."""

    def __init__(self, server: RealServer, endpoint: Endpoint, world: World) -> None:
        self.server, self.endpoint, self._world = server, endpoint, world

    def session(self, **options: Any) -> Session:
        settings = {"retry": NO_RETRY, **self.endpoint.options, **options}
        scheme = "lmtp" if self.endpoint.is_lmtp else "smtp"
        if scheme == "lmtp":
            return self._world.from_url(f"lmtp://{self.endpoint.host}:{self.endpoint.port}", **settings)
        return self._world.session(self.endpoint.host, self.endpoint.port, **settings)

    def copies(self, marks: Iterable[str]) -> Counter[str]:
        """How many copies of each of these messages the server has; fails if one was changed on its way."""
        wanted, found = set(marks), Counter[str]()
        for stored in self.server.stored():
            # A header of the message's own, so that a trace header of the server's cannot be meant.
            text = stored.replace(b"\r\n", b"\n")
            if (match := re.search(rb"^X-Begin: (\w+)\n", text, re.MULTILINE)) and (
                mark := match[1].decode()
            ) in wanted:
                assert text[match.start() :] == marked(mark)[1].replace(b"\r\n", b"\n")
                found[mark] += 1
        return found

    def expect(self, marks: Iterable[str]) -> None:
        """Wait until each of these messages is there, and see that none is there twice."""
        marks = list(marks)
        assert poll(lambda: set(self.copies(marks)) == set(marks), 20.0), (
            f"{len(marks) - len(self.copies(marks))} of {len(marks)} messages said to be sent are not there"
        )
        assert set(self.copies(marks).values()) <= {1}


def marked(mark: str | None = None) -> tuple[str, bytes]:
    """Return a message that differs from all others, and what distinguishes it."""
    mark = mark or secrets.token_hex(8)
    lines = [
        f"X-Begin: {mark}", f"From: {SENDER}", f"To: {BOB}", f"Message-ID: <{mark}@{DOMAIN}>",
        "Date: Mon, 02 Jan 2006 15:04:05 +0000", "Subject: hello", "", ".", "..", f".{mark}", "x" * 900, "", ".", "end",
        "",
    ]  # fmt: skip
    return mark, "\r\n".join(lines).encode()


@pytest.fixture
def reached(request: pytest.FixtureRequest, world: World, real_servers: RunningServers) -> Iterator[Reached]:
    make, name = request.param
    server = real_servers.get(make, what_is_missing)
    yield Reached(server, endpoint_of(server, name), world)


def exim(title: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "reached", [pytest.param((EximServer, f"Exim 4.96, {title}"), id=title)], indirect=True
    )


@exim("10 messages a connection")
def test_a_limit_of_messages_a_connection_costs_connections_and_no_message(reached: Reached) -> None:
    messages = [marked() for _ in range(3 * MAIL_LIMIT)]
    with reached.session() as session:
        receipts = list(session.send_many([(text, Envelope(SENDER, [BOB])) for _, text in messages]))
        opened = session.statistics().connections_opened
    assert {receipt.status for receipt in receipts} == {Status.SENT}
    assert opened >= 3
    reached.expect(mark for mark, _ in messages)


@exim("5 recipients a message")
def test_who_is_accepted_beside_too_many_recipients_has_the_message(reached: Reached) -> None:
    mark, message = marked()
    recipients = [f"box{number}@{DOMAIN}" for number in range(RECIPIENT_LIMIT + 3)]
    with reached.session() as session:
        receipt = session.send(message, sender=SENDER, recipients=recipients)
    accepted = [result.address for result in receipt.accepted]
    assert accepted[:RECIPIENT_LIMIT] == recipients[:RECIPIENT_LIMIT]
    others = [result for result in receipt.recipients if result.address not in accepted]
    assert all(result.status is RecipientStatus.REFUSED and not result.is_permanent for result in others)

    def reached_by_it() -> set[str]:
        copies = [stored for stored in reached.server.stored() if f"X-Begin: {mark}\n".encode() in stored]
        headers = [message_from_bytes(copy)["Envelope-to"] for copy in copies]
        return {address.strip() for header in headers for address in header.split(",")}

    assert poll(lambda: reached_by_it() == set(accepted), 20.0), reached_by_it()


SENDMAIL = pytest.mark.parametrize("reached", [pytest.param((SendmailServer, "Sendmail 8.18"), id="")], indirect=True)
SENDMAIL_AUTH = pytest.mark.parametrize(
    "reached", [pytest.param((SendmailServer, "Sendmail 8.18, AUTH"), id="")], indirect=True
)


@SENDMAIL_AUTH
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_mechanism_of_sendmail_with_the_right_secret_and_a_wrong_one(mechanism: str, reached: Reached) -> None:
    mark, message = marked()
    with reached.session(mechanisms=[mechanism]) as session:
        assert session.verify().mechanism == mechanism
        assert session.send(message, sender=SENDER, recipients=BOB)
    reached.expect([mark])
    with (
        reached.session(mechanisms=[mechanism], password="wr0ng-s3cret") as session,
        pytest.raises(wlsmtp.AuthenticationFailed, match=f"with {mechanism}") as caught,
    ):
        session.send(marked()[1], sender=SENDER, recipients=BOB)
    assert caught.value.reply is not None and caught.value.reply.code == 535 and "wr0ng" not in str(caught.value)


@SENDMAIL
def test_a_time_for_the_delivery_is_asked_for(reached: Reached) -> None:
    mark, message = marked()
    options = DeliveryOptions(deliver_by=DeliverBy(within=timedelta(hours=1)))
    with reached.session() as session:
        assert session.send(message, sender=SENDER, recipients=BOB, options=options)
    reached.expect([mark])


@SENDMAIL
def test_an_address_that_the_server_cannot_take_is_not_offered_to_it(reached: Reached) -> None:
    mark, message = marked()
    with reached.session() as session:
        with pytest.raises(wlsmtp.ExtensionMissing, match=f"SMTPUTF8.*{HOST}:{reached.endpoint.port} "):
            session.send(message, sender=SENDER, recipients=f"b\N{LATIN SMALL LETTER O WITH DIAERESIS}b@{DOMAIN}")
        assert session.send(message, sender=SENDER, recipients=BOB)
    reached.expect([mark])


@pytest.mark.parametrize(
    ("mechanisms", "used"),
    [
        (None, "SCRAM-SHA-256"),
        (["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], "SCRAM-SHA-256"),
        (["SCRAM-SHA-256-PLUS", "PLAIN"], "PLAIN"),
    ],
    ids=["by default", "bound if possible", "bound or plain"],
)
@pytest.mark.parametrize(
    "reached", [pytest.param((DovecotSubmission24, DovecotSubmission24.name), id="")], indirect=True
)
def test_a_server_that_binds_by_another_way_costs_no_login(
    mechanisms: list[str] | None, used: str, reached: Reached
) -> None:
    """Dovecot 2.4 binds SCRAM to TLS 1.3 by tls-exporter (RFC 9266) alone, and cuts an exchange with another one."""
    with reached.session(mechanisms=mechanisms) as session:
        info = session.verify()
        assert "SCRAM-SHA-256-PLUS" in info.capabilities.mechanisms
        assert info.mechanism == used and info.tls is not None and info.tls.protocol == "TLSv1.3"
        mark, message = marked()
        assert session.send(message, sender=SENDER, recipients=BOB)
    reached.expect([mark])
