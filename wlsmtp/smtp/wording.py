"""Pure: recognises replies by their words, to notice that they no longer correspond to the commands.

With whole messages behind one another (BDAT), nothing but the order pairs replies with commands. A server that sends
one reply too many then shifts all later ones, and an accepted recipient looks like an accepted message. One that loses
what it has read shifts them the other way, and the RSET of the next message looks like it. But a server
says the same words to each MAIL, to each RCPT and to each RSET, which shows their replies in another place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wlsmtp.results.reply import Reply

_COMPARED = 12
"""Number of characters that are compared: the enhanced code and the first word. Identifiers come later."""

FIRST = slice(4, 4 + _COMPARED)
"""Where these are in a reply of one line in ASCII, behind the code."""


def _words(reply: Reply) -> str:
    """Return the beginning of a reply's text, up to an address that it repeats."""
    return reply.lines[0][:_COMPARED].partition("<")[0]


class Wording:
    """The words of one connection's accepting replies, learned from its first messages."""

    __slots__ = ("_commands", "_envelope", "_mail", "_rset", "command_octets")

    def __init__(self, other: Wording | None = None) -> None:
        """``other`` is that of another connection to the same server. Its words for MAIL and RCPT count until this one
        has learned its own: a reply too many may come before the first message."""
        self._mail: str | None = None
        self._rset: str | None = None
        self._envelope: frozenset[str] = other._envelope if other is not None else frozenset()
        """The words that answer MAIL and RCPT, and not the content."""
        self._commands = self._envelope
        """Those, and the words that answer RSET."""
        self.command_octets: frozenset[bytes] = frozenset()
        """The same in octets, for the ``FIRST`` ones of a line up to an address."""
        self._note_commands()

    @property
    def is_known(self) -> bool:
        """True if there is nothing left to learn."""
        return self._mail is not None and self._rset is not None

    def learn(self, rset: Reply | None, mail: Reply, rcpts: Iterable[Reply], content: Reply) -> bool:
        """Learn from the replies to an accepted message. Return False if the content is answered in the same words as
        the commands, so that no words show the place of a reply."""
        if rset is not None and self._rset is None:
            self._rset = _words(rset)
            self._note_commands()
        if self._mail is not None:
            return True
        self._mail = _words(mail)
        envelope = frozenset({self._mail, *(_words(reply) for reply in rcpts if reply.is_positive)})
        if _words(content) in envelope:
            return False
        self._envelope = envelope
        self._note_commands()
        return True

    def _note_commands(self) -> None:
        self._commands = self._envelope if self._rset is None else self._envelope | {self._rset}
        self.command_octets = frozenset(words.encode() for words in self._commands)

    def is_for_command(self, content: Reply) -> bool:
        """Return whether a reply in the place of the content has the words of those to RSET, MAIL or RCPT. A server may
        answer RSET and the content alike."""
        return _words(content) in self._commands

    def is_for_envelope(self, content: Reply) -> bool:
        """Return whether a reply in the place of the content has the words of those to MAIL or RCPT."""
        return _words(content) in self._envelope

    def is_for_reset(self, content: Reply, next_rset: Reply | None) -> bool:
        """Return whether a reply in the place of the content answers an RSET, and ``next_rset`` the MAIL after that:
        the server has lost the commands between."""
        if self._rset is None or next_rset is None or next_rset.code == 421 or _words(content) != self._rset:
            return False
        return not next_rset.is_positive or _words(next_rset) != self._rset

    def is_shifted(self, mail: Reply, next_rset: Reply | None) -> bool:
        """Return whether the replies around a refused content are in the wrong place. That to MAIL then has the words
        of those to RSET, or ``next_rset``, in the place of the RSET behind the content, has other words."""
        if next_rset is not None and next_rset.code != 421 and not next_rset.is_positive:
            return True
        if self._rset is None:
            return False
        if self._rset != self._mail and _words(mail) == self._rset:
            return True
        return next_rset is not None and next_rset.is_positive and _words(next_rset) != self._rset
