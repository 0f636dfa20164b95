"""Each page on another library: what its programs send before and after is the same mail."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest

from tests.recipes import DOCS, blocks
from wlsmtp.testing import SMTPServer
from wlsmtp.testing.server import ReceivedMessage

PAGES = sorted(page.stem for page in (DOCS / "migration").glob("*.md") if page.stem != "wlanguage")
PROGRAMS = {
    (page, *title.split(": ", 1)): text for page in PAGES for title, text in blocks(f"migration/{page}").items()
}
SUBJECTS = list(dict.fromkeys((page, subject) for page, _, subject in PROGRAMS))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    with SMTPServer(security="tls", users={"ann@example.com": "s3cret"}, require_auth=True) as server:
        server.refuse("gone@example.org")
        monkeypatch.setenv("SSL_CERT_FILE", server.ca_file or "")
        yield server


@pytest.fixture(autouse=True)
def settings_of_django(server: SMTPServer) -> Any:
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


def execute(page: str, when: str, subject: str, server: SMTPServer) -> list[Any]:
    text = PROGRAMS[page, when, subject].replace('"smtp.example.com"', '"localhost"')
    text = re.sub(r"\b587\b", str(server.port), text)
    server.messages.clear()
    exec(compile(text, f"{page}: {when}: {subject}", "exec"), {"__name__": "__main__", "print": lambda *_: None})
    return [parts(message) for message in server.messages]


@pytest.mark.filterwarnings("ignore")  # those of the other libraries
@pytest.mark.parametrize(("page", "subject"), SUBJECTS, ids=lambda value: value.replace(" ", "-"))
def test_the_mail_is_the_same(page: str, subject: str, server: SMTPServer) -> None:
    after = execute(page, "after", subject, server)
    assert after
    if (page, "before", subject) in PROGRAMS:
        before = execute(page, "before", subject, server)
        if page == "yagmail":
            before, after = [*map(without_wrapping, before)], [*map(without_wrapping, after)]
        assert before == after


def test_there_is_a_page_for_each_of_them() -> None:
    assert PAGES == ["aiosmtplib", "django", "flask-mail", "redmail", "smtplib", "yagmail"]
    assert {page for page, when, _ in PROGRAMS if when == "before"} == set(PAGES)
