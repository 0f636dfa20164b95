"""``Connection``: a link that is greeted, secured and authenticated, until QUIT."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import auto
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import CommandRefused, ProtocolError, SMTPError, Stage
from wlsmtp.lifecycle import Lifecycle, QuickEnum
from wlsmtp.results.secured import TLSInfo
from wlsmtp.smtp import judge
from wlsmtp.smtp.hints.row import Scene
from wlsmtp.smtp.plan import Planner
from wlsmtp.smtp.quirks import Trust
from wlsmtp.smtp.window import Window
from wlsmtp.wire import command
from wlsmtp.wire.extensions import Capabilities

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.results.reply import Reply
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.expectation import Expectation
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.plan import Plan
    from wlsmtp.smtp.quirks import ServerQuirks

LONG_IDLE = 1.0
"""Seconds of idleness after which a connection may have died unnoticed. The next message then waits for a reply before
it sends content."""

FEW = 3
"""Number of senders that may share a connection before the server has shown that it handles several messages at
once."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The result of ``verify``: the server, how the connection is secured, who is logged in, and what is offered."""

    server: str
    name: str
    """The name by which the server introduced itself."""
    tls: TLSInfo | None
    username: str | None
    """The user that was authenticated; None without authentication, or when only the server knows the name."""
    capabilities: Capabilities
    mechanism: str | None = None
    """The SASL mechanism that authenticated the user; None without authentication."""

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values for JSON, as ``Receipt.as_dict`` does; the octets of the certificate are
        left out."""
        from wlsmtp.results.plain import tls_as_dict

        extensions = {keyword: list(words) for keyword, words in self.capabilities.extensions.items()}
        return {
            "server": self.server, "name": self.name, "tls": tls_as_dict(self.tls), "username": self.username,
            "mechanism": self.mechanism, "extensions": extensions,
        }  # fmt: skip


class ConnectionState(QuickEnum):
    """The states of a connection; see docs/explanation/lifecycle.md. The pool changes them."""

    ACQUIRED = auto()
    """One sender has it exclusively."""
    SHARED = auto()
    """One or more senders use it, each with its own messages."""
    IDLE = auto()
    """No sender uses it; it waits for the next message."""
    RETIRED = auto()
    """Senders still use it, but it accepts no new messages."""
    ENDED = auto()
    """It is no longer in the pool: QUIT was sent, or the connection was lost."""


_RETIRED = ConnectionState.RETIRED
"""Faster to read than from its class, in Python 3.11."""
ALLOWED = {
    ConnectionState.ACQUIRED: frozenset(
        {ConnectionState.SHARED, ConnectionState.IDLE, ConnectionState.RETIRED, ConnectionState.ENDED}
    ),
    ConnectionState.SHARED: frozenset({ConnectionState.IDLE, ConnectionState.RETIRED, ConnectionState.ENDED}),
    ConnectionState.IDLE: frozenset({ConnectionState.ACQUIRED, ConnectionState.SHARED, ConnectionState.ENDED}),
    ConnectionState.RETIRED: frozenset({ConnectionState.ENDED}),
    ConnectionState.ENDED: frozenset[ConnectionState](),
}
"""The states that may follow each state."""


class Connection:
    """A link that is greeted, secured and authenticated: ready for transactions."""

    def __init__(self, link: Link, info: ServerInfo, config: SessionConfig, io: IO, quirks: ServerQuirks) -> None:
        self.link = link
        self.info = info
        self.scene: Scene = Scene((config.server, info.name), info.tls is not None, info.mechanism is not None)
        """The context in which a refusal on this connection is explained."""
        self.life: Lifecycle[ConnectionState] = Lifecycle(ConnectionState.ACQUIRED, ALLOWED)
        self.quit_by: float = 0.0
        """The time at which waiting for the reply to QUIT stops."""
        self.users = 0
        """Number of senders that have acquired it."""
        self.exceeds_limit = False
        """True if the server has said on it that there are too many connections, or too much mail."""
        self.opened_at: float = io.now()
        self.idle_since: float = self.opened_at
        self.planner: Planner = Planner(
            info.capabilities,
            config.pipelining,
            quirks,
            server=config.address,
            all_or_nothing=config.all_or_nothing,
            is_lmtp=config.is_lmtp,
        )
        self.window: Window = Window(link, self.planner, config.pipelining, quirks, io)
        self._config = config
        self._io = io
        self._quirks = quirks
        self._replies_when_idle: int | None = None
        self._was_long_idle = False
        self._quit_reply: Expectation | None = None
        limits = (config.pool.max_messages, info.capabilities.limit("MAILMAX"))
        self._max_messages = min((limit for limit in limits if limit), default=None)

    @property
    def is_reusable(self) -> bool:
        """True if nothing rules out another message; the server is not asked."""
        return self.link.is_usable and not self.window.load and not self.window.must_end

    @property
    def is_spent(self) -> bool:
        """True if it must not carry another message: it has reached its limit, or the server is ending it."""
        if self.window.must_end or self.life.state is _RETIRED:  # read once per message
            return True
        found = self._quirks.max_messages
        if found is not None and self.window.begun >= found:
            return True
        return self._max_messages is not None and self.window.begun >= self._max_messages

    @property
    def was_idle(self) -> bool:
        """True if it has been idle since it was opened."""
        return self._replies_when_idle is not None

    @property
    def may_be_stale(self) -> bool:
        """True if no reply has arrived since it was idle, so that the server may have closed it meanwhile."""
        return self._replies_when_idle == self.link.replies_read

    @property
    def has_delivered(self) -> bool:
        """True if it has delivered a message."""
        return self.window.has_delivered

    @property
    def has_settled(self) -> bool:
        """True if the server has answered a message in full, whatever the result."""
        return self.window.settled > 0

    @property
    def is_closing(self) -> bool:
        """True if the server has announced that it ends the connection."""
        return self.link.closing_reply is not None

    def keep(self, now: float) -> None:
        """Mark it idle."""
        self.idle_since, self._replies_when_idle = now, self.link.replies_read

    def resume(self, now: float) -> None:
        """Mark it in use again."""
        self._was_long_idle = now - self.idle_since > LONG_IDLE
        if self._was_long_idle:
            self.window.settled_when_idle = self.window.settled

    def has_room(self, size: int) -> bool:
        """Return whether one more sender may share it, with a message of ``size`` octets."""
        trust = self.planner.window_trust()
        if not self.planner.may_group or trust is Trust.BROKEN:
            return False
        if self.is_spent or (self._max_messages is not None and self.window.begun + self.users >= self._max_messages):
            return False
        most = self._config.pipelining.max_in_flight if trust is Trust.PROVEN else FEW
        return self.users < most and self.window.has_room(size)

    def plan(self, envelope: Envelope, content: Content, *, expects_more: bool) -> Plan:
        """Plan how to send a message here. Raises ``MessageError`` or ``ExtensionMissing`` before a command is sent."""
        # An earlier connection ended in silence at this count: nothing must be in doubt if this one does, too.
        is_at_limit = self.window.begun == self._quirks.lost_after
        may_be_dead = is_at_limit or (self._was_long_idle and self.may_be_stale)
        plan = self.planner.plan(envelope, content, may_be_dead=may_be_dead, expects_more=expects_more)
        if is_at_limit:
            plan.is_suspect = True
        return plan

    def allow(self) -> int:
        """Return how many messages of the usual kind may follow those in flight, as ``Flight.allow``. Limits on the
        number of messages, and a silence, leave them to ``plan``."""
        window, lost_after = self.window, self._quirks.lost_after
        if self.is_spent or (self._was_long_idle and self.may_be_stale):
            return 0
        if lost_after is not None and lost_after < window.begun:
            lost_after = None
        limits = [limit for limit in (self._max_messages, self._quirks.max_messages, lost_after) if limit is not None]
        return window.allow(min(limits, default=sys.maxsize) - window.begun)

    async def noop(self, deadlines: Deadlines) -> None:
        """Check with NOOP that the server is still there. Any reply proves it, since some servers do not know NOOP.
        Raises ``CommandRefused`` for a reply that ends the connection."""
        reply = await self.link.ask(Stage.NOOP, command.NOOP, deadlines("command"))
        check_in_place(self.link, Stage.NOOP, reply)
        if judge.is_closing(reply):
            raise CommandRefused(f"{self.link.server} ends the connection", stage=Stage.NOOP, reply=reply)
        if reply.is_positive:
            self._quirks.noop = Trust.PROVEN
        elif reply.is_permanent:
            self._quirks.noop = Trust.BROKEN

    async def begin_quit(self, deadlines: Deadlines) -> bool:
        """Send QUIT without waiting. Returns whether a reply is due, to be awaited by ``end_quit``; if not, the
        connection is closed."""
        try:
            if self.link.is_usable and not self.link.stream.has_input():
                self.quit_by = deadlines.uncut("quit")
                self._quit_reply = self.link.queue(Stage.QUIT, command.QUIT)
                await self.link.flush(self._io.now())
                return True
        except SMTPError:
            pass
        except BaseException:
            try:
                self.link.end("interrupted at QUIT")
            finally:
                await self.link.stream.close()
            raise
        await self.link.close()
        return False

    @property
    def has_answered_quit(self) -> bool:
        """True if the reply to QUIT has arrived or its time is over."""
        return self.link.stream.has_input() or self._io.now() >= self.quit_by

    async def end_quit(self, end: float) -> None:
        """Wait for the reply to QUIT, until ``end`` at most, and close. The reply has no effect: acknowledged mail
        stays acknowledged."""
        try:
            assert self._quit_reply is not None
            await self.link.reply(self._quit_reply, min(self.quit_by, end))
        except SMTPError:
            pass
        finally:
            await self.link.close()


def check_in_place(link: Link, stage: Stage, reply: Reply) -> None:
    """Raise ``ProtocolError`` for a 3xx reply, which asks for more when there is nothing more to send."""
    if reply.code // 100 == 3:
        link.end("a reply out of place")
        words = f"{link.server} sent a reply that does not answer {stage}"
        if stage is Stage.GREETING:
            words = f"{link.server} sent a reply that is not a greeting"
        raise ProtocolError(words, stage=stage, reply=reply)
