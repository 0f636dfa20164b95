"""Messages made elsewhere, a stdlib message or octets: sent unchanged, without their Bcc.

This module also finds an envelope in header fields (RFC 5322 §3.6.2, §3.6.3 and §3.6.6).
"""

from __future__ import annotations

import copy
import email.message
import re
from collections.abc import Iterable, Iterator
from email import policy
from email.errors import (
    FirstHeaderLineIsContinuationDefect,
    HeaderParseError,
    InvalidHeaderDefect,
    MisplacedEnvelopeHeaderDefect,
    MissingHeaderBodySeparatorDefect,
    NonASCIILocalPartDefect,
    ObsoleteHeaderDefect,
)
from email.errors import MessageError as EmailError
from email.header import Header
from functools import partial
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message import boundaries, headers, recode
from wlsmtp.message.again import LARGEST, made_of
from wlsmtp.message.content import BytesContent, head_of
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.folding import fold, fold_head, has_long_line, has_signature
from wlsmtp.message.headers import MAX_LINE
from wlsmtp.message.raw_parts import fold_parts
from wlsmtp.message.section import read_fields, start_of, without_bcc
from wlsmtp.message.shown import commented, decoded, has_comment, hidden_mailboxes, lone_mailbox
from wlsmtp.message.stdlib import is_unset, write_plain
from wlsmtp.wire.address import Address, Mailbox, is_plain_address, local_name, parse_address, plain_address, refuse
from wlsmtp.wire.content import has_clean_line_ends, with_clean_line_ends
from wlsmtp.wire.mailboxes import Group, mailboxes_in, parse_address_list

if TYPE_CHECKING:
    AnyEmail = email.message.Message[Any, Any]
else:
    AnyEmail = email.message.Message
Field = tuple[str, Any]

