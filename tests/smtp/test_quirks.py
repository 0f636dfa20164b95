"""What a session finds out about its server, and that the documentation says the same."""

from __future__ import annotations

from tests.worlds import World
from wlsmtp import Envelope, RetryPolicy
from wlsmtp.smtp.quirks import ServerQuirks, Trust
from wlsmtp.testing import SMTPServer

MESSAGE = b"Subject: hello\r\n\r\nHello\r\n"
TO_BOB = Envelope("ann@example.com", ["bob@example.org"])


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


def test_a_server_known_to_store_what_follows_content_is_never_tried(world: World) -> None:
    greeting = "220 mail.example.com ESMTP Net::Server::Mail (Perl) Service ready"
    with SMTPServer(extensions=["PIPELINING"]) as server, world.session(server.host, server.port) as session:
        server.reply_to("CONNECT", greeting)
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
