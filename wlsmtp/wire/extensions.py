"""The extensions a server offers: its reply to EHLO (RFC 5321 §4.1.1.1) as a value.

The set is open: an unknown extension is kept by its keyword with its parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wlsmtp.results.reply import Reply


_DECLARED = re.compile(r"[1-9][0-9]{0,5}")
"""The value of a limit (RFC 9422 §3)."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The extensions of one server, by upper-case keyword, each with its parameters as announced.

    >>> "PIPELINING" in capabilities
    """

    name: str = ""
    """The name by which the server introduced itself."""
    extensions: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def __contains__(self, keyword: object) -> bool:
        return isinstance(keyword, str) and keyword.upper() in self.extensions

    def __iter__(self) -> Iterator[str]:
        return iter(self.extensions)

    def without(self, keyword: str) -> Capabilities:
        """Return a copy without one extension."""
        if keyword not in self:
            return self
        rest = {name: words for name, words in self.extensions.items() if name != keyword}
        return Capabilities(self.name, MappingProxyType(rest))

    @property
    def size_limit(self) -> int | None:
        """The largest message in octets (RFC 1870), or None if the server names no limit."""
        words = self.extensions.get("SIZE", ())
        limit = int(words[0]) if words and words[0].isascii() and words[0].isdigit() and len(words[0]) < 20 else 0
        return limit or None

    def limit(self, name: str) -> int | None:
        """Return a limit that the server has declared with LIMITS (RFC 9422 §3): MAILMAX, RCPTMAX or RCPTDOMAINMAX."""
        for word in self.extensions.get("LIMITS", ()):
            key, _, value = word.partition("=")
            if key.upper() == name and _DECLARED.fullmatch(value):
                return int(value)
        return None

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms that AUTH offers, in upper case and in the server's order."""
        return self.extensions.get("AUTH", ())

    def __str__(self) -> str:
        return ", ".join(" ".join((keyword, *words)) for keyword, words in self.extensions.items()) or "no extensions"


def parse_ehlo(reply: Reply) -> Capabilities:
    """Parse the positive reply to EHLO; for HELO the result has no extensions."""
    extensions: dict[str, tuple[str, ...]] = {}
    for text in reply.lines[1:]:
        keyword, *words = text.split() or [""]
        keyword = keyword.upper()
        # "AUTH=LOGIN PLAIN" is the form of servers older than RFC 2554; some send both.
        if keyword.startswith("AUTH="):
            keyword, words = "AUTH", [keyword.removeprefix("AUTH="), *words]
        if keyword == "AUTH":
            known = extensions.get("AUTH", ())
            words = list(dict.fromkeys([*known, *(word.upper() for word in words if word)]))
        if keyword:
            extensions[keyword] = tuple(words)
    return Capabilities(name=(reply.lines[0].split() or [""])[0], extensions=MappingProxyType(extensions))
