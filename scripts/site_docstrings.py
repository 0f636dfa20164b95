"""Docstrings as Markdown: examples with ``>>>`` become blocks of code, for the API reference of the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^\S.*\n?)*)+", re.MULTILINE)


class Examples(griffe.Extension):
    """Turns the doctest blocks of all docstrings into fenced ones."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object that was read."""
        if obj.docstring is not None and ">>> " in obj.docstring.value:
            obj.docstring.value = EXAMPLE.sub(lambda found: _fenced(found[0]), obj.docstring.value)


def _fenced(example: str) -> str:
    lines = [re.sub(r"^(>>>|\.\.\.) ?", "", line) for line in example.rstrip().splitlines()]
    return "\n".join(["```python", *lines, "```", ""])
