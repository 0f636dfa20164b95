"""The tags of HTML, found by one regular expression in a time that grows with the length of the HTML and no faster.

The standard library's parser is slower, and takes the square of that time for some HTML (CVE-2025-6069). Quantifiers
here are possessive, or end at the end of the text. Of the tags that are not closed at most two are read on at any
place, as an opening quote in one of them is a closing quote in the other.
"""

from __future__ import annotations

import re
from html import unescape

_ATTRIBUTES = r"""(?:[^<>"']++|"[^"]*+"|'[^']*+')*+"""
_UNSEEN = r"(?P<unseen>script|style|title|textarea)"
"""Elements whose content is not HTML, and is not shown as text."""
_OTHERS = (
    rf"<!--.*?(?:-->|\Z)|<[!?][^>]*+>?|<{_UNSEEN}(?=[\s/>]){_ATTRIBUTES}>.*?(?:</(?P=unseen)(?=[\s/>])[^>]*+>?|\Z)"
)
TOKEN = re.compile(rf"{_OTHERS}|<(/?[a-z][a-z0-9:-]*+)({_ATTRIBUTES})>|([^<]++|<)", re.DOTALL | re.IGNORECASE)
"""A tag with its attributes, or a text; neither in a comment and the like. The first group means nothing."""
IMAGE = re.compile(rf"{_OTHERS}|<img(?=[\s/])({_ATTRIBUTES})>", re.DOTALL | re.IGNORECASE)
"""The attributes of a picture, in the second group."""
ATTRIBUTE = re.compile(r"""([^\s"'<>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'<>]++)))?+|["']""")
"""One attribute: its name, and its value in double quotes, in single ones, or without any."""


def attributes(text: str) -> dict[str, str]:
    """The attributes of a tag by their names in lower case; of a repeated one the first counts."""
    found: dict[str, str] = {}
    for name, double, single, bare in ATTRIBUTE.findall(text):
        found.setdefault(name.lower(), unescape(double or single or bare))
    return found
