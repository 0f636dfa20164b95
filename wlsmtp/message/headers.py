"""Writes header fields: encoded words (RFC 2047), folding (RFC 5322 §2.2.3), parameters (RFC 2231).

Values in, text with CRLF out; the model has already checked the values. The standard library folds headers too, but it
has put encoded words into addresses and lost the quotes around a comma, which makes two addresses of one.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from urllib.parse import quote

from wlsmtp.patterns import later
from wlsmtp.wire.address import Mailbox
from wlsmtp.wire.mailboxes import Group, parse_address_list

LINE = 76
"""Maximum length of a line with an encoded word (RFC 2047 §2); other lines aim at it."""
MAX_LINE = 998
"""Maximum octets in a line without its CRLF (RFC 5322 §2.1.1)."""
MAX_WORD = 900
"""A longer word would not fit into a line of 998 octets (RFC 5322 §2.1.1), so it is encoded."""

ADDRESS_FIELDS = frozenset(
    prefix + name for prefix in ("", "resent-") for name in ("from", "sender", "reply-to", "to", "cc", "bcc")
) | {"disposition-notification-to", "return-receipt-to", "errors-to", "mail-reply-to", "mail-followup-to"}
"""Fields, in lower case, whose values are addresses, in which only a name may be an encoded word."""

IDENTIFIER_FIELDS = frozenset({"references", "in-reply-to", "resent-message-id", "original-message-id", "supersedes"})
"""Fields of identifiers with a space between them."""
URL_FIELDS = frozenset(f"list-{name}" for name in ("unsubscribe", "help", "post", "subscribe", "owner", "archive"))
"""Fields of URLs in angle brackets with commas between them (RFC 2369)."""
ONE_FIELD = frozenset({
    "list-id", "list-unsubscribe-post", "auto-submitted", "precedence", "priority", "importance", "sensitivity",
    "x-priority", "expires", "reply-by",
})  # fmt: skip
"""Fields that may occur once and whose values cannot be joined."""
_STRUCTURED = IDENTIFIER_FIELDS | URL_FIELDS | {
    "list-id", "list-unsubscribe-post", "autocrypt", "autocrypt-gossip", "dkim-signature", "domainkey-signature",
    "authentication-results", "arc-authentication-results", "arc-message-signature", "arc-seal", "received",
    "received-spf", "return-path", "delivered-to", "auto-submitted", "precedence", "priority", "importance",
    "sensitivity", "x-priority", "resent-date", "expires", "expiry-date", "reply-by", "deferred-delivery",
    "archived-at", "message-context", "tls-required", "require-recipient-valid-since", "accept-language", "openpgp",
    "original-recipient", "jabber-id", "bimi-selector",
}  # fmt: skip
_LIST_ID = later(r'"?([^"<>]*+)"? *+(<[!-;=?-~]+>)')
_GAP = later(r" (?! )")

_FRAME = len("=?utf-8?q?") + len("?=")
_SHORTEST = 24
_ENCODED_WORD = later(r"=\?[^?\s]*\?[A-Za-z]\?")
_PHRASE = later(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_SIMPLE_VALUE = later(r"[A-Za-z0-9!#$&()+,.;=@\[\]^_`{}~-]+(?: [A-Za-z0-9!#$&()+,.;=@\[\]^_`{}~-]+)*")
_Q_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
# "_" stands for a space, so a literal "_" is encoded.
_Q = ["_" if octet == 0x20 else chr(octet) if octet in _Q_SAFE else f"={octet:02X}" for octet in range(256)]
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def field(name: str, value: str) -> str:
    """Write a field by its name: addresses, words for programs, or text. Raises ``ValueError`` for a value that cannot
    be written: only names and texts may contain non-ASCII characters."""
    kind = name.lower()
    if kind in ADDRESS_FIELDS:
        return address_field(name, parse_address_list(value))
    if kind in _STRUCTURED:
        return _structured_field(name, value)
    return other_field(name, value)


def text_field(name: str, value: str) -> str:
    """Write a field of free text, such as Subject; it reads back as the same text."""
    if "=?" not in value and _is_plain(value):
        return _folded(name, value)
    return _encoded_field(name, value) if value else f"{name}: \r\n"


def other_field(name: str, value: str) -> str:
    """Write a field with an unknown grammar: ASCII is left unchanged (a URL may contain ``=?``)."""
    if not _ENCODED_WORD.search(value) and _is_plain(value):
        return _folded(name, value)
    return text_field(name, value)


def _structured_field(name: str, value: str) -> str:
    """Write a field for programs: no word of it may be encoded, except the phrase of a List-Id (RFC 2919)."""
    words = _GAP.split(value.strip(" "))
    if not value.isascii() and name.lower() == "list-id" and (parts := _LIST_ID.fullmatch(value)):
        words = [*_phrase(parts[1].strip()), parts[2]]
    if not all(map(str.isascii, words)):
        raise ValueError("must be ASCII: no program would decode it (write a URL with percent signs)")
    if len(name) + len(": ") + max(map(len, words)) > MAX_LINE:
        raise ValueError(f"has a word that is too long for a line: {MAX_LINE} octets at most (RFC 5322 §2.1.1)")
    return _folded_words(name, words)


def date_field(name: str, value: datetime) -> str:
    """Write a date with its zone (RFC 5322 §3.3)."""
    global _latest_date
    latest, text = _latest_date
    if latest is not value:
        text = _date(value, value.utcoffset())
        _latest_date = value, text
    return f"{name}: {text}\r\n"


_latest_date: tuple[datetime | None, str] = None, ""
"""The latest date and its text: many messages are made within a second, and have the same object."""


def _date(value: datetime, offset: timedelta | None) -> str:
    if offset is not None and offset.total_seconds() % 60:
        # The format has whole minutes; until 1937 Amsterdam's zone had seconds.
        value = value.astimezone(timezone(timedelta(minutes=int(offset.total_seconds() / 60))))
    iso = value.isoformat(" ", "seconds")
    day = f"{_DAYS[value.weekday()]}, {iso[8:10]} {_MONTHS[value.month]} {iso[:4]}"
    return f"{day} {iso[11:19]} {iso[19:22]}{iso[23:25]}"


def from_field(sender: Mailbox) -> str:
    """Write the field From. Many messages have the same sender, which is the same object."""
    global _latest_sender
    latest, text = _latest_sender
    if latest is not sender:
        text = address_field("From", (sender,))
        _latest_sender = sender, text
    return text


_latest_sender: tuple[Mailbox | None, str] = None, ""
"""The latest sender, and the field that names it."""


def address_field(name: str, items: Sequence[Mailbox | Group]) -> str:
    """Write a field of mailboxes and groups, folded between them. Domains become A-labels; a non-ASCII local part is in
    UTF-8."""
    if len(items) == 1 and isinstance(items[0], Mailbox) and not items[0].name:
        line = f"{name}: {items[0].address.wire}\r\n"
        if len(line) - 2 <= LINE:
            return line
    words: list[str] = []
    for item in items:
        if words:
            words[-1] += ","
        words += _mailbox(item) if isinstance(item, Mailbox) else _group(item)
    line = f"{name}: {' '.join(words)}\r\n"
    return line if len(line) - 2 <= LINE else _folded_words(name, words, from_next_line=True)


def parameter(name: str, value: str) -> Iterator[str]:
    """Write a parameter of a MIME field, in one or more pieces to be joined with ``;`` (RFC 2231 §3 and §4)."""
    if len(value) <= 60 and _SIMPLE_VALUE.fullmatch(value) and "=?" not in value:
        yield f'{name}="{value}"'
        return
    pieces = list(_percent_encoded(value, 50))
    if len(pieces) == 1:
        yield f"{name}*=utf-8''{pieces[0]}"
        return
    for number, piece in enumerate(pieces):
        yield f"{name}*{number}*=" + ("utf-8''" if number == 0 else "") + piece


def old_parameter(name: str, value: str) -> Iterator[str]:
    """Write a parameter for programs without RFC 2231 (Outlook), if it is short enough for their syntax."""
    if len(value) <= 60 and _SIMPLE_VALUE.fullmatch(value) and "=?" not in value:
        yield f'{name}="{value}"'
    elif len(words := encoded_words(value, LINE - len(name) - 4)) == 1:
        yield f'{name}="{words[0]}"'


def mime_field(name: str, value: str, parameters: Iterable[str]) -> str:
    """Write a MIME field with its parameters, each on its own line."""
    return f"{name}: " + ";\r\n ".join([value, *parameters]) + "\r\n"


def encoded_words(text: str, first: int = LINE - 1) -> list[str]:
    """Return ``text`` as encoded words of whole characters (RFC 2047 §5), cut after a space where possible. The first
    has at most ``first`` octets. Empty text gives no words."""
    octets = text.encode()
    special = len(octets.translate(None, _Q_SAFE))
    encode = _q if special * 3 <= len(octets) else _b
    if len(octets) <= first and len(whole := encode(octets)) <= first:
        return [whole] if text else []
    words: list[str] = []
    start = 0
    while start < len(text):
        room = (LINE - 1 if words else first) - _FRAME
        end = start + _how_many_fit(text[start : start + room], room, encode is _q)
        if end < len(text):
            end = text.rfind(" ", start, end) + 1 or end
        words.append(encode(text[start:end].encode()))
        start = end
    return words


def _how_many_fit(text: str, room: int, in_q: bool) -> int:
    budget = room if in_q else room // 4 * 3
    for count, character in enumerate(text):
        octets = character.encode()
        budget -= sum(len(_Q[octet]) for octet in octets) if in_q else len(octets)
        if budget < 0:
            return count
    return len(text)


def _q(octets: bytes) -> str:
    return f"=?utf-8?q?{''.join([_Q[octet] for octet in octets])}?="


def _b(octets: bytes) -> str:
    return f"=?utf-8?b?{b2a_base64(octets, newline=False).decode('ascii')}?="


def _is_plain(value: str) -> bool:
    short = len(value) <= MAX_WORD or max(map(len, value.split(" "))) <= MAX_WORD
    is_printable = short and value != "" and value.isascii() and value.isprintable()
    return is_printable and "  " not in value and value[0] != " " != value[-1]


def _encoded_field(name: str, value: str) -> str:
    first = LINE - len(name) - 2
    if first < _SHORTEST:
        return f"{name}:\r\n " + "\r\n ".join(encoded_words(value)) + "\r\n"
    return f"{name}: " + "\r\n ".join(encoded_words(value, first)) + "\r\n"


def _mailbox(box: Mailbox) -> tuple[str, ...]:
    return _named(box.name, box.address.wire) if box.name else (box.address.wire,)


@lru_cache(maxsize=1024)
def _named(name: str, address: str) -> tuple[str, ...]:
    """Return a mailbox in pieces between which it may be folded; cached, as people get more than one message."""
    words = (*_phrase(name), f"<{address}>")
    whole = " ".join(words)
    return (whole,) if len(whole) < LINE - 1 else words


def _group(group: Group) -> list[str]:
    words = _phrase(group.name)
    # A colon next to an encoded word could be taken for a part of it.
    words[-1] += " :" if words[-1].startswith("=?") else ":"
    for number, member in enumerate(group.members):
        words[-1] += "," if number else ""
        words += _mailbox(member)
    words[-1] += ";"
    return words


def _phrase(name: str) -> list[str]:
    """Return a display name (RFC 5322 §3.2.5) in words: unchanged, quoted, or encoded; ASCII parts stay readable. Words
    are not cut if possible: CPython's parser reads a space there."""
    if "=?" not in name and _is_plain(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return (name if _PHRASE.fullmatch(name) else f'"{escaped}"').split(" ")
    return encoded_words(name)


def _folded(name: str, value: str) -> str:
    if len(name) + 2 + len(value) <= LINE:
        return f"{name}: {value}\r\n"
    return _folded_words(name, value.split(" "))


def _folded_words(name: str, words: Iterable[str], *, from_next_line: bool = False) -> str:
    """Join words with spaces and break the line before a space where it would grow too long. It breaks before the first
    word only if asked to and if that helps: some readers see white space in the text then."""
    pieces = [f"{name}:"]
    column = len(pieces[0])
    for word in words:
        if column + 1 + len(word) > LINE and (len(pieces) > 1 or (from_next_line and len(word) < LINE)):
            pieces.append("\r\n")
            column = 0
        pieces.append(f" {word}")
        column += 1 + len(word)
    return "".join(pieces) + "\r\n"


def _percent_encoded(value: str, size: int) -> Iterator[str]:
    piece = ""
    for character in value:
        encoded = quote(character, safe="")
        # quote() leaves "~" alone, which RFC 2231 allows; it encodes a superset of what must be.
        if len(piece) + len(encoded) > size:
            yield piece
            piece = ""
        piece += encoded
    yield piece
