"""Values that a setting accepts in several forms, in the one form in which it is kept, and checks of single values."""

from __future__ import annotations

import base64
import re
from typing import Any

_CO_COROUTINE = 0x80
"""The flag of the code of an ``async def``, as in ``inspect``, which takes long to import."""


def digest(text: object) -> str:
    """Normalize a digest of 32 octets to bare hex, from hex with or without colons, or from base64 as curl writes
    it."""
    bare = re.sub(r"^sha256/{1,2}|[:\s]", "", str(text))
    if re.fullmatch(r"[0-9a-fA-F]{64}", bare):
        return bare.lower()
    if re.fullmatch(r"[0-9A-Za-z+/]{43}=", bare):
        return base64.b64decode(bare).hex()
    raise ValueError("a SHA-256 digest has 64 hex digits, or 44 characters of base64")


def named(value: object) -> object:
    """Return a pair (name, address) as one text, which the session parses like that of any message."""
    if not isinstance(value, tuple) or len(value) != 2 or not all(isinstance(part, str) for part in value):
        return value
    name, address = value
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'


def one_or_several(value: object) -> object:
    """Return one function as a tuple of it."""
    return (value,) if callable(value) else value


def not_async(listeners: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return listeners. Raises ``ValueError`` for an async function, which nobody would await."""
    for listener in listeners:
        code = getattr(getattr(listener, "function", listener), "__code__", None)
        if code is not None and code.co_flags & _CO_COROUTINE:
            name = getattr(code, "co_name", "")
            raise ValueError(f"{name} is 'async def', and is not awaited: a listener is a plain function")
    return listeners
