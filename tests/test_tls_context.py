"""An ``ssl.SSLContext`` that is handed over: it is used as it is, and one that does not verify must be meant."""

from __future__ import annotations

import copy
import pickle
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import TLS, ConfigError, Message, RetryPolicy, SMTPSession
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")
NO_RETRY = RetryPolicy(attempts=1)


@pytest.fixture(params=["tls", "ssl"])
def server(request: pytest.FixtureRequest) -> Iterator[SMTPServer]:
    with SMTPServer(security=request.param) as server:
        yield server


def verifying(server: SMTPServer | None = None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca_file if server else None)


def nameless() -> ssl.SSLContext:
    context = verifying()
    context.check_hostname = False
    return context


def blind() -> ssl.SSLContext:
    context = nameless()
    context.verify_mode = ssl.CERT_NONE
    return context


def optional() -> ssl.SSLContext:
    context = nameless()
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@pytest.mark.parametrize(
    "hand_over", [lambda context: context, lambda context: TLS(context=context)], ids=["short", "TLS"]
)
def test_a_context_is_used_as_it_is(world: World, server: SMTPServer, hand_over: Callable[[Any], Any]) -> None:
    context = verifying(server)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    tls = hand_over(context)
    with world.session(server.host, server.port, security=server.security, tls=tls, retry=NO_RETRY) as session:
        receipt = session.send(MESSAGE)
    assert receipt.tls is not None and receipt.tls.verified and receipt.tls.protocol == "TLSv1.2"


def test_a_context_that_does_not_trust_the_server_gives_no_connection(world: World, server: SMTPServer) -> None:
    with (
        world.session(server.host, server.port, security=server.security, tls=verifying(), retry=NO_RETRY) as session,
        pytest.raises(wlsmtp.TLSError, match="was not accepted"),
    ):
        session.send(MESSAGE)
    assert server.messages == []


@pytest.mark.parametrize("make", [blind, nameless, optional])
def test_a_context_that_does_not_verify_must_be_meant(world: World, server: SMTPServer, make: Any) -> None:
    for refused in (lambda: TLS(context=make()), lambda: SMTPSession("x", tls=make())):
        with pytest.raises(ConfigError, match=r"does not verify .* say so with TLS\(verify=False, context=…\)"):
            refused()
    context = make()
    context.load_verify_locations(server.ca_file)
    tls = TLS(verify=False, context=context)
    with world.session(server.host, server.port, security=server.security, tls=tls, retry=NO_RETRY) as session:
        receipt = session.send(MESSAGE)
    assert receipt.tls is not None and not receipt.tls.verified


def test_a_pin_takes_the_place_of_what_the_context_does_not_check(world: World, server: SMTPServer) -> None:
    def connect(tls: TLS) -> wlsmtp.TLSInfo:
        with world.session(server.host, server.port, security=server.security, tls=tls, retry=NO_RETRY) as session:
            info = session.verify().tls
        assert info is not None
        return info

    found = connect(TLS(verify=False, context=blind())).certificate
    assert found is not None
    assert connect(TLS(context=blind(), fingerprint=found.fingerprint)).verified
    with pytest.raises(wlsmtp.TLSError):
        connect(TLS(context=blind(), fingerprint="ab" * 32))


def test_a_context_that_is_weakened_later_is_refused(world: World, server: SMTPServer) -> None:
    context = verifying(server)
    options: dict[str, Any] = {"security": server.security, "tls": context, "retry": NO_RETRY}
    with world.session(server.host, server.port, **options) as session:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with pytest.raises(ConfigError, match=r"tls\.context: does not verify"):
            session.send(MESSAGE)
    assert server.messages == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ca_file": "ca.pem"}, "ca_file: cannot be combined with a context; set it on the context itself"),
        ({"minimum_version": "1.3"}, "minimum_version: cannot be combined with a context"),
        ({"client_cert": "c.pem"}, "client_cert: cannot be combined with a context"),
        ({"ciphers": "AES"}, "ciphers: cannot be combined with a context"),
        ({"verify": False}, "verify: False cannot be combined with a context that verifies"),
        ({"context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, "context: is that of a server"),
        ({"context": "context"}, r"context: must be an ssl\.SSLContext"),
        ({"context": object()}, r"context: must be an ssl\.SSLContext"),
    ],
)
def test_what_cannot_go_with_it_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TLS(**{"context": verifying(), **fields})


def test_copies_share_a_context_and_a_pickle_is_refused_in_plain_words() -> None:
    context = verifying()
    session = SMTPSession("smtp.example.com", tls=context)
    for copied in (copy.copy(session), copy.deepcopy(session)):
        assert copied.config.tls.context is context
    assert copy.deepcopy(session.config).tls.context is context is copy.deepcopy(session.config.tls).context
    for thing in (session, session.config, session.config.tls):
        with pytest.raises(ConfigError, match=r"^tls\.context: .*cannot be pickled.*Make the session there"):
            pickle.dumps(thing)
    assert (
        copy.deepcopy(TLS(ca_file="ca.pem"))
        == TLS(ca_file="ca.pem")
        == pickle.loads(pickle.dumps(TLS(ca_file="ca.pem")))
    )


def test_a_context_is_in_no_record_of_the_settings() -> None:
    config = SMTPSession("x", tls=verifying()).config
    assert "context" not in config.model_dump()["tls"] and config.model_dump_json()
    assert SMTPSession(config, port=26).config.tls.context is config.tls.context
