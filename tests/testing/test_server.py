"""The embedded server, seen by a client that this project did not write."""

from __future__ import annotations

import smtplib
import socket
import ssl

import pytest

from wlsmtp.testing import Certificates, ScriptedPeer, SMTPServer

CONTENT = b"Subject: x\r\n\r\n.dot\r\n..\r\n"


def client_of(server: SMTPServer) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=server.ca_file)
    if server.security == "ssl":
        return smtplib.SMTP_SSL("localhost", server.port, context=context, timeout=10)
    client = smtplib.SMTP("localhost", server.port, timeout=10)
    if server.security == "tls":
        client.starttls(context=context)
    return client


@pytest.mark.parametrize("security", ["default", "tls", "ssl"])
def test_it_takes_mail(security: str) -> None:
    with (
        SMTPServer(security=security, users={"ann": "s3cret"}, require_auth=True) as server,
        client_of(server) as client,
    ):
        with pytest.raises(smtplib.SMTPSenderRefused, match="530"):
            client.sendmail("a@example.com", ["b@example.com"], CONTENT)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("ann", "wrong")
        client.login("ann", "s3cret")
        client.sendmail("a@example.com", ["b@example.com"], CONTENT)
        (message,) = server.wait_for_messages(1)
    assert message.content == CONTENT and message.header("Subject") == "x" and message.username == "ann"
    assert (message.tls is not None) is (security != "default")


def test_it_fails_on_demand() -> None:
    with SMTPServer() as server, client_of(server) as client:
        server.refuse("no@example.com", "550 5.1.1 Unknown")
        server.reply_to("DATA", "451 4.3.0 Later", times=1)
        refused = {"no@example.com": (550, b"5.1.1 Unknown")}
        with pytest.raises(smtplib.SMTPDataError, match="451"):
            client.sendmail("a@example.com", ["b@example.com"], CONTENT)
        client.rset()
        assert client.sendmail("a@example.com", ["b@example.com", "no@example.com"], CONTENT) == refused
        assert len(server.messages) == 1


def test_it_answers_a_group_and_chunks_in_order() -> None:
    with SMTPServer() as server, socket.create_connection((server.host, server.port), timeout=10) as sock:
        group = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\nabcBDAT 2 LAST\r\nd\nRSET\r\nQUIT\r\n"
        sock.sendall(group)
        heard = b"".join(iter(lambda: sock.recv(65536), b""))
    codes = [line[:3] for line in heard.split(b"\r\n") if line and line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"250", b"250", b"250", b"221"]
    assert server.messages[0].content == b"abcd\n" and server.messages[0].via == "BDAT"


def test_a_scripted_peer_tells_what_went_off_the_script() -> None:
    with (
        pytest.raises(AssertionError, match="expected 'EHLO"),
        ScriptedPeer("S: 220 hi\nC: EHLO nobody\nS: 250 x") as peer,
        socket.create_connection(("127.0.0.1", peer.port), timeout=10) as sock,
    ):
        sock.sendall(b"HELO me\r\n")
        while sock.recv(100):
            pass


def test_an_expired_certificate_is_expired() -> None:
    certificates = Certificates.expired()
    with (
        SMTPServer(security="ssl", certificates=certificates) as server,
        pytest.raises(ssl.SSLCertVerificationError, match="expired"),
    ):
        client_of(server)


def test_the_plugin_offers_fixtures(smtp_server: SMTPServer, pytester: pytest.Pytester) -> None:
    assert smtp_server.port and smtp_server.url.startswith("smtp://127.0.0.1:")
    pytester.makepyfile("""
        def test_it(smtp_server, smtp_server_factory):
            assert smtp_server_factory(security="ssl").ca_file and smtp_server.messages == []
    """)
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(passed=1)
