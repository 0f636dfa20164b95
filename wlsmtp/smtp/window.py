"""The messages on their way over one connection, for any number of senders at once (RFC 2920, RFC 3030 §4.2).

Senders add transactions, which are said in order, and wait until theirs is settled. Whoever waits and finds nobody at
the socket does the work for all: one sender at a time writes, one reads, and who reads settles what was answered,
whosever it is. So a lone sender pays for no other thread or task, and many share a window without one.

When the connection fails, each transaction is told apart: answered, certainly not sent, or in doubt.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, DeadlineExceeded, ProtocolError, SMTPError, Stage
from wlsmtp.smtp import judge
from wlsmtp.smtp.link import BLOCK
from wlsmtp.smtp.plan import Manner
from wlsmtp.smtp.transaction import Misunderstood, Transaction, Unsaid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wlsmtp.config import Pipelining
    from wlsmtp.io.base import IO
    from wlsmtp.receipt import Outcome
    from wlsmtp.smtp.deadlines import Deadlines, StageName
    from wlsmtp.smtp.experience import Experience
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.plan import Plan


class Window:
    """Says transactions over a link, and settles them."""

    def __init__(self, link: Link, limits: Pipelining, experience: Experience, io: IO) -> None:
        self.link = link
        self._limits = limits
        self._experience = experience
        self._open: deque[Transaction] = deque()
        self._unsaid: deque[Transaction] = deque()
        """What waits behind a transaction that waits for its go-ahead."""
        self._octets = 0
        self.must_reset = False
        """Whether the server may still keep an envelope, so that RSET must come first (RFC 5321 §4.1.1.5)."""
        self._io = io
        self._mutex = io.mutex()
        self._changed = io.condition()
        self._waiters = 0
        self._is_reading = self._is_writing = self._is_broken = False
        self._due: float | None = None
        """When the next reply must have come."""
        self._heard = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._open and not self._unsaid

    @property
    def load(self) -> int:
        """How many transactions are on their way."""
        return len(self._open) + len(self._unsaid)

    def has_room(self, size: int) -> bool:
        """Whether a message of ``size`` octets may follow those that are on their way."""
        if self.link.ended or self.link.farewell is not None:
            return False
        load = len(self._open) + len(self._unsaid)
        if load == 0:
            return True
        if not self._experience.is_proven:
            return False
        return load < self._limits.max_in_flight and self._octets + size <= self._limits.max_bytes

    def add(self, plan: Plan) -> Transaction:
        """Let a message follow those on their way. It goes out with the next ``flush`` or ``settle``."""
        transaction = Transaction(plan)
        try:
            with self._mutex:
                if self.link.ended:
                    transaction.interrupt(Unsaid("The connection was lost before it was used"), 0)
                    return transaction
                self._octets += plan.content.size
                if self._unsaid or self._is_held_up():
                    self._unsaid.append(transaction)
                else:
                    self._say(transaction)
        except BaseException:
            self.fail(_interrupted(Stage.MAIL))
            raise
        return transaction

    async def flush(self, deadlines: Deadlines) -> None:
        """Write what was said, unless somebody is at it. That the connection was lost comes out where its replies are
        read: the server may have said why."""
        while True:
            with self._mutex:
                if self._is_writing or self._is_broken or not self.link.has_unsent:
                    return
                self._is_writing = True
                octets = self.link.take_unsent()
            try:
                for block in _blocks(octets):
                    await self.link.stream.write(block, deadlines("block"))
            except (OSError, TimeoutError) as error:
                self._writing_failed(error)
                return
            except BaseException:
                self.fail(_interrupted(Stage.CONTENT))
                raise
            finally:
                self._is_writing = False

    async def settle(self, transaction: Transaction, deadlines: Deadlines) -> Outcome:
        """Wait until it is known what came of ``transaction``."""
        while transaction.outcome is None:
            await self.flush(deadlines)
            if self._is_first_to_read():
                await self._read(transaction, deadlines)
            else:
                await self._wait(transaction, deadlines)
        return transaction.outcome

    async def abandon(self) -> None:
        """One sender was interrupted anywhere, as threads are: nobody knows what was half done."""
        self.fail(_interrupted(self.link.stage))
        await self._wake()

    def fail(self, error: SMTPError) -> None:
        """Give the connection up: all that is on its way is not sent, or in doubt."""
        with self._mutex:
            try:
                self.link.end(error.message)
            finally:
                self._settle_all(error)

    def _is_first_to_read(self) -> bool:
        with self._mutex:
            if self._is_reading:
                return False
            self._is_reading = True
            return True

    async def _read(self, transaction: Transaction, deadlines: Deadlines) -> None:
        """Read once, for all."""
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
            self._hear(data, cause)
        except BaseException:
            self._sender_left(transaction, loses_input=is_read or not self.link.stream.keeps_unread)
            raise
        finally:
            # Not before what was read is paired: the next one to read will pair what comes after it.
            self._is_reading = False
            await self._wake()

    def _hear(self, data: bytes, cause: OSError | None) -> None:
        failure: SMTPError | None = None
        with self._mutex:
            try:
                self.link.hear(data, cause)
            except SMTPError as error:
                failure = error
            try:
                self._settle_answered()
            except SMTPError as error:
                failure = failure or error
            if failure is not None:
                self.link.end(failure.message)
                self._suspect()
                self._settle_all(failure)

    async def _wait(self, transaction: Transaction, deadlines: Deadlines) -> None:
        """Let the one who reads go on, until something has changed."""
        async with self._changed:
            self._waiters += 1
            try:
                if transaction.outcome is None and self._is_reading:
                    await self._changed.wait(deadlines.end)
            except TimeoutError as error:
                self._leave(transaction, _too_late(error))
            except BaseException:
                self._sender_left(transaction, loses_input=False)
                raise
            finally:
                self._waiters -= 1

    async def _wake(self) -> None:
        if self._waiters:
            async with self._changed:
                self._changed.notify_all()

    def _due_time(self, deadlines: Deadlines) -> float:
        """Until when the next reply must have come whole, however many pieces it comes in."""
        if self._due is None or self._heard != self.link.heard:
            self._heard = self.link.heard
            self._due = deadlines.uncut(_TIMEOUTS.get(self.link.stage, "command"))
        return self._due

    def _reading_took_too_long(self, transaction: Transaction, cause: TimeoutError, *, by_server: bool) -> None:
        if by_server or self.load == 1:
            error = self.link.too_late()
            error.__cause__ = cause
            self._suspect()
            self.fail(error)
        else:
            self._leave(transaction, _too_late(cause))

    def _leave(self, transaction: Transaction, error: SMTPError) -> None:
        """One sender gives up waiting; the others go on. What was said is going out, whoever waits for the answer."""
        with self._mutex:
            if transaction.outcome is None:
                is_unsaid = self._drop_if_unsaid(transaction)
                transaction.interrupt(error, 0, is_going_out=not is_unsaid)

    def _sender_left(self, transaction: Transaction, *, loses_input: bool) -> None:
        """One sender was interrupted. Where what was read may be lost with it, nobody can go on."""
        with self._mutex:
            self._drop_if_unsaid(transaction)
        if loses_input or (self.load <= 1 and not self._waiters):
            self.fail(_interrupted(self.link.stage))

    def _drop_if_unsaid(self, transaction: Transaction) -> bool:
        if transaction not in self._unsaid:
            return False
        self._unsaid.remove(transaction)
        self._octets -= transaction.plan.content.size
        return True

    def _writing_failed(self, error: OSError) -> None:
        """What the server said before it hung up is still to be read; that takes a moment and no more."""
        if isinstance(error, TimeoutError):
            failure = self.link.too_late()
            failure.__cause__ = error
            self.fail(failure)
        else:
            self._is_broken = True
            self._due, self._heard = self._io.now() + _LAST_WORDS, self.link.heard

    # From here on the mutex is held.

    def _is_held_up(self) -> bool:
        """Whether nothing can be said before an answer has come."""
        return bool(self._open) and self._open[-1].awaits_go_ahead

    def _say(self, transaction: Transaction) -> None:
        # Whatever comes of the message before, its envelope must not mix with this one.
        behind = bool(self._open) and transaction.plan.manner is Manner.WHOLE
        if not self._open:
            self._due = None
        transaction.say(self.link, self.must_reset or behind)
        self.must_reset = False
        self._open.append(transaction)

    def _say_on(self) -> None:
        """Say what may be said now."""
        while self._unsaid and not self._is_held_up():
            self._say(self._unsaid[0])
            self._unsaid.popleft()

    def _settle_answered(self) -> None:
        """Settle what was answered in full, and let what waited for it go on. Raises ``SMTPError`` when the connection
        cannot be used any more."""
        while self._open and self._open[0].is_answered:
            transaction = self._open[0]
            if transaction.awaits_go_ahead and transaction.last.is_intermediate:
                self._go_ahead(transaction)
            else:
                self._conclude(transaction)
            if self._unsaid:
                self._say_on()

    def _go_ahead(self, transaction: Transaction) -> None:
        if not transaction.mail.is_positive:
            # Even a lone dot might deliver something now, from nobody knows whom.
            raise ProtocolError("The server asks for content although it refused the sender", stage=Stage.DATA)
        self._experience.is_proven = True
        transaction.say_content(self.link)

    def _conclude(self, transaction: Transaction) -> None:
        if transaction.awaits_go_ahead and transaction.last.is_positive:
            words = "The server answered DATA as if the message had been sent already"
            raise ProtocolError(words, stage=Stage.DATA, reply=transaction.last)
        if not transaction.awaits_go_ahead and transaction.final_word.is_intermediate:
            words = "The server asks for content that it has already"
            raise ProtocolError(words, stage=Stage.CONTENT, reply=transaction.final_word)
        self._open.popleft()
        self._octets -= transaction.plan.content.size
        outcome = transaction.conclude()
        if outcome.error is None:
            self._experience.is_proven = True
            return
        self.must_reset = transaction.final is None
        # Whoever got the message would get it twice if it were said again.
        confusing = transaction.confusion if outcome.is_certainly_not_sent else None
        if confusing is None:
            self._experience.is_proven = True
            return
        self._experience.give_up(confusing)
        error = Misunderstood.about(confusing, transaction.last)
        transaction.outcome = judge.misunderstood(transaction.plan.envelope.addresses, error)
        raise error

    def _settle_all(self, error: SMTPError) -> None:
        """After 421 a server does nothing any more (RFC 5321 §3.8); what it had answered by then it may have done."""
        for transaction in (*self._open, *self._unsaid):
            if transaction.outcome is None:
                is_undone = self.link.has_left and not transaction.is_answered
                transaction.interrupt(error, 0 if is_undone else self.link.stream.sent)
        self._open.clear()
        self._unsaid.clear()
        self._octets = 0

    def _suspect(self) -> None:
        """A server that was never seen to take a group, and twice did not, is not sent one a third time."""
        if not self._experience.is_proven and self._open:
            self._experience.suspect()


_LAST_WORDS = 1.0
"""Seconds to read what a server said before it hung up: it is there already."""

_TIMEOUTS: dict[Stage, StageName] = {Stage.DATA: "data", Stage.CONTENT: "content"}


def _blocks(octets: bytes) -> Iterable[bytes | memoryview]:
    if len(octets) <= BLOCK:
        return (octets,)
    view = memoryview(octets)
    return (view[start : start + BLOCK] for start in range(0, len(view), BLOCK))


def _interrupted(stage: Stage) -> ConnectionFailed:
    return ConnectionFailed("The sender of a message was interrupted", stage=stage)


def _too_late(cause: BaseException) -> DeadlineExceeded:
    error = DeadlineExceeded("The time for this message was over before the server had answered", stage=Stage.CONTENT)
    error.__cause__ = cause
    return error
