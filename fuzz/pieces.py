"""How the targets make values of octets."""

from __future__ import annotations


def cut(data: bytes, size: int) -> list[bytes]:
    """``data`` in pieces of ``size`` octets; of one octet at least."""
    size = max(1, size)
    return [data[start : start + size] for start in range(0, len(data), size)]


def head_and_rest(data: bytes) -> tuple[int, bytes]:
    """The first octet as a number, and the others; 0 when there is none."""
    return (data[0] if data else 0), data[1:]


def text_of(data: bytes) -> str:
    """Any text, lone surrogates included."""
    return data.decode("utf-8", "surrogateescape")


def fields_of(data: bytes) -> list[str]:
    """Texts, with a NUL between."""
    return [text_of(piece) for piece in data.split(b"\0")]
