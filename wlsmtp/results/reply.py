"""Replies of a server (RFC 5321 §4.2).

``smtp/judge.py`` decides what a reply means for a message. The class of a reply is its first digit, so there is no list
of known codes anywhere. ``wire/reply.py`` parses them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

MAX_SHOWN = 1000
"""Maximum number of characters of a reply's text in ``str()``."""

_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?=[ \t]|$)")

_WORD = r"(?-i:[a-z]+|[A-Z][a-z]+)\.?(?![\w.@+=/-])"
_ID = rf"<?(?!{_WORD})([A-Za-z0-9][\w.@+=/-]*)"  # "queued as freedom" names nothing: it is the same for each message
_ID_WITH_A_DIGIT = r"<?(?=[\w.@+=/-]{0,80}\d)([A-Za-z0-9][\w.@+=/-]{3,})"  # "treated as spam" names no queue entry
_QUEUE_ID = (
    r"\bqueued as \w+ ###envid=(\w+)",  # Alibaba
    r"\bqueued as [\w.-]+,([\w.+=/-]{6,}) \d+$",  # NetEase; the node precedes it
    rf"\bqueued on \S+ as {_ID}",  # Yandex
    r"^OK <([^<>\s]{3,})> \[Hostname=",  # Microsoft 365; the Message-ID that it assigns
    rf"\bqueued as {_ID}",  # Postfix, SendGrid, iCloud
    rf"\b(?:id[=: ]+|id is |(?:accepted|saved|stored) as ){_ID_WITH_A_DIGIT}",  # Exim, OpenSMTPD, Stalwart
    rf"^{_ID_WITH_A_DIGIT}>? (?:message accepted|queued)",  # Sendmail, Proofpoint, IIS
    r"\bInternalId=(\d+)",  # Exchange; the value that Get-MessageTrackingLog expects
    r"^OK +\d+ (\S+) - gsmtp",  # Gmail; the id in its Received field
    r"^OK +(?:\d{9,} +)?(\S{8,}) - nsmtp",  # Naver
    r"\bMSGID=([^\s\]]{8,})",  # Ethereal; the end of the preview's address
    r"^OK (?=\S{0,80}\d)([\w-]{20,})$",  # Amazon SES
    r"^OK \d+ qp (\d+)\b",  # qmail
    r"\bmessage (\d{4,}) accepted",  # IronPort
    r"\bqueued \(([\w-]{20,}\.\d+)\)",  # Haraka
    r"\breceived OK \[([\w.-]+)\]",  # Mimecast
    r"^<\S*> ([\w+/]{6,}) saved",  # Dovecot
)


@lru_cache(maxsize=1)
def _queue_id_patterns() -> list[re.Pattern[str]]:
    """Compiled when the first receipt is asked for its queue id: that takes as long as importing a package."""
    return [re.compile(pattern, re.IGNORECASE | re.ASCII) for pattern in _QUEUE_ID]


_LOOKED_AT = 1000
"""Number of characters of a reply that are searched for an identifier or a time, so that a hostile text costs no
time."""

_RETRY_IN = (
    r"\b(?:again|back|retry|later|greylist(?:ed|ing)?)\b[^.;]{0,40}?\b(?:in|after|for)[ :]+"
    r"(?:(?:(\d{1,2}):)?(\d{1,2}):(\d{2})\b|(\d{1,6}) ?(s|m|h)(?:ec|in|our|econd|inute)?s?\b)"
)
_SECONDS = {"s": 1, "m": 60, "h": 3600}

_LIMIT_IN_TIME = (
    r"\b(?:daily|hourly)\b[^.;<>@]{0,40}\b(?:limit|quota)|\bper (?:second|minute|hour|day)\b|\brate.?limit|"
    r"\b(?:sending|submission) ?(?:limit|quota|rate)|\bunusual (?:sending )?activity|"
    r"\btoo (?:many (?:e-?mails|messages)|much mail)\b"
)
"""Wording of a limit on mail per period of time."""
_LONG_LIMIT = (
    r"\b(?:daily|hourly)\b[^.;<>@]{0,40}\b(?:limit|quota)|\bper (?:hour|day)\b|"
    r"\b(?:sending|submission) ?(?:limit|quota)|\bunusual (?:sending )?activity"
)
"""Wording of limits that last for hours."""
LIMIT_RESTS = 3600.0
"""Seconds before the next attempt after the server named a limit on mail per hour or day, but no time."""


def shortened(text: str, limit: int) -> str:
    """Return ``text``, cut in the middle with a mark if it has more than ``limit`` characters."""
    if len(text) <= limit:
        return text
    head, tail = limit - limit // 4, limit // 4
    return f"{text[:head]} […{len(text) - head - tail} characters…] {text[-tail:]}"


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

    The properties use the first digit of the code (RFC 5321 §4.2.1), so that unknown codes are understood. Immutable.
    """

    code: int
    lines: tuple[str, ...] = ("",)

    @property
    def is_positive(self) -> bool:
        """True for 2xx: done."""
        return self.code // 100 == 2

    @property
    def is_intermediate(self) -> bool:
        """True for 3xx: continue."""
        return self.code // 100 == 3

    @property
    def is_transient(self) -> bool:
        """True for 4xx: not now, perhaps later."""
        return self.code // 100 == 4

    @property
    def is_permanent(self) -> bool:
        """True for 5xx: refused."""
        return self.code // 100 == 5

    @property
    def may_pass(self) -> bool:
        """True if the same may be accepted later: a 4xx, or a 5xx that names a limit on mail per period of time, such
        as Gmail's ``550 5.4.5 Daily user sending limit exceeded``."""
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
        # Only at the start: "… Exim 4.97.1 …" is not a status code.
        bare = (line[found.end() :].strip() if (found := _ENHANCED.match(line)) else line for line in self.lines)
        return " ".join(line for line in bare if line)

    @property
    def queue_id(self) -> str | None:
        """The identifier under which the server queued the message, if the text names one."""
        text = self.text[:_LOOKED_AT]
        found = (pattern.search(text) for pattern in _queue_id_patterns())
        return next((match[1].rstrip(".") for match in found if match), None)

    @property
    def retry_after(self) -> float | None:
        """Seconds until the next attempt: the time that the server names, as greylisting servers do; an hour if it
        names a limit on mail per hour or day; else None."""
        if not self.may_pass:
            return None
        found = re.search(_RETRY_IN, self.text[:_LOOKED_AT], re.IGNORECASE)
        if found is None:
            return LIMIT_RESTS if _names(_LONG_LIMIT, self) else None
        hours, minutes, seconds, count, unit = found.groups()
        if count is not None:
            return float(int(count) * _SECONDS[unit.lower()])
        return float(int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds))

    def __str__(self) -> str:
        """Return code and text, as errors and logs show them: a long text is cut, ``text`` has all of it."""
        return " ".join(str(part) for part in (self.code, self.enhanced, shortened(self.text, MAX_SHOWN)) if part)


@lru_cache(maxsize=256)
def reply_of(line: bytes) -> Reply:
    """Return a reply of one line in ASCII, without its line end. Most are the same few."""
    return Reply(int(line[:3]), (line[4:].decode("ascii"),))


def are_positive(replies: Iterable[Reply]) -> bool:
    """Return whether all replies are 2xx."""
    for reply in replies:  # noqa: SIM110 - this is asked for every message, and all() takes three times as long
        if not 200 <= reply.code < 300:
            return False
    return True


def _names(words: str, reply: Reply) -> bool:
    return re.search(words, reply.text[:_LOOKED_AT], re.IGNORECASE) is not None
