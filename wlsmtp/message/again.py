"""A stdlib message that is sent again as it is: neither read nor written a second time.

Whatever its parts hold is compared by identity with what they held before: attributes, fields, payloads and children. A
tree that holds anything that could change within, such as a ``Header`` or an object of another package, is not kept.
"""

from __future__ import annotations

import email.charset
import email.message
import email.policy
import weakref
from email.headerregistry import Address as HeaderAddress
from operator import is_
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wlsmtp.message.content import BytesContent
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.wire.address import Address

    AnyEmail = email.message.Message[Any, Any]

LARGEST = 256 * 1024
"""Octets up to which a written message is kept."""


_ASKED_TO_SEND = 2
"""How often ``made_of`` is called for a message that is sent once: for its envelope, and for its content."""
_STDLIB = frozenset({"builtins", "email.headerregistry"})
_Unread = email.charset.Charset
"""What a part knows about its charset changes nothing in what is written."""


class Made:
    """The envelope and the content that were made of a message in one state."""

    __slots__ = ("asked", "content", "envelope", "message", "sender", "state")

    def __init__(self, message: AnyEmail, asked: int, state: list[Any]) -> None:
        self.message: weakref.ref[AnyEmail] = weakref.ref(message, _forget)
        self.asked = asked
        self.state = state
        self.sender: Address | str | None = None
        """Of the envelope, also if other recipients are given."""
        self.envelope: Envelope | None = None
        self.content: BytesContent | None = None

    def is_of(self, message: AnyEmail) -> bool:
        """Return whether it is still in that state: another thread may have changed it while it was read."""
        return bool(self.state) and _is_same(self.state, _state_of(message))


_latest: Made | None = None
"""Of the latest message. One is enough for a loop, and holds nobody's memory for long."""


def made_of(message: AnyEmail) -> Made:
    """Return what was made of the message, if it is the latest one and has not changed since; else a new record. To
    note its state pays off only from the second time on that it is sent."""
    global _latest
    latest = _latest
    if latest is None or latest.message() is not message:
        _latest = made = Made(message, 1, [])
        return made
    latest.asked += 1
    if latest.asked <= _ASKED_TO_SEND:
        return latest
    state = _state_of(message)
    if not _is_same(latest.state, state):
        _latest = latest = Made(message, latest.asked, state if all(map(_cannot_change, state)) else [])
    return latest


def _is_same(before: list[Any], now: list[Any]) -> bool:
    return bool(before) and len(before) == len(now) and all(map(is_, before, now))


def _state_of(message: AnyEmail) -> list[Any]:
    """Return all that the message holds; nothing if it holds anything unusual."""
    state: list[Any] = []
    try:
        return state if _note(message, state) else []
    except RecursionError:
        return []


def _note(part: Any, state: list[Any]) -> bool:
    """Append all that a part holds; return False if it holds anything unusual."""
    own = vars(part)
    headers, payload = own.get("_headers"), own.get("_payload")
    if type(headers) is not list or own.get("defects"):
        return False
    state += (type(part), *own, *own.values(), len(headers), *headers)
    if type(payload) is not list:
        return type(payload) is str
    state += (len(payload), *payload)
    return all([isinstance(child, email.message.Message) and _note(child, state) for child in payload])


def _cannot_change(value: Any) -> bool:
    """Return whether what is written of an object remains the same as long as it is the same object."""
    kind = type(value)
    if value is None or kind is str or kind is int or kind is list or kind is _Unread:  # items of lists are beside them
        return True
    if kind is tuple:
        return len(value) == 2 and type(value[0]) is str and _is_lasting(value[1])
    is_of_stdlib = (value if kind is type else kind).__module__.startswith("email.")
    return is_of_stdlib and isinstance(value, type | email.policy.Policy | email.message.Message)


def _is_lasting(value: Any) -> bool:
    """Return whether the value of a field is text, or was parsed from it by the standard library."""
    if type(value) is str:
        return True
    if not isinstance(value, str) or not all(kind.__module__ in _STDLIB for kind in type(value).__mro__):
        return False
    groups = getattr(value, "groups", ())
    return all(type(one) is HeaderAddress for group in groups for one in group.addresses)


def _forget(message: weakref.ref[AnyEmail]) -> None:
    """Drop what was made of a message that is gone."""
    global _latest
    if _latest is not None and _latest.message is message:
        _latest = None
