"""The result of a message, as text for people and as JSON, and its exit code. Pure: nothing here talks to a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from wlsmtp.cli.screen import Screen, masked
from wlsmtp.cli.words import in_options
from wlsmtp.errors import ConfigError, MessageError, SMTPError
from wlsmtp.receipt import Receipt, RecipientStatus, Status
from wlsmtp.results.plain import error_as_dict

OK, FAILED, USAGE, PARTIAL, UNKNOWN = 0, 1, 2, 3, 4
TEMPORARY = 75
"""``EX_TEMPFAIL`` of sysexits.h, by which mail programs know that a later attempt may succeed."""

INTERRUPTED = 130
"""The exit code by which a shell reports Ctrl-C (128 and SIGINT)."""

_CODES = {Status.SENT: OK, Status.PENDING: OK, Status.PARTIAL: PARTIAL, Status.UNKNOWN: UNKNOWN, Status.ERROR: FAILED}
_GOOD = {RecipientStatus.ACCEPTED: True, RecipientStatus.REFUSED: False, RecipientStatus.UNKNOWN: None}


def exit_code(outcome: Receipt | SMTPError) -> int:
    """Return the exit code for a receipt, or for the error that replaced it."""
    if isinstance(outcome, Receipt):
        return _CODES[outcome.status]
    if isinstance(outcome, ConfigError | MessageError):
        return USAGE
    if outcome.ambiguous:
        return UNKNOWN
    return TEMPORARY if outcome.temporary else FAILED


def write_json(value: Mapping[str, Any]) -> None:
    """Write one JSON object on one line, ASCII only, so that no encoding can break it."""
    typer.echo(json.dumps(value))


def receipt_as_json(receipt: Receipt | None, error: SMTPError | None = None) -> dict[str, Any]:
    """Return ``Receipt.as_dict``; without a receipt (nothing was tried) the same keys, and the error."""
    # A receipt is falsy unless all was sent, hence "is None".
    shown = Receipt("", Status.ERROR, (), attempts=0) if receipt is None else receipt
    why = error_as_json(error or shown.error)
    return {**shown.as_dict(), "id": None if receipt is None else receipt.id, "error": why}


def error_as_json(error: SMTPError | None) -> dict[str, Any] | None:
    """Return an error: its type, what happened, at which stage, the server's words, what to do."""
    fields = error_as_dict(error)
    if fields is not None:
        fields |= {name: masked(in_options(fields[name])) for name in ("message", "hint") if fields[name]}
    return fields


def show_receipt(screen: Screen, receipt: Receipt) -> None:
    """Show the receipt to people."""
    accepted = f"{len(receipt.accepted)} of {len(receipt.recipients)} recipients accepted"
    style = "bold green" if receipt else "bold yellow" if receipt.accepted else "bold red"
    screen.line((receipt.status.value, style), f": {accepted}")
    for result in receipt.recipients:
        words = str(result.reply) if result.reply else result.status.value
        screen.line("  ", screen.mark(_GOOD.get(result.status)), f" {result.address}  {words}")
    facts = {"reply": receipt.reply, "queue id": receipt.queue_id, "Message-ID": receipt.message_id}
    for name, value in facts.items():
        if value is not None:
            screen.line((f"  {name}: ", "dim"), str(value))
    if receipt.attempts > 1:
        screen.line(("  attempts: ", "dim"), str(receipt.attempts))


def show_error(error: SMTPError) -> None:
    """Write one message to standard error: what happened, what the server said, what to do."""
    Screen(err=True).line(("wlsmtp: ", "bold red"), masked(_in_options(error)))


def _in_options(error: SMTPError) -> str:
    """Translate an error to options; the server's own words are kept."""
    hint = in_options(error.hint) if error.hint else None
    return str(SMTPError(in_options(error.message), reply=error.reply, hint=hint))
