"""What people write when they mean a setting is answered with what to write here: each row of the table, and what is in
none."""

from __future__ import annotations

import ast
import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import DSN, TLS, ConfigError, SessionConfig, SMTPSession
from wlsmtp.settings.kinds import parts
from wlsmtp.settings.slips import NAMES, VALUES, Name, Value, bare, suggestion
from wlsmtp.transports.memory import MemoryTransport

SECRET = "s3cret-Pa55"
SLIPS = [(row, name) for row in NAMES for name in row.names.split()]


def made(model: str, **fields: Any) -> Any:
    base = {"server": "smtp.example.com"} if model == "SessionConfig" else {}
    return getattr(wlsmtp, model)(**{**base, **fields})


@pytest.mark.parametrize(("row", "name"), SLIPS, ids=lambda value: value if isinstance(value, str) else value.model)
def test_a_name_of_another_library_is_answered_with_ours(row: Name, name: str) -> None:
    for given in (name, name.upper(), "".join(part.capitalize() for part in name.split("_"))):
        with pytest.raises(ConfigError) as caught:
            made(row.model, **{given: SECRET})
        assert f"{given}: is not known; use {row.write}" in str(caught.value) and SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (TLS, "ca.pem", 'TLS takes its values by name, such as TLS(ca_file="ca.pem")'),
        (wlsmtp.RetryPolicy, 3, "RetryPolicy takes its values by name, such as RetryPolicy(attempts=…)"),
        (wlsmtp.Timeouts, 30, "such as Timeouts.of(30)"),
        (wlsmtp.Proxy, "socks5://p", 'such as Proxy.from_url("socks5://proxy.example.com:1080")'),
        (SessionConfig, "smtp.example.com", "such as SessionConfig(server=…)"),
        (DSN, "failure", "DSN takes its values by name, such as DSN(notify=…)"),
    ],
)  # fmt: skip
def test_a_value_without_its_name_is_answered(kind: type[Any], given: Any, words: str) -> None:
    with pytest.raises((ConfigError, wlsmtp.MessageError), match=re.escape(words)):
        kind(given)


def test_no_name_is_in_two_rows_or_known() -> None:
    names = [(row.model, bare(name)) for row, name in SLIPS]
    assert sorted(names) == sorted(set(names))
    known = {(model, bare(field)) for model in {row.model for row in NAMES} for field in vars_of(model)}
    assert known & set(names) == set()


def vars_of(model: str) -> Iterator[str]:
    yield from getattr(wlsmtp, model).model_fields


