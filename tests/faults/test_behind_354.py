"""A server that sends a reply too many right behind 354, and reads the content nonetheless. That reply looks like the
one to the content: a refusal would be reported, or the message sent again, although it is stored; or it would be
reported as sent, although it is refused."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.faults.table import BOB, SENDER
from tests.faults.test_window import check_account, content, copies
from tests.worlds import Session, World
from wlsmtp import Envelope, PoolLimits, Receipt, RetryPolicy, SMTPError, Status
from wlsmtp.testing import CLOSE, SMTPServer
from wlsmtp.testing.channel import Ended
from wlsmtp.testing.conversation import Scripted, ServerSide

COUNT = 4
SURPLUS = ["421 4.3.2 Bye", "451 4.3.0 Later", "550 5.7.1 No"]


class RefusesAndStores(ServerSide):
    """Sends ``surplus``, and what belongs to the content only once the client has sent something else."""

    def _finish(self, content: bytes, via: str) -> None:
        server = self._server
        assert isinstance(server, Surplus)
        if via == "DATA" and server.messages_before == 0:
            self._say(server.surplus)
            self._server.reply_to("STORED", server.final, 1)
            with suppress(Ended, OSError):  # a client that believes the refusal of 421 closes
                self._peek(1)
        server.messages_before -= 1
        super()._finish(content, via)


class Surplus(SMTPServer):
    side = RefusesAndStores
    surplus = ""
    final: Scripted = "250 2.0.0 Queued"
    messages_before = 0
    """How many messages are accepted as usual before that one."""


def sent(session: Session, number: int) -> Receipt:
    try:
        return session.send(content(number), sender=SENDER, recipients=[BOB])
    except SMTPError as error:
        assert error.receipt is not None
        return error.receipt


def receipt_of(result: Any) -> Receipt:
    receipt = result.receipt if isinstance(result, SMTPError) else result
    assert isinstance(receipt, Receipt)
    return receipt


def outcome_of(world: World, server: SMTPServer, how: str, folder: Path) -> list[Receipt]:
    policy = RetryPolicy(attempts=3, backoff=0, jitter=0)
    mode = {"mode": "async", "outbox": "sqlite:///" + str(folder / "o.db")} if how == "outbox" else {}
    receipts = []
    with world.session(server.host, server.port, retry=policy, timeout=20, **mode) as session:
        if how == "send_many":
            return list(session.send_many((content(number), Envelope(SENDER, [BOB])) for number in range(COUNT)))
        for number in range(COUNT):
            receipt = sent(session, number)
            receipts.append(session.wait(receipt) if how == "outbox" else receipt)
    return receipts


@pytest.mark.parametrize("final", ["250 2.0.0 Queued", ("250 2.0.0 Queued", CLOSE)], ids=["goes on", "closes"])
@pytest.mark.parametrize(
    ("how", "extensions", "at"),
    [
        ("send", [], 0),
        ("send", ["PIPELINING"], 0),
        ("send_many", ["PIPELINING"], 0),
        ("send_many", ["PIPELINING"], 2),
        ("outbox", [], 0),
    ],
)
@pytest.mark.parametrize("surplus", SURPLUS)
def test_what_a_server_stored_is_neither_sent_again_nor_reported_refused(
    world: World, tmp_path: Path, surplus: str, how: str, extensions: list[str], at: int, final: Scripted
) -> None:
    with Surplus(extensions=extensions) as server:
        server.surplus, server.final, server.messages_before = surplus, final, at
        receipts = outcome_of(world, server, how, tmp_path)
        for number, receipt in enumerate(receipts):
            check_account(receipt, copies(server, number))
        assert receipts[at].status is Status.UNKNOWN
        assert [receipt.status for receipt in receipts].count(Status.SENT) >= COUNT - 2


@pytest.mark.parametrize("after", [CLOSE, None, "250 2.0.0 Flushed", "502 5.5.1 What"], ids=str)
@pytest.mark.parametrize("refusal", SURPLUS)
def test_a_refusal_stays_one_whatever_follows_it(world: World, refusal: str, after: Scripted | None) -> None:
    """The server closes, obeys RSET or QUIT, or does not know them."""
    with (
        SMTPServer(extensions=["PIPELINING"]) as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=3, backoff=0, jitter=0)) as session,
    ):
        server.reply_to(".", (refusal, CLOSE) if after is CLOSE else refusal, 1)
        if isinstance(after, str):
            server.reply_to("RSET", after, 1)
            server.reply_to("QUIT", after.replace("250 2.0.0 Flushed", "221 2.0.0 Bye"), 1)
        receipt, following = sent(session, 0), sent(session, 1)
        assert receipt.unknown == () and following
        assert copies(server, 1)[BOB] == 1
        assert copies(server, 0)[BOB] == int(refusal[0] == "4")


def test_a_refusal_does_not_hide_that_what_follows_content_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found out once, although the refusal waits for what was lost."""
    monkeypatch.setattr("wlsmtp.smtp.window.TRIAL_TIMEOUT", 0.2)
    with (
        SMTPServer(extensions=["PIPELINING"], quirks=["discards-behind-content"]) as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=1)) as session,
    ):
        server.reply_to(".", "554 5.7.1 No", 1)
        refused, *others = session.send_many([(content(number), Envelope(SENDER, [BOB])) for number in range(COUNT)])
        assert not refused.unknown and copies(server, 0)[BOB] == 0
        assert all(others) and server.connections == 2


