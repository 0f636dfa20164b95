"""Logging in: each mechanism against the embedded server, and which refusal leads to another try."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

import wlsmtp
from tests.worlds import Session, World
from wlsmtp import TLS, AuthenticationFailed, ConfigError, RetryPolicy, SessionConfig, SMTPSession, Stage
from wlsmtp.smtp.refused_login import RefusedLogin
from wlsmtp.testing import CLOSE, HEAR, RESET, SILENCE, ScriptedPeer, SMTPServer

SCRAM = [f"SCRAM-{hash_name}" for hash_name in ("SHA-1", "SHA-256", "SHA-512")]
PASSWORD = ["PLAIN", "LOGIN", "CRAM-MD5", *SCRAM]
TOKEN = ["XOAUTH2", "OAUTHBEARER"]
USER, SECRET = "ann=x,y@example.com", "s3cret, pä55"


def server_with(*mechanisms: str, **options: Any) -> SMTPServer:
    return SMTPServer(users={USER: SECRET}, tokens={USER: "t0ken"}, mechanisms=mechanisms, **options)


def session_to(world: World, server: SMTPServer, **options: Any) -> Session:
    defaults: dict[str, Any] = {"username": USER, "retry": RetryPolicy(attempts=1), "timeout": 10}
    if server.ca_file:
        defaults |= {"security": server.security, "tls": TLS(ca_file=server.ca_file)}
    return world.session("localhost", server.port, **{**defaults, **options})


def tried(server: SMTPServer) -> list[str]:
    """The mechanisms that the client tried, in order."""
    lines = [line.decode() for _, who, line in server.transcript if who == "C"]
    return [line.split()[1] for line in lines if line.startswith("AUTH ")]


@pytest.mark.parametrize("mechanism", PASSWORD + TOKEN)
def test_each_mechanism_logs_in(world: World, mechanism: str) -> None:
    secret = {"token": "t0ken"} if mechanism in TOKEN else {"password": SECRET}
    with server_with(mechanism) as server, session_to(world, server, **secret) as session:
        info = session.verify()
    assert (info.username, info.mechanism) == (USER, mechanism)


@pytest.mark.parametrize("mechanism", PASSWORD + TOKEN)
def test_a_wrong_secret_is_tried_once_though_all_mechanisms_are_offered(world: World, mechanism: str) -> None:
    secret = {"token": "wr0ng"} if mechanism in TOKEN else {"password": "wr0ng"}
    others = TOKEN if mechanism in TOKEN else PASSWORD
    with (
        server_with(*others) as server,
        session_to(world, server, mechanisms=[mechanism, *others], **secret) as session,
        pytest.raises(AuthenticationFailed) as caught,
    ):
        session.verify()
    assert tried(server) == [mechanism] and caught.value.mechanism == mechanism
    assert caught.value.reply is not None and caught.value.reply.code == 535 and caught.value.hint
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({}, "SCRAM-SHA-512"),
        ({"exclude_mechanisms": SCRAM}, "PLAIN"),
        ({"mechanisms": ["login", "PLAIN"]}, "LOGIN"),
        ({"mechanisms": ["LOGIN", "PLAIN"], "exclude_mechanisms": ["Login"]}, "PLAIN"),
    ],
    ids=["strongest first", "excluded", "named", "named and excluded"],
)
def test_the_strongest_mechanism_that_may_be_used_comes_first(world: World, options: Any, first: str) -> None:
    with server_with(*PASSWORD) as server, session_to(world, server, password=SECRET, **options) as session:
        assert session.verify().mechanism == first
    assert tried(server) == [first]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("security", ["tls", "ssl"])
@pytest.mark.parametrize("mechanism", SCRAM)
def test_scram_is_bound_to_the_connection(world: World, mechanism: str, security: str, version: str) -> None:
    binding = {"1.2": "tls-unique", "1.3": "tls-server-end-point"}[version]
    named = {} if version == "1.2" else {"mechanisms": [f"{mechanism.lower()}-plus"]}
    with (
        server_with(f"{mechanism}-PLUS", mechanism, security=security) as server,
        session_to(world, server, password=SECRET, **named) as session,
    ):
        limit_tls(server, version)
        info = session.verify()
    assert info.mechanism == f"{mechanism}-PLUS" and info.tls is not None and info.tls.protocol == f"TLSv{version}"
    assert first_response(server).startswith(f"p={binding},,".encode())


def limit_tls(server: SMTPServer, version: str) -> None:
    assert server.tls_context is not None
    if version == "1.2":
        server.tls_context.maximum_version = server.tls_context.minimum_version = 0x0303  # type: ignore[assignment]


def first_response(server: SMTPServer) -> bytes:
    first = next(line for _, who, line in server.transcript if who == "C" and line.startswith(b"AUTH "))
    return base64.b64decode(first.split()[2])


def test_scram_is_not_bound_to_tls_1_3_unless_that_is_asked_for(world: World) -> None:
    with (
        server_with("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", security="ssl") as server,
        session_to(world, server, password=SECRET) as session,
    ):
        info = session.verify()
    assert info.tls is not None and info.tls.protocol == "TLSv1.3"
    assert info.mechanism == "SCRAM-SHA-256" and first_response(server).startswith(b"n,,")


@pytest.mark.parametrize(
    ("version", "named", "flag"),
    [
        ("1.2", None, b"y,,"),
        ("1.3", None, b"n,,"),
        ("1.3", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], b"y,,"),
        ("1.3", ["SCRAM-SHA-256"], b"n,,"),
    ],
)
def test_a_server_without_binding_is_told_that_this_side_could_only_where_it_would(
    world: World, version: str, named: list[str] | None, flag: bytes
) -> None:
    with (
        server_with("SCRAM-SHA-256", security="ssl") as server,
        session_to(world, server, password=SECRET, mechanisms=named) as session,
    ):
        limit_tls(server, version)
        session.verify()
    assert first_response(server).startswith(flag)


def test_a_server_that_offers_nothing_but_binding_is_told_with_how_to_ask_for_it(world: World) -> None:
    with (
        server_with("SCRAM-SHA-256-PLUS", security="ssl") as server,
        session_to(world, server, password=SECRET) as session,
        pytest.raises(AuthenticationFailed, match=r"mechanisms=\['SCRAM-SHA-256-PLUS'\]"),
    ):
        session.verify()


def test_a_server_in_the_middle_with_a_trusted_certificate_of_its_own_is_found_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        server_with("SCRAM-SHA-256-PLUS", security="ssl") as server,
        session_to(world, server, password=SECRET, mechanisms=["SCRAM-SHA-256-PLUS"]) as session,
        pytest.raises(AuthenticationFailed, match="535"),
    ):
        monkeypatch.setattr(SMTPServer, "end_point", b"what the real server has")
        session.verify()


def test_whoever_takes_the_offer_of_binding_away_is_found_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        server_with("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", security="ssl") as server,
        session_to(world, server, password=SECRET) as session,
        pytest.raises(AuthenticationFailed),
    ):
        limit_tls(server, "1.2")
        # What the client sees, rewritten; the server still knows what it has offered.
        monkeypatch.setattr("wlsmtp.wire.extensions.Capabilities.mechanisms", property(lambda self: ("SCRAM-SHA-256",)))
        session.verify()
    assert tried(server) == ["SCRAM-SHA-256"]


@pytest.mark.parametrize("username", ["ann@example.com", None], ids=["as a user", "as the certificate says"])
def test_a_client_certificate_logs_in(world: World, username: str | None) -> None:
    users = {"ann@example.com": SECRET}  # a certificate cannot name USER
    with SMTPServer(users=users, mechanisms=["EXTERNAL", "PLAIN"], security="tls") as server:
        tls = TLS(ca_file=server.ca_file, client_cert=server.client_cert("ann@example.com"))
        with session_to(world, server, username=username, tls=tls, mechanisms=["EXTERNAL"]) as session:
            info = session.verify()
    assert (info.username, info.mechanism) == (username, "EXTERNAL")


def test_a_client_certificate_of_somebody_else_does_not(world: World) -> None:
    with server_with("EXTERNAL", security="tls") as server:
        tls = TLS(ca_file=server.ca_file, client_cert=server.client_cert("eve@example.com"))
        with (
            session_to(world, server, tls=tls, mechanisms=["EXTERNAL"]) as session,
            pytest.raises(AuthenticationFailed, match="may act as the user"),
        ):
            session.verify()


def test_nobody_in_particular_logs_in_when_that_is_asked_for(world: World) -> None:
    with server_with("ANONYMOUS") as server:
        with session_to(world, server, username=None, mechanisms=["ANONYMOUS"]) as session:
            assert session.verify().mechanism == "ANONYMOUS"
        with session_to(world, server, password=SECRET) as session, pytest.raises(AuthenticationFailed):
            session.verify()


# Which refusal leads on: a script of what the server says to each command.

HELLO = "S: 220 hi\nC: EHLO *\nS: 250-hi\n"
DONE = "S: 235 2.7.0 ok\nC: QUIT\nS: 221 bye"
OFFERS = HELLO + "S: 250 AUTH SCRAM-SHA-256 PLAIN LOGIN\n"
PLAIN = "C: AUTH PLAIN *\n"

GOES_ON = {
    "not supported": "S: 504 5.5.4 no",
    "not known": "S: 500 what",
    "refused before the proof": "S: 535 5.7.8 no such credentials",
    "needs a transition": "S: 432 4.7.12 log in with PLAIN once",
    "cannot be read": "S: 501 5.5.2 cannot decode",
    "for now": "S: 454 4.7.0 later",
}


@pytest.mark.parametrize("reply", GOES_ON.values(), ids=GOES_ON)
def test_a_refusal_that_is_not_about_the_secret_leads_to_the_next_mechanism(world: World, reply: str) -> None:
    script = OFFERS + "C: AUTH SCRAM-SHA-256 *\n" + reply + "\n" + PLAIN + DONE
    with (
        ScriptedPeer(script) as peer,
        world.session("127.0.0.1", peer.port, username="ann", password="s3cret", timeout=5) as session,
    ):
        assert session.verify().mechanism == "PLAIN"


def test_too_many_logins_are_not_made_more_by_the_next_mechanism(world: World) -> None:
    with server_with("SCRAM-SHA-256", "PLAIN") as server:
        server.reply_to("AUTH", "454 4.7.0 Too many login attempts", 1)
        with session_to(world, server, password=SECRET) as session, pytest.raises(AuthenticationFailed):
            session.verify()
    assert tried(server) == ["SCRAM-SHA-256"]


def test_a_token_that_is_refused_with_4xx_is_asked_for_anew(world: World) -> None:
    provider = Provider("old", "t0ken")
    with server_with("XOAUTH2") as server:
        server.reply_to("AUTH", "454 4.7.0 Invalid credentials", 1)
        with session_to(world, server, token=provider) as session:
            assert session.verify().mechanism == "XOAUTH2"
    assert provider.forgotten == ["old"]


MID_EXCHANGE = {
    "LOGIN, the user name is refused for now": ("LOGIN", ("334 VXNlcm5hbWU6", HEAR, "454 4.3.0 Later")),
    "LOGIN, cut at the user name": ("LOGIN", ("334 VXNlcm5hbWU6", HEAR, CLOSE)),
    "LOGIN, refused and cut": ("LOGIN", ("334 VXNlcm5hbWU6", HEAR, "535 5.7.8 No", CLOSE)),
    "CRAM-MD5, cut": ("CRAM-MD5", (CLOSE,)),
    "SCRAM, cut": ("SCRAM-SHA-256", (CLOSE,)),
    "SCRAM, refused and cut": ("SCRAM-SHA-256", ("501 5.5.2 Bad", CLOSE)),
    "SCRAM, reset": ("SCRAM-SHA-256", (RESET,)),
}


@pytest.mark.parametrize(("mechanism", "replies"), MID_EXCHANGE.values(), ids=MID_EXCHANGE)
def test_an_exchange_that_ends_before_a_secret_was_shown_leads_to_the_next_mechanism(
    world: World, mechanism: str, replies: Any
) -> None:
    with server_with(mechanism, "PLAIN") as server:
        server.reply_to("AUTH", replies, 1)
        with session_to(world, server, password=SECRET, mechanisms=[mechanism, "PLAIN"]) as session:
            assert session.verify().mechanism == "PLAIN"
    assert tried(server)[0] == mechanism and set(tried(server)) == {mechanism, "PLAIN"}


def test_a_mechanism_at_which_the_server_hangs_up_is_passed_over_by_the_session(world: World) -> None:
    with server_with("SCRAM-SHA-256", "LOGIN", "PLAIN") as server:
        server.reply_to("AUTH", CLOSE, 1)
        with session_to(world, server, password=SECRET) as session:
            for _ in range(3):
                session.verify()
                session.close()
                session.open()
    assert tried(server) == ["SCRAM-SHA-256", *["PLAIN"] * 4]


def test_the_only_mechanism_is_tried_again_after_the_server_hung_up_at_it(world: World) -> None:
    with server_with("SCRAM-SHA-256") as server:
        server.reply_to("AUTH", CLOSE, 1)
        with session_to(world, server, password=SECRET) as session:
            with pytest.raises(wlsmtp.ConnectionFailed):
                session.verify()
            assert session.verify().mechanism == "SCRAM-SHA-256"


def test_a_server_that_hangs_up_at_every_mechanism_is_asked_once_with_each(world: World) -> None:
    with server_with("SCRAM-SHA-256", "LOGIN", "CRAM-MD5") as server:
        server.reply_to("AUTH", CLOSE, times=None)
        with session_to(world, server, password=SECRET) as session, pytest.raises(wlsmtp.ConnectionFailed):
            session.verify()
    assert tried(server) == ["SCRAM-SHA-256", "LOGIN", "CRAM-MD5"]


def test_a_connection_that_is_lost_after_the_secret_was_shown_is_not_opened_again_for_another_mechanism(
    world: World,
) -> None:
    with server_with("PLAIN", "LOGIN") as server:
        server.reply_to("AUTH", CLOSE, 1)
        with session_to(world, server, password=SECRET) as session, pytest.raises(wlsmtp.ConnectionFailed):
            session.verify()
    assert tried(server) == ["PLAIN"]


def test_what_was_refused_on_the_way_is_not_tried_on_the_next_connection(world: World) -> None:
    with server_with("EXTERNAL", "PLAIN", "LOGIN", security="tls") as server:
        tls = TLS(ca_file=server.ca_file, client_cert=server.client_cert("eve@example.com"))
        options: Any = {"tls": tls, "mechanisms": ["EXTERNAL", "PLAIN", "LOGIN"], "password": SECRET}
        with session_to(world, server, **options) as session:
            for _ in range(2):
                session.verify()
                session.close()
                session.open()
    assert tried(server) == ["EXTERNAL", "PLAIN", "PLAIN", "PLAIN"]


def test_a_refused_certificate_leads_to_the_password(world: World) -> None:
    with server_with("EXTERNAL", "PLAIN", security="tls") as server:
        tls = TLS(ca_file=server.ca_file, client_cert=server.client_cert("eve@example.com"))
        options: Any = {"tls": tls, "mechanisms": ["EXTERNAL", "PLAIN"], "password": SECRET}
        with session_to(world, server, **options) as session:
            assert session.verify().mechanism == "PLAIN"


def test_a_password_that_scram_cannot_express_is_shown_by_plain(world: World) -> None:
    password = "bell\a"
    with SMTPServer(users={USER: password}, mechanisms=["SCRAM-SHA-256", "PLAIN"]) as server:
        with session_to(world, server, password=password) as session:
            assert session.verify().mechanism == "PLAIN"
        options: Any = {"mechanisms": ["SCRAM-SHA-256"], "password": password}
        with (
            session_to(world, server, **options) as session,
            pytest.raises(AuthenticationFailed, match="cannot express") as caught,
        ):
            session.verify()
    assert "bell" not in str(caught.value) and tried(server) == ["PLAIN"]


FAREWELL = OFFERS + "C: AUTH SCRAM-SHA-256 *\nS: 421 4.7.0 not now\n!silence"
AFTER_PROOF = OFFERS.replace("SCRAM-SHA-256 ", "") + PLAIN + "S: 454 4.7.0 later\n!silence"


@pytest.mark.parametrize("script", [FAREWELL, AFTER_PROOF], ids=["farewell", "after the proof"])
def test_a_refusal_for_now_ends_the_login_and_is_temporary(world: World, script: str) -> None:
    with (
        ScriptedPeer(script) as peer,
        world.session("127.0.0.1", peer.port, username="ann", password="s3cret", timeout=5) as session,
        pytest.raises(wlsmtp.SMTPError) as caught,
    ):
        session.verify()
    assert caught.value.temporary


@pytest.mark.parametrize("answer", ["S: 235 ok", "S: 334 dj1hYmM=", "S: 334", "S: 334 ???"])
def test_a_server_that_says_yes_without_a_proof_of_its_own_is_not_believed(world: World, answer: str) -> None:
    class Peer(ScriptedPeer):
        """Makes its challenge from the nonce of the client, as a server must."""

        def _expect(self, wanted: str, line: bytes) -> bool:
            if line.startswith(b"AUTH SCRAM"):
                nonce = base64.b64decode(line.split()[2]).rpartition(b"r=")[2].decode()
                challenge = base64.b64encode(f"r={nonce}x,s=QSXCR+Q6sek8bf92AAAA,i=4096".encode()).decode()
                self._steps[self._steps.index("S: 334 challenge")] = f"S: 334 {challenge}"
            return super()._expect(wanted, line)

    script = OFFERS + "C: AUTH SCRAM-SHA-256 *\nS: 334 challenge\nC: *\n" + answer + "\n!silence"
    with (
        Peer(script) as peer,
        world.session("127.0.0.1", peer.port, username="ann", password="s3cret", timeout=5) as session,
        pytest.raises(AuthenticationFailed, match=f"The SCRAM-SHA-256 exchange of 127.0.0.1:{peer.port} is not valid"),
    ):
        session.verify()


# What was refused is not offered again.


def mail(number: int) -> wlsmtp.Message:
    return wlsmtp.Message(sender="ann@example.com", to="bob@example.org", subject=str(number), text="x")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "XOAUTH2"])
def test_a_refused_secret_is_offered_once_by_many_sends(world: World, mechanism: str) -> None:
    secret = {"token": "wr0ng"} if mechanism in TOKEN else {"password": "wr0ng"}
    with server_with(mechanism) as server, session_to(world, server, **secret) as session:
        for number in range(20):
            with pytest.raises(AuthenticationFailed, match="was not tried again" if number else "535") as caught:
                session.send(mail(number))
            assert caught.value.reply is not None and caught.value.reply.code == 535
            assert caught.value.mechanism == mechanism and not caught.value.temporary
            assert "wr0ng" not in str(caught.value)
    assert len(tried(server)) == 1


def test_a_refusal_that_is_said_with_4xx_is_remembered_as_well(world: World) -> None:
    with server_with("PLAIN") as server, session_to(world, server, password=SECRET) as session:
        server.reply_to("AUTH", "451 Authentication failed: Could not authenticate")
        for _ in range(3):
            with pytest.raises(AuthenticationFailed) as caught:
                session.send(mail(1))
            assert not caught.value.temporary
    assert len(tried(server)) == 1


@pytest.mark.parametrize("ask", ["verify", "open"])
def test_verify_and_open_ask_the_server_again(world: World, ask: str) -> None:
    with server_with("PLAIN") as server, session_to(world, server, password="wr0ng") as session:
        for _ in range(2):
            with pytest.raises(AuthenticationFailed, match=r"535") as caught:
                getattr(session, ask)()
            assert "not tried again" not in str(caught.value)
        assert len(tried(server)) == 2
        server.users[USER] = "wr0ng"
        with pytest.raises(AuthenticationFailed, match="not tried again"):
            session.send(mail(1))
        getattr(session, ask)()
        session.send(mail(2))
    assert [b"Subject: 2\r\n" in message.content for message in server.messages] == [True]


def test_a_refused_secret_is_offered_again_after_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wlsmtp.smtp.refused_login.REFUSED_LOGIN_RESTS", 0.0)
    with server_with("PLAIN") as server, session_to(world, server, password="wr0ng") as session:
        for _ in range(3):
            with pytest.raises(AuthenticationFailed):
                session.send(mail(1))
    assert len(tried(server)) == 3


def test_another_token_of_a_provider_is_another_secret(world: World) -> None:
    tokens = ["old"]
    with server_with("XOAUTH2") as server, session_to(world, server, token=lambda: tokens[0]) as session:
        for _ in range(2):
            with pytest.raises(AuthenticationFailed):
                session.send(mail(1))
        assert len(tried(server)) == 1
        tokens[0] = "t0ken"
        assert session.send(mail(2)).status is wlsmtp.Status.SENT


@pytest.mark.parametrize("reply", ["454 4.7.0 Temporary authentication failure", "504 5.5.4 Not now"])
def test_a_failure_that_is_not_about_the_secret_does_not_rest(world: World, reply: str) -> None:
    with server_with("PLAIN") as server, session_to(world, server, password=SECRET) as session:
        server.reply_to("AUTH", reply, 1)
        with pytest.raises(AuthenticationFailed):
            session.send(mail(1))
        assert session.send(mail(2)).status is wlsmtp.Status.SENT


def send_side_by_side(world: World, session: Session) -> list[Any]:
    """Return the results of four messages, each over a connection of its own."""
    return world.together(*[(None, lambda number=number: session.face.send(mail(number))) for number in range(4)])


def test_connections_that_are_opened_side_by_side_make_one_failed_login(world: World) -> None:
    with server_with("PLAIN") as server, session_to(world, server, password="wr0ng") as session:
        results = send_side_by_side(world, session)
        assert [type(result) for result in results] == [AuthenticationFailed] * 4
    assert len(tried(server)) == 1


def test_connections_that_are_opened_side_by_side_all_log_in(world: World) -> None:
    with server_with("SCRAM-SHA-256") as server, session_to(world, server, password=SECRET) as session:
        results = send_side_by_side(world, session)
        assert [result.status for result in results] == [wlsmtp.Status.SENT] * 4


def test_who_waits_for_a_login_that_is_cut_logs_in_itself(world: World) -> None:
    with server_with("PLAIN") as server, session_to(world, server, password=SECRET) as session:
        server.reply_to("AUTH", CLOSE, 1)
        results = send_side_by_side(world, session)
        assert sum(isinstance(result, wlsmtp.ConnectionFailed) for result in results) == 1
    assert len(server.messages) == 3


def test_who_waits_for_a_login_of_another_one_waits_no_longer_than_it_may(world: World) -> None:
    with server_with("PLAIN") as server:
        server.reply_to("AUTH", SILENCE)
        with session_to(world, server, password=SECRET, timeout=0.5) as session:
            results = send_side_by_side(world, session)
        assert [type(result) for result in results] == [wlsmtp.DeadlineExceeded] * 4


def test_what_is_kept_of_a_refused_secret_does_not_show_it() -> None:
    refused = RefusedLogin.of("s3cret", AuthenticationFailed("no"), 0.0)
    assert "s3cret" not in repr(refused) and "mark" not in repr(refused)
    assert refused.error_for("s3cret", 1.0) is not None
    assert refused.error_for("other", 1.0) is None and refused.error_for("s3cret", 300.0) is None


# Tokens.


def refusal_with(problem: object) -> str:
    challenge = base64.b64encode(json.dumps(problem).encode()).decode()
    return HELLO + f"S: 250 AUTH XOAUTH2\nC: AUTH XOAUTH2 *\nS: 334 {challenge}\nC:\nS: 535 5.7.8 no\n!silence"


def test_what_a_server_says_about_a_token_is_in_the_error(world: World) -> None:
    problem = {"status": "401", "schemes": "Bearer", "scope": "https://mail.google.com/", "bad\x1b[1m": "\ud800\x07"}
    with (
        ScriptedPeer(refusal_with(problem)) as peer,
        world.session("127.0.0.1", peer.port, username="ann", token="t0ken", timeout=5) as session,
        pytest.raises(AuthenticationFailed, match=r"status: 401, schemes: Bearer, scope: https://mail") as caught,
    ):
        session.verify()
    assert caught.value.problem["scope"] == "https://mail.google.com/"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("problem", ["no object", 7, None, [], {"status": {"nested": True}}])
def test_an_explanation_that_makes_no_sense_does_no_harm(world: World, problem: object) -> None:
    with (
        ScriptedPeer(refusal_with(problem)) as peer,
        world.session("127.0.0.1", peer.port, username="ann", token="t0ken", timeout=5) as session,
        pytest.raises(AuthenticationFailed) as caught,
    ):
        session.verify()
    assert caught.value.problem == {}


class Provider:
    """Returns one token after the other, and records its calls."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.forgotten: list[str] = []
        self.threads: list[str] = []

    def __call__(self) -> str:
        self.threads.append(threading.current_thread().name)
        return self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]

    def forget(self, token: str) -> None:
        self.threads.append(threading.current_thread().name)
        self.forgotten.append(token)


