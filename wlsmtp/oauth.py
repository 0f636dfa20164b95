"""OAuth 2.0 access tokens from a token endpoint (RFC 6749): providers for ``SMTPSession(token=…)``.

A provider keeps its token until shortly before it expires, renews it once for all connections that need it, and returns
a fresh one after the server has refused it. Sessions, threads and event loops may share it. Getting the first refresh
token requires a person and a browser, and is not done here.
"""

from __future__ import annotations

import base64
import json
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Literal, Required, Self, TypedDict, Unpack
from urllib.parse import quote, urlsplit

from pydantic import Field, PrivateAttr, SecretStr, field_serializer, field_validator, model_validator

from wlsmtp.errors import AuthenticationFailed, ConnectionFailed, SMTPError, Stage
from wlsmtp.events import log
from wlsmtp.io.renewal import Renewable
from wlsmtp.settings.config import TLS
from wlsmtp.settings.validation import Seconds, Settings
from wlsmtp.wire.masking import Masking, Notations
from wlsmtp.wire.reply import printable

UNTOLD_LIFETIME = 300.0
"""Seconds for which a token is kept if the endpoint does not state its lifetime (RFC 6749 §5.1)."""
_HINTS = {
    "invalid_grant": "The refresh token has expired, was revoked, or is another client's: the user must log in again",
    "invalid_client": "Check client_id and client_secret, and whether the endpoint wants client_auth='basic'",
    "unauthorized_client": "The application must be allowed to use this kind of grant",
    "invalid_scope": "Check the scope, and that the application may ask for it",
    "none": "Check token_url: this is not what a token endpoint answers",
    "invalid_request": "Check token_url, and the parameters that this provider asks for (extra=…)",
}
"""What to do about the errors of RFC 6749 §5.2."""
_SECRET = re.compile(r"secret|token|assertion|password|key|code", re.IGNORECASE)
"""Parameters that must not get from an answer into an error."""
_PASSING = frozenset({"temporarily_unavailable", "server_error"})
"""Temporary errors (RFC 6749 §4.1.2.1, sent from the token endpoint too)."""


class EndpointKeywords(TypedDict, total=False):
    """The keywords of every provider of tokens."""

    token_url: Required[str]
    """The token endpoint. It must be ``https``, except on this machine."""
    client_id: Required[str]
    """The application's identifier at the provider."""
    scope: str | None
    """The permissions of the token, separated by spaces."""
    client_auth: Literal["post", "basic"]
    """Send the secret in the form, which all large providers accept, or in a header (RFC 6749 §2.3.1)."""
    extra: Mapping[str, str]
    """Further parameters that a provider requires, such as ``audience`` or ``resource``."""
    early: float
    """Seconds before its expiry at which a token is renewed; half its lifetime, if that is shorter."""
    timeout: float
    """Maximum seconds for the whole exchange with the endpoint."""
    tls: TLS
    """The check of the endpoint's certificate."""


