"""Texts and parts of a message that are made of others: inlined CSS, embedded pictures, text from HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wlsmtp.message.html import css, directory, embedded, inlined
from wlsmtp.message.more import AUTO
from wlsmtp.message.plain import text_of

CHECKS = {"inline_css": css, "embed_images": directory}
"""For each field what makes its value, or raises ``ValueError``."""


def expanded(fields: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The text, HTML and attachments that are sent. Raises ``MessageError``."""
    text, html, attachments = fields["text"], fields["html"], fields["attachments"]
    if html is not None:
        text = text_of(html) if text == AUTO else text
        if "embed_images" in given:
            html, images = embedded(html, given["embed_images"])
            attachments = (*attachments, *images)
        html = inlined(html, given["inline_css"]) if "inline_css" in given else html
    return {"text": text, "html": html, "attachments": attachments}
