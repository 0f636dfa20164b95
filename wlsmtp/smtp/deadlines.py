"""How long to wait for what: the time-outs of a session as points in time, cut by the end of the whole send."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.settings.limits import Timeouts

StageName = Literal["connect", "tls", "greeting", "command", "data", "block", "content", "quit"]

_CONTENT = frozenset({"block", "content"})


class Deadlines:
    """Deadlines of one send."""

    def __init__(self, io: IO, timeouts: Timeouts, total: float | None = None) -> None:
        self._io = io
        self._timeouts = timeouts
        self.began: float = io.now()
        """When the send began."""
        self.end: float = self.began + (timeouts.total if total is None else total)
        """When the whole send must be over."""
        self.had_free_retry = False
        """Whether the message was sent again at once, without that counting as a try: that happens once."""
        self.is_suspect = False
        """Whether a connection ended with a refusal of the message."""
        self._before_content = self.end

    def __call__(self, stage: StageName) -> float:
        """The end of a wait that begins now."""
        seconds: float = getattr(self._timeouts, stage)
        end = self.end if stage in _CONTENT else self._before_content
        return min(self._io.now() + seconds, end)

    def share(self, parts: int) -> Deadlines:
        """The same, but no wait before the content takes more than its part of the time that is left, so that others
        have theirs after it."""
        return self if parts <= 1 else self.within(self.remaining / parts)

    def within(self, seconds: float) -> Deadlines:
        """The same, but all that comes before the content must be over in so many seconds."""
        hurried = copy(self)
        hurried._before_content = min(self._before_content, self._io.now() + seconds)
        return hurried

    def extend(self, seconds: float) -> None:
        """Put the end of the send off: somebody else has used up that time."""
        self.end += seconds
        self._before_content += seconds

    def uncut(self, stage: StageName) -> float:
        """The same, whenever the send must be over: for a wait that others share."""
        seconds: float = getattr(self._timeouts, stage)
        return self._io.now() + seconds

    @property
    def soon(self) -> float:
        """The end of a wait for something that is there already."""
        return self._io.now() + 0.05

    @property
    def remaining(self) -> float:
        """Seconds until the end of the send."""
        return max(0.0, self.end - self._io.now())
