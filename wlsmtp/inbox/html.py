"""Parses the HTML of a mail and writes it anew with harmless content only.

The result is always well-formed: text and attribute values are escaped, elements and attributes come from lists, and no
other namespace than HTML's is in it. A browser can therefore read it in one way only. It is the second defence: the
first is that a browser shows it in a sandbox whose policy forbids scripts and any request. The document states that
policy too, for those who show it elsewhere. It takes one pass, and reads each character a bounded number of times.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

MAX_HTML = 2 * 1024 * 1024
"""Characters that are shown."""

TAGS = frozenset({
    "a", "abbr", "acronym", "address", "area", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br",
    "caption", "center", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "dir", "div", "dl",
    "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i",
    "img", "ins", "kbd", "li", "main", "map", "mark", "menu", "nav", "nobr", "ol", "p", "picture", "pre", "q",
    "rp", "rt", "ruby", "s", "samp", "section", "small", "source", "span", "strike", "strong", "sub", "summary",
    "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var", "wbr",
})  # fmt: skip
ATTRIBUTES = frozenset({
    "abbr", "align", "alt", "axis", "bgcolor", "border", "bordercolor", "cellpadding", "cellspacing", "char",
    "charoff", "cite", "class", "clear", "color", "cols", "colspan", "compact", "coords", "datetime", "dir",
    "face", "headers", "height", "hidden", "hspace", "id", "lang", "media", "name", "noshade", "nowrap", "open",
    "reversed", "role", "rows", "rowspan", "rules", "scope", "shape", "size", "sizes", "span", "start", "style",
    "summary", "title", "type", "usemap", "valign", "value", "vspace", "width",
})  # fmt: skip
RAW_TEXT = frozenset({
    "iframe", "noembed", "noframes", "noscript", "object", "plaintext", "script", "style", "textarea", "title",
    "xmp", "applet",
})  # fmt: skip
"""Elements whose content is not shown: browsers read it as text, or run it."""
ACTIVE = frozenset({
    "script", "iframe", "object", "embed", "applet", "form", "meta", "base", "link", "audio", "video", "svg",
    "math", "frame",
})  # fmt: skip
"""Removed content that is worth reporting."""
VOID = frozenset(["area", "br", "col", "hr", "img", "source", "wbr"])
BLOCKS = frozenset({
    "p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "blockquote", "hr", "pre", "ul",
    "ol", "dl", "dt", "dd", "header", "footer", "td",
})  # fmt: skip
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/x-icon"})
"""The kinds of images that are shown; none can hold a script."""

PLACEHOLDER = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='16' height='16'%3E%3Crect width='100%25' "
    "height='100%25' fill='%23e9e9f0'/%3E%3C/svg%3E"
)
_START = re.compile(r"<(?=[a-zA-Z/!?])")
_NAME = re.compile(r"/?([a-zA-Z][^\s/>]*)")
_ATTRIBUTE = re.compile(r"[\s/]*(?:(>)|([^\s/>][^\s/>=]*)(\s*=\s*)?)")
_BARE = re.compile(r"[^\s>]*")
_DATA = re.compile(r"data:image/(?:png|jpe?g|gif|webp|avif|bmp|x-icon);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"&#[0-9]{9,}")
_SPACES = re.compile(r"[\x00-\x20]+")
_CSS_URL = re.compile(r"""url\(\s*["']?\s*((?:https?:)?//[^"')\s]*|cid:[^"')\s]*)\s*["']?\s*\)""", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\f\v\xa0\u200b-\u200f\ufeff\u034f\xad]+")

Inline = Callable[[str], str | None]
"""Makes a ``data:`` URL of the image with a Content-ID, or None."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, with its attributes as a browser would read them: the first of each name, values decoded."""

    name: str
    attributes: dict[str, str]
    is_end: bool = False
    content: str = ""
    """The content of an element of raw text."""


def tokens(source: str) -> Iterator[str | Tag]:
    """Text and tags, in their order. Comments are left out, as are tags that are not closed."""
    position, length = 0, len(source)
    while position < length:
        found = _START.search(source, position)
        if found is None:
            yield unescape(source[position:])
            return
        if found.start() > position:
            yield unescape(source[position : found.start()])
        if (name := _NAME.match(source, found.end())) is None:
            position = _end_of_comment(source, found.end())
            continue
        tag, position = _read_tag(source, name)
        if tag is None:
            return
        yield tag


