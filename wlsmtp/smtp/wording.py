"""Pure: recognises replies by their words, to notice that they no longer correspond to the commands.

With whole messages behind one another (BDAT), nothing but the order pairs replies with commands. A server that sends
one reply too many then shifts all later ones, and an accepted recipient looks like an accepted message. One that loses
what it has read shifts them the other way, and the RSET of the next message looks like it. But a server
says the same words to each MAIL, to each RCPT and to each RSET, which shows their replies in another place.

The reply to a content in the words of earlier ones is in its place. Any other waits for the reply to the RSET behind
it, if one was sent: a refusal there, or other words, show that both answer something else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wlsmtp.results.reply import are_positive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wlsmtp.results.reply import Reply

_COMPARED = 12
"""Number of characters that are compared: the enhanced code and the first word. Identifiers come later."""

_TOO_MANY, _LOST, _OUT_OF_ORDER = "sent a reply too many", "lost some commands", "sent replies out of order"


def words_of(reply: Reply, line: int = 0) -> str:
    """Return the beginning of a reply's text, up to an address that it repeats."""
    return reply.lines[line][:_COMPARED].partition("<")[0]


_BEFORE_IDENTIFIER = re.compile(r"(?:\d\.\d{1,3}\.\d{1,3} )?[^\d<]*")


def common_start(known: bytes | None, reply: Reply) -> bytes:
    """Return the beginning of a reply to accepted content, up to the first digit that may belong to an identifier, as
    far as it is also that of ``known``."""
    if known is not None and starts_with(reply, known):
        return known
    found = _BEFORE_IDENTIFIER.match(reply.lines[-1][:_COMPARED])
    words = b"250 " + (found[0] if found else "").encode()
    start = words if known is None else known
    while not words.startswith(start):
        start = start[:-1]
    return start


def starts_with(reply: Reply, start: bytes) -> bool:
    """Return whether the code and the last line of a reply begin with ``start``."""
    return f"{reply.code} {reply.lines[-1]}".encode().startswith(start)


class Wording:
    """The words of one connection's accepting replies, learned from its messages."""

    __slots__ = ("_commands", "_content", "_envelope", "_mail", "_rset", "compared", "content_start", "offered")

    def __init__(self, other: Wording | None = None, offered: tuple[str, ...] = ()) -> None:
        """``other`` is that of another connection to the same server. Its words count until this one has learned its
        own: a reply too many may come before the first message. They do not if other extensions were ``offered`` there:
        behind one name there may be servers of several makers."""
        self.offered: tuple[str, ...] = offered
        """The extensions that are offered on this connection."""
        if other is not None and other.offered != offered:
            other = None
        self._mail: str | None = None
        self._rset: str | None = None
        self._envelope: frozenset[str] = other._envelope if other is not None else frozenset()
        """The words that answer MAIL and RCPT, and not the content."""
        self._commands: frozenset[str] = other._commands if other is not None else frozenset()
        """Those, and the words that answer RSET."""
        self._content: str | None = other._content if other is not None else None
        """The words with which all replies to accepted content begin. None until one is known."""
        self.content_start: bytes = _NOTHING
        """The same in octets, with the code, if no reply to a command begins so."""
        self.compared: slice = slice(1)
        """Where that stands in a reply of one line. Comparing a slice is faster than ``startswith`` in Python 3.11."""
        self._compare()

    @property
    def is_learned(self) -> bool:
        """True if the words of this server are known. Until then, only the reply to an RSET behind a content shows that
        the reply to the content is in its place."""
        return bool(self._envelope)

    @property
    def has_own(self) -> bool:
        """True if messages of this connection itself were accepted, so that one without RSET teaches nothing more."""
        return self._mail is not None

    @property
    def is_known(self) -> bool:
        """True if there is nothing left to learn from replies in known words."""
        return self._mail is not None and self._rset is not None

    def learn(
        self,
        rset: Reply | None,
        mail: Reply,
        rcpts: Iterable[Reply],
        content: Reply,
        next_rset: Reply | None = None,
    ) -> bool:
        """Learn from the replies to an accepted message. Return False if the content is answered in the same words as
        the commands, so that no words show the place of a reply."""
        if not self.is_learned and rset is not None and next_rset is not None and words_of(rset) != words_of(next_rset):
            return True  # perhaps one too many, in which case these are not in their places
        words = words_of(content, -1)
        start = words if self._content is None else self._content
        while not words.startswith(start):
            start = start[:-1]
        self._content = start
        if rset is not None and self._rset is None:
            self._rset = words_of(rset)
        if self._mail is None:
            self._mail = words_of(mail)
            envelope = frozenset({self._mail, *(words_of(reply) for reply in rcpts if reply.is_positive)})
            if words_of(content) in envelope:
                return False
            self._envelope = envelope
        self._commands = self._envelope if self._rset is None else self._envelope | {self._rset}
        self._compare()
        return True

    def _compare(self) -> None:
        start = self._content
        is_own = start and not any(words.startswith(start) for words in self._commands)
        self.content_start = b"250 " + start.encode() if start and is_own else _NOTHING
        self.compared = slice(len(self.content_start))

    def is_for_content(self, reply: Reply) -> bool:
        """Return whether a reply has the words of those to accepted content, and of no other."""
        return f"{reply.code} {reply.lines[-1]}".encode().startswith(self.content_start)

    def what_is_wrong(
        self,
        rset: Reply | None,
        mail: Reply,
        rcpts: Iterable[Reply],
        content: Reply,
        next_rset: Reply | None,
    ) -> str:
        """Return what the server seems to have done, if the replies to a message are those to other commands.
        ``next_rset`` is in the place of the reply to the RSET behind the content."""
        if next_rset is not None and next_rset.code == 421:
            next_rset = None
        known = self._rset if self._rset is not None or rset is None else words_of(rset)
        if not content.is_positive:
            if any(map(self.is_for_content, (mail, *rcpts))):
                return _OUT_OF_ORDER
            return _TOO_MANY if self._is_shifted(known, mail, next_rset) else ""
        words = words_of(content)
        if words in self._envelope:
            return _TOO_MANY
        if self.is_for_content(content):
            return ""
        is_for_command = words == known or words in self._commands
        if next_rset is None:
            is_odd = is_for_command and rset is not None and self.content_start is not _NOTHING
            return _TOO_MANY if is_odd else ""
        # If one reply too many took the place, the one behind it is that to the content. So if both are positive, it is
        # accepted, unless it was lost, and that in its place answers RSET. But which recipient was refused, if any?
        is_certain = not is_for_command and are_positive(rcpts)
        if next_rset.is_positive and (is_certain or known in (None, words_of(next_rset))):
            return ""
        return _LOST if is_for_command else _TOO_MANY

    def _is_shifted(self, known: str | None, mail: Reply, next_rset: Reply | None) -> bool:
        """Return whether the replies around a refused content are in the wrong place. That to MAIL then has the words
        of those to RSET, or ``next_rset``, in the place of the RSET behind the content, has other words."""
        if next_rset is not None and not next_rset.is_positive:
            return True
        if known is None:
            return False
        if self._rset is not None and known != self._mail and words_of(mail) == known:
            return True
        return next_rset is not None and words_of(next_rset) != known


_NOTHING = b"\0"
"""No reply begins so."""
