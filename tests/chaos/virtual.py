"""A third world, in which no time passes and no packet travels.

It is an asyncio loop whose clock jumps to the next event, with connections in memory to the same chaotic server. One
seed gives one history, to the last octet. A client that waits for something that can never happen gets an error, and
does not hang.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import socket
import threading
from collections import deque
from typing import Any

from tests.chaos.server import ChaosServer
from tests.worlds import Session, World
from wlsmtp import AsyncSMTPSession
from wlsmtp.io.aio import AsyncioIO

LATENCY = 0.02
"""Seconds that what the server says is on its way at most, by a clock that costs nothing."""


class VirtualWorld(World):
    """Makes sessions with one server, wherever they want to connect to."""

    def __init__(self, server: ChaosServer) -> None:
        super().__init__("asyncio")
        self.close()
        self._runner = asyncio.Runner(loop_factory=_VirtualLoop)
        self._server = server

    def session(self, *args: Any, **options: Any) -> Session:
        """See ``World.session``."""
        return Session(_VirtualSession(self._server, *args, **options), self.run)


class _Clock(selectors.SelectSelector):
    """Instead of waiting, goes forward to when the loop would have woken."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("Everybody waits, and nothing can happen any more")
        self.now += max(0.0, timeout)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


class _VirtualSession(AsyncSMTPSession):
    def __init__(self, server: ChaosServer, *args: Any, **options: Any) -> None:
        self._server = server
        super().__init__(*args, **options)

    def _io(self) -> _VirtualIO:  # type: ignore[override]
        return _VirtualIO(self._server)


class _VirtualIO(AsyncioIO):
    def __init__(self, server: ChaosServer) -> None:
        self._server = server

    async def connect(self, *_: Any, **__: Any) -> Any:
        return _VirtualStream(self._server)


class _ServerEnd:
    """For the server, a socket. Its thread and the loop never run at the same time."""

    family = socket.AF_UNIX

    def __init__(self) -> None:
        self.has_closed = self.has_reset = False
        self._changed = threading.Condition()
        self._received, self._said = bytearray(), bytearray()
        self._is_idle = self._client_has_gone = False

    def give(self, data: bytes) -> bytes:
        """Let the server have ``data``, and return what it has said by the time it has no more to do."""
        with self._changed:
            self._received += data
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.has_closed or (self._is_idle and not self._received))
            said = bytes(self._said)
            self._said.clear()
            return said

    def recv(self, size: int) -> bytes:
        with self._changed:
            self._is_idle = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._received or self._client_has_gone)
            self._is_idle = False
            data = bytes(self._received[:size])
            del self._received[:size]
            return data

    def sendall(self, data: bytes) -> None:
        self._said += data

    def setsockopt(self, _level: int, option: int, _value: object) -> None:
        self.has_reset |= option == socket.SO_LINGER

    def settimeout(self, _seconds: float) -> None:
        """No time passes for the server."""

    def shutdown(self, _how: int = socket.SHUT_RDWR) -> None:
        """The client has gone."""
        with self._changed:
            self._client_has_gone = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.has_closed = True
            self._changed.notify_all()


class _VirtualStream:
    """The client's end. What the server says comes later, and in order; an RST overtakes what was not read yet."""

    tls = None
    local_ip = "127.0.0.1"
    keeps_unread = True

    def __init__(self, server: ChaosServer) -> None:
        server.connections += 1
        self.sent = 0
        self._end = _ServerEnd()
        self._loop = asyncio.get_running_loop()
        self._dice = random.Random(f"{server.seed}/{server.connections}/latency")
        self._arrives_at = 0.0
        self._on_the_way: deque[tuple[bytes, bool]] = deque()
        self._arrived = bytearray()
        self._has_ended = self._is_aborted = False
        self._news = asyncio.Event()
        server.talk_with(self._end, server.connections)
        self._carry(b"")

    def has_input(self) -> bool:
        return bool(self._arrived) or self._has_ended

    async def read(self, deadline: float) -> bytes:
        async with asyncio.timeout_at(deadline):
            while not self.has_input():
                self._news.clear()
                await self._news.wait()
        if self._has_ended and self._end.has_reset:
            raise ConnectionResetError("virtual RST")
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    async def write(self, data: bytes | memoryview, deadline: float) -> None:
        if self._has_ended or self._is_aborted:
            raise ConnectionResetError("virtual RST")
        self.sent += len(data)
        self._carry(bytes(data))

    async def start_tls(self, *_: object) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._is_aborted = True
        self._end.shutdown()

    def _carry(self, data: bytes) -> None:
        if self._end.has_closed:
            return
        said = self._end.give(data)
        self._arrives_at = max(self._arrives_at, self._loop.time() + self._dice.uniform(0, LATENCY))
        self._on_the_way.append((said, self._end.has_closed))
        self._loop.call_at(self._arrives_at, self._arrive)

    def _arrive(self) -> None:
        said, is_the_end = self._on_the_way.popleft()
        self._arrived += said
        self._has_ended |= is_the_end
        self._news.set()
