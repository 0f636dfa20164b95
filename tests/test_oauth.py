"""Token providers against a real OAuth 2.0 server, alone and in sessions of both worlds."""

from __future__ import annotations

import base64
import gc
import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from tests.oauth_server import CLIENT_ID, CLIENT_SECRET, SCOPE, OAuthServer
from tests.worlds import World
from wlsmtp import AuthenticationFailed, ClientCredentials, ConfigError, ConnectionFailed, RefreshToken, RetryPolicy
from wlsmtp.io.renewal import Renewable
from wlsmtp.oauth import _json, _lifetime
from wlsmtp.testing import ScriptedPeer, SMTPServer

USER = "ann@example.com"
APP: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": SCOPE}


@pytest.fixture(scope="module")
def running() -> Iterator[OAuthServer]:
    with OAuthServer(USER) as server:
        yield server
    gc.collect()  # so that a socket left open is noticed here


@pytest.fixture
def oauth(running: OAuthServer) -> OAuthServer:
    running.lifetime, running.is_down = 3600, False
    running.requests.clear()
    return running


def application(oauth: OAuthServer, **options: Any) -> ClientCredentials:
    return ClientCredentials(token_url=oauth.token_url, **{**APP, **options})


def user(oauth: OAuthServer, **options: Any) -> RefreshToken:
    granted = oauth.issue().refresh_token
    return RefreshToken(token_url=oauth.token_url, **{**APP, "refresh_token": granted, **options})


@pytest.mark.parametrize("client_auth", ["post", "basic"])
@pytest.mark.parametrize("kind", [application, user])
def test_a_token_is_asked_for_once_and_kept(oauth: OAuthServer, kind: Any, client_auth: str) -> None:
    provider = kind(oauth, client_auth=client_auth)
    assert oauth.requests == []
    token = provider()
    assert token and provider() == token and len(oauth.requests) == 1
    assert ("client_secret" in oauth.requests[0]) is (client_auth == "post")


@pytest.mark.parametrize(("lifetime", "early", "margin"), [(3600, 60, 60), (60, 60, 30), (100, 0, 0)])
def test_a_token_is_renewed_before_it_expires(lifetime: float, early: float, margin: float) -> None:
    tokens = iter(["first", "second"])
    token = Renewable(lambda: (next(tokens), lifetime), early)
    assert token.get() == token.get() == "first"
    assert token._ends_at - token._renew_at == margin
    token._renew_at = 0
    assert token.get() == "second"


def test_a_forgotten_token_is_replaced_and_another_one_is_not(oauth: OAuthServer) -> None:
    provider = application(oauth)
    first = provider()
    provider.forget("another")
    assert provider() == first
    provider.forget(first)
    assert provider() != first and len(oauth.requests) == 2


def test_a_rotated_refresh_token_is_used_from_then_on_and_told(oauth: OAuthServer) -> None:
    rotated: list[str] = []
    provider = user(oauth, on_rotate=rotated.append)
    for _ in range(3):
        provider.forget(provider())
    assert [form["refresh_token"] for form in oauth.requests[1:]] == rotated[:-1] and len(set(rotated)) == 3
    # A rotated token is useful to the next process.
    assert RefreshToken(token_url=oauth.token_url, **APP, refresh_token=rotated[-1])()


def test_a_program_that_cannot_keep_the_new_refresh_token_is_told_in_the_log(
    oauth: OAuthServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(token: str) -> None:
        raise OSError("disk full")

    provider = user(oauth, on_rotate=fail)
    provider.forget(provider())
    assert provider() and "on_rotate failed" in caplog.text
    assert not any(form["refresh_token"] in caplog.text for form in oauth.requests)


def test_many_threads_share_one_request(oauth: OAuthServer) -> None:
    provider = user(oauth)
    at_once = threading.Barrier(8)

    def get(_: int) -> str:
        at_once.wait()
        return provider()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(get, range(8)))) == 1
    assert len(oauth.requests) == 1