def test_a_refused_token_is_asked_for_anew_once(world: World) -> None:
    provider = Provider("old", "t0ken")
    with server_with(*TOKEN) as server, session_to(world, server, token=provider) as session:
        assert session.verify().mechanism == "OAUTHBEARER"
    assert provider.forgotten == ["old"] and tried(server) == ["OAUTHBEARER", "OAUTHBEARER"]


@pytest.mark.parametrize(("tokens", "tries"), [(["old", "older", "t0ken"], 2), (["old"], 1)], ids=["wrong", "same"])
def test_a_second_token_that_is_wrong_or_the_same_ends_it(world: World, tokens: list[str], tries: int) -> None:
    with (
        server_with("XOAUTH2") as server,
        session_to(world, server, token=Provider(*tokens)) as session,
        pytest.raises(AuthenticationFailed, match="fresh"),
    ):
        session.verify()
    assert len(tried(server)) == tries


def test_a_token_that_is_only_a_text_is_not_tried_again(world: World) -> None:
    with (
        server_with("XOAUTH2") as server,
        session_to(world, server, token="old") as session,
        pytest.raises(AuthenticationFailed),
    ):
        session.verify()
    assert len(tried(server)) == 1


def test_a_token_is_asked_for_at_each_login(world: World) -> None:
    provider = Provider("t0ken")
    with server_with("XOAUTH2") as server, session_to(world, server, token=provider) as session:
        session.verify()
        session.close()
        session.open()
    assert len(provider.threads) == 2