EXAMPLES: list[tuple[str, str, Any, str]] = [
    ("SessionConfig", "tls", True, 'security="tls"'),
    ("SessionConfig", "tls", ssl.CERT_NONE, "tls=TLS(verify=False)"),
    ("SessionConfig", "tls", False, 'security="default", opportunistic_tls=False'),
    ("SessionConfig", "tls", "SSL", 'security="ssl"'),
    ("SessionConfig", "tls", "implicit", 'security="ssl"'),
    ("SessionConfig", "tls", "starttls", 'security="tls"'),
    ("SessionConfig", "tls", "yes", 'security="tls"'),
    ("SessionConfig", "tls", "none", 'security="default"'),
    ("SessionConfig", "tls", "/etc/ssl/ca.pem", 'tls=TLS(ca_file="ca.pem")'),
    ("SessionConfig", "security", "TLS", 'security="tls"'),
    ("SessionConfig", "security", " Ssl ", 'security="ssl"'),
    ("SessionConfig", "security", "STARTTLS", 'security="tls"'),
    ("SessionConfig", "security", "ssl/tls", 'security="ssl"'),
    ("SessionConfig", "security", False, 'security="default"'),
    ("SessionConfig", "security", "off", 'security="default"'),
    ("SessionConfig", "security", True, 'security="tls"'),
    ("SessionConfig", "security", TLS(), "tls=TLS()"),
    ("SessionConfig", "security", 465, 'security="ssl"'),
    ("SessionConfig", "security", "587", 'security="tls"'),
    ("SessionConfig", "headers", [("X-Shop", SECRET)], 'headers={"X-Shop": "books"}'),
    ("SessionConfig", "timeout", True, "timeout=30"),
    ("SessionConfig", "timeout", timedelta(minutes=1.5), "timeout=90"),
    ("SessionConfig", "timeout", "45", "timeout=45"),
    ("SessionConfig", "timeout", "soon", "timeout=30"),
    ("SessionConfig", "timeout", (5, 30), "timeout=Timeouts(connect=15, command=60)"),
    ("SessionConfig", "retry", True, "retry=RetryPolicy()"),
    ("SessionConfig", "retry", False, "retry=RetryPolicy(attempts=1)"),
    ("SessionConfig", "retry", 0, "retry=RetryPolicy(attempts=1)"),
    ("SessionConfig", "retry", 3, "retry=RetryPolicy(attempts=3)"),
    ("SessionConfig", "pool", False, "pool=PoolLimits(max_connections=1)"),
    ("SessionConfig", "pool", 8, "pool=PoolLimits(max_connections=8)"),
    ("SessionConfig", "pipelining", 10, "pipelining=Pipelining(max_in_flight=10)"),
    ("SessionConfig", "pipelining", "no", "pipelining=False"),
    ("SessionConfig", "port", True, "port=587"),
    ("SessionConfig", "port", "smtp", "port=25"),
    ("SessionConfig", "port", "smtps", "port=465"),
    ("SessionConfig", "port", SECRET, "port=587"),
    ("SessionConfig", "mode", "ASYNC", 'mode="async"'),
    ("SessionConfig", "mode", "asynchronous", 'mode="async"'),
    ("SessionConfig", "mode", True, 'mode="async"'),
    ("SessionConfig", "mode", "thread", 'mode="async"'),
    ("SessionConfig", "mode", "blocking", 'mode="sync"'),
    ("SessionConfig", "outbox", True, 'mode="async"'),
    ("SessionConfig", "outbox", "outbox.db", 'mode="async", outbox="sqlite:///outbox.db"'),
    ("SessionConfig", "outbox", Path("/var/outbox.db"), 'mode="async", outbox="sqlite:///outbox.db"'),
    ("SessionConfig", "server", ["one.example.com", "two.example.com"], 'transport="failover('),
    ("SessionConfig", "server", "one.example.com, two.example.com", 'transport="failover('),
    ("SessionConfig", "server", ("smtp.example.com", 587), 'server="smtp.example.com", port=587'),
    ("SessionConfig", "server", "ann@example.com", 'server="smtp.example.com", username='),
    ("SessionConfig", "username", ("ann", SECRET), 'username="ann@example.com", password="…"'),
    ("SessionConfig", "password", lambda: SECRET, "token=provider"),
    ("SessionConfig", "password", [SECRET], 'password="…"'),
    ("SessionConfig", "token", {"access_token": SECRET}, 'token="…"'),
    ("SessionConfig", "auth", ("ann", SECRET), 'username="ann@example.com", password="…"'),
    ("SessionConfig", "auth", "Optional", 'auth="optional"'),
    ("SessionConfig", "auth", True, 'auth="required"'),
    ("SessionConfig", "auth", False, 'auth="optional"'),
    ("SessionConfig", "auth", "LOGIN", 'mechanisms=["PLAIN"]'),
    ("SessionConfig", "mechanisms", "PLAIN", 'mechanisms=["PLAIN", "LOGIN"]'),
    ("SessionConfig", "exclude_mechanisms", "LOGIN", 'exclude_mechanisms=["LOGIN"]'),
    ("SessionConfig", "listeners", print, "listeners=[print]"),
    ("SessionConfig", "listeners", "log", "listeners=[print]"),
    ("SessionConfig", "before_send", "log", "before_send=[function]"),
    ("SessionConfig", "after_send", "log", "after_send=[function]"),
    ("SessionConfig", "proxy", {"https": f"http://u:{SECRET}@p:1"}, 'proxy="socks5://'),
    ("SessionConfig", "local_hostname", True, 'local_hostname="client.example.com"'),
    ("SessionConfig", "partial", True, 'partial="deliver"'),
    ("SessionConfig", "partial", False, 'partial="abort"'),
    ("SessionConfig", "protocol", "LMTP", 'protocol="lmtp"'),
    ("SessionConfig", "protocol", "esmtp", 'protocol="smtp"'),
    ("SessionConfig", "transport", MemoryTransport, "transport=MemoryTransport()"),
    ("SessionConfig", "transport", Path("/var/mail"), 'transport="maildir:///path"'),
    ("SessionConfig", "network", "ipv4", 'network=Network(family="ipv4")'),
    ("SessionConfig", "options", DSN(notify="failure"), 'options=DeliveryOptions(dsn=DSN(notify="failure"))'),
    ("TLS", "minimum_version", 1.3, 'minimum_version="1.3"'),
    ("TLS", "minimum_version", ssl.TLSVersion.TLSv1_3, 'minimum_version="1.3"'),
    ("TLS", "minimum_version", ssl.TLSVersion.TLSv1_2, 'minimum_version="1.2"'),
    ("TLS", "minimum_version", "1.0", 'minimum_version="1.2"'),
    ("TLS", "verify", "CERT_NONE", "verify=False"),
    ("TLS", "verify", "/etc/ssl/ca.pem", 'ca_file="ca.pem"'),
    ("TLS", "verify", ssl.create_default_context(), "context=context"),
    ("TLS", "trust", "certifi", 'trust="bundled"'),
    ("TLS", "trust", "os", 'trust="system"'),
    ("TLS", "client_cert", ("c.pem", "k.pem", SECRET), 'client_cert=("cert.pem", "key.pem"), client_key_password="…"'),
    ("PoolLimits", "rate", 10, 'rate="10/second"'),
    ("RetryPolicy", "attempts", 0, "attempts=1"),
]


