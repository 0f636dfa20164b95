"""Names of hosts in settings: the server, a proxy, the name in a certificate, and the name sent with EHLO."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from wlsmtp.patterns import later
from wlsmtp.wire.domains import DomainError, checked_domain

_MAX_NAME = 253
"""Maximum characters of a name, so that it has no more than 255 octets in the DNS (RFC 1035 §2.3.4)."""
_MAX_PATH = 107
"""Maximum octets of the path of a unix socket (``sun_path`` in unix(7))."""
_BRACKETED = later(r"\[([^\[\]]*)\]")
_WITH_PORT = later(r"([^\s:/@?#\[\]]+|\[[\da-fA-F:.]+\]):(\d{1,5})")
_ZONE = later(r"[\w.~-]{1,64}", re.ASCII)
_NO_HOST = "must be a host name or an IP address, without port (port=…), or the path of a unix socket"


def server_name(value: str) -> str:
    """Return the name of a server as it is looked up, without the brackets of an address and with its domain in
    A-labels (RFC 5890 §2.3.2.1); or the path of its socket. Raises ``ValueError``."""
    if value.startswith("/") and value.isprintable():
        if len(value.encode()) > _MAX_PATH:
            raise ValueError(f"the path of a unix socket has at most {_MAX_PATH} octets")
        return value
    if "://" in value or re.fullmatch(r"(?:memory|console|null|sendmail|inbox):", value):
        raise ValueError("is a URL; use SMTPSession.from_url(…)")
    if port := _WITH_PORT.fullmatch(value):
        raise ValueError(f"must be without the port: SMTPSession({port[1]!r}, {port[2]})")
    return _host(value)


def host_name(value: str) -> str:
    """Return the name of a host that is reached over TCP, as ``server_name`` does. Raises ``ValueError``."""
    if not value or "/" in value:
        raise ValueError("must be a host name or an IP address")
    return server_name(value)


def ehlo_name(value: str) -> str:
    """Return the name for EHLO: a domain, in A-labels, or an address literal (RFC 5321 §4.1.2, §4.1.3). Raises
    ``ValueError``."""
    if "[" in value or "]" in value:
        return _literal(value)
    if (address := _address(value)) is not None:
        raise ValueError(f"an IP address must be in brackets: {_in_brackets(address)}")
    if value.endswith(".") and value.strip("."):
        raise ValueError("must be without the dot at its end")
    try:
        return _domain(value)
    except ValueError as error:
        raise ValueError(
            f"must be a domain name such as client.example.com, or an address literal such as [192.0.2.1]; {error}"
        ) from None


def is_address(value: str) -> bool:
    """Return whether a text is an IP address, perhaps with the zone of a link."""
    return _address(value) is not None


def certificate_name(server: str) -> str:
    """Return the name for which a server's certificate is checked: without the dot at the end of an absolute name
    (RFC 6066 §3), and without the zone of an address."""
    return server.partition("%")[0].removesuffix(".")


def _host(value: str) -> str:
    bracketed = _BRACKETED.fullmatch(value)
    bare = bracketed[1] if bracketed else value
    if bracketed and bare[:5].lower() == "ipv6:":  # the address literal of RFC 5321 §4.1.3
        bare = bare[5:]
    if _address(bare) is not None:
        return bare
    if "[" in bare or "]" in bare:
        raise ValueError(f"{_NO_HOST}; the brackets around an IPv6 address are a pair, as in [::1]")
    if ":" in bare or "%" in bare:
        words = "this is not a valid IPv6 address" if bare.count(":") > 1 else "':' and '%' cannot be in a name"
        raise ValueError(f"{_NO_HOST}; {words}")
    absolute = "." if bare.endswith(".") and bare != "." else ""
    try:
        return _domain(bare.removesuffix(absolute)) + absolute
    except ValueError as error:
        raise ValueError(f"{_NO_HOST}; {error}") from None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a text is; an IPv6 address may have a zone (RFC 4007 §11)."""
    address, percent, zone = text.partition("%")
    if percent and (":" not in address or not _ZONE.fullmatch(zone)):
        return None
    try:
        return ip_address(address)
    except ValueError:
        return None


def _domain(name: str) -> str:
    """Return a domain in A-labels. The underscore is allowed, which containers and Windows machines have in their
    names."""
    if not name:
        raise ValueError("it is empty")
    try:
        name = checked_domain(name)
    except DomainError as error:
        raise ValueError(f"{error}. {error.hint}" if error.hint else str(error)) from None
    if len(name) > _MAX_NAME:
        raise ValueError(f"a name has at most {_MAX_NAME} characters")
    if re.fullmatch(r"(\d+|0[xX][\da-fA-F]*)", name.rpartition(".")[2]):  # the C library reads 127.1 as an address
        raise ValueError("a name does not end with a number, and an IPv4 address has four, from 0 to 255")
    return name


def _literal(value: str) -> str:
    bracketed = _BRACKETED.fullmatch(value)
    inner = bracketed[1] if bracketed else ""
    address = _address(inner[5:] if inner[:5].upper() == "IPV6:" else inner)
    if address is None or "%" in inner:
        raise ValueError("an address literal must be like [192.0.2.1] or [IPv6:2001:db8::1]")
    if _in_brackets(address)[:-1].upper().startswith("[IPV6:") != (inner[:5].upper() == "IPV6:"):
        raise ValueError(f"an address literal of this address is {_in_brackets(address)} (RFC 5321 §4.1.3)")
    return value


def _in_brackets(address: IPv4Address | IPv6Address) -> str:
    text = str(address).partition("%")[0]
    return f"[IPv6:{text}]" if address.version == 6 else f"[{text}]"
