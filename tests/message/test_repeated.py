"""Letters with the same tags are made from one form, and come out as if each were made for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.html import Reader
from wlsmtp.message import html as html_module
from wlsmtp.message import parts, repeated
from wlsmtp.message.model import Message

STYLE = "<style>p { color: red } .x > b { margin: 0 } a:hover { color: blue }</style>"


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    repeated._forms.clear()
    repeated._seen.clear()


def thrice(html: str, css: str | None, wants_text: bool = True) -> repeated.Made | None:
    """What is made of the HTML once its form is known, if it has one."""
    for _ in range(3):
        made = repeated.repeated(html, css, None, wants_text)
    return made


TAGS = st.sampled_from([
    "<p>", "</p>", '<p class="x">', "<b>", "</b>", "<br>", "<div style='a: b'>", "</div>", "<ul>", "<li>", "</ul>",
    "<table>", "<tr>", "<td>", "</td>", "</tr>", "</table>", "<blockquote>", "</blockquote>", "<hr>", "</a>", "<h1>",
    '<img alt="a picture">', "<!-- c > -->", "</h1>", "<title>", "</title>", '<a href="https://x.org/?a=1&amp;b=2">',
    '<a class=x href="/y">', '<a href="#top">', '<a data-href="no" href="mailto:a@x.org">', "<a name=n>", "<BR/>",
    "<!DOCTYPE html>", '<a href="">', "<strong>", "</strong>", "<input disabled value=a>", "</span>", "<a href='z'>",
    "<span title='href=\"x\"'>", STYLE,
])  # fmt: skip
TEXTS = st.one_of(
    st.text("ab \n\t&;ü\xa0\u2003'\">/", max_size=8),
    st.sampled_from(["&amp;", "&nbsp;", " &nbsp; x", "&#64;", "AT&T", "a@x.org", "https://x.org/?a=1&b=2", "x|"]),
    st.sampled_from(["<", "<!--", "<p", "\ue000", "<script>", "</script>", "<pre>", "<p title='>'>", '<p class="x>']),
    st.sampled_from(["&#xe000;1", "&#57344;1&#57346;"]),
)


@given(st.lists(TAGS | TEXTS, max_size=14).map("".join), st.sampled_from([None, "", "b { color: green }"]))
@example("<table>Hello<tr><td>x", "")
@example('<a href="/x"><p>One</a>Two', "")
@example('<p><a href="https://x.org/?a=1&amp;b=2">https://x.org/?a=1&b=2</a>', "")
def test_the_result_is_that_of_html_made_for_itself(html: str, css: str | None) -> None:
    nothing = parts.made_anew(html, css, None, True)
    found = thrice(html, css)
    if found is not None:
        assert found[0] == nothing[0]
        assert Reader(found[1]).found == Reader(nothing[1]).found


def letter(name: str, url: str, **fields: Any) -> Message:
    html = f'{STYLE}<p class="x"><b>Dear {name}</b>,<p><a href="{url}">{name}</a>'
    return Message("ann@example.com", text="auto", html=html, inline_css=True, **fields)


def test_css_is_inlined_once_for_letters_that_differ_in_texts_and_links(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Counted:
        def inline(self, html: str) -> str:
            made.append(html)
            return inliner.inline(html)  # type: ignore[no-any-return]

    inliner = html_module._inliner()
    monkeypatch.setattr(html_module, "_inliner", Counted)
    letters = [letter(f"Bob &amp; {number}", f"https://x.org/{number}?a=b&amp;c") for number in range(20)]
    assert len(made) == 2  # the first is made for itself, and the second makes the form
    for number, one in enumerate(letters):
        assert one.text == f"Dear Bob & {number},\n\nBob & {number} (https://x.org/{number}?a=b&c)\n"
        assert one.html is not None and f'<b style="margin: 0;">Dear Bob &amp; {number}</b>' in one.html
        assert f'<a href="https://x.org/{number}?a=b&amp;c">' in one.html


def test_a_link_that_says_its_url_is_told_from_others() -> None:
    made = [letter(f"https://x.org/{number % 4}", f"https://x.org/{number}").text for number in range(6)]
    assert made[3] == "Dear https://x.org/3,\n\nhttps://x.org/3\n"
    assert made[5] == "Dear https://x.org/1,\n\nhttps://x.org/1 (https://x.org/5)\n"


def test_a_picture_that_changes_is_sent_anew(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"one")
    html = '<p>x<img src="logo.png">'
    sent = [Message(html=html, embed_images=tmp_path).attachments[0] for _ in range(4)]
    assert len({id(one) for one in sent}) == 1
    (tmp_path / "logo.png").write_bytes(b"another")
    again = [Message(html=html, embed_images=tmp_path) for _ in range(4)]
    assert {one.attachments[0].read() for one in again} == {b"another"}
    assert all(f"cid:{one.attachments[0].content_id}" in (one.html or "") for one in again)


@pytest.mark.parametrize(
    "html",
    [
        "<p>a < b", "<p title='a>b'>x", "<!-- a <p>b", "<script>x</script><p>y", "<pre>a\n b</pre>", "<p>\ue000",
        "<img alt='&#57344;1&#57346;'>", '<style>a[href^="x"] { color: red }</style><p>x', "<!-->x-->y",
        "<!-- --!> <p>x -->",
        "<p a='b'c>x", "<b" + " x" * 60_000 + ">y",
    ],
)  # fmt: skip
def test_html_that_readers_could_take_for_something_else_is_made_for_itself(html: str) -> None:
    assert thrice(html, "") is None


def test_css_that_asks_for_a_link_is_applied_to_each() -> None:
    html = '<a href="https://{}.org">x</a>'
    fields: dict[str, Any] = {"inline_css": 'a[href*="b"] { color: red }'}
    made = [Message(html=html.format(name), **fields).html or "" for name in "aaab"]
    assert ['style="color' in one for one in made] == [False, False, False, True]


def test_no_more_is_kept_than_there_is_room_for() -> None:
    for number in range(200):
        thrice(f"<p class=c{number}>x", "")
    assert len(repeated._forms) <= repeated._MOST and len(repeated._seen) <= repeated._MOST


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<!--", "<p>", '<a href="', "<p x = ", "&", "<!-- -", "<style>", "<a href= "]
)
def test_no_html_takes_more_than_its_length(piece: str) -> None:
    html = (piece * 100_000)[:99_999]
    for _ in range(3):
        repeated.repeated(html, None, None, True)
