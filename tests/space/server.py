"""A small SMTP server that follows rules and records what happened, for many cases at once in one selector loop.

It shares no code with the library: RFC 5321, 2920, 3030 and nothing else. Messages are distinguished by their sender
(``m3@example.test``), so that each command can be attributed. Without a rule it does what the RFCs say. It keeps the
envelope after a refused DATA and after refused recipients, as most servers do, and refuses MAIL inside a transaction.
"""

from __future__ import annotations

import heapq
import itertools
import re
import select
import selectors
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """What a rule waits for."""

    RSET = "RSET"
    """RSET behind the message (the latest for which MAIL was said on the connection)."""
    MAIL = "MAIL"
    RCPT_ONE = "RCPT of one"
    """RCPT of the message's second recipient."""
    RCPT_ALL = "RCPT of all"
    """Each RCPT; what the server does then, it does after the last."""
    DATA = "DATA"
    END = "end of content"
    """The final dot."""
    BDAT = "BDAT"
    """The end of the content at a server that offers CHUNKING, by BDAT or by DATA."""


class Then(StrEnum):
    """What the server does after the reply of a rule."""

    STAY = "stays"
    CLOSE = "closes"
    RESET = "resets"
    REFUSE = "stays, and says the same to every MAIL from then on"
    LATE = "stays, and says that behind the next reply"
    """Where a reply follows; else it is as STAY."""
    BARE = "stays, and ends that reply with CR alone"
    """So that the client reads one reply less."""
    MUTE = "says nothing more, and goes on reading"
    """It shuts its side of the connection."""
    DEAF = "reads nothing more, and closes later"


ODD = (Then.LATE, Then.BARE, Then.MUTE, Then.DEAF)
"""What no server should do. ``cases.odd_cases`` has them."""


SILENT, GARBAGE = "", "\0\xff\x01"
"""Replies that are none: nothing at all (before a close), octets that are no reply."""


@dataclass(frozen=True)
class Rule:
    """What is answered to one message at one stage, in place of the usual reply."""

    stage: Stage
    message: int
    reply: str
    then: Then = Then.STAY
    times: int | None = 1
    """In how many transactions; None: in all."""
    keeps: bool = False
    """Whether content that is refused leaves its envelope behind, so that MAIL needs RSET first (as with Postfix)."""
    stores: bool = False
    """Whether the content is stored whatever the reply says."""

    @property
    def code(self) -> int:
        """The code of the reply; 0 if it is none."""
        return int(self.reply[:3]) if self.reply[:3].isdigit() else 0

    @property
    def is_positive(self) -> bool:
        """2xx: the command does what it says."""
        return self.code // 100 == 2

    @property
    def is_refusal(self) -> bool:
        """4xx or 5xx."""
        return self.code // 100 in (4, 5)

    @property
    def breaks_step(self) -> bool:
        """True if nobody can pair replies with commands from then on, or trust what follows: bytes that are not a
        reply, 3xx where nothing was asked, RSET that was not done, or a 421 of a server that continues."""
        if self.then is Then.LATE or self.then is Then.BARE:
            return True
        if self.then is not Then.STAY and self.then is not Then.REFUSE:
            return False
        if not self.is_positive and not self.is_refusal:
            return not (self.code == 354 and self.stage is Stage.DATA)
        return (self.stage is Stage.RSET and not self.is_positive) or (self.code == 421 and self.then is Then.STAY)

    def __str__(self) -> str:
        words = {SILENT: "no reply", GARBAGE: "garbage"}.get(self.reply, repr(self.reply))
        how = [words, str(self.then), "once" if self.times == 1 else "always"]
        how += ["keeps the envelope"] * self.keeps + ["stores it"] * self.stores
        return f"{self.stage} of m{self.message}: {', '.join(how)}"


