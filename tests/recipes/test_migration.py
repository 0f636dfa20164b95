"""Each page on another library: what its programs send before and after is the same mail."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from typing import Any

import pytest

import wlsmtp
import wlsmtp.events
import wlsmtp.retry
from tests.recipes import DOCS, blocks, closed_port
from tests.recipes.postfix import MailServer
from wlsmtp.message.more import MORE
from wlsmtp.testing.server import ReceivedMessage

PAGES = sorted(page.stem for page in (DOCS / "migration").glob("*.md") if page.stem != "wlanguage")
PROGRAMS = {
    (page, *title.split(": ", 1)): text for page in PAGES for title, text in blocks(f"migration/{page}").items()
}
SUBJECTS = list(dict.fromkeys((page, subject) for page, _, subject in PROGRAMS))


@pytest.fixture
def server(submission: MailServer, monkeypatch: pytest.MonkeyPatch) -> MailServer:
    submission.refuse("gone@example.org")
    monkeypatch.setenv("SSL_CERT_FILE", submission.ca_file)
    return submission


@pytest.fixture(autouse=True)
def settings_of_django(server: MailServer) -> Any:
    """Those that a page has made name the server of another test."""
    django: Any = import_module("django.conf")
    before, django.settings._wrapped = django.settings._wrapped, django.empty
    yield
    django.settings._wrapped = before


def parts(message: ReceivedMessage) -> tuple[Any, ...]:
    """What somebody who reads the mail sees of it."""
    email = message.email
    bodies = [
        (part.get_content_type(), part.get_content().strip())
        for part in (email.get_body(("plain",)), email.get_body(("html",)))
        if part
    ]
    files = [(part.get_filename(), part.get_payload(decode=True)) for part in email.iter_attachments()]
    fields = [email[name] for name in ("Subject", "From", "To", "Reply-To", "X-Campaign", "Bcc")]
    return sorted(message.recipients), message.sender, fields, bodies, files


def without_wrapping(mail: Any) -> Any:
    """yagmail writes the HTML into the plain text too, puts a document around it, and the address beside the name."""
    recipients, sender, fields, bodies, files = mail
    [html] = [body for kind, body in bodies if kind == "text/html"]
    return recipients, sender, fields[0], "<p>Hello</p>" in html, files


def execute(page: str, when: str, subject: str, port: int) -> None:
    text = PROGRAMS[page, when, subject].replace('"smtp.example.com"', '"localhost"')
    text = re.sub(r"\b587\b", str(port), text)
    exec(compile(text, f"{page}: {when}: {subject}", "exec"), {"__name__": "__main__", "print": lambda *_: None})


def sent(page: str, when: str, subject: str, server: MailServer) -> list[Any]:
    server.forget()
    execute(page, when, subject, server.port)
    return [parts(message) for message in server.messages]


@pytest.mark.filterwarnings("ignore")  # those of the other libraries
@pytest.mark.parametrize(("page", "subject"), SUBJECTS, ids=lambda value: value.replace(" ", "-"))
def test_the_mail_is_the_same(page: str, subject: str, server: MailServer) -> None:
    after = sent(page, "after", subject, server)
    assert after
    if (page, "before", subject) in PROGRAMS:
        before = sent(page, "before", subject, server)
        if page == "yagmail":
            before, after = [*map(without_wrapping, before)], [*map(without_wrapping, after)]
        assert before == after


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_ends_with_what_happens_when_the_server_is_down(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wlsmtp.retry, "_wait", lambda *_: 0.0)
    *_, end = re.split(r"^## ", (DOCS / "migration" / f"{page}.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    raised = re.search(r"\AWhen the server is down\n\n\S.* tries once, and raises `(\w+)`", end)
    subject, port = next(subject for one, subject in SUBJECTS if one == page), closed_port()
    with pytest.raises(Exception) as before:
        execute(page, "before", subject, port)
    assert raised is not None and type(before.value).__name__ == raised[1]
    with pytest.raises(wlsmtp.ConnectionFailed) as after:
        execute(page, "after", subject, port)
    assert after.value.temporary and after.value.receipt is not None and after.value.receipt.attempts == 3


def test_there_is_a_page_for_each_of_them() -> None:
    assert PAGES == ["aiosmtplib", "django", "flask-mail", "redmail", "smtplib", "yagmail"]
    assert {page for page, when, _ in PROGRAMS if when == "before"} == set(PAGES)


SETTINGS = {*wlsmtp.SessionConfig.model_fields, *inspect.signature(wlsmtp.Message).parameters, *MORE}
OBJECTS = {"session": wlsmtp.SMTPSession, "receipt": wlsmtp.Receipt}
IN_TABLES = re.compile(r"^\|[^|]+\| (.+?) \|$", re.MULTILINE)


def wrong_names(code: str) -> list[str]:
    """What code of the right-hand column calls by a name that wlsmtp does not have."""
    code = re.sub(r"\(…\)|(?<=, )…", "()", code).replace("…", "None").removeprefix("await ")
    try:
        tree = ast.parse(f"settings({code})" if re.match(r"\w+=", code) else code, mode="eval")
    except SyntaxError:
        return []  # a statement, HTML or a title
    return [name for node in ast.walk(tree) for name in _unknown(node)]


def _unknown(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in OBJECTS:
        return [] if hasattr(OBJECTS[node.value.id], node.attr) else [ast.unparse(node)]
    if not isinstance(node, ast.Call):
        return []
    name = getattr(node.func, "attr", None) or ast.unparse(node.func)
    keywords = {one.arg for one in node.keywords if one.arg is not None}
    if name in ("settings", "send", "from_preset"):
        return sorted(keywords - SETTINGS - set(inspect.signature(wlsmtp.SMTPSession.send).parameters))
    target = getattr(wlsmtp, name, None) or getattr(wlsmtp.events, name, None)
    if target is None:
        return [name] if name[0].isupper() else []
    known = set(getattr(target, "model_fields", ())) | set(inspect.signature(target).parameters)
    return sorted(keywords - known - (SETTINGS if name.endswith("Session") else set()))


@pytest.mark.parametrize("page", PAGES)
def test_the_right_hand_column_has_names_that_exist(page: str) -> None:
    text = (DOCS / "migration" / f"{page}.md").read_text(encoding="utf-8")
    codes = [code for cell in IN_TABLES.findall(text) for code in re.findall(r"`([^`]+)`", cell)]
    assert len(codes) > 5
    assert {code: wrong for code in codes if (wrong := wrong_names(code))} == {}


@pytest.mark.parametrize(
    "code", ["TLS(ca_fle=…)", "session.sent()", "pool=Pools(max_messages=…)", "passwd=…", "send(txt=…)"]
)
def test_a_name_that_does_not_exist_is_found(code: str) -> None:
    assert wrong_names(code)
