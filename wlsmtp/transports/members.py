"""The members of a combination: which are down for now, and which messages each has."""

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
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.transports.base import Transport

_OF_THE_MESSAGE = (SenderRefused, RecipientsRefused, ContentRefused, MessageError, ExtensionMissing)


class Member:
    """One of the transports, and since when it is not used."""

    def __init__(self, transport: Transport, retry_after: float) -> None:
        self.transport = transport
        self._retry_after = retry_after
        self._rests_until: float | None = None

    @property
    def is_suspected(self) -> bool:
        """True if it was down when it was last tried."""
        return self._rests_until is not None

    def is_resting(self, now: float) -> bool:
        """True if it was found to be down recently."""
        return self._rests_until is not None and now < self._rests_until

    def begin(self, now: float) -> None:
        """Begin an attempt. The first one after a pause is a probe: until it has ended, others go elsewhere."""
        if self._rests_until is not None:
            self._rests_until = now + self._retry_after

    def end(self, error: SMTPError | None, now: float) -> float:
        """End an attempt; return for how many seconds the transport is not used now."""
        is_down = error is not None and not _is_about_the_message(error)
        self._rests_until = now + self._retry_after if is_down else None
        return self._retry_after if is_down else 0.0


class Source:
    """Messages to be handed out, and the members that have them."""

    def __init__(self, mails: AsyncIterator[Mail | None]) -> None:
        self._mails = mails
        self.is_over: bool = False
        self.on_their_way: deque[Mail] = deque()
        self.was_read: bool = False
        """True if the latest member has asked for a message."""

    async def next(self) -> Mail | None:
        """Return the next message; None at the end as well."""
        self.was_read = True
        try:
            return await anext(self._mails)
        except StopAsyncIteration:
            self.is_over = True
            return None

    async def until_suspected(self, member: Member) -> AsyncGenerator[Mail | None, None]:
        """Yield messages for ``member``, as long as there are any and it seems to be up."""
        while not member.is_suspected:
            mail = await self.next()
            if self.is_over:
                return
            if mail is not None:
                self.on_their_way.append(mail)
            yield mail


def _is_about_the_message(error: SMTPError) -> bool:
    """Return whether another message may be accepted: 421 is about the server (RFC 5321 §3.8)."""
    return isinstance(error, _OF_THE_MESSAGE) and not (error.reply is not None and error.reply.code == 421)


def spread(weights: Sequence[int]) -> list[int]:
    """Return one round of turns in which members with more turns are not served in a row: each turn goes to the one
    that is furthest behind its share."""
    behind = [0] * len(weights)
    turns = []
    for _ in range(sum(weights)):
        behind = [credit + weight for credit, weight in zip(behind, weights, strict=True)]
        chosen = behind.index(max(behind))
        behind[chosen] -= sum(weights)
        turns.append(chosen)
    return turns


async def close_all(transports: Iterable[Transport], deadlines: Deadlines) -> None:
    """Close each of them, whatever is raised; then raise the first error, if there is one."""
    errors = list[BaseException]()
    for transport in transports:
        try:
            await transport.close(deadlines)
        except SMTPError as error:
            errors.append(error)
        except BaseException as error:  # the caller is interrupted: the others do not wait for anything
            errors.insert(0, error)
            deadlines.extend(-deadlines.remaining)
    if errors:
        raise errors[0]


def total(transports: Iterable[Transport]) -> PoolStatistics | None:
    """Return the sum of the counts of several pools; None if there are none."""
    counts = [astuple(count) for transport in transports if (count := transport.statistics) is not None]
    return PoolStatistics(*map(sum, zip(*counts, strict=True))) if counts else None
