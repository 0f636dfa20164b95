"""Letters that differ in their texts and links only, as those of one template do: what is made of the HTML of one is
kept, with places for the texts and links of the others. So CSS is inlined once for all of them.

What is kept serves HTML with the very same tags, if every reader takes these for the same. All other HTML is made for
itself. The result is the same, but for the spelling of characters in texts (``&uuml;`` stays as it was).
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any, NamedTuple

from wlsmtp.message.attachment import Attachment
from wlsmtp.message.html import embedded, image_of, inlined
from wlsmtp.message.plain import END, LINK, PLACE, SHOWN, link_text, text_of

_VALUE = re.compile(
    r"<(!--.*?-->|style\b[^<]*+)"
    r'|<(a\s(?:[^<>]*?\s)?href=")([^"<>#\s][^"<>]*+)'
    r"|>([ \t\n\r\f]*+)([^\s<&][^<]*+)",  # each begins with a character, for which the engine looks first
    re.IGNORECASE | re.DOTALL,
)
"""What stays, as comments and CSS; the link of an element; a text that begins with no white space."""
_PIECE = re.compile(r"(<!--.*?-->|<[^<>]*+>)", re.DOTALL)
_GIVEN = r"""(?:"[^"<>]*+"|'[^'<>]*+'|[^\s"'<>=`]++)"""
_TAG = re.compile(rf"</?[a-zA-Z][a-zA-Z0-9:-]*+(?:\s++[^\s\"'<>/=]++(?:\s*+=\s*+{_GIVEN})?+)*+\s*+/?>")
_OTHER = re.compile(r"<!doctype[^<>\"']*+>|<!--(?!-?>)(?:(?!--!?>).)*+-->", re.IGNORECASE | re.DOTALL)
_UNSURE = re.compile(
    r"<(?:script|textarea|xmp|iframe|noembed|noframes|noscript|plaintext|template|svg|math|pre|listing|select)\b"
    r"|\[\s*href|&#(?:x0*e00|0*5734)",
    re.IGNORECASE,
)
"""Elements that are read by rules of their own, CSS that asks for a link, and what is read as a mark."""
_MARK = re.compile(f"[{PLACE}-{SHOWN}]")
_HTML_PLACE = re.compile(f"[{PLACE}{LINK}](\\d+){END}")
_TEXT_PLACE = re.compile(f"{LINK}(\\d+){END}(.*?){SHOWN}|{PLACE}(\\d+){END}", re.DOTALL)
_LINK_BY_ITSELF = re.compile(rf"^[>\s\d.|-]*+{LINK}\d++{END}(?!{SHOWN})", re.MULTILINE)
_URL_APART = re.compile(r"\s|^javascript:")
_TRAILING = re.compile(r" +(?=\n)")
_BLANK = " \t\n\r\f"
_SPACE = re.compile(r"[ \t\n\r\f]{2,}+|[\t\n\r\f]")
_MOST, _LONGEST, _COMMENTS = 32, 100_000, 20
"""How many forms are kept, of HTML of how many characters, with how many comments."""

Made = tuple[str | None, str, list[Attachment]]
Key = tuple[tuple[str | None, ...], str | None, str | None, bool]


class Form(NamedTuple):
    """The result for one piece of HTML, with places for its texts and links."""

    html: list[str]
    """Pieces of HTML, with the number of a value after each but the last."""
    text: list[str | None]
    """Pieces as ``_TEXT_PLACE`` divides them: a text, a link's number, what it shows, a text's number, and so on."""
    images: dict[str, Attachment]

    def link_places(self) -> set[int]:
        """The numbers of links and of what they show: a link that is written already is left out."""
        links, shown = self.text[1::4], self.text[2::4]
        inner = (found[3] for words in shown for found in _TEXT_PLACE.finditer(words or ""))
        return {int(number) for number in (*links, *inner) if number is not None}


_forms: dict[Key, Form | None] = {}
_seen: dict[int, None] = {}  # what came once
_UNKNOWN: Any = object()


