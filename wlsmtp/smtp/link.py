"""A link: commands in flight, and replies paired with them in order.

Each command that is said leaves an expectation in a queue; each reply belongs to the oldest one (RFC 5321 §4.1.1,
RFC 2920). One place where "the" pending reply is kept would allow one command in flight; a queue allows any number.

A link that has failed in any way is broken for good: its later replies could not be paired with certainty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from wlsmtp.errors import ConnectionFailed, DeadlineExceeded, ProtocolError, SMTPError, Stage, TLSError
from wlsmtp.events import Disconnected, Line
from wlsmtp.wire.reply import Reply, ReplyParser, printable

if TYPE_CHECKING:
    from wlsmtp.config import TLS
    from wlsmtp.events import Announcer
    from wlsmtp.io.base import Stream

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Expectation:
    """The place of one reply that is to come."""

    stage: Stage
    reply: Reply | None = None


class Link:
    """Says commands and pairs replies over one stream."""

    def __init__(self, stream: Stream, server: str, name: str, announce: Announcer) -> None:
        self.stream = stream
        self.server = server
        self.name = name
        """The identifier of this connection in events and logs."""
        self.farewell: Reply | None = None
        """The 421 with which the server has announced that it closes (RFC 5321 §3.8)."""
        self.ended = False
        self._announce = announce
        self._parser = ReplyParser()
        self._expected: deque[Expectation] = deque()
        self._unsent = bytearray()
        self._has_spoken = False
        self._answered = Stage.GREETING

    @property
    def is_usable(self) -> bool:
        """Whether nothing speaks against using the link, without asking the server."""
        return not (self.ended or self.farewell or self._expected or not self._parser.is_empty)

    def say(self, stage: Stage, command: bytes, shown: str | None = None) -> Expectation:
        """Queue a command for the next ``flush``; ``shown`` is what events show instead of it, for secrets."""
        self._unsent += command
        self._has_spoken = True
        if self._announce.wants_lines:
            self._show("client", shown or printable(command.rstrip(b"\r\n")))
        return self.expect(stage)

    def expect(self, stage: Stage) -> Expectation:
        """A place for a reply that no command asks for: the greeting, or the reply to the content."""
        expectation = Expectation(stage)
        self._expected.append(expectation)
        return expectation

    async def ask(self, stage: Stage, command: bytes, deadline: float, shown: str | None = None) -> Reply:
        """One command and its reply."""
        expectation = self.say(stage, command, shown)
        await self.flush(deadline)
        return await self.reply(expectation, deadline)

    async def flush(self, deadline: float) -> None:
        """Write what was said. A server that has hung up may have said why: that is for ``reply`` to find out."""
        data = bytes(self._unsent)
        self._unsent.clear()
        stage = self._expected[0].stage if self._expected else Stage.CONTENT
        await self.write(data, stage, deadline)

    async def write(self, data: bytes, stage: Stage, deadline: float) -> None:
        """Write octets that are no command: content. When the server has hung up, but answered all that was asked
        before, the write counts as done: its answers are what matters."""
        try:
            await self._guard(self.stream.write(data, deadline), stage)
        except ConnectionFailed as error:
            await self._hear_last_words(deadline)
            self.end(error.message)
            if self._expected:
                raise self._with_farewell(error) from error.__cause__

    async def reply(self, expectation: Expectation, deadline: float) -> Reply:
        """The reply that belongs to ``expectation``, once all older ones have come."""
        while expectation.reply is None:
            await self._receive(deadline)
        return expectation.reply

    async def listen(self, expectation: Expectation, soon: float, deadline: float) -> Reply | None:
        """The reply to ``expectation`` if the server has begun to say it although it is not its turn."""
        if expectation.reply is None and self.stream.has_input():
            try:
                self._hear(await self.stream.read(soon))
            except TimeoutError:
                return None  # a TLS record without data
            except OSError as error:
                self._hear(b"", error)
        if expectation.reply is None and self._parser.is_empty:
            return None
        return await self.reply(expectation, deadline)

    async def start_tls(self, settings: TLS, server_hostname: str, deadline: float) -> None:
        """Secure the stream. Bytes that came before the handshake were not said by the server that it will prove."""
        if not self._parser.is_empty or self.stream.has_input():
            self.end("bytes before the TLS handshake")
            if not self._has_spoken:
                hint = "Use security='tls' (STARTTLS, customary on port 587); security='ssl' is for port 465"
                words = f"{self.server} does not speak TLS from the first byte"
                raise TLSError(words, stage=Stage.TLS, hint=hint)
            words = "The server sent bytes in the clear after it agreed to start TLS: somebody may be injecting replies"
            raise ProtocolError(words, stage=Stage.STARTTLS)
        try:
            await self._guard(self.stream.start_tls(settings, server_hostname, deadline), Stage.TLS)
        except SMTPError as error:
            self.end(str(error))
            raise

    async def close(self) -> None:
        """End the link in good order, after QUIT."""
        if not self.ended:
            self.ended = True
            self._announce(Disconnected(self.name, None))
        await self.stream.close()

    def end(self, reason: str) -> None:
        """Give the link up."""
        if not self.ended:
            self.ended = True
            self._announce(Disconnected(self.name, reason))
        self.stream.abort()

    def show_content(self, size: int) -> None:
        """Tell listeners that content of ``size`` octets went out."""
        if self._announce.wants_lines:
            self._show("client", f"[{size} octets of content]")

    async def _receive(self, deadline: float) -> None:
        stage = self._expected[0].stage
        try:
            data = await self._guard(self.stream.read(deadline), stage)
        except ConnectionFailed as error:
            self._hear(b"", error.__cause__)
        else:
            self._hear(data)

    def _hear(self, data: bytes, cause: BaseException | None = None) -> None:
        """Take in what was read; nothing is the end of the connection."""
        if data:
            self._pair(data)
            return
        why = getattr(cause, "strerror", None) or str(cause or "the server closed the connection")
        error = self._lost(self._expected[0].stage, why)
        self.end(error.message)
        raise self._with_farewell(error) from cause

    def _pair(self, data: bytes) -> None:
        try:
            for reply in self._parser.feed(data):
                self._take(reply)
        except ProtocolError as error:
            error.stage = self._expected[0].stage if self._expected else self._answered
            self.end(str(error))
            raise

    def _take(self, reply: Reply) -> None:
        if self._announce.wants_lines:
            self._show_reply(reply)
        if reply.code == 421:
            self.farewell = reply
        if self._expected:
            expectation = self._expected.popleft()
            expectation.reply, self._answered = reply, expectation.stage
        elif reply.code != 421:
            raise ProtocolError("The server sent a reply that answers nothing", reply=reply)

    async def _guard(self, waiting: Awaitable[T], stage: Stage) -> T:
        """Await I/O; tell any failure with its stage. All but a lost connection, which may have last words, end the
        link here."""
        try:
            return await waiting
        except TimeoutError as error:
            self.end(f"no progress at {stage}")
            raise self._too_late(stage) from error
        except OSError as error:
            raise self._lost(stage, error.strerror or str(error)) from error
        except SMTPError:
            raise
        except BaseException:
            self.end(f"interrupted at {stage}")
            raise

    async def _hear_last_words(self, deadline: float) -> None:
        """After a failed write: a server that refused and hung up has its reply in our receive buffer still."""
        try:
            while self._expected and (data := await self.stream.read(deadline)):
                self._pair(data)
        except (OSError, ProtocolError):
            pass

    def _with_farewell(self, error: ConnectionFailed) -> ConnectionFailed:
        error.reply = error.reply or self.farewell
        return error

    def _lost(self, stage: Stage, why: str) -> ConnectionFailed:
        return ConnectionFailed(f"The connection to {self.server} was lost at {stage} ({why})", stage=stage)

    def _too_late(self, stage: Stage) -> DeadlineExceeded:
        hint = None
        if stage is Stage.GREETING:
            hint = "If the server expects TLS from the first byte (customary on port 465), use security='ssl'"
        return DeadlineExceeded(f"{self.server} took too long at {stage}", stage=stage, hint=hint)

    def _show_reply(self, reply: Reply) -> None:
        last = len(reply.lines) - 1
        for number, text in enumerate(reply.lines):
            self._announce(Line(self.name, "server", f"{reply.code}{' ' if number == last else '-'}{text}"))

    def _show(self, who: str, text: str) -> None:
        self._announce(Line(self.name, "client" if who == "client" else "server", text))