@dataclass(frozen=True)
class Quirks:
    """What the server does otherwise than the RFCs say, all the time. Real ones do each of these."""

    max_messages: int | None = None
    """MAIL beyond so many messages over one connection is answered with 421."""
    stays: bool = True
    """Whether the connection stays open then (Exim), or is closed."""
    max_recipients: int | None = None
    too_many: str = "452 4.5.3 too many recipients"
    """The reply to RCPT beyond that."""
    rset: str | None = None
    """The reply to each RSET, which is not done then."""
    keeps: bool = False
    """Whether content that is refused leaves its envelope behind (Postfix)."""
    discards: bool = False
    """Whether what was received behind the final dot, and not looked at yet, is thrown away (chasquid)."""
    unread_chunk: bool = False
    """Whether the chunk of a BDAT without recipients is taken for commands (go-smtp)."""
    groups: str | None = None
    """The reply to whatever comes behind another command in one group, although PIPELINING is offered."""
    bdat: str | None = None
    """The reply to BDAT, although CHUNKING is offered; the chunk is read."""
    piece: int | None = None
    """How many octets of its replies a segment has."""
    cut: int | None = None
    """Where all that it says at once is cut into two segments."""
    lines: int = 0
    """How many lines come before the last one of each reply."""
    width: int = 30
    """The octets of each of these lines."""
    mark: str = ""
    """What stands at the end of each reply."""
    ending: str = "\r\n"
    """What ends each line."""
    offers_less: bool = False
    """Whether every other connection offers neither PIPELINING nor CHUNKING, as with servers of two makers."""

    def __str__(self) -> str:
        told = {name: value for name, value in vars(self).items() if value != getattr(NONE, name)}
        shown = (f"{name}={value if str(value).isprintable() else repr(value)}" for name, value in told.items())
        return ", ".join([*shown, ""])


NONE = Quirks()


@dataclass(frozen=True)
class Answer:
    """One reply of the server that concerns a message; ``text`` is empty where the connection was cut instead."""

    connection: int
    message: int
    stage: Stage
    recipient: str | None
    text: str
    is_late: bool
    """Whether commands and replies were out of step on the connection by then."""

    @property
    def klass(self) -> int:
        """The first digit of its code; 0 if it is not a reply."""
        return int(self.text[0]) if self.text[:3].isdigit() else 0


@dataclass(frozen=True)
class Stored:
    """One message in the server's store."""

    message: int
    subject: str
    recipients: tuple[str, ...]
    reply: str


@dataclass
class Record:
    """All that happened."""

    answers: list[Answer] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    mails: Counter[int] = field(default_factory=Counter)
    """How often MAIL was said for each message."""
    connections: int = 0
    cut: set[int] = field(default_factory=set)
    """Connections that the server has closed or reset before the client did."""
    out_of_step: set[int] = field(default_factory=set)
    struck: Counter[Rule] = field(default_factory=Counter)
    improper: list[str] = field(default_factory=list)
    """Commands that came behind another one, or BDAT, and the connection had not offered that."""
    is_runaway: bool = False
    """Whether a message came again and again, until the server refused it for good."""
    transcript: list[str] = field(default_factory=list)


PAUSE = 0.001
"""Seconds between the reply of a rule and what follows it, so that the client sees them apart, as over a network."""
APART = 0.0003
"""Seconds between two segments."""
DEAF_FOR = 0.02
"""Seconds for which a server that reads nothing more stays."""
RUNAWAY = 40
"""MAIL for one message so often is a client without measure."""
_NUMBER = re.compile(rb"m(\d+)")
_PATH = re.compile(rb"<([^>]*)>")
_SUBJECT = re.compile(rb"^Subject: (\S+)", re.MULTILINE)


class ScriptedServer:
    """The server of one case: its rules, its port, its record."""

    def __init__(self, keywords: Sequence[str], rules: Sequence[Rule] = (), quirks: Quirks = NONE) -> None:
        self.keywords = keywords
        self.quirks = quirks
        self.rules = tuple(rules)
        self.record = Record()
        self._transactions: dict[Rule, set[tuple[int, int]]] = {}
        self._open = 0
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.host, self.port = self._listener.getsockname()
        self._listener.setblocking(False)
        LOOP.serve(self._listener, self._accept)

    def close(self) -> None:
        """Stop listening."""
        LOOP.forget(self._listener)

    def settle(self, timeout: float = 10.0) -> bool:
        """Wait until all that came over connections that clients have closed was dealt with; whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, timeout)

    def rule_for(self, stages: tuple[Stage, ...], message: int | None, transaction: tuple[int, int]) -> Rule | None:
        """The rule that strikes now, if any."""
        for rule in self.rules:
            if rule.message != message or rule.stage not in stages:
                continue
            met = self._transactions.setdefault(rule, set())
            if rule.times is None or transaction in met or len(met) < rule.times:
                met.add(transaction)
                self.record.struck[rule] += 1
                return rule
        return None

    def gone(self) -> None:
        """One connection has ended."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self._open += 1
            self.record.connections += 1
            _Peer(sock, self, self.record.connections)


class _Cut(Exception):
    """The server closes the connection."""

    def __init__(self, then: Then) -> None:
        self.then = then


