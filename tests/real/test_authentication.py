"""Every mechanism that a real Dovecot offers, through a real Postfix, with a real OAuth 2.0 server and a real KDC."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import spnego

import wlsmtp
from tests.oauth_server import CLIENT_ID, CLIENT_SECRET, OAuthServer
from tests.worlds import Session, World
from wlsmtp import TLS, AuthenticationFailed, Message, RetryPolicy
from wlsmtp.sasl import MECHANISMS, Secrets
from wlsmtp.sasl.base import Exchange

from . import cyrus, find_program, kerberos, poll
from .dovecot import DovecotAuth
from .kerberos import REALM, Kerberos
from .mechanisms import HASHED_PASSWORD, HASHED_USER, EveryMechanism
from .postfix import PostfixServer

BY_PASSWORD = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5"]
BY_TOKEN = ["OAUTHBEARER", "XOAUTH2"]
TICKET_PASSWORD = "k3rb-s3cret"
# Cyrus SASL's NTLM takes the octets of UTF-8 for characters, so that only a password in ASCII is the same for both.
CYRUS_PASSWORD = "s3cret"


def give_up(reason: str) -> None:
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="module")
def realm() -> Iterator[Kerberos | None]:
    """A KDC; None where there is none, so that the other mechanisms can be tested all the same."""
    if kerberos.what_is_missing() is not None or not has_gssapi():
        yield None
        return
    running = Kerberos(PostfixServer.username.partition("@")[0], TICKET_PASSWORD, "dovecot")
    running.start()
    yield running
    running.stop()


def has_gssapi() -> bool:
    """Whether Dovecot has its module for Kerberos, and Python its binding."""
    try:
        import gssapi  # noqa: F401
    except ImportError:
        return False
    return any(Path("/usr/lib/dovecot/modules/auth").glob("libmech_gssapi*"))


@pytest.fixture(scope="module")
def oauth() -> Iterator[OAuthServer]:
    with OAuthServer(PostfixServer.username) as server:
        yield server


@pytest.fixture(scope="module")
def everything(oauth: OAuthServer, realm: Kerberos | None) -> Iterator[EveryMechanism]:
    files = EveryMechanism.prepare(oauth, realm, PostfixServer.username)
    yield files
    files.remove()


@pytest.fixture(scope="module")
def server(postfix: PostfixServer, everything: EveryMechanism) -> Iterator[PostfixServer]:
    """A Postfix that offers them all. (It needs what the usual one needs, hence that fixture.)"""
    running = PostfixServer(everything.for_postfix(), "smtpd_sasl_security_options =\n")
    running.start()
    yield running
    running.stop()


def session_to(world: World, server: PostfixServer, mechanism: str | None, **options: Any) -> Session:
    defaults: dict[str, Any] = {
        "security": "tls", "username": server.username, "tls": TLS(ca_file=server.ca_file), "timeout": 20,
        "mechanisms": [mechanism] if mechanism else None, "retry": RetryPolicy(attempts=1),
    }  # fmt: skip
    return world.session("localhost", server.submission_port, **{**defaults, **options})


def deliver(session: Session, server: PostfixServer) -> bytes:
    """Send a message, and return it as Postfix has stored it."""
    mailbox = server.mailbox()
    session.send(Message(sender=server.username, to=mailbox, subject="x", text="x"))
    (stored,) = server.wait_for_message(mailbox)
    return stored


def failures(server: PostfixServer) -> int:
    return server.log().count("authentication failed")


@pytest.mark.parametrize("mechanism", BY_PASSWORD)
def test_a_password_logs_in(world: World, server: PostfixServer, mechanism: str) -> None:
    with session_to(world, server, mechanism, password=server.password) as session:
        assert session.verify().mechanism == mechanism
        assert f"Authenticated sender: {server.username}".encode() in deliver(session, server)


@pytest.mark.parametrize("mechanism", BY_PASSWORD)
def test_a_wrong_password_is_refused_once(world: World, server: PostfixServer, mechanism: str) -> None:
    before = failures(server)
    with (
        session_to(world, server, None, mechanisms=[mechanism, *BY_PASSWORD], password="wr0ng") as session,
        pytest.raises(AuthenticationFailed, match=f"with {mechanism}") as caught,
    ):
        session.verify()
    assert caught.value.reply is not None and caught.value.reply.code == 535 and "wr0ng" not in str(caught.value)
    assert poll(lambda: failures(server) == before + 1, 5.0)


def test_the_strongest_comes_first(world: World, server: PostfixServer) -> None:
    with session_to(world, server, None, password=server.password) as session:
        assert session.verify().mechanism == "SCRAM-SHA-256"


def test_a_password_that_the_server_has_as_a_hash_logs_in_with_plain(world: World, server: PostfixServer) -> None:
    """Dovecot offers SCRAM to all, and refuses it before the proof for users of whom it has no fitting secret."""
    before = failures(server)
    with session_to(world, server, None, username=HASHED_USER, password=HASHED_PASSWORD) as session:
        assert session.verify().mechanism == "PLAIN"
    assert poll(lambda: failures(server) == before + 2, 5.0)


@pytest.mark.parametrize("mechanism", BY_TOKEN)
def test_a_token_logs_in(world: World, server: PostfixServer, oauth: OAuthServer, mechanism: str) -> None:
    token = oauth.issue().access_token
    with session_to(world, server, mechanism, token=token) as session:
        assert session.verify().mechanism == mechanism
        assert f"Authenticated sender: {server.username}".encode() in deliver(session, server)


@pytest.mark.parametrize("mechanism", BY_TOKEN)
def test_a_wrong_token_is_refused_once_and_explained(world: World, server: PostfixServer, mechanism: str) -> None:
    before = failures(server)
    with (
        session_to(world, server, None, mechanisms=[mechanism, *BY_TOKEN], token="wr0ng") as session,
        pytest.raises(AuthenticationFailed, match=f"with {mechanism}") as caught,
    ):
        session.verify()
    assert caught.value.problem.get("status") in ("401", "invalid_token") and "wr0ng" not in str(caught.value)
    assert poll(lambda: failures(server) == before + 1, 5.0)


@pytest.mark.parametrize("mechanism", BY_TOKEN)
def test_a_revoked_token_is_renewed_within_the_login(
    world: World, server: PostfixServer, oauth: OAuthServer, mechanism: str
) -> None:
    provider = wlsmtp.RefreshToken(
        token_url=oauth.token_url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET,
        refresh_token=oauth.issue().refresh_token or "",
    )  # fmt: skip
    provider()
    oauth.revoke_all()
    with session_to(world, server, mechanism, token=provider) as session:
        assert session.verify().mechanism == mechanism


def test_nobody_in_particular_logs_in(world: World, server: PostfixServer) -> None:
    with session_to(world, server, "ANONYMOUS", username=None) as session:
        assert session.verify().mechanism == "ANONYMOUS"


@pytest.fixture
def kdc(realm: Kerberos | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kerberos:
    """The realm, as this process's libkrb5 finds it."""
    if realm is None:
        give_up("missing: krb5-kdc, dovecot-gssapi or the Python package gssapi")
    assert realm is not None
    monkeypatch.setenv("KRB5_CONFIG", str(realm.config))
    monkeypatch.setenv("KRB5CCNAME", str(tmp_path / "tickets"))
    return realm


