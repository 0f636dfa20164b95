"""``Mail``: an envelope and a content, the unit that a transport delivers (the "mail object" of RFC 5321 §2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.receipt import Outcome


@dataclass(slots=True)
class Mail:
    """One message on its way. Envelope and content do not change."""

    envelope: Envelope
    content: Content
    had_free_retry: bool = False
    """True if it was sent again at once without counting an attempt; that happens once (``retry.py``)."""
    is_suspect: bool = False
    """True if a connection ended when the server refused it. Nothing then follows it before it is answered, so that it
    takes no other message with it."""
    known: Outcome | None = None
    """The certain part of its outcome, set when its delivery is interrupted before the outcome."""
    entered_at: float | None = None
    """When it was taken from the input, on the clock of ``IO.now``; set only if that was a moment ago."""
