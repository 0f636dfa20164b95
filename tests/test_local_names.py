"""Addresses without a domain go where they mean somebody: to Postmaster anywhere, to others on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp import Message, MessageError, SessionConfig
from wlsmtp.testing import ScriptedPeer, SMTPServer
from wlsmtp.transports import ByDomainTransport, FailoverTransport, MemoryTransport, SendmailTransport
from wlsmtp.wire.address import parse_address

RAW = b"From: root\r\nTo: root, www-data\r\n\r\nx\r\n"


def test_postmaster_is_known_to_every_server(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        for name in ("Postmaster", "postmaster"):
            assert session.send(RAW, sender="<>", recipients=name).recipients[0].address == name
    assert [(mail.sender, list(mail.recipients)) for mail in server.messages] == [
        ("", ["Postmaster"]),
        ("", ["postmaster"]),
    ]


@pytest.mark.parametrize(
    "envelope", [{}, {"sender": "", "recipients": ["root"]}, {"sender": "root", "recipients": "a@x.org"}]
)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_other_names_are_refused_before_a_server_elsewhere_is_asked(world: World, envelope: Any, mode: Any) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, mode=mode) as session:
        with pytest.raises(MessageError, match=r"'root' has no domain.*root@example\.com"):
            session.send(RAW, **envelope)
        assert server.connections == 0


def test_a_unix_socket_leads_to_this_machine(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "smtp.sock")
    with SMTPServer(unix_path=path) as server, world.session(path) as session:
        assert session.send(RAW).accepted
    assert list(server.messages[0].recipients) == ["root", "www-data"] and server.messages[0].sender == "root"


def test_so_does_lmtp(world: World) -> None:
    script = "S: 220 hi\nC: LHLO *\nS: 250 hi\nC: MAIL FROM:<root>\nS: 250 ok\nC: RCPT TO:<www-data>\nS: 250 ok\n"
    script += "C: DATA\nS: 354 go\n!content\nS: 250 ok\nC: QUIT\nS: 221 bye"
    with ScriptedPeer(script) as peer, world.session("127.0.0.1", peer.port, protocol="lmtp", timeout=5) as session:
        assert session.send(RAW, recipients="www-data").accepted


def test_so_does_sendmail(world: World, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = f"import sys; open({str(seen)!r}, 'w').write(' '.join(sys.argv[1:])); sys.stdin.buffer.read()"
    with world.session(transport=SendmailTransport(sys.executable, ["-c", code])) as session:
        session.send(RAW)
    assert seen.read_text() == "-i -f root -- root www-data"


def test_several_transports_take_what_all_of_them_take(world: World) -> None:
    elsewhere = SessionConfig(server="127.0.0.1", port=9)
    for transport, is_taken in (
        (FailoverTransport(MemoryTransport(), MemoryTransport()), True),
        (FailoverTransport(MemoryTransport(), elsewhere), False),
        (ByDomainTransport({"*": MemoryTransport(), "x.org": elsewhere}), True),
        (ByDomainTransport({"x.org": MemoryTransport()}), False),
    ):
        with world.session(transport=transport) as session:
            if is_taken:
                assert session.send(RAW).accepted
            else:
                with pytest.raises(MessageError, match="has no domain"):
                    session.send(RAW)


def test_a_composed_message_has_whole_addresses() -> None:
    with pytest.raises(MessageError, match="to: 'root'"):
        Message("ann@example.com", "root")
    assert parse_address("root@mail_server").domain == "mail_server"
