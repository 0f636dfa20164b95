"""What a server really supports, as opposed to what it advertises: learned by a session, kept for all its connections.

Each behaviour is unproven, proven or broken. What is unproven is tried where a failure costs nothing; what is broken is
never tried again by this session, which then does what smtplib does. ``BEHAVIOURS`` is the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from wlsmtp.smtp.refused_login import Logins


class Trust(Enum):
    """What is known of one behaviour of one server."""

    UNPROVEN = "unproven"
    PROVEN = "proven"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row of the table: what a server may do less well than it says."""

    name: str
    """The attribute of ``ServerQuirks``."""
    title: str
    proof: str
    disproof: str
    fallback: str
    """What the session does instead."""
    extensions: tuple[str, ...] = ()
    """What a server offers that has it."""
    needs_mail: bool = False
    """Whether only mail shows it."""


BEHAVIOURS = (
    Behaviour(
        "groups", "several commands in one group (PIPELINING, RFC 2920)",
        "a first group is answered, each command with a reply of its own",
        "503, 502 or 500 to a command of the first group, unless the reply names a policy (x.7.x); a reply that names "
        "pipelining or synchronisation; two connections in a row that fail at a first group",
        "one command at a time",
        ("PIPELINING",),
    ),
    Behaviour(
        "rset", "RSET",
        "a 2xx reply to RSET",
        "any other reply to the first RSET that does not come right behind content, except 421",
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
        "were not read as a command",
        "four replies, a BDAT without a transaction that is accepted, or the end of the connection",
        "DATA",
        ("PIPELINING", "CHUNKING"),
    ),
    Behaviour(
        "bdat", "BDAT",
        "content sent by BDAT is accepted",
        "500, 502 or 503 to content sent by BDAT, unless the reply names a policy (x.7.x)",
        "DATA",
        ("PIPELINING", "CHUNKING"), needs_mail=True,
    ),
    Behaviour(
        "behind_data", "commands right behind content sent by DATA",
        "an RSET in the same write as the end of the content is accepted",
        "a refusal, silence, or the end of the connection instead; a greeting of Net::Server::Mail, which stores them "
        "as part of the content",
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
"""In the order in which a session meets them."""


@dataclass(slots=True)
class ServerQuirks(Logins):
    """The state of each behaviour, the limits that the server has shown, and its answers to logins."""

    groups: Trust = Trust.UNPROVEN
    rset: Trust = Trust.UNPROVEN
    noop: Trust = Trust.UNPROVEN
    swallows_chunk: Trust = Trust.UNPROVEN
    bdat: Trust = Trust.UNPROVEN
    behind_data: Trust = Trust.UNPROVEN
    behind_bdat: Trust = Trust.UNPROVEN
    has_delivered: bool = False
    """Whether the session has delivered any message to this server."""
    window: int | None = None
    """Messages in flight over one connection at most, after a connection was lost with several; None: no such limit.
    One after the loss, and one more for each message that is delivered."""
    max_messages: int | None = None
    """Messages a connection, after which the server ended it (LIMITS MAILMAX, RFC 9422, says the same in advance)."""
    max_recipients: int | None = None
    """Recipients a message, after which the server said that there are too many (RFC 5321 §4.5.3.1.10)."""
    is_slow_to_greet: bool = False
    """Whether the server was silent for some seconds, and did not answer a TLS handshake either."""
    _group_losses: int = 0
    """Connections in a row that failed at a group before any was answered."""
    _lost_after: int | None = None
    """After how many messages the last connection ended that did so without a word, or with one about time."""

    @property
    def uses_bdat(self) -> bool:
        """Whether nothing speaks against BDAT."""
        broken = Trust.BROKEN
        return self.swallows_chunk is not broken and self.bdat is not broken

    def behind(self, *, by_bdat: bool) -> Trust:
        """Whether commands may follow content right away, sent by BDAT or by DATA."""
        return self.behind_bdat if by_bdat else self.behind_data

    def set_behind(self, trust: Trust, *, by_bdat: bool) -> None:
        """Record how a command right behind content fared."""
        if by_bdat:
            self.behind_bdat = trust
        else:
            self.behind_data = trust

    def group_lost(self) -> None:
        """A connection failed at a group, and no group has been answered yet: the second time in a row, groups may be
        the reason."""
        if self.groups is Trust.UNPROVEN:
            self._group_losses += 1
            if self._group_losses >= 2:
                self.groups = Trust.BROKEN

    def window_lost(self, messages: int) -> None:
        """A connection was lost with several messages in flight, after it had answered ``messages``. A server that does
        so twice at the same count has a limit that it does not announce."""
        self.window = 1
        self.ended_after(messages)

    def ended_after(self, messages: int) -> None:
        """A connection ended after ``messages``, for a reason that need not be their number: the second time in a row
        that it is the same, it is taken for the limit."""
        if messages and messages == self._lost_after:
            self.limit_messages(messages)
        self._lost_after = messages

    def delivered(self, window_limit: int) -> None:
        """A message was delivered: after a loss, the window grows again."""
        self.has_delivered = True
        if self.window is not None:
            self.window = self.window + 1 if self.window < window_limit else None

    def limit_messages(self, messages: int) -> None:
        """The server ended a connection after so many messages."""
        self.max_messages = min(messages, self.max_messages or messages)

    def findings(self) -> dict[str, str]:
        """Everything that is known, by the names of the attributes: for people to read."""
        found = {behaviour.name: getattr(self, behaviour.name).value for behaviour in BEHAVIOURS}
        limits = {name: getattr(self, name) for name in ("window", "max_messages", "max_recipients")}
        return found | {name: str(limit) for name, limit in limits.items() if limit is not None}