def test_a_ticket_logs_in(world: World, server: PostfixServer, kdc: Kerberos, tmp_path: Path) -> None:
    kdc.ticket(tmp_path / "tickets")
    with session_to(world, server, "GSSAPI", username=None) as session:
        assert session.verify().mechanism == "GSSAPI"
        assert b"Authenticated sender: ann@" in deliver(session, server)


def test_a_ticket_is_fetched_with_a_password(world: World, server: PostfixServer, kdc: Kerberos) -> None:
    with session_to(world, server, "GSSAPI", username=f"ann@{REALM}", password=TICKET_PASSWORD) as session:
        assert session.verify().mechanism == "GSSAPI"


@pytest.mark.parametrize("password", [None, "wr0ng"], ids=["no ticket", "wrong password"])
def test_without_a_ticket_nothing_is_sent(
    world: World, server: PostfixServer, kdc: Kerberos, password: str | None
) -> None:
    before = failures(server)
    with (
        session_to(world, server, "GSSAPI", username=f"ann@{REALM}", password=password) as session,
        pytest.raises(AuthenticationFailed, match=r"GSSAPI (got no ticket|cannot be used)") as caught,
    ):
        session.verify()
    assert caught.value.reply is None and "wr0ng" not in str(caught.value)
    assert failures(server) == before


