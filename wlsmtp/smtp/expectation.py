"""Places for replies that are still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wlsmtp.errors import Stage
    from wlsmtp.results.reply import Reply


class Expectation:
    """The place for the replies to one thing that was sent, as many as ``stages``."""

    __slots__ = ("left", "not_positive", "replies", "stages")

    may_grow = False
    """True if the number of replies depends on the replies themselves; see ``grow``."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.stages: tuple[Stage, ...] = stages
        self.replies: list[Reply] = []
        self.left: int = len(stages)
        """Number of replies still to come."""
        self.not_positive: int = 0
        """Number of replies so far that are not 2xx."""

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

    def grow(self) -> bool:
        """Called when all replies have come, if ``may_grow``. Return True to wait for one more."""
        return False
