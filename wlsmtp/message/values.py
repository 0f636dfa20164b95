"""Checks values that users give for header fields. A ``ValueError`` explains what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from wlsmtp.errors import MessageError
from wlsmtp.message.headers import ADDRESS_FIELDS, IDENTIFIER_FIELDS, MAX_WORD, ONE_FIELD, URL_FIELDS, field
from wlsmtp.patterns import later
from wlsmtp.wire.address import (
    Address,
    Mailbox,
    check_name,
    foreign_mailbox,
    local_name,
    parse_address,
    parse_mailbox,
    plain_address,
    refuse,
    text_of,
)
from wlsmtp.wire.mailboxes import Group, mailboxes_in, parse_address_list

if TYPE_CHECKING:
    from email.headerregistry import Address as HeaderAddress
    from email.headerregistry import Group as HeaderGroup

    from pydantic import NameEmail
else:
    HeaderAddress = HeaderGroup = NameEmail = Any  # importing them takes long

AddressLike: TypeAlias = str | Address | Mailbox | HeaderAddress | NameEmail | tuple[str, str]
"""``"ann@example.com"``, ``"Ann <ann@example.com>"``, or a pair (name, address), whose name is used verbatim; or the
address types of the standard library and pydantic."""
AddressesLike: TypeAlias = AddressLike | Group | HeaderGroup | Iterable[AddressLike | Group | HeaderGroup]
"""One address or several. A group is a ``Group``, or text if it is empty: ``"undisclosed-recipients:;"``."""

_CONTROL = later(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SURROGATE = later(r"[\ud800-\udfff]")
_FIELD_NAME = later(r"[!-9;-~]{1,76}")
_IDENTIFIER = later(r"<?([!-;=?-~]{1,900})>?")
_OWN_FIELD = {
    "from": "sender=", "to": "to=", "cc": "cc=", "bcc": "bcc=", "reply-to": "reply_to=", "subject": "subject=",
    "date": "date=", "message-id": "message_id=", "mime-version": "nothing: it is always there",
    "return-path": "the sender= of send()", "resent-bcc": "the recipients= of send()",
}  # fmt: skip


def mailbox(value: object) -> Mailbox:
    """Return one address, with or without a name. A name without a domain, such as ``root``, is for delivery on this
    machine; ``with_domains`` refuses it."""
    match value:
        case str():
            return _of_text(exactly_str(value))
        case Mailbox(name, address):
            name = exactly_str(name)
            check_name(name, name)
            return Mailbox(name, _address(str(address)))
        case Address():
            return Mailbox("", _address(str(value)))
    if (pair := _pair(value) or foreign_mailbox(value)) is not None:
        shown = exactly_str(pair[0])
        check_name(shown, shown)
        return Mailbox(shown.strip(), _address(exactly_str(pair[1])))
    if (text := text_of(value)) is not None:
        return _of_text(exactly_str(text))
    raise ValueError(f"must be an address or a pair (name, address), not {type(value).__name__}")


def _of_text(text: str) -> Mailbox:
    name = local_name(text) if "@" not in text else None
    return parse_mailbox(text) if name is None else Mailbox("", name)


def _address(text: str) -> Address:
    name = local_name(text) if "@" not in text else None
    return parse_address(text) if name is None else name


def with_domains(items: Any) -> None:
    """Refuse a name without a domain among mailboxes and groups, where only whole addresses make sense."""
    for box in mailboxes_in(items):
        if not box.address.domain:
            refuse(str(box.address), "it has no @")


def _pair(value: object) -> tuple[str, str] | None:
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    name, address = map(text_of, value)
    return (name, address) if name is not None and address is not None else None


def mailboxes(value: object) -> tuple[Mailbox | Group, ...]:
    """Return the addresses in a field's value, with or without names, and groups of them."""
    if type(value) is str:
        # Most messages have one recipient without a name, each a different one: caching would not help.
        plain = plain_address(value)
        return (_mailbox_or_group(value) if plain is None else Mailbox("", plain),)
    return tuple([_mailbox_or_group(item) for item in several(value)])


def _mailbox_or_group(value: object) -> Mailbox | Group:
    if isinstance(value, Group):
        check_name(value.name, value.name)
        return Group(exactly_str(value.name), tuple(mailbox(member) for member in value.members))
    if isinstance(value, str) and value.endswith(";") and ":" in value:
        return _empty_group(exactly_str(value))
    found = _foreign_group(value) if not isinstance(value, str) else None
    return mailbox(value) if found is None else _mailbox_or_group(found)


def _foreign_group(value: object) -> Group | None:
    """Convert a ``Group`` of ``email.headerregistry``."""
    name, members = getattr(value, "display_name", None), getattr(value, "addresses", None)
    if not isinstance(name, str) or not isinstance(members, tuple):
        return None
    return Group(name, tuple(map(mailbox, members)))


def _empty_group(text: str) -> Group:
    """Convert ``undisclosed-recipients:;`` and no other group: one text never becomes two recipients."""
    items = parse_address_list(text)
    if len(items) == 1 and isinstance(items[0], Group) and not items[0].members:
        return items[0]
    hint = "Give a Group, of email.headerregistry or of wlsmtp.wire.mailboxes, or a list of its members"
    refuse(text, "it is a group with members, which only an object can be", hint)