def row_of(model: str, field: str, value: Any) -> Value:
    return next(row for row in VALUES if (row.model, row.field) == (model, field) and row.fits(value))


@pytest.mark.parametrize(("model", "field", "value", "write"), EXAMPLES, ids=str)
def test_a_value_of_another_library_is_answered_with_ours(model: str, field: str, value: Any, write: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(model, **{field: value})
    assert f"{field}: wrong value; use {write}" in str(caught.value) and SECRET not in str(caught.value)


def test_each_row_of_values_has_an_example() -> None:
    rows = [row_of(model, field, value) for model, field, value, _ in EXAMPLES]
    assert [row for row in VALUES if row not in rows] == []


WRITTEN = {(row.model, row.write) for row in NAMES} | {
    (model, row.write if isinstance(row.write, str) else row.write(value))
    for model, field, value, _ in EXAMPLES
    for row in [row_of(model, field, value)]
}


@pytest.mark.parametrize(("model", "write"), sorted(WRITTEN))
def test_what_is_answered_can_be_written(model: str, write: str) -> None:
    """Each keyword is one, each class is public, and each value is taken as far as it is one."""
    tree = ast.parse(f"{model}({write})", mode="eval").body
    if isinstance(tree, ast.Call) and tree.args:
        tree = tree.args[0]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func).split(".")
        public = getattr(wlsmtp, name[0])
        called = getattr(public, name[1]) if len(name) > 1 else public
        if hasattr(called, "model_fields"):
            assert {word.arg for word in call.keywords} <= set(called.model_fields)
    if "…" not in write and isinstance(tree, ast.Call) and ast.unparse(tree.func) == model:
        names: dict[str, Any] = {
            **{name: getattr(wlsmtp, name) for name in wlsmtp.__all__},
            "connect": print,
            "function": print,
            "provider": print,
            "context": ssl.create_default_context(),
        }
        fields = {str(word.arg): eval(ast.unparse(word.value), names) for word in tree.keywords if word.arg}
        if "username" not in fields and "token" not in fields and model != "Proxy":
            made(model, **fields)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("timout", "did you mean timeout?"),
        ("Timeout", "did you mean timeout?"),
        ("user_name", "did you mean username?"),
        ("smtp_password", "did you mean password?"),
        ("MAIL_PORT", "did you mean port?"),
        ("max_connections", "did you mean pool=PoolLimits(max_connections=…)?"),
        ("maxMessages", "did you mean pool=PoolLimits(max_messages=…)?"),
        ("local_address", "did you mean network=Network(local_address=…)?"),
        ("hostnam", 'use server="smtp.example.com"'),
        ("zzz", "there are server, port, security"),
    ],
)
def test_a_name_that_is_in_no_row_is_answered_with_the_nearest(given: str, answer: str) -> None:
    assert suggestion(SessionConfig, given).startswith(answer)
    with pytest.raises(ConfigError, match=f"^{given}: is not known; "):
        made("SessionConfig", **{given: 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, True) for name in ("verify", "verify_ssl", "validate_certs", "rejectUnauthorized", "check_hostname")),
        *((name, "true") for name in ("verify", "VERIFY_SSL", "auto_tls", "use_pipelining")),
        *((name, False) for name in ("insecure", "skip_verify", "use_tls", "EMAIL_USE_TLS", "MAIL_USE_SSL", "secure")),
        *((name, False) for name in ("MAIL_SUPPRESS_SEND", "fail_silently", "is_async", "use_lmtp", "debug")),
        ("cert_reqs", ssl.CERT_REQUIRED),
        ("starttls", "no"),
        ("MAIL_SUPPRESS_SEND", "0"),
    ],
)
def test_a_switch_that_means_what_is_so_anyhow_is_left_out(name: str, value: Any) -> None:
    """Those who ask for certificates to be verified get no advice on how to disable that, nor how to send nowhere."""
    with pytest.raises(ConfigError, match=f"^{name}: is not known; leave it out"):
        made("SessionConfig", **{name: value})