def test_a_provider_that_blocks_does_not_block_the_loop() -> None:
    provider = Provider("old", "t0ken")
    world = World("asyncio")
    with server_with("XOAUTH2") as server, session_to(world, server, token=provider) as session:
        session.verify()
    world.close()
    assert len(provider.threads) == 3 and threading.current_thread().name not in provider.threads


def fail_with(error: Exception) -> Callable[[], str]:
    def provider() -> str:
        raise error

    return provider


@pytest.mark.parametrize(
    ("provider", "kind", "temporary"),
    [
        (fail_with(OSError("no route")), wlsmtp.ConnectionFailed, True),
        (fail_with(TimeoutError()), wlsmtp.DeadlineExceeded, True),
        (fail_with(KeyError("hidden")), AuthenticationFailed, False),
        (fail_with(ConfigError("mine")), ConfigError, False),
        (lambda: "", ConfigError, False),
        (lambda: None, ConfigError, False),
    ],
    ids=["network", "too late", "bug", "own error", "empty", "nothing"],
)
def test_a_provider_that_fails_is_told_as_what_it_is(
    world: World, provider: Any, kind: type[wlsmtp.SMTPError], temporary: bool
) -> None:
    with (
        server_with("XOAUTH2") as server,
        session_to(world, server, token=provider) as session,
        pytest.raises(kind) as caught,
    ):
        session.verify()
    assert type(caught.value) is kind and caught.value.temporary is temporary and "hidden" not in str(caught.value)
    assert tried(server) == []


