"""The session's defaults for messages: a sender, a reply address, further headers."""

from __future__ import annotations

import email.message
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from wlsmtp.errors import ConfigError, MessageError, Stage
from wlsmtp.habits import OF_ENVELOPE, OF_FIELDS, OF_OTHER_FIELDS
from wlsmtp.message import headers
from wlsmtp.message.model import ALL_FIELDS, Message, checked_headers
from wlsmtp.message.read import with_defaults, with_from
from wlsmtp.message.render import Sendable
from wlsmtp.message.values import mailbox, mailboxes, with_domains


class Defaults:
    """Defaults for messages composed here and for those of the standard library. Octets are finished: they get a From
    field if they have none, and are otherwise sent unchanged."""

    def __init__(self, sender: object, reply_to: object, more: object, *, is_local: bool = False) -> None:
        """``is_local``: addresses may be names without a domain. Raises ``ConfigError`` that names the setting."""

        self._sender = None if sender is None else _checked("sender", mailbox, sender)
        self._reply_to = _checked("reply_to", mailboxes, reply_to)
        if not is_local:
            _checked("sender", with_domains, [self._sender] if self._sender is not None else [])
            _checked("reply_to", with_domains, self._reply_to)
        self._headers = _checked("headers", checked_headers, more)

    def __bool__(self) -> bool:
        return bool(self._sender or self._reply_to or self._headers)

    def filled(self, message: Sendable) -> Sendable:
        """Return the message with the defaults for what it does not set. Repeated calls give the same octets. A header
        that it sets, to whatever value, is kept."""
        if isinstance(message, Message):
            return self._filled(message)
        if self._fields and isinstance(message, email.message.Message):
            message = with_defaults(message, self._fields)
        return message if self._sender is None else with_from(message, self._sender)

    @cached_property
    def _fields(self) -> list[tuple[str, str]]:
        """The reply address and the headers as fields, written."""
        fields = [("Reply-To", headers.address_field("Reply-To", self._reply_to))] if self._reply_to else []
        more = ((name, headers.field(name, value)) for name, values in self._headers.items() for value in values)
        return [*fields, *more]

    def _filled(self, message: Message) -> Message:
        changes: dict[str, Any] = {}
        if self._sender is not None and not message.has_sender:
            changes["sender"] = self._sender
        if self._reply_to and not message.reply_to:
            changes["reply_to"] = self._reply_to
        own = {name.lower() for name in message.headers}
        if more := {name: values for name, values in self._headers.items() if name.lower() not in own}:
            changes["headers"] = {**message.headers, **more}
        return message.with_checked(changes) if changes else message


def composed(message: object, sender: object, fields: Mapping[str, Any]) -> Message:
    """Return the message for ``send(to=…, subject=…)``. Raises ``TypeError`` for an unknown keyword, as any function
    does, and ``MessageError`` if a message is given too, or nothing at all."""
    for name in fields:
        if name not in ALL_FIELDS:
            advice = nearest(name, {} if message is None else OF_ENVELOPE)
            raise TypeError(f"send() got an unexpected keyword argument {name!r}{advice}")
    if message is not None:
        words = f"send() takes a message or the fields of one, not both: {', '.join(fields)}"
        hint = f"Use send(message.but({', '.join(f'{name}=…' for name in fields)}))"
        raise MessageError(words, stage=Stage.MESSAGE, hint=hint if isinstance(message, Message) else "Leave one out")
    if not fields:
        hint = "Give a message, or its fields: send(to=…, subject=…, text=…)"
        raise MessageError("There is nothing to send", stage=Stage.MESSAGE, hint=hint)
    return Message(sender, **fields)  # type: ignore[arg-type]


def nearest(name: str, first: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return what a keyword that is not known was meant for, if that can be guessed. ``first``: names that count before
    those of a message's fields."""
    from difflib import get_close_matches

    if ours := first.get(name, OF_FIELDS.get(name)):
        return f"; it is {ours}= here"
    if advice := OF_OTHER_FIELDS.get(name):
        return f"; {advice}"
    found = get_close_matches(name, ALL_FIELDS, 1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _checked(name: str, check: Callable[[object], Any], value: object) -> Any:
    try:
        return check(value)
    except ValueError as error:
        words = error.message if isinstance(error, MessageError) else str(error)
        hint = error.hint if isinstance(error, MessageError) else None
        raise ConfigError(f"{name}: {words}", stage=Stage.SETTINGS, hint=hint) from None
