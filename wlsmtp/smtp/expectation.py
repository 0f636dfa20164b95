"""The places of replies that are still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wlsmtp.errors import Stage
    from wlsmtp.results.reply import Reply


class Expectation:
    """The place of the replies that are to come to one thing that was sent, as many as ``stages``."""

    __slots__ = ("left", "not_positive", "replies", "stages")

    may_grow = False
    """Whether the number of replies depends on what they are; see ``grow``."""

    def __init__(self, stages: tuple[Stage, ...], replies: list[Reply] | None = None) -> None:
        """``replies``: the list that they are added to, when several steps share one."""
        self.stages: tuple[Stage, ...] = stages
        self.replies: list[Reply] = [] if replies is None else replies
        self.left: int = len(stages)
        """How many replies are still to come."""
        self.not_positive: int = 0
        """How many of the replies so far are not 2xx."""

    @property
    def stage(self) -> Stage:
        """What the next reply will answer."""
        return self.stages[-self.left]

    @property
    def is_complete(self) -> bool:
        """Whether all replies have come."""
        return not self.left

    @property
    def reply(self) -> Reply | None:
        """The last of the replies, once all have come."""
        return self.replies[-1] if self.is_complete else None

    def grow(self) -> bool:
        """Called when all replies have come, if ``may_grow``: wait for one more where they show that it must come."""
        return False