class AnswersLate(ServerSide):
    """Answers the RSET behind a refused content once the next message has come, in the words of a reply to content, and
    that message a little later."""

    def _ordered(self, stage: str) -> Scripted | None:
        reply, server = super()._ordered(stage), self._server
        assert isinstance(server, Late)
        if stage == "." and reply is not None:
            server.has_refused = True
        elif stage == "RSET" and server.has_refused and not server.is_asked.is_set():
            server.is_asked.set()
            self._peek(1)
            return "250 2.0.0 Ok: queued"
        elif server.has_refused:
            threading.Event().wait(0.02)
        return reply


class Late(SMTPServer):
    side = AnswersLate
    has_refused = False

    def __init__(self, **options: Any) -> None:
        self.is_asked = threading.Event()
        super().__init__(**options)


def test_a_refusal_takes_no_time_from_the_message_behind_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no other reply comes in time, the time for that one has only begun."""
    monkeypatch.setattr("wlsmtp.smtp.second_look.GRACE", 0.0)
    settings = {"pool": PoolLimits(max_connections=1), "retry": RetryPolicy(attempts=1)}
    with Late(extensions=["PIPELINING"]) as server, world.session(server.host, server.port, **settings) as session:
        assert all(session.send_many([(content(number), Envelope(SENDER, [BOB])) for number in range(4)]))
        server.reply_to(".", "554 5.7.1 No", 1)
        send = partial(session.face.send, content(9), sender=SENDER, recipients=[BOB])
        refused, following = map(receipt_of, world.together((None, send), (server.is_asked, send)))
    assert (refused.status, following.status) == (Status.ERROR, Status.SENT), following


def test_a_reply_in_the_words_of_rset_does_not_answer_the_content(world: World) -> None:
    """The server refuses the second message, and ends the connection at the third one."""
    with (
        SMTPServer(extensions=["PIPELINING"]) as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=3, backoff=0, jitter=0)) as session,
    ):
        server.reply_to(".", "554 5.7.1 No", 1, after=1)
        server.reply_to("MAIL", ("421 4.3.2 Enough", CLOSE), 1, after=2)
        first, second, third = session.send_many([(content(number), Envelope(SENDER, [BOB])) for number in range(3)])
        assert [first.status, second.status, third.status] == [Status.SENT, Status.ERROR, Status.SENT]
        assert [copies(server, number)[BOB] for number in range(3)] == [1, 0, 1]


class AcceptsAndRefuses(ServerSide):
    """Sends ``surplus`` to one content, and refuses it once the client has sent something else, or after a moment."""

    def _finish(self, content: bytes, via: str) -> None:
        server = self._server
        assert isinstance(server, Accepting)
        server.messages_before -= 1
        if server.messages_before != -1:
            super()._finish(content, via)
            return
        self._forget_transaction()
        self._say(server.surplus)
        if server.sends_both:
            self._say(server.final)
            return
        self._flush()
        with suppress(Ended, OSError):
            self._peek(1)
        self._say(server.final)


class Accepting(SMTPServer):
    side = AcceptsAndRefuses
    surplus = ""
    final = ""
    messages_before = 0
    sends_both = False


USUAL, OF_RCPT, OF_NONE = "250 2.0.0 Ok: queued as 7", "250 2.1.5 Recipient ok", "250 2.3.4 Hello"


@pytest.mark.parametrize("final", ["554 5.6.0 No", "451 4.3.0 Later"])
@pytest.mark.parametrize(
    ("how", "extensions", "at", "surplus"),
    [
        ("send", [], 0, OF_RCPT),
        ("send", [], 1, OF_NONE),
        ("send", ["PIPELINING"], COUNT - 1, OF_RCPT),
        ("send_many", [], 0, OF_NONE),
        ("send_many", [], COUNT - 1, OF_RCPT),
        ("send_many", ["PIPELINING"], 0, USUAL),
        ("send_many", ["PIPELINING"], 2, USUAL),
        ("send_many", ["PIPELINING"], COUNT - 1, OF_NONE),
        ("outbox", [], 1, OF_RCPT),
    ],
)
def test_what_a_server_refused_is_not_reported_sent(
    world: World, tmp_path: Path, final: str, how: str, extensions: list[str], at: int, surplus: str
) -> None:
    with Accepting(extensions=extensions) as server:
        server.surplus, server.final, server.messages_before = surplus, final, at
        receipts = outcome_of(world, server, how, tmp_path)
        assert receipts[at].status is Status.UNKNOWN
        for number, receipt in enumerate(receipts):
            check_account(receipt, copies(server, number))
        assert [receipt.status for receipt in receipts].count(Status.SENT) >= COUNT - 2


def test_a_reply_that_was_there_before_the_end_of_the_content_does_not_answer_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in ("wlsmtp.io.blocking.BlockingStream", "wlsmtp.io.aio.AsyncioStream"):
        monkeypatch.setattr(f"{stream}.has_input", lambda _: True)
    with Accepting(extensions=[]) as server, world.session(server.host, server.port) as session:
        server.surplus, server.final = USUAL, "554 5.6.0 No"
        assert sent(session, 0).status is Status.UNKNOWN


def test_a_refusal_right_behind_an_acceptance_leaves_doubt(world: World) -> None:
    with Accepting(extensions=[]) as server, world.session(server.host, server.port) as session:
        server.surplus, server.final, server.sends_both = USUAL, "554 5.6.0 No", True
        assert sent(session, 0).status is Status.UNKNOWN
        assert sent(session, 1)


@pytest.mark.parametrize(
    "texts", [("OK", "OK", "OK", "OK"), ("2.1.0 Ok", "2.1.5 Ok", "2.0.0 Ok: queued as", "2.0.0 Ok")]
)
@pytest.mark.parametrize("extensions", [[], ["PIPELINING"]], ids=str)
def test_usual_words_cost_no_other_command(world: World, texts: tuple[str, ...], extensions: list[str]) -> None:
    with SMTPServer(extensions=extensions) as server, world.session(server.host, server.port) as session:
        mail, rcpt, stored, _ = texts
        server.reply_to("MAIL", f"250 {mail}")
        server.reply_to("STORED", f"250 {stored}")
        server.reply_to(f"RCPT <{BOB}>".upper(), f"250 {rcpt}")
        for number in range(3):
            assert sent(session, number)
        assert "RSET" not in [line.decode() for _, who, line in server.transcript if who == "C"]
