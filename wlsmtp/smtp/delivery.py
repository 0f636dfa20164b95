"""One mail transaction that has the link to itself: its content is large, must wait for the replies to its
recipients, or goes to a server that takes one command at a time. Small ones share a ``window``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, MessageError, ProtocolError, SMTPError, Stage
from wlsmtp.smtp import judge
from wlsmtp.smtp.plan import Manner
from wlsmtp.smtp.transaction import Misunderstood
from wlsmtp.wire import command
from wlsmtp.wire.content import DotStuffer, bdat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wlsmtp.io.base import IO
    from wlsmtp.receipt import Outcome
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.experience import Confusing, Experience
    from wlsmtp.smtp.link import Expectation, Link
    from wlsmtp.smtp.plan import Plan
    from wlsmtp.wire.reply import Reply


async def deliver(
    link: Link, plan: Plan, deadlines: Deadlines, io: IO, experience: Experience, *, reset: bool
) -> tuple[Outcome, bool]:
    """Deliver one message; return what came of it, and whether the next transaction must begin with RSET.

    Every failure of the server or of the connection is in the outcome. Only what interrupts the caller itself, such as
    a cancellation, is raised.
    """
    transaction = _Transaction(link, plan, deadlines, io)
    try:
        outcome = await transaction.run(reset)
    except SMTPError as failure:
        link.end(failure.message)
        if transaction.in_group > 1 and not experience.is_proven and not isinstance(failure, MessageError):
            experience.suspect()
        return transaction.interrupted(failure), False
    except BaseException:
        # Even where no answer is due: the server has an envelope, and perhaps a part of the content.
        link.end("The sender of a message was interrupted")
        raise
    confusing = transaction.confusion if outcome.is_certainly_not_sent else None
    if confusing is not None:
        experience.give_up(confusing)
        error = Misunderstood.about(confusing, outcome.error.reply if outcome.error else None)
        link.end(error.message)
        return judge.misunderstood(plan.recipients, error), False
    if plan.manner is Manner.ASK_FIRST:
        experience.is_proven = True
    return outcome, transaction.is_open


class _Transaction:
    def __init__(self, link: Link, plan: Plan, deadlines: Deadlines, io: IO) -> None:
        self.link = link
        self.plan = plan
        self.deadlines = deadlines
        self.io = io
        self.is_open = False
        """Whether the server still keeps the envelope, so that RSET must come first (RFC 5321 §4.1.1.5)."""
        self.in_group = 0
        """How many commands were said and not waited for."""
        self._end_at: int | None = None
        self._mail: Reply | None = None
        self._refused_content: Reply | None = None
        self._rcpts: list[Expectation] = []
        self._final: Expectation | None = None
        """The place of the answers to content sent by DATA."""

    def rcpt_replies(self) -> list[Reply | None]:
        """The replies to RCPT, in the order of the recipients; None where none came."""
        known = [expectation.reply for expectation in self._rcpts]
        return known + [None] * (len(self.plan.recipients) - len(known))

    def interrupted(self, error: SMTPError) -> Outcome:
        """What came of it when the connection has failed."""
        end_written = self._end_at is not None and self.link.stream.sent >= self._end_at
        replies = self.rcpt_replies()
        if end_written and self.plan.is_lmtp and self._final is not None:
            return judge.answered_each(self.plan.recipients, replies, self._final.replies, error)
        return judge.interrupted(self.plan.recipients, replies, error, end_written=end_written, mail=self._mail)

    @property
    def confusion(self) -> Confusing | None:
        """What the server takes less well than it says (``judge.confusion``), as far as it was made use of."""
        rcpts = [reply for reply in self.rcpt_replies() if reply is not None]
        last = self._refused_content
        is_grouped = self.plan.manner is not Manner.ONE_BY_ONE
        if self._mail is None or not (is_grouped or (last is not None and self.plan.by_bdat)):
            return None
        found = judge.confusion(None, self._mail, rcpts, last or self._mail, by_bdat=self.plan.by_bdat)
        return found if found == "BDAT" or is_grouped else None

    async def run(self, reset: bool) -> Outcome:
        """Say it all; return what came of it."""
        recipients = self.plan.recipients
        mail = await self._say_envelope(reset)
        if not mail.is_positive:
            return judge.sender_refused(recipients, mail)
        replies = self.rcpt_replies()
        accepted = [reply for reply in replies if reply is not None and reply.is_positive]
        if not accepted or (self.plan.all_or_nothing and len(accepted) < len(replies)):
            return judge.recipients_refused(recipients, replies)
        if not self.plan.by_bdat:
            data = await self._ask_for_data()
            if not data.is_intermediate:
                self._refused_content = data
                return judge.content_refused(recipients, replies, data, Stage.DATA)
        final = await (self._send_by_bdat() if self.plan.by_bdat else self._send_by_data(len(accepted)))
        if self.plan.is_lmtp and self._final is not None:
            return judge.answered_each(recipients, replies, self._final.replies)
        if final.is_intermediate:
            words = "The server asks for content that it has already"
            raise ProtocolError(words, stage=Stage.CONTENT, reply=final)
        if not final.is_positive:
            self._refused_content = final
            return judge.content_refused(recipients, replies, final, Stage.CONTENT)
        return judge.delivered(recipients, replies, final)

    async def _say_envelope(self, reset: bool) -> Reply:
        plan = self.plan
        cleared = await self._say(Stage.RSET, command.RSET) if reset else None
        latest = mail = await self._say(Stage.MAIL, plan.mail)
        for rcpt in plan.rcpts:
            if mail.reply is not None and not mail.reply.is_positive:
                break
            latest = await self._say(Stage.RCPT, rcpt)
            self._rcpts.append(latest)
        await self._settle(latest)
        if cleared is not None and not (cleared.reply and cleared.reply.is_positive):
            raise ConnectionFailed("The server refused RSET, so the connection is given up", stage=Stage.RSET)
        self._mail = await self.link.reply(mail, self.deadlines("command"))
        self.is_open = self._mail.is_positive
        return self._mail

    async def _say(self, stage: Stage, words: bytes) -> Expectation:
        """Say a command; without groups, wait for the reply."""
        expectation = self.link.say(stage, words)
        if self.plan.manner is Manner.ONE_BY_ONE:
            await self._settle(expectation)
        else:
            self.in_group += 1
        return expectation

    async def _settle(self, latest: Expectation) -> None:
        await self.link.flush(self.deadlines("command"))
        while not latest.is_complete:
            # Each reply has its own time: a server that looks into every recipient may take long for all of them.
            heard, deadline = self.link.heard, self.deadlines("command")
            while self.link.heard == heard:
                self.link.hear(await self.link.read(deadline))

    async def _ask_for_data(self) -> Reply:
        reply = await self.link.ask(Stage.DATA, command.DATA, self.deadlines("data"))
        if reply.is_positive:
            words = "The server answered DATA as if the message had been sent already"
            raise ProtocolError(words, stage=Stage.DATA, reply=reply)
        return reply

    async def _send_by_data(self, accepted: int) -> Reply:
        stages = (Stage.CONTENT,) * (accepted if self.plan.is_lmtp else 1)
        self._final = final = self.link.expect(*stages)
        stuffer = DotStuffer()
        block = b""
        async for chunk in self._chunks():
            if block:
                await self.link.write_content(block, self.deadlines("block"))
                if refusal := await self._early_refusal(final):
                    return refusal
            block = stuffer.encode(chunk)
        if refusal := await self._early_refusal(final):
            return refusal
        block += stuffer.end()
        self._end_at = self.link.said + len(block)
        await self.link.write_content(block, self.deadlines("block"))
        self.link.show_content(self.plan.content.size)
        reply = await self.link.last_reply(final, self.deadlines("content"))
        self.is_open = False
        return reply

    async def _early_refusal(self, final: Expectation) -> Reply | None:
        """A server may refuse content in the middle of it, and then cannot be spoken to any more: it would read the
        next command as content. That it took what it has not got, it cannot say."""
        reply = await self.link.listen(final, self.deadlines.soon, self.deadlines("content"))
        if reply is None:
            return None
        if any(reply.is_positive or reply.is_intermediate for reply in final.replies):
            words = "The server acknowledged content that it had not been sent yet"
            raise ProtocolError(words, stage=Stage.CONTENT, reply=reply)
        self.link.end(f"content refused in the middle: {reply}")
        return reply

    async def _send_by_bdat(self) -> Reply:
        """Each chunk has its reply; what is refused ends the content, and the connection stays good (RFC 3030 §2)."""
        said: deque[Expectation] = deque()
        left = self.plan.content.size
        async for chunk in self._chunks():
            left -= len(chunk)
            said.append(self.link.expect(Stage.CONTENT))
            octets = bdat(len(chunk), left == 0) + chunk
            if left == 0:
                self._end_at = self.link.said + len(octets)
            await self.link.write_content(octets, self.deadlines("block"))
            if left and (refusal := await self._refused_chunk(said)):
                return refusal
        self.link.show_content(self.plan.content.size)
        while True:
            reply = await self.link.last_reply(said.popleft(), self.deadlines("content"))
            if not reply.is_positive or not said:
                self.is_open = not reply.is_positive
                return await self._last_word(reply, said)

    async def _refused_chunk(self, said: deque[Expectation]) -> Reply | None:
        """The refusal of a chunk, if the server has said one; all replies that are there are taken in."""
        while said:
            reply = await self.link.listen(said[0], self.deadlines.soon, self.deadlines("content"))
            if reply is None:
                return None
            said.popleft()
            if not reply.is_positive:
                return await self._last_word(reply, said)
        return None

    async def _last_word(self, reply: Reply, said: deque[Expectation]) -> Reply:
        """The refusal ``reply``, once the chunks behind it are answered too: they were on their way already. Had the
        server taken the last of them, it would have taken the message."""
        while said:
            later = await self.link.reply(said.popleft(), self.deadlines("content"))
            if later.is_positive and self._end_at is not None and not said:
                words = "The server refused a part of the content and took its end"
                raise ProtocolError(words, stage=Stage.CONTENT, reply=later)
        return reply

    async def _chunks(self) -> AsyncIterator[bytes]:
        """The content; what is read from files, without keeping anybody else waiting."""
        chunks = self.plan.content.chunks()
        if not self.plan.content.is_streamed:
            for chunk in chunks:
                yield chunk
            return
        while chunk := await self.io.offload(lambda: next(chunks, b"")):
            yield chunk
