"""Whether a socket has anything to read, without reading it and without waiting."""

from __future__ import annotations

import select


def is_readable(fileno: int) -> bool:
    """Whether a read would return at once, be it with bytes, the end, or an error."""
    if fileno < 0:
        return True  # closed: reading fails at once
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([fileno], [], [], 0)[0])
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))
