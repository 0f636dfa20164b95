"""``DKIM``: the key that signs messages for a domain (RFC 6376). The signing itself is in ``message/sign``."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypedDict, Unpack

from pydantic import Field, SecretStr, field_validator

from wlsmtp.errors import ConfigError, SMTPError, Stage
from wlsmtp.patterns import later
from wlsmtp.settings.validation import Settings
from wlsmtp.wire.address import parse_address

_PEM = "-----BEGIN "
_BARE_KEY = later(r"\s*M[A-P][A-Za-z0-9+/=\s]{40,}")
"""Base64 of a SEQUENCE: a key without the first and the last line of PEM, which is a secret."""
_SELECTOR = later(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*")
_FIELD_NAME = later(r"[!-9<-~]{1,76}")  # RFC 5322 without the semicolon, which ends a tag
_NEVER = frozenset({"return-path", "received", "bcc", "dkim-signature", "authentication-results"})
"""Fields that others change or add on the way, and those of signatures (RFC 6376 §5.4)."""


class DKIMKeywords(TypedDict, total=False):
    """The keywords of ``DKIM`` after domain and selector."""

    key: str | Path | bytes | SecretStr
    """The private key, RSA or Ed25519, not encrypted: the path of a PEM file, or the PEM itself, also without its first
    and last line."""
    headers: Iterable[str]
    """Names of further header fields to sign, beside those that are always signed."""
    expires_after: int | None
    """Seconds after which a signature is no longer valid (``x=``). None: it does not expire."""


class DKIM(Settings):
    """A key that signs messages for a domain (RFC 6376), as ``SMTPSession(dkim=…)`` and ``Message(dkim=…)`` take it.

    >>> DKIM("example.com", "s1", key="/etc/mail/example.com.s1.pem")

    The public key belongs into the DNS, as a TXT record of ``s1._domainkey.example.com``; ``wlsmtp dkim keygen`` makes
    both. RSA keys sign with ``rsa-sha256``, Ed25519 keys with ``ed25519-sha256`` (RFC 8463). Raises ``ConfigError``;
    the key is read when a session or a message is made with it.
    """

    domain: str
    """The domain that signs (``d=``): that of the From field, or one above it, so that DMARC counts the signature."""
    selector: Annotated[str, Field(max_length=63)]
    """The name of the key within the domain (``s=``)."""
    key: SecretStr | Path
    headers: tuple[str, ...] = ()
    expires_after: Annotated[int, Field(ge=60)] | None = None

    _keywords = (DKIMKeywords,)
    _takes_positions = True

    def __init__(
        self,
        domain: str | None = None,
        selector: str | None = None,
        *more: str | Path | bytes | SecretStr,
        **settings: Unpack[DKIMKeywords],
    ) -> None:
        """The key may come third, or by its name. Raises ``ConfigError`` with the name of the invalid field."""
        if len(more) > 1 or (more and "key" in settings):
            raise ConfigError("dkim: is DKIM(domain, selector, key); the rest has names", stage=Stage.SETTINGS)
        given: dict[str, Any] = {"domain": domain, "selector": selector, **settings}
        if more:
            given["key"] = more[0]
        if isinstance(key := given.get("key"), SecretStr):
            given["key"] = SecretStr(key.get_secret_value().strip())
        elif isinstance(key, str | bytes):
            given["key"] = key.strip()  # a line end at the end of PEM means nothing
        super().__init__(**{name: value for name, value in given.items() if value is not None})

    @field_validator("domain")
    @classmethod
    def _in_ascii(cls, value: str) -> str:
        try:
            return parse_address(f"x@{value}").wire_domain.lower()
        except SMTPError as error:
            raise ValueError(f"must be a domain name ({error.message})") from None

    @field_validator("selector")
    @classmethod
    def _labels(cls, value: str) -> str:
        if not _SELECTOR.fullmatch(value):
            raise ValueError("must be a name in ASCII letters, digits and hyphens, such as s1")
        return value

    @field_validator("key", mode="before")
    @classmethod
    def _checked_key(cls, value: object) -> object:
        return _pem_or_path(value)

    @field_validator("headers")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _FIELD_NAME.fullmatch(name):
                raise ValueError("must be names of header fields")
            if name.lower() in _NEVER:
                raise ValueError(f"{name} is changed on the way or belongs to a signature, and cannot be signed")
        return tuple(name.lower() for name in value)

    def read_key(self) -> bytes:
        """The private key in PEM. Raises ``ConfigError`` when its file cannot be read."""
        if isinstance(self.key, SecretStr):
            return self.key.get_secret_value().encode("ascii", "replace")
        try:
            return self.key.read_bytes()
        except OSError as error:
            words = f"dkim.key: {str(self.key)!r} cannot be read ({error.strerror or type(error).__name__})"
            raise ConfigError(words, stage=Stage.SETTINGS) from None


def keys_of(value: object) -> object:
    """Check what a session is given: a ``DKIM``, several, or the fields of one, as of a URL. Raises ``ValueError``."""
    if value is None or isinstance(value, DKIM):
        return value
    if isinstance(value, Mapping):
        return DKIM(**value)
    keys = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else ()
    if not keys or not all(isinstance(key, DKIM) for key in keys):
        raise ValueError("must be a DKIM or a list of them: DKIM(domain, selector, key=…)")
    return keys


def _pem_or_path(value: object) -> object:
    """A text is the path of a file, unless it is PEM, whose last line end means nothing."""
    if isinstance(value, SecretStr):
        return SecretStr(value.get_secret_value().strip())
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str):
        return value
    if _PEM in value:  # in a variable of the environment, line ends are often written as \n
        return SecretStr(value.replace("\\r", "").replace("\\n", "\n").strip())
    if _BARE_KEY.fullmatch(value):
        return SecretStr(_with_pem_lines(value))
    if "\n" in value.strip():
        raise ValueError("is neither a path nor PEM, which begins with -----BEGIN PRIVATE KEY-----")
    return Path(value)


def _with_pem_lines(text: str) -> str:
    """Return a private key in base64 with its first and last line. Raises ``ValueError`` if it is not whole."""
    try:
        der = b64decode("".join(text.split()), validate=True)
    except ValueError:
        der = b""
    size = int.from_bytes(der[2:4], "big") + 4 if der[1:2] == b"\x82" else sum(der[1:2]) + 2  # X.690 §8.1.3
    body = der[4:8] if der[1:2] == b"\x82" else der[2:6]
    if size != len(der) or not body.startswith(b"\x02\x01"):
        raise ValueError("is neither a whole key nor PEM (-----BEGIN …); if it is a path, write ./ before it")
    kind = "RSA PRIVATE KEY" if body[3:] == b"\x02" else "PRIVATE KEY"  # RFC 8017 §A.1.2, RFC 5958 §2
    return f"{_PEM}{kind}-----\n{b64encode(der).decode()}\n-----END {kind}-----"