@pytest.mark.parametrize(("name", "value"), [("verify_peer", True), ("insecure", False), ("check_hostname", True)])
def test_so_is_one_of_a_part(name: str, value: bool) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: is not known; leave it out"):
        made("TLS", **{name: value})


@pytest.mark.parametrize("value", [0, -1, "0"])
def test_advice_can_be_followed(value: object) -> None:
    with pytest.raises(ConfigError, match=r"attempts=1\)"):
        made("SessionConfig", retry=value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"headers": {"X-A": 3}}, "headers.X-A: must be a string or a list"),
        ({"reply_to": [3]}, "reply_to: must be a string; reply_to.0: must be a string"),
        ({"username": "ann", "token": object()}, "token: must be a string or callable"),
        ({"port": "²⁵"}, "port: must be a whole number, unable to parse string as an integer"),
        ({"server": "smtp.example.com:587"}, "server: must be without the port: SMTPSession('smtp.example.com', 587)"),
        ({"server": "[::1]:25"}, "server: must be without the port: SMTPSession('[::1]', 25)"),
        ({"server": "a" * 300}, "server: must have at most 255 characters"),
    ],
)
def test_a_setting_of_several_types_has_one_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made("SessionConfig", **fields)
    assert caught.value.message == words


@pytest.mark.parametrize("field", ["username", "password", "token"])
def test_a_secret_that_is_not_utf8_is_not_changed_in_silence(field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: is not in UTF-8"):
        made("SessionConfig", **{"username": "ann", field: "s3cret\udcff"})


def test_a_part_of_the_settings_answers_as_well() -> None:
    with pytest.raises(ConfigError, match=r"^tls: verify_ssl: is not known; use verify=False"):
        SMTPSession("smtp.example.com", tls={"verify_ssl": False})  # type: ignore[arg-type]
    assert set(parts(SessionConfig)) >= {"tls", "pool", "retry", "timeout", "network", "options", "proxy", "pipelining"}


def test_a_number_is_no_switch_and_a_time_is_in_seconds() -> None:
    with pytest.raises(ConfigError, match="max_connections: must be a number"):
        wlsmtp.PoolLimits(max_connections=True)
    with pytest.raises(ConfigError, match=r"close_timeout: wrong value; use close_timeout=120 \(in seconds\)"):
        SMTPSession("x", close_timeout=timedelta(minutes=2))  # type: ignore[arg-type]


def test_a_class_is_no_object_of_it() -> None:
    with pytest.raises(ConfigError, match=r"retry: wrong value; use retry=RetryPolicy\(\)"):
        made("SessionConfig", retry=wlsmtp.RetryPolicy)


def test_both_worlds_answer(world: World) -> None:
    with pytest.raises(ConfigError, match="host: is not known; use server="):
        world.session("x", host="y")
