"""Makes the next messages fail, so that a program can be seen to cope with it."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wlsmtp.testing.channel import CLOSE, Scripted

MAX_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to fail: at which stage of a message, and with which reply."""

    title: str
    stage: str
    reply: Scripted | None


KINDS: dict[str, Kind] = {
    "refuse-recipients": Kind("Refuse the recipients permanently", "RCPT", "550 5.1.1 No such user here"),
    "refuse-sender": Kind("Refuse the sender permanently", "MAIL", "550 5.7.1 Sender not allowed"),
    "refuse-content": Kind("Refuse the content permanently", ".", "554 5.7.1 Message refused as spam"),
    "refuse-login": Kind("Refuse the login", "LOGIN", "535 5.7.8 Authentication credentials invalid"),
    "busy": Kind("Be busy: try again later", "MAIL", "451 4.3.2 Too busy, try again later"),
    "greylist": Kind("Greylist: the recipients are refused for now", "RCPT", "451 4.7.1 Greylisted, try again later"),
    "mailbox-full": Kind("Say that the mailbox is full", "RCPT", "452 4.2.2 Mailbox full"),
    "slow": Kind("Answer late", ".", None),
    "closing": Kind("Close before the message", "MAIL", ("421 4.3.2 Service not available, closing", CLOSE)),
    "cut": Kind("Cut the connection in the middle of the content", "CONTENT", CLOSE),
    "no-reply": Kind("Take the message, and close without a reply", "STORED", CLOSE),
}


@dataclass(slots=True)
class Fault:
    """A fault that was ordered. ``times``: for how many messages; None: until it is cancelled."""

    kind: str
    times: int | None = 1
    seconds: float = 0.0
    """How late an answer comes; for ``slow`` only."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "Kind": self.kind, "Title": KINDS[self.kind].title, "Times": self.times, "Seconds": self.seconds,
        }  # fmt: skip


CHAOS = {"Sender": "MAIL", "Recipient": "RCPT", "Authentication": "LOGIN"}
"""The triggers of Mailpit's "chaos", and the stages at which they fail."""


class Faults:
    """The faults that were ordered, in their order, and the chances of random ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []
        self._chances: dict[str, tuple[int, int]] = {}

    def order(self, kind: str, times: int | None = 1, seconds: float = 5.0) -> None:
        """Make the next ``times`` messages fail (None: all of them). Raises ``ValueError`` for an unknown kind or a
        number that makes no sense."""
        if kind not in KINDS:
            raise ValueError(f"kind: must be one of {', '.join(KINDS)}")
        if times is not None and not (type(times) is int and 1 <= times <= 1_000_000):
            raise ValueError("times: must be a whole number from 1 to 1000000, or null for all messages")
        if type(seconds) not in (int, float) or not 0 <= seconds <= MAX_SECONDS:
            raise ValueError(f"seconds: must be from 0 to {MAX_SECONDS:g}")
        with self._lock:
            self._ordered.append(Fault(kind, times, seconds if kind == "slow" else 0.0))

    def clear(self) -> None:
        """Cancel all faults."""
        with self._lock:
            self._ordered.clear()
            self._chances.clear()

    @property
    def ordered(self) -> Sequence[Fault]:
        """Those that are still to come."""
        return tuple(self._ordered)

    def take(self, *, for_login: bool) -> Fault | None:
        """The fault of the message, or the login, that begins now."""
        with self._lock:
            for fault in self._ordered:
                if (KINDS[fault.kind].stage == "LOGIN") is for_login:
                    if fault.times is not None:
                        fault.times -= 1
                    if fault.times == 0:
                        self._ordered.remove(fault)
                    return fault
        return None

    @property
    def chances(self) -> dict[str, dict[str, int]]:
        """The random faults as Mailpit's API has them."""
        found = {name: self._chances.get(stage, (451, 0)) for name, stage in CHAOS.items()}
        return {name: {"ErrorCode": code, "Probability": percent} for name, (code, percent) in found.items()}

    def set_chances(self, triggers: dict[str, Any]) -> None:
        """Set the random faults; those left out are off. Raises ``ValueError``."""
        chances = {}
        for name, stage in CHAOS.items():
            trigger = triggers.get(name) or {"ErrorCode": 451, "Probability": 0}
            code, percent = trigger.get("ErrorCode", 451), trigger.get("Probability", 0)
            if not (isinstance(code, int) and 400 <= code <= 599 and isinstance(percent, int) and 0 <= percent <= 100):
                raise ValueError(f"{name}: ErrorCode must be from 400 to 599, Probability from 0 to 100")
            chances[stage] = (code, percent)
        with self._lock:
            self._chances = chances

    def by_chance(self, stage: str) -> str | None:
        """The reply of a random fault at this stage, if one falls."""
        code, percent = self._chances.get(stage, (451, 0))
        if percent and random.randrange(100) < percent:
            return f"{code} {code // 100}.3.0 Refused by chance"
        return None
