"""Patterns that are compiled when they are first used: most programs use few of them, and together they take as long to
compile as a large module to import."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Later:
    """Stands for a pattern. Its attributes are those of the compiled one, each from its first use on."""

    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self.pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = self.__dict__[name] = getattr(re.compile(self.pattern, self._flags), name)
        return found


def later(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return the pattern, to be compiled when it is first used. An invalid one is an error then."""
    return cast("re.Pattern[AnyStr]", _Later(pattern, flags))
