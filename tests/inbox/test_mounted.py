"""The page inside applications of other frameworks, served by uvicorn and opened in a real browser."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contrib import project
from tests.inbox.browser import Browser
from tests.inbox.test_api import ask
from wlsmtp import Message, SMTPSession
from wlsmtp.inbox import Inbox, Store

LETTER = Message("ann@example.com", "bob@example.org", subject="Hello", text="It works", html="<p>It works")


def starlette(inbox: Inbox) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    return Starlette(routes=[Mount("/mail", inbox.asgi)])


def fastapi(inbox: Inbox) -> Any:
    from fastapi import FastAPI

    app = FastAPI()
    app.mount("/mail", inbox.asgi)
    return app


def litestar(inbox: Inbox) -> Any:
    from litestar import Litestar, asgi

    return Litestar([asgi("/mail", is_mount=True, copy_scope=True)(inbox.asgi)])


def django(inbox: Inbox) -> Any:
    project.set_up()
    from django.core.asgi import get_asgi_application

    django_application = get_asgi_application()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and f"{scope['path']}/".startswith("/mail/"):
            await inbox.asgi({**scope, "root_path": "/mail"}, receive, send)
        else:
            await django_application(scope, receive, send)

    return application


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application as its developer would; the address that it has."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, ws="none"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.mark.parametrize("framework", [starlette, fastapi, litestar, django])
def test_it_works_below_a_path_of_an_application(framework: Callable[[Inbox], Any], browser: Browser) -> None:
    if importlib.util.find_spec(framework.__name__) is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{framework.__name__} is not installed")
    with Store() as store, Inbox(store=store) as inbox, served(framework(inbox)) as address:
        browser.open(f"{address}/mail")
        browser.wait("document.querySelector('.live.on')")
        assert browser.run("return location.href") == f"{address}/mail/"
        assert browser.run("return getComputedStyle(document.querySelector('main')).display") == "grid"
        with SMTPSession(transport=inbox.transport) as session:
            session.send(LETTER)
        browser.wait("document.querySelectorAll('.row').length === 1")
        id = inbox.messages[0].id
        browser.show(id)
        browser.wait("document.querySelectorAll('.row.unread').length === 0")
        browser.run("document.querySelector('[aria-label=\"Delete (#)\"]').click()")
        browser.wait("document.querySelectorAll('.row').length === 0")
        assert inbox.messages == []
        asked = Elsewhere(address)
        link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
        assert ask(asked, "mail/", **link)[0] == 200 and ask(asked, "mail/api/v1/messages", **link)[0] == 403
        assert ask(asked, "mail/api/v1/openapi.json")[0] == 200 and ask(asked, "mailbox")[0] == 404
        assert ask(asked, "mail/api/v1/messages", "DELETE")[0] == 401
        inbox.events.close()


class Elsewhere:
    """Where ``ask`` finds the application."""

    def __init__(self, address: str) -> None:
        self.web_url = address


PROGRAM = """
from starlette.applications import Starlette
from starlette.routing import Mount
from wlsmtp.inbox import Inbox

app = Starlette(routes=[Mount("/mail", Inbox().asgi)])
"""


def test_a_server_with_an_open_page_stops_at_once(tmp_path: Path) -> None:
    """Also when its developer saves a file, and ``uvicorn --reload`` starts it anew."""
    (tmp_path / "program.py").write_text(PROGRAM)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "program:app", "--port", str(port), "--log-level", "info"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "Uvicorn running" not in process.stderr.readline():
            assert process.poll() is None
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/mail/api/v1/events", timeout=20) as stream:
            assert stream.readline() == b"retry: 1000\n"
            process.send_signal(signal.SIGINT)
            process.wait(20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode in (0, -signal.SIGINT)


def test_a_wsgi_application_serves_it_beside_itself(browser: Browser) -> None:
    from flask import Flask

    app = Flask("program")
    with Store() as store, Inbox(store=store).serve() as inbox:

        @app.post("/register")
        def register() -> str:
            with SMTPSession(transport=inbox.transport) as session:
                session.send(LETTER)
            return "sent"

        browser.open(inbox.web_url)
        browser.wait("document.querySelector('.live.on')")
        assert app.test_client().post("/register").data == b"sent"
        browser.wait("document.querySelectorAll('.row').length === 1")
        assert urlsplit(inbox.web_url).hostname == "127.0.0.1"
