"""The messages: letters that can be distinguished, with known octets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from wlsmtp import Envelope

SMALL, LARGE = 2_000, 150_000
_LARGE_AMONG = 60
_FORGERY = b"RSET\r\nMAIL FROM:<eve@example.net>\r\nRCPT TO:<forged@example.org>\r\nBDAT 8 LAST\r\nForged\r\n"
"""A message for anyone who takes content for commands."""
_FORGERIES_AMONG = 3
NOBODY = "nobody"
"""How the addresses begin that every server refuses."""
SPAM = b"\r\nX-Spam: yes\r\n"
"""In the header of a message whose content every server refuses."""
_REFUSED_AMONG = 8
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
        return Envelope("ann@example.com", [*self.recipients])


def letters(seed: int, count: int) -> Iterator[Letter]:
    """``count`` letters, the same for the same seed: mostly small ones to one recipient."""
    dice = random.Random(f"{seed}/letters")
    for number in range(count):
        message_id = f"<{number}.{seed}@example.com>"
        names = range(dice.choice((1, 1, 1, 2, 3)))
        user = NOBODY if number % _REFUSED_AMONG == 3 else "r"
        recipients = tuple(f"{user}{name}.{number}@example.org" for name in names)
        size = dice.randrange(LARGE if number % _LARGE_AMONG == 0 else SMALL)
        spam = SPAM if number % _REFUSED_AMONG == 5 else b"\r\n"
        head = f"Message-ID: {message_id}\r\nSubject: Letter {number}".encode() + spam + b"\r\n"
        forgery = _FORGERY if number % _FORGERIES_AMONG == 0 else b""
        yield Letter(message_id, recipients, head + forgery + _body(dice, size))


def _body(dice: random.Random, size: int) -> bytes:
    lines = b"".join(dice.choices(_LINES, k=40))
    return (lines * (size // len(lines) + 1))[:size].rstrip(b"\r\n") + b"\r\n"
