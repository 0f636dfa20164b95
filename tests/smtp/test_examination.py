"""What a session finds out about its server without sending mail."""

from __future__ import annotations

import pytest

from tests.worlds import World
from wlsmtp import RetryPolicy
from wlsmtp.smtp import examination
from wlsmtp.testing import SILENCE, SMTPServer

BOTH = ["PIPELINING", "CHUNKING"]
ASKED = ("noop", "rset", "groups", "swallows_chunk")
PROVEN, BROKEN, UNPROVEN = "proven", "broken", "unproven"

CASES = {
    "all is well": ([], BOTH, (PROVEN, PROVEN, PROVEN, PROVEN)),
    "no PIPELINING": ([], ["CHUNKING"], (PROVEN, PROVEN, UNPROVEN, UNPROVEN)),
    "no CHUNKING": ([], ["PIPELINING"], (PROVEN, PROVEN, PROVEN, UNPROVEN)),
    "no NOOP": (["no-noop"], BOTH, (BROKEN, PROVEN, PROVEN, PROVEN)),
    "no RSET": (["no-rset"], BOTH, (PROVEN, BROKEN, UNPROVEN, UNPROVEN)),
    "groups are refused": (["refuses-groups"], BOTH, (PROVEN, PROVEN, BROKEN, UNPROVEN)),
    "groups end the connection": (["ends-at-groups"], BOTH, (PROVEN, PROVEN, BROKEN, UNPROVEN)),
    "groups cut the connection": (["drops-groups"], BOTH, (PROVEN, PROVEN, BROKEN, UNPROVEN)),
    "chunks are read as commands": (["unread-chunk"], BOTH, (PROVEN, PROVEN, PROVEN, BROKEN)),
    "BDAT is unknown": (["bdat-unknown"], BOTH, (PROVEN, PROVEN, PROVEN, BROKEN)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_answer_is_found_out(world: World, case: str) -> None:
    quirks, extensions, expected = CASES[case]
    with (
        SMTPServer(quirks=quirks, extensions=extensions) as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=1)) as session,
    ):
        found = session.examine()
        assert tuple(found[name] for name in ASKED) == expected
        assert {found[name] for name in ("bdat", "behind_data", "behind_bdat")} == {UNPROVEN}
        assert not any(line.startswith((b"MAIL", b"DATA")) for _, who, line in server.transcript if who == "C")
        # The session goes by it; but groups are not relied on before one with a message has worked.
        kept = session.face.findings
        assert kept["groups"] == (BROKEN if found["groups"] == BROKEN else UNPROVEN)
        assert all(kept[name] == found[name] for name in ASKED if name != "groups")
        assert session.send(b"Subject: x\r\n\r\nx\r\n", sender="ann@example.com", recipients="bob@example.org")


def test_what_is_known_is_not_asked_again(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        messages = [b"Subject: x\r\nTo: bob@example.org\r\nFrom: ann@example.com\r\n\r\nx\r\n"] * 5
        assert all(session.send_many(messages))
        before = sum(line.startswith(b"BDAT") for _, who, line in server.transcript if who == "C")
        assert {session.examine()[name] for name in (*ASKED, "bdat", "behind_bdat")} == {PROVEN}
        assert sum(line.startswith(b"BDAT") for _, who, line in server.transcript if who == "C") == before


def test_silence_is_an_answer_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "LONGEST", 0.1)
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        server.reply_to("BDAT", SILENCE)
        found = session.examine()
        assert found["groups"] == PROVEN and found["swallows_chunk"] == BROKEN


def test_a_kept_connection_that_was_dead_is_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "LONGEST", 0.1)
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        session.verify()
        server.reply_to("NOOP", SILENCE, times=1)  # as behind a firewall that has forgotten the connection
        found = session.examine()
        assert [found[name] for name in ASKED] == [PROVEN] * 4


def test_a_server_that_takes_leave_says_nothing(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        server.reply_to("RSET", ("421 4.3.2 Going down", server.CLOSE))
        found = session.examine()
        assert (found["rset"], found["groups"], found["swallows_chunk"]) == (UNPROVEN,) * 3


def test_a_server_that_cannot_be_reached_leaves_all_open(world: World) -> None:
    with SMTPServer() as server:
        server.reply_to("CONNECT", "421 4.3.2 Not now")
        with world.session(server.host, server.port) as session:
            assert set(session.examine().values()) == {UNPROVEN}


def test_a_transport_without_a_server_has_nothing_to_find_out(world: World) -> None:
    with world.session(transport="null:") as session:
        assert session.examine() == {}
