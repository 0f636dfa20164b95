"""One mail transaction (RFC 5321 §3.3) on its way through a window: what was said, what was answered, what came of
it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, Stage
from wlsmtp.smtp import judge
from wlsmtp.smtp.plan import Manner, stages_of
from wlsmtp.wire import command
from wlsmtp.wire.content import DotStuffer, bdat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.errors import SMTPError
    from wlsmtp.receipt import Outcome
    from wlsmtp.smtp.experience import Confusing
    from wlsmtp.smtp.link import Expectation, Link
    from wlsmtp.smtp.plan import Plan
    from wlsmtp.wire.reply import Reply


class Unsaid(ConnectionFailed):
    """Not a word of the message was said: it goes over another connection, at once."""


class Misunderstood(ConnectionFailed):
    """The server did not understand commands in a group, or BDAT, that it offers: the message is to be said again in
    another manner, at once."""

    @classmethod
    def about(cls, confusing: Confusing, reply: Reply | None) -> Misunderstood:
        """The error, with the words of the server."""
        return cls(f"The server did not understand {confusing}", stage=Stage.MAIL, reply=reply)


class Transaction:
    """The replies are in ``group`` (RSET, MAIL, RCPTs, and DATA or BDAT) and, after DATA, in ``final``."""

    __slots__ = ("_is_grouped", "end_at", "final", "group", "outcome", "plan", "with_reset")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._is_grouped = plan.manner is Manner.GROUPED
        self.with_reset = False
        self.group: Expectation | None = None
        """None while nothing was said."""
        self.final: Expectation | None = None
        self.end_at: int | None = None
        """Where on the link the content ends, once it was said."""
        self.outcome: Outcome | None = None

    @property
    def awaits_go_ahead(self) -> bool:
        """Whether its content waits for the reply to DATA, and everything else behind it."""
        return self._is_grouped and self.final is None

    @property
    def is_answered(self) -> bool:
        """Whether all replies to what was said have come."""
        expectation = self.final or self.group
        return expectation is not None and not expectation.left

    def say(self, link: Link, reset: bool) -> None:
        """Queue the whole transaction, or its commands up to DATA."""
        plan = self.plan
        self.with_reset = reset
        rcpts, content = plan.envelope.rcpt_lines, plan.content
        whole = plan.manner is Manner.WHOLE
        commands = [command.RSET, plan.mail, *rcpts] if reset else [plan.mail, *rcpts]
        commands.append(bdat(content.size, True) if whole else command.DATA)
        if link.wants_lines:
            self._show(link, b"".join(commands))
        if whole:
            commands += content.chunks()
        stages = stages_of(len(rcpts), Stage.CONTENT if whole else Stage.DATA, reset)
        self.group = link.say_all(b"".join(commands), stages)
        if whole:
            self.end_at = link.said

    def say_content(self, link: Link) -> None:
        """Queue the content with its end, after 354; of a message that nobody may get only the end, as there is no
        other way out (RFC 2920 §3.1)."""
        if not self.is_wanted:
            self.final = link.say_all(command.END_OF_EMPTY_CONTENT, (Stage.CONTENT,))
            return
        stuffer = DotStuffer()
        octets = b"".join([*map(stuffer.encode, self.plan.content.chunks()), stuffer.end()])
        self.final = link.say_all(octets, (Stage.CONTENT,))
        self.end_at = link.said
        link.show_content(self.plan.content.size)

    @property
    def is_wanted(self) -> bool:
        """Whether any recipient was accepted, and the sender."""
        return self.mail.is_positive and any(reply.is_positive for reply in self._rcpts)

    @property
    def mail(self) -> Reply:
        """The reply to MAIL, once the group is answered."""
        return self._replies[self.with_reset]

    @property
    def last(self) -> Reply:
        """The reply to DATA or BDAT, once the group is answered."""
        return self._replies[-1]

    @property
    def final_word(self) -> Reply:
        """The reply to the content, once all is answered."""
        return self.final.replies[0] if self.final is not None else self.last

    def conclude(self) -> Outcome:
        """Set the outcome, once all is answered, and return it."""
        self.outcome = outcome = self._outcome()
        return outcome

    def _outcome(self) -> Outcome:
        recipients = self.plan.envelope.addresses
        if self.final is None and judge.are_positive(self._replies):
            return judge.accepted(recipients, self._replies[-1])
        if self.final is None:
            stage = Stage.CONTENT if self.plan.manner is Manner.WHOLE else Stage.DATA
            return judge.concluded(recipients, self.mail, self._rcpts, self.last, stage)
        if self.is_wanted:
            return judge.concluded(recipients, self.mail, self._rcpts, self.final_word, Stage.CONTENT)
        return judge.recipients_refused(recipients, self._rcpts)

    def interrupt(self, error: SMTPError, sent: int, *, is_going_out: bool = False) -> None:
        """Set the outcome when the connection has failed and ``sent`` octets went out before, or when its sender does
        not wait any more while it ``is_going_out``."""
        end_written = is_going_out or (self.end_at is not None and sent >= self.end_at)
        rcpts: list[Reply | None] = [*self._rcpts]
        rcpts += [None] * (len(self.plan.recipients) - len(rcpts))
        mail = self.mail if len(self._replies) > self.with_reset else None
        self.outcome = judge.interrupted(self.plan.recipients, rcpts, error, end_written=end_written, mail=mail)

    @property
    def confusion(self) -> Confusing | None:
        """``"BDAT"`` or ``"groups"`` if the answers show that the server takes less than it says."""
        replies = self._replies
        cleared = replies[0] if self.with_reset else None
        return judge.confusion(cleared, self.mail, self._rcpts, self.last, by_bdat=self.plan.manner is Manner.WHOLE)

    @property
    def _replies(self) -> list[Reply]:
        return self.group.replies if self.group is not None else []

    @property
    def _rcpts(self) -> Sequence[Reply]:
        start = self.with_reset + 1
        return self._replies[start : start + len(self.plan.rcpts)]

    def _show(self, link: Link, commands: bytes) -> None:
        for line in commands.decode("utf-8", "replace").splitlines():
            link.show(line)
        if self.plan.manner is Manner.WHOLE:
            link.show_content(self.plan.content.size)