def several(value: object) -> Iterable[object]:
    """Return the addresses in a field's value. A tuple of two strings is a pair (name, address), and refused if it
    could be two addresses as well."""
    if value is None:
        return ()
    if isinstance(value, str | Address | Mailbox | Group) or text_of(value) is not None:
        return (value,)
    if (pair := _pair(value)) is not None:
        if _is_mailbox(pair[0]):
            raise ValueError(
                f"{value!r} could be a name with an address, or two addresses. "
                "Give two addresses as a list, [a, b], and a name with an address as [(name, address)]"
            )
        return (value,)
    if foreign_mailbox(value) is not None or _foreign_group(value) is not None:
        return (value,)
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        hint = "; a name goes with its address as a pair: [(name, address)]" if isinstance(value, Mapping) else ""
        raise ValueError(f"must be an address or a list of them, not {type(value).__name__}{hint}")
    return value


def _is_mailbox(text: str) -> bool:
    try:
        return parse_mailbox(text).address.domain != ""
    except MessageError:
        return False


def field_name(name: object) -> str:
    """Check the name of a further header field; a field with its own parameter is refused."""
    if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"{str(name)[:80]!r} is not a header field name (RFC 5322 §2.2)")
    name = exactly_str(name)
    if own := _OWN_FIELD.get(name.lower()):
        raise ValueError(f"{name} cannot be given here; use {own}")
    if name.lower().startswith("content-"):
        raise ValueError(f"{name} cannot be given here; use text=, html= and attachments=")
    return name


def field_values(name: str, values: object) -> tuple[str, ...]:
    """Return one or several values of a further header field; one where RFC 5322 §3.6 and RFC 2369 allow one field
    only."""
    given = [values] if text_of(values) is not None else values
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise ValueError(f"{name}: must be a str or a list of them")
    kind = name.lower()
    try:
        texts = [line(value) for value in given]
        if len(texts) > 1 and not kind.startswith("resent-"):
            separator = " " if kind in IDENTIFIER_FIELDS else ", "
            if kind in IDENTIFIER_FIELDS | URL_FIELDS | ADDRESS_FIELDS:
                texts = [separator.join(texts)]
            elif kind in ONE_FIELD:
                raise ValueError("there may be one field only")
        for text in texts:
            _check_field(kind, name, text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return tuple(texts)


def _check_field(kind: str, name: str, text: str) -> None:
    if kind in ADDRESS_FIELDS:
        items = parse_address_list(text)
        if not items or (kind in ("sender", "resent-sender") and (len(items) > 1 or isinstance(items[0], Group))):
            raise ValueError("must name one address" if items else "names nobody")
    else:
        field(name, text)


def exactly_str(value: object) -> str:
    """Return a plain str, not of a subclass: a member of an enumeration, for example, would be written by its name. A
    lazy text, such as a translation, is evaluated now."""
    if type(value) is str:
        return value
    text = text_of(value)
    if text is None:
        raise ValueError(f"must be a str, not {type(value).__name__}")
    return str.__str__(text)


def text_or_none(value: object) -> str | None:
    """Return the text, if any, as a str that can be encoded."""
    if value is None:
        return None
    text = exactly_str(value)
    if not text.isascii() and (found := _SURROGATE.search(text)):
        raise ValueError(f"cannot contain the lone surrogate {found[0]!r}")
    return text


def line(value: object) -> str:
    """Check text for one line, such as a subject."""
    return without_controls(exactly_str(value))


def moment(value: object) -> datetime:
    """Return a time with its zone. Default: now; without a zone: that of this machine."""
    global _latest_second
    if value is None:
        now = datetime.now(UTC)
        second, following, local = _latest_second
        if not second <= now < following:
            second = now.replace(microsecond=0)
            local = second.astimezone()
            _latest_second = second, second + _SECOND, local
        return local
    if not isinstance(value, datetime):
        raise ValueError(f"must be a datetime, not {type(value).__name__}")
    if value.year < 100:
        raise ValueError("must be in the year 100 or later: readers take an older one for another (RFC 5322 §4.3)")
    return value if value.utcoffset() is not None else value.astimezone()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_latest_second: tuple[datetime, datetime, datetime] = _EPOCH, _EPOCH, _EPOCH
"""The second of the latest message, the next one, and the first in this machine's zone: one object for all messages of
that second."""


def without_controls(value: str) -> str:
    """Check a value for one line: no line end or other control character, no lone surrogate."""
    if not (value.isascii() and value.isprintable()) and (found := _CONTROL.search(value)):
        raise ValueError(f"cannot contain the control character {found[0]!r}")
    return value


def new_identifier(domain: str) -> str:
    """Return a unique Message-ID, with angle brackets."""
    return f"<{os.urandom(16).hex()}@{domain}>"


def identifier(value: object) -> str:
    """Return a Message-ID or Content-ID (RFC 5322 §3.6.4) without its angle brackets."""
    text = exactly_str(value)
    found = _IDENTIFIER.fullmatch(text)
    if not found or len(text) > MAX_WORD or text.startswith("<") != text.endswith(">"):
        raise ValueError(f"{text[:80]!r} must be printable ASCII without spaces, like '<left@right>'")
    return found[1]
