"""Turns asyncio's callbacks for one connection into something to wait for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from wlsmtp.io.base import MAX_UNREAD
from wlsmtp.io.sockets import read_dry

if TYPE_CHECKING:
    from wlsmtp.io.engine import TLSEngine


class Wire(asyncio.Protocol):
    """The protocol object of one connection."""

    def __init__(self) -> None:
        self.received: bytearray = bytearray()
        self.ended: bool = False
        self.failure: Exception | None = None
        self.paused: bool = False
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.engine: TLSEngine | None = None
        self._reader: asyncio.Future[None] | None = None
        self._read_by = 0.0
        self._timer: asyncio.TimerHandle | None = None
        """Checks at ``_timer_at`` whether it is ``_read_by``: a timer for every reply would cost more than the
        reply."""
        self._timer_at = 0.0
        self._writer: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.engine is None:
            self.received += data
        else:
            self._take_in(data)
        if len(self.received) > MAX_UNREAD and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        wake(self._reader)
        if self._writer is not None:
            wake(self._writer)

    def eof_received(self) -> None:
        self.ended = True
        wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        # A failed write makes asyncio close the socket without reading what the server said before it closed.
        if exc is not None and self._transport is not None:
            for data in read_dry(self._transport.get_extra_info("socket")):
                self._take_in(data)
        self.ended, self.failure = True, self.failure or exc
        if self._timer is not None:
            self._timer.cancel()
        if not self.closed.done():
            self.closed.set_result(None)
        wake(self._reader)
        wake(self._writer)

    def secure(self, engine: TLSEngine) -> None:
        """Treat everything received from now on as TLS, including what came while the end of the handshake was
        written."""
        self.engine = engine
        self._take_in(self.take())

    def _take_in(self, data: bytes) -> None:
        engine = self.engine
        if engine is None:
            self.received += data
            return
        self.received += engine.decrypt(data)
        answer = engine.take()
        if self._transport is not None and not self._transport.is_closing():
            if answer:
                self._transport.write(answer)
            if engine.has_ended:
                self._transport.close()
        if engine.has_ended:
            self.ended, self.failure = True, self.failure or engine.failure

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        wake(self._writer)

    def take(self) -> bytes:
        data = bytes(self.received)
        self.received.clear()
        if len(data) > MAX_UNREAD and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    def lost(self) -> OSError:
        """Return the error for a connection that has ended."""
        if self.failure is None or isinstance(self.failure, OSError):
            return self.failure or ConnectionResetError("the connection was lost")
        return ConnectionResetError(str(self.failure))

    async def until_received(self, deadline: float) -> None:
        """Wait until something was received, or the end."""
        self._reader = waiter = self._loop.create_future()
        self._read_by = deadline
        if self._timer is None or deadline < self._timer_at:
            self._set_timer()
        try:
            await waiter
        finally:
            self._reader = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._read_by
        self._timer = self._loop.call_at(self._timer_at, self._time_is_up)

    def _time_is_up(self) -> None:
        """Check whether the deadline of the current wait has passed, rather than that of an earlier one."""
        self._timer = None
        if self._reader is None:
            return
        if self._read_by > self._timer_at:
            self._set_timer()
        else:
            expire(self._reader)

    async def until_resumed(self, deadline: float) -> None:
        """Wait until the transport accepts more, or something was received."""
        self._writer = self._loop.create_future()
        try:
            await within(self._writer, deadline)
        finally:
            self._writer = None


async def within(waiter: asyncio.Future[None], deadline: float) -> None:
    timer = waiter.get_loop().call_at(deadline, expire, waiter)
    try:
        await waiter
    finally:
        timer.cancel()


def wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())
