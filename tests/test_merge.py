"""Mail merges: one letter, many rows; an invalid row is reported by itself, and the others are sent."""

from __future__ import annotations

import html
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp import Attachment, Envelope, Message, MessageError, Receipt, SMTPSession, Status
from wlsmtp.message.merge import MergeRow
from wlsmtp.testing import SMTPServer

LETTER = Message("Ann <ann@example.com>", subject="Your invoice", attachments=[("terms.txt", "Terms")])


def fields(number: int) -> dict[str, Any]:
    return {"to": f"{number}@example.org", "text": f"Number {number}"}


def make(number: int, letter: Message) -> Message:
    return letter.but(**fields(number))


class Speechless(Exception):
    """As the errors of some libraries are: asked for its words, it fails."""

    words = "found later"

    def __str__(self) -> str:
        if not self.words:
            raise RuntimeError("no words")
        return self.words


def fail(_letter: Message) -> Message:
    raise Speechless


class Record:
    """As the rows of databases are: with the methods of a mapping, and none."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def keys(self) -> list[str]:
        return list(self._values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]


ROWS: list[Any] = [
    fields(0),
    Record(**fields(1)),
    lambda: fields(2),
    lambda letter: letter.but(**fields(3)),
    lambda number=4: fields(number),
    partial(make, 5),
    lambda letter: (letter.but(**fields(0)), Envelope("bounces@example.com", "6@example.org")),
    lambda: b"From: ann@example.com\r\nTo: 7@example.org\r\n\r\nNumber 7\r\n",
]
BAD_ROWS: list[tuple[Any, str]] = [
    ({"to": "nonsense@"}, "to: 'nonsense@' is not an email address: nothing is after the @"),
    ({"to": "a@x.org, b@x.org"}, "to: .*several addresses as a list"),
    ({"to": "a@x.org", "subject": "Hi\r\nBcc: eve@x.org"}, "subject: .*control character"),
    ({"to": "a@x.org", "headers": {"X-Name": "a\nBcc: eve@x.org"}}, "headers: X-Name: .*control character"),
    ({"email": "a@x.org"}, "'email' is not a field of a message; there are sender, to, cc"),
    ({"to": "a@x.org", "txt": "x"}, "'txt' is not a field of a message; did you mean 'text'?"),
    ({1: "a@x.org"}, "'1' is not a field"),
    ({"text": "x"}, "The message has no recipient"),
    ({"to": "a@x.org", "attachments": ["/no/such/file"]}, "attachments: .*/no/such/file"),
    (lambda: dict[str, Any]()["address"], "KeyError: 'address'"),
    (lambda _letter: 1 / 0, "ZeroDivisionError: division by zero"),
    (lambda a, b: fields(1), "TypeError: .*missing 1 required"),
    (lambda: None, "NoneType is neither fields of a message nor makes one"),
    (lambda letter: letter.but(nonsense=1), "TypeError: .*nonsense"),
    (lambda: b"no header section", "The header section has a line that is not a field"),
    ("a@x.org", "str is neither fields"),
    (("a@x.org", "text"), "tuple is neither fields"),
    (None, "NoneType is neither fields"),
    (lambda letter: (letter, "bounces@example.com", "a@x.org"), r"a tuple must be \(message, Envelope\)"),
    ({"to": {"a@x.org": "Ann"}}, r"to: must be an address or a list of them, not dict; .*\[\(name, address\)\]"),
]


@pytest.fixture(params=["sync", "memory", "sqlite"])
def outbox(request: pytest.FixtureRequest, tmp_path: Any) -> dict[str, Any]:
    """The settings of each way to send."""
    if request.param == "sync":
        return {}
    return {"mode": "async", "outbox": "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/outbox.db"}


@pytest.mark.parametrize("kind", [list, iter])
def test_rows_are_fields_or_functions(world: World, outbox: dict[str, Any], kind: Callable[[Any], Any]) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, **outbox) as session:
        receipts = [session.wait(receipt) for receipt in session.send_many(LETTER.merge(kind(ROWS)))]
        assert session.send_all(LETTER.merge([])) == []
    assert [receipt.status for receipt in receipts] == [Status.SENT] * 8, [receipt.error for receipt in receipts]
    assert [receipt.recipients[0].address[0] for receipt in receipts] == list("01234567")
    sent = {message.recipients[0]: message for message in server.messages}
    assert len(sent) == 8 and sent["6@example.org"].sender == "bounces@example.com"
    for number in range(6):
        email = sent[f"{number}@example.org"].email
        assert email["Subject"] == "Your invoice" and email["To"] == f"{number}@example.org"
        assert f"Number {number}" in str(email.get_body())
        assert [part.get_filename() for part in email.iter_attachments()] == ["terms.txt"]


@pytest.mark.parametrize("kind", [list, iter])
def test_a_bad_row_has_its_place_and_the_reason_and_ends_nothing(
    world: World, outbox: dict[str, Any], kind: Callable[[Any], Any]
) -> None:
    rows = [row for number, (bad, _) in enumerate(BAD_ROWS) for row in (fields(number), bad)]
    with SMTPServer() as server, world.session(server.host, server.port, **outbox) as session:
        receipts = session.send_all(LETTER.merge(kind(rows)))
        finished = [session.wait(receipt) for receipt in receipts]
    assert [receipt.status for receipt in finished] == [Status.SENT, Status.ERROR] * len(BAD_ROWS)
    for place, (receipt, (_, words)) in enumerate(zip(receipts[1::2], BAD_ROWS, strict=True)):
        error = receipt.error
        assert isinstance(error, MessageError) and error.row == 2 * place + 1 and error.receipt is receipt
        with pytest.raises(MessageError, match=rf"^rows\[{2 * place + 1}\]: {words}"):
            raise error
    assert len(server.messages) == len(BAD_ROWS) and not any("eve" in str(m.recipients) for m in server.messages)


def test_rows_are_made_once_each_and_as_they_are_sent(world: World, outbox: dict[str, Any]) -> None:
    made: list[int] = []

    def row(number: int) -> Any:
        made.append(number)
        return {"to": "nonsense@"} if number == 3 else fields(number)

    rows = [partial(row, number) for number in range(6)]
    with SMTPServer() as server, world.session(server.host, server.port, **outbox) as session:
        merge = LETTER.merge(rows)
        assert made == []
        receipts = session.send_all(merge)
    assert made == list(range(6)) and [bool(receipt.error) for receipt in receipts] == [n == 3 for n in range(6)]


def test_rows_may_have_no_end(world: World, outbox: dict[str, Any]) -> None:
    """So not all of them are in memory."""
    read: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        number = 0
        while True:
            read.append(number)
            yield fields(number)
            number += 1

    with SMTPServer() as server, world.session(server.host, server.port, **outbox) as session:
        receipts = session.send_many(LETTER.merge(rows()))
        assert [next(receipts).message_id is not None for _ in range(3)] == [True] * 3
        receipts.close()
    assert len(read) < 2000


def test_rows_may_come_asynchronously(outbox: dict[str, Any]) -> None:
    world = World("asyncio")

    async def rows() -> AsyncIterator[Any]:
        for row in (fields(0), {"to": "nonsense@"}, lambda: fields(2)):
            yield row

    with SMTPServer() as server, world.session(server.host, server.port, **outbox) as session:
        receipts: list[Receipt] = session.send_all(LETTER.merge(rows()))
        assert [receipt.error and receipt.error.row for receipt in receipts] == [None, 1, None]
        assert all(session.wait(receipt) for receipt in receipts[::2])
    world.close()


def test_an_error_of_the_rows_themselves_is_raised_behind_the_receipts(world: World) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield fields(0)
        raise sqlite3.OperationalError("the table is gone")

    with SMTPServer() as server, world.session(server.host, server.port) as session:
        receipts = session.send_many(LETTER.merge(rows()))
        assert next(receipts)
        with pytest.raises(sqlite3.OperationalError):
            next(receipts)


def test_an_error_without_words_ends_nothing_either(
    world: World, outbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Speechless, "words", "")
        with SMTPServer() as server, world.session(server.host, server.port, **outbox) as session:
            receipts = session.send_all(LETTER.merge([fields(1), fail, fields(2)]))
            assert [session.wait(receipt).status for receipt in receipts] == [Status.SENT, Status.ERROR, Status.SENT]
    assert str(receipts[1].error) == "rows[1]: Speechless."


@pytest.mark.parametrize("item", [(), (b"x",), (b"x", "a@x.org"), (b"x", "ann@example.com", "bob@example.org")])
def test_a_tuple_that_is_no_pair_ends_no_stream(world: World, outbox: dict[str, Any], item: Any) -> None:
    letter = LETTER.but(**fields(1))
    with SMTPServer() as server, world.session(server.host, server.port, **outbox) as session:
        receipts = [session.wait(receipt) for receipt in session.send_all([letter, item, letter])]
    assert [receipt.status for receipt in receipts] == [Status.SENT, Status.ERROR, Status.SENT]
    assert "a tuple must be (message, Envelope)" in str(receipts[1].error) and len(server.messages) == 2


def test_an_interrupt_of_send_all_has_the_receipts_as_well() -> None:
    def rows() -> Iterator[Any]:
        yield fields(1)
        raise KeyboardInterrupt

    with SMTPServer() as server, SMTPSession(server.host, server.port, mode="async") as session:
        with pytest.raises(KeyboardInterrupt) as caught:
            session.send_all(LETTER.merge(rows()))
        [receipt] = caught.value.receipts  # type: ignore[attr-defined]
        assert receipt.wait(10).status is Status.SENT


def test_rows_of_a_database_are_rows(tmp_path: Any) -> None:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    [row] = connection.execute("SELECT 'bob@example.org' AS \"to\", 'Hello' AS text")
    [row] = LETTER.merge([row])
    message = row.message()
    connection.close()
    assert isinstance(message, Message) and message.text == "Hello" and str(message.to[0]) == "bob@example.org"


@pytest.mark.parametrize("rows", [fields(1), "text", b"octets", LETTER, None, 5])
def test_one_row_is_no_rows(rows: Any) -> None:
    with pytest.raises(MessageError, match="merge takes an iterable of rows, not one"):
        LETTER.merge(rows)


def test_a_table_is_asked_for_its_rows() -> None:
    import pandas as pd  # takes long to import

    frame: Any = pd.DataFrame([fields(0)])
    with pytest.raises(MessageError, match="A DataFrame gives its columns, not its rows") as caught:
        LETTER.merge(frame)
    assert caught.value.hint == "Use its to_dict('records')"
    assert len(list(LETTER.merge(frame.to_dict("records")))) == 1


def test_a_row_is_seen_before_it_is_sent(world: World) -> None:
    rows = list(LETTER.merge([fields(0), {"to": "nonsense@"}]))
    message = rows[0].message()
    assert isinstance(message, Message) and "Number 0" in message.preview()
    assert repr(rows[1]) == "<MergeRow 1>" and rows[1].index == 1 and isinstance(rows[1], MergeRow)
    with pytest.raises(MessageError, match=r"rows\[1\]: to: "):
        rows[1].message()
    with world.session("localhost") as session, pytest.raises(MessageError, match="send_many and send_all take it"):
        session.send(rows[0])


def test_the_letter_stays_as_it_is_and_its_attachments_are_shared() -> None:
    first, second = (row.message() for row in LETTER.merge([fields(0), fields(1)]))
    assert isinstance(first, Message) and isinstance(second, Message)
    assert first.attachments[0] is second.attachments[0] is LETTER.attachments[0] and LETTER.to == ()
    assert isinstance(LETTER.attachments[0], Attachment)
    assert len({LETTER.message_id, first.message_id, second.message_id}) == 3


def test_a_value_is_never_more_than_its_field() -> None:
    """What others wrote is text: braces, markup and addresses in it mean nothing."""
    name = "{sender} %s ${to} <b>&Bob</b>, eve@x.org"
    [row] = LETTER.merge([{"to": ("Bob, eve@x.org", "bob@example.org"), "text": name, "html": html.escape(name)}])
    message = row.message()
    assert isinstance(message, Message)
    assert message.text == name and "&lt;b&gt;" in str(message.html)
    assert message.envelope().addresses == ("bob@example.org",)


def test_an_async_function_is_no_row() -> None:
    async def row() -> dict[str, Any]:
        return fields(0)

    [merged] = LETTER.merge([row])  # type: ignore[list-item]
    with pytest.raises(MessageError, match=r"rows\[0\]: an async function is not a row"):
        merged.message()


def test_dicts_without_a_letter_are_answered_with_merge(world: World) -> None:
    with world.session("localhost") as session:
        [receipt] = session.send_all([fields(0)])
        assert "letter.merge(rows)" in str(receipt.error)
        with pytest.raises(MessageError, match=r"send\(\*\*fields\)"):
            session.send(fields(0))
