"""Deadlines: the timeouts of a session as points in time, capped by the end of the whole send; and what is certain if
that is interrupted."""

from __future__ import annotations

from copy import copy
from typing import Literal

from wlsmtp.io.base import IO
from wlsmtp.receipt import Outcome, RecipientStatus
from wlsmtp.settings.limits import Timeouts

StageName = Literal["connect", "tls", "greeting", "command", "data", "block", "content", "quit"]

_CONTENT = frozenset({"block", "content"})


class Deadlines:
    """The deadlines of one send."""

    def __init__(self, io: IO, timeouts: Timeouts, total: float | None = None) -> None:
        self._now = io.clock()
        self._timeouts = timeouts
        self.began: float = self._now()
        """The time when the send began."""
        self.end: float = self.began + (timeouts.total if total is None else total)
        """The time by which the whole send must be over."""
        self.had_free_retry = False
        """True if the message was retried at once without counting an attempt. That happens once per message."""
        self.is_suspect = False
        """True if a connection ended when the server refused the message."""
        self.certain = RecipientStatus.NOT_SENT
        """The state of the message if a ``WholeTransport`` is interrupted now. The transport sets it to ``UNKNOWN``
        before anybody could take the message as delivered, and to ``ACCEPTED`` afterwards."""
        self.known: Outcome | None = None
        """The certain part of the outcome, set when the delivery was interrupted. None: nothing is certain."""
        self._before_content = self.end

    def __call__(self, stage: StageName) -> float:
        """Return the end of a wait that begins now."""
        seconds: float = getattr(self._timeouts, stage)
        end = self.end if stage in _CONTENT else self._before_content
        return min(self._now() + seconds, end)

    def share(self, parts: int) -> Deadlines:
        """Return deadlines under which no wait before the content takes more than ``1/parts`` of the time left, so that
        later attempts have time too."""
        return self if parts <= 1 else self.within(self.remaining / parts)

    def within(self, seconds: float) -> Deadlines:
        """Return deadlines under which everything before the content must be over within ``seconds``."""
        hurried = copy(self)
        hurried._before_content = min(self._before_content, self._now() + seconds)
        return hurried

    def extend(self, seconds: float) -> None:
        """Postpone the end of the send by ``seconds`` that were spent on other work."""
        self.end += seconds
        self._before_content += seconds

    def uncut(self, stage: StageName) -> float:
        """Return the end of a wait that begins now, not capped by the end of the send: other sends share this wait."""
        seconds: float = getattr(self._timeouts, stage)
        return self._now() + seconds

    @property
    def soon(self) -> float:
        """The end of a wait for something that has already arrived."""
        return self._now() + 0.05

    @property
    def elapsed(self) -> float:
        """Seconds since the send began."""
        return self._now() - self.began

    @property
    def remaining(self) -> float:
        """Seconds until the end of the send."""
        return max(0.0, self.end - self._now())
