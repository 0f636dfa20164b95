"""The spelling of names: as in WLanguage, case does not matter, and accents may be left out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

__all__: list[str] = []

_PREFIXES = ("email", "err", "option")
"""Names with these prefixes are written with a small or a capital first letter."""


def plain(name: str) -> str:
    """Return a name without accents and in lower case: two names are the same if these are equal."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


def by_plain_name(names: Iterable[str]) -> dict[str, str]:
    """Return the names by their plain form."""
    return {plain(name): name for name in names}


_members: dict[type, dict[str, str]] = {}


def spelled(kind: type, name: str) -> str | None:
    """Return the member or method that a spelling means; None if there is none."""
    if kind not in _members:
        _members[kind] = by_plain_name(known for known in dir(kind) if known[:1].isupper())
    return None if name.startswith("_") else _members[kind].get(plain(name))


def nearest(kind: type, name: str) -> str | None:
    """Return the member or method whose name is most like one that is not known; None if none is."""
    from difflib import get_close_matches

    found = get_close_matches(plain(name), _members[kind], 1, 0.8)
    return _members[kind][found[0]] if found else None


def usual_spellings(names: Iterable[str]) -> list[str]:
    """Return the other usual spellings: without accents, or with the other first letter. For ``import *``, which looks
    names up literally. Not ``email``: that is a module of Python's own."""
    names = list(names)
    bare = [unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() for name in names]
    first = [name[0].swapcase() + name[1:] for name in (*names, *bare) if plain(name).startswith(_PREFIXES)]
    return [name for name in dict.fromkeys((*bare, *first)) if name not in names and name != "email"]
