"""Converts a message and the user's wishes to an entry: when it is sent, in which order, under which id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from os import urandom
from typing import TYPE_CHECKING

from wlsmtp.errors import MessageError, Stage
from wlsmtp.outbox.base import PRIORITIES, Entry
from wlsmtp.outbox.pace import lane_of
from wlsmtp.receipt import OutboxReceipt, RecipientResult, RecipientStatus, Status
from wlsmtp.settings.limits import LANE
from wlsmtp.settings.options import When

if TYPE_CHECKING:
    from wlsmtp.message.mail import Mail


@dataclass(frozen=True, slots=True)
class Schedule:
    """When and in which order a message is sent; see ``SMTPSession.send``."""

    send_at: When | None = None
    priority: int = 0
    expires: When | None = None
    idempotency_key: str | None = None
    lane: str | None = None
    carried: Mapping[str, str] = field(default_factory=dict)

    def entry(self, mail: Mail, now: float) -> Entry:
        """Return the entry for a message. Raises ``MessageError``."""
        due = now if self.send_at is None else _moment("send_at", self.send_at, now)
        expires = None if self.expires is None else _moment("expires", self.expires, now)
        if expires is not None and expires <= max(due, now):
            raise _wrong("expires: must be later than now, and than send_at")
        if self.priority not in PRIORITIES:
            raise _wrong(f"priority: must be a whole number from {PRIORITIES[0]} to {PRIORITIES[-1]}")
        key = self.idempotency_key
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= 255 and _is_text(key)):
            raise _wrong("idempotency_key: must have 1 to 255 characters")
        if self.lane is not None and not (isinstance(self.lane, str) and LANE.fullmatch(self.lane)):
            raise _wrong("lane: must have 1 to 255 printable characters")
        addresses = mail.envelope.addresses
        receipt = OutboxReceipt(
            id=_new_id(now),
            status=Status.PENDING,
            recipients=tuple(RecipientResult(address, RecipientStatus.NOT_SENT) for address in addresses),
            message_id=mail.content.message_id,
            attempts=0,
            next_attempt=datetime.fromtimestamp(due, UTC),
            carried=self.carried,
        )
        return Entry(
            receipt=receipt,
            sender=str(mail.envelope.sender or ""),
            options=mail.envelope.options,
            waiting=addresses,
            size=mail.content.size,
            created=now,
            due=due,
            expires=expires,
            pause=_pause(self.send_at),
            priority=int(self.priority),
            lane=lane_of(addresses) if self.lane is None else self.lane.lower(),
            key=key,
            content=mail.content,
        )


def _pause(send_at: When | None) -> float | None:
    """Return how many seconds a message waits; None if it waits for a point in time."""
    return None if isinstance(send_at, datetime) else float(_seconds(send_at or 0.0))


def _seconds(when: timedelta | float) -> float:
    return when.total_seconds() if isinstance(when, timedelta) else when


def _moment(name: str, when: When, now: float) -> float:
    is_span = isinstance(when, int | float | timedelta) and not isinstance(when, bool)
    if not isinstance(when, datetime) and not (is_span and 0 <= _seconds(when) < float("inf")):
        raise _wrong(f"{name}: must be a datetime, or a number of seconds from now")
    try:
        moment = when.timestamp() if isinstance(when, datetime) else now + _seconds(when)
        datetime.fromtimestamp(moment, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise _wrong(f"{name}: must be in the years from 1 to 9999") from error
    return moment


def _is_text(key: str) -> bool:
    """Return whether text can be stored: a lone surrogate cannot."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(words: str) -> MessageError:
    return MessageError(words, stage=Stage.MESSAGE)


_latest = 0
"""Microseconds of the newest id."""


def _new_id(now: float) -> str:
    """Return a random id that increases with time, so that an index grows at its end. Within a program the order also
    holds when the system's clock is set back."""
    global _latest
    _latest = max(int(now * 1e6), _latest + 1)
    return f"{_latest:014x}{urandom(9).hex()}"
