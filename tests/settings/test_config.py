"""Settings: what is allowed, what the error says when it is not, and where they come from."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

import wlsmtp
from wlsmtp import ConfigError, Pipelining, SessionConfig, SMTPSession, Timeouts


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"server": ""}, "server"),
        ({"server": "smtp.example.com:587"}, "without the port"),
        ({"server": "smtp://example.com"}, "from_url"),
        ({"server": "a b"}, "host name"),
        ({"server": "x\r\ny"}, "host name"),
        ({"port": 0}, "port: "),
        ({"port": 70000}, "port: "),
        ({"security": "secure"}, "'default', 'tls' or 'ssl'"),
        ({"security": "STARTTLS"}, 'use security="tls"'),
        ({"security": "smtps"}, 'use security="ssl"'),
        ({"mode": "later"}, 'use mode="async"'),
        ({"mode": "sometimes"}, "must be 'sync' or 'async'"),
        ({"timeout": 0}, "greater than 0"),
        ({"timeout": float("inf")}, "finite"),
        ({"timeout": Timeouts, "retry": 3}, "retry"),
        ({"username": "ann"}, "username: needs a password or a token"),
        ({"password": "s3cret"}, "username: is missing"),
        ({"username": "ann", "password": "s3cret", "token": "t"}, "token: cannot be combined with a password"),
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
    assert SMTPSession(config, security="tls").config.timeout.connect == 3
    assert SMTPSession(config, security="tls").config.port == 587, "a port that nobody gave follows the security"
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
    others = {"WLSMTP_SERVER": "x", "PASSWROD": "y", "USER": "ann"}
    assert SessionConfig.from_env(others).server == "x"
    with pytest.raises(wlsmtp.ConfigError, match="did you mean WLSMTP_PASSWORD"):
        SessionConfig.from_env({"WLSMTP_SERVER": "x", "WLSMTP_PASSWROD": "s3cret"})
    with pytest.raises(ConfigError, match="WLSMTP_URL"):
        SessionConfig.from_env({})


@pytest.mark.parametrize("name", ["gmail", "Gmail", "googlemail.com", "gmail.com"])
def test_a_preset_is_found_by_name_and_domain(name: str) -> None:
    config = SessionConfig.from_preset(name, username="ann@gmail.com", password="x")
    assert (config.server, config.port, config.security) == ("smtp.gmail.com", 587, wlsmtp.Security.TLS)


SECRET = "s3cret-Pa55"
FROZEN: list[tuple[Any, str]] = [
    (SessionConfig(server="x"), "password"),
    (SessionConfig(server="x"), "token"),
    (SessionConfig(server="x"), "port"),
    (SessionConfig(server="x"), "proxy"),
    (wlsmtp.TLS(), "client_key_password"),
    (wlsmtp.Proxy.from_url("socks5://h:1"), "password"),
    (
        wlsmtp.RefreshToken(token_url="https://t.example/t", client_id="i", refresh_token=SecretStr("r")),
        "refresh_token",
    ),
    (wlsmtp.Timeouts(), "connect"),
    (wlsmtp.PoolLimits(), "rate"),
    (SMTPSession("x"), "password"),
    (SMTPSession("x"), "timeout"),
    (wlsmtp.DSN(), "envid"),
]


@pytest.mark.parametrize(("frozen", "name"), FROZEN, ids=lambda value: value if isinstance(value, str) else type(value))
def test_what_is_frozen_names_the_field_and_not_the_value(frozen: Any, name: str) -> None:
    changes: list[Callable[[], None]] = [partial(setattr, frozen, name, SECRET), partial(delattr, frozen, name)]
    for change in changes:
        with pytest.raises((ConfigError, wlsmtp.MessageError), match=f"^{name}: cannot be changed.*frozen") as caught:
            change()
        assert_nowhere(SECRET, caught.value)
    if not isinstance(frozen, SMTPSession):
        with pytest.raises((ConfigError, wlsmtp.MessageError), match="passwort: is not known"):
            frozen.passwort = SECRET


def assert_nowhere(secret: str, error: BaseException) -> None:
    """Not in the error and in none behind it, shown or not: what collects errors looks at all of them."""
    behind: BaseException | None = error
    while behind is not None:
        said = [str(behind), repr(behind), repr(vars(behind)), *traceback.format_exception(behind, chain=False)]
        if isinstance(behind, ValidationError):
            said += [repr(behind.errors()), behind.json()]
        assert not [text for text in said if secret in text]
        behind = behind.__cause__ or behind.__context__


WRONG: dict[str, Any] = {
    "password": [SECRET], "token": {"t": SECRET}, "username": {"u": SECRET}, "server": f"smtp://u:{SECRET}@x",
    "port": SECRET, "security": SECRET, "protocol": SECRET, "mode": SECRET, "outbox": f"postgres://u:{SECRET}@db",
    "timeout": SECRET, "tls": SECRET, "pool": SECRET, "retry": SECRET, "pipelining": SECRET, "network": SECRET,
    "proxy": f"socks9://u:{SECRET}@h:1", "options": SECRET, "local_hostname": f"{SECRET} x", "listeners": SECRET,
    "on_sent": SECRET, "on_error": SECRET, "transport": f"nowhere://u:{SECRET}@x", "auth": SECRET, "partial": SECRET,
    "mechanisms": [SECRET, {}], "exclude_mechanisms": [{SECRET: 1}], "close_timeout": SECRET, "outbox_worker": SECRET,
    "allow_cleartext_auth": SECRET, "opportunistic_tls": SECRET, "sender": {"a": SECRET}, "reply_to": {"a": SECRET},
    "headers": SECRET, "dkim": SECRET, "before_send": SECRET, "after_send": SECRET, "pace": {"*": SECRET},
    "pace_scope": SECRET, "local_names": SECRET,
}  # fmt: skip


@pytest.mark.parametrize("make", [SessionConfig, SessionConfig.model_validate, SMTPSession], ids=str)
@pytest.mark.parametrize("name", SessionConfig.model_fields)
def test_no_wrong_value_is_repeated(make: Any, name: str) -> None:
    fields = {"server": "x", "username": "u", "password": SECRET, name: WRONG[name]}
    with pytest.raises(ConfigError) as caught:
        make(fields) if make == SessionConfig.model_validate else make(**fields)
    assert name in str(caught.value)
    assert_nowhere(SECRET, caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SessionConfig.model_validate_json(f'{{"server": "x", "port": 0, "password": "{SECRET}"}}'),
        lambda: SessionConfig.model_validate_json(f'{{"password": "{SECRET}'),
        lambda: SessionConfig.model_validate_strings({"server": "x", "port": "no", "password": SECRET}),
        lambda: SessionConfig.model_validate({"server": "x", "password": SECRET}),
        lambda: SessionConfig.model_validate(SECRET),
        lambda: SessionConfig(server="x").model_copy(update={"password": SECRET}),
        lambda: SessionConfig(server="x").model_copy(update={"proxy": f"socks5://u:{SECRET}@"}),
        lambda: SessionConfig(server="x", proxy={"scheme": "http", "password": SECRET}),  # type: ignore[arg-type]
        lambda: wlsmtp.TLS(client_key_password=[SECRET]),  # type: ignore[arg-type]
        lambda: wlsmtp.TLS(fingerprint=SECRET),
        lambda: wlsmtp.Proxy(scheme="http", host="h", port=1, username="a:b", password=SECRET),
        lambda: SessionConfig.from_url(f"smtp://u:{SECRET}@x:{SECRET}"),
        lambda: SessionConfig.from_url(f"smtp://u:[{SECRET}@x"),
        lambda: SessionConfig.from_url(f"failover(smtp://u:{SECRET}@a, smpt://u:{SECRET}@b)"),
        lambda: SessionConfig.from_url(f"smtp://x?timeout={SECRET}"),
        lambda: SessionConfig.from_env({"WLSMTP_SERVER": "x", "WLSMTP_TIMEOUT": SECRET}),
        lambda: SessionConfig.from_env({"WLSMTP_SERVER": "x", "WLSMTP_PASSWROD": SECRET}),
        lambda: SessionConfig.from_preset(f"gmail:{SECRET}@x"),
    ],
)
def test_no_way_in_repeats_a_secret(make: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert_nowhere(SECRET, caught.value)


def test_a_copy_with_other_values_is_checked() -> None:
    config = SessionConfig(server="x", username="ann", password=SECRET)
    assert config.model_copy() == config and config.model_copy(update={"timeout": 3}).timeout.connect == 3
    with pytest.raises(ConfigError, match="port: must be less than or equal to 65535"):
        config.model_copy(update={"port": 99999})
    copied = config.model_copy(update={"password": "an0ther"})
    assert "an0ther" not in repr(copied) and copied.password is not None


def test_a_secret_that_was_never_checked_is_not_shown_either() -> None:
    assert SECRET not in f"{SessionConfig.model_construct(server='x', password=SECRET)!r}"  # type: ignore[arg-type]


@pytest.mark.parametrize("outbox", ["postgresql://ann:s3cret-pw@db.example.com/mail", "sqlite:///outbox.db"])
def test_the_url_of_an_outbox_is_not_shown_as_it_may_hold_a_password(outbox: str) -> None:
    config = SessionConfig(server="smtp.example.com", mode="async", outbox=outbox)
    shown = [repr(config), str(config), str(config.model_dump()), config.model_dump_json()]
    assert config.outbox == outbox
    assert not any("s3cret-pw" in text or outbox in text for text in shown)
