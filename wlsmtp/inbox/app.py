"""The web application: the page, and an API with the paths of Mailpit's. Plain functions run in threads."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from wlsmtp import __version__
from wlsmtp.errors import SMTPError
from wlsmtp.inbox import html, shapes
from wlsmtp.inbox.checks import as_json, check
from wlsmtp.inbox.events import Events
from wlsmtp.inbox.faults import KINDS, Faults
from wlsmtp.inbox.guard import HAS_TOKEN, MAIL_POLICY, PAGE_POLICY
from wlsmtp.inbox.mail import Mail
from wlsmtp.inbox.openapi import document
from wlsmtp.inbox.spam import installed, score
from wlsmtp.inbox.store import Store

MAX_BODY = 1024 * 1024
MAX_SENT = 40 * 1024 * 1024
MAX_LIMIT = 1000
MAX_IDS = 10_000


class Backend(Protocol):
    """The parts of an ``Inbox`` that the application uses."""

    store: Store
    events: Events
    faults: Faults
    token: str | None

    @property
    def url_or_none(self) -> str | None: ...
    @property
    def can_release(self) -> bool: ...
    @property
    def uptime(self) -> float: ...
    def release(self, mail: Mail, recipients: Sequence[str]) -> None: ...


Answer = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]

_PAGE_FILES = {"inbox.css": "text/css", "inbox.js": "text/javascript", "icon.svg": "image/svg+xml"}
_AS_IT_IS = re.compile(
    r"(?:image/(?!svg)|audio/|video/|font/|application/(?:pdf|zip|json|gzip|msword|vnd\.(?!.*xml)[\w.-]+)"
    r"|text/(?:plain|csv|calendar|markdown))[\w.+-]*"
)
"""Kinds of attachments that keep their name. No browser runs them; the others are octets."""


def make_app(inbox: Backend) -> Starlette:
    """The application of an inbox, without its guard."""
    web = _Web(inbox)
    message = "/api/v1/message/{id}"
    routes: list[tuple[str, str, Answer]] = [
        ("GET", "/", web.page),
        ("GET", "/page/{name}", web.page_file),
        ("GET", "/view/{id}.html", web.view_html),
        ("GET", "/view/{id}.txt", web.view_text),
        ("GET", "/api/v1/info", web.info),
        ("GET", "/api/v1/webui", web.webui),
        ("GET", "/api/v1/messages", web.messages),
        ("PUT", "/api/v1/messages", web.set_read),
        ("DELETE", "/api/v1/messages", web.delete),
        ("GET", "/api/v1/search", web.messages),
        ("DELETE", "/api/v1/search", web.delete_found),
        ("GET", "/api/v1/events", web.events),
        ("GET", message, web.message),
        ("GET", f"{message}/headers", web.headers),
        ("GET", f"{message}/details", web.details),
        ("GET", f"{message}/checks", web.checks),
        ("GET", f"{message}/html-check", web.html_check),
        ("GET", f"{message}/link-check", web.link_check),
        ("GET", f"{message}/sa-check", web.spam_check),
        ("GET", f"{message}/raw", web.raw),
        ("GET", f"{message}/part/{{part}}", web.part),
        ("GET", f"{message}/part/{{part}}/thumb", web.part),
        ("POST", f"{message}/release", web.release),
        ("POST", "/api/v1/send", web.send),
        ("GET", "/api/v1/tags", web.tags),
        ("PUT", "/api/v1/tags", web.set_tags),
        ("PUT", "/api/v1/tags/{tag:path}", web.rename_tag),
        ("DELETE", "/api/v1/tags/{tag:path}", web.delete_tag),
        ("GET", "/api/v1/chaos", web.chaos),
        ("PUT", "/api/v1/chaos", web.set_chaos),
        ("GET", "/api/v1/faults", web.faults),
        ("POST", "/api/v1/faults", web.order_fault),
        ("DELETE", "/api/v1/faults", web.clear_faults),
        ("GET", "/api/v1/openapi.json", web.openapi),
    ]
    return Starlette(
        routes=[Route(path, answer, methods=[method]) for method, path, answer in routes],
        exception_handlers={HTTPException: _failed, UnicodeEncodeError: _no_text},
    )


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"Error": error.detail}, status_code=error.status_code)


async def _no_text(request: Request, error: Exception) -> Response:
    return JSONResponse({"Error": "Texts must be Unicode, without lone surrogates"}, status_code=400)


async def _json(request: Request, limit: int = MAX_BODY) -> Any:
    """The body as JSON; None if there is none."""
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > limit:
            raise HTTPException(413, f"The body must be at most {limit} octets")
    try:
        return json.loads(octets) if octets.strip() else None
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body must be JSON") from None


async def _object(request: Request, limit: int = MAX_BODY) -> dict[str, Any]:
    body = await _json(request, limit)
    if body is not None and not isinstance(body, dict):
        raise HTTPException(400, "The body must be a JSON object")
    return body or {}


def _strings(body: dict[str, Any], name: str) -> list[str]:
    values = body.get(name) or []
    if not isinstance(values, list) or len(values) > MAX_IDS or not all(isinstance(one, str) for one in values):
        raise HTTPException(400, f"{name} must be a list of at most {MAX_IDS} strings")
    return values


def _string(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise HTTPException(400, f"{name} must be a string")
    return value or ""


def _number(request: Request, name: str, default: int, largest: int) -> int:
    text = request.query_params.get(name, str(default))
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise HTTPException(400, f"{name} must be a number")
    return min(int(text), largest)


def _query(request: Request) -> tuple[str, str]:
    return request.query_params.get("query", ""), request.query_params.get("tz", "")


class _Web:
    """The answers."""

    def __init__(self, inbox: Backend) -> None:
        self._inbox, self._store = inbox, inbox.store

    def _mail(self, request: Request) -> Mail:
        entry = self._store.get(request.path_params["id"])
        if entry is None:
            raise HTTPException(404, "There is no such message")
        return Mail(self._store, entry)

    # The page and what it shows.

    def page(self, request: Request) -> Response:
        sent = (request.scope.get("raw_path") or request.scope["path"].encode()).decode("latin-1")
        if not sent.endswith("/"):  # the addresses in the page are relative
            return Response(status_code=307, headers={"location": f"./{sent.rpartition('/')[2]}/"})
        text = (files("wlsmtp.inbox") / "page" / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(
            text.replace("{token}", escape(self._inbox.token or "")), headers={"content-security-policy": PAGE_POLICY}
        )

    def page_file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _PAGE_FILES:
            raise HTTPException(404, "There is no such file")
        content = (files("wlsmtp.inbox") / "page" / name).read_bytes()
        return Response(content, media_type=_PAGE_FILES[name])

    def view_html(self, request: Request) -> Response:
        mail = self._mail(request)
        if mail.reading.html_part is None:
            raise HTTPException(404, "The message has no HTML")
        loads_remote = request.query_params.get("remote") == "1"
        policy = MAIL_POLICY.format(remote=" http: https:" if loads_remote else "")
        shown = mail.shown(loads_remote=loads_remote)
        return HTMLResponse(shown.html, headers={"content-security-policy": policy})

    def view_text(self, request: Request) -> Response:
        return PlainTextResponse(self._mail(request).reading.readable.rstrip("\n"))  # suites compare it with "Hello"

    # What there is.

    def info(self, request: Request) -> Response:
        totals = self._store.totals()
        return JSONResponse({
            "Version": f"wlsmtp {__version__}",
            "LatestVersion": f"wlsmtp {__version__}",
            "Database": str(self._store.path or "memory"),
            "DatabaseSize": totals.octets,
            "Messages": totals.messages,
            "Unread": totals.unread,
            "Dropped": totals.dropped,
            "Limits": {"Messages": self._store.max_messages, "Octets": self._store.max_octets},
            "SMTP": self._inbox.url_or_none,
            "CanRelease": self._inbox.can_release,
            "Tags": self._store.tags(),
            "RuntimeStats": {
                "Uptime": int(self._inbox.uptime), "Memory": 0, "MessagesDeleted": totals.dropped,
                "SMTPAccepted": totals.messages, "SMTPAcceptedSize": totals.octets, "SMTPIgnored": 0, "SMTPRejected": 0,
            },
        })  # fmt: skip

    def webui(self, request: Request) -> Response:
        relay = {
            "Enabled": self._inbox.can_release, "SMTPServer": "", "ReturnPath": "", "AllowedRecipients": "",
            "BlockedRecipients": "", "OverrideFrom": "", "PreserveMessageIDs": True, "RecipientAllowlist": "",
        }  # fmt: skip
        return JSONResponse({
            "Label": "wlsmtp", "MessageRelay": relay, "SpamAssassin": installed() is not None, "ChaosEnabled": True,
            "DuplicatesIgnored": False, "HideDeleteAllButton": False,
        })  # fmt: skip

    def messages(self, request: Request) -> Response:
        query, zone = _query(request)
        start = _number(request, "start", 0, 10**9)
        entries, counted = self._store.page(query, start, _number(request, "limit", 50, MAX_LIMIT), zone=zone)
        return JSONResponse(shapes.listing(entries, counted, self._store.totals(), self._store.tags(), start))

    async def events(self, request: Request) -> Response:
        if self._inbox.events.is_full:
            raise HTTPException(503, "Too many pages listen")
        return StreamingResponse(self._inbox.events.stream(), media_type="text/event-stream")

    def message(self, request: Request) -> Response:
        mail = self._mail(request)
        if request.scope[HAS_TOKEN] and not mail.entry.is_read:
            self._store.set_read(True, [mail.id])
        return JSONResponse(shapes.message(mail))

    def headers(self, request: Request) -> Response:
        return JSONResponse(shapes.headers(self._mail(request)))

    def details(self, request: Request) -> Response:
        return JSONResponse(shapes.details(self._mail(request)))

    def checks(self, request: Request) -> Response:
        return JSONResponse(as_json(check(self._mail(request))))

    def html_check(self, request: Request) -> Response:
        return JSONResponse(shapes.html_check(self._mail(request)))

    def link_check(self, request: Request) -> Response:
        # Links are listed, and never followed: that would be a request to what a mail names.
        links = [{"URL": link, "StatusCode": 0, "Status": "not asked"} for link in self._mail(request).links]
        return JSONResponse({"Errors": 0, "Links": links})

    def spam_check(self, request: Request) -> Response:
        return JSONResponse(score(self._mail(request).raw))

    def raw(self, request: Request) -> Response:
        mail = self._mail(request)
        headers = {}
        if request.query_params.get("dl") == "1":
            headers["content-disposition"] = f'attachment; filename="{mail.id}.eml"'
        return Response(mail.raw, media_type="text/plain; charset=utf-8", headers=headers)

    def part(self, request: Request) -> Response:
        part = self._mail(request).part(request.path_params["part"])
        if part is None:
            raise HTTPException(404, "There is no such part")
        kind = part.content_type if _AS_IT_IS.fullmatch(part.content_type) else "application/octet-stream"
        disposition = "inline" if kind in html.IMAGES else "attachment"
        name = quote(part.filename or f"part-{part.path}", safe="")
        headers = {"content-disposition": f"{disposition}; filename*=UTF-8''{name}"}
        if request.query_params.get("text") == "1":  # as the page previews it
            return PlainTextResponse(part.text(), headers=headers)
        charset = part.parameters.get("charset", "")
        if kind.startswith("text/") and re.fullmatch(r"[\w.:+-]{1,40}", charset, re.ASCII):
            kind += f"; charset={charset}"
        return Response(part.body(), media_type=kind, headers=headers)

    # What changes something.

    async def set_read(self, request: Request) -> Response:
        body = await _object(request)
        ids, query, read = _strings(body, "IDs") or None, _string(body, "Search"), body.get("Read", False)
        if not isinstance(read, bool):
            raise HTTPException(400, "Read must be true or false")
        await run_in_threadpool(self._store.set_read, read, ids, query, zone=_query(request)[1])
        return PlainTextResponse("ok")

    async def delete(self, request: Request) -> Response:
        ids = _strings(await _object(request), "IDs")
        await run_in_threadpool(self._store.delete, ids or None)
        return PlainTextResponse("ok")

    def delete_found(self, request: Request) -> Response:
        query, zone = _query(request)
        if not query.strip():
            raise HTTPException(400, "no search query: query must not be empty")
        self._store.delete(None, query, zone=zone)
        return PlainTextResponse("ok")

    async def release(self, request: Request) -> Response:
        body = await _json(request)
        asked = body if isinstance(body, dict) else {"To": body}
        recipients = _strings(asked, "To")
        mail = await run_in_threadpool(self._mail, request)
        try:
            await run_in_threadpool(self._inbox.release, mail, recipients)
        except SMTPError as error:
            raise HTTPException(400, str(error)) from None
        return PlainTextResponse("ok")

    async def send(self, request: Request) -> Response:
        from wlsmtp.inbox.compose import compose

        body = await _object(request, MAX_SENT)
        try:
            entry = await run_in_threadpool(compose, self._store, body)
        except (SMTPError, ValueError) as error:
            raise HTTPException(400, str(error)) from None
        return JSONResponse({"ID": entry.id})

    def tags(self, request: Request) -> Response:
        return JSONResponse(list(self._store.tags()))

    async def set_tags(self, request: Request) -> Response:
        body = await _object(request)
        await run_in_threadpool(self._store.set_tags, _strings(body, "IDs"), _strings(body, "Tags"))
        return PlainTextResponse("ok")

    async def rename_tag(self, request: Request) -> Response:
        name = _string(await _object(request), "Name")
        if not name.strip():
            raise HTTPException(400, "Name must not be empty")
        await run_in_threadpool(self._store.rename_tag, request.path_params["tag"], name)
        return PlainTextResponse("ok")

    def delete_tag(self, request: Request) -> Response:
        self._store.rename_tag(request.path_params["tag"], None)
        return PlainTextResponse("ok")

    def chaos(self, request: Request) -> Response:
        return JSONResponse(self._inbox.faults.chances)

    async def set_chaos(self, request: Request) -> Response:
        try:
            self._inbox.faults.set_chances(await _object(request))
        except (ValueError, AttributeError) as error:
            raise HTTPException(400, str(error)) from None
        return JSONResponse(self._inbox.faults.chances)

    def faults(self, request: Request) -> Response:
        kinds = {name: kind.title for name, kind in KINDS.items()}
        return JSONResponse({"Kinds": kinds, "Ordered": [fault.as_dict() for fault in self._inbox.faults.ordered]})

    async def order_fault(self, request: Request) -> Response:
        body = await _object(request)
        try:
            self._inbox.faults.order(_string(body, "Kind"), body.get("Times", 1), body.get("Seconds", 5.0))
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return self.faults(request)

    def openapi(self, request: Request) -> Response:
        return JSONResponse(document())

    def clear_faults(self, request: Request) -> Response:
        self._inbox.faults.clear()
        return self.faults(request)
