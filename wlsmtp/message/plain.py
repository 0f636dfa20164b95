"""Text from HTML, for readers who see no HTML: paragraphs, links, lists, quotes and tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

from wlsmtp.message.tags import TOKEN, attributes

_SPACE = re.compile(r"[ \t\n\r\f]{2,}+|[\t\n\r\f]")
PLACE, LINK, END, SHOWN = "\ue000", "\ue001", "\ue002", "\ue003"
"""Marks of ``repeated``: a text, a link, what ends the number of either, what ends the text of a link."""
_DEEPEST = 8
"""Lists and quotes that are deeper are written like these, so that the text grows no faster than the HTML."""


def text_of(html: str) -> str:
    """The text that a reader of the HTML sees, with the URLs of its links in parentheses."""
    writer = _Writer()
    for _, tag, given, text in TOKEN.findall(html):
        if text:
            writer.text(text)
        elif (act := _ACTS.get(tag) or _ACTS.get(tag.lower())) is not None:
            act(writer, given)
    return writer.written()


def link_text(url: str, shown: str) -> str:
    """Return what follows the text of a link: its URL, unless the text shows it already."""
    bare = url.partition(":" if url.startswith(("mailto:", "tel:")) else "://")[2].rstrip("/")
    if not url or url.startswith(("#", "javascript:")) or (shown and shown.rstrip("/") in (url.rstrip("/"), bare)):
        return ""
    return f" ({url})" if shown else url


class _Writer:
    """Lines, and what begins them: the marks of quotes and of items in lists."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._gap = 0  # line ends before the next line: two for a blank line
        self._pre, self._quotes, self._quoted = 0, 0, 0
        self._lists: list[int | None] = []  # the number of the next item, in those that have numbers
        self._mark = ""
        self._link: tuple[str, list[str]] | None = None

    def text(self, text: str) -> None:
        if "&" in text:
            text = unescape(text)
        if self._pre:
            *lines, text = text.replace("\r\n", "\n").split("\n")
            for line in lines:
                self._line.append(line)
                self.line_end()
        elif not self._line:
            text = text.lstrip(" \t\n\r\f")
        if text:
            self._line.append(text)
            if self._link is not None:
                self._link[1].append(text)

    def link(self, given: str) -> None:
        self.end_link()
        self._link = (attributes(given).get("href", "").strip(), [])

    def end_link(self, _: str = "") -> None:
        if self._link is None:
            return
        (url, pieces), self._link = self._link, None
        shown = "".join(pieces).strip()
        if written := f"{url}{shown}{SHOWN}" if url[:1] == LINK else link_text(url, shown):
            self._line.append(written)

    def image(self, given: str) -> None:
        self.text(attributes(given).get("alt", "").replace("&", "&amp;"))

    def cell(self, _: str) -> None:
        if self._line:
            self._line.append(" | ")

    def list(self, given: str, *, is_numbered: bool = False) -> None:
        self.block(gap=1 if self._lists else 2)
        begins = attributes(given).get("start", "") if is_numbered else ""
        first = int(begins) if begins.isascii() and begins.isdigit() and len(begins) < 10 else 1
        self._lists.append(first if is_numbered else None)

    def end_list(self, _: str) -> None:
        self.block(gap=1 if len(self._lists) > 1 else 2)
        self._lists[-1:] = []

    def item(self, _: str) -> None:
        self.block()
        number = self._lists[-1] if self._lists else None
        self._mark = "- " if number is None else f"{number}. "
        if number is not None:
            self._lists[-1] = number + 1

    def rule(self, _: str) -> None:
        self.block()
        self.text("-" * 20)
        self.block()

    def quote(self, by: int) -> None:
        self.block(gap=2)
        self._quotes = max(self._quotes + by, 0)

    def as_it_is(self, by: int) -> None:
        self.block(gap=2)
        self._pre = max(self._pre + by, 0)

    def paragraph(self, _: str) -> None:
        self.block(gap=2)

    def line_end(self, _: str = "") -> None:
        is_blank = not self._line or not self._line[-1].strip()
        self.block(gap=min(self._gap + 1, 2) if is_blank else 1)

    def block(self, _: str = "", *, gap: int = 1) -> None:
        if self._line:
            line, self._line = "".join(self._line), []
            line = line.rstrip() if self._pre else _SPACE.sub(" ", line).strip().removesuffix(" |")
            if line:
                self._write(line)
                self._gap = 0
        if gap > self._gap:
            self._gap = gap

    def _write(self, line: str) -> None:
        depth = min(self._quotes, _DEEPEST)
        if self._gap > 1 and self._lines:
            self._lines.append(("> " * min(depth, self._quoted)).rstrip())
        self._quoted = depth
        if self._lists or self._mark:
            line = f"{'  ' * min(len(self._lists) - 1, _DEEPEST)}{self._mark or '  '}{line}"
            self._mark = ""
        self._lines.append(f"{'> ' * depth}{line}".replace("\xa0", " "))

    def written(self) -> str:
        self.end_link()
        self.block()
        return "\n".join(self._lines) + "\n" if self._lines else ""


_PARAGRAPHS = "p h1 h2 h3 h4 h5 h6 table dl figure form fieldset"
_BLOCKS = "body head div section article header footer main nav aside address center tr caption dt dd figcaption"
_ACTS: dict[str, Callable[[_Writer, str], None]] = {
    **{f"{end}{name}": _Writer.paragraph for name in _PARAGRAPHS.split() for end in ("", "/")},
    **{f"{end}{name}": _Writer.block for name in _BLOCKS.split() for end in ("", "/")},
    "a": _Writer.link, "/a": _Writer.end_link, "br": _Writer.line_end, "hr": _Writer.rule, "img": _Writer.image,
    "td": _Writer.cell, "th": _Writer.cell, "li": _Writer.item, "/li": _Writer.block, "ul": _Writer.list,
    "ol": lambda writer, given: writer.list(given, is_numbered=True), "/ul": _Writer.end_list, "/ol": _Writer.end_list,
    "blockquote": lambda writer, _: writer.quote(1), "/blockquote": lambda writer, _: writer.quote(-1),
    "pre": lambda writer, _: writer.as_it_is(1), "/pre": lambda writer, _: writer.as_it_is(-1),
}  # fmt: skip
"""What is done at a tag; nothing at those that change how text looks."""
