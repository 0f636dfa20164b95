"""Masks secrets that were sent, in the server's replies and the errors that quote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import Stage
from wlsmtp.wire.masking import Masking

if TYPE_CHECKING:
    from wlsmtp.errors import SMTPError
    from wlsmtp.results.reply import Reply
    from wlsmtp.wire.masking import Notations

_MOST_CLEAN = 32
_BEFORE_MAIL = (Stage.EHLO, Stage.AUTH)
"""The stages whose replies are masked in ways of their own."""


class MaskedReplies:
    """The secrets that were sent over one link."""

    def __init__(self) -> None:
        self.masking: Masking | None = None
        """Masks secrets that were sent in the server's replies. None: there are none."""
        self._clean: dict[int, Reply] = {}
        """Replies without a secret, by their ``id``: most are the same few objects."""

    def mask(self, secret: Notations) -> None:
        """Mask a secret that is about to be sent in the server's replies from now on."""
        if self.masking is None:
            self.masking = Masking()
        if self.masking.add(secret):
            self._clean.clear()

    def mask_error(self, error: SMTPError) -> None:
        """Remove secrets that were sent from an error."""
        if self.masking is not None:
            self.masking.error(error)

    def may_hold_secret(self, lines: list[bytes], stage: Stage) -> bool:
        """Return whether some of these replies, to ``stage``, may be changed by ``without_secrets``."""
        if self.masking is None:
            return False
        text = str(b"\n".join(lines), "ascii")
        return stage in _BEFORE_MAIL or self.masking.hide(text) != text

    def without_secrets(self, replies: list[Reply], stage: Stage) -> list[Reply]:
        """Return the replies as errors and receipts may show them. EHLO and AUTH are never sent with other commands, so
        all replies have one stage."""
        masking, clean = self.masking, self._clean
        if masking is None:
            return replies
        return [
            reply if clean.get(id(reply)) is reply else self._without_secrets(reply, stage, masking)
            for reply in replies
        ]

    def _without_secrets(self, reply: Reply, stage: Stage, masking: Masking) -> Reply:
        """Return the reply without secrets. A challenge is left unchanged, since it is computed with."""
        if stage is Stage.AUTH and reply.is_intermediate:
            return reply
        hidden = masking.offer(reply) if stage is Stage.EHLO and reply.is_positive else masking.reply(reply)
        if hidden is reply:
            if len(self._clean) >= _MOST_CLEAN:
                self._clean.clear()
            self._clean[id(reply)] = reply
        return hidden
