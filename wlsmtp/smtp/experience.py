"""What was learnt about one server that it does not say itself: kept by the transport for all its connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Confusing = Literal["BDAT", "groups"]
"""What a server may take less well than it says."""


@dataclass(slots=True)
class Experience:
    """What a server takes, in spite of what it announces."""

    takes_groups: bool = True
    """Whether it can be sent more than one command at a time (RFC 2920)."""
    takes_bdat: bool = True
    """Whether it understands BDAT (RFC 3030)."""
    is_proven: bool = False
    """Whether it has answered a group as it should. Until then no second message is sent behind the first, so that
    one that drops the connection instead leaves one message in doubt and not a window of them."""
    losses: int = 0
    """How often the connection failed at a group before any was answered."""
    mechanism: str | None = None
    """The mechanism of the last login. It is tried first, so that those that it offers, and that do not work for this
    user, do not make a failed login of every connection."""
    max_recipients: int | None = None
    """After how many recipients it said 452 (RFC 5321 §4.5.3.1.10)."""

    def suspect(self) -> None:
        """The connection failed at a group: the second time in a row, groups may be the reason."""
        self.losses += 1
        if self.losses >= 2:
            self.takes_groups = False

    def give_up(self, confusing: Confusing) -> None:
        """Remember what has confused the server."""
        if confusing == "BDAT":
            self.takes_bdat = False
        else:
            self.takes_groups = False
