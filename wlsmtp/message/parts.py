"""Texts and parts of a message that are made of others: inlined CSS, embedded pictures, text from HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wlsmtp.message.html import css, directory, embedded, inlined
from wlsmtp.message.more import AUTO
from wlsmtp.message.plain import text_of
from wlsmtp.message.repeated import Made, repeated

CHECKS: dict[str, Callable[[Any], Any]] = {"inline_css": css, "embed_images": directory}
"""For each field what makes its value, or raises ``ValueError``."""


def expanded(fields: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The text, HTML and attachments that are sent. Raises ``MessageError``."""
    text, html, attachments = fields["text"], fields["html"], fields["attachments"]
    if html is not None:
        css, directory = given.get("inline_css"), given.get("embed_images")
        is_auto = text == AUTO
        made, html, images = repeated(html, css, directory, is_auto) or made_anew(html, css, directory, is_auto)
        text = made if is_auto else text
        attachments = (*attachments, *images)
    return {"text": text, "html": html, "attachments": attachments}


def made_anew(html: str, css: str | None, directory: str | None, wants_text: bool) -> Made:
    """The text, the HTML and the pictures. Raises ``MessageError``."""
    text = text_of(html) if wants_text else None
    html, images = embedded(html, directory) if directory is not None else (html, {})
    return text, inlined(html, css) if css is not None else html, list(images.values())
