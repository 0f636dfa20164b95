"""One mail transaction (RFC 5321 §3.3): its steps, the replies to them, and their meaning.

It queues commands on a link and reads the replies that belong to them; it never waits. The owner of the link
(``window.py``) calls ``advance`` once a step is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, ProtocolError, Stage
from wlsmtp.results.accepted import accepted_outcome
from wlsmtp.results.reply import are_positive
from wlsmtp.smtp import judge
from wlsmtp.smtp.expectation import Expectation
from wlsmtp.smtp.plan import PIPELINED, PIPELINED_BDAT, STEP_BY_STEP, stages_of
from wlsmtp.smtp.probes import Trial
from wlsmtp.smtp.wording import words_of
from wlsmtp.wire import command
from wlsmtp.wire.content import bdat, dot_stuffed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.errors import SMTPError
    from wlsmtp.receipt import Outcome
    from wlsmtp.results.reply import Reply
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.plan import Flow, Plan
    from wlsmtp.smtp.probes import ChunkProbe
    from wlsmtp.smtp.wording import Wording


_START_MAIL_INPUT = 354
_DATA, _CONTENT = Stage.DATA, Stage.CONTENT
_REFUSED = 400
"""Replies from this code on are refusals."""


class NotStarted(ConnectionFailed):
    """No command of this message was sent; it goes over another connection, at once."""


class Misunderstood(ConnectionFailed):
    """An advertised extension does not work: the message is sent again without it, at once."""

    @classmethod
    def about(cls, server: str, what: str, reply: Reply | None, stage: Stage = Stage.MAIL) -> Misunderstood:
        """Return the error, with the server's reply."""
        return cls(f"{server} did not understand {what}, which it offers", stage=stage, reply=reply)


class Bystander(ConnectionFailed):
    """The connection had to end because of another message, before this one was sent."""


class OutOfStep(ProtocolError):
    """A reply that cannot be: replies and commands no longer correspond, so the state of everything in flight is
    unknown."""


class Shifted(OutOfStep):
    """The server has sent a reply too many, or lost commands, so that later replies answer other commands than their
    places say."""


