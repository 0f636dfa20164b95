"""When a statement was sent, so that its caller may do something else while PostgreSQL executes it.

Python runs one thread at a time. A thread that is busy holds up the one that sends by 5 ms whenever that waits for room
in the socket's buffer, and PostgreSQL has nothing to do meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from psycopg import Connection
from psycopg.waiting import Wait

T = TypeVar("T")


@contextmanager
def telling(connection: Connection[Any], tell: Callable[[], None]) -> Iterator[None]:
    """Call ``tell`` each time that psycopg has sent everything, and waits for the server."""
    wait: Any = connection.wait

    def wait_and_tell(steps: Generator[Any, Any, T], *options: Any, **named: Any) -> T:
        result: T = wait(_told(steps, tell), *options, **named)
        return result

    connection.wait = wait_and_tell  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del connection.wait


def _told(steps: Generator[Any, Any, T], tell: Callable[[], None]) -> Generator[Any, Any, T]:
    """Take the steps of psycopg: each yields what it waits for, and is sent what the socket is ready for."""
    ready = None
    try:
        while True:
            wanted = steps.send(ready)
            if wanted == Wait.R:
                tell()
            ready = yield wanted
    except StopIteration as end:
        result: T = end.value
        return result
