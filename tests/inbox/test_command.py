"""The command, and the page inside another application."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import wlsmtp.cli
from wlsmtp import Message, SMTPSession
from wlsmtp.inbox import Inbox, Store
from wlsmtp.inbox.command import main

LETTER = Message("ann@example.com", "bob@example.org", subject="Hello", text="It works")


class TestCommand:
    def test_mail_that_is_sent_there_is_on_the_page(self, tmp_path: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "wlsmtp",
            "inbox",
            "--port",
            "0",
            "--web",
            "0",
            "--keep",
            str(tmp_path / "a.db"),
        ]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            smtp = process.stderr.readline().split()[-1]
            page = process.stderr.readline().split()[-1]
            with SMTPSession.from_url(smtp) as session:
                session.send(LETTER)
            with urllib.request.urlopen(f"{page}view/latest.txt") as answer:
                assert answer.read() == b"It works\n" or answer.status == 200
        finally:
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=20)
        assert process.returncode == 0 and "Traceback" not in rest
        with Store(tmp_path / "a.db") as store:
            assert store.totals().messages == 1

    def test_a_port_that_is_in_use_is_told(self, box: Inbox, capsys: pytest.CaptureFixture[str]) -> None:
        box.listen()
        assert box.smtp is not None
        assert main(["--port", str(box.smtp.port), "--web", "0"]) == 2
        assert "in use); give another with --port" in capsys.readouterr().err
        assert main(["--port", "0", "--web", str(box.smtp.port)]) == 2
        assert f"port {box.smtp.port} cannot be used" in (told := capsys.readouterr().err) and "--web" in told

    @pytest.mark.parametrize("port", ["65536", "-1", "25x", "\u0663"])
    def test_what_is_no_port_is_told(self, port: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main([f"--web={port}"])
        assert end.value.code == 2 and "the largest is 65535" in capsys.readouterr().err

    def test_it_needs_no_other_extra(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        for name in ("typer", "rich", "trustme", "pytest"):
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setattr(sys, "argv", ["wlsmtp", "inbox", "--help"])
        with pytest.raises(SystemExit) as end:
            wlsmtp.cli.main()
        assert end.value.code == 0 and "--keep" in capsys.readouterr().out

    def test_without_its_extra_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delitem(sys.modules, "wlsmtp.inbox.app", raising=False)
        monkeypatch.setitem(sys.modules, "starlette.applications", None)
        assert main(["--port", "0", "--web", "0"]) == 2
        assert 'pip install "wlsmtp[inbox]"' in capsys.readouterr().err


class TestMounted:
    def ask(self, app: Any, path: str, root: str = "") -> tuple[int, dict[str, str], bytes]:
        """One GET, as an ASGI server hands it over."""
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "root_path": root, "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "server": ("localhost", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(app(scope, receive, send))
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])

    def test_in_a_starlette_application(self, box: Inbox) -> None:
        from starlette.applications import Starlette
        from starlette.routing import Mount

        with SMTPSession(transport=box.transport) as session:
            session.send(LETTER)
        app = Starlette(routes=[Mount("/mail", box.asgi)])
        status, headers, _ = self.ask(app, "/mail")
        assert status in (307, 308) and headers["location"].endswith("/mail/")
        assert b'<link rel="stylesheet" href="page/inbox.css">' in self.ask(app, "/mail/")[2]
        assert self.ask(app, "/mail/page/inbox.js")[0] == 200
        assert b"Hello" in self.ask(app, "/mail/api/v1/messages")[2]

    def test_behind_a_prefix_that_a_dispatcher_has_taken_away(self, box: Inbox) -> None:
        async def dispatch(scope: Any, receive: Any, send: Any) -> None:
            await box.asgi({**scope, "root_path": "/mail"}, receive, send)

        assert self.ask(dispatch, "/mail/api/v1/messages")[0] == 200

    def test_the_transport_of_this_process_fills_it(self) -> None:
        inbox = Inbox()
        inbox.clear()
        with SMTPSession.from_url("inbox:") as session:
            session.send(LETTER)
        assert [mail.subject for mail in inbox.messages] == ["Hello"]
        inbox.clear()


def test_a_child_process_of_a_server_writes_to_the_same_file(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        child = os.fork()
        if child == 0:
            from wlsmtp.inbox.store import Facts

            store.add(b"Subject: child\r\n\r\n", Facts())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert store.count("child")[0] == 1
