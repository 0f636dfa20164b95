"""One frozen, validated ``SessionConfig`` with its parts, from keywords, a URL, the environment or a preset.

Every error is a ``ConfigError`` that names the field and says what is allowed; it repeats no value that may be secret.
This module does no I/O: ``verify()`` finds out whether a server can be reached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Set
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict, Unpack

from pydantic import Field, SecretStr, field_validator, model_validator

from wlsmtp.events import Listener
from wlsmtp.receipt import Receipt
from wlsmtp.sasl.base import Mechanism
from wlsmtp.sasl.plugins import needs_no_secret, with_own
from wlsmtp.settings.dkim import DKIM, keys_of
from wlsmtp.settings.help import spells_out
from wlsmtp.settings.hosts import certificate_name, ehlo_name, host_name, server_name
from wlsmtp.settings.limits import OUTBOX_RETRY, Pipelining, PoolLimits, RetryPolicy, Timeouts, rates_of
from wlsmtp.settings.network import Network, Proxy
from wlsmtp.settings.options import DeliveryOptions
from wlsmtp.settings.plugged import OutboxLike, SSLContextLike, TransportLike, flaw_of, is_ssl_context
from wlsmtp.settings.shorthands import digest, named, not_async, one_or_several
from wlsmtp.settings.sources import fields_from_env, fields_from_preset, fields_from_url, transport_from_url
from wlsmtp.settings.urls import URL, known_outbox, wrong
from wlsmtp.settings.validation import Seconds, Settings

TokenProvider = Callable[[], str | Awaitable[str]]
"""Returns an OAuth 2.0 access token, or (with asyncio) an awaitable of one. It is called for each connection, and once
more when the server has refused the token. A plain function runs in its own thread and is abandoned at the deadline of
the login. If it has a method ``forget(token)``, that is called with the refused token first. ``wlsmtp.oauth`` has
ready-made providers."""

WITHOUT_SECRET = frozenset({"EXTERNAL", "GSSAPI", "ANONYMOUS"})
"""Mechanisms that require neither password nor token; they are used only when ``mechanisms`` names them."""

Hook = Callable[..., Any]
"""A function of the user's, see ``before_send`` and ``after_send`` of ``SessionKeywords``."""

Callback = Callable[[Receipt], object]
"""Called with the receipt of a finished message of the outbox; may be async with asyncio."""


class Security(StrEnum):
    """The security of the connection."""

    DEFAULT = "default"
    """Plain text, upgraded to TLS when the server offers STARTTLS (disable with ``opportunistic_tls=False``). Port
    25."""
    TLS = "tls"
    """STARTTLS (RFC 3207), or an error. Port 587."""
    SSL = "ssl"
    """TLS from the first byte (RFC 8314 §3.3). Port 465."""


class Mode(StrEnum):
    """When ``send`` returns: after the server's reply, or at once."""

    SYNC = "sync"
    """``send`` returns when the server has answered."""
    ASYNC = "async"
    """``send`` returns at once; the message is sent in the background."""


DEFAULT_PORTS = {Security.DEFAULT: 25, Security.TLS: 587, Security.SSL: 465}
LMTP_PORT = 24
"""A port for private mail systems, on which LMTP servers customarily listen."""


