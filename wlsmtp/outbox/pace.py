"""Pure: at which rate the mail of each lane is sent, by the generic cell rate algorithm (GCRA, ITU-T I.371).

All that is known of a lane is one time: its theoretical arrival time (TAT), at which its next mail would come if mails
came evenly. A mail may be sent when that is at most ``tolerance`` ahead. So several programs that share the TATs keep
one rate together, and an update of one row accounts for any number of mails.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

EVERY_OTHER = "*"
"""The lane whose rate each lane without one of its own has."""
AHEAD = 0.1
"""The part of a period by which mail may be ahead of its rate."""
MOST_AHEAD = 1.0
"""The longest time in seconds by which mail may be ahead."""

CLOCK_TOLERANCE = 5.0
"""Seconds by which a clock may be corrected, and the lanes wait for it."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of mails in a time."""

    interval: float
    """Seconds from one mail to the next."""
    tolerance: float
    """Seconds by which a mail may be early. So what was not sent a moment ago, as a worker was late, is made up for."""

    @classmethod
    def of(cls, count: int, seconds: float) -> Self:
        """Return the rate of ``count`` mails in ``seconds``. In any such time at most a tenth more are sent, or what
        may be sent in a second if that is less, and one."""
        return cls(seconds / count, min(AHEAD * seconds, MOST_AHEAD))

    def arrival(self, tat: float, now: float) -> float:
        """Return the TAT of a lane as of ``now``. One that no mail can have led to was stored when the clock was ahead,
        and is ignored."""
        return now if tat > now + self.tolerance + self.interval + CLOCK_TOLERANCE else max(tat, now)

    def allowed(self, tat: float, now: float) -> int:
        """Return how many mails may be sent now."""
        return max(0, 1 + math.floor((now + self.tolerance - self.arrival(tat, now)) / self.interval))

    def after(self, tat: float, now: float, count: int) -> float:
        """Return the TAT after ``count`` mails."""
        return self.arrival(tat, now) + count * self.interval

    def free_at(self, tat: float, now: float) -> float:
        """Return when the next mail may be sent."""
        return self.arrival(tat, now) - self.tolerance


class Pace:
    """The rates of the mail of a session, or of all that share its outbox."""

    def __init__(
        self, rates: Mapping[str, tuple[int, float]], scope: Literal["cluster", "session"] = "cluster"
    ) -> None:
        """``rates`` are numbers of mails and of seconds, by lane; ``"*"`` is each other lane."""
        self.rates: dict[str, Rate] = {lane.lower(): Rate.of(*rate) for lane, rate in rates.items()}
        self.prefix: str = "" if scope == "cluster" else f"{uuid.uuid4().hex} "
        """The beginning of the names of the lanes where their TATs are stored."""

    def rate_of(self, lane: str) -> Rate | None:
        """Return the rate of a lane; None if it has none."""
        return self.rates.get(lane) or self.rates.get(EVERY_OTHER)


def lane_of(addresses: tuple[str, ...]) -> str:
    """Return the lane of a mail that names none: the domain of its first recipient."""
    _, at, domain = addresses[0].rpartition("@") if addresses else ("", "", "")
    return domain.lower() if at else ""
