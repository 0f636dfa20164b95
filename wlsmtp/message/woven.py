"""Letters of one template of Jinja2, which gives its constant pieces and the values between them apart. What is made of
the constant pieces is kept, so that HTML is neither parsed nor searched again for each letter.

A value takes its place where it could only be text, or a part of a link. All other letters are made by ``repeated`` or
for themselves; the result is the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from html import unescape
from typing import Any, NamedTuple

from wlsmtp.message.attachment import Attachment, attachments_of
from wlsmtp.message.html import image_of
from wlsmtp.message.model import Message
from wlsmtp.message.more import AUTO, keep_given
from wlsmtp.message.parts import CHECKS
from wlsmtp.message.plain import END, PLACE
from wlsmtp.message.repeated import Form, Made, fits, form_of, remember, text_from, values_in

_VALUE = "\ue004"
"""Marks the place of a value. ``repeated`` has the marks before."""
_MARK = re.compile(f"[{PLACE}-{_VALUE}]")
_PLACE = re.compile(f"{_VALUE}(\\d+){END}")
_PART_OF_ENTITY = re.compile(f"&[#\\w]*{_VALUE}")
_ODD = re.compile(f'[<>"{PLACE}-{_VALUE}]|(?:\\A|\0)(?:[\\s&#]|\0|\\Z)')
"""In values with a NUL between: what could be more than text, or would begin a text in another way."""

Key = tuple[tuple[str | None, ...], str | None, str | None, bool]


class _Pattern(NamedTuple):
    """The result for the constant pieces, with the numbers of values between."""

    form: Form
    runs: list[list[str]]
    """The texts and links of the form: each is text, the number of a value, text, and so on."""
    html: list[str]
    """The finished HTML: text, the number of a value, text, and so on."""
    html_values: list[int]
    text: list[str] | None
    """The same of the text part; None if a link has values, and may be left out where its text says it."""
    text_values: list[int]
    images: list[tuple[str, Attachment]]


_patterns: dict[Key, _Pattern | None] = {}
_seen: dict[int, None] = {}


def with_pieces(fields: dict[str, Any], pieces: Sequence[str]) -> Message:
    """Make the message with these fields and the pieces of its HTML. Raises ``MessageError``."""
    html, made = "".join(pieces), None
    own = {name: fields[name] for name in CHECKS if fields.get(name) is not None and fields[name] is not False}
    given: dict[str, Any] = {}
    attachments: tuple[Attachment, ...] = ()
    with suppress(ValueError):  # that of Message names the field
        given = {name: CHECKS[name](value) for name, value in own.items()}
        attachments = attachments_of(fields.get("attachments"))
        if given or fields["text"] == AUTO:
            made = woven(pieces, given.get("inline_css"), given.get("embed_images"), fields["text"] == AUTO)
    if made is None:
        return Message(**fields, html=html)
    text, finished, images = made
    others = {name: value for name, value in fields.items() if name not in own}
    parts = {"text": fields["text"] if text is None else text, "html": finished, "attachments": (*attachments, *images)}
    message = Message(**{**others, **parts})
    keep_given(message, "parts", {"text": fields["text"], "html": html, "attachments": attachments, **given})
    return message


def woven(pieces: Sequence[str], css: str | None, directory: str | None, wants_text: bool) -> Made | None:
    """Return the text, the HTML and the pictures. ``pieces`` are of type ``str`` where they belong to the template, and
    of a subclass where they are values. None if the letter must be made in another way: it is one of the first two of
    its template, or has values that are more than text."""
    key = (tuple([piece if type(piece) is str else None for piece in pieces]), css, directory, wants_text)
    pattern = _patterns.get(key)
    if pattern is None:
        if key not in _patterns:
            if hash(key) in _seen:
                remember(_patterns, key, _pattern(key))
            else:
                remember(_seen, hash(key), None)
        return None
    values = [str.__str__(piece) for piece in pieces if type(piece) is not str]
    together = "\0".join(values)
    if values and (together.count("\0") != len(values) - 1 or _ODD.search(together)):
        return None
    if any([image_of(directory or "", url) is not one for url, one in pattern.images]):
        _patterns.pop(key, None)
        return None
    html = pattern.html.copy()
    html[1::2] = [values[number] for number in pattern.html_values]
    text = _text(pattern, values, together) if wants_text else None
    if wants_text and text is None:
        return None
    return text, "".join(html), [one for _, one in pattern.images]


def _text(pattern: _Pattern, values: list[str], together: str) -> str | None:
    if pattern.text is not None and _are_simple(together):
        text = pattern.text.copy()
        text[1::2] = [values[number] for number in pattern.text_values]
        return "".join(text)
    return text_from(pattern.form, [_filled(run, values) for run in pattern.runs])


def _are_simple(together: str) -> bool:
    """True for values, with a NUL between, that are laid out as any other words are."""
    words = together.replace("\0", "")
    if not (words.isascii() and words.isprintable()) or "&" in words or "  " in together:
        return False
    return " \0" not in together and "|\0" not in together and together[-1:] not in (" ", "|")


def _filled(run: list[str], values: list[str]) -> str:
    return "".join([values[int(piece)] if place % 2 else piece for place, piece in enumerate(run)])


def _pattern(key: Key) -> _Pattern | None:
    constants, css, directory, wants_text = key
    together = "".join([piece or "" for piece in constants])
    if not fits(together) or _MARK.search(unescape(together)):
        return None
    number, marked = 0, []
    for piece in constants:
        marked.append(f"{_VALUE}{number}{END}" if piece is None else piece)
        number += piece is None
    html = "".join(marked)
    runs = [_PLACE.split(value) for value in values_in(html)]
    # A value may also be within an attribute, a comment or a style sheet, or be a part of an entity.
    if sum(len(run) // 2 for run in runs) != number or _PART_OF_ENTITY.search(html):
        return None
    form = form_of(html, css, directory, wants_text)
    if form is None:
        return None
    filled = form.html.copy()
    filled[1::2] = [_marked(runs[int(place)]) for place in filled[1::2]]
    made = _PLACE.split("".join(filled))
    has_links = any(len(runs[place]) > 1 for place in form.link_places())
    text = None if has_links or not wants_text else text_from(form, [_marked(run) for run in runs])
    written = None if text is None else _PLACE.split(text)
    numbers = [*map(int, made[1::2])], [*map(int, (written or ())[1::2])]
    return _Pattern(form, runs, made, numbers[0], written, numbers[1], [*form.images.items()])


def _marked(run: list[str]) -> str:
    return "".join([f"{_VALUE}{piece}{END}" if place % 2 else piece for place, piece in enumerate(run)])