_HINT = "Pass sender= and recipients="
_NO_CHARSET = "has octets that are neither ASCII nor UTF-8 (RFC 6532)"
# The standard library also ends a line at VT, FF, FS, GS and RS: what follows would be a field of its own.
_BROKEN_LINE = re.compile(r"(?>\r\n|[\r\n\v\f\x1c-\x1e])(?![ \t])|\x00")
_MAILBOX_STARTS = ("from ", ">from")
"""The first five characters of the line that begins a message in a mailbox file, in lower case."""
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_PLAIN_VALUE = re.compile(
    r"(?:[A-Za-z0-9._-]+ )*+[A-Za-z0-9._-]+"
    r'|[A-Za-z]+/[A-Za-z0-9.+-]+(?:; [a-z]+="[A-Za-z0-9._-]+")*+'
)
"""A value that is written as it is in whatever field: words, or a media type with simple parameters."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BROKEN_SECTION = (
    MissingHeaderBodySeparatorDefect,
    FirstHeaderLineIsContinuationDefect,
    MisplacedEnvelopeHeaderDefect,
    InvalidHeaderDefect,
)
_FIELD_TAKEN_FOR_A_LINE = re.compile(r"From[ \t]+:")
"""In this form the parser takes From for the line that begins a message in a mailbox file."""
_SPACE_BEFORE_COLON = re.compile(rb"^([!-9;-~]++)[ \t]++:", re.MULTILINE)
"""Allowed by RFC 5322 §4.5.8 only in what is read: for some readers it ends the header section."""
_SPACE = (b"\r", b"\n", b" ", b"\t")
_FIELDS_AS_TEXT = re.compile(
    rb"[ \t\r\n]*+(?:(?:Resent-)?(?:From|Sender|To|Cc|Bcc|Date|Message-ID)|Reply-To|Subject|MIME-Version|Content-Type"
    rb"|Received|Return-Path)[ \t]*+:",
    re.IGNORECASE,
)
_FAR = 4096
_HAS_PARTS = re.compile(rb"^Content-Type[ \t]*+:\s*+(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)
_FROM = re.compile(rb"^From[ \t]*+:", re.IGNORECASE | re.MULTILINE)
_FIELD_START = re.compile(rb"[!-9;-~]++[ \t]*+:")
_UNFOLDED = re.compile(r"\r?\n(?=[ \t])")
_RAW_PARAMETER = re.compile(r';[ \t]*([\w-]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*+"|[^;"]*[^\s;"])')
_WITH_PARAMETERS = frozenset({"content-type", "content-disposition"})
_BY_OTHERS = re.compile(r"received|return-path|delivered-to|resent-.*")
_NEVER_SENT = frozenset({"bcc", "resent-bcc"})
_POLICY = policy.SMTP.clone(refold_source="none", cte_type="8bit")


def email_content(message: AnyEmail) -> BytesContent:
    """Return a stdlib message unchanged, without Bcc and Resent-Bcc, and with no header line over 998 octets. The
    object itself is not modified. Raises ``MessageError`` for what cannot be written, and where a signature forbids
    folding."""
    made = made_of(message)
    if made.content is not None:
        return made.content
    _check_section(message)
    plain = write_plain(message, _plain_field, _NEVER_SENT)
    if plain is None:
        prepared = _in_lines(message)
        return BytesContent(recode.write(prepared), to_7bit=partial(_in_7bit, prepared))
    # The caller may change the message before a server turns out to need another form.
    to_7bit = None if plain.isascii() else partial(_snapshot_in_7bit, _snapshot(message))
    content = BytesContent(plain, to_7bit=to_7bit)
    if content.size <= LARGEST and made.is_of(message):
        made.content = content
    return content


def _in_lines(message: AnyEmail) -> AnyEmail:
    recode.check_parts(message)
    prepared = _prepared(message, _NEVER_SENT, is_signed=False)
    boundaries.keep_apart(prepared)
    return recode.in_lines(prepared)


def _in_7bit(prepared: AnyEmail, server: str) -> bytes:
    return recode.write(recode.in_7bit(_with_ascii_fields(prepared, recode.charset_of(prepared)), server))


def _with_ascii_fields(part: AnyEmail, charset: str | None) -> AnyEmail:
    """Return a prepared message whose fields in raw UTF-8, or in the charset of its text, are encoded, also in its
    parts, but in none that is signed. Fields in another charset, which nobody names, stay as they are."""
    if recode.is_signed(part):
        return part
    clone: Any = copy.copy(part)
    clone._headers = [(name, _in_ascii(name, str(value), charset)) for name, value in part.raw_items()]
    if isinstance(clone._payload, list):
        clone._payload = [_with_ascii_fields(child, charset) for child in clone._payload]
    return clone  # type: ignore[no-any-return]


def _in_ascii(name: str, value: str, charset: str | None) -> str:
    if value.isascii():
        return value
    try:
        text = recode.decoded(_UNFOLDED.sub("", value), charset)
        if name.lower() in _WITH_PARAMETERS:
            return _RAW_PARAMETER.sub(_parameter_in_ascii, text)
        written = _rewritten(name, text, text)
    except (UnicodeError, LookupError, MessageError):
        return value
    return written if written.isascii() else value


def _parameter_in_ascii(found: re.Match[str]) -> str:
    name, value = found.groups()
    if value.isascii():
        return found[0]
    bare = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value
    return "".join(f";\r\n {piece}" for piece in headers.parameter(name, bare))


def _snapshot_in_7bit(message: AnyEmail, server: str) -> bytes:
    return _in_7bit(_in_lines(message), server)


def _snapshot(part: AnyEmail) -> AnyEmail:
    clone: Any = copy.copy(part)
    clone._headers = [*part.raw_items()]
    payload = clone._payload
    if isinstance(payload, list):
        clone._payload = [_snapshot(child) for child in payload]
    return clone  # type: ignore[no-any-return]


def email_fields(message: AnyEmail) -> list[Field]:
    """Return the header fields of a stdlib message. Raises ``MessageError`` where its parser failed on them."""
    _check_section(message)
    return [(name, value) for name, value in message.raw_items() if not is_unset(value)]


def email_envelope(message: AnyEmail, sender: str | None, recipients: str | Iterable[str] | None) -> Envelope:
    """Return the envelope of a stdlib message, as given or from its header fields. Raises ``MessageError`` when those
    name nobody, or its parser failed on them."""
    if sender is not None:
        return Envelope(sender, recipients_in(email_fields(message)) if recipients is None else recipients)
    made = made_of(message)
    if recipients is not None and made.sender is not None:
        return Envelope(made.sender, recipients)
    if recipients is None and made.envelope is not None:
        return made.envelope
    fields = email_fields(message)
    found = sender_in(fields)
    path = str(found) if is_plain_address(str(found)) else found
    envelope = Envelope.of_checked(found, recipients_in(fields)) if recipients is None else Envelope(path, recipients)
    if made.is_of(message):
        made.sender = path
        made.envelope = envelope if recipients is None else None
    return envelope


def _begins_with_fields(message: AnyEmail) -> bool:
    payload = message._payload if not message._headers else None  # type: ignore[attr-defined]
    return isinstance(payload, str) and _FIELDS_AS_TEXT.match(payload[:_FAR].encode("utf-8", "replace")) is not None


def _check_section(message: AnyEmail) -> None:
    """Refuse a message in which the parser took a part of the header section for text, because of a line that is not a
    field: recipients may be in it, or a Bcc. Two From fields are refused as well: readers disagree on which one
    counts."""
    is_broken = any(isinstance(defect, _BROKEN_SECTION) for defect in message.defects)
    if is_broken or _FIELD_TAKEN_FOR_A_LINE.match(message.get_unixfrom() or ""):
        words = "The header section has a line that is not a field, and what follows it was read as text"
        hint = "Put a colon behind each name, and a space before a folded line"
        raise MessageError(words, stage=Stage.MESSAGE, hint=hint)
    if _begins_with_fields(message):
        raise _fields_as_text()
    _check_from([*message])


def _check_from(names: Iterable[str]) -> None:
    """Refuse more than one From field (RFC 5322 §3.6)."""
    if [name.lower() for name in names].count("from") > 1:
        hint = "Delete the first before you set another: del message['From']"
        raise MessageError("The message has more than one From field", stage=Stage.MESSAGE, hint=hint)


def with_from(message: AnyEmail | bytes | bytearray | memoryview, sender: Mailbox) -> AnyEmail | bytes:
    """Return a message made elsewhere with a From field, before all others, if it has none."""
    if isinstance(message, email.message.Message):
        if any(name.lower() == "from" and not is_unset(value) for name, value in message.raw_items()):
            return message
        clone: Any = copy.copy(message)
        value = _value_of("From", headers.address_field("From", [sender]))
        clone._headers = [
            ("From", value),
            *((name, value) for name, value in message.raw_items() if name.lower() != "from"),
        ]
        return clone  # type: ignore[no-any-return]
    if not isinstance(message, bytes | bytearray | memoryview):
        return message
    octets = bytes(message)
    head = _raw_head(octets)
    start = start_of(head)
    if _FROM.search(head) or not _FIELD_START.match(head, start):
        return octets
    clean = with_clean_line_ends(octets)
    return clean[:start] + headers.address_field("From", [sender]).encode() + clean[start:]


def with_defaults(message: AnyEmail, fields: Iterable[tuple[str, str]]) -> AnyEmail:
    """Return a stdlib message with those written fields that it does not have, after its own. The object itself is not
    modified. One that is signed, was delivered before or is resent is unchanged: another sender may have made it."""
    present = {name.lower() for name, value in message.raw_items() if not is_unset(value)}
    missing = [field for field in fields if field[0].lower() not in present]
    if not missing or any(map(_BY_OTHERS.fullmatch, present)) or any(map(recode.is_signed, message.walk())):
        return message
    added = {name.lower() for name, _ in missing}
    clone: Any = copy.copy(message)
    own = [(name, value) for name, value in message.raw_items() if name.lower() not in added]
    clone._headers = [*own, *((name, _value_of(name, field)) for name, field in missing)]
    return clone  # type: ignore[no-any-return]


def raw_content(data: bytes) -> BytesContent:
    """Return the octets unchanged apart from line ends, header lines over 998 octets, also in parts, spaces before the
    colon of a field, and what is removed: Bcc fields and the line that begins a message in a mailbox file. Raises
    ``MessageError`` for a line that is too long and cannot be folded, and where an empty line or space before the
    header section makes it a part of the text."""
    # Line ends come first: a field may also follow a bare CR.
    content = BytesContent(data)
    lowered = content.lowered_head
    if lowered < "!" or len(lowered) > MAX_LINE or lowered[:5] in _MAILBOX_STARTS:
        return _amended(content)
    if "bcc" in lowered or " :" in lowered or "\t:" in lowered or "multipart/" in lowered or "message/" in lowered:
        return _amended(content)
    return content


def _amended(content: BytesContent) -> BytesContent:
    """Return the content with the changes of ``raw_content`` that it needs, or itself."""
    _check_start(content.data)
    head, lowered = content.head, content.lowered_head
    kept = without_bcc(head[start_of(head) :])
    if has_long_line(kept):
        kept = fold_head(kept)
    if (b" :" in kept or b"\t:" in kept) and not has_signature(kept):
        kept = _SPACE_BEFORE_COLON.sub(rb"\1:", kept)
    may_have_parts = "multipart/" in lowered or "message/" in lowered
    body = content.data[len(head) :]
    folded = fold_parts(head, body) if may_have_parts and _HAS_PARTS.search(head) else body
    return content if kept == head and folded is body else BytesContent(kept + folded)


def _check_start(data: bytes) -> None:
    if data[:1] in _SPACE and _FIELDS_AS_TEXT.match(data):
        raise _fields_as_text()


def _fields_as_text() -> MessageError:
    words = "The message begins with an empty line or a space, so that its header fields would be read as text"
    return MessageError(words, stage=Stage.MESSAGE, hint="Remove it: textwrap.dedent(text).strip()")


def raw_fields(data: bytes) -> list[Field]:
    """Return the header fields of a message in octets; only its header section is read. Raises ``MessageError`` for a
    line that is not a field, and where the section begins with an empty line or space."""
    _check_start(data)
    return [*read_fields(_raw_head(data))]


def _raw_head(data: bytes) -> bytes:
    """Return the header section, without looking at the body if its line ends are right."""
    head = head_of(data)
    return head if has_clean_line_ends(head) else BytesContent(data).head


def sender_in(fields: list[Field]) -> Address:
    """Return Sender, else From. Raises ``MessageError`` when neither is there."""
    _check_from(name for name, _ in fields)
    prefix = _prefix(fields)
    senders = _mailboxes(fields, f"{prefix}sender") or _mailboxes(fields, f"{prefix}from")
    if not senders:
        words = f"The message has no {'Resent-From' if prefix else 'From'} header"
        raise MessageError(words, stage=Stage.MESSAGE, hint="Pass sender=")
    return senders[0].address


def recipients_in(fields: list[Field]) -> list[Address]:
    """Return To, Cc and Bcc. Raises ``MessageError`` when they name nobody."""
    prefix = _prefix(fields)
    found = [box.address for name in ("to", "cc", "bcc") for box in _mailboxes(fields, prefix + name)]
    if not found:
        words = "The message has no recipient in To, Cc or Bcc"
        raise MessageError(words, stage=Stage.MESSAGE, hint="Pass recipients=")
    return found


def _prefix(fields: list[Field]) -> str:
    """Return the prefix of the fields to use: a resent message comes from, and goes to, the Resent- fields (RFC 5322
    §3.6.6)."""
    names = [name.lower() for name, _ in fields]
    if not {"resent-to", "resent-cc", "resent-bcc"}.intersection(names):
        return ""
    if max(names.count("resent-date"), names.count("resent-from")) > 1:
        raise MessageError("The message was resent more than once", stage=Stage.MESSAGE, hint=_HINT)
    return "resent-"


def _mailboxes(fields: Iterable[Field], wanted: str) -> list[Mailbox]:
    return [box for name, value in fields if name.lower() == wanted for box in mailboxes_in(_addressed(name, value))]


def _addressed(name: str, value: Any) -> list[Mailbox | Group]:
    """Return the addresses of a field for the envelope, where names do not count: these may be in any charset."""
    if isinstance(value, Header) or hasattr(value, "groups") or not _SURROGATE.search(str(value)):
        return _parsed(name, value)
    text = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    found = _parsed(name, text)
    if "\ufffd" in text and any("\ufffd" in str(box.address) for box in mailboxes_in(found)):
        raise MessageError(f"{name}: {_NO_CHARSET}", stage=Stage.MESSAGE, hint=_HINT)
    return found


def _parsed(name: str, value: Any, hint: str = _HINT) -> list[Mailbox | Group]:
    """Return the addresses of a field: parsed by the standard library if the field was set, else from the source.

    A decoded text is not parsed: a comma in an encoded name would begin another address.
    """
    try:
        if hasattr(value, "groups"):
            _check_defects(value)
            return commented(value, _items(value.groups))
        if isinstance(value, Header) and (hidden := hidden_mailboxes(value)):
            return [*hidden]
        text = _with_utf8(value.encode() if isinstance(value, Header) else str(value))
        if hasattr(value, "fold") and (lone := lone_mailbox(text)):
            return [lone]
        return [decoded(item) for item in parse_address_list(text)]
    except (MessageError, EmailError, UnicodeError) as error:
        words = error.message if isinstance(error, MessageError) else error
        if isinstance(error, UnicodeDecodeError):
            words = _NO_CHARSET
        raise MessageError(f"{name}: {words}", stage=Stage.MESSAGE, hint=hint) from None


def _items(groups: Iterable[Any]) -> Iterator[Mailbox | Group]:
    for group in groups:
        items = [found for item in group.addresses for found in _entries(item)]
        # A single mailbox is a group without a name there.
        yield from items if group.display_name is None else (Group(group.display_name, tuple(mailboxes_in(items))),)


def _entries(item: Any) -> list[Mailbox | Group]:
    """Return an element of a list that was set as a field: an object, or also a text, which the standard library writes
    without reading it."""
    if isinstance(item, str):
        return parse_address_list(_with_utf8(item))
    if not hasattr(item, "addr_spec"):
        words = f"{item!r} is not an address"
        raise MessageError(words, stage=Stage.MESSAGE, hint="Give it an Address of email.headerregistry, or text")
    return [Mailbox(item.display_name, _address(_addr_spec(item)))]


def _addr_spec(item: Any) -> str:
    """Return the address of an object of the standard library, which puts no quotes around dots that need them."""
    text, local = str(item.addr_spec), str(item.username or "")
    needs_quotes = ".." in local or local[:1] == "." or local[-1:] == "."
    return f'"{local}"@{item.domain}' if needs_quotes and text == f"{local}@{item.domain}" else text


def _check_defects(value: Any) -> None:
    """Refuse a field that was set and that the standard library has partly lost or changed."""
    for defect in value.defects:
        # It repairs faults around encoded words, and an obsolete form is not a fault.
        is_harmless = isinstance(defect, ObsoleteHeaderDefect | NonASCIILocalPartDefect) or "encoded" in str(defect)
        is_harmless |= "with no domain" in str(defect) and not any(item.domain for item in value.addresses)
        if not is_harmless:
            given = str(getattr(value, "_parse_tree", value))
            refuse(given, str(defect) or type(defect).__name__, "Give it an Address of email.headerregistry, or a list")


def _address(addr_spec: str) -> Address:
    return local_name(addr_spec) or parse_address("" if addr_spec == "<>" else addr_spec)


def _with_utf8(text: str) -> str:
    """Read raw octets, which the parser keeps as surrogates, as UTF-8 (RFC 6532)."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8")


