"""Mechanisms against the examples of their specifications, and the choice between them."""

from __future__ import annotations

import pytest

from wlsmtp import ConfigError
from wlsmtp.sasl import MECHANISMS, Secrets, choose

PASSWORD = Secrets("ann", password="s3cret")
TOKEN = Secrets("ann", token="t0ken")


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


@pytest.mark.parametrize(
    ("name", "secrets"), [("PLAIN", Secrets("a\0b", "x")), ("XOAUTH2", Secrets("a", token="x\1auth=y"))]
)
def test_a_separator_in_a_secret_is_refused(name: str, secrets: Secrets) -> None:
    with pytest.raises(ConfigError, match="allows no"):
        next(MECHANISMS[name].start(secrets))


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(PASSWORD) and "t0ken" not in repr(TOKEN)


@pytest.mark.parametrize(
    ("offered", "secrets", "allowed", "chosen"),
    [
        (["CRAM-MD5", "LOGIN", "PLAIN"], PASSWORD, None, ["PLAIN", "LOGIN", "CRAM-MD5"]),
        (["plain", "XOAUTH2"], TOKEN, None, ["XOAUTH2"]),
        (["PLAIN", "XOAUTH2"], PASSWORD, None, ["PLAIN"]),
        (["PLAIN", "LOGIN"], PASSWORD, ["login"], ["LOGIN"]),
        (["GSSAPI", "NTLM"], PASSWORD, None, []),
        (["PLAIN"], TOKEN, None, []),
    ],
)
def test_the_choice(offered: list[str], secrets: Secrets, allowed: list[str] | None, chosen: list[str]) -> None:
    assert [mechanism.name for mechanism in choose(offered, secrets, allowed)] == chosen
