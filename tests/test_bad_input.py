"""Bad input and bad surroundings, one row each: the error, where it happens, what it says to do, what went out."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, RetryPolicy, Stage
from wlsmtp.testing import SMTPServer

ANN, BOB = "ann@example.com", "bob@example.com"
NO_RETRY = RetryPolicy(attempts=1)


@contextmanager
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def mail(**fields: Any) -> Message:
    return Message(**{"sender": ANN, "to": BOB, "subject": "Hi", "text": "x", **fields})


BAD_MESSAGES: list[tuple[str, Callable[[], Any], str]] = [
    ("no recipients", lambda: mail(to=[]), "recipient"),
    ("malformed address", lambda: mail(to="bob at example.com"), "bob at example.com"),
    ("two addresses in one", lambda: mail(to="bob@example.com, eve@example.com"), "list"),
    ("CRLF in the subject", lambda: mail(subject="Hi\r\nBcc: eve@example.com"), "subject"),
    ("CRLF in an address", lambda: mail(to="bob@example.com>\r\nRCPT TO:<eve@example.com"), "to"),
    ("CRLF in a header", lambda: mail(headers={"X-A": "1\r\nBcc: eve@example.com"}), "X-A"),
    ("missing attachment", lambda: mail(attachments=["/no/such/file.pdf"]), "/no/such/file.pdf"),
    ("a directory attached", lambda: mail(attachments=["/"]), "/"),
    ("text instead of bytes", lambda: "From: ann@example.com\n\nHi", "bytes"),
]


@pytest.mark.parametrize(("make", "words"), [row[1:] for row in BAD_MESSAGES], ids=[row[0] for row in BAD_MESSAGES])
def test_a_bad_message_is_refused_before_anything_is_sent(world: World, make: Callable[[], Any], words: str) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        with pytest.raises(wlsmtp.MessageError) as caught:
            session.send(make())
        assert words in str(caught.value)
        assert server.connections == 0


def test_an_unknown_host_is_named(world: World) -> None:
    with (
        world.session("no-such-host.invalid", retry=NO_RETRY) as session,
        pytest.raises(wlsmtp.ConnectionFailed, match=r"no-such-host\.invalid.*spelling|resolved") as caught,
    ):
        session.send(mail())
    assert caught.value.stage is Stage.CONNECT and caught.value.receipt is not None


def test_a_refused_port_is_named(world: World) -> None:
    with (
        closed_port() as port,
        world.session("127.0.0.1", port, retry=NO_RETRY) as session,
        pytest.raises(wlsmtp.ConnectionFailed, match=f"127.0.0.1:{port}.*port") as caught,
    ):
        session.send(mail())
    assert caught.value.temporary and not caught.value.ambiguous


def test_a_wrong_password_is_tried_once_and_never_shown(world: World) -> None:
    with (
        SMTPServer(users={"ann": "right"}) as server,
        world.session(server.host, server.port, username="ann", password="wr0ng") as session,
    ):
        with pytest.raises(wlsmtp.AuthenticationFailed, match="refused the login of 'ann'") as caught:
            session.send(mail())
        assert isinstance(caught.value, PermissionError)
        assert "wr0ng" not in f"{caught.value!s}{caught.value!r}{session.face!r}{session.face.config!r}"
        assert caught.value.reply is not None and caught.value.reply.code == 535
        tries = [line for _, who, line in server.transcript if who == "C" and line.startswith(b"AUTH")]
        assert len(tries) == 1


def test_no_password_goes_over_a_clear_link() -> None:
    from wlsmtp.smtp.authentication import is_loopback

    assert is_loopback("127.0.0.1") and is_loopback("::1")
    assert not is_loopback("192.0.2.1") and not is_loopback("fe80::1%eth0") and not is_loopback(None)


@pytest.mark.parametrize(
    ("names", "words"), [(("wrong.example",), "name that is in the certificate"), ((), "ca_file")], ids=["name", "CA"]
)
def test_a_wrong_certificate_names_the_setting(world: World, names: tuple[str, ...], words: str) -> None:
    from wlsmtp.testing import Certificates

    certificates = Certificates(*names) if names else None
    with SMTPServer(security="ssl", certificates=certificates) as server:
        tls = wlsmtp.TLS(ca_file=server.ca_file) if names else wlsmtp.TLS()
        with world.session(server.host, server.port, security="ssl", tls=tls, retry=NO_RETRY) as session:
            with pytest.raises(wlsmtp.TLSError) as caught:
                session.send(mail())
            assert words in str(caught.value) and caught.value.stage is Stage.TLS
        assert server.messages == []


def test_tls_spoken_to_a_plain_port_is_recognised(world: World) -> None:
    with (
        SMTPServer() as server,
        world.session(server.host, server.port, security="ssl", retry=NO_RETRY) as session,
        pytest.raises(wlsmtp.TLSError, match="security='tls'"),
    ):
        session.send(mail())


def test_plain_smtp_spoken_to_a_tls_port_is_recognised(world: World) -> None:
    with (
        SMTPServer(security="ssl") as server,
        world.session(server.host, server.port, timeout=0.3, retry=NO_RETRY) as session,
        pytest.raises(wlsmtp.SMTPError, match="security='ssl'"),
    ):
        session.send(mail())


def test_a_missing_starttls_is_an_error_and_not_a_downgrade(world: World) -> None:
    with SMTPServer(users={"ann": "s3cret"}) as server:
        with (
            world.session(server.host, server.port, security="tls", username="ann", password="s3cret") as session,
            pytest.raises(wlsmtp.TLSError, match="does not offer STARTTLS"),
        ):
            session.send(mail())
        assert not any(line.startswith((b"AUTH", b"MAIL")) for _, _, line in server.transcript)


def test_bytes_injected_before_the_handshake_are_refused(world: World) -> None:
    from wlsmtp.testing import ScriptedPeer

    script = "S: 220 hi\nC: EHLO *\nS: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nS: 250 injected\n!silence"
    with (
        ScriptedPeer.from_dialogue(script) as peer,
        world.session("127.0.0.1", peer.port, security="tls", retry=NO_RETRY) as session,
        pytest.raises(wlsmtp.ProtocolError),
    ):
        session.send(mail())


def test_a_message_above_the_servers_limit_is_refused_before_mail(world: World) -> None:
    with SMTPServer(size_limit=10_000) as server, world.session(server.host, server.port) as session:
        with pytest.raises(wlsmtp.MessageError, match="10,000"):
            session.send(mail(text="x" * 20_000))
        assert not any(line.startswith(b"MAIL") for _, _, line in server.transcript)
        assert session.send(mail())


def test_a_message_that_needs_a_missing_extension_is_refused(world: World) -> None:
    raw = b"From: a@example.com\r\nTo: b@example.com\r\n\r\n\xe9\r\n"
    with SMTPServer(extensions=()) as server, world.session(server.host, server.port) as session:
        with pytest.raises(wlsmtp.ExtensionMissing, match="8BITMIME"):
            session.send(raw)
        with pytest.raises(wlsmtp.ExtensionMissing, match="SMTPUTF8"):
            session.send(mail(to="jörg@example.com"))
