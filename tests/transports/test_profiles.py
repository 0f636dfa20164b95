"""A client of each provider, as its profile plays it: forty messages arrive once each, and each refusal is taken for
what it is: of a login or of a message, for now or for good, to be tried again or not."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

import wlsmtp
from tests.smtp.refusals import PROFILES as MEANT
from tests.worlds import Session, World
from wlsmtp import TLS, Envelope, PoolLimits, Receipt, RetryPolicy, SMTPError, Status
from wlsmtp.presets import advice_for
from wlsmtp.smtp.hints import ROWS
from wlsmtp.testing import SMTPServer, profiles
from wlsmtp.testing.profiles import Situation

PROFILES = profiles()
USERS = {"ann": "s3cret"}
AT_ONCE = RetryPolicy(backoff=0, jitter=0)
COUNT = 40
WITHOUT_ID = {"aol", "mailcatcher", "mailgun", "mailpit", "yahoo", "zoho"}
"""Whose reply to a message names it in no way."""
EVERY = pytest.mark.parametrize("name", PROFILES)

CLASSES: dict[str, type[SMTPError]] = {
    "CONNECT": wlsmtp.CommandRefused,
    "EHLO": wlsmtp.CommandRefused,
    "AUTH": wlsmtp.AuthenticationFailed,
    "LOGIN": wlsmtp.AuthenticationFailed,
    "MAIL": wlsmtp.SenderRefused,
    "RCPT": wlsmtp.RecipientsRefused,
    "DATA": wlsmtp.ContentRefused,
    ".": wlsmtp.ContentRefused,
}
ACCEPTED = {
    ("mailhog", "unknown command"): "RSET is never said to it alone: groups are not offered",
    ("yandex", "infected"): "the reply is 250",
}
"""Situations in which a message is sent, and why."""
WAITS = {
    ("gmail", "too many logins"),
    ("gmail", "quota exceeded"),
    ("office365", "quota exceeded"),
    ("ses", "quota exceeded"),
    ("zoho", "unusual activity"),
}
"""What passes, but not in a minute: the session does not try again, and says when somebody should."""
AS_TOLD = {("gmail", "too many recipients"): "fewer may be accepted: told by a 4xx, it is tried again"}
"""What is tried again although the profile knows that it will be refused as it stands."""
ONE_MORE = {
    ("postfix", "talks too early"): "the message goes again, one command at a time",
    ("proton", "mechanism not offered"): "the next mechanism is tried",
    ("mailenable", "mechanism not offered"): "the next mechanism is tried",
    ("exchange-onprem", "mechanism not offered"): "the next mechanism is tried",
}
"""Where a reply that is said once does no harm."""
SITUATIONS = [(name, what) for name, one in PROFILES.items() for what in one.situations if (name, what) not in ACCEPTED]
OF_A_MESSAGE = [
    (name, what) for name, what in SITUATIONS if PROFILES[name].situations[what].stage in ("MAIL", "RCPT", "DATA", ".")
]


def each(situations: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "what"), situations, ids=[f"{name}, {what}" for name, what in situations])


class Server(SMTPServer):
    def be_well(self) -> None:
        """Nothing that was ordered is played any more."""
        self._scripted.clear()


def session_to(world: World, server: SMTPServer, **options: Any) -> Session:
    login = {"username": "ann", "password": "s3cret"} if server.profile.name != "mailcatcher" else {}
    return world.session(server.host, server.port, **({"retry": AT_ONCE, "timeout": 5} | login | options))


def hint_of(name: str, what: str) -> str | None:
    """The hint that somebody needs who has logged in, where the profile offers that."""
    situation = MEANT[name, what]
    if situation == "not logged in" and name != "mailcatcher":
        situation = "beyond the login"
    row = next((row for row in ROWS if row.situation == situation), None)
    if row is None or not row.provider_first:
        return row.hint if row is not None else None
    return advice_for(PROFILES[name].host) or row.hint


def text(number: int) -> bytes:
    return f"Subject: {number}\r\n\r\nx\r\n".encode()


def envelope(number: int) -> dict[str, Any]:
    return {"sender": "ann@example.com", "recipients": f"n{number}@example.org"}


def sent(session: Session, number: int) -> Receipt | SMTPError:
    try:
        return session.send(text(number), **envelope(number))
    except SMTPError as error:
        return error


def receipt_of(result: Receipt | SMTPError) -> Receipt:
    receipt = result.receipt if isinstance(result, SMTPError) else result
    assert receipt is not None, result
    return receipt


def stored(server: SMTPServer) -> Counter[str]:
    return Counter(f"{message.header('Subject')} to {', '.join(message.recipients)}" for message in server.messages)


def once_each(numbers: range) -> Counter[str]:
    return Counter(f"{number} to n{number}@example.org" for number in numbers)


def times_said(server: SMTPServer, situation: Situation) -> int:
    last = situation.reply.split("\r\n")[-1].encode()
    return sum(who == "S" and line == last for _, who, line in server.transcript)


@EVERY
class TestFortyMessages:
    def test_in_one_stream(self, world: World, name: str) -> None:
        with Server(profile=name, users=USERS) as server, session_to(world, server) as session:
            items = ((text(number), Envelope("ann@example.com", [f"n{number}@example.org"])) for number in range(COUNT))
            receipts = list(session.send_many(items))
            assert stored(server) == once_each(range(COUNT))
        assert [receipt.status for receipt in receipts] == [Status.SENT] * COUNT
        assert [receipt.recipients[0].address for receipt in receipts] == [f"n{n}@example.org" for n in range(COUNT)]
        assert {receipt.attempts for receipt in receipts} == {1}
        ids = {receipt.queue_id for receipt in receipts}
        assert ids == {None} if name in WITHOUT_ID else (len(ids) == COUNT and None not in ids)

    def test_of_many_senders_who_share_a_session(self, world: World, name: str) -> None:
        with Server(profile=name, users=USERS) as server, session_to(world, server) as session:
            calls = [partial(session.face.send, text(number), **envelope(number)) for number in range(COUNT)]
            results = world.together(*((None, call) for call in calls))
            assert stored(server) == once_each(range(COUNT))
        assert all(isinstance(result, Receipt) and result.status is Status.SENT for result in results), results
        assert {result.attempts for result in results} == {1}


@each(SITUATIONS)
def test_a_refusal_is_taken_for_what_it_is(world: World, name: str, what: str) -> None:
    situation = PROFILES[name].situations[what]
    with Server(profile=name, users=USERS) as server, session_to(world, server) as session:
        server.reply_as(what)
        error = sent(session, 0)
        receipt = receipt_of(error)
        assert type(error) is CLASSES[situation.stage] and isinstance(error, SMTPError)
        assert error.reply is not None and str(error.reply.code) == situation.reply[:3]
        assert error.temporary is (situation.temporary or (name, what) in AS_TOLD)
        assert receipt.status is Status.ERROR and server.messages == []
        is_tried_again = error.temporary and (name, what) not in WAITS
        assert receipt.attempts == (AT_ONCE.attempts if is_tried_again else 1)
        assert error.hint == hint_of(name, what)
        assert (error.retry_after is not None and error.retry_after >= 300) is ((name, what) in WAITS)
        if not is_tried_again and (name, what) not in ONE_MORE:
            assert times_said(server, situation) == 1
        # Nobody is given as a limit what was none.
        assert not {"max_messages", "max_recipients"} & session.face.findings.keys()
        server.be_well()
        if situation.stage in ("AUTH", "LOGIN"):  # a secret that was refused is put to the test only on demand
            session.verify()
        assert sent(session, 1) and stored(server) == once_each(range(1, 2))


@pytest.mark.parametrize("name", [name for name in PROFILES if "mail without login" in PROFILES[name].situations])
def test_who_sends_without_a_login_is_told_to_log_in(world: World, name: str) -> None:
    with (
        Server(profile=name, users=USERS, require_auth=True) as server,
        world.session(server.host, server.port, retry=AT_ONCE) as session,
    ):
        error = sent(session, 0)
        assert isinstance(error, SMTPError) and not error.temporary and "username" in str(error.hint)


def test_a_limit_of_recipients_is_learned(world: World) -> None:
    recipients = [f"r{number}@example.org" for number in range(5)]
    with Server(profile="gmail", quirks=["max-recipients:2"], users=USERS) as server:
        with session_to(world, server) as session:
            for _ in range(2):
                receipt = session.send(text(0), sender="ann@example.com", recipients=recipients)
                assert receipt.status is Status.SENT and receipt.attempts == 1
            assert session.face.findings["max_recipients"] == "2"
        assert [len(message.recipients) for message in server.messages] == [2, 2, 1] * 2
        assert times_said(server, PROFILES["gmail"].situations["too many recipients"]) == 3


@each(OF_A_MESSAGE)
def test_what_is_said_once_is_over_with_the_next_message(world: World, name: str, what: str) -> None:
    situation = PROFILES[name].situations[what]
    with Server(profile=name, users=USERS) as server, session_to(world, server) as session:
        server.reply_as(what, times=1, after=1)
        first, second, third = (sent(session, number) for number in range(3))
        assert isinstance(first, Receipt) and isinstance(third, Receipt) and third.attempts == 1
        passes = bool(situation.temporary) or (name, what) in AS_TOLD or (name, what) in ONE_MORE
        assert isinstance(second, Receipt) is (passes and (name, what) not in WAITS), second
        assert stored(server) == once_each(range(3)) - once_each(range(1, 1 + isinstance(second, SMTPError)))
        assert not {"max_messages", "max_recipients"} & session.face.findings.keys()
        assert times_said(server, situation) <= 1


class TestOneConnectionTooMany:
    """It costs no message a try while the session has another one, and carries no other message."""

    KINDS = ("max-connections-432:3", "max-connections:3")

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("retry", [RetryPolicy(), RetryPolicy(attempts=1)], ids=["by default", "one try"])
    @pytest.mark.parametrize("offers", [["8BITMIME"], ["PIPELINING"], ["PIPELINING", "CHUNKING"]], ids=" ".join)
    def test_of_many_senders(self, world: World, kind: str, retry: RetryPolicy, offers: list[str]) -> None:
        limits = PoolLimits(max_connections=6)
        with Server(quirks=[kind], extensions=offers) as server:
            with world.session(server.host, server.port, retry=retry, pool=limits) as session:
                calls = [partial(session.face.send, text(number), **envelope(number)) for number in range(COUNT)]
                results = world.together(*((None, call) for call in calls))
            assert all(isinstance(result, Receipt) and result.attempts == 1 for result in results), results
            assert stored(server) == once_each(range(COUNT))
        if "PIPELINING" not in offers:
            assert not mails_behind_a_refusal(server)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("offers", [["8BITMIME"], ["PIPELINING", "CHUNKING"]], ids=" ".join)
    def test_of_one_that_uses_several(self, world: World, kind: str, offers: list[str]) -> None:
        items = [(text(number), Envelope("ann@example.com", [f"n{number}@example.org"])) for number in range(COUNT)]
        limits = PoolLimits(max_connections=6)
        with Server(quirks=[kind], extensions=offers) as server:
            with world.session(server.host, server.port, retry=RetryPolicy(attempts=1), pool=limits) as session:
                receipts = list(session.send_many(items, connections=6))
            assert all(receipts) and stored(server) == once_each(range(COUNT))

    def test_microsoft_365_keeps_its_three(self, world: World) -> None:
        login = {"username": "ann", "password": "s3cret"}
        with Server(profile="office365", users=USERS, extensions=["8BITMIME"]) as server:
            opened = 0
            with world.session(server.host, server.port, retry=RetryPolicy(attempts=1), **login) as session:
                calls = [partial(session.face.send, text(number), **envelope(number)) for number in range(COUNT)]
                world.together(*((None, call) for call in calls))
                opened, allowed = server.connections, session.statistics().connections_allowed
            assert stored(server) == once_each(range(COUNT)) and not mails_behind_a_refusal(server)
        assert opened <= 4 and allowed >= 3

    def test_where_it_is_told_before_any_tls(self, world: World) -> None:
        with Server(quirks=["max-connections-in-clear:2"], security="ssl", extensions=["8BITMIME"]) as server:
            options = {"security": "ssl", "tls": TLS(ca_file=server.ca_file), "retry": RetryPolicy(attempts=1)}
            with world.session(server.host, server.port, **options) as session:
                calls = [partial(session.face.send, text(number), **envelope(number)) for number in range(COUNT)]
                results = world.together(*((None, call) for call in calls))
            assert all(isinstance(result, Receipt) and result.attempts == 1 for result in results), results
            assert stored(server) == once_each(range(COUNT))

    def test_the_last_one_is_tried_again_as_the_policy_says(self, world: World) -> None:
        with Server(profile="office365", users=USERS) as server, session_to(world, server) as session:
            server.reply_as("too many connections", times=2)
            receipt = session.send(text(0), **envelope(0))
        assert receipt.attempts == 3 and stored(server) == once_each(range(1))

    def test_who_reads_the_receipts_may_send_meanwhile(self, world: World) -> None:
        items = [(text(number), Envelope("ann@example.com", [f"n{number}@example.org"])) for number in range(COUNT)]
        with Server(quirks=["max-connections:1"], extensions=["8BITMIME"]) as server:
            with world.session(server.host, server.port, retry=RetryPolicy(attempts=1)) as session:
                for number, receipt in enumerate(session.send_many(items), COUNT):
                    assert receipt and session.send(text(number), **envelope(number))
            assert stored(server) == once_each(range(2 * COUNT))


def mails_behind_a_refusal(server: SMTPServer) -> list[int]:
    """The connections over which MAIL was said after it had been refused there."""
    refused, used = set[int](), []
    for number, who, line in server.transcript:
        if who == "S" and line.startswith(b"432"):
            refused.add(number)
        elif line.startswith(b"MAIL") and number in refused:
            used.append(number)
    return used
