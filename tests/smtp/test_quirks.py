"""What a session finds out about its server, and that the documentation says the same."""

from __future__ import annotations

import pytest

from tests.worlds import World
from wlsmtp import Envelope, OutcomeUnknown, ProtocolError, ReplyError, RetryPolicy, Status
from wlsmtp.message.content import BytesContent
from wlsmtp.results.reply import Reply
from wlsmtp.smtp.learning import out_of_step_if_shifted
from wlsmtp.smtp.plan import Flow, Plan
from wlsmtp.smtp.quirks import ServerQuirks, Trust
from wlsmtp.smtp.transaction import OutOfStep, Transaction
from wlsmtp.testing import SILENCE, SMTPServer
from wlsmtp.testing.conversation import ServerSide

MESSAGE = b"Subject: hello\r\n\r\nHello\r\n"
BOB = "bob@example.org"
TO_BOB = Envelope("ann@example.com", [BOB])


def test_nothing_is_proven_before_the_first_message(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        assert set(session.face.findings.values()) == {"unproven"}


def test_a_lone_message_asks_nothing_that_it_does_not_need(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        assert session.send(MESSAGE, sender="ann@example.com", recipients="bob@example.org")
        said = [line.split()[0] for _, who, line in server.transcript if who == "C"]
        assert b"RSET" not in said and b"BDAT" not in said
        assert session.face.findings["groups"] == "proven" and session.face.findings["swallows_chunk"] == "unproven"


def test_a_stream_earns_whole_messages(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        assert all(session.send_many([(MESSAGE, TO_BOB)] * 5))
        found = session.face.findings
        assert {found[name] for name in ("groups", "rset", "swallows_chunk", "bdat", "behind_bdat")} == {"proven"}
        assert len(server.messages) == 5


def test_a_refusal_right_behind_content_is_about_its_place_and_not_about_rset(world: World) -> None:
    with (
        SMTPServer(quirks=["refuses-behind-content"], extensions=["PIPELINING"]) as server,
        world.session(server.host, server.port) as session,
    ):
        server.refuse("nouser@example.org")
        nobody = Envelope("ann@example.com", ["nouser@example.org"])
        receipts = list(session.send_many([(MESSAGE, to) for to in (TO_BOB, TO_BOB, nobody, TO_BOB, TO_BOB)]))
        assert [bool(receipt) for receipt in receipts] == [True, True, False, True, True]
        found = session.face.findings
        assert found["behind_data"] == "broken" and found["rset"] == "proven"
        assert session.statistics().connections_opened == 1 and len(server.messages) == 4


def test_a_server_that_waits_for_content_in_the_middle_of_an_envelope_is_not_waited_for(world: World) -> None:
    with (
        SMTPServer(extensions=["PIPELINING"]) as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=1)) as session,
    ):
        server.reply_to("MAIL", ("354 Go ahead", SILENCE), 1, after=3)  # a reply too many, before a refused RCPT
        receipts = list(session.send_many([(MESSAGE, TO_BOB)] * 8))
        assert len(server.messages) >= sum(receipt.status is Status.SENT for receipt in receipts) >= 3
        assert session.send(MESSAGE, sender="ann@example.com", recipients=BOB)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("CONNECT", "220 mail.example.com ESMTP Net::Server::Mail (Perl) Service ready"),
        ("EHLO", "250-mail.example.com Service ready\r\n250 PIPELINING"),
        ("MAIL", "250 sender ann@example.com OK"),
    ],
)
def test_a_server_known_to_store_what_follows_content_is_never_tried(world: World, stage: str, reply: str) -> None:
    with SMTPServer(extensions=["PIPELINING"]) as server, world.session(server.host, server.port) as session:
        server.reply_to(stage, reply)
        assert all(session.send_many([(MESSAGE, TO_BOB)] * 6)) and len(server.messages) == 6
        assert session.face.findings["behind_data"] == "broken" and session.face.findings["rset"] == "unproven"


def test_a_server_that_refuses_only_now_what_follows_content_is_sent_its_messages_one_by_one(world: World) -> None:
    with SMTPServer(extensions=["PIPELINING"]) as server, world.session(server.host, server.port) as session:
        server.reply_to("RSET", "503 5.5.1 Bad sequence of commands", times=1, after=2)
        assert all(session.send_many([(MESSAGE, TO_BOB)] * 6))
        assert session.face.findings["behind_data"] == "broken" and len(server.messages) == 6


