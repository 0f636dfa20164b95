"""Places for replies that are still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import Stage
from wlsmtp.results.reply import Reply, reply_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_DONE = 250


class Expectation:
    """The place for the replies to one thing that was sent, as many as ``stages``."""

    __slots__ = ("_replies", "left", "lines", "may_grow", "not_positive", "stages")

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.stages: tuple[Stage, ...] = stages
        self._replies: list[Reply] = []
        self.lines: Sequence[bytes] = ()
        """The replies in octets, if all have come at once and are positive. Few are ever read: see ``replies``."""
        self.may_grow: bool = False
        """True if the number of replies depends on the replies themselves; see ``grow``."""
        self.left: int = len(stages)
        """Number of replies still to come."""
        self.not_positive: int = 0
        """Number of replies so far that are not 2xx."""

    @property
    def replies(self) -> list[Reply]:
        """The replies that have come."""
        if self.lines:
            self._replies, self.lines = [*self._replies, *map(reply_of, self.lines)], ()
        return self._replies

    @property
    def stage(self) -> Stage:
        """The stage that the next reply answers."""
        return self.stages[-self.left]

    @property
    def is_complete(self) -> bool:
        """True if all replies have come."""
        return not self.left

    @property
    def reply(self) -> Reply | None:
        """The last reply, once all have come."""
        return self.replies[-1] if self.is_complete else None

    def take(self, lines: list[bytes], place: int) -> int:
        """Pair the lines of positive replies from ``place`` on, if they answer it as a whole. Return how many."""
        end = place + self.left
        if end > len(lines) or self.lines or self.may_grow or self.left != len(self.stages):
            return 0
        self.lines = lines[place:end]
        self.left = 0
        return end - place

    def parts(self) -> Sequence[Expectation]:
        """Return the places for replies that it consists of, to be paired one by one."""
        return (self,)

    def grow(self) -> bool:
        """Called when all replies have come, if ``may_grow``. Return True to wait for one more."""
        return False


class EarlyReply(Expectation):
    """Finds out what a reply that came with the greeting answers. EHLO and HELP are sent together.

    HELP is answered 214, or 5xx where it is not known. So a 250 comes only if EHLO is still to be answered, and then
    one more reply follows.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__((Stage.EHLO,))
        self.may_grow = True

    def grow(self) -> bool:
        if len(self.replies) > 1 or self.replies[0].code != _DONE:
            return False
        self.left = 1
        return True
