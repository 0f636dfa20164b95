"""Re-encodes parts of stdlib messages that a server cannot accept as they are.

What a signature covers is never changed. The standard library's own conversion to 7bit changes that too, and fails with
codec errors where a text is not in the charset that it names.
"""

from __future__ import annotations

import copy
import email.message
import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.errors import MessageError as EmailError
from email.generator import BytesGenerator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.message.transfer import MAX_LINE, base64_lines, encode_text, is_7bit, is_8bit
from wlsmtp.wire.content import with_clean_line_ends

if TYPE_CHECKING:
    AnyEmail = email.message.Message[Any, Any]

# No refolding: the standard library loses the quotes around a comma (cpython issue 121284). Python 3.13 refolds
# non-ASCII values all the same unless utf8 is set; where UTF-8 is not wanted, the header fields are ASCII already.
_POLICY: Any = policy.SMTPUTF8.clone(refold_source="none", cte_type="8bit")
_CTE = "Content-Transfer-Encoding"
SIGNATURE_FIELDS = frozenset({"dkim-signature", "domainkey-signature", "arc-message-signature", "arc-seal"})
_AS_IT_IS = ("", "7bit", "8bit", "binary")
_OLD_CHARSET = re.compile(
    r"iso-?8859-\d+|(windows-|cp)\d+|latin-?1|koi8-[ru]|big5|gb2312|gbk|gb18030|euc-\w+|shift_jis", re.IGNORECASE
)
"""Charsets in which ASCII means ASCII, and octets above 127 something else."""
_BEYOND_OCTETS = re.compile(r"[^\x00-\x7f\udc80-\udcff]")
"""A character that represents no octet."""


class _Generator(BytesGenerator):
    """Writes the text of a multipart that was never split, as its boundary occurs nowhere, in its octets. The standard
    library decodes it, and fails on what is not ASCII."""

    def _handle_multipart(self, msg: AnyEmail) -> None:
        text = msg._payload  # type: ignore[attr-defined]
        if isinstance(text, str) and not text.isascii():
            self._write_lines(text)  # type: ignore[attr-defined]
        else:
            super()._handle_multipart(msg)  # type: ignore[misc]


