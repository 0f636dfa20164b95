"""Header fields as they are written: encoded words (RFC 2047), folding (RFC 5322 §2.2.3), parameters (RFC 2231).

Values in, text with CRLF out; nothing is checked here that the model has checked before. The standard library folds
headers too, but has put encoded words into addresses and lost the quotes around a comma in doing so, which makes two
addresses of one.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

from wlsmtp.wire.address import Address, Mailbox

LINE = 76
"""The longest line with an encoded word in it (RFC 2047 §2); other lines aim at it."""
MAX_WORD = 900
"""A longer word would not fit the 998 octets of a line (RFC 5322 §2.1.1), so it is encoded."""

ADDRESS_FIELDS = frozenset(
    prefix + name for prefix in ("", "resent-") for name in ("from", "sender", "reply-to", "to", "cc", "bcc")
) | {"disposition-notification-to", "return-receipt-to", "errors-to", "mail-reply-to", "mail-followup-to"}
"""The fields, in lower case, whose values are addresses, in which only a name may be an encoded word."""

_NAME_LINE = LINE - 30
"""The longest display name in one piece: it fits a line with the longest name of a field before it."""

_FRAME = len("=?utf-8?q?") + len("?=")
_SHORTEST = 24
_PRINTABLE = re.compile(r"[!-~]+(?: [!-~]+)*")
_ENCODED_WORD = re.compile(r"=\?[^?\s]*\?[A-Za-z]\?")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_SIMPLE_VALUE = re.compile(r"[A-Za-z0-9!#$&()+,.;=@\[\]^_`{}~-]+(?: [A-Za-z0-9!#$&()+,.;=@\[\]^_`{}~-]+)*")
_Q_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
# "_" stands for a space, so that a "_" of the text is encoded.
_Q = ["_" if octet == 0x20 else chr(octet) if octet in _Q_SAFE else f"={octet:02X}" for octet in range(256)]
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def text_field(name: str, value: str) -> str:
    """A field of free text, such as Subject; it reads back as the same text."""
    if "=?" not in value and _is_plain(value):
        return _folded(name, value)
    return _encoded_field(name, value) if value else f"{name}: \r\n"


def other_field(name: str, value: str) -> str:
    """A field whose grammar is not known here: whatever is ASCII stays (a URL may contain ``=?``)."""
    if not _ENCODED_WORD.search(value) and _is_plain(value):
        return _folded(name, value)
    return text_field(name, value)


def identifier_field(name: str, value: str) -> str:
    """A field that is never folded or encoded, such as Message-ID: it is compared octet by octet."""
    return f"{name}: {value}\r\n"


def date_field(name: str, value: datetime) -> str:
    """A date with its zone (RFC 5322 §3.3)."""
    return f"{name}: {_date(value, value.utcoffset())}\r\n"


@lru_cache(maxsize=64)
def _date(value: datetime, _offset: timedelta | None) -> str:
    """Remembered, as many messages are made within a second; by its offset too, as times in two zones may be equal."""
    iso = value.isoformat(" ", "seconds")
    day = f"{_DAYS[value.weekday()]}, {iso[8:10]} {_MONTHS[value.month]} {iso[:4]}"
    return f"{day} {iso[11:19]} {iso[19:22]}{iso[23:25]}"


def address_field(name: str, mailboxes: Sequence[Mailbox]) -> str:
    """A field of addresses, folded between them. Domains are in A-labels; a local part outside ASCII is in UTF-8."""
    written = [_mailbox(box.name, box.address) for box in mailboxes]
    if len(written) == 1 and len(name) + 2 + len(written[0]) <= LINE:
        return f"{name}: {written[0]}\r\n"
    return _folded_words(name, [f"{text}," for text in written[:-1]] + written[-1:])


def parameter(name: str, value: str) -> Iterator[str]:
    """A parameter of a MIME field, in one or more pieces to be joined with ``;`` (RFC 2231 §3 and §4)."""
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
    """The same for programs that know no RFC 2231 (Outlook), where it is short enough for their way of writing it."""
    if len(value) <= 60 and _SIMPLE_VALUE.fullmatch(value) and "=?" not in value:
        yield f'{name}="{value}"'
    elif len(words := encoded_words(value, LINE - len(name) - 4)) == 1:
        yield f'{name}="{words[0]}"'


def mime_field(name: str, value: str, parameters: Iterable[str]) -> str:
    """A MIME field with its parameters, each on its line."""
    return f"{name}: " + ";\r\n ".join([value, *parameters]) + "\r\n"


def encoded_words(text: str, first: int = LINE - 1) -> list[str]:
    """``text`` as encoded words, each with whole characters (RFC 2047 §5); the first has ``first`` octets at most."""
    octets = text.encode()
    special = len(octets.translate(None, _Q_SAFE))
    encode = _q if special * 3 <= len(octets) else _b
    whole = encode(octets)
    if len(whole) <= first:
        return [whole]
    words: list[str] = []
    rest = text
    while rest:
        room = (LINE - 1 if words else first) - _FRAME
        count = _how_many_fit(rest, room, encode is _q)
        words.append(encode(rest[:count].encode()))
        rest = rest[count:]
    return words


def _how_many_fit(text: str, room: int, in_q: bool) -> int:
    budget = room if in_q else room // 4 * 3
    for count, character in enumerate(text[:room]):
        octets = character.encode()
        budget -= sum(len(_Q[octet]) for octet in octets) if in_q else len(octets)
        if budget < 0:
            return count
    return min(len(text), room)


def _q(octets: bytes) -> str:
    return f"=?utf-8?q?{''.join([_Q[octet] for octet in octets])}?="


def _b(octets: bytes) -> str:
    return f"=?utf-8?b?{b2a_base64(octets, newline=False).decode('ascii')}?="


def _is_plain(value: str) -> bool:
    short = len(value) <= MAX_WORD or max(map(len, value.split(" "))) <= MAX_WORD
    return short and _PRINTABLE.fullmatch(value) is not None


def _encoded_field(name: str, value: str) -> str:
    first = LINE - len(name) - 2
    if first < _SHORTEST:
        return f"{name}:\r\n " + "\r\n ".join(encoded_words(value)) + "\r\n"
    return f"{name}: " + "\r\n ".join(encoded_words(value, first)) + "\r\n"


def _mailbox(name: str, address: Address) -> str:
    return _named(name, address.wire) if name else address.wire


@lru_cache(maxsize=1024)
def _named(name: str, address: str) -> str:
    """A mailbox as it is written, remembered, as people get more than one message."""
    phrase = _phrase(name)
    # Two words are as good as a line: where one ends the next may begin a line.
    is_long = len(phrase) + len(address) > _NAME_LINE
    return f"{phrase}\r\n <{address}>" if is_long else f"{phrase} <{address}>"


def _phrase(name: str) -> str:
    """A display name (RFC 5322 §3.2.5): as it is, in quotes, or in encoded words."""
    if "=?" not in name and _PRINTABLE.fullmatch(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        written = name if _PHRASE.fullmatch(name) else f'"{escaped}"'
        if len(written) <= _NAME_LINE:
            return written
    return "\r\n ".join(encoded_words(name, _NAME_LINE))


def _folded(name: str, value: str) -> str:
    if len(name) + 2 + len(value) <= LINE:
        return f"{name}: {value}\r\n"
    return _folded_words(name, value.split(" "))


def _folded_words(name: str, words: Iterable[str]) -> str:
    """The words with a space between, and a line end before that space where the line would grow too long."""
    pieces = [f"{name}:"]
    column = len(pieces[0])
    for word in words:
        first = last = len(word)
        if is_folded := "\r\n" in word:
            first, last = word.index("\r\n"), len(word) - word.rindex("\n") - 1
        # After the field's name only where it helps: some readers are not used to it.
        if column + 1 + first > LINE and (len(pieces) > 1 or first < LINE):
            pieces.append("\r\n")
            column = 0
        pieces.append(f" {word}")
        column = last if is_folded else column + 1 + last
    return "".join(pieces) + "\r\n"


def _percent_encoded(value: str, size: int) -> Iterator[str]:
    piece = ""
    for character in value:
        encoded = quote(character, safe="")
        # quote() leaves "~" alone, which RFC 2231 allows; what it encodes is a superset of what must be.
        if len(piece) + len(encoded) > size:
            yield piece
            piece = ""
        piece += encoded
    yield piece