class TokenEndpoint(Settings):
    """The base of all providers. Calling a provider returns a token. Raises ``ConnectionFailed`` if the endpoint cannot
    be reached or is out of order, ``AuthenticationFailed`` if it refuses."""

    token_url: str
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretStr | None = None
    scope: str | None = None
    client_auth: Literal["post", "basic"] = "post"
    extra: Mapping[str, str] = Field(default={}, repr=False)
    early: Annotated[float, Field(ge=0)] = 60.0
    timeout: Seconds = 30.0
    tls: TLS = TLS()

    if TYPE_CHECKING:  # each kind of provider has its own

        def __init__(self, **settings: Any) -> None: ...

    _token: Renewable = PrivateAttr()

    @field_validator("token_url")
    @classmethod
    def _is_secure(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if not parts.hostname or parts.username is not None or not url.isprintable() or " " in url:
            raise ValueError("must look like https://login.example.com/token")
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_local(parts.hostname or "")):
            raise ValueError("must begin with https://, as secrets are sent there")
        return url

    @field_serializer("extra")
    def _without_secrets(self, extra: Mapping[str, str]) -> dict[str, str]:
        return {name: "**********" if _SECRET.search(name) else value for name, value in extra.items()}

    def model_post_init(self, _context: Any) -> None:
        """Start without a token: it is requested when it is needed."""
        self._token = Renewable(self._ask, self.early)

    def __call__(self) -> str:
        """Return the access token, new or kept."""
        return self._token.get()

    def forget(self, token: str | None) -> None:
        """Return another token next time, as a server has refused this one."""
        self._token.forget(token)

    @abstractmethod
    def _grant(self) -> dict[str, str]:
        """Return the parameters with which this kind of provider requests a token (RFC 6749 §4)."""

    def _granted(self, answer: Mapping[str, Any]) -> None:
        """Process what came with the token."""

    def _ask(self) -> tuple[str, float]:
        from wlsmtp.io.http import post_form  # imported here, as programs without OAuth need no HTTP

        form = {**self._grant(), "scope": self.scope or "", **self._client(), **self.extra}
        form = {name: value for name, value in form.items() if value}
        try:
            status, body = post_form(
                self.token_url, form, headers=self._headers(), tls=self.tls, timeout=self.timeout,
                # Plain text is allowed over loopback, and nowhere else.
                may_use_proxy=not _is_local(urlsplit(self.token_url).hostname or ""),
            )  # fmt: skip
        except SMTPError:
            raise
        except OSError as error:
            words = f"The token endpoint {self._place} could not be reached ({error})"
            raise ConnectionFailed(words, stage=Stage.AUTH) from error
        answer = _json(body)
        token = answer.get("access_token")
        if status != 200 or not isinstance(token, str) or not token:
            raise self._refusal(status, answer)
        self._granted(answer)
        return token, _lifetime(answer)

    def _client(self) -> dict[str, str]:
        secret = self.client_secret.get_secret_value() if self.client_secret else ""
        return {"client_id": self.client_id, "client_secret": secret} if self.client_auth == "post" else {}

    def _headers(self) -> dict[str, str]:
        if self.client_auth == "post":
            return {}
        secret = self.client_secret.get_secret_value() if self.client_secret else ""
        pair = f"{quote(self.client_id, safe='')}:{quote(secret, safe='')}"  # RFC 6749 §2.3.1: encoded first
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    @property
    def _place(self) -> str:
        return urlsplit(self.token_url).netloc

    def _refusal(self, status: int, answer: Mapping[str, Any]) -> AuthenticationFailed | ConnectionFailed:
        if status >= 500 or status == 429 or answer.get("error") in _PASSING:
            return ConnectionFailed(
                f"The token endpoint {self._place} is out of order (HTTP {status})", stage=Stage.AUTH
            )
        problem = {name: self._masked(answer[name]) for name in ("error", "error_description") if name in answer}
        said = ": ".join(problem.values()) or f"HTTP {status}, and no token in the answer"
        error = AuthenticationFailed(
            f"The token endpoint {self._place} gave no token ({said})",
            stage=Stage.AUTH,
            hint=_HINTS.get(problem.get("error", "none")),
        )
        error.problem = problem
        return error

    def _masked(self, value: object) -> str:
        """Return an endpoint's text without secrets that it may repeat."""
        given = {**self._grant(), **self._client(), **self.extra}
        secrets = [text for name, text in given.items() if text and _SECRET.search(name)]
        if self.client_secret:
            secrets.append(self.client_secret.get_secret_value())
        text = printable(str(value).encode("utf-8", "backslashreplace"))
        return Masking(*map(Notations.of_secret, secrets)).hide(text)[:500]


class ClientCredentialsKeywords(EndpointKeywords, total=False):
    """The keywords of ``ClientCredentials``."""

    client_secret: Required[str | SecretStr]
    """The application's secret."""


class ClientCredentials(TokenEndpoint):
    """Tokens for the application itself (RFC 6749 §4.4), as Microsoft 365 issues them with ``SMTP.SendAsApp``."""

    _keywords = (EndpointKeywords, ClientCredentialsKeywords)

    def __init__(self, **settings: Unpack[ClientCredentialsKeywords]) -> None:
        super().__init__(**settings)

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        if self.client_secret is None:
            raise ValueError("client_secret: is missing")
        return self

    def _grant(self) -> dict[str, str]:
        return {"grant_type": "client_credentials"}


class RefreshTokenKeywords(EndpointKeywords, total=False):
    """The keywords of ``RefreshToken``."""

    client_secret: str | SecretStr | None
    """The application's secret; a public client (RFC 6749 §2.1) has none."""
    refresh_token: Required[str | SecretStr]
    """The token from the user's consent."""
    on_rotate: Callable[[str], object] | None
    """Called with the new refresh token when the endpoint replaces it: store it, as the old one is invalid from then
    on. It is called in the thread that requested the token; if it raises, the error is logged and sending continues."""


class RefreshToken(TokenEndpoint):
    """Tokens on behalf of a user who has given consent (RFC 6749 §6)."""

    refresh_token: SecretStr
    on_rotate: Callable[[str], object] | None = Field(default=None, repr=False)

    _keywords = (EndpointKeywords, RefreshTokenKeywords)

    def __init__(self, **settings: Unpack[RefreshTokenKeywords]) -> None:
        super().__init__(**settings)

    _current: str = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Start with the refresh token of the settings."""
        super().model_post_init(context)
        self._current = self.refresh_token.get_secret_value()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, which continues with the latest refresh token unless ``update`` has another."""
        copied = super().model_copy(update=update, deep=deep)
        if "refresh_token" not in (update or {}):
            copied._current = self._current
        return copied

    def _grant(self) -> dict[str, str]:
        return {"grant_type": "refresh_token", "refresh_token": self._current}

    def _granted(self, answer: Mapping[str, Any]) -> None:
        rotated = answer.get("refresh_token")
        if not isinstance(rotated, str) or rotated in ("", self._current):
            return
        self._current = rotated
        if self.on_rotate is not None:
            try:
                self.on_rotate(rotated)
            except Exception:
                log.exception("on_rotate failed: the new refresh token of %s is kept in memory only", self._place)


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _lifetime(answer: Mapping[str, Any]) -> float:
    """Return seconds; some endpoints write the number as a string."""
    try:
        seconds = float(answer["expires_in"])
    except (KeyError, TypeError, ValueError):
        return UNTOLD_LIFETIME
    return seconds if 0 < seconds < float("inf") else UNTOLD_LIFETIME
