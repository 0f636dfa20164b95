"""Settings: what is allowed, what the error says when it is not, and where they come from."""

from __future__ import annotations

from typing import Any

import pytest

import wlsmtp
from wlsmtp import ConfigError, Pipelining, SessionConfig, SMTPSession, Timeouts


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"server": ""}, "server"),
        ({"server": "smtp.example.com:587"}, "without port"),
        ({"server": "smtp://example.com"}, "from_url"),
        ({"server": "a b"}, "host name"),
        ({"server": "x\r\ny"}, "host name"),
        ({"port": 0}, "port: "),
        ({"port": 70000}, "port: "),
        ({"security": "secure"}, "'default', 'tls' or 'ssl'"),
        ({"security": "STARTTLS"}, "did you mean 'tls'"),
        ({"security": "smtps"}, "did you mean 'ssl'"),
        ({"mode": "later"}, "'sync' or 'async'"),
        ({"timeout": 0}, "greater than 0"),
        ({"timeout": float("inf")}, "finite"),
        ({"timeout": Timeouts, "retry": 3}, "retry"),
        ({"username": "ann"}, "username: needs a password or a token"),
        ({"password": "s3cret"}, "username: is missing"),
        ({"username": "ann", "password": "s3cret", "token": "t"}, "token: cannot go with a password"),
        ({"mechanisms": ["SCRAM"]}, "allowed are OAUTHBEARER, XOAUTH2"),
        ({"local_hostname": "a b"}, "local_hostname: must be a domain name"),
        ({"pasword": "s3cret"}, "pasword"),
        ({"outbox": "postgres://ann:s3cret@db"}, "outbox"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named_and_the_secret_is_not(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SMTPSession(**{"server": "smtp.example.com", **fields})
    assert words in str(caught.value) and "s3cret" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("security", "port"), [("default", 25), ("tls", 587), ("ssl", 465)])
def test_the_port_follows_the_security(security: Any, port: int) -> None:
    assert SessionConfig(server="x", security=security).port == port
    assert SessionConfig(server="x", security=security, port=2525).port == 2525


def test_shorthands() -> None:
    config = SessionConfig(server="[::1]", timeout=30, pipelining=False)
    assert config.timeout.content == 30 and config.timeout.quit == 2 and config.timeout.total == 1800
    assert config.pipelining == Pipelining(enabled=False)
    assert config.server == "::1" and config.address == "[::1]:25"


def test_secrets_are_not_shown() -> None:
    secrets: list[dict[str, Any]] = [{"password": "s3cret"}, {"token": "s3cret"}]
    for secret in secrets:
        config = SessionConfig(server="x", username="ann", **secret)
        session = SMTPSession(config)
        assert "s3cret" not in f"{config!r}{config!s}{config.model_dump()!r}{config.model_dump_json()}{session!r}"


def test_settings_are_frozen_and_keywords_override_them() -> None:
    config = SessionConfig(server="x", timeout=3)
    with pytest.raises(ValueError, match="frozen"):
        config.port = 1  # type: ignore[misc]
    assert SMTPSession(config, security="tls").config.timeout.connect == 3
    assert SMTPSession(config, port=26).config.port == 26


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("smtp://mail.example.com", {"server": "mail.example.com", "port": 25, "security": "default"}),
        ("smtp+tls://mail.example.com", {"port": 587, "security": "tls"}),
        ("smtps://mail.example.com:4650/", {"port": 4650, "security": "ssl"}),
        ("smtp://[2001:db8::1]:26", {"server": "2001:db8::1", "port": 26}),
        ("smtp+unix:///run/smtp.sock", {"server": "/run/smtp.sock", "is_unix": True}),
        ("smtp://x?local_hostname=me.example&auth=optional", {"local_hostname": "me.example", "auth": "optional"}),
        ("smtp://x?pipelining=false", {"pipelining": Pipelining(enabled=False)}),
    ],
)
def test_a_url_spells_settings(url: str, fields: dict[str, Any]) -> None:
    config = SessionConfig.from_url(url)
    assert {name: getattr(config, name) for name in fields} == fields


def test_user_and_password_in_a_url_are_percent_decoded() -> None:
    config = SessionConfig.from_url("smtps://ann%40example.com:p%C3%A4%2F%3A%40@x?timeout=7")
    assert config.username == "ann@example.com" and config.timeout.greeting == 7
    assert config.password is not None and config.password.get_secret_value() == "pä/:@"


@pytest.mark.parametrize(
    "url",
    ["http://ann:s3cret@x", "smtp://ann:s3cret@", "smtp://ann:s3cret@x/path", "smtp://ann:s3cret@x:port",
     "smtp://ann:s3cret@x?nonsense=1", "smtp://ann:s3c#ret@x", "smtp://ann:s3cret@x:99999", "smtp://ann:s3cret@[::1",
     "smtp://ann:s3cret@x?timeout=soon"],
)  # fmt: skip
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SessionConfig.from_url(url)
    assert "s3c" not in str(caught.value)


def test_the_environment_gives_a_url_or_single_fields() -> None:
    both = {"WLSMTP_URL": "smtp+tls://ann:x@one.example", "WLSMTP_SERVER": "two.example", "WLSMTP_TIMEOUT": "9"}
    config = SessionConfig.from_env(both, port=26)
    assert (config.server, config.port, config.username, config.timeout.data) == ("two.example", 26, "ann", 9)
    assert SessionConfig.from_env({"MAIL_SERVER": "x"}, prefix="MAIL_").server == "x"
    others = {"WLSMTP_SERVER": "x", "WLSMTP_LIVE_TESTS": "1", "PASSWROD": "y"}
    assert SessionConfig.from_env(others).server == "x"
    with pytest.raises(wlsmtp.ConfigError, match="did you mean WLSMTP_PASSWORD"):
        SessionConfig.from_env({"WLSMTP_SERVER": "x", "WLSMTP_PASSWROD": "s3cret"})
    with pytest.raises(ConfigError, match="WLSMTP_URL"):
        SessionConfig.from_env({})


@pytest.mark.parametrize("name", ["gmail", "Gmail", "googlemail.com", "gmail.com"])
def test_a_preset_is_found_by_name_and_domain(name: str) -> None:
    config = SessionConfig.from_preset(name, username="ann@gmail.com", password="x")
    assert (config.server, config.port, config.security) == ("smtp.gmail.com", 587, wlsmtp.Security.TLS)
