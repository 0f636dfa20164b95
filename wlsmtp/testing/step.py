"""The current command of a client, as a quirk sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.testing.channel import Rewrite

if TYPE_CHECKING:
    from wlsmtp.testing.conversation import ServerSide


@dataclass(frozen=True)
class Step:
    """The current command: a verb and the rest of its line; or ``ACCEPT`` for TLS from the first byte, or ``CONNECT``
    for the greeting."""

    side: ServerSide
    verb: str
    rest: str
    limit: int
    """The number after the quirk's name."""
    proceed: Callable[[], None]
    """Execute the command as usual."""

    @property
    def ends_content(self) -> bool:
        """True if this ends a content, if the server lets it begin."""
        return self.verb == "DATA" or (self.verb == "BDAT" and self.rest.upper().endswith(" LAST"))

    @property
    def is_in_group(self) -> bool:
        """True if the client has sent more without waiting for the reply to this; a chunk is part of its command."""
        chunk = self.rest.partition(" ")[0] if self.verb == "BDAT" else ""
        return self.verb != "CONNECT" and len(self.side.received) > (int(chunk) if chunk.isdigit() else 0)

    @property
    def is_mail_beyond_limit(self) -> bool:
        return self.verb == "MAIL" and self.side.commands["MAIL"] > self.limit

    @property
    def has_recipient(self) -> bool:
        return bool(self.side.envelope.recipients)

    def instead(self, condition: bool, *replies: str, reads_chunk: bool = True) -> None:
        """Send this reply if the condition holds, else execute the command as usual. The octets of a chunk are read in
        any case."""
        if not condition:
            self.proceed()
            return
        if reads_chunk:
            self.side.skip_chunk(self.verb, self.rest)
        self.side.say(replies)

    def proceed_and_rewrite(self, rewrite: Rewrite) -> None:
        """Execute the command as usual, and change the replies to it."""
        self.side.rewriters.append(rewrite)
        self.proceed()
        self.side.rewriters.remove(rewrite)
