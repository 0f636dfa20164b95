"""How a connection finds its way: settings of the socket, and the proxy in between. Values only; see ``io/`` for what
they do."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Required, Self, TypedDict, Unpack

from pydantic import Field, SecretStr, field_validator, model_validator

from wlsmtp.errors import ConfigError
from wlsmtp.settings.urls import URL, wrong
from wlsmtp.settings.validation import Seconds, Settings

Connector = Callable[[str, int], Any]
"""Is given host and port, and returns a connected ``socket.socket`` or (in the async world) an awaitable of one; called
anew for each connection."""

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
    """Which addresses of a name are used, or tried first. ``any``: all, in the order of the system."""
    local_address: str | None = None
    """The IP address of this machine to connect from."""
    keepalive: Seconds | None = 60.0
    """Seconds of silence after which TCP asks whether the other side is still there. None: never."""
    connector: Connector | None = Field(default=None, repr=False)
    """A callable that is given host and port and returns a connected socket, to be used instead of a new one; in the
    async world it may be an async function."""

    @field_validator("local_address")
    @classmethod
    def _is_ip(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ip_address(value.partition("%")[0])
            except ValueError:
                raise ValueError("must be an IP address of this machine, without port") from None
        return value


class ProxyKeywords(TypedDict, total=False):
    """A ``Proxy`` in its parts, each a keyword."""

    scheme: Required[Literal["socks5", "socks4", "http"]]
    """SOCKS 5 (RFC 1928), SOCKS 4a, or HTTP CONNECT (RFC 9110 §9.3.6)."""
    host: Required[str]
    """Its name or address."""
    port: Required[int]
    """Its port."""
    username: str | None
    """Who logs in to the proxy. None: no login."""
    password: str | SecretStr | None
    """The password of ``username`` at the proxy. It is kept out of every repr, error, event and log."""


class Proxy(Settings):
    """A proxy, which is also asked to resolve the server's name. Given as a URL:
    ``socks5://user:password@host:port``, ``socks4://`` (4a) or ``http://`` (CONNECT)."""

    scheme: Literal["socks5", "socks4", "http"]
    host: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^([\w.-]+|[\da-fA-F:.]+(%\w+)?)$")]
    port: Annotated[int, Field(ge=1, le=65535)]
    username: Annotated[str, Field(max_length=255)] | None = None
    password: SecretStr | None = None

    _keywords = (ProxyKeywords,)

    def __init__(self, **settings: Unpack[ProxyKeywords]) -> None:
        super().__init__(**settings)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The proxy that a URL names; user and password are percent-decoded. Raises ``ConfigError``, which repeats no
        part of the URL, as any could be a piece of the password."""
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
