"""Fields of a ``Message`` that most messages do without. When the message is made they are written out as header
fields, texts and parts, by a module that is imported for the first of them; a message without them costs nothing.

What was given is kept beside what was made of it, so that a message that is varied is made anew from there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, TypeVar

from wlsmtp.errors import MessageError, Stage

if TYPE_CHECKING:
    from wlsmtp.message.invitation import CalendarLike
    from wlsmtp.message.model import Message
    from wlsmtp.message.sign.protection import CertificateLike, SignWith
    from wlsmtp.message.values import AddressesLike
else:
    CertificateLike = SignWith = Any
    Message = AddressesLike = CalendarLike = Any  # their modules import this one

M = TypeVar("M", bound=Message)


class HeaderFields(TypedDict, total=False):
    """Header fields by their meaning. None, or False, is the same as not given."""

    unsubscribe: str | Iterable[str] | None
    """An https URL for one-click unsubscription, and perhaps a ``mailto:`` URL beside it: ``List-Unsubscribe``
    (RFC 2369) and ``List-Unsubscribe-Post`` (RFC 8058)."""
    list_id: str | None
    """``"news.example.com"`` or ``"News <news.example.com>"``, the name of a mailing list (RFC 2919)."""
    importance: Literal["high", "normal", "low"] | None
    """How mail programs mark the message: ``Importance`` (RFC 2156 §5.3.4) and ``X-Priority``."""
    read_receipt: bool | AddressesLike | None
    """The address to notify when the message was read, if its reader agrees (RFC 8098): True is the sender."""
    auto_submitted: bool | Literal["auto-generated", "auto-replied"] | None
    """A program wrote it, so that no program answers it (RFC 3834 §5): True is ``"auto-generated"``."""
    in_reply_to: str | Iterable[str] | None
    """The Message-ID, or several, that this message answers (RFC 5322 §3.6.4); also its ``references`` unless given."""
    references: str | Iterable[str] | None
    """The Message-IDs of the conversation, the oldest first (RFC 5322 §3.6.4)."""


class PartFields(TypedDict, total=False):
    """Parts that are derived from the HTML. ``text="auto"`` derives the text as well."""

    inline_css: bool | str | None
    """Move the style sheets of the HTML into the ``style`` of its elements, as some mail programs read no others: True,
    or CSS that counts as well. ``@media`` and ``:hover`` stay in a style sheet. Nothing is fetched. Needs
    ``wlsmtp[html]``."""
    embed_images: str | os.PathLike[str] | None
    """The directory whose files are embedded where ``<img src="logo.png">`` names one. Nothing outside of it is read,
    and remote pictures stay remote."""


class CalendarField(TypedDict, total=False):
    """An invitation."""

    calendar: CalendarLike | None
    """An ``Invitation``, an ``icalendar.Calendar`` or the text of one: the last alternative of the message, which mail
    programs show with buttons to accept or decline, and ``invite.ics`` (RFC 6047). Needs ``wlsmtp[calendar]``."""


class ProtectionFields(TypedDict, total=False):
    """S/MIME (RFC 8551). Needs ``wlsmtp[smime]``. Header fields, the subject among them, stay as they are."""

    sign_with: SignWith | None
    """The sender's certificate and its private key, as paths or PEM, perhaps with the password of the key as a third;
    the certificates of the authorities between may follow the first in its file. One text or path may hold it all."""
    encrypt_for: CertificateLike | Iterable[CertificateLike] | None
    """The certificate of each recipient, RSA, as a path, PEM or DER: nobody else can read the message, neither its
    sender nor recipients whose certificate is not here. What is signed as well is signed first."""


class MoreFields(HeaderFields, PartFields, CalendarField, ProtectionFields, total=False):
    """Fields that most messages do without."""


class PriorityField(TypedDict, total=False):
    """Apart, as ``send(priority=…)`` is the place of a message in an outbox."""

    priority: Literal["urgent", "normal", "non-urgent"] | None
    """How fast mail systems are to carry it (RFC 2156 §5.3.6). For what its reader sees use ``importance``."""


class _Room(NamedTuple):
    """A module with fields of its own: ``CHECKS`` has a function for each that makes its value, or raises
    ``ValueError``, and ``expanded`` writes them out."""

    module: str
    fields: tuple[str, ...]
    inputs: tuple[str, ...]
    """The other fields that it reads or changes."""
    outputs: tuple[str, ...] = ()
    """What it adds to the message beside the fields that every message has."""


_ROOMS = (
    _Room("marks", (*HeaderFields.__annotations__, *PriorityField.__annotations__), ("sender", "headers")),
    _Room("parts", tuple(PartFields.__annotations__), ("text", "html", "attachments")),
    _Room("invitation", tuple(CalendarField.__annotations__), ("sender", "to", "cc"), ("calendar",)),
    _Room("sign.protection", tuple(ProtectionFields.__annotations__), (), ("protection",)),
)
MORE = tuple(name for room in _ROOMS for name in room.fields)
"""The names of these fields."""
AUTO = "auto"
"""The ``text`` that stands for text from HTML."""
GIVEN = "_given"
"""Where a message keeps what was given, by the module that has written it out."""
_OUTPUTS = frozenset(name for room in _ROOMS for name in room.outputs)

Check = tuple[str, Callable[[Any], Any], object]


def expand(checks: Sequence[Check], values: Sequence[Any], more: Mapping[str, Any], into: dict[str, Any]) -> list[Any]:
    """The values of the fields that every message has, with ``more`` written out in them. What goes beside them is put
    ``into`` the message. Raises ``MessageError`` that names the field."""
    for name in more:
        if name not in MORE:
            from wlsmtp.message.defaults import nearest

            raise TypeError(f"Message() got an unexpected keyword argument {name!r}{nearest(name)}")
    fields = dict(zip([name for name, _, _ in checks], values, strict=True))
    for room in _ROOMS:
        own = {name: more[name] for name in room.fields if more.get(name) is not None and more[name] is not False}
        if own or (room.module == "parts" and fields["text"] == AUTO and fields["html"] is not None):
            module = import_module(f"wlsmtp.message.{room.module}")
            given = {name: _checked(name, module.CHECKS[name], value) for name, value in own.items()}
            core = {name: _checked(name, check, fields[name]) for name, check, _ in checks if name in room.inputs}
            fields |= {**core, **module.expanded(core, given)}
            into.setdefault(GIVEN, {})[room.module] = {**core, **given}
    into |= {name: fields.pop(name) for name in _OUTPUTS.intersection(fields)}
    return list(fields.values())


def vary(kind: type[M], fields: dict[str, Any], changes: Mapping[str, Any]) -> M:
    """The message of these fields with some changed. What the changes do not touch is not written out again."""
    given = fields.pop(GIVEN)
    written = {name: fields.pop(name) for name in _OUTPUTS.intersection(fields)}
    carried: list[_Room] = []
    for room in _ROOMS:
        if room.module in given:
            if {*room.fields, *room.inputs}.isdisjoint(changes):
                carried.append(room)
            else:
                fields |= given[room.module]
    message = kind(**{**fields, **changes})
    for room in carried:
        keep_given(message, room.module, given[room.module])
        message.__dict__.update({name: written[name] for name in room.outputs if name in written})
    return message


def keep_given(message: Message, module: str, given: dict[str, Any]) -> None:
    """Keep what the fields of a message were made of, by a module that has written them out."""
    message.__dict__.setdefault(GIVEN, {})[module] = given


def _checked(name: str, check: Callable[[Any], Any], value: object) -> Any:
    try:
        return check(value)
    except MessageError as error:
        raise MessageError(f"{name}: {error.message}", stage=Stage.MESSAGE, hint=error.hint) from None
    except ValueError as error:
        raise MessageError(f"{name}: {error}", stage=Stage.MESSAGE) from None
