"""Fills an email: from the source of another one, from a page of HTML with its pictures, or with files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from wlsmtp.errors import MessageError, SMTPError, Stage
from wlsmtp.wire.encoded_words import decode_words
from wlsmtp.wire.mailboxes import parse_mailbox_list
from wlsmtp.wlanguage.email import IMPORTANCE, PRIORITY, SENSITIVITY, AnyEmail, EmailVariable, emailAttach, variable_of
from wlsmtp.wlanguage.errors import failed, function, succeeded
from wlsmtp.wlanguage.members import checked, path, text

if TYPE_CHECKING:
    from email.message import MIMEPart

__all__ = ["EmailImportHTML", "EmailImportSource", "EmailLoadAttachment"]

_FOLD = re.compile(r"\r?\n(?=[ \t])")
_PICTURE = re.compile(
    r"""(<(?:(?:img|input)\b[^>]*?\ssrc|[a-z]\w*\b[^>]*?\sbackground)\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]+:|//|#", re.IGNORECASE)
"""With a scheme (one letter is a Windows drive): not a file beside the page."""

_ADDRESSES = {"to": "Recipient", "cc": "Cc", "bcc": "Bcc"}
_WISHES = {"importance": ("Importance", IMPORTANCE), "sensitivity": ("Sensitivity", SENSITIVITY)}


@function
def EmailImportSource(email: AnyEmail | str = None, source: str | None = None) -> bool:
    """Fill the members of an email, by default the structure, from its ``Source``, or from a text in the same form.

    False when it cannot be read: then nothing has changed. Header fields that are not members are left out.
    """
    if isinstance(email, str):
        return EmailImportSource(None, email)
    variable = variable_of(email)
    given = variable.Source if source is None else checked(text, source, "EmailImportSource")
    new = EmailVariable()
    try:
        _fill(new, given.encode("utf-8", "surrogateescape"))
    except SMTPError as error:
        return failed(error)
    new.Source = given
    variable.become(new)
    return succeeded()


@function
def EmailImportHTML(email: AnyEmail | str = None, html: str | None = None, directory: str = "") -> bool:
    """Set ``HTML`` to a page, and attach the pictures that it shows from files: their ``src`` becomes a ``cid:``.

    The email may be left out: then it is the structure. ``directory`` is the directory of the files (default: the
    current one); files outside it are not read. False when a file cannot be read: then nothing has changed.
    """
    if isinstance(email, str):
        return EmailImportHTML(None, email, html or directory)
    variable = variable_of(email)
    page, place = checked(text, html, "EmailImportHTML"), checked(path, directory, "EmailImportHTML")
    pictures: dict[Path, emailAttach] = {}
    taken = {file.Identifier for file in variable.Attach if isinstance(file, emailAttach)}
    free = (name for number in count(1) if (name := f"picture{number}") not in taken)

    def shown(found: re.Match[str]) -> str:
        name = unescape(next(group for group in found.groups()[1:] if group is not None)).strip()
        if not name or _ELSEWHERE.match(name):
            return found[0]
        file = _inside(Path(place or "."), name)
        if file not in pictures:
            pictures[file] = _loaded(file)
            pictures[file].Identifier = next(free)
        return f'{found[1]}"cid:{pictures[file].Identifier}"'

    try:
        variable.HTML = _PICTURE.sub(shown, page)
    except SMTPError as error:
        return failed(error)
    for picture in pictures.values():
        variable.Attach.Add(picture)
    return succeeded()


@function
def EmailLoadAttachment(email: AnyEmail | str = None, file: str | None = None) -> bool:
    """Add a file to ``Attach``, with its name and its current content. The email may be left out: then it is the
    structure. False when the file cannot be read."""
    if isinstance(email, str):
        return EmailLoadAttachment(None, email)
    variable, name = variable_of(email), checked(path, file, "EmailLoadAttachment")
    try:
        loaded = _loaded(Path(name))
    except SMTPError as error:
        return failed(error)
    variable.Attach.Add(loaded)
    return succeeded()


def _loaded(file: Path) -> emailAttach:
    attached = emailAttach()
    try:
        attached.Content = file.read_bytes()
    except (OSError, ValueError) as error:
        words = f"{file} cannot be read ({getattr(error, 'strerror', None) or error})"
        raise MessageError(words, stage=Stage.MESSAGE) from None
    attached.Name = file.name
    return attached


def _inside(directory: Path, name: str) -> Path:
    """Return a file that a page names. A page may come from anywhere, and must not send files from elsewhere on the
    disk."""
    place = directory.resolve()
    file = (place / unquote(name).replace("\\", "/")).resolve()
    if not file.is_relative_to(place):
        hint = "Name the directory of the pictures in EmailImportHTML"
        raise MessageError(f"The picture {name!r} is outside of {directory}", stage=Stage.MESSAGE, hint=hint)
    return file


def _fill(email: EmailVariable, octets: bytes) -> None:
    """Fill the members from a parsed email. Raises ``MessageError``."""
    from wlsmtp.message.read import raw_fields

    fields: dict[str, str] = {}
    for name, value in raw_fields(octets):
        shown = _FOLD.sub("", value).encode("ascii", "surrogateescape").decode("utf-8", "replace")
        fields[name.lower()] = f"{fields[name.lower()]}, {shown}" if name.lower() in fields else shown
    for field, member in _ADDRESSES.items():
        setattr(email, member, [str(box) for box in parse_mailbox_list(fields.get(field, "") or "nobody:;")])
    senders = [str(box) for box in parse_mailbox_list(fields.get("from", "") or "nobody:;")]
    email.Sender = senders[0] if senders else ""
    email.SenderAddress = fields.get("reply-to", "")
    email.Subject = decode_words(fields.get("subject", ""))
    email.MessageID, email.Reference = fields.get("message-id", ""), fields.get("references", "")
    email.DispositionNotification = "disposition-notification-to" in fields
    email.ReturnReceipt = "return-receipt-to" in fields
    for field, (member, words) in _WISHES.items():
        found = [constant for constant, word in words.items() if word.lower() == fields.get(field, "").lower()]
        setattr(email, member, found[0] if found else getattr(email, member))
    found = [constant for constant, words in PRIORITY.items() if words[0] == fields.get("priority", "").lower()]
    email.Priority = found[0] if found else email.Priority
    _fill_body(email, octets)


def _fill_body(email: EmailVariable, octets: bytes) -> None:
    from email import message_from_bytes, policy

    message = message_from_bytes(octets, policy=policy.default)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    email.Message = "" if plain is None else _text(plain)
    email.HTML = "" if html is None else _text(html)
    for number, part in enumerate(_leaves(message), 1):
        if part is not plain and part is not html:
            email.Attach.Add(_attached(part, number))


def _leaves(part: MIMEPart) -> Iterator[MIMEPart]:
    if part.get_content_maintype() != "multipart":
        yield part
        return
    for each in part.iter_parts():
        yield from _leaves(each)


def _attached(part: MIMEPart, number: int) -> emailAttach:
    file = emailAttach()
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):  # an email that is attached
        content = b"\n".join(bytes(each) for each in part.iter_parts())
    file.Content = content
    file.ContentType = part.get_content_type()
    file.Identifier = (part["Content-ID"] or "").strip().strip("<>")
    file.Name = part.get_filename() or file.Identifier or f"part{number}"
    return file


def _text(part: MIMEPart) -> str:
    content = part.get_payload(decode=True)
    octets = content if isinstance(content, bytes) else b""
    try:
        words = octets.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:  # an unknown charset
        words = octets.decode("latin-1")
    return words.replace("\r\n", "\n")