def unescape(text: str) -> str:
    """Text with its character references decoded. Python refuses numbers of thousands of digits."""
    return html.unescape(_LONG_NUMBER.sub("\ufffd", text)) if "&" in text else text


def _end_of_comment(source: str, start: int) -> int:
    if source.startswith("!--", start):
        if source.startswith((">", "->"), start + 3):
            return source.find(">", start) + 1
        end = re.compile("--!?>").search(source, start + 3)
        return end.end() if end else len(source)
    end_of_bogus = source.find(">", start)
    return len(source) if end_of_bogus < 0 else end_of_bogus + 1


def _read_tag(source: str, name: re.Match[str]) -> tuple[Tag | None, int]:
    """The tag, and where it ends; None for one that does not end."""
    position, attributes = name.end(), dict[str, str]()
    while True:
        found = _ATTRIBUTE.match(source, position)
        if found is None:
            return None, len(source)
        position = found.end()
        if found[1]:
            break
        value = ""
        if found[3]:
            quote = source[position : position + 1]
            if quote in ('"', "'") and quote:
                end = source.find(quote, position + 1)
                if end < 0:
                    return None, len(source)
                value, position = source[position + 1 : end], end + 1
            else:
                bare = _BARE.match(source, position)
                assert bare is not None
                value, position = bare[0], bare.end()
        attributes.setdefault(found[2].lower(), unescape(value))
    word, is_end, content = name[1].lower(), name[0].startswith("/"), ""
    if word in RAW_TEXT and not is_end:
        closing = re.compile(rf"</{word}(?=[\s/>])", re.IGNORECASE).search(source, position)
        end = closing.start() if closing and word != "plaintext" else len(source)
        content, position = source[position:end], end
    return Tag(word, attributes, is_end, content), position


@dataclass(slots=True)
class Shown:
    """HTML that can be shown, and what was left out of it."""

    html: str = ""
    blocked: list[str] = field(default_factory=list)
    """The addresses of what would be fetched from elsewhere; at most 1000."""
    removed: dict[str, int] = field(default_factory=dict)
    """The elements and attributes that were left out because they do something, with their number."""
    is_cut: bool = False


