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
"""Instead of a reply: close the connection, close it with RST, or send nothing until the client leaves."""
HEAR, FORGET = "<hear>", "<forget>"
"""Between replies: wait for a line of the client; discard unread input of the client."""
DEAF = "<deaf>"
"""Instead of a reply: stop reading as well, so that the client's content cannot be sent."""

Scripted = str | bytes | Iterable[str | bytes]
"""The replacement of the usual reply: its text, raw octets, or several of these in a row."""
Rewrite = Callable[[str], str | None]
"""Converts a reply to the one that is sent, or to None if none is."""

MAX_LINE = 65536


class Ended(Exception):
    """The conversation has ended."""

    def __init__(self, *, by_reset: bool = False) -> None:
        self.by_reset = by_reset


class Channel:
    """One connection. Names without an underscore are for the quirks."""

    def __init__(self, server: SMTPServer, sock: socket.socket, number: int) -> None:
        self.sock: socket.socket = sock
        self._server = server
        self._number = number
        self._received = bytearray()
        self.last_reply: str = ""
        self.rewriters: list[Rewrite] = []
        self.line_end = b"\r\n"
        self._read_size = 65536
        self._unsent = bytearray()
        self._instead: Scripted | None = None
        """A reply that was ordered for a handler, in place of its own."""

    @property
    def server(self) -> SMTPServer:
        """The server of this connection."""
        return self._server

    @property
    def number(self) -> int:
        """1 for the first connection that was accepted."""
        return self._number

    @property
    def received(self) -> bytearray:
        """Input that the server has not processed yet."""
        return self._received

    def say(self, reply: Scripted) -> None:
        """Queue a reply, or several in a row."""
        self._say(reply)

    def flush(self) -> None:
        """Send the queued replies."""
        self._flush()

    def _forget_transaction(self) -> None:
        raise NotImplementedError

    def _refusal_of_line(self, line: bytes, *, is_command: bool) -> str | None:
        """Return the reply that refuses a line as such."""
        return None

    def _say(self, reply: Scripted) -> None:
        reply, self._instead = reply if self._instead is None else self._instead, None
        if isinstance(reply, str | bytes):
            self._say_one(reply)
            return
        for part in reply:
            self._say_one(part)
            self._flush()

    def _say_one(self, reply: str | bytes) -> None:
        match reply:
            case "<close>" | "<reset>":
                self._flush()
                raise Ended(by_reset=reply == RESET)
            case "<silence>":
                while True:
                    self._fill()
            case "<deaf>":
                self._server.closed.wait()
                raise Ended
            case "<hear>":
                if self._line() == b".":  # the end of a content that never was, which ends the transaction too
                    self._forget_transaction()
            case "<forget>":
                self._received.clear()
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
        self._server.transcript += [(self._number, "S", line) for line in lines]
        self._unsent += self.line_end.join(lines) + self.line_end

    def _flush(self) -> None:
        size = self._server.cut or len(self._unsent)
        while self._unsent:
            self.sock.sendall(self._unsent[:size])
            del self._unsent[:size]

    def has_more(self, octets: int) -> bool:
        """Return whether the client has sent more than so many octets without waiting for a reply."""
        if len(self._received) > octets:
            return True
        if isinstance(self.sock, ssl.SSLSocket):
            return len(self._received) + self.sock.pending() > octets
        if octets or not select.select([self.sock], [], [], 0)[0]:
            return False
        return bool(self.sock.recv(1, socket.MSG_PEEK))

    def shrink_buffers(self, size: int) -> None:
        """Limit the octets in transit, as far as the system allows."""
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.sock.setsockopt(socket.SOL_SOCKET, option, size)
        self._read_size = size

    def wait_for_input(self) -> None:
        """Wait until the client has sent something."""
        self._peek(1)

    def _fill(self) -> None:
        """Read more. Pending replies are sent first, so that a group gets its replies together."""
        self._flush()
        self._server.closed.wait(self._server.pace)
        data = self.sock.recv(self._read_size)
        if not data:
            raise Ended
        self._received += data

    def _peek(self, size: int) -> bytes:
        while len(self._received) < size:
            self._fill()
        return bytes(self._received[:size])

    def _take(self, size: int) -> bytes:
        data = self._peek(size)
        del self._received[:size]
        return data

    def _line(self, *, is_command: bool = True) -> bytes:
        while True:
            while (end := self._received.find(b"\n")) < 0:
                if len(self._received) > MAX_LINE:
                    raise Ended
                self._fill()
            raw = bytes(self._received[: end + 1])
            del self._received[: end + 1]
            line = raw[:-1].removesuffix(b"\r")
            self._server.transcript.append((self._number, "C", line))
            if (refusal := self._refusal_of_line(raw, is_command=is_command)) is None:
                return line
            self._say(refusal)
