"""A link: commands in flight, and replies paired with them in order.

Everything that is queued adds an expectation of one or more replies; each reply belongs to the oldest incomplete one
(RFC 5321 §4.1.1, RFC 2920). A single slot for "the" pending reply would allow one command in flight; a queue allows any
number.

A link that has failed in any way stays broken: its later replies could not be paired with certainty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from wlsmtp.errors import (
    CommandRefused,
    ConnectionFailed,
    DeadlineExceeded,
    ProtocolError,
    SMTPError,
    Stage,
    TLSError,
)
from wlsmtp.events import Disconnected, Line
from wlsmtp.io.alerts import client_certificate_error
from wlsmtp.results.reply import Reply, reply_of
from wlsmtp.smtp.expectation import Expectation
from wlsmtp.smtp.masked import MaskedReplies
from wlsmtp.wire.reply import ReplyParser, printable

if TYPE_CHECKING:
    from wlsmtp.events import Announcer, Event, Muted
    from wlsmtp.io.base import Stream
    from wlsmtp.settings.config import TLS

T = TypeVar("T")


class Link(MaskedReplies):
    """Queues commands and pairs replies over one stream."""

    def __init__(self, stream: Stream, server: str, name: str, announce: Announcer) -> None:
        super().__init__()
        self.stream = stream
        self.server = server
        self.name = name
        """The identifier of this connection in events and logs."""
        self.closing_reply: Reply | None = None
        """The 421 with which the server announced that it closes the connection (RFC 5321 §3.8)."""
        self.ended: bool = False
        self.octets_queued: int = 0
        """Octets queued so far, sent or not."""
        self.replies_read: int = 0
        """Replies paired so far."""
        self.early: Reply | None = None
        """A reply that came with the greeting, before anything was asked."""
        self._announce = announce
        self._is_shown = announce.wants_lines
        """True if the latest command was shown to listeners; its content and replies are then shown too."""
        self.pending_events: deque[tuple[Event, Muted]] = deque()
        """Events for ``emit_events``."""
        self._is_emitting = False
        self._parser = ReplyParser(server)
        self._expected: deque[Expectation] = deque()
        self.unsent: list[bytes] = []
        """Octets that were queued and not taken for writing."""
        self._answered = Stage.GREETING
        self._obeys_after_421 = False
        """True if the server has executed a command after its 421."""

    @property
    def has_closed(self) -> bool:
        """True if the server has sent 421 and has only refused since: what it has not answered, it has not done."""
        return self.closing_reply is not None and self.closing_reply.code == 421 and not self._obeys_after_421

    @property
    def is_usable(self) -> bool:
        """True if nothing rules out using the link; the server is not asked."""
        return not (self.ended or self.closing_reply or self._expected or self.unsent or not self._parser.is_empty)

    @property
    def stage(self) -> Stage:
        """The stage that the next reply answers."""
        return self._expected[0].stage if self._expected else self._answered

    @property
    def accepts_commands(self) -> bool:
        """True if more commands may be queued behind those not answered yet."""
        return not self.ended and self.closing_reply is None

    def wants_lines(self) -> bool:
        """Return whether someone listens to every line, so that lines must be shown. It is checked once for all that is
        written together."""
        if not self.unsent:
            self._is_shown = self._announce.wants_lines
        return self._is_shown

    def queue(self, stage: Stage, command: bytes, shown: str | None = None) -> Expectation:
        """Queue a command for the next ``flush``. Events show ``shown`` instead of it, for secrets."""
        if self.wants_lines():
            self.show(shown or printable(command.rstrip(b"\r\n")))
        return self.queue_all(command, (stage,))

    def queue_all(self, octets: bytes, stages: tuple[Stage, ...]) -> Expectation:
        """Queue commands or content that will be answered once for each of ``stages``."""
        self.queue_expecting(octets, expectation := Expectation(stages))
        return expectation

    def queue_expecting(self, octets: bytes, expectation: Expectation) -> None:
        """Queue ``octets`` whose replies go to ``expectation``."""
        self.add(octets)
        self._expected.append(expectation)

    def add(self, octets: bytes) -> None:
        """Queue content behind what is queued already."""
        self.unsent.append(octets)
        self.octets_queued += len(octets)

    def expect(self, *stages: Stage) -> Expectation:
        """Return a place for replies that no command asks for: the greeting, or the reply to content."""
        expectation = Expectation(stages)
        self._expected.append(expectation)
        return expectation

    async def ask(self, stage: Stage, command: bytes, deadline: float, shown: str | None = None) -> Reply:
        """Send one command and return its reply."""
        expectation = self.queue(stage, command, shown)
        await self.flush(deadline)
        return await self.reply(expectation, deadline)

    def take_unsent(self) -> bytes:
        """Return what was queued and not written, for ``write``."""
        octets = b"".join(self.unsent)
        self.unsent.clear()
        return octets

    async def flush(self, deadline: float) -> None:
        """Write what was queued. If the server has closed the connection, ``reply`` finds out whether it said why."""
        self.emit_events()
        await self.write(self.take_unsent(), self.stage, deadline)

    async def write(self, data: bytes, stage: Stage, deadline: float) -> None:
        """Write octets. If the server has closed the connection but answered everything sent before, the write counts
        as done: the answers are what matters."""
        try:
            await self._guard(self.stream.write(data, deadline), stage)
        except ConnectionFailed as error:
            await self._read_final_replies(deadline)
            self.end(error.message)
            if self._expected:
                raise self._with_closing_reply(error) from error.__cause__

    async def write_content(self, data: bytes, deadline: float) -> None:
        """Write octets of content that were not queued."""
        self.emit_events()
        self.octets_queued += len(data)
        await self.write(data, Stage.CONTENT, deadline)

    async def reply(self, expectation: Expectation, deadline: float) -> Reply:
        """Return the last reply that belongs to ``expectation``, once all older ones have come."""
        while not expectation.is_complete:
            try:
                self.feed(await self.read(deadline))
            finally:
                self.emit_events()
        return expectation.replies[-1]

    async def early_reply(self, deadline: float) -> Reply | None:
        """Return the reply that the server has sent with its greeting, if any."""
        while self.early is None and not self._parser.is_empty:
            self.feed(await self.read(deadline))
        return self.early

    async def last_reply(self, expectation: Expectation, deadline: float) -> Reply:
        """Return the reply to content. It counts whatever the server sends after it, which only ends the link."""
        try:
            return await self.reply(expectation, deadline)
        except ProtocolError:
            if not expectation.is_complete:
                raise
            return expectation.replies[-1]

    async def reply_if_begun(self, expectation: Expectation, soon: float, deadline: float) -> Reply | None:
        """Return the reply to ``expectation`` if the server has begun to send it before its turn."""
        if expectation.reply is None and self.stream.has_input():
            data, cause = b"", None
            try:
                data = await self.stream.read(soon)
            except TimeoutError:
                return None  # a TLS record without data
            except OSError as error:
                cause = error
            self.feed(data, cause)
        if expectation.reply is None and self._parser.is_empty:
            return None
        return await self.reply(expectation, deadline)

    async def start_tls(self, settings: TLS, server_hostname: str, deadline: float) -> None:
        """Secure the stream. Raises ``CommandRefused`` when the server refuses the connection in plain text, on a port
        where TLS comes first. An attacker on the path could end the connection just as well."""
        if self.octets_queued and (not self._parser.is_empty or self.stream.has_input()):
            await self._refuse_clear_octets(deadline)
        try:
            await self._guard(self.stream.start_tls(settings, server_hostname, deadline), Stage.TLS)
        except TLSError as error:
            # The class of the cause lives in io/, where the ssl module is. The stream stays in plain text.
            octets = getattr(error.__cause__, "octets", b"")
            if octets and not self.octets_queued:
                await self._raise_refusal(octets, deadline)
            self.end(str(error))
            if octets and self.octets_queued:
                words = f"{self.server} agreed to start TLS, then sent something else"
                raise TLSError(words, stage=Stage.TLS) from error.__cause__
            self._add_port(error, server_hostname)
            raise
        except SMTPError as error:
            self.end(str(error))
            raise

    def _add_port(self, error: TLSError, name: str) -> None:
        """Add the port to a TLS error: the handshake knows the server by name only, and several may listen at one
        name."""
        if self.server in error.message:
            return
        if name in error.message and self.server.strip("[").startswith(name):
            error.message = error.message.replace(name, self.server, 1)
        else:
            error.message = f"{error.message.rstrip('.')} (the server at {self.server})"

    async def _refuse_clear_octets(self, deadline: float) -> None:
        """Raise the error for octets after the 220 to STARTTLS: they do not come from the server that the handshake
        will authenticate. They may also be the end of the connection."""
        if self._parser.is_empty:
            try:
                is_lost = not await self._guard(self.stream.read(deadline), Stage.TLS)
            except ConnectionFailed as error:
                self.end(error.message)
                raise
            if is_lost:
                lost = self._lost(Stage.TLS, "the server closed the connection")
                self.end(lost.message)
                raise lost
        self.end("bytes before the TLS handshake")
        words = f"{self.server} sent plain text after it agreed to start TLS; an attacker may be injecting replies"
        raise ProtocolError(words, stage=Stage.STARTTLS)

    async def _raise_refusal(self, octets: bytes, deadline: float) -> None:
        """Raise the error for a 4xx or 5xx reply in plain text, if ``octets`` begin one; the connection ends."""
        if octets[:1] not in (b"4", b"5"):
            return
        expectation = self.expect(Stage.GREETING)
        try:
            self.feed(octets)
            reply = await self.reply(expectation, deadline)
        except DeadlineExceeded as error:
            raise self.timeout_error(Stage.TLS) from error
        except ProtocolError:
            if expectation.reply is None:
                return
            reply = expectation.reply
        self.end("refused before the TLS handshake")
        raise self.refused_at_greeting(reply)

    def refused_at_greeting(self, reply: Reply) -> CommandRefused:
        """Return the error for a server that refuses the connection."""
        return CommandRefused(f"{self.server} refused the connection", stage=Stage.GREETING, reply=reply)

    async def close(self) -> None:
        """Close the link after QUIT."""
        if not self.ended:
            self.ended = True
            self._note(Disconnected(self.name, None))
        try:
            await self.stream.close()
        finally:
            self.emit_events()

    def end(self, reason: str) -> None:
        """Abort the link."""
        was_ended, self.ended = self.ended, True
        self.stream.abort()
        if not was_ended:
            self._note(Disconnected(self.name, reason))

    def _note(self, event: Event) -> None:
        """Keep an event for ``emit_events``: the caller may hold a lock that a listener would wait for."""
        self.pending_events.append((event, self._announce.muted))

    def emit_events(self) -> None:
        """Pass the events to the listeners, in order. The caller must hold no lock. One thread at a time does so on
        behalf of all."""
        while self.pending_events and not self._is_emitting:
            self._is_emitting = True
            try:
                while self.pending_events:
                    self._announce(*self.pending_events.popleft())
            finally:
                self._is_emitting = False

    def show(self, text: str) -> None:
        """Show listeners what was sent: a line, or ``[…]`` for content."""
        self._note(Line(self.name, "client", text))

    def show_content(self, size: int) -> None:
        """Show listeners that content of ``size`` octets was sent."""
        if self._is_shown:
            self.show(f"[{size} octets of content]")

    async def read(self, deadline: float) -> bytes:
        """Read what the server sends next, for ``feed``. Raises ``SMTPError`` when the connection has failed."""
        try:
            return await self._guard(self.stream.read(deadline), self.stage)
        except ConnectionFailed as error:
            self.feed(b"", error.__cause__)
            raise

    def feed(self, data: bytes, cause: BaseException | None = None) -> None:
        """Process what was read. Empty ``data`` is the end of the connection, which is raised as an error."""
        if data:
            self._pair(data)
            return
        why = getattr(cause, "strerror", None) or str(cause or "the server closed the connection")
        error = self._lost(self.stage, why)
        self.end(error.message)
        raise self._with_closing_reply(error) from cause

    def timeout_error(self, stage: Stage | None = None) -> DeadlineExceeded:
        """Return the error for a server that did not answer, or did not accept data, in time."""
        stage = stage or self.stage
        hint = None
        if stage is Stage.GREETING and self.stream.tls is None:
            hint = "If the server expects TLS from the first byte (customary on port 465), use security='ssl'"
        return DeadlineExceeded(f"{self.server} took too long at {stage}", stage=stage, hint=hint)

    def _pair(self, data: bytes) -> None:
        accepted = self._parser.take_accepted(data)
        is_quiet = not (self._is_shown or self.closing_reply)
        if accepted is not None and is_quiet and not self.may_hold_secret(accepted, self.stage):
            accepted = self._pair_accepted(accepted)
            if not accepted:
                return
        replies, error = (list(map(reply_of, accepted)), None) if accepted is not None else self._parser.take(data)
        expected = self._expected = deque([part for one in self._expected for part in one.parts()])
        if self._is_shown or (not self._expected and self._announce.wants_lines):
            for reply in replies:
                self._show_reply(reply)
        self.replies_read += len(replies)
        if self.masking is not None:
            replies = self.without_secrets(replies, self.stage)
        if error is None and self.closing_reply is None:
            replies = self._pair_runs(replies)
        for reply in replies:
            is_good = reply.code < 300
            if not is_good or self.closing_reply is not None:
                self._note_closing(reply)
            if expected:
                expectation = expected[0]
                expectation.replies.append(reply)
                expectation.left -= 1
                if not is_good:
                    expectation.not_positive += 1
                if not expectation.left and not (expectation.may_grow and expectation.grow()):
                    expected.popleft()
                    self._answered = expectation.stages[-1]
            elif reply.is_positive and (self.early, self.octets_queued, self._answered) == (None, 0, Stage.GREETING):
                self.early = reply
            elif reply.code != 421:
                error = ProtocolError(f"{self.server} sent a reply that answers nothing", reply=reply)
                break
        if error is not None:
            self.mask_error(error)
            error.stage = self.stage
            self.end(str(error))
            raise error

    def accepts_all(self, data: bytes) -> list[bytes] | None:
        """Return the lines of ``data`` if they are positive replies of one line each to the only thing that is
        expected, and to be neither shown nor masked. Nothing is changed; ``pair_all`` pairs them."""
        if data[-2:] != b"\r\n" or not self._parser.is_empty or self._is_shown or self.closing_reply is not None:
            return None
        lines = self._parser.take_accepted(data)
        if lines is None or len(self._expected) != 1 or len(lines) != self._expected[0].left:
            return None
        return None if self.masking is not None and self.may_hold_secret(lines, self.stage) else lines

    def pair_all(self, lines: list[bytes]) -> None:
        """Pair what ``accepts_all`` has returned."""
        self._pair_accepted(lines)

    def _pair_accepted(self, lines: list[bytes]) -> list[bytes]:
        """Pair the lines of positive replies with the expectations that take them so, the usual case. Return the rest,
        from the first that does not."""
        expected, place = self._expected, 0
        while expected and (taken := (expectation := expected[0]).take(lines, place)):
            place += taken
            if expectation.left:
                break
            expected.popleft()
            self._answered = expectation.stages[-1]
        self.replies_read += place
        return lines[place:]

    def _pair_runs(self, replies: list[Reply]) -> list[Reply]:
        """Pair leading replies as long as each expectation is completed without a 421. Return the rest, to be paired
        one by one."""
        expected, place, count = self._expected, 0, len(replies)
        while expected and (end := place + (expectation := expected[0]).left) <= count and not expectation.may_grow:
            run = replies[place:end]
            if any([reply.code == 421 for reply in run]):
                break
            expectation.not_positive += sum([reply.code >= 300 for reply in run])
            expectation.replies.extend(run)
            expectation.left = 0
            expected.popleft()
            self._answered = expectation.stages[-1]
            place = end
        return replies[place:]

    def _note_closing(self, reply: Reply) -> None:
        """Track whether the server has announced that it closes, and whether it executes anything after that."""
        if reply.code == 421:
            self.closing_reply, self._obeys_after_421 = reply, False
        elif self.closing_reply is not None and reply.code < 400:
            self._obeys_after_421 = self._obeys_after_421 or self.stage is not Stage.RSET

    async def _guard(self, waiting: Awaitable[T], stage: Stage) -> T:
        """Await I/O and raise any failure with its stage. Every failure ends the link here, except a lost connection,
        whose final replies may still be readable."""
        try:
            return await waiting
        except SMTPError:
            raise
        except TimeoutError as error:
            self.end(f"no progress at {stage}")
            raise self.timeout_error(stage) from error
        except OSError as error:
            self._check_alert(error)
            raise self._lost(stage, error.strerror or str(error)) from error
        except BaseException:
            self.end(f"interrupted at {stage}")
            raise

    async def _read_final_replies(self, deadline: float) -> None:
        """Read the final replies after a failed write: if a server refused and closed, its reply is still in the
        receive buffer."""
        try:
            while self._expected and (data := await self.stream.read(deadline)):
                self._pair(data)
        except ProtocolError:
            pass
        except OSError as error:
            self._check_alert(error)

    def _check_alert(self, error: OSError) -> None:
        """Raise the error for a TLS alert about the client's certificate."""
        if (about_client := client_certificate_error(error, self.server)) is not None:
            self.end(about_client.message)
            raise about_client from error

    def _with_closing_reply(self, error: ConnectionFailed) -> ConnectionFailed:
        error.reply = error.reply or self.closing_reply
        return error

    def _lost(self, stage: Stage, why: str) -> ConnectionFailed:
        return ConnectionFailed(f"The connection to {self.server} was lost at {stage} ({why})", stage=stage)

    def _show_reply(self, reply: Reply) -> None:
        reply = self.masking.reply(reply) if self.masking is not None else reply
        last = len(reply.lines) - 1
        for number, text in enumerate(reply.lines):
            self._note(Line(self.name, "server", f"{reply.code}{' ' if number == last else '-'}{text}"))
