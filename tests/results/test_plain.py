"""Receipts as plain values: in JSON, as fields of pydantic models, in the answers of web frameworks, and back."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

import fastapi
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

import wlsmtp
from tests.worlds import World
from wlsmtp import (
    AuthenticationFailed,
    Certificate,
    ConnectionFailed,
    LocalDeliveryFailed,
    Message,
    OutboxError,
    OutcomeUnknown,
    Receipt,
    RecipientResult,
    RecipientsRefused,
    RecipientStatus,
    Reply,
    SMTPError,
    Stage,
    Status,
    TLSInfo,
)  # fmt: skip
from wlsmtp.receipt import OutboxReceipt
from wlsmtp.results import plain_fields
from wlsmtp.testing import SMTPServer

OK = Reply(250, ("2.0.0 Ok: queued as ABC123",))
NO = Reply(550, ("5.1.1 No such user", "5.1.1 Ask <postmaster>"))
LATER = Reply(451, ("4.7.1 Greylisted, try again in 300 seconds",))
CERTIFICATE = Certificate("ab" * 32, "mx.example.org", "An Authority", datetime(2030, 1, 2, tzinfo=UTC), b"octets")
TLS = TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", CERTIFICATE, verified=True, resumed=True)


def failure(kind: type[SMTPError], reply: Reply | None = None, **attributes: Any) -> SMTPError:
    error = kind("It broke", stage=Stage.RCPT, reply=reply, hint="Mend it")
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


class TheirOwn(ConnectionFailed):
    """A third-party error."""

    temporary = False
    ambiguous = True


ERRORS = [
    *(failure(getattr(wlsmtp, name)) for name in sorted(wlsmtp.__all__) if name in vars(wlsmtp.errors)
      and isinstance(getattr(wlsmtp, name), type) and issubclass(getattr(wlsmtp, name), SMTPError)),
    failure(RecipientsRefused, LATER),
    failure(ConnectionFailed, is_lasting=True),
    failure(LocalDeliveryFailed, is_lasting=False),
    failure(OutboxError, is_passing=True),
    failure(AuthenticationFailed, LATER, is_lasting=True),
    failure(AuthenticationFailed, LATER, rests=900.0),
    failure(TheirOwn),
]  # fmt: skip


def results(*statuses: RecipientStatus) -> tuple[RecipientResult, ...]:
    return tuple(RecipientResult(f"{number}@example.org", status, OK) for number, status in enumerate(statuses))


RECEIPTS = [
    Receipt("1", Status.SENT, results(RecipientStatus.ACCEPTED), OK, "<a@b>", 2, None, 0.25, TLS),
    Receipt("2", Status.SENT, results(*[RecipientStatus.ACCEPTED] * 3), OK, tls=TLSInfo("TLSv1.2", "c", None, False)),
    Receipt(
        "3", Status.PARTIAL,
        (*results(RecipientStatus.ACCEPTED), RecipientResult("b@x", RecipientStatus.REFUSED, NO, ERRORS[-1])),
        OK, error=failure(RecipientsRefused, NO),
    ),
    Receipt("4", Status.UNKNOWN, results(RecipientStatus.UNKNOWN), error=failure(OutcomeUnknown)),
    OutboxReceipt(
        "5", Status.PENDING, results(RecipientStatus.NOT_SENT), attempts=3, error=failure(ConnectionFailed),
        next_attempt=datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC), interruptions=1,
    ),
    *(Receipt("6", Status.ERROR, (), error=error) for error in ERRORS),
]  # fmt: skip
SENT = RECEIPTS[0].as_dict()


@pytest.mark.parametrize("receipt", RECEIPTS, ids=range(len(RECEIPTS)))
def test_a_receipt_goes_through_json_and_back(receipt: Receipt) -> None:
    fields = receipt.as_dict()
    back = Receipt.from_dict(json.loads(json.dumps(fields)))
    assert back.as_dict() == fields == dict(receipt)
    assert bool(back) is bool(receipt) and str(back) == str(receipt) and repr(back) == repr(receipt)
    assert (back.reply, back.queue_id, back.next_attempt) == (receipt.reply, receipt.queue_id, receipt.next_attempt)
    known = [[(one.address, one.status, one.reply) for one in each.recipients] for each in (back, receipt)]
    assert known[0] == known[1]
    if receipt.error is not None:
        assert back.error is not None and back.error.receipt is back
        kinds = {type(back.error), type(receipt.error)}
        assert len(kinds) == 1 or kinds == {SMTPError, TheirOwn}
    assert back.wait() is back


def test_what_it_says_is_said_in_words_of_json() -> None:
    fields = RECEIPTS[2].as_dict()
    assert fields["status"] == "partial" and type(fields["status"]) is str
    assert fields["recipients"][1]["reply"] == {
        "code": 550, "enhanced": "5.1.1", "text": "No such user Ask <postmaster>", "lines": list(NO.lines),
    }  # fmt: skip
    assert fields["recipients"][1] == RECEIPTS[2].recipients[1].as_dict()
    assert fields["error"]["type"] == "RecipientsRefused" and fields["error"]["stage"] == "RCPT"
    assert RECEIPTS[0].as_dict()["tls"]["not_after"] == "2030-01-02T00:00:00+00:00"


@pytest.mark.parametrize("receipt", RECEIPTS[:5], ids=range(5))
def test_a_receipt_is_a_field_of_a_model(receipt: Receipt) -> None:
    class Answer(BaseModel):
        receipt: Receipt
        refused: list[RecipientResult] = []

    answer = Answer(receipt=receipt, refused=list(receipt.refused))
    assert answer.receipt is receipt
    assert answer.model_dump()["receipt"] == receipt.as_dict()
    back = Answer.model_validate_json(answer.model_dump_json())
    assert back.receipt.as_dict() == receipt.as_dict() and len(back.refused) == len(receipt.refused)
    assert Answer.model_validate(answer.model_dump()).receipt.status is receipt.status


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_a_model_with_a_receipt_has_a_schema(mode: Any) -> None:
    schema = TypeAdapter(dict[str, Receipt]).json_schema(mode=mode)
    fields = schema["$defs"]["ReceiptFields"]
    assert list(fields["properties"]) == fields["required"] == list(RECEIPTS[0].as_dict())
    assert fields["properties"]["status"]["enum"] == [status.value for status in Status]


def test_the_schema_knows_every_state_and_field() -> None:
    hints = plain_fields.RecipientFields.__annotations__
    assert get_args(hints["status"]) == tuple(status.value for status in RecipientStatus)
    partial = RECEIPTS[2].as_dict()
    assert list(hints) == list(partial["recipients"][0])
    assert list(plain_fields.ErrorFields.__annotations__) == list(partial["error"])
    assert list(plain_fields.ReplyFields.__annotations__) == list(partial["reply"])
    assert list(plain_fields.TLSFields.__annotations__) == list(RECEIPTS[0].as_dict()["tls"])


@pytest.mark.parametrize(
    "fields",
    [{}, [], "text", {**RECEIPTS[0].as_dict(), "status": "gone"}, {**RECEIPTS[0].as_dict(), "recipients": [1]}],
)
def test_anything_else_is_no_receipt(fields: Any) -> None:
    with pytest.raises(ValueError, match=r"not what Receipt\.as_dict\(\) returns"):
        Receipt.from_dict(fields)
    with pytest.raises(ValidationError):
        TypeAdapter(Receipt).validate_python(fields)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_what_a_server_said_is_in_it_and_no_secret(world: World, mode: str) -> None:
    with SMTPServer(users={"ann": "s3cret-Pa55"}) as server:
        server.refuse("cy@example.org", "550 5.1.1 No such user")
        with world.session(server.host, server.port, username="ann", password="s3cret-Pa55", mode=mode) as session:
            message = Message("ann@example.com", ["bob@example.org", "cy@example.org"], subject="Hi", text="Hello")
            receipt = session.wait(session.send(message))
    fields = receipt.as_dict()
    assert fields["status"] == "partial" and fields["recipients"][1]["reply"]["code"] == 550
    assert Receipt.from_dict(fields).as_dict() == fields and "s3cret" not in json.dumps(fields)


def test_a_receipt_is_seen_in_one_line() -> None:
    assert repr(RECEIPTS[0]) == "<Receipt 1 sent: 1 of 1 accepted, 250 2.0.0 Ok: queued as ABC123>"
    assert (
        repr(Receipt("1", Status.PENDING, results(RecipientStatus.NOT_SENT))) == "<Receipt 1 pending: 0 of 1 accepted>"
    )
    many = Receipt("1", Status.ERROR, (), error=failure(RecipientsRefused, Reply(550, ("no\tand " * 99,) * 99)))
    assert len(repr(many)) < 200 and "\t" not in repr(many)
    assert repr(RecipientResult("b@x", RecipientStatus.REFUSED, NO)).startswith(
        "<RecipientResult b@x refused: 550 5.1.1"
    )
    assert repr(RecipientResult("b@x", RecipientStatus.NOT_SENT)) == "<RecipientResult b@x not sent>"


def test_fastapi_answers_with_a_receipt_and_reads_one_from_a_body() -> None:
    app = fastapi.FastAPI()

    @app.post("/again")
    async def again(receipt: Annotated[Receipt, fastapi.Body()]) -> Receipt:
        return receipt

    @app.post("/results")
    async def results(result: RecipientResult) -> list[RecipientResult]:
        return [result]

    receipt = Receipt("1", Status.SENT, (RecipientResult("b@x.org", RecipientStatus.ACCEPTED, OK),), OK)
    assert posted(app, "/again", receipt.as_dict()) == (200, receipt.as_dict())
    assert posted(app, "/results", receipt.recipients[0].as_dict()) == (200, [receipt.recipients[0].as_dict()])
    assert posted(app, "/again", {"id": "1"})[0] == 422
    paths = app.openapi()["paths"]
    for path, name in (("/again", "ReceiptFields"), ("/results", "RecipientFields")):
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert body == {"$ref": f"#/components/schemas/{name}"} or body.get("title")


def posted(app: Any, path: str, value: Any) -> tuple[int, Any]:
    """Status and JSON of the answer."""
    said: list[Any] = []
    scope = {
        "type": "http", "method": "POST", "path": path, "query_string": b"", "http_version": "1.1", "scheme": "http",
        "headers": [(b"content-type", b"application/json")], "server": ("x", 80), "client": ("x", 1), "root_path": "",
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": json.dumps(value).encode()}

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(app(scope, receive, send))
    return said[0]["status"], json.loads(b"".join(message.get("body", b"") for message in said[1:]))
