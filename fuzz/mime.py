"""Readers of MIME: that of the inbox, of encoded words, and the one that writes an attached message in 7 bits."""

from __future__ import annotations

from email import message_from_bytes

from fuzz.pieces import text_of
from wlsmtp.errors import MessageError
from wlsmtp.inbox.fields import mailboxes
from wlsmtp.inbox.mime import MAX_PARTS, Part, parse, parse_parameters
from wlsmtp.message.folding import fold_head, has_long_line
from wlsmtp.message.recode import message_in_7bit
from wlsmtp.message.section import read_fields, without_bcc
from wlsmtp.wire.content import has_clean_line_ends, with_clean_line_ends
from wlsmtp.wire.encoded_words import decode_words


def check(data: bytes) -> None:
    """The octets are a message, a header section, and the value of a field."""
    root = parse(data)
    parts = list(root.walk())
    assert len(parts) <= MAX_PARTS
    for part in parts:
        _check_part(part, data)
    _check_section(with_clean_line_ends(data))
    _check_7bit(with_clean_line_ends(data))
    value = text_of(data)
    decoded = decode_words(value)
    assert decoded.isprintable() or decoded == value or not value.isprintable() or not _CONTROLS.intersection(decoded)
    parse_parameters(data.decode("utf-8", "replace"))
    mailboxes(data.decode("utf-8", "replace"))


_CONTROLS = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)))


def _check_part(part: Part, data: bytes) -> None:
    assert 0 <= part.start <= part.end <= len(data)
    assert "/" not in part.filename and "\\" not in part.filename
    part.text()
    part.get("Subject")
    assert all(part.start <= child.start for child in part.children)


def _check_section(head: bytes) -> None:
    try:
        fields = read_fields(head)
        kept = without_bcc(head)
        folded = fold_head(kept)
    except MessageError:
        return
    names = [name.lower() for name, _ in fields if name.lower() not in ("bcc", "resent-bcc")]
    assert [name.lower() for name, _ in read_fields(kept)] == names == [name.lower() for name, _ in read_fields(folded)]
    assert not has_long_line(folded) and has_clean_line_ends(folded)


def _check_7bit(octets: bytes) -> None:
    written = message_in_7bit(octets)
    if written is None:
        return
    assert written.isascii() or not octets.isascii()
    given, made = (list(message_from_bytes(one).walk()) for one in (octets, written))
    assert [one.get_content_type() for one in given] == [one.get_content_type() for one in made]
