"""``Mail``: what a transport carries, an envelope and a content (the "mail object" of RFC 5321 §2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.receipt import Outcome


@dataclass(slots=True)
class Mail:
    """One message on its way; its envelope and its content do not change."""

    envelope: Envelope
    content: Content
    had_free_retry: bool = False
    """Whether it was sent again at once, without that counting as a try: that happens once (``retry.py``)."""
    is_suspect: bool = False
    """Whether a connection ended with a refusal of it. Nothing follows it then before it is answered, so that it takes
    no other message with it again."""
    known: Outcome | None = None
    """What is certain of it, set when whoever carries it is interrupted before giving its outcome."""
    entered_at: float | None = None
    """When it was taken from the input, on the clock of ``IO.now``, where that was a moment ago."""
