"""Octets in blocks, each with its own deadline, so that a slow but steady reader gets the time it needs."""

from __future__ import annotations

from collections.abc import Iterable

BLOCK = 64 * 1024
"""Octets written at a time."""


def blocks(octets: bytes) -> Iterable[bytes | memoryview]:
    """Return ``octets`` in blocks."""
    if len(octets) <= BLOCK:
        return (octets,)
    view = memoryview(octets)
    return (view[start : start + BLOCK] for start in range(0, len(view), BLOCK))
