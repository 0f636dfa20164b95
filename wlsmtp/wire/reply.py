"""Replies: what a server says (RFC 5321 §4.2), parsed from any chunking of the byte stream.

``Reply`` is the value, ``ReplyParser`` takes bytes and gives replies. What a reply means for a message is not
decided here (``smtp/judge.py``); its class is its first digit, so no list of known codes exists anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wlsmtp.errors import ProtocolError

MAX_LINE = 4096
"""Octets in one reply line. RFC 5321 §4.5.3.1.5 says 512; real servers send longer texts."""
MAX_LINES = 1000
"""Lines in one reply: the largest EHLO answers have about 30, so an endless reply is cut off early."""
MAX_SIZE = 256 * 1024
"""Octets in one reply, all lines together."""

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=[ \t]|$)")
_QUEUE_ID = (
    re.compile(r"\bqueued as <?([A-Za-z0-9][\w.@+=/-]*)", re.IGNORECASE),
    re.compile(r"\bqueued (?:mail )?(?:for delivery )?(?:\()?id[=: ]+<?([A-Za-z0-9][\w.@+=/-]*)", re.IGNORECASE),
    re.compile(r"\b(?:queue-?id|id|as)[=: ]+<?([A-Za-z0-9][\w.@+=/-]{3,})", re.IGNORECASE),
    re.compile(r"^<?([A-Za-z0-9][\w.@+=/-]{7,})>? (?:Message accepted|mail queued|queued)", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True)
class EnhancedStatusCode:
    """The three numbers of RFC 3463: class, subject, detail."""

    klass: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.klass}.{self.subject}.{self.detail}"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of the server: a three-digit code and the text of each line.

    The questions go by the first digit of the code (RFC 5321 §4.2.1), so that unknown codes are understood.
    """

    code: int
    lines: tuple[str, ...] = ("",)

    @property
    def is_positive(self) -> bool:
        """2xx: done."""
        return self.code // 100 == 2

    @property
    def is_intermediate(self) -> bool:
        """3xx: go on."""
        return self.code // 100 == 3

    @property
    def is_transient(self) -> bool:
        """4xx: not now, perhaps later."""
        return self.code // 100 == 4

    @property
    def is_permanent(self) -> bool:
        """5xx: no."""
        return self.code // 100 == 5

    @property
    def enhanced(self) -> EnhancedStatusCode | None:
        """The enhanced status code at the head of the text, when its class agrees with the code (RFC 2034 §4)."""
        found = _ENHANCED.match(self.lines[0])
        if found is None or int(found[1]) != self.code // 100:
            return None
        return EnhancedStatusCode(int(found[1]), int(found[2]), int(found[3]))

    @property
    def text(self) -> str:
        """The text of all lines, each without its enhanced status code, joined by spaces."""
        if self.enhanced is None:
            return " ".join(line for line in self.lines if line)
        bare = (_ENHANCED.sub("", line, count=1).strip() for line in self.lines)
        return " ".join(line for line in bare if line)

    @property
    def queue_id(self) -> str | None:
        """The identifier under which the server queued the message, as far as its words tell."""
        found = (pattern.search(self.text) for pattern in _QUEUE_ID)
        return next((match[1].rstrip(".") for match in found if match), None)

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.code, self.enhanced, self.text) if part)


class ReplyParser:
    """Takes the bytes of the server in any chunking and gives the replies in order.

    Tolerant where servers are sloppy (a bare LF ends a line, no text after the code, 8-bit text); strict where a
    mistake could pair a reply with the wrong command. Memory is bounded: see ``MAX_LINE``, ``MAX_LINES``, ``MAX_SIZE``.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._code: int | None = None
        self._lines: list[str] = []
        self._size = 0

    @property
    def pending(self) -> bytes:
        """Bytes that were received and do not make a whole reply yet, the parsed lines of an unfinished reply apart."""
        return bytes(self._buffer)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left over: no byte and no half of a reply."""
        return not self._buffer and self._code is None

    def feed(self, data: bytes) -> list[Reply]:
        """Take ``data`` and return the replies that it completes.

        Raises ``ProtocolError`` when the bytes are no SMTP reply or go past a limit.
        """
        self._buffer += data
        replies: list[Reply] = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
            reply = self._line(bytes(self._buffer[start:end]))
            start = end + 1
            if reply is not None:
                replies.append(reply)
        del self._buffer[:start]
        self._searched = len(self._buffer)
        if self._searched > MAX_LINE:
            raise ProtocolError(f"The server sent a reply line of more than {MAX_LINE} octets.")
        return replies

    def _line(self, raw: bytes) -> Reply | None:
        line = raw[:-1] if raw.endswith(b"\r") else raw
        if len(line) > MAX_LINE:
            raise ProtocolError(f"The server sent a reply line of more than {MAX_LINE} octets.")
        code, more, text = _split(line)
        if self._code is not None and code != self._code:
            raise ProtocolError(f"The server changed the code inside one reply, from {self._code} to {code}.")
        self._code = code
        self._lines.append(text)
        self._size += len(line)
        if len(self._lines) > MAX_LINES or self._size > MAX_SIZE:
            raise ProtocolError(f"The server sent a reply of more than {MAX_LINES} lines or {MAX_SIZE} octets.")
        return None if more else self._finish(code)

    def _finish(self, code: int) -> Reply:
        reply = Reply(code, tuple(self._lines))
        self._code, self._lines, self._size = None, [], 0
        return reply


def _split(line: bytes) -> tuple[int, bool, str]:
    """Code, whether more lines follow, and the printable text of one line."""
    digits, separator = line[:3], line[3:4]
    if not (len(digits) == 3 and digits.isdigit() and digits[:1] in b"2345" and separator in (b"", b" ", b"-", b"\t")):
        raise ProtocolError(f"The server did not answer in SMTP: {printable(line[:80])!r}.", hint=_what_it_is(line))
    return int(digits), separator == b"-", printable(line[4:])


def printable(raw: bytes) -> str:
    """Text of a server without control characters, so that no log line or terminal can be forged with it."""
    text = raw.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _what_it_is(line: bytes) -> str | None:
    if line[:2] in (b"\x15\x03", b"\x16\x03"):
        return "The server speaks TLS from the first byte: use security='ssl' (customary on port 465)"
    if line.startswith(b"HTTP/"):
        return "This is a web server: check the server name and the port"
    if line.startswith((b"* OK", b"+OK")):
        return "This is an IMAP or POP3 server: mail is sent over SMTP, on port 587, 465 or 25"
    if line.startswith(b"SSH-"):
        return "This is an SSH server: check the port"
    return None