def test_without_a_ticket_the_next_mechanism_is_used(world: World, server: PostfixServer, kdc: Kerberos) -> None:
    options = {"mechanisms": ["GSSAPI", "PLAIN"], "password": server.password}
    with session_to(world, server, None, **options) as session:
        assert session.verify().mechanism == "PLAIN"


@pytest.fixture
def exchange(kdc: Kerberos, tmp_path: Path) -> Exchange:
    """The client's side of GSSAPI, with a ticket."""
    kdc.ticket(tmp_path / "tickets")
    return MECHANISMS["GSSAPI"].start(Secrets(host="localhost"))


def test_a_service_without_the_key_is_found_out(exchange: Exchange) -> None:
    assert next(exchange)
    with pytest.raises(AuthenticationFailed, match="not valid"):
        exchange.send(b"no token")


@pytest.mark.parametrize("layers", [b"\4\0\x10\0", b"", b"\1"], ids=["encryption", "nothing", "too short"])
def test_a_service_that_does_without_no_other_layer_is_left(
    exchange: Exchange, kdc: Kerberos, layers: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5_KTNAME", str(kdc.keytab))
    service = spnego.server(hostname="localhost", service="smtp", protocol="kerberos")
    answer = service.step(next(exchange))
    assert answer and exchange.send(answer) == b"" and service.complete
    with pytest.raises(AuthenticationFailed, match="security layer"):
        exchange.send(service.wrap(layers, encrypt=False).data)


@pytest.fixture(scope="module")
def submission(server: PostfixServer, everything: EveryMechanism) -> Iterator[int]:
    """The port of Dovecot's own submission service, in front of Postfix."""
    if find_program("dovecot") is None or not Path("/usr/lib/dovecot/submission-login").exists():
        give_up("missing: dovecot-submissiond")
    extra, port = everything.for_submission(server.plain_port)
    directory = everything.directory / "dovecot"
    running = DovecotAuth(directory, everything.directory / "auth", server.username, server.password, extra=extra)
    running.start()
    yield port
    running.stop()


@pytest.mark.parametrize("username", [PostfixServer.username, None], ids=["as a user", "as the certificate says"])
def test_a_client_certificate_logs_in(
    world: World, server: PostfixServer, submission: int, everything: EveryMechanism, username: str | None
) -> None:
    files = everything.directory
    tls = TLS(ca_file=files / "ca.pem", client_cert=files / "client.pem")
    with world.session(
        "localhost", submission, security="tls", username=username, tls=tls, mechanisms=["EXTERNAL"], timeout=20
    ) as session:
        assert session.verify().mechanism == "EXTERNAL"
        assert deliver(session, server)


def test_without_its_certificate_a_client_is_nobody(
    world: World, server: PostfixServer, submission: int, everything: EveryMechanism
) -> None:
    files = everything.directory
    tls = TLS(ca_file=files / "ca.pem", client_cert=files / "server.pem")
    with (
        world.session(
            "localhost", submission, security="tls", username=server.username, tls=tls, mechanisms=["EXTERNAL"],
            retry=RetryPolicy(attempts=1), timeout=20,
        ) as session,
        pytest.raises(AuthenticationFailed, match="EXTERNAL"),
    ):  # fmt: skip
        session.verify()


@pytest.fixture(scope="module")
def with_cyrus(postfix: PostfixServer) -> Iterator[PostfixServer]:
    """A Postfix with Cyrus SASL."""
    if (reason := cyrus.what_is_missing()) is not None:
        give_up(f"missing: {reason}")
    with TemporaryDirectory(prefix="cyrus-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        more, sasl = cyrus.prepare(Path(directory), PostfixServer.username, CYRUS_PASSWORD)
        running = PostfixServer(more=more, sasl=sasl)
        running.start()
        yield running
        running.stop()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "NTLM"])
def test_cyrus_sasl_agrees(world: World, with_cyrus: PostfixServer, mechanism: str) -> None:
    with session_to(world, with_cyrus, mechanism, password=CYRUS_PASSWORD) as session:
        assert session.verify().mechanism == mechanism
    before = failures(with_cyrus)
    with (
        session_to(world, with_cyrus, mechanism, password="wr0ng") as session,
        pytest.raises(AuthenticationFailed, match="535"),
    ):
        session.verify()
    assert poll(lambda: failures(with_cyrus) == before + 1, 5.0)