class _Peer:
    """The server's side of one connection."""

    def __init__(self, sock: socket.socket, server: ScriptedServer, number: int) -> None:
        self._sock, self._server, self._record, self._number = sock, server, server.record, number
        self._quirks = server.quirks
        has_less = self._quirks.offers_less and number % 2 == 0
        self._keywords = [word for word in server.keywords if not (has_less and word in ("PIPELINING", "CHUNKING"))]
        self._held: str | None = None
        self._is_mute = False
        self._messages = 0
        self._is_in_group = False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input, self._output = bytearray(), bytearray()
        self._latest: int | None = None
        """The message for which MAIL was said last."""
        self._count = 0
        self._mail_refusal: str | None = None
        self._chunk: tuple[int, bool] | None = None
        self._is_content = False
        self._is_paused = self._has_ended = False
        self._forget()
        self._say("220 space.example.test ESMTP")
        self._flush()
        LOOP.serve(sock, self._receive)

    def _forget(self) -> None:
        self._message: int | None = None
        self._recipients: list[str] = []
        self._chunks = b""

    def _receive(self) -> None:
        if self._has_ended:
            return
        try:
            data = self._sock.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            if self._is_paused:
                self._go_on()
            if not self._has_ended:
                self._end(Then.CLOSE)
            return
        self._input += data
        if self._is_paused:
            return
        self._go_on()

    def _go_on(self) -> None:
        """Deal with all that is there, up to the first reply of a rule."""
        self._is_paused = False
        try:
            while self._step():
                if self._is_paused and self._input:
                    self._flush()
                    LOOP.later(self._after_pause)
                    return
            self._is_paused = False
            held, self._held = self._held, None
            self._say(held or "")
            self._flush()
        except _Cut as cut:
            self._flush()
            self._end(cut.then)

    def _after_pause(self) -> None:
        if not self._has_ended:
            self._go_on()

    def _end(self, then: Then) -> None:
        self._has_ended = True
        if then is Then.RESET:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if then is Then.DEAF:
            LOOP.ignore(self._sock)
            LOOP.later(lambda: self._end(Then.CLOSE), DEAF_FOR)
            return
        LOOP.forget(self._sock)
        self._server.gone()

    def _flush(self) -> None:
        octets, self._output = bytes(self._output), bytearray()
        piece, cut = self._quirks.piece, self._quirks.cut
        if piece is not None:
            parts = [octets[place : place + piece] for place in range(0, len(octets), piece)]
        elif cut is not None and len(octets) > cut:
            parts = [octets[:cut], octets[cut:]]
        else:
            parts = [octets] if octets else []
        with suppress(OSError):
            for place, part in enumerate(parts):
                if place and cut is not None:
                    time.sleep(APART)
                self._send(part)

    def _send(self, octets: bytes) -> None:
        while octets:
            try:
                octets = octets[self._sock.send(octets) :]
            except BlockingIOError:
                if not select.select([], [self._sock], [], 1.0)[1]:
                    return

    def _step(self) -> bool:
        """Deal with the next command, chunk or content; False when it is not there yet."""
        if self._chunk is not None:
            size, is_last = self._chunk
            if len(self._input) < size:
                return False
            chunk = bytes(self._input[:size])
            del self._input[:size]
            self._chunk = None
            self._bdat(chunk, is_last)
            self._is_in_group = bool(self._input)
            return True
        if self._is_content:
            content = self._content()
            if content is None:
                return False
            self._is_content = False
            self._finish(Stage.END, content)
            self._is_in_group = bool(self._input)
            return True
        line, found, rest = self._input.partition(b"\n")
        if not found:
            return False
        self._input = rest
        self._command(bytes(line.rstrip(b"\r")))
        self._is_in_group = bool(self._input)
        return True

    def _content(self) -> bytes | None:
        if self._input.startswith(b".\r\n"):
            del self._input[:3]
            return b""
        content, found, rest = self._input.partition(b"\r\n.\r\n")
        if not found:
            return None
        self._input = rest
        return bytes(content)

    def _command(self, line: bytes) -> None:
        self._record.transcript.append(f"{self._number} C {line.decode('latin-1')[:100]}")
        verb, _, rest = line.partition(b" ")
        needed = "CHUNKING" if verb.upper() == b"BDAT" else "PIPELINING"
        if needed not in self._keywords and (self._is_in_group or needed == "CHUNKING"):
            self._record.improper.append(self._record.transcript[-1])
        if self._is_in_group and self._quirks.groups is not None and verb.upper() != b"BDAT":
            if verb.upper() == b"MAIL":
                self._offered(rest)
            recipient = found[1].decode() if (found := _PATH.search(rest)) and verb.upper() == b"RCPT" else None
            self._answer(None, Stage.MAIL, self._latest, self._quirks.groups, recipient)
            return
        match verb.upper():
            case b"EHLO":
                self._forget()
                self._say("\r\n".join(["250-space", *(f"250-{word}" for word in self._keywords), "250 HELP"]))
            case b"RSET":
                self._rset()
            case b"MAIL":
                self._mail(rest)
            case b"RCPT":
                self._rcpt(rest)
            case b"DATA":
                self._data()
            case b"BDAT":
                size, _, last = rest.partition(b" ")
                self._chunk = int(size), last.upper() == b"LAST"
            case b"NOOP":
                self._say("250 2.0.0 fine")
            case b"QUIT":
                self._say("221 2.0.0 bye")
                raise _Cut(Then.CLOSE)
            case _:
                self._say("500 5.5.2 unknown command")

    def _rset(self) -> None:
        self._count += 1
        rule = self._rule(Stage.RSET, message=self._latest)
        if self._quirks.rset is not None:
            self._record.out_of_step.add(self._number)
            self._answer(None, Stage.RSET, self._latest, self._quirks.rset)
            return
        if rule is None or rule.is_positive:
            self._forget()
        self._answer(rule, Stage.RSET, self._latest, "250 2.0.0 flushed")

    def _offered(self, rest: bytes) -> int:
        found = _NUMBER.search(rest)
        self._latest = message = int(found[1]) if found else -1
        self._count += 1
        self._record.mails[message] += 1
        return message

    def _mail(self, rest: bytes) -> None:
        message = self._offered(rest)
        is_runaway = self._record.mails[message] > RUNAWAY
        self._record.is_runaway |= is_runaway
        if is_runaway:
            self._answer(None, Stage.MAIL, message, "550 5.7.1 enough of that")
        elif self._quirks.max_messages is not None and self._messages >= self._quirks.max_messages:
            self._answer(None, Stage.MAIL, message, "421 4.7.0 too many messages in this connection")
            if not self._quirks.stays:
                self._record.cut.add(self._number)
                raise _Cut(Then.CLOSE)
        elif self._mail_refusal is not None:
            self._answer(None, Stage.MAIL, message, self._mail_refusal)
        elif self._message is not None:
            self._answer(None, Stage.MAIL, message, "503 5.5.1 nested MAIL command")
        else:
            rule = self._rule(Stage.MAIL, message=message)
            if rule is None or rule.is_positive:
                self._message = message
                self._messages += 1
            self._answer(rule, Stage.MAIL, message, "250 2.1.0 sender ok")

    def _rcpt(self, rest: bytes) -> None:
        found = _PATH.search(rest)
        recipient = found[1].decode() if found else "?"
        if self._message is None:
            self._answer(None, Stage.RCPT_ONE, self._latest, "503 5.5.1 need MAIL first", recipient)
            return
        most = self._quirks.max_recipients
        if most is not None and len(self._recipients) >= most:
            self._answer(None, Stage.RCPT_ONE, self._message, self._quirks.too_many, recipient)
            return
        is_second = recipient.startswith(f"m{self._message}b")
        stages = (Stage.RCPT_ALL, Stage.RCPT_ONE) if is_second else (Stage.RCPT_ALL,)
        rule = self._rule(*stages, message=self._message)
        acts = is_second or (rule is not None and rule.reply == SILENT)
        if rule is None or rule.is_positive:
            self._recipients.append(recipient)
        self._answer(rule, Stage.RCPT_ONE, self._message, "250 2.1.5 recipient ok", recipient, acts=acts)

    def _data(self) -> None:
        if self._message is None:
            self._answer(None, Stage.DATA, self._latest, "503 5.5.1 need MAIL first")
        elif not self._recipients:
            self._answer(None, Stage.DATA, self._latest, "554 5.5.1 no valid recipients")
        else:
            rule = self._rule(Stage.DATA, message=self._message)
            self._is_content = rule is None or rule.code == 354
            self._answer(rule, Stage.DATA, self._message, "354 go ahead")

    def _bdat(self, chunk: bytes, is_last: bool) -> None:
        if self._quirks.bdat is not None:
            self._answer(None, Stage.BDAT, self._latest, self._quirks.bdat)
            return
        if self._message is None or not self._recipients:
            if self._quirks.unread_chunk:
                self._input[:0] = chunk
            self._answer(None, Stage.BDAT, self._latest, "503 5.5.1 no valid recipients")
            return
        self._chunks += chunk
        if is_last:
            self._finish(Stage.BDAT, self._chunks)
        else:
            self._answer(None, Stage.BDAT, self._message, f"250 2.0.0 {len(chunk)} octets")

    def _finish(self, stage: Stage, content: bytes) -> None:
        message, recipients = self._message, tuple(self._recipients)
        assert message is not None
        # A client may well begin with DATA at a server that offers CHUNKING.
        stages = (stage, Stage.BDAT) if "CHUNKING" in self._server.keywords else (stage,)
        rule = self._rule(*stages, message=message)
        usual = f"250 2.0.0 stored as c{self._number}n{len(self._record.stored)}"
        if self._quirks.discards and stage is Stage.END:
            self._input.clear()
        if rule is None or rule.is_positive or not (rule.keeps or self._quirks.keeps):
            self._forget()
        if rule is None or rule.is_positive or rule.stores:
            subject = _SUBJECT.search(content)
            reply = _tagged(rule.reply if rule is not None else usual, message, stage)
            words = subject[1].decode() if subject else "?"
            self._record.stored.append(Stored(message, words, recipients, reply))
        self._answer(rule, stage, message, usual)

    def _rule(self, *stages: Stage, message: int | None) -> Rule | None:
        return self._server.rule_for(stages, message, (self._number, self._count))

    def _answer(
        self,
        rule: Rule | None,
        stage: Stage,
        message: int | None,
        usual: str,
        recipient: str | None = None,
        *,
        acts: bool = True,
    ) -> None:
        """Say what the rule wants, or the usual reply; and if it ``acts``, do what the rule says then."""
        reply = usual if rule is None else rule.reply
        text = _tagged(reply, message, stage, recipient) if reply not in (SILENT, GARBAGE) else reply
        if message is not None:
            is_late = self._number in self._record.out_of_step
            answer = Answer(self._number, message, stage, recipient, "" if self._is_mute else text, is_late)
            self._record.answers.append(answer)
        if rule is not None and rule.then is Then.LATE and self._held is None:
            self._held = text
            return
        self._say(text, ending="\r" if rule is not None and rule.then is Then.BARE else None)
        if rule is None:
            return
        if rule.then is Then.BARE:
            self._record.out_of_step.add(self._number)
            return
        self._is_paused = True
        if rule.breaks_step:
            self._record.out_of_step.add(self._number)
        if not acts:
            return
        if rule.then is Then.REFUSE:
            self._mail_refusal = rule.reply
            self._forget()
        if rule.then is Then.MUTE:
            self._record.cut.add(self._number)
            self._flush()
            self._is_mute = True
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
        if rule.then in (Then.CLOSE, Then.RESET, Then.DEAF):
            self._record.cut.add(self._number)
            raise _Cut(rule.then)

    def _say(self, text: str, ending: str | None = None) -> None:
        if not text or self._is_mute:
            return
        lines, quirks = text.split("\r\n"), self._quirks
        self._record.transcript += [f"{self._number} S {line!r}"[:110] for line in lines]
        if len(lines) == 1 and text != GARBAGE:
            lines = [f"{text[:3]}-{'=' * quirks.width}"] * quirks.lines + [text + quirks.mark]
        ending = ending or quirks.ending
        self._output += "".join(line + ending for line in lines).encode("latin-1")
        held, self._held = self._held, None
        if held is not None:
            self._record.out_of_step.add(self._number)
            self._say(held)


