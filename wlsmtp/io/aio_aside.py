"""Functions that may hang, awaited by a task; see ``aside.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from wlsmtp.io.aside import start_aside

T = TypeVar("T")


async def await_aside(function: Callable[[], T]) -> T:
    """Return or raise what ``function`` does; a cancelled caller abandons it. Raises ``OSError`` if no thread can be
    started."""
    return await asyncio.wrap_future(start_aside(function))
