"""What is sent: letters that can be told from each other, whose octets are known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from wlsmtp import Envelope

SMALL, LARGE = 2_000, 150_000
_LARGE_AMONG = 60
_LINES = (b"A line of text\r\n", b".\r\n", b"..\r\n", b".dot\r\n", b"\r\n", b"QUIT\r\n", b"From here\r\n")


@dataclass(frozen=True)
class Letter:
    """A message with its envelope."""

    message_id: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def envelope(self) -> Envelope:
        """From one sender to all recipients."""
        return Envelope("ann@example.com", self.recipients)


def letters(seed: int, count: int) -> Iterator[Letter]:
    """``count`` letters, the same for the same seed: mostly small ones to one recipient."""
    dice = random.Random(f"{seed}/letters")
    for number in range(count):
        message_id = f"<{number}.{seed}@example.com>"
        names = range(dice.choice((1, 1, 1, 2, 3)))
        recipients = tuple(f"r{name}.{number}@example.org" for name in names)
        size = dice.randrange(LARGE if number % _LARGE_AMONG == 0 else SMALL)
        head = f"Message-ID: {message_id}\r\nSubject: Letter {number}\r\n\r\n".encode()
        yield Letter(message_id, recipients, head + _body(dice, size))


def _body(dice: random.Random, size: int) -> bytes:
    lines = b"".join(dice.choices(_LINES, k=40))
    return (lines * (size // len(lines) + 1))[:size].rstrip(b"\r\n") + b"\r\n"
