"""How names are spelled: as in WLanguage, upper and lower case are the same, and accents may be left out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

__all__: list[str] = []

_PREFIXES = ("email", "err", "option")
"""Names that begin so are written with a small or a capital first letter, as it comes."""


def plain(name: str) -> str:
    """A name without accents and in small letters: two names are the same when these are."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


def by_plain_name(names: Iterable[str]) -> dict[str, str]:
    """Names, to be found by what is left of them."""
    return {plain(name): name for name in names}


_members: dict[type, dict[str, str]] = {}


def spelled(kind: type, name: str) -> str | None:
    """The member or method of a variable that is meant; None when there is none."""
    if kind not in _members:
        _members[kind] = by_plain_name(known for known in dir(kind) if known[:1].isupper())
    return None if name.startswith("_") else _members[kind].get(plain(name))


def usual_spellings(names: Iterable[str]) -> list[str]:
    """How else these are written most: without accents, or with the other first letter. For ``import *``, which cannot
    find a name by its letters alone. Not ``email``: that is a module of Python's own."""
    names = list(names)
    bare = [unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() for name in names]
    first = [name[0].swapcase() + name[1:] for name in (*names, *bare) if plain(name).startswith(_PREFIXES)]
    return [name for name in dict.fromkeys((*bare, *first)) if name not in names and name != "email"]
