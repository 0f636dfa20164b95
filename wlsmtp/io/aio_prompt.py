"""Takes in what a server answers at once, without a pass through the event loop.

A pass takes longer than such an answer: it waits in the system, and a processor that became idle wakes up slowly.
The loop stays fair: nothing is waited for while anything else is ready to run, nor when it had no turn for a while.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from wlsmtp.io.base import READ_SIZE
from wlsmtp.io.readiness import Readable, yield_processor

if TYPE_CHECKING:
    from wlsmtp.io.aio_wire import Wire

MOMENT = 100e-6
"""Seconds to wait for an answer: less than a pass through the loop takes that has to wait."""
SOON = 300e-6
"""Seconds within which an answer over the loop shows that the server may be prompt."""
BUDGET = 1e-3
"""Seconds after which the loop has its turn in any case: timers, and what came over other connections."""
REST = 100
"""Answers over the loop after one that did not come within ``MOMENT``, before the server is taken for prompt again."""


class Prompt:
    """How promptly the server of one connection answers."""

    def __init__(self, transport: asyncio.Transport, wire: Wire, sock: socket.socket, readable: Readable) -> None:
        """``sock`` is the socket of the transport."""
        self._transport, self._wire, self._socket, self._readable = transport, wire, sock, readable
        # Other transports may have asked the system for the next octets already.
        is_plain = type(transport).__module__ == "asyncio.selector_events"
        ready: Collection[object] | None = getattr(asyncio.get_running_loop(), "_ready", None)
        self._ready = ready if is_plain else None
        """What the loop runs next; None if that is not known."""
        self._is_prompt = False
        self._rest = 0
        self._turn_at = 0.0

    def waited(self, began: float) -> None:
        """Note that the loop had its turn, while the answer was waited for since ``began``, on the system's clock."""
        self._turn_at = time.monotonic()
        if self._rest:
            self._rest -= 1
        else:
            self._is_prompt = self._turn_at - began < SOON

    def take(self, now: float) -> bool:
        """Take in an answer that comes at once. Return whether one did."""
        ready = self._ready
        if not self._is_prompt or ready is None or ready or now - self._turn_at > BUDGET:
            return False
        while not self._readable.within(0.0):
            if ready or time.monotonic() - now > MOMENT:
                self._is_prompt, self._rest = False, 0 if ready else REST
                return False
            yield_processor()
        return not self._transport.is_closing() and self._receive()

    def _receive(self) -> bool:
        wire = self._wire
        try:
            data = self._socket.recv(READ_SIZE)
            if data:
                wire.data_received(data)
            return bool(data)  # the loop reports the end of the connection
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:  # the system reports it only once
            wire.ended, wire.failure = True, wire.failure or error
            return True
        except BaseException:  # what was received may be lost with it
            self._transport.abort()
            raise