class _Writer:
    def __init__(self, inline: Inline, loads_remote: bool) -> None:
        self.inline, self.loads_remote = inline, loads_remote
        self.out: list[str] = []
        self.body: dict[str, str] = {}
        self.shown = Shown()

    def write(self, source: str) -> Shown:
        for token in tokens(source):
            if isinstance(token, str):
                self.out.append(html.escape(token, quote=False))
            else:
                self._tag(token)
        attributes = "".join(f' {name}="{html.escape(value)}"' for name, value in self.body.items())
        self.shown.html = (
            f'<!doctype html><html><head><meta charset="utf-8">{_policy(self.loads_remote)}'
            '<meta name="referrer" content="no-referrer">'
            '<meta name="viewport" content="width=device-width">'
            '<base target="_blank"><style>img{max-width:100%}body{margin:12px;overflow-wrap:anywhere}</style></head>'
            f"<body{attributes}>{''.join(self.out)}</body></html>"
        )
        return self.shown

    def _tag(self, tag: Tag) -> None:
        if tag.name == "style" and not tag.is_end:
            media = html.escape(tag.attributes.get("media", ""))
            self.out.append(f'<style media="{media}">{self._css(tag.content)}</style>')
        elif tag.name == "body" and not tag.is_end:
            self.body = {**self._attributes(tag), **self.body}
            if "text" in tag.attributes:
                color = re.sub(r"[^#\w]", "", tag.attributes["text"])
                self.body["style"] = f"color:{color};{self.body.get('style', '')}"
        elif tag.name in TAGS:
            if tag.is_end:
                self.out.append("" if tag.name in VOID else f"</{tag.name}>")
            else:
                attributes = "".join(f' {name}="{html.escape(value)}"' for name, value in self._attributes(tag).items())
                self.out.append(f"<{tag.name}{attributes}>")
        elif tag.name in ACTIVE and not tag.is_end:
            self._remove(f"<{tag.name}>")
            if source := tag.attributes.get("src") or tag.attributes.get("href") or tag.attributes.get("data"):
                self._block(source)

    def _attributes(self, tag: Tag) -> dict[str, str]:
        kept: dict[str, str] = {}
        for name, value in tag.attributes.items():
            if name == "style":
                kept["style"] = self._css(value)
            elif name in ("src", "background") and tag.name not in ("source", "area"):
                self._source(tag, name, value, kept)
            elif name == "srcset":
                self._srcset(value, kept)
            elif name == "href" and tag.name in ("a", "area"):
                self._link(value, kept)
            elif name in ATTRIBUTES or re.fullmatch(r"aria-[a-z]{1,20}", name):
                kept[name] = value
            elif name.startswith("on"):
                self._remove(f"{name[:20]}=")
        return kept

    def _source(self, tag: Tag, name: str, value: str, kept: dict[str, str]) -> None:
        address = _SPACES.sub("", value)
        if address[:4].lower() == "cid:":
            address = self.inline(address[4:]) or ""
        if _DATA.fullmatch(address):
            kept[name] = address
        elif is_remote(address):
            self._block(address)
            if self.loads_remote:
                kept[name] = address
            elif tag.name == "img":
                kept["src"], kept["title"] = PLACEHOLDER, f"Blocked: {address[:200]}"

    def _srcset(self, value: str, kept: dict[str, str]) -> None:
        """A set of images: kept as it is, or not at all."""
        addresses = [word for word in value.split() if is_remote(word)]
        for address in addresses:
            self._block(address)
        if addresses and self.loads_remote:
            kept["srcset"] = value

    def _link(self, value: str, kept: dict[str, str]) -> None:
        address = value.strip("\x00\t\n\r\f ")
        if address.startswith("#"):
            kept.update(href=address, target="_self")
        elif re.match(r"(?:https?|mailto|tel|sms):", re.sub(r"[\t\r\n]", "", address), re.IGNORECASE):
            kept.update(href=address, target="_blank", rel="noopener noreferrer nofollow")
        elif address:
            self._remove(f"href={re.sub(r'[^a-z]', '', address.partition(':')[0].lower())[:20]}")

    def _css(self, source: str) -> str:
        """A style: nothing in it can end its element, and parts of the mail are put in place of their names."""

        def replaced(found: re.Match[str]) -> str:
            address = found[1]
            if address[:4].lower() == "cid:":
                return f'url("{self.inline(address[4:]) or ""}")'
            self._block(address)
            return found[0]

        return _CSS_URL.sub(replaced, source).replace("<", "\\3c ")

    def _block(self, address: str) -> None:
        if is_remote(address) and len(self.shown.blocked) < 1000:
            self.shown.blocked.append(address[:500])

    def _remove(self, what: str) -> None:
        if what in self.shown.removed or len(self.shown.removed) < 100:
            self.shown.removed[what] = self.shown.removed.get(what, 0) + 1


def _policy(loads_remote: bool) -> str:
    """A policy that goes with the document wherever it is shown. It forbids scripts and requests, also by styles."""
    words = "default-src 'none'; style-src 'unsafe-inline'; font-src data:; base-uri 'none'; form-action 'none'"
    images = f"img-src data:{' http: https:' if loads_remote else ''}"
    return f'<meta http-equiv="Content-Security-Policy" content="{words}; {images}">'


def is_remote(address: str) -> bool:
    """Return whether an address would be fetched from elsewhere."""
    return address.lower().startswith(("http:", "https:", "//", "ftp:"))


def make_showable(source: str, inline: Inline = lambda _: None, *, loads_remote: bool = False) -> Shown:
    """The HTML of a mail as a document of its own. ``inline`` gives the images of the mail; with ``loads_remote`` the
    browser may fetch those of others."""
    shown = _Writer(inline, loads_remote).write(source[:MAX_HTML])
    shown.is_cut = len(source) > MAX_HTML
    return shown


def to_text(source: str) -> str:
    """Return what a reader would see of HTML, as text."""
    pieces: list[str] = []
    for token in tokens(source[:MAX_HTML]):
        if isinstance(token, str):
            pieces.append(token.replace("\n", " "))
        elif token.name in BLOCKS:
            pieces.append("\n")
    lines = (_BLANKS.sub(" ", line).strip() for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)