def _prepared(part: AnyEmail, left_out: Iterable[str] = (), *, is_signed: bool) -> AnyEmail:
    """Return a copy for writing, with fields in their final form, so that the generator folds and invents nothing in
    the user's object."""
    clone = copy.copy(part)
    clone.preamble, clone.epilogue = _in_octets(part.preamble), _in_octets(part.epilogue)
    is_signed = is_signed or recode.has_signature(part)
    for name in set(part.keys()):
        del clone[name]
    for name, value in part.raw_items():
        # A field that was set to None has no value: msg["Cc"] looks as if it were absent.
        if name.lower() not in left_out and not is_unset(value):
            clone.set_raw(name, fold(name, _final(name, value), is_signed=is_signed))
    # A payload that is text is not asked for: the standard library would decode it, and fail on odd parameters.
    payload = part.get_payload() if part.is_multipart() else None
    if isinstance(payload, list):
        is_signed = is_signed or recode.is_signed(part)
        children = [
            _prepared(child, is_signed=is_signed) if isinstance(child, email.message.Message) else child
            for child in payload
        ]
        clone.set_payload(children)
    return clone


def _in_octets(text: str | None) -> str | None:
    """Return what is before or behind the parts with each character of a decoded text as its octets in UTF-8."""
    return text and text.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")


