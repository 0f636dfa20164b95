"""What to do about a refused login, by what real servers say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import SessionConfig
from wlsmtp.sasl import MECHANISMS
from wlsmtp.smtp.refusal import read_problem, refused
from wlsmtp.wire.reply import Reply, ReplyParser


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
    ],
)  # fmt: skip
def test_the_advice(server: str, secret: str, said: str, advice: str) -> None:
    config = SessionConfig(server=server, username="ann", **{secret: "s3cret"})
    mechanism = MECHANISMS["XOAUTH2" if secret == "token" else "PLAIN"]
    error = refused(config, mechanism, reply(said), b"")
    assert error.hint is not None and advice in error.hint and error.mechanism == mechanism.name


def test_a_refusal_for_now_needs_no_advice() -> None:
    config = SessionConfig(server=GMAIL, username="ann", password="s3cret")
    assert refused(config, MECHANISMS["PLAIN"], reply("454 4.7.0 Too many login attempts"), b"").hint is None


@given(st.binary())
def test_any_challenge_can_be_read(challenge: bytes) -> None:
    assert all(name.isprintable() and value.isprintable() for name, value in read_problem(challenge).items())


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_whatever_a_server_explains_is_printable_and_bounded(problem: dict[str, object]) -> None:
    for name, value in read_problem(json.dumps(problem).encode()).items():
        assert name.isprintable() and value.isprintable() and len(value) <= 500
