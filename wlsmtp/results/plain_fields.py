"""Describes the plain values of a receipt for pydantic: the content of a JSON schema, and so of API documentation."""

from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic accepts typing's own from Python 3.12 on only

from wlsmtp.results.receipt import FIELDS, Kind


class ReplyFields(TypedDict):
    """A reply of the server (RFC 5321 §4.2)."""

    code: int
    enhanced: str | None
    text: str
    lines: list[str]


class ErrorFields(TypedDict):
    """The reason why a message, or a part of it, was not delivered."""

    type: str
    message: str
    stage: str | None
    reply: ReplyFields | None
    hint: str | None
    temporary: bool
    ambiguous: bool
    retry_after: float | None


class RecipientFields(TypedDict):
    """The result for one recipient."""

    address: str
    status: Literal["accepted", "refused", "not sent", "unknown"]
    reply: ReplyFields | None
    error: ErrorFields | None


class TLSFields(TypedDict):
    """The security of the connection."""

    protocol: str
    cipher: str
    verified: bool
    resumed: bool
    fingerprint: str | None
    subject: str | None
    issuer: str | None
    not_after: str | None


_TYPES = {
    Kind.ID: str,
    Kind.STATUS: Literal["sent", "partial", "pending", "error", "unknown"],
    Kind.RECIPIENTS: list[RecipientFields],
    Kind.REPLY: ReplyFields | None,
    Kind.TEXT: str | None,
    Kind.COUNT: int,
    Kind.ERROR: ErrorFields | None,
    Kind.SECONDS: float,
    Kind.TLS: TLSFields | None,
    Kind.TIME: str | None,
}
_typed_dict: Any = TypedDict  # type checkers require the fields to be spelled out
ReceiptFields: Any = _typed_dict("ReceiptFields", {name: _TYPES[kind] for name, kind in FIELDS.items()})
ReceiptFields.__doc__ = "The result of one message."
