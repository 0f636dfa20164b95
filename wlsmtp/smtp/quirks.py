"""The features that a server really supports, as opposed to what it advertises: detected by a session and kept for all
its connections.

Each behaviour is unproven, proven or broken. An unproven behaviour is tried where a failure costs nothing. A broken one
is never tried again by this session, which then sends as smtplib does. ``BEHAVIOURS`` is the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from wlsmtp.smtp.refused_login import Logins

if TYPE_CHECKING:
    from wlsmtp.smtp.wording import Wording


class Trust(Enum):
    """How far one behaviour of one server is known."""

    UNPROVEN = "unproven"
    PROVEN = "proven"
    BROKEN = "broken"


UNPROVEN, PROVEN, BROKEN = Trust
"""For what is asked for every message: a member is slow to read from its class in Python 3.11."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row of the table: an advertised feature that may not work."""

    name: str
    """The attribute of ``ServerQuirks``."""
    title: str
    proof: str
    disproof: str
    fallback: str
    """The method used instead."""
    extensions: tuple[str, ...] = ()
    """Extensions that must be offered for the behaviour to matter."""
    needs_mail: bool = False
    """True if only a mail transaction shows it."""


_NOWHERE = frozenset[tuple[str, ...]]()

BEHAVIOURS = (
    Behaviour(
        "groups", "several commands in one group (PIPELINING, RFC 2920)",
        "a first group is answered, each command with a reply of its own",
        "503, 502 or 500 to a command of the first group, unless the reply names a policy (x.7.x). A reply that names "
        "pipelining or synchronisation. Two connections in a row that fail at a first group",
        "one command at a time",
        ("PIPELINING",),
    ),
    Behaviour(
        "rset", "RSET",
        "a 2xx reply to RSET",
        "any other reply to the first RSET that does not come right behind content, except 421; MAIL that is out of "
        "order behind RSET, after a refused message",
        "no message follows another without waiting, and a connection ends after a refused message",
    ),
    Behaviour(
        "noop", "NOOP",
        "a 2xx reply to NOOP",
        "a 5xx reply to NOOP",
        "any reply counts as a sign of life",
    ),
    Behaviour(
        "swallows_chunk", "a refused BDAT takes its octets with it (CHUNKING, RFC 3030)",
        "RSET, BDAT with six octets, BDAT with none, in one group, get three replies: the octets, themselves an RSET, "
        "were not read as a command. Once more where a new connection offers other extensions",
        "four replies, a BDAT without a transaction that is accepted, or the end of the connection",
        "DATA",
        ("PIPELINING", "CHUNKING"),
    ),
    Behaviour(
        "bdat", "BDAT",
        "content sent by BDAT is accepted",
        "500, 502 or 503 to content sent by BDAT, unless the reply names a policy (x.7.x). One reply too "
        "many. Replies to content in the words of those to MAIL or RCPT, so that one too many would not be noticed",
        "DATA",
        ("PIPELINING", "CHUNKING"), needs_mail=True,
    ),
    Behaviour(
        "behind_data", "commands right behind content sent by DATA",
        "an RSET in the same write as the end of the content is accepted",
        "a refusal, silence, or the end of the connection instead; the greeting, or the wording, of Net::Server::Mail, "
        "which stores them as part of the content",
        "the next message waits for the reply to the content",
        ("PIPELINING",), needs_mail=True,
    ),
    Behaviour(
        "behind_bdat", "commands right behind content sent by BDAT, and so whole messages behind one another",
        "an RSET in the same write as the end of the content is accepted",
        "a refusal, silence, or the end of the connection instead",
        "the next message waits for the reply to the content",
        ("PIPELINING", "CHUNKING"), needs_mail=True,
    ),
)  # fmt: skip
"""The behaviours, in the order in which a session meets them."""


