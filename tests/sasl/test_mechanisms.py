"""Mechanisms against the examples of their specifications, and the choice between them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import AuthenticationFailed, ConfigError
from wlsmtp.sasl import MECHANISMS, Confirmed, Proof, Secrets, choose
from wlsmtp.settings.config import WITHOUT_SECRET

PASSWORD = Secrets("ann", password="s3cret")
TOKEN = Secrets("ann", token="t0ken")
BOUND = replace(PASSWORD, binding=("tls-server-end-point", b"x" * 32))


def test_plain_is_that_of_rfc_4616() -> None:
    assert next(MECHANISMS["PLAIN"].start(Secrets("tim", "tanstaaftanstaaf"))) == b"\0tim\0tanstaaftanstaaf"


def test_cram_md5_is_that_of_rfc_2195() -> None:
    exchange = MECHANISMS["CRAM-MD5"].start(Secrets("tim", "tanstaaftanstaaf"))
    next(exchange)
    answer = exchange.send(b"<1896.697170952@postoffice.reston.mci.net>")
    assert answer == b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_login_answers_two_prompts_and_no_third() -> None:
    exchange = MECHANISMS["LOGIN"].start(PASSWORD)
    next(exchange)
    assert [exchange.send(b"anything"), exchange.send(b"")] == [b"ann", b"s3cret"]
    with pytest.raises(StopIteration):
        exchange.send(b"more?")


def test_xoauth2_is_that_of_google_and_answers_an_error_with_nothing() -> None:
    exchange = MECHANISMS["XOAUTH2"].start(Secrets("someuser@example.com", token="ya29.vF9"))
    assert next(exchange) == b"user=someuser@example.com\x01auth=Bearer ya29.vF9\x01\x01"
    assert exchange.send(b'{"status":"401"}') == b""


def test_oauthbearer_is_that_of_rfc_7628_and_answers_an_error_with_ctrl_a() -> None:
    secrets = Secrets("user@example.com", token="vF9dft4qmT", host="server.example.com", port=587)
    exchange = MECHANISMS["OAUTHBEARER"].start(secrets)
    assert next(exchange) == (b"n,a=user@example.com,\1host=server.example.com\1port=587\1auth=Bearer vF9dft4qmT\1\1")
    assert exchange.send(b'{"status":"invalid_token"}') == b"\1"


def test_oauthbearer_escapes_the_separators_of_a_user_name_and_names_no_port_of_a_unix_socket() -> None:
    said = next(MECHANISMS["OAUTHBEARER"].start(Secrets("a=b,c", token="t", host="localhost")))
    assert said == b"n,a=a=3Db=2Cc,\1host=localhost\1auth=Bearer t\1\1"


@pytest.mark.parametrize("name", ["EXTERNAL", "ANONYMOUS"])
def test_external_and_anonymous_say_the_user_name_and_nothing_else(name: str) -> None:
    assert list(MECHANISMS[name].start(Secrets("ann@example.com"))) == [b"ann@example.com"]
    assert list(MECHANISMS[name].start(Secrets())) == [b""]


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        ("PLAIN", Secrets("a\0b", "x")), ("XOAUTH2", Secrets("a", token="x\1auth=y")),
        ("OAUTHBEARER", Secrets("a", token="x\n")), ("EXTERNAL", Secrets("a\0b")),
    ],
)  # fmt: skip
def test_a_separator_in_a_secret_is_refused(name: str, secrets: Secrets) -> None:
    with pytest.raises(ConfigError, match="allows no"):
        next(MECHANISMS[name].start(secrets))


def test_ntlm_does_not_answer_a_challenge_that_is_none() -> None:
    exchange = MECHANISMS["NTLM"].start(PASSWORD)
    assert next(exchange).startswith(b"NTLMSSP\0\1")
    with pytest.raises(AuthenticationFailed, match=r"NTLM exchange .* is not valid") as caught:
        exchange.send(b"no challenge")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["a\nb", "x" * 256])
def test_anonymous_takes_no_long_and_no_unprintable_trace(name: str) -> None:
    with pytest.raises(ConfigError, match="ANONYMOUS takes"):
        next(MECHANISMS["ANONYMOUS"].start(Secrets(name)))


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(PASSWORD) and "t0ken" not in repr(TOKEN)


@given(st.binary(max_size=200), st.sampled_from([name for name in MECHANISMS if name != "GSSAPI"]))
def test_no_challenge_makes_a_mechanism_fail_in_a_way_of_its_own(challenge: bytes, name: str) -> None:
    exchange = MECHANISMS[name].start(Secrets("ann", "s3cret", "t0ken", binding=("tls-unique", b"x")))
    next(exchange)
    try:
        while True:
            assert isinstance(exchange.send(challenge), bytes)
    except (StopIteration, AuthenticationFailed):
        pass


def test_the_settings_know_which_mechanisms_need_no_secret() -> None:
    assert {name for name, row in MECHANISMS.items() if row.by_name_only} == WITHOUT_SECRET


def test_every_mechanism_shows_its_secret_in_a_response_that_says_so() -> None:
    said = list(MECHANISMS["LOGIN"].start(PASSWORD))
    assert [isinstance(response, Proof) for response in said] == [False, False, True]
    assert all(isinstance(response, Proof) for response in MECHANISMS["PLAIN"].start(PASSWORD))
    assert issubclass(Confirmed, Proof)


ALL = list(MECHANISMS)
BY_PASSWORD = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5", "NTLM"]
PLUS = ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]


@pytest.mark.parametrize(
    ("offered", "secrets", "allowed", "excluded", "chosen"),
    [
        (["CRAM-MD5", "LOGIN", "PLAIN"], PASSWORD, None, [], ["PLAIN", "LOGIN", "CRAM-MD5"]),
        (["plain", "XOAUTH2"], TOKEN, None, [], ["XOAUTH2"]),
        (["PLAIN", "XOAUTH2"], PASSWORD, None, [], ["PLAIN"]),
        (["PLAIN", "LOGIN"], PASSWORD, ["login"], [], ["LOGIN"]),
        (["PLAIN", "LOGIN"], PASSWORD, ["login", "PLAIN", "LOGIN"], [], ["LOGIN", "PLAIN"]),
        (["PLAIN"], TOKEN, None, [], []),
        (ALL, PASSWORD, None, [], BY_PASSWORD),
        (ALL, BOUND, None, [], PLUS + BY_PASSWORD),
        (ALL, TOKEN, None, [], ["OAUTHBEARER", "XOAUTH2"]),
        (ALL, PASSWORD, None, ["Login", "CRAM-MD5", "NTLM"], BY_PASSWORD[:4]),
        (ALL, PASSWORD, ["PLAIN", "LOGIN"], ["PLAIN"], ["LOGIN"]),
        (ALL, PASSWORD, ["GSSAPI", "PLAIN"], [], ["GSSAPI", "PLAIN"]),
        (ALL, Secrets("ann"), ["EXTERNAL", "ANONYMOUS"], [], ["ANONYMOUS"]),
        (ALL, Secrets("ann", has_certificate=True), ["EXTERNAL"], [], ["EXTERNAL"]),
        (["DIGEST-MD5", "X-NEW"], PASSWORD, None, [], []),
    ],
)
def test_the_choice(
    offered: list[str], secrets: Secrets, allowed: list[str] | None, excluded: list[str], chosen: list[str]
) -> None:
    assert [mechanism.name for mechanism in choose(offered, secrets, allowed, excluded)] == chosen


def test_what_is_not_installed_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wlsmtp.sasl.base.find_spec", lambda name: None)
    assert [mechanism.name for mechanism in choose(ALL, BOUND)] == ["PLAIN", "LOGIN", "CRAM-MD5"]
