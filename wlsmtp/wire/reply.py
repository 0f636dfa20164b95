"""Replies of a server, parsed from any chunking of the byte stream (RFC 5321 §4.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wlsmtp.errors import ProtocolError
from wlsmtp.results.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE = 4096
"""Octets in one reply line. RFC 5321 §4.5.3.1.5 says 512; real servers send longer texts."""
MAX_LINES = 1000
"""Lines in one reply: the largest EHLO answers have about 30, so an endless reply is cut off early."""
MAX_SIZE = 256 * 1024
"""Octets in one reply, all lines together."""


_SIMPLE = re.compile(rb"([2-5][0-9]{2}) ([ -~]{0,500})\r?")
"""A reply of one line, as most are."""
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_SEEN: dict[bytes, Reply] = {}
"""Replies of one line of up to ``_SHORT`` octets, by what was received."""
_SHORT, _MOST_SEEN = 80, 256


class ReplyParser:
    """Takes the bytes of the server in any chunking and gives the replies in order.

    Tolerant where servers are sloppy (a bare LF ends a line, no text after the code, 8-bit text); strict where a
    mistake could pair a reply with the wrong command. Memory is bounded: see ``MAX_LINE``, ``MAX_LINES``, ``MAX_SIZE``.
    """

    def __init__(self, server: str = "The server") -> None:
        """``server`` is what errors call it."""
        self._server = server
        self._rest = b""
        """The beginning of a line whose end has not come."""
        self._code: int | None = None
        self._lines: list[str] = []
        self._size = 0

    @property
    def pending(self) -> bytes:
        """Bytes that were received and do not make a whole reply yet, the parsed lines of an unfinished reply apart."""
        return self._rest

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left over: no byte and no half of a reply."""
        return not self._rest and self._code is None

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Take ``data`` and give the replies that it completes.

        Iterating raises ``ProtocolError`` where the bytes are no SMTP reply or go past a limit, but not before the
        replies in front of that place were given: they are true, whatever the server said next.
        """
        replies, error = self.take(data)
        yield from replies
        if error is not None:
            raise error

    def take(self, data: bytes) -> tuple[list[Reply], ProtocolError | None]:
        """Take ``data``; return the replies that it completes, and what was wrong behind them."""
        *lines, self._rest = (self._rest + data if self._rest else data).split(b"\n")
        replies: list[Reply] = []
        try:
            for raw in lines:
                reply = _SEEN.get(raw) if self._code is None else None
                if reply is None:
                    reply = self._line(raw)
                if reply is not None:
                    replies.append(reply)
            if self._rest:
                self._check_rest()
        except ProtocolError as error:
            return replies, error
        return replies, None

    def _check_rest(self) -> None:
        if len(self._rest) > MAX_LINE + len(b"\r"):
            raise ProtocolError(f"{self._server} sent a reply line of more than {MAX_LINE} octets.")
        if self._rest.startswith(_TLS_RECORDS):  # a TLS alert has no line end: waiting for one would hide the reason
            raise _no_smtp(self._rest, self._server)

    def _line(self, raw: bytes) -> Reply | None:
        if self._code is None and (simple := _SIMPLE.fullmatch(raw)):
            reply = Reply(int(simple[1]), (simple[2].decode("ascii"),))
            if len(raw) <= _SHORT:
                # Most replies are the same few: these are not read anew each time.
                if len(_SEEN) >= _MOST_SEEN:
                    _SEEN.clear()
                _SEEN[raw] = reply
            return reply
        line = raw[:-1] if raw.endswith(b"\r") else raw
        if len(line) > MAX_LINE:
            raise ProtocolError(f"{self._server} sent a reply line of more than {MAX_LINE} octets.")
        code, more, text = _split(line, self._server)
        if self._code is not None and code != self._code:
            raise ProtocolError(f"{self._server} changed the code inside one reply, from {self._code} to {code}.")
        self._code = code
        self._lines.append(text)
        self._size += len(line)
        if len(self._lines) > MAX_LINES or self._size > MAX_SIZE:
            raise ProtocolError(f"{self._server} sent a reply of more than {MAX_LINES} lines or {MAX_SIZE} octets.")
        return None if more else self._finish(code)

    def _finish(self, code: int) -> Reply:
        reply = Reply(code, tuple(self._lines))
        self._code, self._lines, self._size = None, [], 0
        return reply


def _split(line: bytes, server: str) -> tuple[int, bool, str]:
    """Code, whether more lines follow, and the printable text of one line."""
    digits, separator = line[:3], line[3:4]
    if not (len(digits) == 3 and digits.isdigit() and digits[:1] in b"2345" and separator in (b"", b" ", b"-", b"\t")):
        raise _no_smtp(line, server)
    return int(digits), separator == b"-", printable(line[4:])


def _no_smtp(line: bytes, server: str) -> ProtocolError:
    return ProtocolError(f"{server} did not answer in SMTP: {printable(line[:80])!r}.", hint=_what_it_is(line))


def printable(raw: bytes) -> str:
    """Text of a server without control characters, so that no log line or terminal can be forged with it."""
    text = raw.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _what_it_is(line: bytes) -> str | None:
    if line.startswith(_TLS_RECORDS):
        return "The server speaks TLS from the first byte: use security='ssl' (customary on port 465)"
    if line.startswith(b"HTTP/"):
        return "This is a web server: check the server name and the port"
    if line.startswith((b"* OK", b"+OK")):
        return "This is an IMAP or POP3 server: mail is sent over SMTP, on port 587, 465 or 25"
    if line.startswith(b"SSH-"):
        return "This is an SSH server: check the port"
    return None
