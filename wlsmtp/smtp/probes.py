"""Commands that find out what a server does, sent in the same write as a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import Stage
from wlsmtp.smtp.expectation import Expectation
from wlsmtp.wire import command
from wlsmtp.wire.content import bdat

if TYPE_CHECKING:
    from wlsmtp.results.reply import Reply
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.wording import Wording


class ChunkProbe(Expectation):
    """Probes what a server does with the octets of a BDAT that it refuses.

    Three commands in one group: RSET; BDAT, whose six octets are themselves an RSET; and BDAT without octets. Neither
    BDAT has a transaction, so both are refused. If the third reply is positive, it answers the RSET inside the chunk:
    the server has read content as commands, and a fourth reply will follow.
    """

    __slots__ = ("offered",)

    OCTETS = command.RSET + bdat(len(command.RSET), True) + command.RSET + bdat(0, True)

    def __init__(self, offered: tuple[str, ...] = ()) -> None:
        """``offered`` is what the connection offers: see ``ServerQuirks.swallows``."""
        super().__init__((Stage.RSET,) * 3)
        self.may_grow = True
        self.offered: tuple[str, ...] = offered

    @property
    def was_begun(self) -> bool:
        """True if the server has reached the first BDAT."""
        return bool(self.replies) and self.replies[0].is_positive

    @property
    def last_reply(self) -> Reply | None:
        """The latest reply, if any has come."""
        return self.replies[-1] if self.replies else None

    @property
    def is_swallowed(self) -> bool:
        """True if the server discards the octets of a refused chunk. A transient refusal may be about something else
        than the missing transaction, and says nothing of the chunks that are refused for that."""
        return len(self.replies) == 3 and self.replies[1].is_permanent

    def grow(self) -> bool:
        _, chunk, third, *more = self.replies
        if more or chunk.is_positive or not third.is_positive:
            return False
        self.left = 1
        return True


TRIAL_TIMEOUT = 3.0
"""Seconds to wait for the reply to an RSET right after content, once the content is answered. A server that has read
the RSET answers at once; a slower one gets its messages one by one."""


class Trial:
    """An RSET right after content, to see whether the server reads what follows content in the same write."""

    __slots__ = ("by_bdat", "expectation")

    is_trial = True
    with_reset = True
    is_suspect = False
    is_fully_queued = False
    wants_writer = False
    outcome = None
    size = 0

    def __init__(self, link: Link, *, by_bdat: bool) -> None:
        if link.wants_lines():
            link.show("RSET")
        self.by_bdat: bool = by_bdat
        self.expectation: Expectation = link.queue_all(command.RSET, (Stage.RSET,))

    def settle_if_accepted(self, wording: Wording) -> bool:
        """Return False, as a trial has no outcome."""
        return False

    @property
    def is_answered(self) -> bool:
        """True if the server has answered."""
        return not self.expectation.left

    @property
    def rset_reply(self) -> Reply | None:
        """The reply, once it has come."""
        return self.expectation.reply
