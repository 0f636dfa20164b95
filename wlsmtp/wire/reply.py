"""Parses the server's replies from a byte stream in any chunking (RFC 5321 §4.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wlsmtp.errors import ProtocolError
from wlsmtp.results.reply import Reply, reply_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_LINE = 4096
"""Maximum octets in one reply line. RFC 5321 §4.5.3.1.5 says 512; real servers send longer texts."""
MAX_LINES = 1000
"""Maximum lines in one reply. The largest EHLO replies have about 30, so an endless reply is stopped early."""
MAX_SIZE = 256 * 1024
"""Maximum octets in one reply, all lines together."""


_SIMPLE = re.compile(rb"([2-5][0-9]{2}) ([ -~]{0,500})")
"""A reply of one line, the usual case."""
_ACCEPTED = re.compile(rb"(?:2[0-9]{2} [ -~]{0,500}+\r\n)+")
"""Positive replies of one line each: all that a server sends as long as it accepts every message."""
_SIMPLE_ONES = re.compile(rb"(?:[2-5][0-9]{2} [ -~]{0,500}+\r\n)+")
_BEGUN = re.compile(rb"(?:[2-5][ -~]{0,500}\r?)?")
"""The beginning of such a reply, or nothing."""
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_PRINTABLE = bytes(range(0x20, 0x7F))


class ReplyParser:
    """Parses the server's bytes in any chunking and yields the replies in order.

    It is tolerant where servers are sloppy (a bare LF ends a line, no text after the code, 8-bit text), and strict
    where a mistake could pair a reply with the wrong command. Memory is bounded by ``MAX_LINE``, ``MAX_LINES`` and
    ``MAX_SIZE``.
    """

    def __init__(self, server: str = "The server") -> None:
        """``server`` is its name in errors."""
        self._server = server
        self._rest = b""
        """The beginning of a line whose end has not come."""
        self._code: int | None = None
        self._lines: list[str] = []
        self._size = 0

    @property
    def pending(self) -> bytes:
        """The received bytes that do not complete a line yet, not counting the parsed lines of an unfinished reply."""
        return self._rest

    @property
    def is_empty(self) -> bool:
        """True if nothing is left over: no byte and no partial reply."""
        return not self._rest and self._code is None

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Parse ``data`` and yield the replies that it completes.

        Iterating raises ``ProtocolError`` where the bytes are not an SMTP reply or exceed a limit, after yielding the
        replies before that point: they are valid, whatever the server sent next.
        """
        replies, error = self.take(data)
        yield from replies
        if error is not None:
            raise error

    def take_accepted(self, data: bytes) -> list[bytes] | None:
        """Return the lines that ``data`` completes, for ``reply_of``, if they are positive replies of one line each and
        the beginning of another may follow. None leaves it to ``take``."""
        return self._take_simple(data, _are_accepted)

    def _take_simple(self, data: bytes, are_simple: Callable[[bytes], object]) -> list[bytes] | None:
        if self._rest:
            data = self._rest + data
        whole, rest = data, b""
        if data[-2:] != b"\r\n":
            end = data.rfind(b"\r\n") + 2
            whole, rest = data[:end], data[end:]
        if self._code is not None or not are_simple(whole) or not _BEGUN.fullmatch(rest):
            return None
        self._rest = rest
        return whole[:-2].split(b"\r\n")

    def take(self, data: bytes) -> tuple[list[Reply], ProtocolError | None]:
        """Parse ``data``; return the replies that it completes, and the error after them, if any."""
        if (simple := self._take_simple(data, _SIMPLE_ONES.fullmatch)) is not None:
            return list(map(reply_of, simple)), None
        *lines, self._rest = (self._rest + data if self._rest else data).split(b"\n")
        replies: list[Reply] = []
        try:
            for raw in lines:
                if (reply := self._line(raw)) is not None:
                    replies.append(reply)  # noqa: PERF401 - those before an error count
            if self._rest:
                self._check_rest()
        except ProtocolError as error:
            return replies, error
        return replies, None

    def _check_rest(self) -> None:
        if len(self._rest) > MAX_LINE + len(b"\r"):
            raise ProtocolError(f"{self._server} sent a reply line of more than {MAX_LINE} octets.")
        if self._rest.startswith(_TLS_RECORDS):  # a TLS alert has no line end: waiting for one would hide the cause
            raise _no_smtp(self._rest, self._server)

    def _line(self, raw: bytes) -> Reply | None:
        line = raw.rstrip(b"\r")  # programs that translate line ends write CR CR LF
        if self._code is None and _SIMPLE.fullmatch(line):
            return reply_of(line)
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


def _are_accepted(octets: bytes) -> bool:
    """Return whether ``octets``, which end with CRLF, are positive replies of one line each. Most servers say 250 to
    everything: calls that look at all lines together then take a third of the pattern's time."""
    if octets[:4] == b"250 ":
        ends = octets.translate(None, _PRINTABLE)
        count = len(ends) // 2
        if ends == b"\r\n" * count and octets.count(b"\r\n250 ") == count - 1 and not _has_long_line(octets):
            return True
    return _ACCEPTED.fullmatch(octets) is not None


def _has_long_line(octets: bytes) -> bool:
    start = 0
    while len(octets) - start > MAX_LINE:
        start = octets.rfind(b"\r\n", start, start + MAX_LINE) + 2
        if start == 1:
            return True
    return False


def _split(line: bytes, server: str) -> tuple[int, bool, str]:
    """Return the code, whether more lines follow, and the printable text of one line."""
    digits, separator = line[:3], line[3:4]
    if not (len(digits) == 3 and digits.isdigit() and digits[:1] in b"2345" and separator in (b"", b" ", b"-", b"\t")):
        raise _no_smtp(line, server)
    return int(digits), separator == b"-", printable(line[4:])


def _no_smtp(line: bytes, server: str) -> ProtocolError:
    return ProtocolError(f"{server} did not answer in SMTP: {printable(line[:80])!r}.", hint=_what_it_is(line))


def printable(raw: bytes) -> str:
    """Return a server's text without control characters, so that it cannot forge a log line or terminal output."""
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
