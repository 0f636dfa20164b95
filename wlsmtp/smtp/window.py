"""The messages in flight over one connection, for any number of senders at once (RFC 2920, RFC 3030 §4.2).

Senders add transactions, which are sent in order, and wait until theirs is settled. It is a leader/follower pattern:
one waiting sender at a time writes, one reads, on behalf of all, and the reader settles what was answered. A lone
sender therefore pays for no other thread or task, and many share a window without one.

A message follows unanswered content only where the server is known to read what comes after content (``quirks.py``).
Until then, an RSET in the same write as the content probes it: if that is lost, nothing else is.

When the connection fails, each transaction is judged by itself: answered, certainly not sent, or in doubt.
"""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING

from wlsmtp.errors import DeadlineExceeded, ProtocolError, SMTPError, Stage
from wlsmtp.io.order import Rank
from wlsmtp.smtp import delivery, judge, learning, second_look
from wlsmtp.smtp.alone import Alone
from wlsmtp.smtp.blocks import blocks
from wlsmtp.smtp.flight import interrupted, out_of_time
from wlsmtp.smtp.plan import PIPELINED_BDAT, WHOLE
from wlsmtp.smtp.probes import TRIAL_TIMEOUT, Trial
from wlsmtp.smtp.quirks import BROKEN, PROVEN, UNPROVEN
from wlsmtp.smtp.run import Run
from wlsmtp.smtp.transaction import Bystander, Misunderstood, NotStarted, OutOfStep, Transaction
from wlsmtp.smtp.wording import Wording

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.results.reply import Reply
    from wlsmtp.settings.limits import Pipelining
    from wlsmtp.smtp.deadlines import Deadlines, StageName
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.plan import Plan, Planner
    from wlsmtp.smtp.quirks import ServerQuirks