@pytest.mark.parametrize(
    ("options", "problem", "advice"),
    [
        ({"client_secret": "wr0ng-s3cret"}, "invalid_client", "client_secret"),
        ({"client_id": "another"}, "invalid_client", "client_id"),
        ({"scope": "everything"}, "invalid_scope", "scope"),
    ],
)
def test_a_refusal_of_the_endpoint_is_told_with_its_reason(
    oauth: OAuthServer, options: Any, problem: str, advice: str
) -> None:
    with pytest.raises(AuthenticationFailed, match=advice) as caught:
        application(oauth, **options)()
    assert caught.value.problem["error"] == problem and not caught.value.temporary
    assert "s3cret" not in str(caught.value)


def test_a_revoked_refresh_token_wants_the_user(oauth: OAuthServer) -> None:
    with pytest.raises(AuthenticationFailed, match="log in again") as caught:
        user(oauth, refresh_token="0ld-refresh-token")()
    assert caught.value.problem["error"] == "invalid_grant" and "0ld" not in str(caught.value)


def test_an_endpoint_that_is_down_may_come_back(oauth: OAuthServer) -> None:
    oauth.is_down = True
    provider = application(oauth)
    with pytest.raises(ConnectionFailed, match="503") as caught:
        provider()
    assert caught.value.temporary
    oauth.is_down = False
    assert provider()


def test_an_endpoint_that_is_not_there_may_come_back() -> None:
    with pytest.raises(ConnectionFailed, match="could not be reached") as caught:
        ClientCredentials(token_url="http://127.0.0.1:1/token", **APP)()
    assert caught.value.temporary


def test_an_address_that_is_no_token_endpoint_is_told(oauth: OAuthServer) -> None:
    with pytest.raises(AuthenticationFailed, match="Check token_url"):
        ClientCredentials(token_url=f"{oauth.url}/elsewhere", **APP)()


def test_an_early_renewal_that_fails_does_no_harm_while_the_token_is_good() -> None:
    answers: list[Any] = [("first", 100.0), ConnectionFailed("down"), AuthenticationFailed("revoked")]
    answers.append(answers[-1])

    def make() -> tuple[str, float]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    token = Renewable(make, early=1e9)
    assert token.get() == "first"
    token._renew_at = 0
    assert token.get() == token.get() == "first"
    token._ends_at = 0
    with pytest.raises(AuthenticationFailed):
        token.get()


@pytest.mark.parametrize(
    ("answer", "lifetime"),
    [({"expires_in": 60}, 60), ({"expires_in": "60"}, 60), ({}, 300), ({"expires_in": "soon"}, 300),
     ({"expires_in": -1}, 300), ({"expires_in": None}, 300), ({"expires_in": "inf"}, 300)],
)  # fmt: skip
def test_the_lifetime_of_a_token_is_read_or_assumed(answer: dict[str, Any], lifetime: float) -> None:
    assert _lifetime(answer) == lifetime