def test_a_server_that_ends_connections_at_the_first_error_is_asked_once_about_chunks(
    world: World,
) -> None:
    once = RetryPolicy(attempts=1)
    with SMTPServer(quirks=["max-errors:1"]) as server, world.session(server.host, server.port, retry=once) as session:
        assert all(session.send_many([(MESSAGE, TO_BOB)] * 5)) and len(server.messages) == 5
        assert session.face.findings["swallows_chunk"] == "broken" and server.connections == 2


def test_a_limit_that_was_found_is_shown() -> None:
    quirks = ServerQuirks()
    quirks.limit_messages(10)
    quirks.limit_messages(20)
    assert quirks.findings()["max_messages"] == "10"


def test_a_server_that_drops_connections_after_the_same_count_has_a_limit() -> None:
    quirks = ServerQuirks()
    quirks.window_lost(7)
    assert quirks.window == 1 and quirks.max_messages is None
    quirks.window_lost(7)
    assert quirks.max_messages == 7


def test_a_silent_end_after_the_same_count_puts_one_message_in_doubt_and_no_second(world: World) -> None:
    """The session sends one message after another, each when the one before was answered."""
    with SMTPServer(quirks=["closes-silently:5"]) as server, world.session(server.host, server.port) as session:
        receipts = []
        for number in range(40):
            try:
                receipts.append(session.send(MESSAGE + b"%d\r\n" % number, sender="ann@example.com", recipients=BOB))
            except OutcomeUnknown as error:
                assert error.receipt is not None
                receipts.append(error.receipt)
        assert [receipt.status for receipt in receipts].count(Status.UNKNOWN) == 1
        assert [receipt.status for receipt in receipts].count(Status.SENT) == 39
        assert session.face.findings["max_messages"] == "5"


SURPLUS = [
    (Flow.PIPELINED_BDAT, [250, 250, 250], 250, False),
    (Flow.PIPELINED_BDAT, [250, 250, 250], 550, True),
    (Flow.PIPELINED_BDAT, [250, 550, 250], 250, True),
    (Flow.PIPELINED, [250, 250, 354], 550, False),
]


@pytest.mark.parametrize(("flow", "codes", "surplus", "is_uncertain"), SURPLUS)
def test_one_reply_too_many_matters_where_no_354_shows_the_place(
    flow: Flow, codes: list[int], surplus: int, is_uncertain: bool
) -> None:
    transaction = Transaction(Plan(TO_BOB, b"", BytesContent(MESSAGE)))
    transaction.flow = flow
    transaction.replies.extend([Reply(code) for code in codes])
    error = ProtocolError("one too many", reply=Reply(surplus))
    assert isinstance(out_of_step_if_shifted(error, [transaction]), OutOfStep) is is_uncertain


def test_a_server_that_keeps_the_envelope_although_it_accepts_rset_loses_no_message(world: World) -> None:
    class Side(ServerSide):
        def _do_rset(self, _rest: str) -> None:
            self._say("250 2.0.0 Ok")

    class Server(SMTPServer):
        side = Side

    with Server(quirks=["keeps-envelope"]) as server, world.session(server.host, server.port) as session:
        server.reply_to("STORED", "554 5.6.0 No", times=1, after=1)
        receipts = []
        for _ in range(5):
            try:
                receipts.append(session.send(MESSAGE, sender="ann@example.com", recipients=BOB))
            except ReplyError as error:
                assert error.receipt is not None
                receipts.append(error.receipt)
        assert [bool(receipt) for receipt in receipts] == [True, False, True, True, True]
        assert session.face.findings["rset"] == "broken"


def test_after_a_loss_the_window_grows_with_each_delivery() -> None:
    quirks = ServerQuirks()
    quirks.window_lost(0)
    for window in (2, 3, 4):
        quirks.delivered(window_limit=4)
        assert quirks.window == window
    quirks.delivered(window_limit=4)
    assert quirks.window is None


def test_two_first_groups_in_a_row_that_are_lost_end_groups() -> None:
    quirks = ServerQuirks()
    quirks.group_lost()
    assert quirks.findings()["groups"] == "unproven"
    quirks.group_lost()
    assert quirks.groups is Trust.BROKEN
