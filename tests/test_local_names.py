"""Addresses without a domain go where they mean somebody: to Postmaster anywhere, to others on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp import ConfigError, Message, MessageError, SessionConfig
from wlsmtp.testing import ScriptedPeer, SMTPServer
from wlsmtp.transports import ByDomainTransport, FailoverTransport, MemoryTransport, SendmailTransport
from wlsmtp.wire.address import parse_address
from wlsmtp.wire.mailboxes import parse_mailbox_list

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


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_server_that_adds_its_own_domain_gets_them_if_the_settings_say_so(world: World, mode: Any) -> None:
    with SMTPServer() as server:
        with world.session(server.host, server.port, mode=mode, local_names=True, sender="cron") as session:
            for receipt in (session.send(RAW), session.send(to="root", text="x")):
                assert session.wait(receipt).accepted
        settings = SessionConfig(server=server.host, port=server.port, local_names=True)
        with world.session(transport=FailoverTransport(settings)) as session:
            assert session.send(RAW).accepted
    assert [mail.sender for mail in server.messages] == ["root", "cron", "root"]


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


COMPOSED = Message(("Charlie Root", "root"), ["www-data", "Web <webmaster>"], cc="Postmaster", text="x")


def test_a_composed_message_may_be_for_this_machine(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "smtp.sock")
    with SMTPServer(unix_path=path) as server, world.session(path, sender="daemon") as session:
        assert session.send(COMPOSED).accepted and session.send(to="root", text="x").accepted
    first, second = server.messages
    assert (first.sender, first.recipients) == ("root", ("www-data", "webmaster", "Postmaster"))
    assert first.header("From") == "Charlie Root <root>" and first.header("To") == "www-data, Web <webmaster>"
    assert (second.sender, second.header("From"), second.recipients) == ("daemon", "daemon", ("root",))
    assert "@localhost>" in str(first.header("Message-ID")) and "@localhost>" in str(second.header("Message-ID"))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_over_smtp_it_is_refused_before_a_server_is_asked(world: World, mode: Any) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, mode=mode) as session:
        for message in (COMPOSED, COMPOSED.but(sender="ann@x.org"), COMPOSED.but(to="Root <root>", cc=[])):
            with pytest.raises(MessageError, match=r"has no domain.*root@example\.com"):
                session.send(message)
        assert server.connections == 0
        receipts = session.send_all([COMPOSED.but(sender="a@x.org", to=[]), COMPOSED, COMPOSED.but(to=[])])
        assert session.wait(receipts[0]) and [receipt.status for receipt in receipts[1:]] == ["error", "error"]


@pytest.mark.parametrize("reply_to", ["zoe", ("Zoë", "zoe"), ["ann@example.com", "zoe"]])
def test_a_reply_to_a_name_reaches_nobody_elsewhere(world: World, reply_to: Any) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        letter = Message("ann@example.com", "bob@example.org", reply_to=reply_to, text="x")
        with pytest.raises(MessageError, match=r"^reply_to: 'zoe' is not an email address"):
            session.send(letter)
    with world.session(transport=MemoryTransport()) as session:
        assert session.send(letter)


def test_a_name_is_refused_where_only_a_whole_address_makes_sense(world: World) -> None:
    with pytest.raises(ConfigError, match="sender: 'root' is not an email address"):
        world.session("smtp.example.com", sender="root")
    for wrong in ("a b", "|/bin/sh", "/etc/passwd", "-bs", "a!b", "Root <a b>", "root@", "<root", ("root", "a b")):
        with pytest.raises(MessageError, match="to: "):
            Message("ann@example.com", wrong)
    assert parse_address("root@mail_server").domain == "mail_server"


def test_a_name_like_one_is_a_name_in_a_pair() -> None:
    for name in ("root", "<Cy>", "Root <root>"):
        assert str(Message("ann@example.com", (name, "cy@example.net")).to[0]).endswith(" <cy@example.net>")


def test_a_field_may_have_a_name_before_it() -> None:
    for text in ("Charlie Root <root>", "root (Cron Daemon)", '"Root, C." <root>, ann@x.org'):
        assert str(parse_mailbox_list(text)[0].address) == "root"