# Settings.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mechanisms": ["SCRAM"]}, "mechanisms: unknown SCRAM"),
        ({"exclude_mechanisms": ["plane"]}, "exclude_mechanisms: unknown PLANE"),
        ({"mechanisms": ["PLAIN"], "exclude_mechanisms": ["plain"]}, "exclude_mechanisms: leaves none"),
        ({"mechanisms": ["EXTERNAL"], "password": None}, "EXTERNAL needs a client certificate"),
        ({"mechanisms": ["PLAIN"], "password": None}, "username: needs a password or a token"),
    ],
)
def test_mechanisms_that_cannot_work_are_a_wrong_setting(options: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SMTPSession("localhost", **{"username": "ann", "password": "s3cret", **options})


@pytest.mark.parametrize(("mechanism", "extra"), [("SCRAM-SHA-256", "scram"), ("NTLM", "ntlm"), ("GSSAPI", "kerberos")])
def test_a_named_mechanism_whose_package_is_missing_is_told_with_its_extra(
    mechanism: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wlsmtp.sasl.base.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"wlsmtp\[{extra}\]"):
        SMTPSession("localhost", username="ann", password="s3cret", mechanisms=[mechanism])


def test_a_server_that_offers_only_what_is_not_installed_is_told_with_the_extra(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wlsmtp.sasl.base.find_spec", lambda name: None)
    with (
        server_with("SCRAM-SHA-256") as server,
        session_to(world, server, password=SECRET) as session,
        pytest.raises(AuthenticationFailed, match=r"wlsmtp\[scram\]"),
    ):
        session.verify()


@pytest.mark.parametrize(
    ("offered", "options", "words"),
    [
        ("PLAIN", {"token": "t0ken"}, "A token can be used with OAUTHBEARER, XOAUTH2"),
        (
            "XOAUTH2 PLAIN",
            {"password": "s", "mechanisms": ["xoauth2"]},
            "XOAUTH2 needs a token, token=…, and the session has",
        ),
        (
            "XOAUTH2 PLAIN",
            {"token": "s", "mechanisms": ["PLAIN"]},
            "PLAIN needs a password, password=…, and the session has",
        ),
        ("PLAIN", {"password": "s", "mechanisms": ["LOGIN"]}, "offers only PLAIN, nothing for LOGIN. Allow one"),
        ("PLAIN", {"password": "s", "exclude_mechanisms": ["PLAIN"]}, "Allow one that it offers"),
        ("PLAIN", {"mechanisms": ["EXTERNAL"], "tls": TLS(client_cert="client.pem")}, "only to a client whose"),
        ("EXTERNAL", {"password": "s"}, "offers no authentication, nothing for a password. Some servers"),
    ],
)
def test_a_server_that_offers_nothing_that_fits_is_told_with_a_way_out(
    world: World, offered: str, options: Any, words: str
) -> None:
    with (
        server_with(offered) as server,
        session_to(world, server, **options) as session,
        pytest.raises(AuthenticationFailed, match=words),
    ):
        session.verify()
    assert tried(server) == []


def test_mechanisms_can_be_named_in_a_url() -> None:
    config = SessionConfig.from_url("smtp://a:b@localhost?mechanisms=PLAIN,LOGIN&exclude_mechanisms=CRAM-MD5 NTLM")
    assert config.mechanisms == ("PLAIN", "LOGIN") and config.exclude_mechanisms == ("CRAM-MD5", "NTLM")


def test_no_secret_goes_over_a_clear_link(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wlsmtp.smtp.authentication.is_loopback", lambda ip: False)
    with server_with("SCRAM-SHA-256", "ANONYMOUS") as server:
        with (
            session_to(world, server, password=SECRET) as session,
            pytest.raises(AuthenticationFailed, match="not encrypted"),
        ):
            session.verify()
        with session_to(world, server, username=None, mechanisms=["ANONYMOUS"]) as session:
            assert session.verify().mechanism == "ANONYMOUS"
    assert Stage.AUTH.is_before_mail and tried(server) == ["ANONYMOUS"]
