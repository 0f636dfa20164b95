"""What came of a message, as text for people and as JSON, and the exit code that it stands for. Values in, words out:
nothing here talks to a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from wlsmtp.cli.screen import Screen, masked
from wlsmtp.errors import ConfigError, MessageError, SMTPError
from wlsmtp.io.base import TLSInfo
from wlsmtp.receipt import Receipt, RecipientResult, RecipientStatus, Status
from wlsmtp.wire.reply import Reply

OK, FAILED, USAGE, PARTIAL, UNKNOWN = 0, 1, 2, 3, 4
TEMPORARY = 75
"""``EX_TEMPFAIL`` of sysexits.h, by which mail programs know that a later try may succeed."""

_CODES = {Status.SENT: OK, Status.PENDING: OK, Status.PARTIAL: PARTIAL, Status.UNKNOWN: UNKNOWN, Status.ERROR: FAILED}
_GOOD = {RecipientStatus.ACCEPTED: True, RecipientStatus.REFUSED: False, RecipientStatus.UNKNOWN: None}


def exit_code(outcome: Receipt | SMTPError) -> int:
    """The exit code for a receipt, or for the error that took its place."""
    if isinstance(outcome, Receipt):
        return _CODES[outcome.status]
    if isinstance(outcome, ConfigError | MessageError):
        return USAGE
    if outcome.ambiguous:
        return UNKNOWN
    return TEMPORARY if outcome.temporary else FAILED


def write_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line, ASCII only, so that no encoding can spoil it."""
    typer.echo(json.dumps(value))


def receipt_as_json(receipt: Receipt | None, error: SMTPError | None = None) -> dict[str, Any]:
    """The receipt as plain values; without one (nothing was tried) the same keys, and the error."""
    if receipt is None:
        # A receipt is falsy unless all was sent, hence "is None".
        return {
            "id": None, "status": Status.ERROR.value, "recipients": [], "reply": None, "queue_id": None,
            "message_id": None, "attempts": 0, "tls": None, "error": error_as_json(error),
        }  # fmt: skip
    return {
        "id": receipt.id,
        "status": receipt.status.value,
        "recipients": [_recipient_as_json(result) for result in receipt.recipients],
        "reply": reply_as_json(receipt.reply),
        "queue_id": receipt.queue_id,
        "message_id": receipt.message_id,
        "attempts": receipt.attempts,
        "tls": tls_as_json(receipt.tls),
        "error": error_as_json(error or receipt.error),
    }


def _recipient_as_json(result: RecipientResult) -> dict[str, Any]:
    words = reply_as_json(result.reply) or {"code": None, "enhanced": None, "text": None}
    return {"address": result.address, "status": result.status.value, **words}


def tls_as_json(tls: TLSInfo | None) -> dict[str, Any] | None:
    """What secured the connection, as plain values."""
    if tls is None:
        return None
    certificate = tls.certificate
    not_after = certificate.not_after if certificate else None
    return {
        "protocol": tls.protocol,
        "cipher": tls.cipher,
        "verified": tls.verified,
        "resumed": tls.resumed,
        "fingerprint": tls.fingerprint,
        "subject": certificate.subject if certificate else None,
        "issuer": certificate.issuer if certificate else None,
        "not_after": not_after.isoformat() if not_after else None,
    }


def reply_as_json(reply: Reply | None) -> dict[str, Any] | None:
    """A reply's code, enhanced status code and text."""
    if reply is None:
        return None
    return {"code": reply.code, "enhanced": str(reply.enhanced) if reply.enhanced else None, "text": reply.text}


def error_as_json(error: SMTPError | None) -> dict[str, Any] | None:
    """What an error answers: its kind, what happened, where, the server's words, what to do."""
    if error is None:
        return None
    return {
        "type": type(error).__name__,
        "message": masked(error.message),
        "stage": error.stage.value if error.stage else None,
        "reply": reply_as_json(error.reply),
        "hint": masked(error.hint) if error.hint else None,
        "temporary": error.temporary,
        "ambiguous": error.ambiguous,
    }


def show_receipt(screen: Screen, receipt: Receipt) -> None:
    """The receipt for people."""
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
    """One message on standard error: what happened, what the server said, what to do."""
    Screen(err=True).line(("wlsmtp: ", "bold red"), masked(str(error)))
