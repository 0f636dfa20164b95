"""Messages that servers have written to files, each file read once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class StoredFiles:
    """The contents of files that appear whole and do not change."""

    def __init__(self) -> None:
        self._contents: dict[Path, bytes] = {}

    def read(self, paths: Iterable[Path]) -> list[bytes]:
        """Return the contents of all of them, those of files that have gone since included."""
        for path in paths:
            if path not in self._contents:
                self._contents[path] = path.read_bytes()
        return list(self._contents.values())