def repeated(html: str, css: str | None, directory: str | None, wants_text: bool) -> Made | None:
    """Return the text, the HTML and the pictures. None if this HTML must be processed by itself: it is the first of its
    form, or has no recognizable form."""
    if not fits(html):
        return None
    pieces = _VALUE.split(html)
    key = ((*pieces[::6], *pieces[1::6], *pieces[2::6], *pieces[4::6]), css, directory, wants_text)
    form = _forms.get(key, _UNKNOWN)
    if form is _UNKNOWN:
        if hash(key) not in _seen:
            remember(_seen, hash(key), None)
            return None
        form = form_of(html, css, directory, wants_text)
        remember(_forms, key, form)
    if form is None:
        return None
    if any(image_of(directory or "", url) is not one for url, one in form.images.items()):
        _forms.pop(key, None)
        return None
    values = _values(pieces)
    text = text_from(form, values) if wants_text else None
    if wants_text and text is None:
        return None
    made = form.html.copy()
    made[1::2] = [values[int(number)] for number in made[1::2]]
    return text, "".join(made), list(form.images.values())


def fits(html: str) -> bool:
    """Return whether the HTML may have a form: it is not too long, and has no marks of its own."""
    is_small = len(html) <= _LONGEST and html.count("<!--") <= _COMMENTS
    return is_small and (html.isascii() or _MARK.search(html) is None)


def values_in(html: str) -> list[str]:
    """Return the texts and links, in their order; an empty text in place of a comment or a style sheet."""
    return _values(_VALUE.split(html))


def _values(pieces: list[str]) -> list[str]:
    return [link or text or "" for link, text in zip(pieces[3::6], pieces[5::6], strict=True)]


def remember(kept: dict[Any, Any], key: object, value: object) -> None:
    """Keep a value; when there is no room, the others go."""
    if len(kept) >= _MOST:
        kept.clear()
    kept[key] = value


def form_of(html: str, css: str | None, directory: str | None, wants_text: bool) -> Form | None:
    """Make the form of this HTML; None if a reader could take it for something else, or its texts are no texts."""
    numbered, places, end = [], set(), 0
    for number, found in enumerate(_VALUE.finditer(html)):
        numbered.append(html[end : found.start()])
        end = found.end()
        mark = f"<{found[2]}{LINK}" if found[2] else f">{found[4]}{PLACE}"
        numbered.append(f"<{found[1]}" if found[1] else f"{mark}{number}{END}")
        places.update([] if found[1] else [number])
    skeleton = "".join(numbered) + html[end:]
    pieces = _PIECE.split(skeleton)
    if _UNSURE.search(skeleton + (css or "")) or "<" in "".join(pieces[::2]) or PLACE in "".join(pieces[1::2]):
        return None
    if not all(_TAG.fullmatch(tag) or _OTHER.fullmatch(tag) for tag in pieces[1::2]):
        return None
    text = text_of(skeleton) if wants_text else ""
    if _LINK_BY_ITSELF.search(text):
        return None
    made, images = embedded(skeleton, directory) if directory is not None else (skeleton, {})
    made = inlined(made, css) if css is not None else made
    parts = _HTML_PLACE.split(made)
    if {int(number) for number in parts[1::2]} != places:
        return None
    return Form(parts, _TEXT_PLACE.split(text), images)


def text_from(form: Form, values: list[str]) -> str | None:
    """Return the text with these values, or None where one would be laid out in another way."""
    pieces = form.text
    written, last = [pieces[0] or ""], (pieces[0] or "")[-1:]
    for place in range(1, len(pieces), 4):
        link, shown, number, after = pieces[place : place + 4]
        if number is not None:
            plain = _plain(values[int(number)])
        else:
            url = unescape(values[int(link or 0)])
            words = _TEXT_PLACE.sub(lambda found: _plain(values[int(found[3])]) or "", shown or "")
            plain = None if _URL_APART.search(url) else link_text(url, words.strip())
        if plain is None:
            return None
        for piece in (plain, after or ""):
            # White space is written once, and none where a line begins.
            piece = piece[1:] if piece[:1] == " " and last in ("", " ", "\n") else piece
            if piece:
                written.append(piece)
                last = piece[-1]
    return _TRAILING.sub("", "".join(written))


def _plain(value: str) -> str | None:
    if value.isascii() and value.isprintable() and value[-1] not in " |" and "&" not in value and "  " not in value:
        return value
    text = unescape(value) if "&" in value else value
    kept = text.rstrip(_BLANK)
    if kept[-1:].isspace() or kept[-1:] in ("", "|"):
        return None
    return _SPACE.sub(" ", text).replace("\xa0", " ")
