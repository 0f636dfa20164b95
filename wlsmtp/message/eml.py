"""Makes a ``Message`` from an .eml file: a template written in a mail program, to be sent to others.

A ``Message`` holds less than MIME can express. What it cannot hold is named in an error, and left out only on request;
nothing is lost silently. To send a finished message unchanged, send its octets instead.
"""

from __future__ import annotations

import email
import email.message
import os
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from email import policy
from email.utils import collapse_rfc2231_value, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, cast

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.attachment import Attachment
from wlsmtp.message.content import head_of
from wlsmtp.message.headers import ADDRESS_FIELDS
from wlsmtp.message.section import read_fields
from wlsmtp.message.source import stream_source
from wlsmtp.wire.address import Mailbox
from wlsmtp.wire.content import with_clean_line_ends
from wlsmtp.wire.encoded_words import decode_words
from wlsmtp.wire.mailboxes import Group, parse_address_list

if TYPE_CHECKING:
    Part = email.message.Message[Any, Any]
else:
    Part = email.message.Message

_AS_IT_IS = "Its octets can be sent as they are: session.send(octets)"
_OF_A_DELIVERY = re.compile(r"received|return-path|delivered-to|dkim-signature|domainkey-signature|arc-.*|resent-.*")
"""Fields of the message as it was delivered: another one has its own, and a signature would be wrong."""
_OF_MIME = frozenset({"content-type", "content-transfer-encoding", "content-disposition", "mime-version"})
_WORD = re.compile(r"=\?[^?\s]*\?[A-Za-z]\?")
_ENCODINGS = frozenset({"", "7bit", "8bit", "binary", "quoted-printable", "base64"})
_OF_MESSAGES = frozenset({"", "7bit", "8bit", "binary"})
_WRITES = policy.SMTP.clone(refold_source="none", cte_type="8bit", mangle_from_=False)


def read_eml(source: str | os.PathLike[str] | bytes | BinaryIO, leave_out: Iterable[str]) -> dict[str, Any]:
    """Return the fields of the ``Message``; see ``Message.from_eml``."""
    reader = _Reader({name.lower() for name in ([leave_out] if isinstance(leave_out, str) else leave_out)})
    octets = with_clean_line_ends(_octets(source))
    try:
        return reader.read(octets)
    except MessageError:
        raise
    # The standard library fails by mistake on some fields, and at too many parts within parts.
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        _refuse(f"The message cannot be read ({type(error).__name__})")


def _octets(source: object) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        try:
            return Path(source).read_bytes()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise MessageError(f"{str(source)[:200]!r} cannot be read: {why}", stage=Stage.MESSAGE) from error
    if callable(getattr(source, "read", None)):
        return stream_source(source, "message.eml").read()  # type: ignore[arg-type]
    words = f"from_eml takes a path, bytes or an open binary file, not {type(source).__name__}"
    raise MessageError(words, stage=Stage.MESSAGE)


