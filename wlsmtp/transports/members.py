"""What combinations keep of their members: which one is left alone for a while, and which messages it has."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

from wlsmtp.errors import (
    ContentRefused,
    ExtensionMissing,
    MessageError,
    RecipientsRefused,
    SenderRefused,
    SMTPError,
)
from wlsmtp.results.statistics import PoolStatistics

if TYPE_CHECKING:
    from wlsmtp.message.mail import Mail
    from wlsmtp.transports.base import Transport

_OF_THE_MESSAGE = (SenderRefused, RecipientsRefused, ContentRefused, MessageError, ExtensionMissing)


class Member:
    """One of the transports, and since when it is left alone."""

    def __init__(self, transport: Transport, retry_after: float) -> None:
        self.transport = transport
        self._retry_after = retry_after
        self._rests_until: float | None = None

    @property
    def is_suspected(self) -> bool:
        """Whether it was down when it was last tried."""
        return self._rests_until is not None

    def is_resting(self, now: float) -> bool:
        """Whether it was found to be down a moment ago."""
        return self._rests_until is not None and now < self._rests_until

    def begin(self, now: float) -> None:
        """A try begins. The first one after a rest is a probe: until it has ended, others go elsewhere."""
        if self._rests_until is not None:
            self._rests_until = now + self._retry_after

    def end(self, error: SMTPError | None, now: float) -> float:
        """A try has ended; return for how many seconds the transport is left alone now."""
        is_down = error is not None and not _is_about_the_message(error)
        self._rests_until = now + self._retry_after if is_down else None
        return self._retry_after if is_down else 0.0


class Source:
    """Messages that are handed out, and who is to be asked what came of them."""

    def __init__(self, mails: AsyncIterator[Mail | None]) -> None:
        self._mails = mails
        self.is_over: bool = False
        self.on_their_way: deque[Mail] = deque()

    async def next(self) -> Mail | None:
        """The next message; None as well at the end."""
        try:
            return await anext(self._mails)
        except StopAsyncIteration:
            self.is_over = True
            return None

    async def until_suspected(self, member: Member) -> AsyncGenerator[Mail | None, None]:
        """Messages for ``member``, as long as they last, and it seems to be up."""
        while not member.is_suspected:
            mail = await self.next()
            if self.is_over:
                return
            if mail is not None:
                self.on_their_way.append(mail)
            yield mail


def _is_about_the_message(error: SMTPError) -> bool:
    """Whether another message may well be taken: 421 is about the server (RFC 5321 §3.8)."""
    return isinstance(error, _OF_THE_MESSAGE) and not (error.reply is not None and error.reply.code == 421)


def spread(weights: Sequence[int]) -> list[int]:
    """One round of turns, in which those with more of them are not served in a row: each turn goes to the one that is
    furthest behind its share."""
    behind = [0] * len(weights)
    turns = []
    for _ in range(sum(weights)):
        behind = [credit + weight for credit, weight in zip(behind, weights, strict=True)]
        chosen = behind.index(max(behind))
        behind[chosen] -= sum(weights)
        turns.append(chosen)
    return turns


def total(transports: Iterable[Transport]) -> PoolStatistics | None:
    """The counts of several pools together; None when there is none."""
    counts = [astuple(count) for transport in transports if (count := transport.statistics) is not None]
    return PoolStatistics(*map(sum, zip(*counts, strict=True))) if counts else None
