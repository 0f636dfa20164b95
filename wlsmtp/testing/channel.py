"""The server's end of a connection: octets and lines in, replies out."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wlsmtp.testing.server import SMTPServer

CLOSE, RESET, SILENCE = "<close>", "<reset>", "<silence>"
"""Instead of a reply: close the connection, close it with RST, or say nothing until the client goes."""
HEAR, FORGET = "<hear>", "<forget>"
"""Between replies: wait for a line of the client's; forget what the client sent and was not looked at yet."""
DEAF = "<deaf>"
"""Instead of a reply: do not even read any more, so that the client's content has nowhere to go."""

Scripted = str | bytes | Iterable[str | bytes]
"""What is said instead of the usual reply: its text, octets exactly as they are, or several of these in a row."""
Rewrite = Callable[[str], str | None]
"""Makes of a reply the one that is sent, or None if none is."""

MAX_LINE = 65536


class Ended(Exception):
    """The conversation is over."""

    def __init__(self, *, by_reset: bool = False) -> None:
        self.by_reset = by_reset


class Channel:
    """One connection."""

    def __init__(self, server: SMTPServer, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.server = server
        self.number = number
        self.received = bytearray()
        """What the client sent and the server has not looked at yet."""
        self.last_reply = ""
        self.rewriters: list[Rewrite] = []
        self.line_end = b"\r\n"
        self._read_size = 65536
        self._unsent = bytearray()
        self._instead: Scripted | None = None
        """What was ordered to be said by a handler, in place of its own words."""

    def forget_transaction(self) -> None:
        """Drop the envelope."""

    def _refusal_of_line(self, line: bytes, *, is_command: bool) -> str | None:
        """The reply by which a line is refused as such."""
        return None

    def say(self, reply: Scripted) -> None:
        """Put a reply, or several in a row, behind what was said before."""
        reply, self._instead = reply if self._instead is None else self._instead, None
        if isinstance(reply, str | bytes):
            self._say_one(reply)
            return
        for part in reply:
            self._say_one(part)
            self.flush()

    def _say_one(self, reply: str | bytes) -> None:
        match reply:
            case "<close>" | "<reset>":
                self.flush()
                raise Ended(by_reset=reply == RESET)
            case "<silence>":
                while True:
                    self._fill()
            case "<deaf>":
                self.server.closed.wait()
                raise Ended
            case "<hear>":
                if self._line() == b".":  # the end of a content that never was, which ends the transaction too
                    self.forget_transaction()
            case "<forget>":
                self.received.clear()
            case bytes():
                self._unsent += reply
            case _:
                self._say_text(reply)

    def _say_text(self, reply: str) -> None:
        said: str | None = reply
        for rewrite in reversed(self.rewriters):
            said = None if said is None else rewrite(said)
        if said is None:
            return
        self.last_reply = said
        lines = said.encode("utf-8", "surrogateescape").split(b"\r\n")
        self.server.transcript += [(self.number, "S", line) for line in lines]
        self._unsent += self.line_end.join(lines) + self.line_end

    def flush(self) -> None:
        """Send what was said."""
        size = self.server.cut or len(self._unsent)
        while self._unsent:
            self.sock.sendall(self._unsent[:size])
            del self._unsent[:size]

    def has_more(self, octets: int) -> bool:
        """Whether the client has sent more than so many octets without waiting for an answer."""
        if len(self.received) > octets:
            return True
        if isinstance(self.sock, ssl.SSLSocket):
            return len(self.received) + self.sock.pending() > octets
        if octets or not select.select([self.sock], [], [], 0)[0]:
            return False
        return bool(self.sock.recv(1, socket.MSG_PEEK))

    def shrink_buffers(self, size: int) -> None:
        """Let no more octets than that be on their way, as far as the system can have so little."""
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.sock.setsockopt(socket.SOL_SOCKET, option, size)
        self._read_size = size

    def wait_for_input(self) -> None:
        """Until the client has sent something."""
        self._peek(1)

    def _fill(self) -> None:
        """Read more; what was answered goes out first, so that a group gets its replies together."""
        self.flush()
        self.server.closed.wait(self.server.pace)
        data = self.sock.recv(self._read_size)
        if not data:
            raise Ended
        self.received += data

    def _peek(self, size: int) -> bytes:
        while len(self.received) < size:
            self._fill()
        return bytes(self.received[:size])

    def _take(self, size: int) -> bytes:
        data = self._peek(size)
        del self.received[:size]
        return data

    def _line(self, *, is_command: bool = True) -> bytes:
        while True:
            while (end := self.received.find(b"\n")) < 0:
                if len(self.received) > MAX_LINE:
                    raise Ended
                self._fill()
            raw = bytes(self.received[: end + 1])
            del self.received[: end + 1]
            line = raw[:-1].removesuffix(b"\r")
            self.server.transcript.append((self.number, "C", line))
            if (refusal := self._refusal_of_line(raw, is_command=is_command)) is None:
                return line
            self.say(refusal)
