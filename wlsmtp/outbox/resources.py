"""The outbox and the connections that the workers of a session use: they are opened and closed here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from wlsmtp.errors import SMTPError
from wlsmtp.io.order import Rank

if TYPE_CHECKING:
    from collections.abc import Callable

    from wlsmtp.io.base import IO
    from wlsmtp.outbox.base import Outbox
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.transports.base import Transport

_PATIENCE = 15.0
"""Maximum seconds to wait for the end of a closing, which an interrupt may have left half done."""


class Resources:
    """An outbox and a transport. While they are being closed, a session may be opened again: then they are kept, or
    opened after that."""

    def __init__(self, outbox: Outbox, transport: Transport, io: IO, *, is_closed: bool) -> None:
        """``is_closed``: the transport has to be opened."""
        self._outbox = outbox
        self._transport = transport
        self._io = io
        self.is_outbox_open = False
        self._is_transport_closed = is_closed
        self._is_closing = False
        self._changed = io.condition(Rank.OPENING)

    async def open_outbox(self) -> None:
        """Open the outbox, if it is not open. Raises ``OutboxError``."""
        if self.is_outbox_open:
            return
        async with self._changed:
            if not self.is_outbox_open:
                await self._outbox.open()
                self.is_outbox_open = True

    async def open_transport(self, deadlines: Deadlines) -> None:
        """Open the transport, if it is closed. A failure shows when it is used."""
        if self._is_closing:
            await self._closing_ended()
        if self._is_transport_closed:
            self._is_transport_closed = False
            with suppress(SMTPError):
                await self._transport.open(deadlines)

    async def close(self, deadlines: Deadlines, is_unused: Callable[[], bool]) -> None:
        """Close what is not used again by now. Memory that still holds mail stays open."""
        if self._is_closing:
            await self._closing_ended()
        try:
            await self._close_outbox(is_unused)
        finally:
            await self._close_transport(deadlines, is_unused)

    async def _close_outbox(self, is_unused: Callable[[], bool]) -> None:
        async with self._changed:
            if self.is_outbox_open and (self._outbox.is_durable or not await self._outbox.left()):
                self.is_outbox_open = False  # before it asks: who opens a session again does both the other way round
                is_closed = False
                try:
                    if is_unused():
                        await self._outbox.close()
                        is_closed = True
                finally:  # after an interrupt, the next call of close closes it
                    self.is_outbox_open = not is_closed

    async def _close_transport(self, deadlines: Deadlines, is_unused: Callable[[], bool]) -> None:
        self._is_closing = True  # likewise
        try:
            if is_unused():
                self._is_transport_closed = True
                await self._transport.close(deadlines)  # without the lock, as listeners are called
        finally:
            self._is_closing = False
            async with self._changed:
                self._changed.notify_all()

    async def _closing_ended(self) -> None:
        deadline = self._io.now() + _PATIENCE
        async with self._changed:
            with suppress(TimeoutError):
                while self._is_closing:
                    await self._changed.wait(deadline)
