"""Access control: requests of the page itself and of programs on this machine are allowed, those of other pages not.

- The Host must be one of ours, whatever a name server says (DNS rebinding).
- A request that comes from another page, as its Origin or Sec-Fetch-Site tells, is refused; only the page itself may be
  opened by a link.
- What changes something needs the token, which other pages cannot read.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER = "x-inbox-token"
HAS_TOKEN = "wlsmtp.inbox.has_token"
"""The key of a scope that says whether its request brings the token."""
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
OTHER_POLICY = "default-src 'none'; frame-ancestors 'self'; sandbox"
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "font-src data:; img-src data:{remote}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""The policy for a mail in the browser: nothing is allowed. A link that the user clicks opens a new window."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"x-dns-prefetch-control", b"off"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cache-control", b"no-store"),
)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", re.IGNORECASE)


class Guard:
    """Stands in front of an ASGI application. ``hosts`` are names besides those of this machine; ``token`` is what a
    change needs, None for nothing."""

    def __init__(self, app: ASGI, *, token: str | None, hosts: Collection[str] = ()) -> None:
        self._app, self._token = app, token
        self._hosts = LOCAL_HOSTS | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if (refusal := self.refusal(scope)) is not None:
            await _refuse(send, *refusal)
            return

        scope[HAS_TOKEN] = self.has_token(_headers_of(scope))
        scope["path"] = _route_of(scope)

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                policy = (b"content-security-policy", OTHER_POLICY.encode())
                added = [pair for pair in (*_HEADERS, policy) if pair[0] not in own]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, send_guarded)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is refused, and with which status; None if it is not."""
        headers = _headers_of(scope)
        host = headers.get("host", [""])
        found = _HOST.fullmatch(host[0])
        name = found[1].lower() if found else ""
        if len(host) != 1 or not (name in self._hosts or name.endswith(".localhost")):
            return 403, "This host name is not one of the inbox. Allow it with hosts= or --allow-host."
        if any(origin.partition("://")[2] != host[0] for origin in headers.get("origin", ())):
            return 403, "Other pages may not use the inbox."
        is_foreign = any(site not in ("same-origin", "none") for site in headers.get("sec-fetch-site", ()))
        if is_foreign and not _opens_the_page(scope, headers):
            return 403, "Other pages may not use the inbox."
        if scope["method"] not in ("GET", "HEAD") and not self.has_token(headers):
            return 401, "A change needs the token, in the header X-Inbox-Token or as the password of Basic."
        return None

    def has_token(self, headers: dict[str, list[str]]) -> bool:
        """Return whether a request contains the token."""
        if self._token is None:
            return True
        scheme, _, credentials = headers.get("authorization", [""])[0].partition(" ")
        given = headers.get(TOKEN_HEADER, [credentials.strip() if scheme.lower() == "bearer" else ""])[0]
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(credentials).decode("utf-8", "replace").partition(":")[2]
            except ValueError:
                given = ""
        return hmac.compare_digest(given.encode(), self._token.encode())


def _route_of(scope: Scope) -> str:
    """The path to look up. cypress-mailpit asks for ``//view``, which Mailpit answers; Litestar adds a slash at the end
    of the paths below a mounted application."""
    path, sent = re.sub("/{2,}", "/", scope["path"]), scope.get("raw_path") or b"/"
    return path.rstrip("/") if len(path) > 1 and not sent.endswith(b"/") else path


def _headers_of(scope: Scope) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


def _opens_the_page(scope: Scope, headers: dict[str, list[str]]) -> bool:
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    mode = headers.get("sec-fetch-mode", [""])[0], headers.get("sec-fetch-dest", [""])[0]
    return scope["method"] == "GET" and path in ("", "/") and mode == ("navigate", "document")


async def _refuse(send: Send, status: int, words: str) -> None:
    headers = [*_HEADERS, (b"content-type", b"text/plain; charset=utf-8"), (b"content-security-policy", b"sandbox")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})
