"""The log records of one mail, and what is said when it cannot be sent."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field


@dataclass
class Batch:
    """The first records, and the number of those for which there was no room."""

    most: int
    """Records of a mail."""
    characters: int
    """Characters of a mail."""
    texts: list[str] = field(default_factory=list)
    length: int = 0
    """Characters of ``texts``."""
    dropped: int = 0
    lost: int = 0
    """The number of records that were in mails before this one, which could not be sent."""
    level: int = -1
    subject: str = ""

    def add(self, text: str, level: int, subject: str) -> None:
        """Add a record. The subject is that of the first of the gravest ones."""
        if level > self.level:
            self.level, self.subject = level, subject
        if len(self.texts) >= self.most or self.length + len(text) > self.characters:
            self.dropped += 1
        else:
            self.texts.append(text)
            self.length += len(text)

    def __len__(self) -> int:
        return len(self.texts) + self.dropped + self.lost

    @property
    def title(self) -> str:
        """The subject of the mail."""
        return self.subject + (f" (+{len(self) - 1})" if len(self) > 1 else "")

    @property
    def text(self) -> str:
        """The text of the mail."""
        lines = [*self.texts]
        if self.dropped:
            room = f"{self.most} records and {self.characters} characters"
            lines.append(f"{self.dropped} more were dropped: a mail has at most {room}.")
        if self.lost:
            lines.append(f"{self.lost} of before are in no mail, as sending failed.")
        return "\n".join(lines)


def say(words: str) -> None:
    """On standard error, as handlers do."""
    if logging.raiseExceptions and sys.stderr:
        sys.stderr.write(f"wlsmtp: {words}\n")
