"""The extensions a server offers: its reply to EHLO (RFC 5321 §4.1.1.1) as a value.

The set is open: an unknown extension is kept by its keyword with its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from wlsmtp.patterns import later

if TYPE_CHECKING:
    from wlsmtp.results.reply import Reply


_DECLARED = later(r"[1-9][0-9]{0,5}")
"""The value of a limit (RFC 9422 §3)."""


class _Fixed(dict[str, tuple[str, ...]]):
    """A mapping that cannot be changed, and that ``pickle``, ``copy``, ``asdict`` and ``json`` take, unlike a
    ``MappingProxyType``."""

    if not TYPE_CHECKING:

        def _refuse(self, *_: object, **__: object) -> NoReturn:
            raise TypeError("what a server offers cannot be changed")

        __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return _Fixed, (dict(self),)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The extensions of one server, by upper-case keyword, each with its parameters as announced.

    >>> "PIPELINING" in capabilities
    """

    name: str = ""
    """The name by which the server introduced itself."""
    extensions: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _Fixed())

    def __contains__(self, keyword: object) -> bool:
        return isinstance(keyword, str) and keyword.upper() in self.extensions

    def __iter__(self) -> Iterator[str]:
        return iter(self.extensions)

    def without(self, keyword: str) -> Capabilities:
        """Return a copy without one extension."""
        if keyword not in self:
            return self
        rest = {name: words for name, words in self.extensions.items() if name != keyword}
        return Capabilities(self.name, _Fixed(rest))

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
    return Capabilities(name=(reply.lines[0].split() or [""])[0], extensions=_Fixed(extensions))