@pytest.mark.parametrize("body", [b"", b"[]", b"no JSON", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_object_holds_nothing(body: bytes) -> None:
    assert _json(body) == {}


def test_an_answer_that_is_no_http_is_told() -> None:
    with (
        ScriptedPeer("C: POST *\nS: 220 this is SMTP") as peer,
        pytest.raises(ConnectionFailed, match="not HTTP"),
    ):
        ClientCredentials(token_url=f"http://127.0.0.1:{peer.port}/token", **APP)()


def test_a_redirection_is_not_followed(oauth: OAuthServer) -> None:
    script = f"C: POST *\nS: HTTP/1.1 307 Elsewhere\nS: Location: {oauth.token_url}\nS: Content-Length: 0\nS:"
    with ScriptedPeer(script) as peer, pytest.raises(AuthenticationFailed, match="HTTP 307"):
        ClientCredentials(token_url=f"http://127.0.0.1:{peer.port}/token", **APP)()
    assert oauth.requests == []


@pytest.mark.parametrize(
    "token_url",
    ["http://login.example.com/token", "login.example.com", "https://", "ftp://x/y", "https://a:b@x/y", "https://x/\n",
     "https://[x/", "http://10.0.0.1/token"],
)  # fmt: skip
def test_secrets_go_only_to_an_address_that_is_secure(token_url: str) -> None:
    with pytest.raises(ConfigError, match="token_url: must"):
        ClientCredentials(token_url=token_url, **APP)


def test_no_secret_is_shown(oauth: OAuthServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    provider = user(oauth, refresh_token="refr3sh", extra={"assertion": "s3cret"})
    shown = repr(provider) + str(provider) + caplog.text
    assert not any(secret in shown for secret in (CLIENT_SECRET, "refr3sh", "s3cret"))


# In sessions: the SMTP server knows the tokens that it is given.


@pytest.mark.parametrize("kind", [application, user])
def test_a_session_logs_in_with_a_provider(world: World, oauth: OAuthServer, kind: Any) -> None:
    provider = kind(oauth)
    with SMTPServer(mechanisms=["OAUTHBEARER"], tokens={USER: provider()}) as server:
        for _ in range(2):
            with world.session(server.host, server.port, username=USER, token=provider) as session:
                assert session.verify().mechanism == "OAUTHBEARER"
    assert len(oauth.requests) == 1


def test_a_token_that_the_server_no_longer_takes_is_renewed_within_the_login(world: World, oauth: OAuthServer) -> None:
    with SMTPServer(mechanisms=["XOAUTH2"], tokens={USER: "another"}) as server:

        def learn(_refresh_token: str) -> None:
            server.tokens[USER] = oauth._tokens[-1].access_token

        provider = user(oauth, on_rotate=learn)
        provider()
        server.tokens[USER] = "another"
        with world.session(
            server.host, server.port, username=USER, token=provider, retry=RetryPolicy(attempts=1)
        ) as session:
            assert session.verify().mechanism == "XOAUTH2"
        tries = [line for _, who, line in server.transcript if who == "C" and line.startswith(b"AUTH ")]
    assert len(tries) == len(oauth.requests) == 2


def test_a_session_tells_what_the_endpoint_says(world: World, oauth: OAuthServer) -> None:
    with (
        SMTPServer(mechanisms=["XOAUTH2"], tokens={USER: "t"}) as server,
        world.session(server.host, server.port, username=USER, token=user(oauth, refresh_token="x" * 9)) as session,
        pytest.raises(AuthenticationFailed, match="invalid_grant"),
    ):
        session.verify()


@pytest.mark.parametrize("encode", [str, lambda text: base64.b64encode(text.encode()).decode(), quote])
def test_an_endpoint_that_repeats_the_secret_is_not_quoted(encode: Callable[[str], str]) -> None:
    secret = "cl1ent S3CR3T/+"
    problem = json.dumps({"error": "invalid_client", "error_description": f"no {encode('wlsmtp app:' + secret)}"})
    script = f"C: POST *\nS: HTTP/1.1 401 No\nS: Content-Length: {len(problem)}\nS:\nS: {problem}"
    with (
        ScriptedPeer(script) as peer,
        pytest.raises(AuthenticationFailed, match=r"invalid_client: no .*\*{8}") as caught,
    ):
        place = f"http://127.0.0.1:{peer.port}/token"
        ClientCredentials(token_url=place, client_id="wlsmtp app", client_secret=SecretStr(secret))()
    for form in (secret, encode(secret)[:12], "S3CR3T"):
        assert form not in f"{caught.value}{caught.value.problem}"


def test_written_down_a_provider_shows_no_secret() -> None:
    provider = RefreshToken(
        token_url="https://login.example.com/token", client_id="app", refresh_token="refr3sh",
        extra={"client_assertion": "s3cret", "audience": "mail"},
    )  # fmt: skip
    for text in (repr(provider), str(provider.model_dump()), provider.model_dump_json(exclude={"on_rotate"})):
        assert "s3cret" not in text and "refr3sh" not in text
    assert provider.model_dump()["extra"]["audience"] == "mail" and provider.extra["client_assertion"] == "s3cret"


def test_a_changed_copy_goes_on_with_the_latest_refresh_token() -> None:
    token = RefreshToken(token_url="https://t.example/t", client_id="i", refresh_token=SecretStr("first"))
    token._granted({"refresh_token": "second"})
    assert token.model_copy(update={"timeout": 3.0})._grant()["refresh_token"] == "second"
    assert token.model_copy()._grant()["refresh_token"] == "second"
    assert token.model_copy(update={"refresh_token": SecretStr("third")})._grant()["refresh_token"] == "third"
