"""The plain values of a receipt, described for pydantic: what is in a JSON schema, and so in the page of an API."""

from typing import Literal

from typing_extensions import TypedDict  # pydantic takes typing's own from Python 3.12 on only


class ReplyFields(TypedDict):
    """A reply of the server (RFC 5321 §4.2)."""

    code: int
    enhanced: str | None
    text: str
    lines: list[str]


class ErrorFields(TypedDict):
    """Why a message, or a part of it, was not delivered."""

    type: str
    message: str
    stage: str | None
    reply: ReplyFields | None
    hint: str | None
    temporary: bool
    ambiguous: bool
    retry_after: float | None


class RecipientFields(TypedDict):
    """What is known of one recipient."""

    address: str
    status: Literal["accepted", "refused", "not sent", "unknown"]
    reply: ReplyFields | None
    error: ErrorFields | None


class TLSFields(TypedDict):
    """What secured the connection."""

    protocol: str
    cipher: str
    verified: bool
    resumed: bool
    fingerprint: str | None
    subject: str | None
    issuer: str | None
    not_after: str | None


class ReceiptFields(TypedDict):
    """What came of one message."""

    id: str
    status: Literal["sent", "partial", "pending", "error", "unknown"]
    recipients: list[RecipientFields]
    reply: ReplyFields | None
    queue_id: str | None
    message_id: str | None
    attempts: int
    error: ErrorFields | None
    elapsed: float
    tls: TLSFields | None
    next_attempt: str | None
    interruptions: int
