"""A message as an HTML file: what is shown, and that nothing of it runs or leaves the page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from wlsmtp.message.attachment import Attachment
from wlsmtp.message.model import Message

PNG = b"\x89PNG\r\n\x1a\n"


class Page(HTMLParser):
    """The tags and the text of a page, as a browser parses it: what is within the frame is an attribute."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(**fields: Any) -> Page:
    return Page(Message("Ann <ann@example.com>", "bob@example.org", **fields).preview_html())


def test_it_shows_what_recipients_see_and_bcc() -> None:
    shown = page(subject="Grüße & <more>", bcc="eve@example.net", text="Hello\n <b>", attachments=[("a<b>.txt", "A")])
    for words in ("Ann", "bob@example.org", "eve@example.net", "Grüße & <more>", "Hello\n <b>", "a<b>.txt"):
        assert words in shown.text, words
    assert shown.all("b") == [] and shown.all("iframe") == []


def test_html_is_in_a_frame_that_runs_and_fetches_nothing() -> None:
    html = (
        """<p>"Hi"</p><script>alert('x')</script></iframe><img src="https://tracker.example/x.png" onerror=alert(1)>"""
    )
    shown = page(html=html)
    [frame] = shown.all("iframe")
    assert frame == {"sandbox": "", "srcdoc": html}
    assert shown.all("script") == shown.all("img") == shown.all("link") == []
    policy = next(one["content"] for one in shown.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;")
    assert shown.tags.index(("meta", {"http-equiv": "Content-Security-Policy", "content": policy})) < [
        tag for tag, _ in shown.tags
    ].index("title")


@pytest.mark.parametrize(
    ("content_id", "written"), [("logo", "logo"), ("l+1@x.org", "l%2B1@x.org"), ("a&b", "a&amp;b")]
)
def test_inline_pictures_are_in_it(content_id: str, written: str) -> None:
    pictures = [Attachment.inline(PNG, content_id, content_type="image/png"), Attachment.inline(b"GIF", "logo2")]
    [frame] = page(html=f'<img src="cid:{written}"><img src=cid:logo2><a href="cid:logo3">', attachments=pictures).all(
        "iframe"
    )
    assert frame["srcdoc"] == (
        '<img src="data:image/png;base64,iVBORw0KGgo="><img src=data:application/octet-stream;base64,R0lG>'
        '<a href="cid:logo3">'
    )


def test_a_calendar_is_shown_as_text() -> None:
    pytest.importorskip("icalendar")
    calendar = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:PUBLISH\r\nEND:VCALENDAR\r\n"
    assert "METHOD:PUBLISH" in page(text="x", calendar=calendar).text
