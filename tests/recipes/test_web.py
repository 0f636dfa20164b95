"""The pages on web frameworks."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from tests.recipes import ONCE, SOON, ask, closed_port, lines_until, output, run, started, unpack
from tests.recipes.postfix import MailServer

UVICORN = ("-m", "uvicorn", "--port", "0")
AT = r"running on (http://[\d.:]+)"


def test_fastapi_answers_at_once_and_tells_the_status_later(mail_server: MailServer, tmp_path: Path) -> None:
    directory = unpack("fastapi", tmp_path)
    workers = ("app:app", "--workers", "2")
    with started(directory, *UVICORN, *workers, port=mail_server.port, WLSMTP_CLOSE_TIMEOUT="1", **SOON) as web:
        at = lines_until(AT, output(web))[1]
        for _ in range(2):
            lines_until("Application startup complete", output(web))
        answers = [ask(f"{at}/users/user{number}@example.org", b"") for number in range(4)]
        assert [code for code, _ in answers] == [202] * 4
        assert all(_final(f"{at}/mail/{json.loads(text)['id']}")["status"] == "sent" for _, text in answers)
        assert ask(f"{at}/mail/unknown")[0] == 404
        assert ask(f"{at}/users/bob@", b"")[0] == 422
        mail_server.close()  # and mail is taken all the same
        code, text = ask(f"{at}/users/bob@example.org", b"")
        assert (code, json.loads(ask(f"{at}/mail/{json.loads(text)['id']}")[1])["status"]) == (202, "pending")
    assert len(mail_server.messages) == 4
    mail_server.open()
    with started(directory, *UVICORN, "app:app", port=mail_server.port, **SOON):
        *_, left = mail_server.wait_for_messages(5)
    assert left.recipients == ("bob@example.org",)


def test_starlette_answers_with_the_receipt(mail_server: MailServer, tmp_path: Path) -> None:
    with started(unpack("fastapi", tmp_path), *UVICORN, "direct:app", port=mail_server.port, **ONCE) as web:
        url = lines_until(AT, output(web))[1] + "/contact"
        code, text = ask(url, b"Hello")
        assert (code, json.loads(text)["status"]) == (200, "sent")
        mail_server.close()
        code, text = ask(url, b"Hello")
        assert (code, json.loads(text)) == (503, {"error": "ConnectionFailed"})
    assert mail_server.messages[0].email.get_content().rstrip() == "Hello"


FLASK = """
import app
client = app.app.test_client()
for _ in "up", "down":
    answers = [client.post("/contact", data="Hello") for _ in range(2)]
    print([(answer.status_code, answer.get_json().get("status") or answer.get_json()["error"]) for answer in answers])
    input()
"""
QUART = """
import asyncio, quart_app
async def main():
    async with quart_app.app.test_app() as running:
        client = running.test_client()
        for _ in "up", "down":
            answers = [await client.post("/contact", data="Hello") for _ in range(2)]
            json = [await answer.get_json() for answer in answers]
            print([(a.status_code, j.get("status") or j["error"]) for a, j in zip(answers, json)])
            input()
asyncio.run(main())
"""
DJANGO = """
import asyncio, django
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", SECRET_KEY="x")
django.setup()
from django.test import AsyncClient, Client
async def main():
    client, blocking = AsyncClient(), Client()
    def post():
        return blocking.post("/blocking", b"Hello", content_type="text/plain")
    for _ in "up", "down":
        answers = [await client.post("/async", b"Hello", content_type="text/plain") for _ in range(2)]
        answers.append(await asyncio.to_thread(post))
        print([(answer.status_code, answer.json().get("status") or answer.json()["error"]) for answer in answers])
        input()
asyncio.run(main())
"""
URLS = """
from django.urls import path
import views
urlpatterns = [path("async", views.contact), path("blocking", views.blocking_contact)]
"""


@pytest.mark.parametrize(
    ("page", "program", "requests", "connections"),
    [("flask", FLASK, 2, 1), ("flask", QUART, 2, 1), ("django-views", DJANGO, 3, 2)],
    ids=["flask", "quart", "django"],
)
def test_an_application_of_one_process(
    page: str, program: str, requests: int, connections: int, mail_server: MailServer, tmp_path: Path
) -> None:
    directory = unpack(page, tmp_path)
    (directory / "urls.py").write_text(URLS)
    with started(directory, "-c", program, port=mail_server.port, **ONCE) as web:
        assert web.stdin is not None
        lines_until(re.escape(str([(200, "sent")] * requests)), output(web))
        assert len(mail_server.messages) == requests and mail_server.connections == connections
        mail_server.close()
        web.stdin.write("\n")
        web.stdin.flush()
        lines_until(re.escape(str([(503, "ConnectionFailed")] * requests)), output(web))


class TestGunicorn:
    COMMAND = ("-m", "gunicorn", "--preload", "--workers", "2", "--bind", "127.0.0.1:0", "app:app")

    def test_gives_each_worker_connections_of_its_own(self, mail_server: MailServer, tmp_path: Path) -> None:
        with started(unpack("gunicorn", tmp_path), *self.COMMAND, port=mail_server.port, **ONCE) as server:
            at = lines_until(r"Listening at: (http://[\d.:]+)", output(server))[1]
            workers = set[str]()
            until = time.monotonic() + 30
            while len(workers) < 2 and time.monotonic() < until:
                code, text = ask(at)
                assert code == 200
                workers.add(text)
            assert len(workers) == 2
            assert mail_server.connections == 3  # of the parent, and of each worker
            mail_server.close()
            assert ask(at) == (503, "ConnectionFailed")
        assert {message.header("Subject") for message in mail_server.messages} == {
            "Started", *(f"From worker {worker}" for worker in workers),
        }  # fmt: skip

    def test_does_not_start_where_the_application_sends_first_and_the_server_is_down(self, tmp_path: Path) -> None:
        done = run(unpack("gunicorn", tmp_path), *self.COMMAND, port=closed_port(), **ONCE)
        assert done.returncode == 1 and "wlsmtp.errors.ConnectionFailed" in done.stderr and "Booting" not in done.stderr


def _final(url: str) -> dict[str, str]:
    """The receipt of a message once it is not pending any more."""
    until = time.monotonic() + 30
    while True:
        receipt: dict[str, str] = json.loads(ask(url)[1])
        if receipt["status"] != "pending" or time.monotonic() > until:
            return receipt
