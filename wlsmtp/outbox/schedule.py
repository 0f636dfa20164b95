"""Converts a message and the user's wishes to an entry: when it is sent, in which order, under which id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from os import urandom
from typing import TYPE_CHECKING

from wlsmtp.errors import MessageError, Stage
from wlsmtp.outbox.base import PRIORITIES, Entry
from wlsmtp.outbox.pace import lane_of
from wlsmtp.receipt import OutboxReceipt, RecipientResult, RecipientStatus
from wlsmtp.settings.limits import LANE
from wlsmtp.settings.options import When

if TYPE_CHECKING:
    from wlsmtp.message.mail import Mail

_NOT_SENT = RecipientStatus.NOT_SENT  # a member is slow to read from its class in Python 3.11


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
        return self.entries([mail], now)[0]

    def entries(self, mails: Sequence[Mail], now: float) -> list[Entry]:
        """Return the entries for messages, a microsecond apart: ids and turns follow the time. Raises
        ``MessageError``."""
        self._check(now)
        pause, priority, own_lane = _pause(self.send_at), int(self.priority), self.lane and self.lane.lower()
        latest_sender, sender = None, ""
        entries = []
        for place, (id, mail) in enumerate(zip(_new_ids(now, len(mails)), mails, strict=True)):
            envelope, content, created = mail.envelope, mail.content, now + place * 1e-6
            due, expires = self._times(created)
            if envelope.sender is not latest_sender:  # most have the same
                latest_sender, sender = envelope.sender, str(envelope.sender or "")
            addresses = envelope.addresses if envelope.plain_to is None else (envelope.plain_to,)
            receipt = OutboxReceipt.pending(
                id,
                tuple([RecipientResult(address, _NOT_SENT) for address in addresses]),
                content.message_id,
                datetime.fromtimestamp(due, UTC),
                self.carried,
            )
            entry = Entry(
                receipt=receipt,
                sender=sender,
                options=envelope.options,
                waiting=addresses,
                size=content.size,
                created=created,
                due=due,
                expires=expires,
                pause=pause,
                priority=priority,
                lane=own_lane or lane_of(addresses),
                key=self.idempotency_key,
                content=content,
            )
            entries.append(entry)
        return entries

    def _check(self, now: float) -> None:
        self._times(now)
        if self.priority not in PRIORITIES:
            raise _wrong(f"priority: must be a whole number from {PRIORITIES[0]} to {PRIORITIES[-1]}")
        key = self.idempotency_key
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= 255 and _is_text(key)):
            raise _wrong("idempotency_key: must have 1 to 255 characters")
        if self.lane is not None and not (isinstance(self.lane, str) and LANE.fullmatch(self.lane)):
            raise _wrong("lane: must have 1 to 255 printable characters")

    def _times(self, now: float) -> tuple[float, float | None]:
        """Return when a message is due, and when it expires."""
        due = now if self.send_at is None else _moment("send_at", self.send_at, now)
        expires = None if self.expires is None else _moment("expires", self.expires, now)
        if expires is not None and expires <= max(due, now):
            raise _wrong("expires: must be later than now, and than send_at")
        return due, expires


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


def _new_ids(now: float, count: int) -> list[str]:
    """Return random ids that increase with time, so that an index grows at its end. Within a program the order also
    holds when the system's clock is set back."""
    global _latest
    first = max(int(now * 1e6), _latest + 1)
    _latest = first + count - 1
    chance = urandom(9 * count).hex()
    return [f"{first + place:014x}{chance[18 * place : 18 * place + 18]}" for place in range(count)]
