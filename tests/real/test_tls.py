"""TLS against a real Postfix, which writes into each message what it saw of the connection."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wlsmtp
from tests.real.postfix import PostfixServer
from tests.worlds import Session, World
from wlsmtp import TLS, Message, PoolLimits, RetryPolicy
from wlsmtp.events import Connected, Event

PORTS = {"tls": "submission_port", "ssl": "smtps_port"}


def session_for(world: World, postfix: PostfixServer, security: str, tls: TLS, **options: object) -> Session:
    settings = {"username": postfix.username, "password": postfix.password, "retry": RetryPolicy(attempts=1), **options}
    return world.session(postfix.host, getattr(postfix, PORTS[security]), security=security, tls=tls, **settings)


@pytest.mark.parametrize("security", PORTS)
def test_the_receipt_and_the_server_agree(security: str, world: World, postfix: PostfixServer, mailbox: str) -> None:
    with session_for(world, postfix, security, TLS(ca_file=postfix.ca_file)) as session:
        receipt = session.send(Message(sender=postfix.username, to=mailbox, text="x"))
    (stored,) = postfix.wait_for_message(mailbox)
    used = re.search(rb"using (TLSv1\.\d) with cipher (\S+)", stored)
    assert used is not None and receipt.tls is not None
    assert (receipt.tls.protocol.encode(), receipt.tls.cipher.encode()) == used.groups()


@pytest.mark.parametrize("security", PORTS)
def test_connections_after_the_first_resume(security: str, world: World, postfix: PostfixServer) -> None:
    mailbox, events = postfix.mailbox(), list[Event]()
    tls = TLS(ca_file=postfix.ca_file)
    options = {"pool": PoolLimits(max_messages=1), "listeners": (events.append,)}
    with session_for(world, postfix, security, tls, **options) as session:
        for _ in range(5):
            assert session.send(Message(sender=postfix.username, to=mailbox, text="x"))
    resumed = [event.resumed for event in events if isinstance(event, Connected)]
    assert resumed[1:] == [True] * 4
    assert len(postfix.wait_for_message(mailbox, count=5)) == 5


def test_a_client_certificate_is_verified_by_the_server(
    world: World, postfix: PostfixServer, mailbox: str, tmp_path: Path
) -> None:
    certificate = postfix.client_certificate("ann the client", tmp_path / "client.pem")
    for shown in (None, certificate):
        with session_for(world, postfix, "ssl", TLS(ca_file=postfix.ca_file, client_cert=shown)) as session:
            session.send(Message(sender=postfix.username, to=mailbox, text="x"))
    without, with_it = postfix.wait_for_message(mailbox, count=2)
    assert b"No client certificate requested" not in without and b"(not verified)" not in without
    assert b'Client CN "ann the client"' in with_it and b"(verified OK)" in with_it
    assert b"ann the client" not in without


@pytest.mark.parametrize("security", PORTS)
def test_a_pinned_key_and_a_pinned_certificate(security: str, world: World, postfix: PostfixServer) -> None:
    from cryptography.hazmat.primitives.hashes import SHA256, Hash
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509 import load_der_x509_certificate

    with session_for(world, postfix, security, TLS(verify=False)) as session:
        seen = session.verify().tls
    assert seen is not None and seen.certificate is not None and not seen.verified
    key = load_der_x509_certificate(seen.certificate.der).public_key()
    digest = Hash(SHA256())
    digest.update(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    pinned = TLS(public_key=digest.finalize().hex())
    for tls in (pinned, TLS(fingerprint=seen.certificate.fingerprint)):
        with session_for(world, postfix, security, tls) as session:
            info = session.verify().tls
        assert info is not None and info.verified
    with (
        session_for(world, postfix, security, TLS(public_key="00" * 32)) as session,
        pytest.raises(wlsmtp.TLSError, match="not the pinned one"),
    ):
        session.verify()
