"""Replies: what a server says (RFC 5321 §4.2), parsed from any chunking of the byte stream.

``Reply`` is the value, ``ReplyParser`` takes bytes and gives replies. What a reply means for a message is not
decided here (``smtp/judge.py``); its class is its first digit, so no list of known codes exists anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.errors import ProtocolError, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LINE = 4096
"""Octets in one reply line. RFC 5321 §4.5.3.1.5 says 512; real servers send longer texts."""
MAX_LINES = 1000
"""Lines in one reply: the largest EHLO answers have about 30, so an endless reply is cut off early."""
MAX_SIZE = 256 * 1024
"""Octets in one reply, all lines together."""

MAX_SHOWN = 1000
"""Characters of a reply's text in ``str()``."""

_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?=[ \t]|$)")
_SIMPLE = re.compile(rb"([2-5][0-9]{2}) ([ -~]{0,500})\r?")
"""A reply of one line, as most are."""
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")

_ID = r"<?([A-Za-z0-9][\w.@+=/-]*)"
_ID_WITH_A_DIGIT = r"<?(?=[\w.@+=/-]{0,80}\d)([A-Za-z0-9][\w.@+=/-]{3,})"  # "treated as spam" names no queue entry
_QUEUE_ID = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"\bqueued as {_ID}",  # Postfix, SendGrid, iCloud
        rf"\b(?:id[=: ]+|id is |(?:accepted|saved|stored) as ){_ID_WITH_A_DIGIT}",  # Exim, OpenSMTPD, Stalwart
        rf"^{_ID_WITH_A_DIGIT}>? (?:message accepted|queued)",  # Sendmail, Proofpoint, IIS
        r"\bInternalId=(\d+)",  # Exchange; what Get-MessageTrackingLog asks for
        r"^OK +\d+ (\S+) - gsmtp",  # Gmail; the id in its Received field
        r"^OK (?=\S{0,80}\d)([\w-]{20,})$",  # Amazon SES
        r"^OK \d+ qp (\d+)\b",  # qmail
        r"\bmessage (\d{4,}) accepted",  # IronPort
        r"\bqueued \(([\w-]{20,}\.\d+)\)",  # Haraka
        r"\breceived OK \[([\w.-]+)\]",  # Mimecast
        r"^<\S*> ([\w+/]{6,}) saved",  # Dovecot
    )
)
_SEEN: dict[bytes, Reply] = {}
"""Replies of one line of up to ``_SHORT`` octets, by what was received."""
_SHORT, _MOST_SEEN = 80, 256
_LOOKED_AT = 1000
"""Characters of a reply in which an identifier or a time is looked for, so that a hostile text costs no time."""

_RETRY_IN = re.compile(
    r"\b(?:again|back|retry|later|greylist(?:ed|ing)?)\b[^.;]{0,40}?\b(?:in|after|for)[ :]+"
    r"(?:(?:(\d{1,2}):)?(\d{1,2}):(\d{2})\b|(\d{1,6}) ?(s|m|h)(?:ec|in|our|econd|inute)?s?\b)",
    re.IGNORECASE,
)
_SECONDS = {"s": 1, "m": 60, "h": 3600}

_LIMIT_IN_TIME = re.compile(
    r"\b(?:daily|hourly)\b[^.;<>@]{0,40}\b(?:limit|quota)|\bper (?:second|minute|hour|day)\b|\brate.?limit|"
    r"\b(?:sending|submission) ?(?:limit|quota|rate)|\bunusual (?:sending )?activity|"
    r"\btoo (?:many (?:e-?mails|messages)|much mail)\b",
    re.IGNORECASE,
)
"""Words of a limit on mail in a stretch of time."""
_LONG_LIMIT = re.compile(
    r"\b(?:daily|hourly)\b[^.;<>@]{0,40}\b(?:limit|quota)|\bper (?:hour|day)\b|"
    r"\b(?:sending|submission) ?(?:limit|quota)|\bunusual (?:sending )?activity",
    re.IGNORECASE,
)
"""Words of those that last for hours."""
LIMIT_RESTS = 3600.0
"""Seconds after which a server is asked again that has named a limit of mail in an hour or a day, and no time."""


@dataclass(frozen=True, slots=True)
class EnhancedStatusCode:
    """The three numbers of RFC 3463: class, subject, detail."""

    klass: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.klass}.{self.subject}.{self.detail}"


@dataclass(slots=True, unsafe_hash=True)
class Reply:
    """One reply of the server: a three-digit code and the text of each line.

    The questions go by the first digit of the code (RFC 5321 §4.2.1), so that unknown codes are understood. It is a
    value: nothing changes it.
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
    def may_pass(self) -> bool:
        """Whether the same may be accepted later: a 4xx, or a 5xx whose words name a limit on mail in a stretch of
        time, as Gmail's ``550 5.4.5 Daily user sending limit exceeded``."""
        return self.is_transient or (self.is_permanent and _names(_LIMIT_IN_TIME, self))

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
        # Only at the head: "… Exim 4.97.1 …" is no status code.
        bare = (line[found.end() :].strip() if (found := _ENHANCED.match(line)) else line for line in self.lines)
        return " ".join(line for line in bare if line)

    @property
    def queue_id(self) -> str | None:
        """The identifier under which the server queued the message, as far as its words tell."""
        text = self.text[:_LOOKED_AT]
        found = (pattern.search(text) for pattern in _QUEUE_ID)
        return next((match[1].rstrip(".") for match in found if match), None)

    @property
    def retry_after(self) -> float | None:
        """Seconds until the server wants to be asked again: the time that it names, as greylisting servers do; an hour
        where it names a limit of mail in an hour or a day; else None."""
        if not self.may_pass:
            return None
        found = _RETRY_IN.search(self.text[:_LOOKED_AT])
        if found is None:
            return LIMIT_RESTS if _names(_LONG_LIMIT, self) else None
        hours, minutes, seconds, count, unit = found.groups()
        if count is not None:
            return float(int(count) * _SECONDS[unit.lower()])
        return float(int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds))

    def __str__(self) -> str:
        """Code and text, as errors and logs show them: a long text is cut, ``text`` has all of it."""
        return " ".join(str(part) for part in (self.code, self.enhanced, shortened(self.text, MAX_SHOWN)) if part)


def are_positive(replies: Iterable[Reply]) -> bool:
    """Whether all are 2xx."""
    for reply in replies:  # noqa: SIM110 - this is asked for every message, and all() takes three times as long
        if not 200 <= reply.code < 300:
            return False
    return True


def _names(words: re.Pattern[str], reply: Reply) -> bool:
    return words.search(reply.text[:_LOOKED_AT]) is not None


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