def _tagged(reply: str, message: int | None, stage: Stage, recipient: str | None = None) -> str:
    """The reply with a mark that tells it from that to any other command."""
    return f"{reply} [m{message} {recipient or stage}]"


class _Loop:
    """One thread for all servers."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def serve(self, sock: socket.socket, ready: object) -> None:
        """Call ``ready`` whenever there is something to read."""
        with self._lock:
            self._selector.register(sock, selectors.EVENT_READ, ready)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="space-server", daemon=True)
                self._thread.start()

    def forget(self, sock: socket.socket) -> None:
        """Close a socket."""
        with self._lock, suppress(KeyError, ValueError):
            self._selector.unregister(sock)
        sock.close()

    def ignore(self, sock: socket.socket) -> None:
        """Do not look at a socket any more, and keep it open."""
        with self._lock, suppress(KeyError, ValueError):
            self._selector.unregister(sock)

    def later(self, call: Callable[[], None], pause: float = PAUSE) -> None:
        """Call it after a pause. For callers in the loop."""
        heapq.heappush(self._calls, (time.monotonic() + pause, next(self._numbers), call))

    def _run(self) -> None:
        while True:
            due = self._calls[0][0] - time.monotonic() if self._calls else None
            ready = self._selector.select(due)
            while self._calls and self._calls[0][0] <= time.monotonic():
                heapq.heappop(self._calls)[2]()
            for key, _ in ready:
                if key.fileobj.fileno() >= 0:  # type: ignore[union-attr]
                    key.data()


LOOP = _Loop()
