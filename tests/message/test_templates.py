"""Templates: their blocks, what is escaped where, languages, and errors that name file and line."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tests.worlds import World
from wlsmtp import ConfigError, MessageError, Status, Templates
from wlsmtp.message.model import Message
from wlsmtp.testing import SMTPServer

LAYOUT = """\
{% set color = "red" %}
{% block html %}<style>p { color: {{ color }} }</style>{% block content %}{% endblock %}<p>{{ shop }}{% endblock %}
"""
WELCOME = """\
{% extends "layout.html" %}
{% set who = name | upper %}
{% block subject %}
  Hello {{ name }}
{% endblock %}
{% block content %}
<p>Dear {{ who }}
{% endblock %}
"""
BOTH = (
    "{% block subject %}Hi {{ name }}{% endblock %}{% block text %}\n"
    "Dear {{ name }}\n{% for one in items %}\n- {{ one }}\n{% endfor %}\n{% endblock %}"
    "{% block html %}<p>{{ name }}{% for one in items %}<br>{{ one }}{% endfor %}{% endblock %}"
)
ORDER = "{% block subject %}Sent{% endblock %}{% block text %}{{ order.number }} <{{ note }}>{% endblock %}"
FIELDS = "{% block subject %}{{ to }} {{ date }} {{ cc }}{% endblock %}{% block text %}{{ text }}{% endblock %}"
NASTY = "<b>&amp; {{ 7 * 7 }} {% raw %}\r\nBcc: eve@x.org"


@pytest.fixture
def mails(tmp_path: Path) -> Path:
    directory = tmp_path / "mails"
    (directory / "orders").mkdir(parents=True)
    files = {
        "layout.html": LAYOUT,
        "welcome.html": WELCOME,
        "welcome.de.html": WELCOME.replace("Hello", "Hallo"),
        "welcome.de-AT.html": WELCOME.replace("Hello", "Servus"),
        "both.html": BOTH,
        "orders/sent.txt": ORDER,
    }  # fmt: skip
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


@pytest.fixture
def templates(mails: Path) -> Templates:
    return Templates(mails, sender="shop@example.com", values={"shop": "Books & more"})


def test_a_block_is_a_part_of_the_message(templates: Templates) -> None:
    made = templates.message("both", to="bob@example.org", name="Bob", items=["a", "b"])
    assert made.subject == "Hi Bob" and made.text == "Dear Bob\n- a\n- b\n" and made.html == "<p>Bob<br>a<br>b"
    assert str(made.to[0]) == "bob@example.org" and str(made.sender) == "shop@example.com"


def test_a_template_may_extend_another_and_has_its_text_made(templates: Templates) -> None:
    made = templates.message("welcome", name="Bob", inline_css=True)
    assert made.subject == "Hello Bob" and made.text == "Dear BOB\n\nBooks & more\n"
    assert made.html is not None and '<p style="color: red;">Books &amp; more' in made.html


def test_values_are_escaped_in_html_only_and_are_never_templates(templates: Templates) -> None:
    made = templates.message("both", name=NASTY, items=[])
    assert made.subject == "Hi <b>&amp; {{ 7 * 7 }} {% raw %} Bcc: eve@x.org"
    assert made.text is not None and made.text.startswith(f"Dear {NASTY}")
    assert made.html is not None and made.html.startswith("<p>&lt;b&gt;&amp;amp; {{ 7 * 7 }} {% raw %}")
    assert b"\r\nBcc" not in made.but(to="bob@example.org").as_bytes().partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("locale", "hello"),
    [
        (None, "Hello"), ("fr", "Hello"), ("de", "Hallo"), ("de-CH", "Hallo"), ("de_CH", "Hallo"), ("de-AT", "Servus"),
        ("de_AT", "Servus"), ("de-AT-1996", "Servus"),
    ],
)  # fmt: skip
def test_the_nearest_language_that_there_is(templates: Templates, locale: str | None, hello: str) -> None:
    assert templates.message("welcome", locale=locale, name="Bob").subject == f"{hello} Bob"


def test_a_name_may_have_a_folder_and_an_ending(templates: Templates) -> None:
    made = templates.message("orders/sent.txt", order={"number": 7}, note="x", locale="de")
    assert made.text == "7 <x>\n" and made.html is None


def test_keywords_that_are_no_fields_are_values_and_values_may_have_any_name(templates: Templates) -> None:
    loader = jinja2.DictLoader({"all.html": FIELDS})
    made = Templates(loader, list_id="x.example.com").message(
        "all", {"cc": "a value", "text": "words"}, to="bob@example.org", date="today", importance="high"
    )
    assert made.subject == "bob@example.org today a value" and made.text == "words\n" and made.cc == ()
    assert made.headers["List-Id"] == ("<x.example.com>",) and made.headers["Importance"] == ("high",)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("both", {"items": []}, "both.html, line 1: 'name' is undefined"),
        ("both", {"name": "x"}, "both.html, line 3: 'items' is undefined"),
        ("welcome", {}, "welcome.html, line 2: 'name' is undefined"),
        ("orders/sent.txt", {"order": {}, "note": ""}, "orders/sent.txt, line 1: 'dict object' has no attribute 'nu"),
        ("nothing", {"locale": "de"}, "nothing.html: there is no template nothing.de.html, nothing.html"),
        ("../outside", {}, r"\.\./outside.html: there is no template"),
        ("welcome", {"locale": "../x"}, "locale: '../x' is not like 'de'"),
        ("broken", {}, "broken.html, line 2: Encountered unknown tag 'nope'"),
        ("divides", {}, "divides.html, line 2: ZeroDivisionError: division by zero"),
        ("includes", {}, "includes.html, line 1: there is no template gone.html"),
        ("inner", {}, "part.html, line 2: 'x' is undefined"),
        ("empty", {}, "The template 'empty.html' has no block subject"),
        ("bodiless", {}, "The template 'bodiless.html' has no block text or html"),
        ("both", {"name": "x", "items": [], "to": "nobody@"}, "to: 'nobody@' is not an email address"),
    ],
)  # fmt: skip
def test_an_error_names_file_and_line(mails: Path, name: str, values: dict[str, Any], words: str) -> None:
    (mails / "broken.html").write_text("{% block subject %}\n{% nope %}{% endblock %}")
    (mails / "divides.html").write_text("{% block subject %}\n{{ 1 / 0 }}{% endblock %}")
    (mails / "includes.html").write_text("{% block subject %}{% include 'gone.html' %}{% endblock %}")
    (mails / "inner.html").write_text("\n\n{% block subject %}{% include 'part.html' %}{% endblock %}")
    (mails / "part.html").write_text("\n{{ x }}")
    (mails / "empty.html").write_text("Hello")
    (mails / "bodiless.html").write_text("{% block subject %}x{% endblock %}")
    with pytest.raises(MessageError, match=f"^{words}"):
        Templates(mails, values={"shop": "x"}).message(name, **values)


def test_an_error_of_python_is_the_cause(templates: Templates) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(MessageError, match="RuntimeError: no text") as caught:
        templates.message("both", name=Broken(), items=[])
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_template_that_changes_is_read_again(templates: Templates, mails: Path) -> None:
    import os

    assert templates.message("both", name="x", items=[]).subject == "Hi x"
    (mails / "both.html").write_text(BOTH.replace("Hi", "Bye"))
    os.utime(mails / "both.html", (1, 1))
    assert templates.message("both", name="x", items=[]).subject == "Bye x"


@pytest.mark.parametrize("source", ["/no/such/directory", 5, None])
def test_templates_are_in_a_directory_or_a_loader(source: Any) -> None:
    with pytest.raises(ConfigError, match="is neither a directory nor a loader"):
        Templates(source)


def test_without_jinja2_the_error_says_what_to_install(mails: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def missing(name: str, *args: Any, **more: Any) -> Any:
        if name == "jinja2":
            raise ModuleNotFoundError(name=name)
        return found(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r'pip install "wlsmtp\[templates\]"'):
        Templates(mails)


ROWS: list[Any] = [
    {"to": "1@example.org", "name": "One", "locale": "de"},
    {"to": "nobody@", "name": "Two"},
    {"to": "3@example.org"},
    {"to": "4@example.org", "name": "<Four>"},
    "no row",
]


@pytest.mark.parametrize("kind", ["list", "as they come"])
def test_rows_are_messages_and_a_bad_row_has_its_receipt(templates: Templates, world: World, kind: str) -> None:
    async def rows() -> AsyncIterator[Mapping[str, Any]]:
        for row in ROWS:
            yield row

    comes_asynchronously = kind == "as they come" and world.name == "asyncio"  # as only asyncio reads such rows
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        source: Any = rows() if comes_asynchronously else iter(ROWS)
        receipts = session.send_all(templates.merge("welcome", source, list_id="news.example.com"))
    assert [one.status for one in receipts] == [Status.SENT, Status.ERROR, Status.ERROR, Status.SENT, Status.ERROR]
    assert [str(one.error).partition(". ")[0] for one in receipts if one.error] == [
        "rows[1]: to: 'nobody@' is not an email address: nothing is after the @.",
        "rows[2]: welcome.html, line 2: 'name' is undefined.",
        "rows[4]: str is neither fields of a message nor makes one",
    ]
    assert [one.header("Subject") for one in server.messages] == ["Hallo One", "Hello <Four>"]
    assert "DEAR" not in str(server.messages[1].email) and "&lt;FOUR&gt;" in str(server.messages[1].email)


def test_the_first_message_can_be_looked_at(templates: Templates) -> None:
    first = next(iter(templates.merge("welcome", ROWS))).message()
    assert isinstance(first, Message) and "Subject: Hallo One" in first.preview()
