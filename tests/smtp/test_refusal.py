"""What to do about a refused login, by what real servers say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import AuthenticationFailed, SessionConfig
from wlsmtp.results.reply import Reply
from wlsmtp.sasl import MECHANISMS
from wlsmtp.smtp.refusal import REFUSED_LOGIN_RESTS, read_problem, refused
from wlsmtp.wire.reply import ReplyParser


def reply(text: str) -> Reply:
    (found,) = ReplyParser().feed(text.encode() + b"\r\n")
    return found


OFFICE, GMAIL, OTHER = "smtp.office365.com", "smtp.gmail.com", "mail.example.com"


@pytest.mark.parametrize(
    ("server", "secret", "said", "advice"),
    [
        (OFFICE, "token", "535 5.7.139 No, SmtpClientAuthentication is disabled for the Tenant.",
         "SmtpClientAuthenticationDisabled"),
        (OFFICE, "token", "535 5.7.3 Authentication unsuccessful [X.PROD.OUTLOOK.COM]", "SMTP.Send"),
        (OFFICE, "password", "535 5.7.139 No, basic authentication is disabled.", "use a token"),
        (GMAIL, "password", "534-5.7.9 Application-specific password required\r\n534 5.7.9 See x", "app password"),
        (GMAIL, "token", "535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 See https://x", "mail.google.com"),
        (OTHER, "token", "535 5.7.8 no", "scope"),
        (OTHER, "password", "538 5.7.11 Encryption required", "security='tls'"),
        (OTHER, "password", "534 5.7.9 Mechanism too weak", "stronger"),
        (OTHER, "password", "535 5.7.8 no", "whole address"),
        (OTHER, "password", "525 5.7.1 Unauthorized IP address", "add this machine's"),
        (OFFICE, "password", "535 5.7.139 No, the request did not meet the criteria to be authenticated successfully.",
         "conditional access"),
    ],
)  # fmt: skip
def test_the_advice(server: str, secret: str, said: str, advice: str) -> None:
    login: dict[str, Any] = {"username": "ann", secret: "s3cret"}
    config = SessionConfig(server=server, **login)
    mechanism = MECHANISMS["XOAUTH2" if secret == "token" else "PLAIN"]
    error = refused(config, mechanism, reply(said), b"")
    assert error.hint is not None and advice in error.hint and error.mechanism == mechanism.name


WRONG = [
    "451 Authentication failed: Could not authenticate",
    "451 Authentication failed: Maximum credits exceeded",
    "454 4.7.0 Invalid credentials",
    "454 4.7.8 Not you",
    "454 5.7.8 Not you",
    "435 Incorrect password",
    "421 4.7.0 Authentication failed, bye",
    "450 Login failed",
    "454 User name or password incorrect",
    "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support TLS 1.2.",
]
PASSES = [
    "454 4.7.0 Temporary authentication failure",
    "454 4.7.0 Temporary authentication failure: Connection lost to authentication server",
    "454 4.3.0 Authentication failed",
    "451 4.7.0 Temporary server error. Please try again later. PRX2",
    "454 4.7.0 Authentication failed due to an internal error",
    "435 Unable to authenticate at present",
    "454 4.7.0 Later",
    "421 4.3.2 Bye",
]
TOO_MANY = ["421 4.7.0 Too many concurrent SMTP connections", "421 Too many sessions"]
TOO_OFTEN = [
    "454 4.7.0 Too many login attempts, please try again later. x12 - gsmtp",
    "421 4.7.0 Too many failed logins",
    "421 4.7.0 too many",
    "454 4.7.0 Rate limit exceeded",
]


def for_now(said: str, server: str = OTHER) -> AuthenticationFailed:
    config = SessionConfig(server=server, username="ann", password="s3cret")
    return refused(config, MECHANISMS["PLAIN"], reply(said), b"")


@pytest.mark.parametrize("said", WRONG)
def test_a_4xx_that_speaks_of_the_credentials_is_not_temporary(said: str) -> None:
    error = for_now(said)
    assert (error.temporary, error.is_lasting, error.retry_after) == (False, True, None) and error.hint


@pytest.mark.parametrize("said", PASSES)
def test_a_4xx_that_speaks_of_the_server_is_temporary_and_needs_no_advice(said: str) -> None:
    error = for_now(said)
    assert (error.temporary, error.retry_after, error.hint) == (True, None, None)


@pytest.mark.parametrize("said", TOO_MANY)
def test_too_many_connections_at_the_login_are_temporary_and_say_what_helps(said: str) -> None:
    error = for_now(said)
    assert (error.temporary, error.retry_after) == (True, None)
    assert error.hint is not None and "max_connections" in error.hint


@pytest.mark.parametrize("said", TOO_OFTEN)
def test_a_server_that_was_asked_too_often_is_left_alone_for_a_while(said: str) -> None:
    error = for_now(said)
    assert (error.temporary, error.retry_after) == (True, REFUSED_LOGIN_RESTS)
    assert error.hint is not None and ("less often" in error.hint or "wait before the next try" in error.hint)


def test_a_longer_time_that_the_server_names_counts() -> None:
    assert for_now("454 4.7.0 Too many logins, try again in 15 minutes").retry_after == 900


def test_what_a_4xx_means_is_said_with_the_advice_of_its_kind() -> None:
    assert "apikey" in str(for_now("451 Authentication failed: Could not authenticate", "smtp.sendgrid.net"))
    assert "credits" in str(for_now("451 Authentication failed: Maximum credits exceeded").hint)


@given(st.binary())
def test_any_challenge_can_be_read(challenge: bytes) -> None:
    assert all(name.isprintable() and value.isprintable() for name, value in read_problem(challenge).items())


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_whatever_a_server_explains_is_printable_and_bounded(problem: dict[str, object]) -> None:
    for name, value in read_problem(json.dumps(problem).encode()).items():
        assert name.isprintable() and value.isprintable() and len(value) <= 500
