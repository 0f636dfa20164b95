"""Network settings: the socket, and a proxy. Values only; ``io/`` applies them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Required, Self, TypedDict, Unpack

from pydantic import Field, SecretStr, field_validator, model_validator

from wlsmtp.errors import ConfigError
from wlsmtp.settings.hosts import host_name, is_address
from wlsmtp.settings.urls import URL, wrong
from wlsmtp.settings.validation import Seconds, Settings

Connector = Callable[[str, int], Any]
"""Called with host and port for each connection; returns a connected ``socket.socket`` or (with asyncio) an awaitable
of one."""

_SCHEMES: dict[str, Literal["socks5", "socks4", "http"]] = {
    "socks5": "socks5",
    "socks5h": "socks5",
    "socks4": "socks4",
    "socks4a": "socks4",
    "http": "http",
}


class Network(Settings):
    """How connections are made."""

    family: Literal["any", "prefer_ipv4", "prefer_ipv6", "ipv4", "ipv6"] = "any"
    """The address family to use, or to try first. ``any``: all, in the order of the system."""
    local_address: str | None = None
    """The IP address of this machine to connect from."""
    keepalive: Seconds | None = 60.0
    """Seconds of silence after which TCP checks that the other side is still there. None: never."""
    connector: Connector | None = Field(default=None, repr=False)
    """A callable that receives host and port and returns a connected socket, to be used instead of a new one; with
    asyncio it may be an async function."""

    @field_validator("local_address")
    @classmethod
    def _is_ip(cls, value: str | None) -> str | None:
        if value is not None and not is_address(value):
            raise ValueError("must be an IP address of this machine, without port")
        return value


class ProxyKeywords(TypedDict, total=False):
    """The parts of a ``Proxy``, each a keyword."""

    scheme: Required[Literal["socks5", "socks4", "http"]]
    """SOCKS 5 (RFC 1928), SOCKS 4a, or HTTP CONNECT (RFC 9110 §9.3.6)."""
    host: Required[str]
    """The proxy's name or address."""
    port: Required[int]
    """The proxy's port."""
    username: str | None
    """The user to log in to the proxy. None: no login."""
    password: str | SecretStr | None
    """The password of ``username`` at the proxy. No repr, error, event or log shows it."""


class Proxy(Settings):
    """A proxy, which also resolves the server's name. As a URL: ``socks5://user:password@host:port``, ``socks4://``
    (4a) or ``http://`` (CONNECT)."""

    scheme: Literal["socks5", "socks4", "http"]
    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    username: Annotated[str, Field(max_length=255)] | None = None
    password: SecretStr | None = None

    _keywords = (ProxyKeywords,)

    _name = field_validator("host")(host_name)

    def __init__(self, **settings: Unpack[ProxyKeywords]) -> None:
        super().__init__(**settings)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return the proxy that a URL names; user and password are percent-decoded. Raises ``ConfigError``, which
        repeats no part of the URL, as any could be a piece of the password."""
        words = "must look like socks5://user:password@host:port; also allowed are socks4:// and http://"
        try:
            parts = URL.read(url)
        except ConfigError as error:
            raise wrong(f"{words}; {error.message.removeprefix('url: ')}") from None
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not parts.host or not parts.port or parts.path.strip("/") or parts.options:
            raise wrong(words)
        return cls(scheme=scheme, host=parts.host, port=parts.port, username=parts.username, password=parts.password)

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        secret = self.password.get_secret_value() if self.password else ""
        if secret and (not self.username or self.scheme == "socks4"):
            raise ValueError("password: needs a username, and a proxy of another kind than socks4")
        if not all(
            text.isascii() and text.isprintable() and len(text) <= 255 for text in (self.username or "", secret)
        ):
            raise ValueError("username and password of a proxy must be up to 255 printable ASCII characters")
        if self.scheme == "http" and ":" in (self.username or ""):
            raise ValueError("username: cannot contain a colon (RFC 7617 §2)")
        return self

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"
