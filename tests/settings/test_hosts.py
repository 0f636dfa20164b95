"""The names of hosts: what real machines are called, and what no resolver and no server would understand."""

from __future__ import annotations

from typing import Any

import pytest

from wlsmtp import TLS, ConfigError, Network, Proxy, SessionConfig

LONG = ".".join(["a" * 63] * 4)

SERVERS = {
    "smtp.example.com": "smtp.example.com",
    "SMTP.Example.COM": "SMTP.Example.COM",
    "smtp.example.com.": "smtp.example.com.",  # absolute: the resolver appends no domain of its own
    "localhost": "localhost",
    "mail_server_1": "mail_server_1",  # a container
    "_smtp.example.com": "_smtp.example.com",
    "3com.example": "3com.example",
    "a--b.example": "a--b.example",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "bücher.example": "xn--bcher-kva.example",
    "smtp。example。jp": "smtp.example.jp",  # an input method's full stops
    "192.0.2.1": "192.0.2.1",
    "[192.0.2.1]": "192.0.2.1",
    "2001:db8::1": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "[IPv6:2001:db8::1]": "2001:db8::1",
    "::ffff:192.0.2.1": "::ffff:192.0.2.1",
    "fe80::1%eth0": "fe80::1%eth0",
    "[fe80::1%eth0.100]": "fe80::1%eth0.100",
    "[smtp.example.com]": "smtp.example.com",  # Postfix: no MX
    "/run/smtp.sock": "/run/smtp.sock",
    LONG[:253]: LONG[:253],
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_has_the_name_of_a_real_host(server: str) -> None:
    assert SessionConfig(server=server).server == SERVERS[server]


NO_SERVERS = {
    "[::1": "brackets around an IPv6 address are a pair",
    "::1]": "brackets",
    "[[::1]]": "brackets",
    "[]": "empty",
    ".": "out of place",
    "..": "out of place",
    ".example.com": "out of place",
    "smtp..example.com": "out of place",
    "smtp.example.com..": "out of place",
    "-": "hyphen",
    "-smtp.example.com": "hyphen",
    "smtp-.example.com": "hyphen",
    "a" * 64 + ".example": "longer than 63",
    LONG: "at most 253",
    "é" * 60 + ".example": "not valid",
    "-é.example": "not valid|hyphen",
    " smtp.example.com": "' ' cannot",
    "smtp example.com": "' ' cannot",
    "smtp.example.com\n": "cannot be in",
    '"smtp.example.com"': "'\"' cannot",
    "smtp.example.com/": "'/' cannot",
    "smtp.example.com:": "':' and '%' cannot",
    "smtp.example.com:smtp": "':' and '%' cannot",
    ":587": "':' and '%' cannot",
    "[::1]:25": r"SMTPSession\('\[::1\]', 25\)",
    "bücher.example:25": r"SMTPSession\('bücher.example', 25\)",
    "smtp.example.com%eth0": "':' and '%' cannot",
    "192.0.2.1%eth0": "':' and '%' cannot",
    "fe80::1%": "not a valid IPv6",
    "fe80::1%eth 0": "not a valid IPv6",
    "1:2:3": "not a valid IPv6",
    "2001:db8::1::2": "not a valid IPv6",
    "256.0.0.1": "end with a number",
    "127.1": "end with a number",
    "1": "end with a number",
    "0x7f000001": "end with a number",
    "010.0.0.1": "end with a number",
    "memory:": "is a URL",
    "run/smtp.sock": "'/' cannot",
    "//smtp.example.com\n": "cannot be in",
    "/" + "s" * 107: "at most 107 octets",
}


@pytest.mark.parametrize("server", NO_SERVERS)
def test_what_is_no_host_is_refused_before_anything_is_looked_up(server: str) -> None:
    with pytest.raises(ConfigError, match=rf"^server: .*{NO_SERVERS[server]}"):
        SessionConfig(server=server)


EHLO_NAMES = {
    "client.example.com": "client.example.com",
    "localhost": "localhost",
    "web_1": "web_1",
    "bücher.example": "xn--bcher-kva.example",
    "[192.0.2.1]": "[192.0.2.1]",
    "[IPv6:2001:db8::1]": "[IPv6:2001:db8::1]",
    "[ipv6:::1]": "[ipv6:::1]",
}


@pytest.mark.parametrize("name", EHLO_NAMES)
def test_ehlo_has_a_domain_or_an_address_literal(name: str) -> None:
    assert SessionConfig(server="x", local_hostname=name).local_hostname == EHLO_NAMES[name]


NO_EHLO_NAMES = {
    "": "empty",
    "-": "hyphen",
    "client-": "hyphen",
    "a b": "' ' cannot",
    "client example.com": "' ' cannot",
    "client.example.com.": "without the dot",
    "client..example": "out of place",
    ".": "out of place",
    "a" * 64: "longer than 63",
    LONG: "at most 253",
    "ann@example.com": "'@' cannot",
    "12345": "end with a number",
    "192.0.2.1": r"in brackets: \[192.0.2.1\]",
    "::1": r"in brackets: \[IPv6:::1\]",
    "fe80::1%eth0": r"in brackets: \[IPv6:fe80::1\]",
    "[::1]": r"is \[IPv6:::1\]",
    "[IPv6:192.0.2.1]": r"is \[192.0.2.1\]",
    "[IPv6:fe80::1%eth0]": "like",
    "[192.0.2]": "like",
    "[192.0.2.1": "like",
    "[client.example.com]": "like",
    "[]": "like",
    "x\r\nMAIL FROM:<a@b>": "cannot be in",
}


@pytest.mark.parametrize("name", NO_EHLO_NAMES)
def test_ehlo_never_has_another_name(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^local_hostname: .*{NO_EHLO_NAMES[name]}"):
        SessionConfig(server="x", local_hostname=name)


def test_a_certificate_is_checked_for_the_name_alone() -> None:
    def name(server: str, **fields: Any) -> str:
        return SessionConfig(server=server, **fields).certificate_name

    assert name("smtp.example.com.") == "smtp.example.com"
    assert name("fe80::1%eth0") == "fe80::1"
    assert name("192.0.2.1", tls=TLS(server_hostname="bücher.example.")) == "xn--bcher-kva.example"
    for wrong in ("[::1", "smtp.example.com:465", "https://example.com", "a b", "/run/smtp.sock", ""):
        with pytest.raises(ConfigError, match=r"^server_hostname: "):
            TLS(server_hostname=wrong)


def test_proxies_and_local_addresses_follow_the_same_rules() -> None:
    assert Proxy(scheme="socks5", host="[::1]", port=1080).host == "::1"
    assert str(Proxy.from_url("socks5://[fe80::1%25eth0]:1080")) == "socks5://[fe80::1%eth0]:1080"
    for wrong in ("[::1", "-", "proxy..example", "a b", "/run/proxy.sock", "", "127.1"):
        with pytest.raises(ConfigError, match=r"^host: "):
            Proxy(scheme="socks5", host=wrong, port=1080)
    assert Network(local_address="fe80::1%eth0").local_address == "fe80::1%eth0"
    for wrong in ("192.0.2.1%eth0", "fe80::1%", "[::1]", "192.0.2.1:25", "localhost"):
        with pytest.raises(ConfigError, match=r"^local_address: "):
            Network(local_address=wrong)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("smtp://x?server=y", "server"),
        ("smtp://x?server=x", "server"),
        ("smtp+unix:///run/smtp.sock?server=y", "server"),
        ("lmtp://x?protocol=smtp", "protocol"),
        ("smtp://x:25?port=26", "port"),
        ("smtps://x?security=tls", "security"),
        ("smtp://ann:s3cret@x?username=bob", "username"),
        ("smtp://ann:s3cret@x?password=other", "password"),
        ("smtp://x?local_hostname=a&local_hostname=b", "local_hostname"),
        ("failover(smtp://x?server=y, smtp://z)", "server"),
    ],
)
def test_a_setting_that_a_url_gives_twice_is_an_error(url: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is given twice") as caught:
        SessionConfig.from_url(url)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError, match=f"{name} is given twice"):
        SessionConfig.from_env({"WLSMTP_URL": url})


def test_what_a_scheme_leaves_open_may_follow() -> None:
    assert SessionConfig.from_url("smtp://x?security=ssl").port == 465
    config = SessionConfig.from_url("smtps://x?protocol=lmtp")
    assert config.is_lmtp and config.security == "ssl"
