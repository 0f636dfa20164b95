"""Parts of the documentation that tests write, between two comments of a page."""

from __future__ import annotations

import re


def replaced(page: str, text: str, begin: str, end: str) -> str:
    """Return ``page`` with ``text`` between the comments."""
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{text}\n{end}", page, flags=re.DOTALL)