class Window(Alone):
    """Sends transactions over a link, and settles them."""

    def __init__(self, link: Link, planner: Planner, limits: Pipelining, quirks: ServerQuirks, io: IO) -> None:
        super().__init__(link, planner, limits, quirks, io)
        self.settled_when_idle = -1
        """The value of ``settled`` when the connection was used again after idling. A refusal at that count may be
        about the pause."""
        self._last_refused = -1  # the value of ``settled`` after the last refusal
        self._io = io
        self._changed = io.condition(Rank.WINDOW_CHANGED)
        self._waiters = 0
        self._is_reading = self._is_writing = self._is_broken = False
        self._replies_read = 0

    def add(self, plan: Plan) -> Transaction:
        """Let a message follow those in flight. The next ``flush`` or ``settle`` sends it."""
        transaction = Transaction(plan)
        self.begun += 1
        try:
            with self._mutex:
                if self.link.ended or self.link.closing_reply is not None or self.must_end:
                    transaction.interrupt(NotStarted("The connection was lost before it was used"), 0)
                    return transaction
                self.allowance = 0
                self._octets += plan.content.size
                if self._queued or (self._open and self._must_wait_locked()):
                    self._queued.append(transaction)
                else:
                    self._begin_locked(transaction, is_followed=False)
        except BaseException:
            self.fail(interrupted(Stage.MAIL))
            raise
        return transaction

    async def flush(self, deadlines: Deadlines) -> None:
        """Write what was queued, unless another sender is writing. A lost connection shows when its replies are read:
        the server may have said why."""
        if self.link.pending_events:
            self.link.emit_events()
        while self._must_write:
            with self._mutex:
                if not self._must_write:
                    return
                self._is_writing = True
                self.allowance = 0
                octets = self.link.take_unsent()
            try:
                for block in blocks(octets):
                    await self.link.stream.write(block, deadlines("block"))
            except (OSError, TimeoutError) as error:
                self._writing_failed(error)
                return
            except BaseException:
                self.fail(interrupted(Stage.CONTENT))
                raise
            finally:
                self._is_writing = False

    @property
    def _must_write(self) -> bool:
        """True if something is queued that nobody writes: a writer checks again after writing."""
        return bool(self.link.unsent) and not self._is_writing and not self._is_broken

    async def settle(self, transaction: Transaction | Run, deadlines: Deadlines) -> None:
        """Wait until the result of ``transaction`` is known, or for news of a run."""
        while not transaction.is_settled:
            await self.flush(deadlines)
            if isinstance(transaction, Transaction) and transaction.wants_writer:
                await self._write_content(transaction, deadlines)
            elif self._is_first_to_read(transaction):
                await self._read(transaction, deadlines)
            else:
                await self._wait(transaction, deadlines)
        if self.link.pending_events:
            self.link.emit_events()

    async def _write_content(self, transaction: Transaction, deadlines: Deadlines) -> None:
        """Write a large content. No other sender shares its connection."""
        try:
            await delivery.write_content(self.link, transaction, deadlines, self._io)
            with self._mutex:
                self._settle_answered_locked()
        except SMTPError as error:
            with self._mutex:
                transaction.wants_writer = False
                self._connection_failed_locked(error)
        except BaseException:
            self.fail(interrupted(Stage.CONTENT))
            raise

    async def abandon(self) -> None:
        """Handle a sender that was cancelled mid-operation, as threads can be: the connection state is unknown."""
        self.fail(interrupted(self.link.stage))
        if self._waiters:
            await self._wake()
        self.link.emit_events()

    def fail(self, error: SMTPError) -> None:
        """Fail the connection: everything in flight is not sent, or in doubt."""
        with self._mutex:
            try:
                self.link.end(error.message)
                self._settle_waiting_locked(error)
            finally:
                self._settle_all_locked(error)

    def _is_first_to_read(self, transaction: Transaction | Run) -> bool:
        with self._mutex:
            # Another sender may have read it meanwhile, or what makes something follow.
            if self._is_reading or transaction.is_settled or self._must_write:
                return False
            self._is_reading = True
            return True

    async def _read(self, transaction: Transaction | Run, deadlines: Deadlines) -> None:
        """Read once, on behalf of all."""
        data, cause = b"", None
        is_read = False
        try:
            due = self._due_time(deadlines)
            try:
                data = await self.link.stream.read(min(due, deadlines.end))
            except TimeoutError as error:
                self._reading_took_too_long(transaction, error, by_server=due <= deadlines.end)
                return
            except OSError as error:
                cause = error
            is_read = True
            self._feed(data, cause)
        except BaseException:
            self._sender_cancelled(transaction, loses_input=is_read or not self.link.stream.keeps_unread)
            raise
        finally:
            # Only after the replies are paired: the next reader will pair what comes after them.
            self._is_reading = False
            if self._waiters:
                await self._wake()

    def _feed(self, data: bytes, cause: OSError | None) -> None:
        failure: SMTPError | None = None
        with self._mutex:
            self.allowance = 0
            if self._settle_alone_locked(data):
                return
            try:
                self.link.feed(data, cause)
            except SMTPError as error:
                failure = learning.out_of_step_if_shifted(error, self._spread_locked())
            self._settle_and_fail_locked(failure)

    def _settle_and_fail_locked(self, failure: SMTPError | None) -> None:
        """Settle what was answered, and everything if the connection cannot be used any more."""
        try:
            if not isinstance(failure, OutOfStep):
                self._settle_answered_locked()
        except SMTPError as error:
            failure = error if failure is None or isinstance(error, OutOfStep) else failure
        if failure is not None:
            self._connection_failed_locked(failure)

    async def _wait(self, transaction: Transaction | Run, deadlines: Deadlines) -> None:
        """Wait for the current reader until something has changed."""
        async with self._changed:
            self._waiters += 1
            try:
                if not transaction.is_settled and self._is_reading and not self._must_write:
                    await self._changed.wait(deadlines.end)
            except TimeoutError as error:
                self._stop_waiting(transaction, out_of_time(error, self.link.server))
            except BaseException:
                self._sender_cancelled(transaction, loses_input=False)
                raise
            finally:
                self._waiters -= 1

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _due_time(self, deadlines: Deadlines) -> float:
        """Return the time by which the next reply must be complete, however many pieces it comes in."""
        if self._due is None or self._replies_read != self.link.replies_read:
            self._replies_read = self.link.replies_read
            stage = self.link.stage
            self._due = deadlines.uncut(_TIMEOUTS.get(stage, "command") if stage is not _MAIL else "command")
            if next((one.is_trial for one in self._open if not one.is_answered), False):
                self._due = min(self._due, self._io.now() + TRIAL_TIMEOUT)
            if self._second_look is not None:
                self._due = min(self._due, self._io.now() + self._second_look.timeout)
        return self._due

    def _reading_took_too_long(self, transaction: Transaction | Run, cause: TimeoutError, *, by_server: bool) -> None:
        look = self._second_look
        if by_server and look is not None and look.may_end:
            with self._mutex:
                look.end()
                self._due = self._due if self._is_broken else None  # of those behind it
                self._settle_and_fail_locked(None)
        elif by_server or self.load == 1:
            error = self.link.timeout_error()
            error.__cause__ = cause
            with self._mutex:
                self._connection_failed_locked(error)
        else:
            self._stop_waiting(transaction, out_of_time(cause, self.link.server))

    def _stop_waiting(self, transaction: Transaction | Run, error: SMTPError) -> None:
        """Stop one sender from waiting; the others continue. What was queued is sent all the same."""
        with self._mutex:
            if isinstance(transaction, Run):
                if transaction.is_settled:
                    return
                self._spread_locked()
                transaction = transaction.transactions[0]
            if self._open and self._open[0] is transaction:
                self._settle_waiting_locked(error)
            if transaction.outcome is None:
                is_queued = self._drop_if_queued_locked(transaction)
                transaction.interrupt(error, 0, is_going_out=not is_queued)

    def _sender_cancelled(self, transaction: Transaction | Run, *, loses_input: bool) -> None:
        """Handle a sender that was cancelled. If the data it read may be lost with it, the connection fails for all."""
        with self._mutex:
            self._drop_if_queued_locked(transaction)
        if loses_input or (self.load <= 1 and not self._waiters):
            self.fail(interrupted(self.link.stage))

    def _drop_if_queued_locked(self, transaction: Transaction | Run) -> bool:
        if isinstance(transaction, Run) or transaction not in self._queued:
            return False
        self._queued.remove(transaction)
        self._octets -= transaction.size
        return True

    def _writing_failed(self, error: OSError) -> None:
        """Handle a failed write: replies sent before the server closed are still to be read, within a moment."""
        if isinstance(error, TimeoutError):
            failure = self.link.timeout_error()
            failure.__cause__ = error
            self.fail(failure)
        else:
            self._is_broken = True
            self._due, self._replies_read = self._io.now() + _FINAL_READ_TIME, self.link.replies_read

    def _must_wait_locked(self) -> bool:
        """Return whether nothing can be sent before something in flight is answered."""
        last, quirks = self._open[-1], self._quirks
        if not last.is_fully_queued or last.is_suspect:
            return True
        return quirks.behind(by_bdat=last.by_bdat) is not PROVEN or not self._planner.may_group

    def _begin_locked(self, transaction: Transaction, *, is_followed: bool) -> None:
        """Send the first step. Other messages in flight may leave an envelope behind, so RSET separates them."""
        behind = bool(self._open)
        if behind:
            transaction.follows = self._open[-1].by_bdat
        else:
            self._due = None
        if self._quirks.wording is not None and not self._wording.is_learned:
            # Another connection has learned it meanwhile.
            self._wording = Wording(self._quirks.wording, self._planner.offered)
        reset = behind or self._must_reset
        way = self._planner.flow(transaction.plan, behind=behind, reset=reset)
        if way is WHOLE and not (reset or is_followed) and self._begin_alone_locked(transaction):
            return
        flow, by_bdat, probe = way
        reset = reset or (by_bdat and not self._wording.is_learned and self._quirks.rset is PROVEN)
        if not by_bdat and transaction.plan.content.is_binary:
            transaction.interrupt(NotStarted("The message was planned for BDAT, which the server does not support"), 0)
            self._octets -= transaction.size
            return
        transaction.begin(self.link, flow, reset=reset, by_bdat=by_bdat, probe=probe)
        self._must_reset = False
        self._open.append(transaction)
        if transaction.is_fully_queued and self._wants_trial_locked(transaction, is_followed=is_followed):
            self._probe_behind_locked(transaction)

    def _begin_queued_locked(self) -> None:
        """Send what may be sent now."""
        while self._queued and not (self._open and self._must_wait_locked()):
            if self.link.ended or self.link.closing_reply is not None or self.must_end:
                self._settle_queued_locked(
                    NotStarted(f"{self.link.server} ends the connection", reply=self.link.closing_reply)
                )
                return
            self._begin_locked(self._queued[0], is_followed=len(self._queued) > 1)
            self._queued.popleft()

    def _probe_behind_locked(self, transaction: Transaction) -> None:
        """Probe, in the write that carries the content of ``transaction``, whether the server reads what comes after
        content."""
        if self._quirks.rset is not BROKEN and self._planner.may_group:
            self._open.append(Trial(self.link, by_bdat=transaction.by_bdat))

    def _wants_trial_locked(self, transaction: Transaction, *, is_followed: bool) -> bool:
        """Return whether an RSET belongs behind this content: another message may follow it, or nothing but the reply
        to that RSET shows what the one to the content answers."""
        trust = self._quirks.behind_bdat if transaction.by_bdat else self._quirks.behind_data
        if is_followed:
            return trust is UNPROVEN
        return trust is PROVEN and transaction.by_bdat and not self._wording.is_learned

    def _settle_answered_locked(self) -> None:
        """Settle what was answered in full, and send what waited for it. Raises ``SMTPError`` when the connection
        cannot be used any more."""
        while self._open:
            self._settle_accepted_locked()
            if self._open and not self._step_locked(self._open[0]):
                return
            if self._queued:
                self._begin_queued_locked()

    def _step_locked(self, head: Transaction | Trial | Run) -> bool:
        """Let the oldest take its next step if it was answered; return whether it was."""
        if isinstance(head, Run):
            if head.waits:
                return False
            head = self._spread_locked()[0]
        if not head.is_answered:
            if isinstance(head, Transaction) and head.not_positive:
                head.check_envelope()
            return False
        if isinstance(head, Trial):
            self._open.popleft()
            learning.from_trial(self._quirks, head)
        elif head.flow is PIPELINED_BDAT or not self._advance_locked(head):
            in_flight = self._spread_locked()
            following = in_flight[1] if len(in_flight) > 1 else None
            if head.depends_on(following, self._wording) and not self.link.ended:
                return False
            if self._looks_again_locked(head, following):
                return False
            self._conclude_locked(head, following)
        return True

    def _advance_locked(self, transaction: Transaction) -> bool:
        """Let a transaction take its next step; return whether there was one."""
        if transaction.is_fully_queued:
            return False
        quirks = self._quirks
        if quirks.groups is not PROVEN or quirks.rset is not PROVEN or not transaction.is_all_accepted:
            learning.from_envelope(quirks, transaction, is_closing=self.link.closing_reply is not None)
        if not transaction.advance(self.link):
            return False
        is_sent = transaction.is_fully_queued and transaction.end_at is not None
        if is_sent and self._wants_trial_locked(transaction, is_followed=bool(self._queued)):
            self._probe_behind_locked(transaction)
        return True

    def _looks_again_locked(self, head: Transaction, behind: Transaction | Trial | None) -> bool:
        """Return whether more must come before the reply to a content counts."""
        if self._second_look is None:
            is_followed = bool(self._queued)
            look = second_look.look_at(head, self.link, behind, self._quirks, is_followed=is_followed)
            if look is None:
                return False
            self._second_look, self._due = look, None
        return not self._second_look.is_over

    def _conclude_locked(self, transaction: Transaction, following: Transaction | Trial | None) -> None:
        if transaction.with_reset and not (rset_reply := transaction.replies[0]).is_positive:
            learning.from_reset(self._quirks, rset_reply, transaction)
        outcome = transaction.conclude(self._wording, following)
        self._open.popleft()
        self._second_look = None
        self._count_settled_locked(1, transaction.size)
        if outcome.error is None or not outcome.is_certainly_not_sent:
            self.has_delivered = True
            next_rset = following.rset_reply if following is not None else None
            learning.from_delivery(self._quirks, self._wording, transaction, self._max_in_flight, next_rset)
            self.must_end = self.must_end or transaction.has_surplus
        else:
            self._refused_locked(transaction, outcome.error)

    def _refused_locked(self, transaction: Transaction, error: SMTPError) -> None:
        """Learn from a message that was certainly not sent. It may leave an envelope or a limit behind."""
        is_second, self._last_refused = self._last_refused == self.settled - 1, self.settled
        learning.from_refusal(self._quirks, transaction, is_second=is_second)
        reply, self._must_reset = error.reply, True
        is_crowded = reply is not None and judge.names_connections(reply)
        self.must_end = self.must_end or is_crowded or self._quirks.rset is BROKEN
        if reply is not None and judge.is_closing(reply):
            self.link.closing_reply = self.link.closing_reply or reply
            if error.stage is Stage.MAIL:
                self._learn_limit_locked(reply, self.settled - 1)

    def _learn_limit_locked(self, reply: Reply, messages: int) -> None:
        if self.has_delivered and messages != self.settled_when_idle:
            learning.from_end_after(self._quirks, reply, messages)

    def _connection_failed_locked(self, error: SMTPError) -> None:
        """Settle everything after the connection failed by itself, and keep what that shows about the server."""
        self.link.end(error.message)
        if not isinstance(error, OutOfStep):
            self._settle_waiting_locked(error)
        self._learn_from_loss_locked(error)
        self._settle_all_locked(error)

    def _settle_waiting_locked(self, error: SMTPError) -> None:
        """Settle the oldest if it is answered, and waits only for the reply to the RSET behind it."""
        head, following, *_ = (*self._spread_locked(), None, None)
        if not isinstance(head, Transaction) or not head.is_answered:
            return
        if head.by_bdat:
            is_odd = isinstance(error, ProtocolError) or (isinstance(error, DeadlineExceeded) and head.may_be_lost)
            counts = not is_odd and head.depends_on(following, self._wording)
        else:
            counts = second_look.is_accepted(head, self._second_look)
        if counts:
            with suppress(SMTPError):
                self._conclude_locked(head, None)

    def _learn_from_loss_locked(self, error: SMTPError) -> None:
        learning.from_surplus(self._quirks, error)
        in_flight = self._spread_locked()
        if isinstance(error, Misunderstood | OutOfStep) or not in_flight:
            return
        head, closing_reply = in_flight[0], self.link.closing_reply
        if closing_reply is None:
            learning.from_loss(self._quirks, in_flight, error, settled=self.settled, when_idle=self.settled_when_idle)
        elif isinstance(head, Transaction) and head.probe is not None and head.probe.was_begun:
            learning.from_lost_probe(self._quirks, head, head.probe)
        elif not isinstance(head, Trial) and not any(reply.is_positive for reply in head.rcpts):
            self._learn_limit_locked(closing_reply, self.settled)

    def _settle_all_locked(self, error: SMTPError) -> None:
        """Settle everything. After 421 a server does nothing any more (RFC 5321 §3.8), but it may have done what it had
        answered by then. One that goes on all the same has a recipient to deliver to: it has accepted one before."""
        look, self._second_look, self.allowance = self._second_look, None, 0
        is_out_of_step = isinstance(error, OutOfStep) or (look is not None and look.is_unsure)
        for place, transaction in enumerate(self._spread_locked()):
            if not isinstance(transaction, Trial) and transaction.outcome is None:
                may_be_done = isinstance(error, ProtocolError) or transaction.is_answered
                is_undone = self.link.has_closed and not may_be_done and not transaction.accepted
                cause = copy(error)  # it will carry the receipt of this message, and of no other
                if isinstance(error, ProtocolError | Misunderstood) and not transaction.is_culprit(place):
                    cause = Bystander(f"The connection ended because of another message: {error.message}")
                cause.__cause__ = error
                transaction.interrupt(cause, 0 if is_undone else self.link.stream.sent, is_out_of_step=is_out_of_step)
        self._open.clear()
        self._settle_queued_locked(error)
        self._octets = 0

    def _settle_queued_locked(self, error: SMTPError) -> None:
        for transaction in self._queued:
            if transaction.outcome is None:
                not_started = NotStarted(error.message, stage=error.stage, reply=error.reply)
                not_started.__cause__ = error
                transaction.interrupt(not_started, 0)
            self._octets -= transaction.size
        self._queued.clear()


_FINAL_READ_TIME = 1.0
"""Seconds to read what a server sent before it closed: it has already arrived."""
_MAIL = Stage.MAIL
_TIMEOUTS: dict[Stage, StageName] = {Stage.DATA: "data", Stage.CONTENT: "content"}
