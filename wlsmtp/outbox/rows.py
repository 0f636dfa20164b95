"""Pure: converts an entry to a row of a database and back; the same for every database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from wlsmtp.outbox import records
from wlsmtp.outbox.base import Entry
from wlsmtp.outbox.content import traits_of
from wlsmtp.receipt import Status

COLUMNS = (
    "id, key, status, priority, due, owner, created, expires, finished, sender, options, waiting, size, traits, "
    "receipt, lane"
)
"""The columns that ``entry_of`` reads, in order."""
PUT = (
    "id", "key", "status", "priority", "due", "created", "expires", "sender", "options", "waiting", "size", "traits",
    "attempts", "interruptions", "receipt", "lane",
)  # fmt: skip
"""The columns of ``row_of``, in order."""
SETTLED = ("id", "status", "due", "finished", "waiting", "attempts", "interruptions", "receipt")
"""The columns of ``changes_of``, in order. The mail has no owner then."""


def row_of(entry: Entry) -> tuple[Any, ...]:
    """Return the row of a mail that is put."""
    content, receipt = entry.content, entry.receipt
    assert content is not None
    return (
        receipt.id, entry.key, str(receipt.status), entry.priority, entry.due, entry.created, entry.expires,
        entry.sender, records.dump_options(entry.options), _list(entry.waiting), entry.size,
        traits_of(content), receipt.attempts, receipt.interruptions, records.dump(receipt, _waits(entry)), entry.lane,
    )  # fmt: skip


def changes_of(entry: Entry) -> tuple[Any, ...]:
    """Return the changes after an attempt."""
    receipt = entry.receipt
    return (
        receipt.id, str(receipt.status), entry.due, entry.finished, _list(entry.waiting), receipt.attempts,
        receipt.interruptions, records.dump(receipt, _waits(entry)),
    )  # fmt: skip


def _list(texts: tuple[str, ...]) -> str:
    """Return the same as ``json.dumps``."""
    return f"[{', '.join(map(json.encoder.encode_basestring_ascii, texts))}]"


def _waits(entry: Entry) -> tuple[float, float] | None:
    """Return when a mail is due and how many seconds it waits until then, if it does."""
    if entry.due is None or entry.pause is None or entry.due == entry.created:
        return None
    return round(entry.due, 3), round(entry.pause, 3)


def entry_of(row: Any) -> Entry:
    """Return the entry, without its content. Raises any exception for a row written by another version, or damaged."""
    id, key, status, priority, due, owner, created, expires, finished, *rest = row
    sender, options, waiting, size, _, receipt, lane = rest
    loaded = records.load(id, Status(status), receipt)
    if due is not None:
        loaded = loaded.changed(next_attempt=datetime.fromtimestamp(due, UTC))
    return Entry(
        receipt=loaded, sender=sender, options=records.load_options(options), waiting=tuple(json.loads(waiting)),
        size=size, created=created, due=due, finished=finished, expires=expires, priority=priority, key=key,
        owner=owner, lane=lane,
    )  # fmt: skip
