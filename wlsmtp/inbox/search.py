"""Converts the text of the search field to a condition in SQL.

``from:ann``, ``to:``, ``cc:``, ``bcc:``, ``reply-to:``, ``addressed:``, ``subject:``, ``message-id:``, ``tag:``,
``is:read``, ``is:unread``, ``is:tagged``, ``has:attachment``, ``has:inline``, ``before:2026-01-31``, ``after:``,
``larger:1M``, ``smaller:``, and words of the text. Quotes keep words together, ``-`` or ``!`` excludes. The same words
as Mailpit's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

MAX_QUERY = 1000
MAX_WORDS = 40
MAX_SIZE = 2**62
_WORD = re.compile(r'([-!]?)(?:([a-z-]+):)?(?:"([^"]*)"?|(\S+))', re.IGNORECASE)
_COLUMNS = {
    "from": "sender",
    "to": "recipients",
    "cc": "cc",
    "bcc": "bcc",
    "reply-to": "reply_to",
    "subject": "subject",
    "message-id": "message_id",
    "addressed": "sender recipients cc bcc reply_to",
}
_EVERYWHERE = "sender recipients cc bcc reply_to subject message_id body"
_FLAGS = {
    ("is", "read"): "is_read = 1",
    ("is", "unread"): "is_read = 0",
    ("is", "tagged"): "number IN (SELECT number FROM tags)",
    ("has", "attachment"): "attachments > 0",
    ("has", "attachments"): "attachments > 0",
    ("has", "inline"): "inline > 0",
    ("has", "inlines"): "inline > 0",
}
_TWO_LETTERS = """number IN (SELECT rowid FROM search WHERE search MATCH (
    SELECT ? || '(' || coalesce(group_concat('"' || replace(term, '"', '""') || '"', ' OR '), '""') || ')'
    FROM trigrams WHERE term >= ? AND term < ?))"""
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the table of messages."""

    sql: str
    values: tuple[str | int | float, ...] = ()


def condition_of(query: str, zone: str = "") -> Condition:
    """The messages that a search means. ``zone`` is the time zone of its dates; without it, that of this machine.
    Nothing is raised: what cannot be understood is a word to look for."""
    conditions = []
    query = query[:MAX_QUERY].replace("\0", " ").encode("utf-8", "replace").decode()
    for found in islice(_WORD.finditer(query), MAX_WORDS):
        name, word = (found[2] or "").lower(), found[4] if found[3] is None else found[3]
        condition = _condition(name, word, zone)
        if condition is None:
            condition = _text(_EVERYWHERE, f"{found[2]}:{word}" if name else word)
        if word:
            conditions.append(Condition(f"NOT ({condition.sql})", condition.values) if found[1] else condition)
    if not conditions:
        return Condition("1")
    return Condition(" AND ".join(one.sql for one in conditions), sum((one.values for one in conditions), ()))


def _condition(name: str, word: str, zone: str) -> Condition | None:
    if name in _COLUMNS:
        return _text(_COLUMNS[name], word)
    if flag := _FLAGS.get((name, word.lower())):
        return Condition(flag)
    if name == "tag":
        return Condition("number IN (SELECT number FROM tags WHERE tag = ? COLLATE NOCASE)", (word,))
    if name in ("larger", "smaller") and (size := re.fullmatch(r"(\d{1,12})([kmg]?)b?", word.lower())):
        octets = min(int(size[1]) * _UNITS[size[2]], MAX_SIZE)
        return Condition(f"size {'>' if name == 'larger' else '<'} ?", (octets,))
    if name in ("before", "after") and (time := _time(word, zone)) is not None:
        return Condition(f"received {'>=' if name == 'after' else '<='} ?", (time,))
    return None


def _text(columns: str, word: str) -> Condition:
    """Three letters and more are looked up in the index, two by all that begin with them there. One letter is looked
    for in the texts themselves, as it soon is found."""
    where = "" if columns == _EVERYWHERE else f"{{{columns}}} : "  # a list of all columns would cost time
    if len(word) >= 3:
        quoted = word.replace('"', '""')
        return Condition("number IN (SELECT rowid FROM search WHERE search MATCH ?)", (f'{where}"{quoted}"',))
    if len(word) == 2:
        return Condition(_TWO_LETTERS, (where, word.lower(), word.lower() + "\U0010ffff"))
    names = columns.split()
    pattern = "%" + re.sub(r"([\\%_])", r"\\\1", word) + "%"
    likes = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in names)
    return Condition(f"number IN (SELECT rowid FROM search WHERE {likes})", (pattern,) * len(names))


def _time(word: str, zone: str) -> float | None:
    try:
        time = datetime.fromisoformat(word.upper())
        if time.tzinfo is None and zone:
            time = time.replace(tzinfo=ZoneInfo(zone))
        return (time + timedelta(0)).timestamp()
    except (ValueError, OSError, OverflowError, KeyError):
        return None