@dataclass(slots=True)
class ServerQuirks(Logins):
    """The state of each behaviour, the limits that were detected, and the results of logins."""

    groups: Trust = Trust.UNPROVEN
    rset: Trust = Trust.UNPROVEN
    noop: Trust = Trust.UNPROVEN
    swallows_chunk: Trust = Trust.UNPROVEN
    swallows: frozenset[tuple[str, ...]] = _NOWHERE
    """The offers of the connections over which ``swallows_chunk`` was proven. Behind one name there may be servers
    of several makers, and a wrong guess would turn a content into commands."""
    bdat: Trust = Trust.UNPROVEN
    behind_data: Trust = Trust.UNPROVEN
    behind_bdat: Trust = Trust.UNPROVEN
    has_delivered: bool = False
    """True if the session has delivered any message to this server."""
    window: int | None = None
    """Maximum number of messages in flight over one connection, set after a connection was lost with several; None: no
    such limit. It starts at one and grows by one with each delivered message."""
    max_messages: int | None = None
    """Messages per connection, after which the server ended it (LIMITS MAILMAX, RFC 9422, announces the same)."""
    max_recipients: int | None = None
    """Recipients per message, after which the server said that there are too many (RFC 5321 §4.5.3.1.10)."""
    had_refusal: bool = False
    """True if any message was refused. Until then RSET had nothing to do, so that the first message behind a refused
    one sends no content before its envelope is accepted."""
    is_slow_to_greet: bool = False
    """True if the server was silent for some seconds and did not answer a TLS handshake either."""
    wording: Wording | None = None
    """The words of the replies on the latest connection that has delivered a message."""
    rset_words: str | None = None
    """The first words of the latest reply to an RSET behind content."""
    content_words: str | None = None
    """The first words of the latest reply to a content that was accepted by DATA."""
    content_start: bytes | None = None
    """The octets with which all such replies begin. None until one is known."""
    _group_losses: int = 0
    """Consecutive connections that failed at a group before any group was answered."""
    lost_after: int | None = None
    """Number of messages after which the last connection ended without a reply, or with one about time. The next
    message at that count sends no content before a reply has come."""

    def chunk_answered(self, trust: Trust, offered: tuple[str, ...]) -> None:
        """Record the result of a probe of a refused chunk over a connection that ``offered`` these extensions. Once it
        is proven there, it stays so; where it is broken, no other server behind the name gets BDAT either."""
        if offered in self.swallows or self.swallows_chunk is Trust.BROKEN:
            return
        self.swallows_chunk = trust
        self.swallows = self.swallows | {offered} if trust is Trust.PROVEN else _NOWHERE

    @property
    def uses_bdat(self) -> bool:
        """Return whether nothing rules out BDAT."""
        broken = Trust.BROKEN
        return self.swallows_chunk is not broken and self.bdat is not broken

    def behind(self, *, by_bdat: bool) -> Trust:
        """Return whether commands may follow content immediately, sent by BDAT or by DATA."""
        return self.behind_bdat if by_bdat else self.behind_data

    def set_behind(self, trust: Trust, *, by_bdat: bool) -> None:
        """Record the result of a command right after content."""
        if by_bdat:
            self.behind_bdat = trust
        else:
            self.behind_data = trust

    def group_lost(self) -> None:
        """Record that a connection failed at a group while no group has been answered yet. The second time in a row,
        groups may be the reason."""
        if self.groups is Trust.UNPROVEN:
            self._group_losses += 1
            if self._group_losses >= 2:
                self.groups = Trust.BROKEN

    def window_lost(self, messages: int) -> None:
        """Record that a connection was lost with several messages in flight, after it had answered ``messages``. A
        server that does so twice at the same count has a limit that it does not announce."""
        self.window = 1
        self.ended_after(messages)

    def ended_after(self, messages: int) -> None:
        """Record that a connection ended after ``messages``, perhaps for another reason. If the next one ends at the
        same count, that is taken for the limit."""
        if messages and messages == self.lost_after:
            self.limit_messages(messages)
        self.lost_after = messages or None

    def delivered(self, window_limit: int) -> None:
        """Record a delivered message: after a loss, the window grows again."""
        self.has_delivered = True
        if self.window is not None:
            self.window = self.window + 1 if self.window < window_limit else None

    def limit_messages(self, messages: int) -> None:
        """Record that the server ended a connection after so many messages."""
        self.max_messages = min(messages, self.max_messages or messages)

    def findings(self) -> dict[str, str]:
        """Return everything that is known, by attribute name, for people to read."""
        found = {behaviour.name: getattr(self, behaviour.name).value for behaviour in BEHAVIOURS}
        limits = {name: getattr(self, name) for name in ("window", "max_messages", "max_recipients")}
        return found | {name: str(limit) for name, limit in limits.items() if limit is not None}