def write(message: AnyEmail) -> bytes:
    """Return the message in octets, with fields and parts unchanged. Raises ``MessageError`` when it cannot be
    written."""
    buffer = BytesIO()
    try:
        _Generator(buffer, mangle_from_=False, policy=_POLICY).flatten(message)
    except (EmailError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise MessageError(f"The message cannot be written: {error}", stage=Stage.MESSAGE) from error
    return buffer.getvalue()


def check_parts(message: AnyEmail) -> None:
    """Refuse what was attached and is not a message; the standard library fails on it."""
    for part in message.get_payload() if message.is_multipart() else ():
        if not isinstance(part, email.message.Message):
            words = f"A multipart holds messages, and here it has {type(part).__name__} among them"
            raise MessageError(words, stage=Stage.MESSAGE, hint="Attach MIMEText(text), or use add_attachment")
        check_parts(part)


def charset_of(message: AnyEmail) -> str | None:
    """Return the charset of the first text that names one which is neither ASCII nor Unicode. Programs that write raw
    octets into header fields write them in that one."""
    for part in message.walk():
        name = part.get_param("charset") if part.get_content_maintype() == "text" else None
        if isinstance(name, str) and _OLD_CHARSET.fullmatch(name):
            return name
    return None


def decoded(text: str, charset: str | None) -> str:
    """Return a field with its octets, which the parser keeps as surrogates, read as UTF-8 (RFC 6532), else in this
    charset. Raises ``UnicodeError``."""
    octets = text.encode("utf-8", "surrogateescape")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        if charset is None:
            raise
        return octets.decode(charset)


def is_signed(part: AnyEmail) -> bool:
    """Return whether a signature covers the content of this part."""
    return has_signature(part) or part.get_content_type() == "multipart/signed"


def has_signature(part: AnyEmail) -> bool:
    """Return whether a signature covers the fields of this part too; that of ``multipart/signed`` covers what is in
    it."""
    return not SIGNATURE_FIELDS.isdisjoint([name.lower() for name in part])


def in_lines(message: AnyEmail) -> AnyEmail:
    """Return the message with problematic parts encoded: binary parts in base64, texts with characters in octets, and
    parts with NUL or a line over 998 octets. Signed parts are not changed. Returns the message itself when nothing
    needs encoding. Raises ``MessageError`` when that is not possible."""
    try:
        return _all_recoded(message, _in_short_lines)
    except _Unencodable as error:
        words, hint = error.args
        raise MessageError(words, stage=Stage.MESSAGE, hint=hint) from None


def in_7bit(message: AnyEmail, server: str) -> AnyEmail:
    """Return the message with every part encoded that has octets above 127. Raises ``ExtensionMissing``, which names
    the server, when that is not possible."""
    try:
        return _all_recoded(message, _in_7bit)
    except _Unencodable as error:
        words, hint = error.args
        words = f"{words}, and {server} does not offer 8BITMIME (RFC 6152)"
        raise ExtensionMissing(words, stage=Stage.MAIL, hint=hint) from None


def message_in_7bit(octets: bytes) -> bytes | None:
    """Return an attached message without octets above 127; None when that is impossible."""
    try:
        given = message_from_bytes(octets)
        kinds = _kinds(given)
        written = write(_all_recoded(given, _in_7bit))
        is_same = kinds == _kinds(message_from_bytes(written))
    except (_Unencodable, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None  # MessageError is a ValueError; the others are mistakes of the standard library's parser
    return written if is_same and is_7bit(written) else None


def _kinds(message: AnyEmail) -> list[str]:
    """Return the types of all parts, which a field with a vertical tab changes as it is written."""
    return [part.get_content_type() for part in message.walk()]


class _Unencodable(Exception):
    """A part that must not be changed: the text of an error, and its hint."""


def _all_recoded(message: AnyEmail, recode: Callable[[AnyEmail, bytes], tuple[str, bytes] | None]) -> AnyEmail:
    """Recode all parts. Raises ``_Unencodable``, also for fields on which the standard library fails by mistake."""
    try:
        return _recoded(message, recode)
    except (TypeError, LookupError, AttributeError, RecursionError) as error:
        words = f"A part of the message cannot be read ({type(error).__name__})"
        raise _Unencodable(words, "Correct its Content- fields") from error


def _recoded(part: AnyEmail, recode: Callable[[AnyEmail, bytes], tuple[str, bytes] | None]) -> AnyEmail:
    if recode is _in_short_lines and is_signed(part):
        recode = _in_lines
    payload = part.get_payload()
    if not isinstance(payload, list):
        encoded = recode(part, _octets(part))
        if encoded is None:
            return part
        if part.get_content_maintype() in ("message", "multipart"):
            words = f"A part of the type {part.get_content_type()} is not ASCII and cannot be encoded"
            raise _Unencodable(words, "Attach it as application/octet-stream")
        changed = _leaf(part, *encoded)
    else:
        children = [_recoded(child, recode) if isinstance(child, email.message.Message) else child for child in payload]
        if all(child is before for child, before in zip(children, payload, strict=True)):
            return _container(part, children) if recode is _in_7bit else part
        changed = _container(part, children)
    if is_signed(part):
        raise _Unencodable("A signed part must not be changed", "Encode what is not ASCII before it is signed")
    return changed


def _container(part: AnyEmail, children: list[Any]) -> AnyEmail:
    """Recode a part that contains others, which say themselves how they are encoded."""
    clone = copy.copy(part)
    clone.set_payload(children)
    fields = [(name, "7bit" if name.lower() == _CTE.lower() else value) for name, value in part.raw_items()]
    _set_fields(clone, fields)
    # No reader shows what stands before the first part and after the last.
    clone.preamble = part.preamble if (part.preamble or "").isascii() else None
    clone.epilogue = part.epilogue if (part.epilogue or "").isascii() else None
    return clone


def _set_fields(part: AnyEmail, fields: list[tuple[str, Any]]) -> None:
    for name in set(part.keys()):
        del part[name]
    for name, value in fields:
        part.set_raw(name, value)


def _leaf(part: AnyEmail, encoding: str, octets: bytes) -> AnyEmail:
    clone = copy.copy(part)
    fields = [(name, value) for name, value in part.raw_items() if name.lower() != _CTE.lower()]
    _set_fields(clone, [*fields, (_CTE, encoding)])
    clone.set_payload(octets.decode("ascii", "surrogateescape"))
    return clone


def _octets(part: AnyEmail) -> bytes:
    """Return the octets of a part as they are in the message, whatever its encoding; get_payload() may lose some."""
    payload: Any = part._payload  # type: ignore[attr-defined]
    if not isinstance(payload, str):
        return b""
    try:
        return payload.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        return _encoded(payload, part)


def _encoded(text: str, part: AnyEmail) -> bytes:
    charset = part.get_content_charset()
    try:
        return text.encode(charset or "ascii", "surrogateescape")
    except (UnicodeError, LookupError):
        known = f"its charset {charset!r} has no such characters" if charset else "it names no charset"
        words = f"A text part has characters outside ASCII, and {known}"
        raise MessageError(
            words, stage=Stage.MESSAGE, hint="Use set_content(text) or set_payload(text, 'utf-8')"
        ) from None


def _encoding_of(part: AnyEmail) -> str:
    return str(part.get(_CTE, "")).strip().lower()


def _in_lines(part: AnyEmail, octets: bytes) -> tuple[str, bytes] | None:
    """Encode binary: it is not cut into lines, and line ends are part of it, unless it is readable text."""
    encoding = _encoding_of(part)
    is_text = part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment"
    if encoding == "binary" and not is_text and not is_8bit(octets):
        return "base64", base64_lines(octets)
    if octets.isascii() or _BEYOND_OCTETS.search(part._payload) is None:  # type: ignore[attr-defined]
        return None
    return encoding or "8bit", octets


def _in_short_lines(part: AnyEmail, octets: bytes) -> tuple[str, bytes] | None:
    """Encode long lines and NUL: servers refuse them (RFC 5321 §4.5.2, RFC 6152 §3), or cut the one and drop the
    other."""
    is_harmed = (b"\0" in octets or has_long_line(octets)) and _encoding_of(part) in _AS_IT_IS
    is_leaf = part.get_content_maintype() not in ("message", "multipart")
    if is_harmed and is_leaf and _encoding_of(part) == "binary":
        return "base64", base64_lines(octets)
    return _encoded_anew(part, octets) if is_harmed and is_leaf else _in_lines(part, octets)


def has_long_line(octets: bytes) -> bool:
    """Return whether a line has over 998 octets, in linear time; a line that ends in CR alone counts too."""
    if len(octets) <= MAX_LINE or max(map(len, octets.split(b"\n"))) <= MAX_LINE:
        return False
    return max(map(len, octets.replace(b"\r", b"\n").split(b"\n"))) > MAX_LINE


def _in_7bit(part: AnyEmail, octets: bytes) -> tuple[str, bytes] | None:
    if octets.isascii():
        return None
    if _encoding_of(part) not in _AS_IT_IS:
        raise _Unencodable(f"A part is not ASCII although it is in {_encoding_of(part)}", "Encode it anew")
    return _encoded_anew(part, octets)


def _encoded_anew(part: AnyEmail, octets: bytes) -> tuple[str, bytes]:
    encoding, body = encode_text(with_clean_line_ends(octets), but=b"")
    is_text = part.get_content_maintype() == "text" and encoding == "quoted-printable"
    # In base64, line ends are kept as they were given.
    return (encoding, body) if is_text else ("base64", base64_lines(octets))
