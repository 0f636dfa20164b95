"""Pure: a receipt as text, and back, for outboxes that outlive the program.

An error comes back as its class with all that it answers, without its traceback and its cause. A class of somebody
else's comes back as ``SMTPError``. Of a certificate its names, its end and its fingerprint come back.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from wlsmtp import errors
from wlsmtp.errors import ConnectionFailed, SMTPError, Stage
from wlsmtp.io.base import Certificate, TLSInfo
from wlsmtp.options import DeliveryOptions
from wlsmtp.outbox.receipt import OutboxReceipt
from wlsmtp.receipt import RecipientResult, RecipientStatus, Status
from wlsmtp.wire.reply import Reply


def dump(receipt: OutboxReceipt) -> str:
    """All of a receipt but its id, its status and its next attempt."""
    errors = _Errors()
    recipients = [
        [result.address, result.status.value, _reply(result.reply), errors.place(result.error)]
        for result in receipt.recipients
    ]
    fields = {
        "recipients": recipients,
        "reply": _reply(receipt.reply),
        "message_id": receipt.message_id,
        "attempts": receipt.attempts,
        "error": errors.place(receipt.error),
        "errors": [_error(error) for error in errors.known],
        "elapsed": receipt.elapsed,
        "tls": None if receipt.tls is None else _tls(receipt.tls),
        "interruptions": receipt.interruptions,
    }
    return json.dumps({name: value for name, value in fields.items() if value}, separators=(",", ":"))


class _Errors:
    """Each error once, as a thousand recipients may share it; its place counts from 1, and 0 is none."""

    def __init__(self) -> None:
        self.known: list[SMTPError] = []
        self._places: dict[int, int] = {}

    def place(self, error: SMTPError | None) -> int:
        if error is None:
            return 0
        if id(error) not in self._places:
            self.known.append(error)
            self._places[id(error)] = len(self.known)
        return self._places[id(error)]


def load(id: str, status: Status, text: str) -> OutboxReceipt:
    """The receipt."""
    fields = json.loads(text)
    errors = [None, *map(_to_error, fields.get("errors", ()))]
    receipt = OutboxReceipt(
        id=id,
        status=status,
        recipients=tuple(
            RecipientResult(address, RecipientStatus(state), _to_reply(reply), errors[place])
            for address, state, reply, place in fields.get("recipients", ())
        ),
        reply=_to_reply(fields.get("reply")),
        message_id=fields.get("message_id"),
        attempts=fields.get("attempts", 0),
        error=errors[fields.get("error", 0)],
        elapsed=fields.get("elapsed", 0.0),
        tls=_to_tls(fields["tls"]) if "tls" in fields else None,
        interruptions=fields.get("interruptions", 0),
    )
    if receipt.error is not None:
        receipt.error.receipt = receipt
    return receipt


def _tls(tls: TLSInfo) -> dict[str, Any]:
    found = tls.certificate
    expiry = found.not_after.isoformat() if found is not None and found.not_after is not None else None
    certificate = None if found is None else [found.fingerprint, found.subject, found.issuer, expiry]
    words = {"protocol": tls.protocol, "cipher": tls.cipher, "certificate": certificate}
    return {**words, "is": [tls.verified, tls.resumed]}


def _to_tls(fields: dict[str, Any]) -> TLSInfo:
    certificate = None
    if fields["certificate"] is not None:
        fingerprint, subject, issuer, expiry = fields["certificate"]
        certificate = Certificate(fingerprint, subject, issuer, datetime.fromisoformat(expiry) if expiry else None)
    return TLSInfo(fields["protocol"], fields["cipher"], certificate, *fields["is"])


def dump_options(options: DeliveryOptions | None) -> str | None:
    """What the server is asked for."""
    return None if options is None else options.model_dump_json(exclude_defaults=True)


def load_options(text: str | None) -> DeliveryOptions | None:
    """The same."""
    return None if text is None else DeliveryOptions(**json.loads(text))


def _reply(reply: Reply | None) -> list[Any]:
    return [] if reply is None else [reply.code, *reply.lines]


def _to_reply(parts: Any) -> Reply | None:
    return Reply(parts[0], tuple(parts[1:])) if parts else None


def _error(error: SMTPError) -> dict[str, Any]:
    fields = {
        "type": type(error).__name__,
        "message": error.message,
        "stage": error.stage.value if error.stage is not None else None,
        "reply": _reply(error.reply),
        "hint": error.hint,
        "lasting": isinstance(error, ConnectionFailed) and error.is_lasting,
    }
    return {name: value for name, value in fields.items() if value}


def _to_error(fields: dict[str, Any]) -> SMTPError:
    kind = getattr(errors, fields["type"], SMTPError)
    is_known = isinstance(kind, type) and issubclass(kind, SMTPError)
    error: SMTPError = (kind if is_known else SMTPError)(
        fields.get("message", ""),
        stage=Stage(fields["stage"]) if "stage" in fields else None,
        reply=_to_reply(fields.get("reply")),
        hint=fields.get("hint"),
    )
    if isinstance(error, ConnectionFailed):
        error.is_lasting = fields.get("lasting", False)
    return error
