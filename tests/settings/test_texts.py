"""Settings as texts: each can be given in a URL and in the environment; other names are refused, with the right
name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from wlsmtp import DKIM, ConfigError, SessionConfig, SMTPSession
from wlsmtp.settings import texts
from wlsmtp.settings.slips import NAMES

SECRET = "s3cret-Pa55"
PATHS = texts.paths(SessionConfig)
VALUES: dict[str, tuple[str, Any]] = {
    "server": ("smtp.example.org", "smtp.example.org"),
    "port": ("2525", 2525),
    "security": ("ssl", "ssl"),
    "protocol": ("lmtp", "lmtp"),
    "mode": ("async", "async"),
    "outbox": ("sqlite:///o.db", "sqlite:///o.db"),
    "close_timeout": ("2.5", 2.5),
    "outbox_worker": ("false", False),
    "username": ("ann", "ann"),
    "password": (SECRET, SecretStr(SECRET)),
    "token": (SECRET, SecretStr(SECRET)),
    "auth": ("optional", "optional"),
    "mechanisms": ("PLAIN, LOGIN", ("PLAIN", "LOGIN")),
    "exclude_mechanisms": ("NTLM", ("NTLM",)),
    "partial": ("abort", "abort"),
    "sender": ('"Example, Ann" <ann@example.com>', '"Example, Ann" <ann@example.com>'),
    "reply_to": ("cy@example.com", "cy@example.com"),
    "local_hostname": ("me.example", "me.example"),
    "tls.trust": ("bundled", "bundled"),
    "tls.ca_file": ("/etc/ca.pem", Path("/etc/ca.pem")),
    "tls.client_cert": ("cert.pem, key.pem", (Path("cert.pem"), Path("key.pem"))),
    "tls.client_key_password": (SECRET, SecretStr(SECRET)),
    "tls.fingerprint": ("ab" * 32, ("ab" * 32,)),
    "tls.public_key": ("cd" * 32, ("cd" * 32,)),
    "tls.server_hostname": ("mx.example", "mx.example"),
    "tls.minimum_version": ("1.3", "1.3"),
    "tls.ciphers": ("ECDHE+AESGCM", "ECDHE+AESGCM"),
    "pool.rate": ("10/second", "10/second"),
    "pace": ("a.example=10/second, *=1/hour", {"a.example": "10/second", "*": "1/hour"}),
    "pace_scope": ("session", "session"),
    "pool.max_age": ("none", None),
    "network.family": ("ipv4", "ipv4"),
    "network.local_address": ("127.0.0.1", "127.0.0.1"),
    "network.keepalive": ("None", None),
    "proxy.scheme": ("http", "http"),
    "proxy.host": ("p.example", "p.example"),
    "proxy.username": ("ann", "ann"),
    "proxy.password": (SECRET, SecretStr(SECRET)),
    "dkim.domain": ("example.com", "example.com"),
    "dkim.selector": ("s1", "s1"),
    "dkim.key": ("/etc/mail/key.pem", Path("/etc/mail/key.pem")),
    "dkim.headers": ("X-One, X-Two", ("x-one", "x-two")),
    "dkim.expires_after": ("3600", 3600),
    "options.dsn.notify": ("failure, delay", ("failure", "delay")),
    "options.dsn.ret": ("headers", "headers"),
    "options.dsn.envid": ("e1", "e1"),
    "options.deliver_by.within": ("60", timedelta(seconds=60)),
    "options.deliver_by.late": ("notify", "notify"),
    "options.hold_for": ("90", timedelta(seconds=90)),
    "options.hold_until": ("2030-01-02T03:04:05Z", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
    "options.submitter": ("ann@example.com", "ann@example.com"),
    "options.optional": ("dsn, priority", frozenset({"dsn", "priority"})),
}
"""What is neither a number nor a switch."""
WITH: dict[str, dict[str, str]] = {
    "outbox": {"mode": "async"},
    "pace": {"mode": "async"},
    "outbox_worker": {"mode": "async", "outbox": "sqlite:///o.db"},
    "username": {"password": SECRET},
    "password": {"username": "ann"},
    "token": {"username": "ann"},
    "options.deliver_by.late": {"options.deliver_by.within": "60"},
    "options.deliver_by.trace": {"options.deliver_by.within": "60"},
    **{
        f"proxy.{name}": {"proxy": "socks5://u:p@q.example:1080"}
        for name in ("scheme", "host", "port", "username", "password")
    },
    **{
        f"dkim.{name}": {"dkim.domain": "x.example", "dkim.selector": "s", "dkim.key": "k"}
        for name in ("domain", "selector", "key", "headers", "expires_after")
    },
}
"""What must be given along with it."""
WHOLE = {"timeout", "pipelining", "proxy"}
KNOWN = {"URL", *(texts.variable(path, "") for path in PATHS)}


def given(path: str) -> tuple[str, Any]:
    """A text for a setting, and what it stands for."""
    if path in VALUES:
        return VALUES[path]
    if PATHS[path].annotation is bool:
        return ("false", False) if PATHS[path].default is True else ("true", True)
    return "7", 7


def value_at(config: SessionConfig, path: str) -> Any:
    found: Any = config
    for name in path.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("path", [path for path in PATHS if path not in WHOLE])
@pytest.mark.parametrize("source", ["URL", "environment"])
def test_each_setting_can_be_given_as_a_text(source: str, path: str) -> None:
    text, value = given(path)
    all_texts = {**WITH.get(path, {}), path: text}
    if source == "URL":
        server = all_texts.pop("server", "x")  # which stands before the "?" only
        url = f"smtp://{server}?" + "&".join(f"{name}={quote(one, safe='')}" for name, one in all_texts.items())
        config = SessionConfig.from_url(url)
    else:
        environ = {texts.variable(name, "WLSMTP_"): one for name, one in all_texts.items()}
        config = SessionConfig.from_env({"WLSMTP_SERVER": "x", **environ})
    assert value_at(config, path) == value


def test_no_two_settings_have_one_variable() -> None:
    names = [texts.variable(path, "WLSMTP_") for path in PATHS]
    assert len(names) == len(set(names))
    assert "WLSMTP_TLS_CA_FILE" in names and "WLSMTP_POOL_MAX_CONNECTIONS" in names
    assert "transport" not in PATHS and "listeners" not in PATHS and "network.connector" not in PATHS


def test_a_part_follows_what_one_text_gives_as_a_whole() -> None:
    config = SessionConfig.from_url("smtp://x?timeout.connect=3&timeout=30&pipelining.max_in_flight=5&pipelining=true")
    assert (config.timeout.connect, config.timeout.content) == (3, 30)
    assert config.pipelining.enabled and config.pipelining.max_in_flight == 5
    both = {"WLSMTP_URL": "smtp://x?timeout=30&tls.verify=false", "WLSMTP_TIMEOUT_CONNECT": "3"}
    config = SessionConfig.from_env({**both, "WLSMTP_TLS_VERIFY": "1"})
    assert (config.timeout.connect, config.timeout.content, config.tls.verify) == (3, 30, True)


REFUSED = [
    ("USER", "ann", "use WLSMTP_USERNAME"),
    ("HOST", "x", "use WLSMTP_SERVER"),
    ("PASS", SECRET, "use WLSMTP_PASSWORD"),
    ("PASSWD", SECRET, "use WLSMTP_PASSWORD"),
    ("TLS", "true", "use WLSMTP_SECURITY=tls"),
    ("TLS", "1", "use WLSMTP_SECURITY=tls"),
    ("TLS", "starttls", "use WLSMTP_SECURITY=tls"),
    ("TLS", "ssl", "use WLSMTP_SECURITY=ssl"),
    ("TLS", "0", "use WLSMTP_SECURITY=default and WLSMTP_OPPORTUNISTIC_TLS=false"),
    ("TLS", "/etc/ca.pem", "use WLSMTP_TLS_CA_FILE"),
    ("SSL", "true", "use WLSMTP_SECURITY=ssl"),
    ("USE_TLS", "", "use WLSMTP_SECURITY=tls"),
    ("STARTTLS", "1", "use WLSMTP_SECURITY=tls"),
    ("VERIFY", "0", "use WLSMTP_TLS_VERIFY."),
    ("TLS_CAFILE", "x", "did you mean WLSMTP_TLS_CA_FILE?"),
    ("TLS_VERIFY_SSL", "0", "use WLSMTP_TLS_VERIFY."),
    ("POOL", "4", "use WLSMTP_POOL_MAX_CONNECTIONS=4"),
    ("POOL_SIZE", "4", "use WLSMTP_POOL_MAX_CONNECTIONS=4"),
    ("RETRY", "3", "use WLSMTP_RETRY_ATTEMPTS=3"),
    ("RETRY", "often", "it has parts: WLSMTP_RETRY_ATTEMPTS, "),
    ("RETRIES", "3", "use WLSMTP_RETRY_ATTEMPTS=3"),
    ("MAX_CONNECTIONS", "3", "did you mean WLSMTP_POOL_MAX_CONNECTIONS?"),
    ("EMAIL_HOST_PASSWORD", SECRET, "use WLSMTP_PASSWORD"),
    ("PASSWROD", SECRET, "did you mean WLSMTP_PASSWORD?"),
    ("PASSWORD_FILE", "/run/secrets/p", "use WLSMTP_PASSWORD"),
    ("URI", f"smtp://u:{SECRET}@x", "use WLSMTP_URL"),
    ("TRANSPORT", "maildir:///x", "use WLSMTP_URL=maildir:///path"),
    ("LISTENERS", "print", "can be given in Python only"),
    ("FROM", "ann@example.com", "use WLSMTP_SENDER=ann@example.com"),
    ("SOMETHING", "1", "see docs/reference/settings.md"),
]


@pytest.mark.parametrize(("name", "value", "answer"), REFUSED)
def test_a_variable_that_is_no_setting_is_refused_with_the_right_name(name: str, value: str, answer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SessionConfig.from_env({"WLSMTP_SERVER": "x", f"WLSMTP_{name}": value})
    assert str(caught.value).startswith(f"WLSMTP_{name} is not known; ") and answer in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["wlsmtp_password", "Wlsmtp_Port", "wlsmtp_user", "WLSMTP_port", "wlsmtp_url"])
def test_a_variable_in_small_letters_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is not known; .*WLSMTP_"):
        SessionConfig.from_env({"WLSMTP_SERVER": "x", name: SECRET})


def test_variables_of_others_are_let_alone() -> None:
    environ = {"WLSMTP_SERVER": "x", "USER": "ann", "PASSWROD": "y", "MAIL_FLAVOUR": "sweet", "MAIL_SERVER": "y"}
    assert SessionConfig.from_env(environ).server == "x"
    assert SessionConfig.from_env(environ, prefix="MAIL_").server == "y"
    with pytest.raises(ConfigError, match="MAIL_USER is not known; use MAIL_USERNAME"):
        SessionConfig.from_env({**environ, "MAIL_USER": "ann"}, prefix="MAIL_")


@pytest.mark.parametrize(
    ("option", "answer"),
    [
        ("user=ann", "user is not known after '?'; use username="),
        ("tls=true", "use security=tls"),
        ("tls.cafile=x", "did you mean tls.ca_file?"),
        ("max_connections=3", "did you mean pool.max_connections?"),
        ("starttls=1", "use security=tls"),
    ],
)
def test_an_option_that_is_no_setting_is_refused_with_the_right_name(option: str, answer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SessionConfig.from_url(f"smtp://x?{option}")
    assert answer in str(caught.value)


@pytest.mark.parametrize("row", [row for row in NAMES if row.model == "SessionConfig"], ids=lambda row: row.write)
def test_each_row_of_names_has_an_answer_in_the_environment(row: Any) -> None:
    names = [name for name in row.names.split() if texts.variable(name, "") not in KNOWN]
    for name in names:
        with pytest.raises(ConfigError, match=f"^WLSMTP_{name.upper()} is not known; (use WLSMTP_|in Python: )"):
            SessionConfig.from_env({"WLSMTP_SERVER": "x", f"WLSMTP_{name.upper()}": "0" if row.means is False else "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("VERIFY", "true"), ("TLS_INSECURE", "0"), ("TLS_VERIFY_SSL", "yes"), ("SSL", "0"), ("MAIL_SUPPRESS_SEND", "no")],
)
def test_a_switch_that_means_what_is_so_anyhow_is_left_out(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^WLSMTP_{name} is not known; leave it out"):
        SessionConfig.from_env({"WLSMTP_SERVER": "x", f"WLSMTP_{name}": value})
    option = name.lower()
    with pytest.raises(ConfigError, match=f"{option} is not known after '\\?'; leave it out"):
        SessionConfig.from_url(f"smtp://x?{option}={value}")


def test_a_password_may_be_any_word() -> None:
    config = SessionConfig.from_env({"WLSMTP_SERVER": "x", "WLSMTP_USERNAME": "ann", "WLSMTP_PASSWORD": "none"})
    assert config.password is not None and config.password.get_secret_value() == "none"


@pytest.mark.parametrize("url", [None, 25, b"smtp://x", ["smtp://x"]])
def test_what_is_no_text_is_no_url_and_no_provider(url: Any) -> None:
    """As ``os.environ.get`` gives None for a variable that is not set."""
    with pytest.raises(ConfigError, match=f"^url: must be a str, not {type(url).__name__}"):
        SessionConfig.from_url(url)
    with pytest.raises(ConfigError, match=f"^provider: must be a str, not {type(url).__name__}"):
        SessionConfig.from_preset(url)


@pytest.mark.parametrize(
    "url", ["smtp://ann:s3cret%ff@x", "smtp://x?username=%fe&password=y", "failover(smtp://a:%ff@x)"]
)
def test_what_is_percent_encoded_is_not_changed_in_silence(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^url: what is percent-encoded must be UTF-8\.$"):
        SessionConfig.from_url(url)


@pytest.mark.parametrize("url", ["smtp+unix://run/smtp.sock", "lmtp+unix://run/x", "smtp+unix://ann:b@run/x"])
def test_a_unix_socket_is_on_no_host(url: str) -> None:
    with pytest.raises(ConfigError, match=r"has three slashes: (smtp|lmtp)\+unix:///run/smtp\.sock"):
        SessionConfig.from_url(url)


@pytest.mark.parametrize(
    ("scheme", "right"),
    [("smtp+ssl", "smtps"), ("submissions", "smtps"), ("SMTP+STARTTLS", "smtp+tls"), ("submission", "smtp+tls")],
)
def test_a_scheme_of_another_library_is_answered_with_ours(scheme: str, right: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"url: {scheme.lower()} is not known; use {right}://")):
        SessionConfig.from_url(f"{scheme}://ann:s3cret@x")


@pytest.mark.parametrize("character", "/?#[")
@pytest.mark.parametrize("before", ["smtp", "smtps", "lmtp+tls"])
def test_a_bare_character_in_a_password_is_explained(before: str, character: str) -> None:
    for text in (f"{before}://ann:se{character}cret@x", f"failover({before}://ann:se{character}cret@x)"):
        with pytest.raises(ConfigError, match=r"'/' must be percent-encoded as %2F, .*quote") as caught:
            SessionConfig.from_url(text)
        assert "cret" not in str(caught.value)
    encoded = SessionConfig.from_url(f"{before}://ann:se{quote(character, safe='')}cret@x")
    assert encoded.password == SecretStr(f"se{character}cret")
    assert SessionConfig.from_url(f"{before}://ann:se@cret@x").password == SecretStr("se@cret"), "the last @ counts"


@pytest.mark.parametrize("character", "/?#[")
def test_so_is_one_in_the_password_of_a_proxy(character: str) -> None:
    with pytest.raises(ConfigError, match=r"'/' must be percent-encoded as %2F") as caught:
        SessionConfig(server="x", proxy=f"socks5://ann:se{character}cret@h:1")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"username": "", "password": ""},
        {"username": "", "password": SecretStr("")},
        {"username": "", "token": ""},
        {"password": ""},
        {"username": None, "password": None},
    ],
    ids=str,
)
def test_an_empty_user_and_password_are_none(fields: Any) -> None:
    config = SessionConfig(server="x", **fields)
    assert config.username is None and config.password is None and config.token is None and not config.logs_in
    environ = {texts.variable(name, "WLSMTP_"): "" for name in fields}
    assert not SessionConfig.from_env({"WLSMTP_SERVER": "x", **environ}).logs_in
    assert not SessionConfig.from_url("smtp://:@x").logs_in


def test_half_of_a_login_is_refused() -> None:
    with pytest.raises(ConfigError, match="username: needs a password"):
        SessionConfig(server="x", username="ann", password="")
    with pytest.raises(ConfigError, match="username: is missing"):
        SessionConfig(server="x", username="", password=SECRET)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["username", "password", "token"])
def test_a_line_end_behind_a_secret_is_named(name: str, end: str) -> None:
    words = f"{name}: ends with a line end, as text read from a file does"
    values: list[Any] = [f"{SECRET}{end}"] if name == "username" else [f"{SECRET}{end}", SecretStr(f"{SECRET}{end}")]
    for value in values:
        fields: Any = {"username": "ann", name: value}
        with pytest.raises(ConfigError, match=words) as caught:
            SessionConfig(server="x", **fields)
        assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match=words):
        SessionConfig.from_env({"WLSMTP_SERVER": "x", f"WLSMTP_{name.upper()}": f"{SECRET}{end}"})
    with pytest.raises(ConfigError, match="client_key_password: ends with a line end"):
        SessionConfig.from_env({"WLSMTP_SERVER": "x", "WLSMTP_TLS_CLIENT_KEY_PASSWORD": f"{SECRET}{end}"})


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("smtps://smtp.example.com?security=default", "security"),
        ("smtp://smtp.example.com:25?port=26", "port"),
        ("smtp://ann@smtp.example.com?username=bob", "username"),
        ("smtp://smtp.example.com?timeout=3&timeout=4", "timeout"),
    ],
)
def test_a_setting_stands_once_in_a_url(url: str, name: str) -> None:
    """Otherwise the later one would win without a word: ``security=default`` would take TLS away from ``smtps:``."""
    with pytest.raises(ConfigError, match=f"url: {name} is given twice: leave out one of them"):
        SMTPSession.from_url(url)


def test_a_dkim_key_without_the_lines_of_pem_is_not_shown() -> None:
    key = "MIICXQIBAAKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt" * 4
    for text in (key, f"{key[:60]}\n{key[60:]}", "example.com\n" + key):
        with pytest.raises(ConfigError, match=r"key: is neither a (whole key|path) nor PEM") as caught:
            DKIM("example.com", "s1", key=text)
        assert "MIIC" not in str(caught.value) and "MIIC" not in repr(caught.value)
    with pytest.raises(ConfigError, match=r"'MAIL/.*' cannot be read \(No such file"):
        SMTPSession("smtp.example.com", dkim=DKIM("example.com", "s1", key="./MAIL/keys/example/com/selector/one/x"))


def test_a_dkim_key_may_come_third() -> None:
    assert DKIM("example.com", "s1", "key.pem") == DKIM("example.com", "s1", key="key.pem")
    for more, settings in ((("key.pem", "x"), {}), (("key.pem",), {"key": "key.pem"})):
        with pytest.raises(ConfigError, match=r"^dkim: is DKIM\(domain, selector, key\)"):
            DKIM("example.com", "s1", *more, **settings)  # type: ignore[arg-type]