def _plain_field(name: str, value: Any) -> str:
    """Return a field's value in its final form, which for most fields is the text itself."""
    text = str(value)
    if getattr(value, "fold", None) is not None and len(name) + len(text) < 70 and not value.defects:
        is_address = name.lower() in headers.ADDRESS_FIELDS
        if (plain_address(text) and not has_comment(value)) if is_address else _PLAIN_VALUE.fullmatch(text):
            return text
    return fold(name, _final(name, value), is_signed=False)


def _final(name: str, value: Any) -> str:
    """Return a field's value for ``set_raw``: raw text that is already folded, if its author folded it."""
    try:
        text = value.encode(linesep="\r\n") if isinstance(value, Header) else str(value)
    except HeaderParseError:  # it has a line end in it
        text = "\r"
    if not _FIELD_NAME.fullmatch(name) or _BROKEN_LINE.search(text):
        words = f"The header {name[:80]!r} contains a line end or NUL"
        raise MessageError(words, stage=Stage.MESSAGE, hint="Nobody may add header lines through a value")
    fold_value = getattr(value, "fold", None)
    if isinstance(value, Header) and name.lower() in headers.ADDRESS_FIELDS and hidden_mailboxes(value):
        return _rewritten(name, value, text)
    if fold_value is None and (text.isascii() or _SURROGATE.search(text)):
        return text
    if fold_value is not None and name.lower().startswith("content-"):
        return _value_of(name, fold_value(policy=_POLICY))
    return _rewritten(name, value, text)


def _rewritten(name: str, value: Any, text: str) -> str:
    if name.lower() in _WITH_PARAMETERS and (encoded := _RAW_PARAMETER.sub(_parameter_in_ascii, text)).isascii():
        return encoded
    try:
        is_list = name.lower() in headers.ADDRESS_FIELDS
        field = (
            headers.address_field(name, _parsed(name, value, "Correct the field"))
            if is_list
            else headers.field(name, text)
        )
    except MessageError:
        raise
    except ValueError as error:
        raise MessageError(f"{name}: {error}", stage=Stage.MESSAGE) from None
    return _value_of(name, field)


def _value_of(name: str, field: str) -> str:
    return field[len(name) + 1 :].removesuffix("\r\n").removeprefix(" ")