class TLSKeywords(TypedDict, total=False):
    """The keywords of ``TLS``."""

    verify: bool
    """False disables all checks: anyone between this machine and the server can then read and change the mail."""
    trust: Literal["system", "bundled"]
    """The authorities to trust: those of the operating system, or those of the ``certifi`` package."""
    ca_file: str | Path | None
    """A PEM file of the authorities to trust instead."""
    strict_x509: bool
    """False accepts certificates that break rules of RFC 5280 which clients did not check in the past."""
    check_common_name: bool
    """True accepts a server name in the common name of a certificate without subjectAltName, which RFC 9525 §2
    ignores."""
    client_cert: str | Path | tuple[str | Path, str | Path] | None
    """A PEM file with the client's certificate and key, or a pair (certificate, key)."""
    client_key_password: str | SecretStr | None
    """The password of the client's key."""
    fingerprint: str | Collection[str] | None
    """SHA-256 fingerprints of certificates, in hex: the server's must be one of them. A string is one fingerprint. They
    replace the check of authorities and name."""
    public_key: str | Collection[str] | None
    """SHA-256 digests of public keys (SPKI), in hex or as ``sha256//base64``: the server's must be one of them."""
    server_hostname: str | None
    """The name that the certificate must contain, if it differs from the server's name."""
    minimum_version: Literal["1.2", "1.3"]
    """The oldest TLS version that is accepted."""
    ciphers: str | None
    """The allowed ciphers of TLS 1.2, in OpenSSL's notation; those of TLS 1.3 are always allowed."""
    resumption: bool
    """True if a new connection may resume the TLS session of an earlier one, which saves most of the handshake."""
    context: SSLContextLike | None
    """An ``ssl.SSLContext`` to be used unchanged; it combines only with ``verify``, ``server_hostname``,
    ``fingerprint`` and ``public_key``. A context that does not check certificate and name requires ``verify=False``, or
    a pin."""