class Transaction(Expectation):
    """One transaction. It is the place for the replies to its commands: RSET, MAIL, RCPTs, DATA, or BDAT with the whole
    content. The replies to content that was sent on its own are in ``content_replies``."""

    __slots__ = (
        "_was_all_accepted", "by_bdat", "chunks", "end_at", "flow", "follows", "has_surplus", "is_fully_queued",
        "is_suspect", "outcome", "plan", "probe", "wants_writer", "with_reset",
    )  # fmt: skip

    is_trial = False

    def __init__(self, plan: Plan) -> None:
        self.stages: tuple[Stage, ...] = ()
        self._replies: list[Reply] = []
        self.lines: Sequence[bytes] = ()
        self.left: int = 0
        self.not_positive: int = 0
        self.may_grow: bool = False
        self.plan: Plan = plan
        self.is_suspect: bool = plan.is_suspect
        self.flow: Flow | None = None
        """None until something was sent."""
        self.by_bdat: bool = False
        self.follows: bool | None = None
        """True if it was sent right after content by BDAT, False after content by DATA, None if it follows none."""
        self.with_reset: bool = False
        self.probe: ChunkProbe | None = None
        self.is_fully_queued: bool = False
        """True if nothing is left to be queued, so that another message may follow."""
        self.wants_writer: bool = False
        """True if its content is to be written now, piece by piece, by ``delivery.py``."""
        self.end_at: int | None = None
        """Position on the link where the content ends, once it was queued."""
        self.outcome: Outcome | None = None
        self.chunks: list[Expectation] = []
        """The places of the replies to content that was sent on its own: one for DATA, one per chunk for BDAT."""
        self.has_surplus: bool = False
        """True if the server seems to have sent a reply too many before the one to the content."""
        self._was_all_accepted = False
        """``is_all_accepted``, once the content was sent."""

    @property
    def size(self) -> int:
        """Octets of content."""
        return self.plan.content.size

    @property
    def is_all_accepted(self) -> bool:
        """True if the whole envelope was accepted at once and the content was asked for, the usual case."""
        if self.flow is not PIPELINED or self.chunks:
            return False
        return self.not_positive == 1 and self._replies[-1].code == _START_MAIL_INPUT

    @property
    def is_settled(self) -> bool:
        """True if its outcome is known."""
        return self.outcome is not None

    @property
    def is_answered(self) -> bool:
        """True if all replies to what was sent have come."""
        last = self.chunks[-1] if self.chunks else self
        return not last.left and self.flow is not None and not self.wants_writer

    # Sending

    def begin(self, link: Link, flow: Flow, *, reset: bool, by_bdat: bool, probe: ChunkProbe | None = None) -> None:
        """Queue the first step, behind a probe if there is one."""
        self.flow, self.with_reset, self.by_bdat = flow, reset, by_bdat
        plan = self.plan
        if probe is not None:
            if link.wants_lines():
                link.show("RSET, BDAT 6 LAST, BDAT 0 LAST (are the octets of a refused chunk read as a command?)")
            link.queue_expecting(probe.OCTETS, probe)
            self.probe, self.with_reset, reset = probe, True, True
        if flow is STEP_BY_STEP:
            first = (Stage.RSET, command.RSET) if reset else (Stage.MAIL, plan.mail)
            self._queue(link, *first)
            return
        rcpts, content = plan.envelope.rcpt_lines, plan.content
        commands = [command.RSET, plan.mail, *rcpts] if reset else [plan.mail, *rcpts]
        whole, last = flow is PIPELINED_BDAT, None
        if whole:
            commands.append(bdat(content.size, True))
            last = _CONTENT
        elif flow is PIPELINED:
            commands.append(command.DATA)
            last = _DATA
        if link.wants_lines():
            self._show(link, b"".join(commands), content.size if whole else None)
        if whole:
            commands += content.chunks()
        self.stages = stages_of(len(rcpts), last, reset)
        self.left = len(self.stages)
        link.queue_expecting(b"".join(commands), self)
        if whole:
            self.is_fully_queued, self.end_at = True, link.octets_queued

    def advance(self, link: Link) -> bool:
        """Queue the next step, once the last one is answered; return False if there is none. Raises ``ProtocolError``
        for replies after which the connection cannot be used."""
        if self.is_fully_queued:
            return False
        if self.is_all_accepted:
            self._was_all_accepted = True
            self._queue_content(link)
            return True
        if self.rset_reply is not None and not self.rset_reply.is_positive:
            return False
        self.check_envelope()
        if self.flow is STEP_BY_STEP and (following := self._next_command()) is not None:
            self._queue(link, *following)
            return True
        data = self.data
        if data is None:
            return self._begin_content(link)
        if data.code == 334:
            words = f"{self.plan.server} answered DATA with a challenge for a login"
            raise OutOfStep(words, stage=Stage.DATA, reply=data)
        if not data.is_intermediate:
            return False
        if not self.mail.is_positive:
            # Even a lone dot might deliver something now, with an unknown sender.
            words = f"{self.plan.server} asks for content although it refused the sender"
            raise ProtocolError(words, stage=Stage.DATA)
        self._queue_content(link)
        return True

    def _next_command(self) -> tuple[Stage, bytes] | None:
        """Return the next command of the envelope, when each waits for the reply to the one before."""
        answered = len(self.replies) - self.with_reset
        if answered == 0:
            return Stage.MAIL, self.plan.mail
        rcpts = self.plan.envelope.rcpt_lines
        if not self.mail.is_positive or answered > len(rcpts):
            return None
        return Stage.RCPT, rcpts[answered - 1]

    def _begin_content(self, link: Link) -> bool:
        """Begin the content once the envelope is answered, if DATA was not sent with it."""
        has_all = all(reply.is_positive for reply in self.rcpts)
        if not self.is_wanted or (self.plan.all_or_nothing and not has_all):
            return False
        if self.by_bdat:
            self._queue_content(link)
        else:
            self._queue(link, Stage.DATA, command.DATA)
        return True

    def _queue(self, link: Link, stage: Stage, octets: bytes) -> None:
        if link.wants_lines():
            self._show(link, octets)
        self.stages, self.left = (stage,), 1
        link.queue_expecting(octets, self)

    def _queue_content(self, link: Link) -> None:
        """Queue the content with its end. If no recipient is left, queue only the end, the only way to leave DATA (RFC
        2920 §3.1)."""
        content = self.plan.content
        if not (self._was_all_accepted or self.is_wanted):
            self._expect_content(link, command.END_OF_EMPTY_CONTENT)
            self.is_fully_queued = True
            return
        if self.plan.is_large:
            self.wants_writer = True
            return
        if self.by_bdat:
            octets = b"".join([bdat(content.size, True), *content.chunks()])
        else:
            octets = dot_stuffed(content.chunks())
            self.has_surplus = link.stream.has_input()  # nothing that has come answers the end
        self._expect_content(link, octets)
        self.is_fully_queued, self.end_at = True, link.octets_queued
        link.show_content(content.size)

    def _expect_content(self, link: Link, octets: bytes) -> None:
        stages = (Stage.CONTENT,) * (self.content_replies_due if self.plan.is_lmtp else 1)
        self.chunks.append(link.queue_all(octets, stages))

    @property
    def content_replies_due(self) -> int:
        """Number of replies due to the content."""
        return self.accepted if self.plan.is_lmtp and self.is_wanted else 1

    def content_written(self) -> None:
        """Note that the content was written, or that the server refused it before its end."""
        self.wants_writer, self.is_fully_queued = False, True

    # Replies

    @property
    def is_wanted(self) -> bool:
        """True if the sender and at least one recipient were accepted."""
        return self.mail.is_positive and self.accepted > 0

    @property
    def accepted(self) -> int:
        """Number of accepted recipients."""
        return sum(reply.is_positive for reply in self.rcpts)

    @property
    def mail(self) -> Reply:
        """The reply to MAIL, once it has come."""
        return self.replies[self.with_reset]

    @property
    def rcpts(self) -> Sequence[Reply]:
        """The replies to RCPT that have come so far."""
        start = self.with_reset + 1
        return self.replies[start : start + len(self.plan.envelope.rcpt_lines)]

    @property
    def data(self) -> Reply | None:
        """The reply to DATA, or to BDAT with the whole content in the same group."""
        place = self.with_reset + 1 + len(self.plan.envelope.rcpt_lines)
        return self.replies[place] if len(self.replies) > place else None

    @property
    def content_replies(self) -> list[Reply]:
        """The replies to content that was sent on its own."""
        return [reply for chunk in self.chunks for reply in chunk.replies]

    @property
    def rset_reply(self) -> Reply | None:
        """The reply to RSET, if it was sent and answered."""
        return self.replies[0] if self.with_reset and self.replies else None

    @property
    def last(self) -> Reply:
        """The latest reply."""
        return self.content_replies[-1] if self.chunks else self.replies[-1]

    # Results

    def settle_if_accepted(self, wording: Wording) -> bool:
        """Set the outcome if everything was answered and accepted, the usual case; return whether it was."""
        last = self.chunks[-1] if self.chunks else self
        if last.left or last.not_positive or self.wants_writer:
            return False
        line = last.lines[-1] if last.lines else None
        if self.flow is PIPELINED_BDAT:
            if not wording.is_for_content(last.replies[-1]):
                return False  # ``conclude`` raises the error, if it is one
        elif not (self._was_all_accepted and self.is_fully_queued):
            return False
        addresses = self.plan.envelope.addresses
        if line is None:
            self.outcome = judge.accepted(addresses, last.replies[-1])
        else:
            self.outcome = accepted_outcome(addresses, line)
        return True

    def depends_on(self, following: Transaction | Trial | None, wording: Wording) -> bool:
        """Return whether the reply to the RSET of ``following`` must come first. One reply too many would make the
        refusal of a recipient look like that of a whole message, and one missing an RSET like its acceptance. The reply
        to that RSET shows it, unless the content is accepted in known words."""
        if following is None or not self.by_bdat or not self.is_wanted or not following.with_reset:
            return False
        return following.rset_reply is None and (self.last.code >= _REFUSED or not wording.is_for_content(self.last))

    @property
    def may_be_lost(self) -> bool:
        """True if the reply to the content has the words of those to RSET: the server may have lost the content with
        what came behind it, up to an RSET, and say nothing more."""
        rset, last = self.rset_reply, self.last
        return rset is not None and last.is_positive and words_of(rset) == words_of(last)

    def conclude(self, wording: Wording, following: Transaction | Trial | None = None) -> Outcome:
        """Set and return the outcome once everything is answered; ``following`` was sent behind it. Raises
        ``ProtocolError`` when the replies make no sense; ``interrupt`` sets the outcome then."""
        if not self.chunks:
            self.check_envelope()
        self._check_content()
        if self.by_bdat and self.is_wanted and (self.chunks or self.flow is PIPELINED_BDAT):
            self._check_wording(wording, following)
        self.outcome = outcome = self._outcome()
        return outcome

    def check_envelope(self) -> None:
        """Raise ``OutOfStep`` if a command before DATA was answered as if it were DATA. The server then waits for
        content, and no other reply may ever come."""
        for place, reply in enumerate(self.replies[: self.with_reset + 1 + len(self.plan.envelope.rcpt_lines)]):
            if reply.is_intermediate:
                stage = stages_of(len(self.plan.envelope.rcpt_lines), None, self.with_reset)[place]
                words = f"{self.plan.server} asks for content where no content was announced"
                raise OutOfStep(words, stage=stage, reply=reply)

    def _check_content(self) -> None:
        content = self.data if self.flow is PIPELINED_BDAT else None
        if content is not None and content.is_positive and not self.is_wanted:
            words = f"{self.plan.server} accepted the content although it had accepted no recipient"
            raise OutOfStep(words, stage=Stage.CONTENT, reply=content)
        if content is None and not self.chunks and self.data is not None and self.data.is_positive:
            words = f"{self.plan.server} answered DATA as if the message had been sent already"
            raise ProtocolError(words, stage=Stage.DATA, reply=self.data)
        for final in (*self.content_replies, *([content] if content is not None else [])):
            if final.is_intermediate:
                words = f"{self.plan.server} asks for content that it has already"
                raise ProtocolError(words, stage=Stage.CONTENT, reply=final)
        finals = self.content_replies
        has_end = self.by_bdat and self.end_at is not None and len(finals) > 1
        if has_end and finals[-1].is_positive and not are_positive(finals):
            words = f"{self.plan.server} refused a part of the content and accepted its end"
            raise OutOfStep(words, stage=Stage.CONTENT, reply=finals[-1])

    def _check_wording(self, wording: Wording, following: Transaction | Trial | None) -> None:
        next_rset = following.rset_reply if following is not None else None
        if next_rset is not None and isinstance(following, Trial) and judge.is_misunderstanding(next_rset):
            return  # the server does not read commands behind content: the trial has found out
        if what := wording.what_is_wrong(self.rset_reply, self.mail, self.rcpts, self.last, next_rset):
            words = f"{self.plan.server} {what}, and so its replies belong to other commands"
            raise Shifted(words, stage=Stage.CONTENT, reply=self.last)

    def _outcome(self) -> Outcome:
        recipients, finals, server = self.plan.envelope.addresses, self.content_replies, self.plan.server
        content = self.data if self.flow is PIPELINED_BDAT else None
        if self.rset_reply is not None and not self.rset_reply.is_positive and not (content and content.is_positive):
            return judge.sender_refused(recipients, self.rset_reply, server)
        if not self.mail.is_positive:
            return judge.sender_refused(recipients, self.mail, server)
        if not self.is_wanted or (self.data is None and not finals):
            return judge.recipients_refused(recipients, self.rcpts, server)
        if finals and self.plan.is_lmtp:
            return judge.answered_each(recipients, self.rcpts, finals, server=server)
        if finals:
            final = next((reply for reply in finals if not reply.is_positive), finals[-1])
            return judge.concluded(recipients, self.rcpts, final, Stage.CONTENT, server)
        assert self.data is not None
        return judge.concluded(recipients, self.rcpts, self.data, Stage.CONTENT if content else Stage.DATA, server)

    def interrupt(
        self, error: SMTPError, sent: int, *, is_going_out: bool = False, is_out_of_step: bool = False
    ) -> None:
        """Set the outcome when the connection has failed after ``sent`` octets, or when the sender stops waiting while
        the message ``is_going_out``. With ``is_out_of_step`` no reply to it can be relied on."""
        end_written = is_going_out or (self.end_at is not None and sent >= self.end_at)
        recipients = self.plan.recipients
        if is_out_of_step:
            self.outcome = judge.out_of_step(recipients, error, end_written=end_written)
            return
        is_answered = bool(self.replies) and not self.left
        if self.chunks:
            is_answered = self.is_answered and not (self.by_bdat or self.plan.is_lmtp) and self.end_at is not None
        elif self.flow is not PIPELINED_BDAT:
            is_answered = False
        if is_answered and self.last.code >= _REFUSED:
            self.outcome = self._outcome()
            return
        rcpts: list[Reply | None] = [*self.rcpts]
        rcpts += [None] * (len(recipients) - len(rcpts))
        if end_written and self.plan.is_lmtp:
            self.outcome = judge.answered_each(recipients, rcpts, self.content_replies, error, server=self.plan.server)
            return
        mail = self.mail if len(self.replies) > self.with_reset else None
        self.outcome = judge.interrupted(
            recipients, rcpts, error, end_written=end_written, mail=mail, server=self.plan.server
        )

    def is_culprit(self, place: int) -> bool:
        """Return whether the reply that ended the connection answers this message, the one at ``place`` of those in
        flight, and not an RSET before it."""
        return place == 0 and not (self.with_reset and not self.replies)

    def _show(self, link: Link, commands: bytes, size: int | None = None) -> None:
        for line in commands.decode("utf-8", "replace").splitlines():
            link.show(line)
        if size is not None:
            link.show_content(size)
