"""HTML of anybody: the text made of it, and the pictures that it names in a directory without any."""

from __future__ import annotations

import atexit
import tempfile
from html import escape
from html.parser import HTMLParser
from typing import Any

from wlsmtp.errors import MessageError
from wlsmtp.message.html import embedded
from wlsmtp.message.model import Message
from wlsmtp.message.parts import made_anew
from wlsmtp.message.plain import text_of
from wlsmtp.message.repeated import repeated

_EMPTY = tempfile.TemporaryDirectory()  # nothing can be embedded that is within it
atexit.register(_EMPTY.cleanup)


def check(data: bytes) -> None:
    """The octets are HTML, and text within HTML."""
    html = data.decode("utf-8", "replace")
    text = text_of(html)
    assert len(text) <= 30 * len(html) + 30
    assert not text or text.endswith("\n")
    _check_pictures(html)
    _check_forms(html, text)
    _check_text(html)
    page = Message(html=html, text="auto").preview_html()
    assert _tags(page).count("iframe") == 1 and "script" not in _tags(page)


def _check_pictures(html: str) -> None:
    try:
        made, images = embedded(html, _EMPTY.name)
    except MessageError:
        return
    assert made == html and not images


def _check_forms(html: str, text: str) -> None:
    """Of the third on, letters with the same tags are made from a form."""
    made = None
    for _ in range(3):
        made = repeated(html, None, None, True)
    if made is not None:
        assert made[0] == text
        assert _seen(made[1]) == _seen(made_anew(html, None, None, True)[1])


def _check_text(text: str) -> None:
    """Text that was escaped comes back, but for white space."""
    words = text.replace("\0", " ").split()
    assert (
        text_of(f"<div>{escape(text)}</div>").replace("\0", " ").split() == words or "\ue000" <= max(text) <= "\ue003"
    )


class Reader(HTMLParser):
    """What a reader makes of HTML: tags, attributes and texts, whatever their spelling."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.found: list[Any] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_data(self, data: str) -> None:
        if self.found and isinstance(self.found[-1], list):
            self.found[-1][0] += data
        else:
            self.found.append([data])


def _tags(html: str) -> list[str]:
    return Reader(html).tags


def _seen(html: str) -> list[Any]:
    return Reader(html).found
