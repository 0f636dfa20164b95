"""What a session keeps, and where it may be used: forks and event loops."""

from __future__ import annotations

from wlsmtp import Message


def message(subject: str) -> Message:
    return Message(sender="ann@example.com", to=f"{subject}@example.org", subject=subject, text="x")
