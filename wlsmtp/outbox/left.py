"""Reports of mail that is left in an outbox: to the caller of ``close``, in the log, at the end of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import Stage
from wlsmtp.events import log
from wlsmtp.outbox.base import OutboxNotEmpty
from wlsmtp.receipt import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.outbox.base import Entry, Outbox

PAGE = 500
"""Records read from an outbox at once."""
NAMED = 20
"""Maximum number of ids in an error or a log line."""


async def report_left(outbox: Outbox, *, is_late: bool) -> None:
    """Raise ``OutboxNotEmpty`` if mail would be lost with the program; else log what was not waited for."""
    if not outbox.is_durable:
        if left := await outbox.left():
            words = f"{len(left)} messages in the outbox were not sent, and would be lost with the program"
            hint = (
                "They are in the error's left; open() continues with them; close(timeout=…) waits longer; "
                "outbox='sqlite:///path' keeps them"
            )
            error = OutboxNotEmpty(f"{words}: {_named(left)}", stage=Stage.SETTINGS, hint=hint)
            error.left = tuple(left)
            raise error
    elif is_late:
        now = outbox.unix_time()
        page = await outbox.page((Status.PENDING,), None, PAGE)
        late = [entry for entry in page if entry.owner is not None or (entry.due is not None and entry.due <= now)]
        if late:
            log.warning("%d messages were not sent in time, and stay in the outbox: %s", len(late), _named(late))


async def report_at_exit(outbox: Outbox, *, is_late: bool) -> None:
    """Do the same at the end of the program, in words for standard error."""
    if outbox.is_durable:
        await report_left(outbox, is_late=is_late)
    elif left := await outbox.left():
        why = next((entry.receipt.error for entry in left if entry.receipt.error is not None), None)
        words = f"The program has ended with {len(left)} messages unsent, which are lost"
        words += (f" ({why.message})" if why else "") + f": {_named(left)}"
        raise OutboxNotEmpty(words, stage=Stage.SETTINGS, hint=outbox.exit_hint)


def _named(entries: Sequence[Entry]) -> str:
    """Return the ids of some mail, and how many more there are."""
    shown = ", ".join(entry.receipt.id for entry in entries[:NAMED])
    return shown if len(entries) <= NAMED else f"{shown} and {len(entries) - NAMED} more"
