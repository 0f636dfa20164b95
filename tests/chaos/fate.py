"""Pure: what befalls each command of each connection. The same seed, connection and number of the command give the
same fate, whatever the time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What a chaotic server does with a command, or at the end of a content (stage ".")."""

    NOTHING = "as it should be"
    LATER = "4xx"
    NEVER = "5xx"
    GOODBYE = "421 and close"
    CLOSE = "close instead"
    RESET = "reset instead"
    STALL = "silent instead"
    DONE_CLOSE = "done, then close"
    DONE_RESET = "done, then reset"
    DONE_STALL = "done, then silent"
    HALF = "done, half a reply, then close"
    MUTE = "done like all that follows, without a word"
    CUT_CONTENT = "close in the middle of what follows"


# How often, in 10,000 commands. A client waits for its deadline whenever a server falls silent: that is rare.
RATES = {
    Fate.LATER: 120, Fate.NEVER: 60, Fate.GOODBYE: 20, Fate.CLOSE: 20, Fate.RESET: 20, Fate.STALL: 2,
    Fate.DONE_CLOSE: 20, Fate.DONE_RESET: 20, Fate.DONE_STALL: 2, Fate.HALF: 20, Fate.MUTE: 4, Fate.CUT_CONTENT: 20,
}  # fmt: skip
_FATES = (Fate.NOTHING, *RATES)
_WEIGHTS = (10_000 - sum(RATES.values()), *RATES.values())


@dataclass(frozen=True)
class Decision:
    """A fate, and a number from 0 to 1 for what it leaves open: which code, where to cut."""

    fate: Fate
    share: float


class Destiny:
    """The fates of one connection, command after command."""

    def __init__(self, seed: int, connection: int) -> None:
        self._random = random.Random(f"{seed}/{connection}")

    def next(self) -> Decision:
        """The fate of the next command."""
        [fate] = self._random.choices(_FATES, _WEIGHTS)
        return Decision(fate, self._random.random())


LATER = ("432 4.3.2 Not now", "450 4.2.1 Try later", "451 4.3.0 Local trouble", "452 4.5.3 Too many", "499 Strange")
NEVER = ("500 5.5.2 What", "550 5.7.1 No", "552 5.3.4 Too big", "554 5.6.0 Bad", "599 Strange")


def refusal(codes: tuple[str, ...], share: float) -> str:
    """One of the replies."""
    return codes[int(share * len(codes))]
