"""Pure: what a server does otherwise than the RFCs say, or more strictly than clients expect. Real ones do each of
these; a run has the same quirks on all its connections, with numbers that differ from one to the next."""

from __future__ import annotations

import random
from enum import StrEnum


class Quirk(StrEnum):
    """One habit of a server."""

    KEEPS_ENVELOPE = "keeps the envelope after a refused end of DATA"
    DISCARDS = "discards what follows the content"
    UNREAD_CHUNK = "reads the chunk of a BDAT without recipients as commands"
    STAYS_AFTER_421 = "says 421 after some messages, and stays"
    CLOSES_AFTER_421 = "says 421 after some messages, and closes"
    IDLE = "says 451 4.4.2 on kept connections"
    NO_RSET = "knows no RSET"
    NO_GROUPS = "says 503 to groups"
    FEW_RECIPIENTS = "takes few recipients: 452"
    FEW_RECIPIENTS_451 = "takes few recipients: 451 4.5.3"


SHARE = 0.25
"""How often a server has a quirk."""
IDLE_AMONG = 5
"""One MAIL among so many over a kept connection comes too late."""


def quirks_of(seed: int) -> frozenset[Quirk]:
    """Those of the server of a run."""
    dice = random.Random(f"{seed}/quirks")
    return frozenset(quirk for quirk in Quirk if dice.random() < SHARE)


class Habits:
    """The quirks of one connection, with its numbers."""

    def __init__(self, quirks: frozenset[Quirk], seed: int, connection: int) -> None:
        self._quirks = quirks
        self._dice = random.Random(f"{seed}/{connection}/habits")
        self.max_messages = self._dice.randrange(1, 12)
        self.max_recipients = self._dice.randrange(1, 3)

    def __contains__(self, quirk: Quirk) -> bool:
        return quirk in self._quirks

    def has_enough(self, messages: int) -> bool:
        """Whether no message more is taken over the connection."""
        has_limit = Quirk.STAYS_AFTER_421 in self or Quirk.CLOSES_AFTER_421 in self
        return has_limit and messages >= self.max_messages

    @property
    def comes_too_late(self) -> bool:
        """Whether a kept connection was kept for too long; asked at each MAIL."""
        return Quirk.IDLE in self and self._dice.randrange(IDLE_AMONG) == 0

    @property
    def too_many_recipients(self) -> str | None:
        """The reply to a recipient too many; None where there may be any number."""
        if Quirk.FEW_RECIPIENTS in self:
            return "452 4.5.3 Too many recipients"
        return "451 4.5.3 Too many recipients" if Quirk.FEW_RECIPIENTS_451 in self else None
