"""Converts receipts to plain values for JSON, and back; also the schema that lets pydantic models have them as fields.

Plain values hold everything that a receipt says, except the traceback, the octets of a certificate, and the receipt
that an error carries. Outboxes keep their own records (``outbox/records.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from wlsmtp.results import errors
from wlsmtp.results.errors import SMTPError, Stage
from wlsmtp.results.receipt import (
    DERIVED,
    FIELDS,
    Kind,
    OutboxReceipt,
    Receipt,
    RecipientResult,
    RecipientStatus,
    Status,
)
from wlsmtp.results.reply import Reply
from wlsmtp.results.secured import Certificate, TLSInfo

_ANSWERS = ("temporary", "ambiguous", "retry_after")
_SWITCHES = {"is_lasting": False, "is_passing": True}
"""Attributes of an error that change ``temporary``, and their values for a temporary error."""


def receipt_as_dict(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as plain values; see ``Receipt.as_dict``."""
    return {name: _WRITE[kind](getattr(receipt, name)) for name, kind in FIELDS.items()}


def recipient_as_dict(result: RecipientResult) -> dict[str, Any]:
    """Return the result of one recipient as plain values; see ``RecipientResult.as_dict``."""
    return {
        "address": result.address,
        "status": result.status.value,
        "reply": reply_as_dict(result.reply),
        "error": error_as_dict(result.error),
    }


def reply_as_dict(reply: Reply | None) -> dict[str, Any] | None:
    """Return a reply: its code, its enhanced status code, its text in one line, and its lines as they came."""
    if reply is None:
        return None
    enhanced = str(reply.enhanced) if reply.enhanced else None
    return {"code": reply.code, "enhanced": enhanced, "text": reply.text, "lines": list(reply.lines)}


def error_as_dict(error: SMTPError | None) -> dict[str, Any] | None:
    """Return an error: its type, what happened, at which stage, the server's words, what to do, and whether to
    retry."""
    if error is None:
        return None
    return {
        "type": error._record.get("type", type(error).__name__),
        "message": error.message,
        "stage": error.stage.value if error.stage is not None else None,
        "reply": reply_as_dict(error.reply),
        "hint": error.hint,
        **{name: getattr(error, name) for name in _ANSWERS},
    }


def tls_as_dict(tls: TLSInfo | None) -> dict[str, Any] | None:
    """Return the security of a connection, with the names and the SHA-256 fingerprint of the server's certificate."""
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


def receipt_from_dict(fields: Mapping[str, Any]) -> Receipt:
    """Return a receipt from plain values; see ``Receipt.from_dict``."""
    try:
        missing = [name for name in ("id", "status", "recipients") if name not in fields]
        if missing:
            raise KeyError(missing[0])
        known = {name: _READ[kind](fields.get(name)) for name, kind in FIELDS.items() if name not in DERIVED}
        receipt = OutboxReceipt(**known)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"This is not what Receipt.as_dict() returns: {why}") from error
    if receipt.error is not None:
        receipt.error.receipt = receipt
    return receipt


def recipient_from_dict(fields: Mapping[str, Any]) -> RecipientResult:
    """Return the result of one recipient from what ``RecipientResult.as_dict`` returned."""
    status = RecipientStatus(fields["status"])
    return RecipientResult(fields["address"], status, _reply(fields.get("reply")), _error(fields.get("error")))


def _reply(fields: Mapping[str, Any] | None) -> Reply | None:
    return None if fields is None else Reply(fields["code"], tuple(fields["lines"]))


def _tls(fields: Mapping[str, Any] | None) -> TLSInfo | None:
    if fields is None:
        return None
    certificate = None
    if fields["fingerprint"] is not None:
        not_after = datetime.fromisoformat(fields["not_after"]) if fields["not_after"] is not None else None
        certificate = Certificate(fields["fingerprint"], fields["subject"], fields["issuer"], not_after)
    return TLSInfo(fields["protocol"], fields["cipher"], certificate, fields["verified"], fields["resumed"])


def _error(fields: Mapping[str, Any] | None) -> SMTPError | None:
    """Return an error of the same class with the same answers. If there is no such class, return an ``SMTPError`` with
    those answers."""
    if fields is None:
        return None
    kind = getattr(errors, fields["type"], None)
    if isinstance(kind, type) and issubclass(kind, SMTPError):
        error: SMTPError = _made(kind, fields)
        for name, if_temporary in _SWITCHES.items():
            if hasattr(error, name) and error.temporary is not fields["temporary"]:
                setattr(error, name, if_temporary is fields["temporary"])
        if isinstance(error, errors.AuthenticationFailed) and error.retry_after != fields["retry_after"]:
            error.rests = fields["retry_after"]
        if all(getattr(error, name) == fields[name] for name in _ANSWERS):
            return error
    error = _made(SMTPError, fields)
    error._record = {name: fields[name] for name in ("type", *_ANSWERS)}
    return error


def _made(kind: type[SMTPError], fields: Mapping[str, Any]) -> SMTPError:
    stage = Stage(fields["stage"]) if fields["stage"] is not None else None
    return kind(fields["message"], stage=stage, reply=_reply(fields["reply"]), hint=fields["hint"])


def pydantic_schema(kind: type[Any], handler: Any) -> Any:
    """Return the schema by which pydantic validates, serializes and describes ``kind``, a ``Receipt`` or a
    ``RecipientResult``. It accepts an object, or what its ``as_dict`` returns."""
    from pydantic_core import core_schema

    from wlsmtp.results import plain_fields

    is_receipt = issubclass(kind, Receipt)
    fields = handler.generate_schema(plain_fields.ReceiptFields if is_receipt else plain_fields.RecipientFields)
    make: Callable[[Any], Any] = receipt_from_dict if is_receipt else recipient_from_dict
    from_fields = core_schema.no_info_after_validator_function(make, fields)
    return core_schema.json_or_python_schema(
        json_schema=from_fields,
        python_schema=core_schema.union_schema([core_schema.is_instance_schema(kind), from_fields]),
        serialization=core_schema.plain_serializer_function_ser_schema(
            lambda value: value.as_dict(), return_schema=fields
        ),
    )


_WRITE: dict[Kind, Callable[[Any], Any]] = {
    Kind.ID: lambda id: id,
    Kind.STATUS: lambda status: status.value,
    Kind.RECIPIENTS: lambda results: [recipient_as_dict(result) for result in results],
    Kind.REPLY: reply_as_dict,
    Kind.TEXT: lambda text: text,
    Kind.COUNT: lambda count: count,
    Kind.ERROR: error_as_dict,
    Kind.SECONDS: lambda seconds: seconds,
    Kind.TLS: tls_as_dict,
    Kind.TIME: lambda time: time.isoformat() if time is not None else None,
}
_READ: dict[Kind, Callable[[Any], Any]] = {
    Kind.ID: lambda id: id,
    Kind.STATUS: Status,
    Kind.RECIPIENTS: lambda results: tuple(recipient_from_dict(result) for result in results),
    Kind.REPLY: _reply,
    Kind.TEXT: lambda text: text,
    Kind.COUNT: lambda count: count or 0,
    Kind.ERROR: _error,
    Kind.SECONDS: lambda seconds: seconds or 0.0,
    Kind.TLS: _tls,
    Kind.TIME: lambda time: datetime.fromisoformat(time) if time is not None else None,
}
