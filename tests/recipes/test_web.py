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


def test_fastapi_sends_in_a_task_and_says_whether_the_server_is_there(mail_server: MailServer, tmp_path: Path) -> None:
    with started(unpack("fastapi", tmp_path), *UVICORN, "tasks:app", port=mail_server.port, **ONCE) as web:
        at = lines_until(AT, output(web))[1]
        code, text = ask(f"{at}/health")
        assert code == 200 and "PIPELINING" in json.loads(text)["extensions"]
        assert ask(f"{at}/users/bob@", b"")[0] == 422
        assert ask(f"{at}/users/bob@example.org", b"")[0] == 202
        assert mail_server.wait_for_messages(1)[0].recipients == ("bob@example.org",)
        mail_server.close()
        assert ask(f"{at}/users/bob@example.org", b"")[0] == 202
        lines_until("not sent: .* could not be reached", output(web))
        assert ask(f"{at}/health")[0] == 503


CONTACT_FORM = """
import app
client = app.app.test_client()
def post(name, email):
    return client.post("/contact", data={"name": name, "email": email, "text": "Hello"}).status_code
good = "Zoë", "Doe, Zoë", 'Z. "O" E.', "eve@example.net", "Zoë <eve@example.net>, x", ""
print([post(name, "zoe@example.org") for name in good])
evil = [("Z\\r\\nBcc: eve@example.net", "zoe@example.org"), ("Z\\nBcc: eve@example.net", "zoe@example.org")]
more = "\\r\\nBcc: eve@example.net", ", eve@example.net", "\\0", ">,<eve@example.net"
evil += [("Z", f"zoe@example.org{each}") for each in more]
evil += [("Z", "Eve <eve@example.net>, Zoe <zoe@example.org>"), ("Z", ""), ("Z", "zoe")]
print([post(*each) for each in evil])
input()
print(post("Zoë", "zoe@example.org"))
"""


def test_a_contact_form_mails_its_owner_and_nobody_else(mail_server: MailServer, tmp_path: Path) -> None:
    with started(unpack("contact-form", tmp_path), "-c", CONTACT_FORM, port=mail_server.port, **ONCE) as web:
        lines_until(re.escape(str([200] * 6)), output(web))
        lines_until(re.escape(str([422] * 9)), output(web))
        mail_server.close()
        assert web.stdin is not None
        web.stdin.write("\n")
        web.stdin.flush()
        lines_until("503", output(web))
    found = mail_server.messages
    assert {message.recipients for message in found} == {("office@example.com",)} and len(found) == 6
    replies = [message.email["Reply-To"].addresses for message in found]
    assert {box.addr_spec for boxes in replies for box in boxes} == {"zoe@example.org"}
    assert [boxes[0].display_name for boxes in replies][1] == "Doe, Zoë"


FLASK = """
import app
client = app.app.test_client()
for _ in "up", "down":
    answers = [client.post("/contact", data="Hello") for _ in range(2)]
    print([(answer.status_code, answer.get_json().get("status") or answer.get_json()["error"]) for answer in answers])
    input()
"""
FACTORY = "import factory, os\n" + FLASK.replace(
    "import app\nclient = app.app", "client = factory.create_app(os.environ['WLSMTP_URL'] + '?retry.attempts=1')"
)
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
    [("flask", FLASK, 2, 1), ("flask", FACTORY, 2, 1), ("flask", QUART, 2, 1), ("django-views", DJANGO, 3, 2)],
    ids=["flask", "factory", "quart", "django"],
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