class _Reader:
    """Reads one message and lists what a ``Message`` cannot hold."""

    def __init__(self, leave_out: set[str]) -> None:
        self._leave_out = leave_out
        self._lost: dict[str, None] = {}
        self._text: str | None = None
        self._html: str | None = None
        self._calendar: str | None = None
        self._attachments: list[Attachment] = []

    def read(self, octets: bytes) -> dict[str, Any]:
        fields = self._fields(read_fields(head_of(octets)))
        root = email.message_from_bytes(octets)
        _unfold_mime(root)
        for part in root.walk():
            if part.defects and part.get_content_maintype() != "message":
                _refuse(f"The message is broken: {type(part.defects[0]).__name__}")
        self._top(root)
        if self._lost:
            names = ", ".join(self._lost)
            left = ", ".join(map(repr, self._lost))
            hint = f"{_AS_IT_IS}; or they are left out: from_eml(…, leave_out=[{left}])"
            raise MessageError(f"A Message has no place for {names}", stage=Stage.MESSAGE, hint=hint)
        more = {} if self._calendar is None else {"calendar": self._calendar}
        return {**fields, "text": self._text, "html": self._html, "attachments": self._attachments, **more}

    def _lose(self, name: str) -> None:
        if name.lower() not in self._leave_out:
            self._lost[name] = None

    def _fields(self, given: list[tuple[str, str]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        headers: dict[str, list[str]] = {}
        for name, raw in given:
            kind = name.lower()
            if kind in self._leave_out or kind in _OF_MIME:
                continue
            if _OF_A_DELIVERY.fullmatch(kind) or kind.startswith("content-"):
                self._lose(name)
                continue
            value = _unfolded(name, raw)
            if kind in ("to", "cc", "bcc", "reply-to"):
                found.setdefault(kind.replace("-", "_"), []).extend(_addresses(name, value))
            elif kind in ("from", "subject", "date", "message-id"):
                key = {"from": "sender", "message-id": "message_id"}.get(kind, kind)
                if key in found:
                    _refuse(f"The message has more than one {name} field")
                found[key] = _single(name, kind, value)
            else:
                same = next((other for other in headers if other.lower() == kind), name)
                headers.setdefault(same, []).append(value if kind in ADDRESS_FIELDS else _decoded(name, value))
        return {**found, "headers": headers}

    def _top(self, part: Part) -> None:
        if part.get_content_type() != "multipart/mixed":
            self._body(part)
            return
        children = _children(part)
        for child in children:
            self._check_part(child)
        if children and _is_body(children[0]):
            self._body(children.pop(0))
        for child in children:
            if not self._is_invite(child):
                self._attach(child)

    def _body(self, part: Part) -> None:
        kind = part.get_content_type()
        if kind == "multipart/alternative":
            for child in _children(part):
                self._check_part(child)
                if child.get_content_type() == "multipart/related":
                    self._related(child)
                elif child.get_content_type() == "text/calendar":
                    self._take_calendar(child)
                elif not _is_text(child):
                    _refuse(f"An alternative of the type {child.get_content_type()} has no place in a Message")
                else:
                    self._take_text(child)
        elif kind == "multipart/related":
            self._related(part)
        elif _is_text(part):
            self._take_text(part)
        elif _is_calendar(part):
            self._take_calendar(part)
        else:
            self._attach(part)

    def _related(self, part: Part) -> None:
        children = _children(part)
        if not children or part.get_param("start") not in (None, children[0].get("Content-ID")):
            _refuse("A multipart/related whose first part is not its root has no place in a Message")
        for child in children:
            self._check_part(child)
        root, *others = children
        if root.get_content_type() != "multipart/alternative" and not _is_text(root):
            _refuse(f"A multipart/related around {root.get_content_type()} has no place in a Message")
        self._body(root)
        for child in others:
            self._attach(child, is_related=True)

    def _check_part(self, part: Part) -> None:
        for name in part.keys():  # noqa: SIM118 - a message is no mapping
            if name.lower() not in _OF_MIME and name.lower() != "content-id":
                self._lose(name)

    def _take_text(self, part: Part) -> None:
        is_html = part.get_content_subtype() == "html"
        if (self._html if is_html else self._text) is not None:
            _refuse(f"Two texts of the type {part.get_content_type()} have no place in a Message")
        if not is_html and self._html is not None:
            _refuse("A plain text behind the HTML has no place in a Message, where it comes first")
        if self._calendar is not None:
            _refuse("A text behind the calendar has no place in a Message, where the calendar comes last")
        parameters = _parameters(part)
        if part.get("Content-ID") is not None:
            self._lose("Content-ID")
        for name in parameters:
            if name not in ("charset", "format", "delsp"):
                self._lose(name)
        text = _text(part, parameters.get("charset", ""))
        if parameters.get("format", "").lower() == "flowed" and not is_html:
            text = unflowed(text, del_sp=parameters.get("delsp", "").lower() == "yes")
        if is_html:
            self._html = text
        else:
            self._text = text

    def _take_calendar(self, part: Part) -> None:
        """Take an invitation (RFC 6047 §2.4). What it says is checked where the message is made."""
        from wlsmtp.message.invitation import methods_in

        if self._calendar is not None:
            _refuse("Two calendars have no place in a Message")
        parameters = _parameters(part)
        for name in ("Content-Disposition", "Content-ID"):
            if part.get(name) is not None:
                self._lose(name)
        for name in parameters:
            if name not in ("charset", "method"):
                self._lose(name)
        self._calendar = _text(part, parameters.get("charset", ""))
        given = parameters.get("method")
        if given is not None and methods_in(self._calendar) != [given.upper()]:
            _refuse(f"A calendar whose METHOD is not that of its part, {given[:40]!r}, has no place in a Message")

    def _is_invite(self, part: Part) -> bool:
        """Return whether it is the calendar once more, as a file that a ``Message`` adds by itself."""
        if self._calendar is None or part.get_content_type() != "application/ics":
            return False
        is_named = part.get_filename() == "invite.ics" and part.get_content_disposition() == "attachment"
        octets = _payload(part).replace(b"\r\n", b"\n")
        return is_named and octets.rstrip(b"\n") == self._calendar.encode().rstrip(b"\n")

    def _attach(self, part: Part, *, is_related: bool = False) -> None:
        kind = part.get_content_type()
        parameters = _parameters(part)
        more = _parameters(part, "content-disposition")
        named = more.get("filename", parameters.get("name"))
        filename = None if named is None else _decoded("filename", named.strip())
        disposition = (part.get_content_disposition() or "").lower()
        for name in more:
            if name != "filename":
                self._lose(name)
        content_id = part.get("Content-ID")
        is_inline = disposition == "inline" or (is_related and content_id is not None)
        kept = [f'; {name}="{value}"' for name, value in parameters.items() if name not in ("name", "boundary")]
        self._attachments.append(
            Attachment(
                _message_octets(part) if kind == "message/rfc822" else _payload(part),
                filename,
                f"{kind}{''.join(kept)}",
                "inline" if is_inline else "attachment",
                None if content_id is None else str(content_id).strip(),
            )
        )


def _refuse(words: str) -> NoReturn:
    raise MessageError(words, stage=Stage.MESSAGE, hint=_AS_IT_IS)


def _unfolded(name: str, raw: str) -> str:
    try:
        text = raw.encode("ascii", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError:
        _refuse(f"{name}: is neither ASCII nor UTF-8")
    return re.sub(r"\r\n(?=[ \t])", "", text).replace("\t", " ")


def _unfold_mime(part: Part) -> None:
    """Unfold MIME fields. File names stand in folded fields and, against the rules, in UTF-8; the standard library
    would keep the fold, and replace non-ASCII characters. An attached message is not changed."""
    for name, raw in list(part.raw_items()):
        if name.lower() in _OF_MIME and not (raw.isascii() and raw.isprintable()):
            part.replace_header(name, _unfolded(name, re.sub(r"\r?\n", "\r\n", str(raw))))
    for child in _children(part) if part.get_content_maintype() == "multipart" else ():
        _unfold_mime(child)


def _decoded(name: str, value: str) -> str:
    """Decode the encoded words of a text. One that cannot be decoded would be shown raw once encoded again."""
    text = decode_words(value)
    if _WORD.search(text) and text.isascii() and "=?" in value:
        _refuse(f"{name}: has an encoded word that cannot be decoded: {value[:80]!r}")
    return text


def _single(name: str, kind: str, value: str) -> Mailbox | datetime | str:
    if kind == "from":
        items = _addresses(name, value)
        if not items:
            _refuse("From names no author")
        if len(items) != 1 or not isinstance(items[0], Mailbox):
            _refuse("From names more than one author, and a Message has one sender")
        return items[0]
    if kind == "date":
        try:
            return parsedate_to_datetime(value)
        except ValueError:
            _refuse(f"Date: {value[:80]!r} is not a date (RFC 5322 §3.3)")
    return _decoded(name, value) if kind == "subject" else value


def _addresses(name: str, value: str) -> list[Mailbox | Group]:
    try:
        return parse_address_list(value)
    except MessageError as error:
        raise MessageError(f"{name}: {error.message}", stage=Stage.MESSAGE, hint=error.hint) from None


def _children(part: Part) -> list[Part]:
    payload = part.get_payload()
    return list(cast("list[Part]", payload)) if isinstance(payload, list) else []


def _is_text(part: Part) -> bool:
    """Return whether it is shown as the text of the message: it has no name and is not attached."""
    is_text = part.get_content_type() in ("text/plain", "text/html")
    return is_text and part.get_content_disposition() != "attachment" and part.get_filename() is None


def _is_calendar(part: Part) -> bool:
    """Return whether it is an invitation, rather than a file with one."""
    is_calendar = part.get_content_type() == "text/calendar" and part.get_param("method") is not None
    return is_calendar and part.get_content_disposition() is None and part.get_filename() is None


def _is_body(part: Part) -> bool:
    has_texts = part.get_content_type() in ("multipart/alternative", "multipart/related")
    return has_texts or _is_text(part) or _is_calendar(part)


def _parameters(part: Part, header: str = "content-type") -> dict[str, str]:
    given = part.get_params(failobj=[], header=header)[1:]
    return {name.lower(): _parameter(name, value) for name, value in given if name}  # a trailing ';' is allowed


def _parameter(name: str, value: Any) -> str:
    """Return one value (RFC 2231 §4); the standard library would replace what it cannot decode."""
    try:
        return collapse_rfc2231_value(value, errors="strict")
    except ValueError:
        _refuse(f"The parameter {name} cannot be decoded")


def _payload(part: Part) -> bytes:
    kind = part.get_content_type()
    if part.is_multipart():
        _refuse(f"A part of the type {kind} has no place in a Message")
    if str(part.get("Content-Transfer-Encoding", "")).strip().lower() not in _ENCODINGS:
        _refuse(f"A part of the type {kind} has an encoding that is not known")
    payload = part.get_payload(decode=True)
    if part.defects or not isinstance(payload, bytes):
        _refuse(f"A part of the type {kind} cannot be decoded")
    return payload


def _message_octets(part: Part) -> bytes:
    if str(part.get("Content-Transfer-Encoding", "")).strip().lower() not in _OF_MESSAGES:
        _refuse("An attached message that is encoded, against RFC 2046 §5.2.1, has no place in a Message")
    [message] = _children(part)
    return message.as_bytes(policy=_WRITES)


def _text(part: Part, charset: str) -> str:
    octets = _payload(part)
    try:
        text = octets.decode(charset or "utf-8")
    except (LookupError, ValueError):  # codecs raise UnicodeDecodeError, UnicodeError and ValueError
        shown = (charset or "utf-8")[:40]
        _refuse(f"The text of the type {part.get_content_type()} is not in the charset {shown!r}")
    return text.replace("\r\n", "\n")


def unflowed(text: str, *, del_sp: bool) -> str:
    """Return format=flowed text (RFC 3676 §4) with each paragraph in one line."""
    return "\n".join(_paragraphs(text.split("\n"), del_sp))


def _paragraphs(lines: Iterable[str], del_sp: bool) -> Iterator[str]:
    kept, depth = "", -1
    for line in lines:
        bare = line.lstrip(">")
        quotes = len(line) - len(bare)
        bare = bare.removeprefix(" ")
        if depth not in (-1, quotes):  # a paragraph ends where the quoting depth changes
            yield _quoted(kept, depth)
            kept, depth = "", -1
        kept += bare
        depth = quotes
        if bare.endswith(" ") and bare != "-- ":
            kept = kept[:-1] if del_sp else kept
            continue
        yield _quoted(kept, depth)
        kept, depth = "", -1
    if depth != -1:
        yield _quoted(kept, depth)


def _quoted(text: str, depth: int) -> str:
    return f"{'>' * depth} {text}" if depth else text
