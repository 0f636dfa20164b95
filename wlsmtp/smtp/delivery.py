"""Carry a plan over a link: one mail transaction, from MAIL to the reply to the content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, ProtocolError, SMTPError, Stage
from wlsmtp.smtp import judge
from wlsmtp.smtp.plan import MAX_GROUP
from wlsmtp.wire import command
from wlsmtp.wire.content import DotStuffer

if TYPE_CHECKING:
    from wlsmtp.receipt import Outcome
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.link import Expectation, Link
    from wlsmtp.smtp.plan import Plan
    from wlsmtp.wire.reply import Reply


async def deliver(link: Link, plan: Plan, deadlines: Deadlines, *, reset: bool) -> tuple[Outcome, bool]:
    """Deliver one message; return what came of it, and whether the next transaction must begin with RSET.

    Every failure of the server or of the connection is in the outcome. Only what interrupts the caller itself, such as
    a cancellation, is raised.
    """
    transaction = _Transaction(link, plan, deadlines)
    try:
        return await transaction.run(reset), transaction.is_open
    except SMTPError as error:
        link.end(str(error))
        rcpts = transaction.rcpt_replies()
        return judge.interrupted(plan.recipients, rcpts, error, end_written=transaction.end_written), False


class _Transaction:
    def __init__(self, link: Link, plan: Plan, deadlines: Deadlines) -> None:
        self.link = link
        self.plan = plan
        self.deadlines = deadlines
        self.end_written = False
        self.is_open = False
        """Whether the server still keeps the envelope, so that RSET must come first (RFC 5321 §4.1.1.5)."""
        self._rcpts: list[Expectation] = []
        self._data: Expectation | None = None
        self._in_group = 0

    def rcpt_replies(self) -> list[Reply | None]:
        """The replies to RCPT, in the order of the recipients; None where none came."""
        known = [expectation.reply for expectation in self._rcpts]
        return known + [None] * (len(self.plan.recipients) - len(known))

    async def run(self, reset: bool) -> Outcome:
        """Say it all; return what came of it."""
        recipients = self.plan.recipients
        mail = await self._say_envelope(reset)
        if not mail.is_positive:
            await self._let_go_of_data()
            return judge.sender_refused(recipients, mail)
        replies = self.rcpt_replies()
        accepted = [reply for reply in replies if reply is not None and reply.is_positive]
        if not accepted or (self.plan.all_or_nothing and len(accepted) < len(replies)):
            await self._let_go_of_data()
            return judge.recipients_refused(recipients, replies)
        data = await self._ask_for_data()
        if not data.is_intermediate:
            return judge.content_refused(recipients, replies, data, Stage.DATA)
        final = await self._send_content()
        if not final.is_positive:
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
        if plan.data_in_group and (mail.reply is None or mail.reply.is_positive):
            self._data = self.link.say(Stage.DATA, command.DATA)
        await self._settle(latest)
        if cleared is not None and not (cleared.reply and cleared.reply.is_positive):
            raise ConnectionFailed("The server refused RSET, so the connection is given up", stage=Stage.RSET)
        reply = await self.link.reply(mail, self.deadlines("command"))
        self.is_open = reply.is_positive
        return reply

    async def _say(self, stage: Stage, words: bytes) -> Expectation:
        """Say a command; without groups, or at the end of one, wait for the reply."""
        expectation = self.link.say(stage, words)
        self._in_group += 1
        if not self.plan.grouped or self._in_group >= MAX_GROUP:
            await self._settle(expectation)
        return expectation

    async def _settle(self, latest: Expectation) -> None:
        await self.link.flush(self.deadlines("command"))
        await self.link.reply(latest, self.deadlines("command"))
        self._in_group = 0

    async def _ask_for_data(self) -> Reply:
        if self._data is None:
            self._data = self.link.say(Stage.DATA, command.DATA)
            await self.link.flush(self.deadlines("command"))
        reply = await self.link.reply(self._data, self.deadlines("data"))
        if reply.is_positive:
            words = "The server answered DATA as if the message had been sent already"
            raise ProtocolError(words, stage=Stage.DATA, reply=reply)
        return reply

    async def _let_go_of_data(self) -> None:
        """DATA went with a group in which nobody was accepted: after 354 only a lone dot leads out (RFC 2920 §3.1)."""
        if self._data is None:
            return
        reply = await self.link.reply(self._data, self.deadlines("data"))
        if reply.is_intermediate:
            await self.link.ask(Stage.CONTENT, command.END_OF_EMPTY_CONTENT, self.deadlines("content"))
            self.is_open = False

    async def _send_content(self) -> Reply:
        final = self.link.expect(Stage.CONTENT)
        stuffer = DotStuffer()
        block = b""
        for chunk in self.plan.content.chunks():
            if block:
                await self.link.write(block, Stage.CONTENT, self.deadlines("block"))
                if refusal := await self._early_refusal(final):
                    return refusal
            block = stuffer.encode(chunk)
        if refusal := await self._early_refusal(final):
            return refusal
        self.end_written = True
        await self.link.write(block + stuffer.end(), Stage.CONTENT, self.deadlines("block"))
        self.link.show_content(self.plan.content.size)
        reply = await self.link.reply(final, self.deadlines("content"))
        self.is_open = False
        return reply

    async def _early_refusal(self, final: Expectation) -> Reply | None:
        """A server may refuse content in the middle of it, and then cannot be spoken to any more: it would read the
        next command as content. That it took what it has not got, it cannot say."""
        reply = await self.link.listen(final, self.deadlines.soon, self.deadlines("content"))
        if reply is None:
            return None
        if reply.is_positive or reply.is_intermediate:
            words = "The server acknowledged content that it had not been sent yet"
            raise ProtocolError(words, stage=Stage.CONTENT, reply=reply)
        self.link.end(f"content refused in the middle: {reply}")
        return reply