class TLS(Settings):
    """The TLS settings. The defaults verify the server's certificate and its name against the system's trust store."""

    verify: bool = True
    trust: Literal["system", "bundled"] = "system"
    ca_file: Path | None = None
    strict_x509: bool = True
    check_common_name: bool = False
    client_cert: Path | tuple[Path, Path] | None = None
    client_key_password: SecretStr | None = None
    fingerprint: tuple[str, ...] = ()
    public_key: tuple[str, ...] = ()
    server_hostname: str | None = None
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    ciphers: str | None = None
    resumption: bool = True
    context: Any = Field(default=None, exclude=True)

    _keywords = (TLSKeywords,)

    def __init__(self, **settings: Unpack[TLSKeywords]) -> None:
        super().__init__(**settings)

    @field_validator("fingerprint", "public_key", mode="before")
    @classmethod
    def _digests(cls, value: object) -> object:
        if value is None:
            return ()
        if isinstance(value, str):
            return (digest(value),)
        return tuple(map(digest, value)) if isinstance(value, list | tuple | set | frozenset) else value

    @field_validator("server_hostname")
    @classmethod
    def _certificate_name(cls, value: str | None) -> str | None:
        return None if value is None else certificate_name(host_name(value))

    def __getstate__(self) -> dict[Any, Any]:
        if self.context is not None:
            words = "tls.context: an ssl.SSLContext cannot be pickled, nor sent to another process"
            hint = "Make the session there, or give what is to be trusted: TLS(ca_file=…)"
            raise wrong(words, hint)
        return super().__getstate__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy shares the context."""
        return super().__deepcopy__({**(memo or {}), id(self.context): self.context})

    @model_validator(mode="after")
    def _one_context(self) -> Self:
        if self.context is None:
            return self
        if not is_ssl_context(self.context):
            raise ValueError("context: must be an ssl.SSLContext")
        if others := sorted(self.model_fields_set - _BESIDE_A_CONTEXT):
            raise ValueError(f"{others[0]}: cannot be combined with a context; set it on the context itself")
        if flaw := flaw_of(self.context, must_verify=self.verify and not self.pins):
            raise ValueError(f"context: {flaw}")
        if not self.verify and flaw_of(self.context, must_verify=True) is None:
            raise ValueError("verify: False cannot be combined with a context that verifies; switch it off there")
        return self

    @property
    def pins(self) -> bool:
        """True if the server is identified by its certificate or its key instead of authorities and name."""
        return bool(self.fingerprint or self.public_key)


_BESIDE_A_CONTEXT = {"context", "verify", "server_hostname", "fingerprint", "public_key"}
"""The settings that combine with a context."""


class SessionKeywords(TypedDict, total=False):
    """The settings of a session, each a keyword of ``SMTPSession``, ``AsyncSMTPSession`` and ``SessionConfig``. None
    means the default."""

    security: Security | Literal["default", "tls", "ssl"] | None
    """The security of the connection: ``"default"`` (STARTTLS when the server offers it), ``"tls"`` (STARTTLS, or an
    error) or ``"ssl"`` (TLS from the first byte)."""
    protocol: Literal["smtp", "lmtp"] | None
    """``lmtp`` (RFC 2033) delivers to mailboxes: the server answers for each recipient after the content. Port 24."""
    mode: Mode | Literal["sync", "async"] | None
    """``"sync"``: ``send`` returns when the server has answered; ``"async"``: at once."""
    outbox: str | OutboxLike | None
    """The store in which ``mode="async"`` keeps messages until they are sent: ``"memory:"``, ``"sqlite:///path"``,
    ``"postgresql://user@host/database"`` or an ``Outbox``; see ``wlsmtp.outbox``."""
    close_timeout: float | None
    """Maximum duration of ``close()`` in seconds, unless it is given another one. It also bounds the end of a ``with``
    block, and the exit of a program that did not close its session."""
    outbox_worker: bool | None
    """False: this session only stores messages; other programs (``wlsmtp outbox run``) send them."""
    pace: Mapping[str, str] | str | None
    """With ``mode="async"``: the rates at which messages are sent, by lane, as ``{"gmail.com": "20/second", "*":
    "100/minute"}``. The lane of a message is the domain of its first recipient, or what ``send(lane=…)`` says; ``"*"``
    is each other lane. A lane that has used up its rate waits, and holds up no other one."""
    pace_scope: Literal["cluster", "session"] | None
    """The sessions that keep to ``pace`` together: all that share the outbox (``"cluster"``), or this one alone."""
    username: str | None
    """The user to log in, with a ``password`` or a ``token``. None: no login."""
    password: str | SecretStr | None
    """The password of ``username``. No repr, error, event or log shows it."""
    token: str | SecretStr | TokenProvider | None
    """An OAuth 2.0 access token, or a callable that returns one."""
    auth: Literal["required", "optional"] | None
    """``optional``: continue without a login if the server offers no usable AUTH mechanism."""
    mechanisms: list[str] | list[Any] | tuple[str | Mechanism, ...] | None
    """The allowed SASL mechanisms, best first. Default: all that are usable, the strongest first."""
    exclude_mechanisms: list[str] | tuple[str, ...] | Set[str] | None
    """SASL mechanisms not to be used."""
    allow_cleartext_auth: bool | None
    """True allows sending the password over an unencrypted connection that leaves this machine."""
    opportunistic_tls: bool | None
    """With ``security="default"``: True uses STARTTLS when it is offered."""
    timeout: float | Timeouts | None
    """A number of seconds (the longest silence at any stage), or ``Timeouts``."""
    tls: TLS | SSLContextLike | None
    """The TLS settings: the trusted certificates, and the client's own. An ``ssl.SSLContext`` stands for
    ``TLS(context=…)``."""
    pool: PoolLimits | None
    """The number of open connections, how long they are kept, and the rate of mail."""
    pipelining: Pipelining | bool | None
    """``Pipelining``, or False to disable it."""
    retry: RetryPolicy | None
    """How often and when a message that is certainly not sent is tried again. Default for mail in an outbox: for five
    days."""
    partial: Literal["deliver", "abort"] | None
    """When some recipients are refused: deliver to the others, or to nobody."""
    network: Network | None
    """The addresses to use, the local address, and how a connection is made."""
    proxy: str | Proxy | None
    """``Proxy``, or its URL: ``socks5://user:password@host:port``, ``socks4://`` or ``http://``."""
    options: DeliveryOptions | None
    """The requests to the server for each message that has no options of its own."""
    sender: str | tuple[str, str] | None
    """The sender of messages that name none: an address, with or without a name, or a pair (name, address)."""
    reply_to: str | tuple[str, str] | list[str | tuple[str, str]] | None
    """The reply address of messages that name none."""
    headers: Mapping[str, str | list[str]] | None
    """Further header fields, by name, for each message that does not have that field. This setting and the one before
    apply to each ``Message`` and to messages of the standard library that are neither signed nor resent. Octets get no
    more than a From field, from ``sender``, if they have none."""
    dkim: DKIM | Iterable[DKIM] | None
    """The key that signs each message for a domain (RFC 6376), or several; see docs/guides/dkim.md. A ``Message`` may
    have keys of its own, or ``dkim=None``, which leaves it unsigned."""
    local_names: bool | None
    """True sends recipients and senders without a domain, such as ``root``, to an SMTP server, which adds its own
    (``myorigin`` of Postfix) or refuses them. LMTP servers and unix sockets always get them."""
    local_hostname: str | None
    """The name sent with EHLO: a domain, or an address literal such as ``[192.0.2.1]``. Default: the address literal of
    the connection (RFC 5321 §4.1.4)."""
    listeners: Iterable[Listener] | None
    """Callables that receive each event; see ``wlsmtp.events``."""
    before_send: Hook | Iterable[Hook] | None
    """A function that is called with each message and its ``Envelope``, and returns the message to be sent, or a pair
    (message, ``Envelope``); or several, each of which gets what the one before returned. May be async with asyncio."""
    after_send: Hook | Iterable[Hook] | None
    """A function that is called with each final receipt, or several. May be async with asyncio."""
    on_sent: Callback | None
    """With ``mode="async"``: called with the receipt of each message that was sent to all its recipients."""
    on_error: Callback | None
    """With ``mode="async"``: called with the receipt of each message that is finished and was not sent to all
    recipients."""
    transport: str | TransportLike | URL | None
    """The transport that carries the messages instead of SMTP to ``server``: a ``Transport``, or its URL
    (``maildir:///path``)."""


