"""A second look at the reply to content that was sent by DATA.

Some servers send a reply too many right behind 354, and read the content nonetheless. The client cannot tell such a
reply from the one to the content. If it is a refusal, the message would be reported as refused, or sent again, although
the server accepts it. If it is positive, the message would be reported as sent, although the server refuses it. The
true reply comes next, in the place of the reply to whatever follows the content, and shows itself so.

A refusal counts once something behind the content was answered as well: what follows it already, or RSET, which has to
come anyway, or QUIT after 421. So does an acceptance that something follows already, which takes no time. One that
nothing follows counts at once if it has the words of earlier ones. So does the first of all, unless it has the words of
replies to commands, or another message waits for it. Otherwise RSET asks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wlsmtp.errors import Stage
from wlsmtp.smtp import judge
from wlsmtp.smtp.probes import Trial
from wlsmtp.smtp.quirks import BROKEN
from wlsmtp.smtp.run import Run
from wlsmtp.smtp.transaction import OutOfStep, Transaction
from wlsmtp.smtp.wording import starts_with, words_of
from wlsmtp.wire import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.results.reply import Reply
    from wlsmtp.smtp.expectation import Expectation
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.quirks import ServerQuirks

PATIENCE = 3.0
"""Seconds to wait for the reply to RSET or QUIT. A server that has refused the content answers at once."""
GRACE = 0.05
"""Seconds in which another reply may come behind the one to RSET."""
REFUSED_GRACE = 0.5
"""The same where RSET was refused behind an accepted content, which happens once a server."""
_BYE, _START_MAIL_INPUT, _REFUSED, _CLOSING = 221, 354, 400, 421


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
        return self._grace if self.is_answered else PATIENCE

    @property
    def _grace(self) -> float:
        return GRACE

    @property
    def may_end(self) -> bool:
        """True if nothing is awaited but another reply, which need not come."""
        return self.is_answered and self.timeout < math.inf

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


class LookAtAcceptance(SecondLook):
    """Waits for what shows that the acceptance of a content was the reply to that content: any positive reply behind
    it, which either answers what follows or is the true one."""

    def __init__(
        self, head: Transaction, link: Link, behind: Transaction | Trial | None, quirks: ServerQuirks, *, is_odd: bool
    ) -> None:
        """``is_odd``: the reply to ``head`` seems to answer something else."""
        super().__init__(link, behind, quirks)
        self._head = head
        self._is_odd = is_odd

    @property
    def _grace(self) -> float:
        return REFUSED_GRACE

    @property
    def is_unsure(self) -> bool:
        if self._is_over:
            return False
        replies = self._expectation.replies
        if not replies or (not self._is_group and judge.is_misunderstanding(replies[0])):  # it may not know RSET
            return self._is_odd
        return self._is_refused(replies[0])

    @property
    def is_over(self) -> bool:
        replies = self._expectation.replies
        if not replies:
            return False
        if self._is_over or not self._is_refused(replies[0]):
            self._head.has_surplus = self._head.has_surplus or self._is_for_content(replies[0])
            return True
        is_about_rset = judge.is_misunderstanding(replies[0]) or judge.names_groups(replies[:1])
        if is_about_rset and self._is_group and replies[-1].code == _START_MAIL_INPUT:
            return True  # all replies are in their places
        if self._is_group:
            awaits_more = is_about_rset and not self.is_answered and self._expectation.stages[-1] is Stage.DATA
        else:
            awaits_more = is_about_rset
        if awaits_more:
            return False
        if self._is_group:
            self._quirks.behind_data = BROKEN
        words = f"{self._server} accepted the content, and then sent a reply as if it had refused it"
        raise OutOfStep(words, stage=Stage.CONTENT, reply=replies[0])

    def _is_for_content(self, reply: Reply) -> bool:
        """Return whether a reply behind the one to the content has its usual words instead."""
        is_usual = self._quirks.content_start is not None and _is_usual(reply, self._quirks)
        return is_usual and not _is_usual(self._head.last, self._quirks) and words_of(reply) != self._quirks.rset_words

    @staticmethod
    def _is_refused(reply: Reply) -> bool:
        return not reply.is_positive and reply.code != _CLOSING


def look_at(
    head: Transaction,
    link: Link,
    behind: Transaction | Trial | None,
    quirks: ServerQuirks,
    *,
    is_followed: bool,
) -> SecondLook | None:
    """Return the second look that the replies to a message need, if any. ``is_followed``: others wait for it. LMTP has
    a reply for each recipient, so that one too many shows itself."""
    if head.by_bdat or not head.chunks or head.end_at is None or head.plan.is_lmtp or quirks.rset is BROKEN:
        return None
    if behind is None and link.ended:
        return None
    if head.last.code >= _REFUSED:
        return SecondLook(link, behind, quirks)
    is_odd = head.has_surplus or _is_of_command(head, quirks)
    is_first = quirks.content_start is None and is_followed
    if head.last.is_positive and (behind is not None or is_odd or is_first or not _is_usual(head.last, quirks)):
        return LookAtAcceptance(head, link, behind, quirks, is_odd=is_odd)
    return None


def is_beyond_doubt(head: Transaction, in_flight: Sequence[Transaction | Trial | Run], quirks: ServerQuirks) -> bool:
    """Return whether the acceptance of ``head``, the oldest, by DATA needs no second look, the usual case."""
    final = head.chunks[-1] if head.chunks else head
    if final.left:
        return False
    if len(in_flight) > 1:
        behind = in_flight[1]
        reply = None if isinstance(behind, Run) else behind.rset_reply
        return reply is not None and reply.is_positive
    if head.has_surplus or quirks.content_start is None:
        return False
    return final.lines[-1].startswith(quirks.content_start) if final.lines else _is_usual(head.last, quirks)


def _is_usual(reply: Reply, quirks: ServerQuirks) -> bool:
    """Return whether a positive reply has the words of those to accepted content, as far as they are known."""
    return quirks.content_start is None or starts_with(reply, quirks.content_start)


def _is_of_command(head: Transaction, quirks: ServerQuirks) -> bool:
    """Return whether the reply to a content has the words of one to a command, at a server that answers commands in
    different ones, while no words of replies to content are known."""
    words = words_of(head.last)
    if not words or quirks.content_start is not None:
        return False
    envelope = {words_of(reply) for reply in (head.mail, *head.rcpts)}
    return words in envelope if len(envelope) > 1 else words == quirks.rset_words and words not in envelope


def is_accepted(head: Transaction, look: SecondLook | None) -> bool:
    """Return whether the content of a message was accepted by DATA, and nothing speaks against it."""
    return (
        bool(head.chunks)
        and head.end_at is not None
        and head.last.is_positive
        and not (look is not None and look.is_unsure)
    )
