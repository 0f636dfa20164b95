"""Keeps the boundaries of nested multiparts apart (RFC 2046 §5.1.1). Where a program gives several the same one, or a
text has such a line, readers take parts of the one for parts of the other, and lose some."""

from __future__ import annotations

import email.message
import random
import re
import sys
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.recode import has_signature, is_signed

if TYPE_CHECKING:
    AnyEmail = email.message.Message[Any, Any]


def keep_apart(message: AnyEmail) -> None:
    """Give each multipart another boundary if one of its parts has its line. Changes the message, which must be a copy.
    Raises ``MessageError`` where a signature covers the multipart."""
    _texts_of(message, is_covered=has_signature(message))


def _texts_of(part: AnyEmail, *, is_covered: bool) -> list[str]:
    """Return the texts in a part, and the lines of its boundaries, which are now apart."""
    payload: Any = part._payload  # type: ignore[attr-defined]  # get_payload() decodes
    if not isinstance(payload, list):
        return [payload] if isinstance(payload, str) else []
    covers = is_covered or is_signed(part)
    texts = [text for child in payload for text in _texts_of(child, is_covered=covers or has_signature(child))]
    boundary = part.get_boundary() if part.get_content_maintype() == "multipart" else None
    if boundary is None:
        return texts
    if _is_in(boundary, texts):
        if is_covered:
            words = "A part of a signed multipart has a line with the boundary of the multipart"
            hint = "Leave the boundary out when you make it: one that is nowhere else is found"
            raise MessageError(words, stage=Stage.MESSAGE, hint=hint)
        boundary = _unused(texts)
        part.set_boundary(boundary)
    return [*texts, f"--{boundary}"]


def _is_in(boundary: str, texts: list[str]) -> bool:
    line = f"--{boundary}"
    found = [text for text in texts if line in text]
    return any(re.search(rf"^{re.escape(line)}(?:--)?[ \t\r]*$", text, re.MULTILINE) for text in found)


def _unused(texts: list[str]) -> str:
    while True:
        boundary = f"=_{random.randrange(sys.maxsize):x}"
        if not any(boundary in text for text in texts):
            return boundary