class ConfigKeywords(SessionKeywords, total=False):
    """These and the server, the keywords of ``SessionConfig``."""

    server: str | None
    """A DNS name, which may be internationalised, an IPv4 or IPv6 address, or the path of a unix socket
    (``/run/smtp.sock``). Required without ``transport``."""
    port: int | None
    """The port. Default: 25, 587 or 465, depending on ``security``; for LMTP 24."""


class SessionConfig(Settings):
    """All settings of a session. The names are those of ``SMTPSession``'s keywords."""

    server: Annotated[str, Field(max_length=255)] = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 0
    security: Security = Security.DEFAULT
    protocol: Literal["smtp", "lmtp"] = "smtp"
    mode: Mode = Mode.SYNC
    outbox: Any = Field(default="memory:", repr=False, exclude=True)  # its URL may hold a password
    close_timeout: Seconds = 10.0
    outbox_worker: bool = True
    pace: Mapping[str, str] | None = None
    pace_scope: Literal["cluster", "session"] = "cluster"
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | TokenProvider | None = None
    auth: Literal["required", "optional"] = "required"
    mechanisms: tuple[str, ...] | None = None
    exclude_mechanisms: tuple[str, ...] = ()
    allow_cleartext_auth: bool = False
    opportunistic_tls: bool = True
    timeout: Timeouts = Timeouts()
    tls: TLS = TLS()
    pool: PoolLimits = PoolLimits()
    pipelining: Pipelining = Pipelining()
    retry: RetryPolicy = RetryPolicy()
    partial: Literal["deliver", "abort"] = "deliver"
    network: Network = Network()
    proxy: Proxy | None = None
    options: DeliveryOptions | None = None
    # Addresses and names are checked like those of a message when the session composes messages itself.
    sender: str | None = None
    reply_to: str | list[str] | None = None
    headers: Mapping[str, str | list[str]] | None = None
    dkim: DKIM | tuple[DKIM, ...] | None = None
    local_names: bool = False
    local_hostname: str | None = None
    listeners: tuple[Listener, ...] = Field(default=(), repr=False)
    before_send: tuple[Hook, ...] = Field(default=(), repr=False)
    after_send: tuple[Hook, ...] = Field(default=(), repr=False)
    on_sent: Callback | None = Field(default=None, repr=False)
    on_error: Callback | None = Field(default=None, repr=False)
    transport: Any = Field(default=None, repr=False, exclude=True)  # its URL may hold a password

    _keywords = (SessionKeywords, ConfigKeywords)

    def __init__(self, **settings: Unpack[ConfigKeywords]) -> None:
        super().__init__(**settings)

    _host = field_validator("server")(server_name)

    @field_validator("proxy", mode="before")
    @classmethod
    def _proxy_url(cls, value: object) -> object:
        return Proxy.from_url(value) if isinstance(value, str) else value

    @field_validator("sender", "reply_to", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        return [named(item) for item in value] if isinstance(value, list) else named(value)

    _keys = field_validator("dkim", mode="before")(keys_of)
    _outbox_url = field_validator("outbox")(known_outbox)
    _rates = field_validator("pace", mode="before")(rates_of)
    _plain_listeners = field_validator("listeners")(not_async)
    _hooks = field_validator("before_send", "after_send", mode="before")(one_or_several)
    _own_mechanisms = field_validator("mechanisms", mode="wrap")(with_own)

    @field_validator("local_hostname")
    @classmethod
    def _ehlo_name(cls, value: str | None) -> str | None:
        return None if value is None else ehlo_name(value)

    @field_validator("transport")
    @classmethod
    def _transport(cls, value: object) -> object:
        if isinstance(value, str):
            return transport_from_url(value, cls)
        if value is None or isinstance(value, URL) or callable(getattr(value, "deliver", None)):
            return value
        raise ValueError("must be a Transport or its URL, such as maildir:///path")

    @model_validator(mode="before")
    @classmethod
    def _shorthands(cls, fields: Any) -> Any:
        """``timeout=30``, ``pipelining=False`` and ``tls=context`` stand for their models."""
        if not isinstance(fields, dict):
            return fields
        fields = {name: value for name, value in fields.items() if value is not None}
        for name in ("username", "password", "token"):  # empty means not given, as for a variable without a value
            if name in fields and fields[name] in ("", SecretStr("")):
                del fields[name]
        if isinstance(fields.get("timeout"), int | float) and not isinstance(fields["timeout"], bool):
            fields["timeout"] = Timeouts.of(fields["timeout"])
        if is_ssl_context(fields.get("tls")):
            fields["tls"] = TLS(context=fields["tls"])
        if isinstance(fields.get("pipelining"), bool):
            fields["pipelining"] = Pipelining(enabled=fields["pipelining"])
        return fields

    @model_validator(mode="after")
    def _together(self) -> Self:
        if "port" not in self.model_fields_set:  # and is fixed: a copy with another security has another port
            vars(self)["port"] = LMTP_PORT if self.is_lmtp else DEFAULT_PORTS[self.security]
        if not self.server and self.transport is None:
            raise ValueError("server: is missing, and no transport is given")
        if self.username and self.password is None and self.token is None and not self._needs_no_secret:
            others = ", ".join(sorted(WITHOUT_SECRET))
            raise ValueError(f"username: needs a password or a token, or mechanisms=… with one of {others}")
        if (self.password is not None or self.token is not None) and not self.username:
            raise ValueError("username: is missing, and a password or a token is given")
        if self.password is not None and self.token is not None:
            raise ValueError("token: cannot be combined with a password; give one of them")
        if self.is_lmtp and self.partial == "abort":
            raise ValueError("partial: 'abort' cannot be combined with LMTP: it answers for each recipient at the end")
        if self.is_lmtp and self.port == 25 and not self.is_unix:
            raise ValueError("port: 25 is for SMTP only (RFC 2033 §5)")
        if self.mode is Mode.SYNC and "outbox" in self.model_fields_set:
            raise ValueError("outbox: keeps messages with mode='async' only, and mode is 'sync'")
        if self.mode is Mode.SYNC and self.pace is not None:
            raise ValueError("pace: is kept by an outbox, with mode='async'; without one use PoolLimits(rate=…)")
        if not self.outbox_worker and self.outbox == "memory:":
            raise ValueError("outbox_worker: mail in memory must be sent by this program")
        if self.is_unix and self.security is Security.SSL and not self.tls.server_hostname:
            raise ValueError("tls: TLS over a unix socket needs TLS(server_hostname=…)")
        if self.network.connector is not None and self.proxy is not None:
            raise ValueError("network.connector: cannot be combined with a proxy, as the connector connects")
        if self.is_unix and (self.network.connector is not None or self.proxy is not None):
            raise ValueError("server: a unix socket is reached without proxy and connector")
        return self

    @property
    def is_lmtp(self) -> bool:
        """True if the protocol is LMTP."""
        return self.protocol == "lmtp"

    @property
    def all_or_nothing(self) -> bool:
        """True if a message goes to all its recipients or to nobody."""
        return self.partial == "abort"

    @property
    def logs_in(self) -> bool:
        """True if there are credentials."""
        return bool(self.username) or self._needs_no_secret

    @property
    def _needs_no_secret(self) -> bool:
        return any(name.upper() in WITHOUT_SECRET or needs_no_secret(name) for name in self.mechanisms or ())

    @property
    def outbox_retry(self) -> RetryPolicy:
        """The policy for mail in an outbox: ``retry`` if given, else ``OUTBOX_RETRY``, as nobody waits."""
        return self.retry if "retry" in self.model_fields_set else OUTBOX_RETRY

    @property
    def is_unix(self) -> bool:
        """True if ``server`` is the path of a unix socket."""
        return self.server.startswith("/")

    @property
    def certificate_name(self) -> str:
        """The name for which the server's certificate is checked."""
        return self.tls.server_hostname or (self.server if self.is_unix else certificate_name(self.server))

    @property
    def address(self) -> str:
        """The server for people to read: ``host:port``, or the path; for a transport its kind."""
        if self.transport is not None:
            is_url = isinstance(self.transport, URL)
            return self.transport.scheme if is_url else type(self.transport).__name__
        if self.is_unix:
            return self.server
        return f"[{self.server}]:{self.port}" if ":" in self.server else f"{self.server}:{self.port}"

    @classmethod
    def from_url(cls, url: str, **fields: Unpack[ConfigKeywords]) -> Self:
        """Return settings from ``smtp://``, ``smtp+tls://`` or ``smtps://user:password@host:port?timeout=30``, or from
        a transport such as ``maildir:///path`` or ``failover(smtp://a, smtp://b)``.

        User and password are percent-decoded; ``smtp+unix:///path`` is a unix socket. The query may set any setting,
        with a dot for nested ones (``tls.ca_file=…``). Keywords override the URL. Raises ``ConfigError``, which never
        repeats the URL's password.
        """
        settings: dict[str, Any] = {**fields_from_url(url, cls), **fields}
        return cls(**settings)

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, prefix: str = "WLSMTP_", **fields: Unpack[ConfigKeywords]
    ) -> Self:
        """Return settings from ``WLSMTP_URL``, or from ``WLSMTP_SERVER``, ``WLSMTP_PORT``, ``WLSMTP_SECURITY``,
        ``WLSMTP_USERNAME``, ``WLSMTP_PASSWORD``, ``WLSMTP_TOKEN``, ``WLSMTP_TIMEOUT``, ``WLSMTP_TLS_CA_FILE`` and so on
        for every setting. Single variables override the URL, keywords override both. Raises ``ConfigError``, also for a
        variable with that prefix that is not a setting."""
        settings: dict[str, Any] = {**fields_from_env(environ, prefix, cls), **fields}
        return cls(**settings)

    @classmethod
    def from_preset(cls, provider: str, **fields: Unpack[ConfigKeywords]) -> Self:
        """Return settings of a known provider by its name, an alias or one of its mail domains: ``"gmail"``,
        ``"orange.fr"``.

        Keywords override the preset. Raises ``ConfigError`` with the nearest names if the provider is not known.
        """
        settings: dict[str, Any] = {**fields_from_preset(provider), **fields}
        return cls(**settings)


for _way in ("from_url", "from_env", "from_preset"):
    spells_out(SessionConfig, ConfigKeywords)(vars(SessionConfig)[_way].__func__)
