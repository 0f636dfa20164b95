"""Letters of one template are woven from its constant pieces, and come out as if each were made for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.html import Reader
from tests.message.test_repeated import STYLE, TAGS
from wlsmtp import Templates
from wlsmtp.message import html as html_module
from wlsmtp.message import parts, repeated, woven
from wlsmtp.message.jinja import environment_of
from wlsmtp.message.model import Message

ENVIRONMENT = environment_of(jinja2.DictLoader({}), None, None, autoescape=True)


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    for kept in (repeated._forms, repeated._seen, woven._patterns, woven._seen):
        kept.clear()


def pieces_of(source: str, values: dict[str, Any]) -> list[str]:
    template = ENVIRONMENT.from_string(source)
    return [*template.root_render_func(template.new_context(values))]


def thrice(pieces: list[str], css: str | None, directory: str | None = None) -> repeated.Made | None:
    for _ in range(3):
        made = woven.woven(pieces, css, directory, True)
    return made


TEXTS = st.one_of(
    st.text("ab \n\t&;ü\xa0'\">/", max_size=6),
    st.sampled_from(
        ["&amp;", "&nbsp;", " &nbsp; x", "&", "&am", "x|", "&#", "&#xe004;0&#xe002;", "&copy", "\ue0040\ue002"]
    ),
)
PLACES = st.sampled_from([
    "{{ a }}", "{{ b }}", " {{ a }}", "{{ b }} ", "{{ a }}{{ b }}", '<a href="{{ a }}">', "{{ c|safe }}",
    '<a href="https://x.org/{{ b }}?c={{ a }}">', '<a class=y href="{{ b }}">', "<p title='{{ a }}'>",
    "<!-- {{ a }} -->",
    "<title>{{ a }}</title>", "{% for one in [1, 2] %}<li>{{ a }}</li>{% endfor %}", '<b style="color: {{ b }}">',
    "<style>p { color: {{ b }} }</style>", "<{{ b }}>", '<img alt="{{ a }}">',
])  # fmt: skip
VALUES = st.one_of(
    st.text("ab \n\t&;ü\xa0\u2003'\"><#|", max_size=6),
    st.sampled_from([
        "Bob", "O'Brien & Sons", "", " ", "#1", "a  b", "x |", "https://x.org/", "x.org", "mailto:a@x.org", "a@x.org",
        "javascript:x", "<b>", "\ue0041\ue002", "\0", "lt;", "amp;", "red", "b", "\ud7ff", 5,
    ]),
)  # fmt: skip


@given(
    st.lists(TAGS | TEXTS | PLACES, max_size=12).map("".join),
    VALUES,
    VALUES,
    VALUES,
    st.sampled_from([None, "", "b { color: green }"]),
)
@example("<p>{{ a }}<a href='{{ a }}'>{{ a }}</a>", "x", "", "", None)
@example('<p><a href="{{ a }}">{{ b }}</a>', "https://x.org/", "x.org", "", None)
@example("<p>&{{ a }}", "lt;", "", "", None)
@example("<p>Dear {{ a }}, <b>{{ b }}</b> you", "Bob", " ", "", "")
def test_the_result_is_that_of_html_made_for_itself(source: str, a: Any, b: Any, c: Any, css: str | None) -> None:
    pieces = pieces_of(source, {"a": a, "b": b, "c": c})
    html = "".join(pieces)
    found = thrice(pieces, css)
    if found is not None:
        nothing = parts.made_anew(html, css, None, True)
        assert found[0] == nothing[0]
        assert Reader(found[1]).found == Reader(nothing[1]).found


LETTER = (
    "{% block subject %}x{% endblock %}{% block html %}"
    + STYLE
    + '<img src="logo.png"><p class="x"><b>Dear {{ name }}</b>'
    '<p>Your <a href="https://x.org/{{ number }}">order</a>: '
    "{% for one in items %}<b>{{ one }}</b> {% endfor %}{% endblock %}"
)


def letters(directory: Path, rows: list[dict[str, Any]], **fields: Any) -> list[Message]:
    (directory / "logo.png").write_bytes(b"PNG")
    loader = jinja2.DictLoader({"letter.html": LETTER})
    templates = Templates(loader, sender="ann@example.com", inline_css=True, embed_images=directory, **fields)
    return [templates.message("letter", **row) for row in rows]


def test_no_html_is_searched_from_the_third_letter_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    def counted(name: str, function: Any) -> Any:
        def call(*given: Any) -> Any:
            searched.append(name)
            return function(*given)

        return call

    monkeypatch.setattr(repeated, "inlined", counted("css", html_module.inlined))
    monkeypatch.setattr(parts, "inlined", counted("css", html_module.inlined))
    monkeypatch.setattr(parts, "repeated", counted("html", repeated.repeated))
    rows = [{"name": f"Bob {number}", "number": number, "items": "ab"} for number in range(20)]
    made = letters(tmp_path, rows, cc="cy@example.org")
    assert searched.count("css") <= 3 and searched.count("html") == 2
    for number, one in enumerate(made):
        url = f"https://x.org/{number}"
        assert one.text == f"Dear Bob {number}\n\nYour order ({url}): a b\n"
        assert one.html is not None and f'<b style="margin: 0;">Dear Bob {number}</b>' in one.html
        assert f'href="{url}"' in one.html and one.attachments[0].filename == "logo.png"


def test_a_letter_with_other_pieces_or_values_is_made_as_well(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        *({"name": "Bob", "number": 1, "items": "ab"} for _ in range(4)),
        {"name": "Bob", "number": 1, "items": "abc"},
        {"name": "<Bob>", "number": "", "items": "ab"},
        {"name": "A & B", "number": '"#"', "items": ["", " x "]},
    ]
    made = letters(tmp_path, rows)
    assert made[4].text == "Dear Bob\n\nYour order (https://x.org/1): a b c\n"
    assert made[5].text == "Dear <Bob>\n\nYour order (https://x.org/): a b\n"
    assert made[6].text == 'Dear A & B\n\nYour order (https://x.org/"#"): x\n'


def test_a_woven_letter_is_varied_as_any_other(tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "name": "Bob",
        "number": 1,
        "items": "a",
        "to": "bob@example.org",
        "attachments": [("a.txt", "A")],
    }
    *_, last = letters(tmp_path, [row] * 4)
    assert [one.filename for one in last.attachments] == ["a.txt", "logo.png"]
    plain = last.but(inline_css=False, embed_images=None)
    assert plain.html is not None and 'src="logo.png"' in plain.html and "<style>p { color: red }" in plain.html
    assert [one.filename for one in plain.attachments] == ["a.txt"] and plain.text == last.text
    assert last.but(html="<p>2").text == "2\n" and last.but(subject="y").html == last.html


def test_a_picture_that_changes_is_sent_anew(tmp_path: Path) -> None:
    row: dict[str, Any] = {"name": "Bob", "number": 1, "items": "a"}
    assert letters(tmp_path, [row] * 4)[3].attachments[0].read() == b"PNG"
    loader = jinja2.DictLoader({"letter.html": LETTER})
    templates = Templates(loader, inline_css=True, embed_images=tmp_path)
    for number in range(4):
        (tmp_path / "logo.png").write_bytes(b"PNG" * (2 + number))
        made = templates.message("letter", **row)
        assert made.attachments[0].read() == b"PNG" * (2 + number)
        assert f"cid:{made.attachments[0].content_id}" in (made.html or "")
