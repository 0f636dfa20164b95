"""Text from HTML: what it looks like, that no word is lost, and that no HTML makes it slow."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp.message.plain import text_of


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("  \n ", ""),
        ("Hello", "Hello\n"),
        ("<p>One\n  two<p>Three<br>four</p>", "One two\n\nThree\nfour\n"),
        ("a<br><br>b<br><br><br><br>c", "a\n\nb\n\nc\n"),
        ("<h1>Title</h1><div>a</div><div>b</div>", "Title\n\na\nb\n"),
        ("T&uuml;r &amp; 5 &lt; 6 &#8364; a&nbsp;b", "Tür & 5 < 6 € a b\n"),
        ("<b>bo</b>ld <i>and</i>\n<u>so</u>", "bold and so\n"),
        ('<a href="https://x.org/?a=1&amp;b=2">here</a>!', "here (https://x.org/?a=1&b=2)!\n"),
        ('<a href="https://x.org/">x.org</a> <a href="mailto:a@x.org">a@x.org</a>', "x.org a@x.org\n"),
        ("<a href='https://x.org/'>https://x.org</a> <a href=#top>up</a> <a name=x>z</a>", "https://x.org up z\n"),
        (
            '<a href=/x><img alt="Logo &amp; more" src=l.png></a><a href=/y> <img src=l.png></a>',
            "Logo & more (/x) /y\n",
        ),
        ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>e", "- a\n- b\n  - c\n- d\n\ne\n"),
        ("<ol start=9><li>a</li><li>b</li></ol>", "9. a\n10. b\n"),
        ("<ul><li><p>a</p><p>b</p></li></ul>", "- a\n\n  b\n"),
        ("<table><tr><th>Item<th>Price<tr><td>Book</td><td>5</td></tr></table>", "Item | Price\nBook | 5\n"),
        ("<table><tr><td><div>left</div></td><td><div>right</div></td></tr></table>", "left\nright\n"),
        ("a<blockquote>b<p>c<blockquote>d</blockquote></blockquote>e", "a\n\n> b\n>\n> c\n>\n> > d\n\ne\n"),
        ("<pre>  a\r\n b\n\n&lt;c</pre>d", "  a\n b\n\n<c\n\nd\n"),
        ("a<hr>b", f"a\n{'-' * 20}\nb\n"),
        ("<title>T</title><style>p{}</style><p>a<script>if (a<b) '</p>'</script >b<!-- <p>c -->d", "abd\n"),
        ("<!DOCTYPE html><?xml x?><SCRIPT>x</SCRIPT><P CLASS=x>a</P>", "a\n"),
        ("a < b <3 <", "a < b <3 <\n"),
        ('<p title="a > b" class=x>c', "c\n"),
        ("a<!-- not closed <p>b", "a\n"),
        ("a<style>never closed", "a\n"),
        ("</ul></ol></blockquote></pre></a>a", "a\n"),
    ],
)
def test_it_is_what_a_reader_sees(html: str, text: str) -> None:
    assert text_of(html) == text


class Words(HTMLParser):
    """The words of the text, as the standard library finds them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += dict(attrs).get("alt") or ""


TAGS = st.sampled_from([
    "<p>", "</p>", "<b>", "</b>", "<br>", "<div class='a > b'>", "</div>", "<ul>", "<li>", "</ul>", "<ol>", "</ol>",
    "<table>", "<tr>", "<td>", "</td>", "</table>", "<blockquote>", "</blockquote>", "<pre>", "</pre>", "<hr>", "<a>",
    "</a>", '<img alt="picture">', "<!-- c -->", "<h1>", "</h1>", "<span style=\"x:'y'\">", "<BR/>",
])  # fmt: skip
PIECES = st.lists(TAGS | st.text("abc \n\t&;ü\xa0", max_size=6) | st.sampled_from(["&amp;", "&nbsp;", "&#64;"]))


@given(PIECES.map("".join))
def test_no_character_is_lost_or_added_but_marks(html: str) -> None:
    seen = [one for one in Words(html).text if not one.isspace()]
    marks = "-.>|1234567890"
    assert [one for one in text_of(html) if not one.isspace() and one not in marks] == seen


HOSTILE = [
    "<", "<a ", '<a "', "<a '\"", "<a '\"'\"\"", "<!--", "<!", "<script>", "<style ", "</", "<ul>", "<ul><li>x",
    "<blockquote>x", "&", "&#", "&amp", "<td>&nbsp;", "<a href=x>y", "<a " + "x " * 9, "<img alt=", "<p x = ", "<br>",
    "<img alt='" + " " * 40 + "'>", "<pre>\n", "<textarea>", "\x00", "<a href=\"'>", "<x-y" * 9,
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
def test_no_html_takes_more_than_its_length(piece: str) -> None:
    """Twenty times as many pieces took minutes where time grew with their square; the limit of a test is one."""
    html = piece * (400_000 // len(piece))
    assert len(text_of(html)) <= 30 * len(html)
