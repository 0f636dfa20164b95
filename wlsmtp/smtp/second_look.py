"""A second look at a message that was refused after its content was sent by DATA.

Some servers send a reply too many right behind 354, read the content nonetheless, and accept it. The client cannot tell
such a reply from the one to the content, and would report a refusal, or send the message again. So the refusal counts
once something behind the content was answered as well: what follows it already, or RSET, which has to come anyway, or
QUIT after 421. The true reply to the content comes before that, and shows itself as one too many.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wlsmtp.errors import Stage
from wlsmtp.smtp.transaction import OutOfStep, Transaction
from wlsmtp.smtp.wording import words_of
from wlsmtp.wire import command

if TYPE_CHECKING:
    from wlsmtp.results.reply import Reply
    from wlsmtp.smtp.expectation import Expectation
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.probes import Trial
    from wlsmtp.smtp.quirks import ServerQuirks

PATIENCE = 3.0
"""Seconds to wait for the reply to RSET or QUIT. A server that has refused the content answers at once."""
GRACE = 0.05
"""Seconds in which another reply may come behind the one to RSET."""
_BYE = 221
_REFUSED = 400


class SecondLook:
    """Waits for what shows that the refusal of a content was the reply to that content."""

    def __init__(self, link: Link, behind: Transaction | Trial | None, quirks: ServerQuirks) -> None:
        """``behind`` is what was sent behind the content."""
        self._quirks = quirks
        self._server = link.server
        self._is_group, self._is_last = isinstance(behind, Transaction), False
        self._is_over = False
        if isinstance(behind, Transaction):
            self._expectation: Expectation = behind
        elif behind is not None:
            self._expectation = behind.expectation
        else:
            self._is_last = link.closing_reply is not None
            what = (Stage.QUIT, command.QUIT) if self._is_last else (Stage.RSET, command.RSET)
            self._expectation = link.queue(*what)

    @property
    def timeout(self) -> float:
        """Seconds to wait for the next reply."""
        if self._is_over or self._is_group:
            return math.inf
        return GRACE if self.is_answered else PATIENCE

    @property
    def is_answered(self) -> bool:
        """True if all replies to what was sent behind the content, or others in their places, have come."""
        return self._expectation.is_complete

    @property
    def is_unsure(self) -> bool:
        """True if a reply behind the refusal was positive, so that it may answer the content, and too little came
        after it to tell."""
        if self._is_over or self._is_last or (self._is_group and self.is_answered):
            return False
        replies = self._expectation.replies
        return bool(replies) and replies[0].is_positive and not self._is_for_rset(replies[0])

    def _is_for_rset(self, reply: Reply) -> bool:
        """Return whether it has the words of replies to RSET, which are not those of replies to accepted content."""
        content, rset = self._quirks.content_words, self._quirks.rset_words
        return content is not None and content != rset and words_of(reply) == rset

    def end(self) -> None:
        """Note that no other reply came in time."""
        self._is_over = True

    @property
    def is_over(self) -> bool:
        """True if nothing more is awaited. Raises ``OutOfStep`` if the server has accepted the content after all."""
        if not self.is_answered:
            return False
        reply = self._expectation.replies[-1]
        is_data = self._is_group and self._expectation.stages[-1] is Stage.DATA
        if reply.is_positive and (is_data or (self._is_last and reply.code != _BYE)):
            words = f"{self._server} refused the content, and then sent a reply as if it had accepted it"
            raise OutOfStep(words, stage=Stage.CONTENT, reply=reply)
        return not self.is_unsure


def is_needed(transaction: Transaction) -> bool:
    """Return whether a message was refused after its content was sent to its end by DATA. LMTP has a reply for each
    recipient, so that one too many shows itself."""
    if transaction.plan.is_lmtp:
        return False
    if transaction.by_bdat or not transaction.chunks or transaction.end_at is None:
        return False
    return any(reply.code >= _REFUSED for reply in transaction.content_replies)
