"""A task may be cancelled at any await: the others get true results, and the next message is sent."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.transports.test_stream import AT_ONCE, CHUNKING, MODES
from wlsmtp import AsyncSMTPSession, Attachment, Message, Pipelining, PoolLimits, Receipt, SMTPError, Status
from wlsmtp.testing import SMTPServer

SENDERS = 4
HOW = pytest.mark.parametrize("repeatedly", [False, True], ids=["once", "again and again"])


async def cancelled_at(coroutine: Coroutine[Any, Any, Any], number: int, *, repeatedly: bool = False) -> Any:
    """Play ``coroutine``, and cancel its task at its suspension ``number``: once, or ``repeatedly`` at each wait from
    there on, as a scope of AnyIO does."""
    task = asyncio.current_task()
    assert task is not None
    if not repeatedly:
        return await _cancelled_at(coroutine, number, task.cancel)
    with anyio.CancelScope() as scope:
        return await _cancelled_at(coroutine, number, scope.cancel)
    raise asyncio.CancelledError


@types.coroutine
def _cancelled_at(
    coroutine: Coroutine[Any, Any, Any], number: int, cancel: Callable[[], Any]
) -> Generator[Any, Any, Any]:
    count, sent, failure = 0, None, None
    while True:
        try:
            waited_for = coroutine.send(sent) if failure is None else coroutine.throw(failure)
        except StopIteration as end:
            return end.value
        if count == number:
            cancel()
        count += 1
        sent = failure = None
        try:
            sent = yield waited_for
        except BaseException as error:
            failure = error


def session_to(server: SMTPServer, **options: Any) -> AsyncSMTPSession:
    return AsyncSMTPSession(server.host, server.port, pool=PoolLimits(max_connections=1), retry=AT_ONCE, **options)


def content(number: int) -> bytes:
    return f"Subject: {number}\r\n\r\nText {number}\r\n".encode()


async def send(session: AsyncSMTPSession, number: int) -> Receipt:
    try:
        return await session.send(content(number), sender="ann@example.com", recipients=f"n{number}@example.org")
    except SMTPError as error:
        assert error.receipt is not None
        return error.receipt


def judge(server: SMTPServer, receipts: dict[int, Receipt]) -> None:
    numbers = [int(str(mail.header("Subject"))) for mail in server.messages]
    assert [mail.content for mail in server.messages] == [content(number) for number in numbers]
    assert [mail.recipients for mail in server.messages] == [(f"n{number}@example.org",) for number in numbers]
    for number, receipt in receipts.items():
        copies = numbers.count(number)
        assert (copies == 1) if receipt else (copies <= 1 and receipt.status is Status.UNKNOWN), (number, receipt)


async def one_is_cancelled(server: SMTPServer, warm: bool, number: int, repeatedly: bool) -> bool:
    """Whether the victim was still under way at suspension ``number``."""
    async with session_to(server) as session:
        if warm:
            assert await send(session, 99)
        victim = asyncio.create_task(cancelled_at(send(session, 0), number, repeatedly=repeatedly))
        others = [asyncio.create_task(send(session, other)) for other in range(1, SENDERS)]
        await asyncio.wait([victim])
        receipts = {other: await task for other, task in enumerate(others, start=1)}
        receipts[98] = await asyncio.wait_for(send(session, 98), 10)
        assert receipts[98]
        if not victim.cancelled():
            receipts[0] = victim.result()
    assert session.statistics().connections_open == 0
    judge(server, receipts)
    return victim.cancelled()


@HOW
@MODES
@pytest.mark.parametrize("warm", [False, True], ids=["first", "shared"])
def test_at_any_await_of_a_send_among_others(extensions: list[str], warm: bool, repeatedly: bool) -> None:
    for number in range(100):
        with SMTPServer(extensions=extensions) as server:
            if not asyncio.run(one_is_cancelled(server, warm, number, repeatedly)):
                break
    assert 0 < number < 99


@HOW
@MODES
@pytest.mark.parametrize("width", [1, 2])
def test_at_any_await_of_a_stream_beside_a_send(extensions: list[str], width: int, repeatedly: bool) -> None:
    async def stream(session: AsyncSMTPSession, receipts: dict[int, Receipt]) -> None:
        items = [(content(number), f"n{number}@example.org") for number in range(20)]
        given = session.send_many(
            [_pair(message, recipient) for message, recipient in items], connections=width if width > 1 else None
        )
        try:
            number = 0
            async for receipt in given:
                receipts[number] = receipt
                number += 1
        finally:
            await given.aclose()

    async def one(server: SMTPServer, number: int) -> bool:
        options = PoolLimits(max_connections=width)
        async with AsyncSMTPSession(
            server.host, server.port, pool=options, retry=AT_ONCE, pipelining=Pipelining(max_in_flight=4)
        ) as session:
            receipts: dict[int, Receipt] = {}
            victim = asyncio.create_task(cancelled_at(stream(session, receipts), number, repeatedly=repeatedly))
            other = asyncio.create_task(send(session, 50))
            await asyncio.wait([victim], timeout=20)
            receipts[50] = await other
            receipts[98] = await asyncio.wait_for(send(session, 98), 10)
            assert receipts[98]
        assert session.statistics().connections_open == 0
        judge(server, receipts)
        return victim.cancelled()

    for number in [*range(12), *range(12, 60, 5)]:
        with SMTPServer(extensions=extensions) as server:
            if not asyncio.run(one(server, number)):
                break
    assert number > (3 if width == 1 else 0)


def _pair(message: bytes, recipient: str) -> Any:
    from wlsmtp import Envelope

    return message, Envelope("ann@example.com", [recipient])


@pytest.mark.parametrize("extensions", [["PIPELINING"], CHUNKING, ["CHUNKING"]], ids=["data", "bdat", "bdat alone"])
def test_in_the_middle_of_an_attachment_that_is_read_from_a_file(extensions: list[str], tmp_path: Path) -> None:
    """The server keeps an envelope and the half of a content, and may have answered all of it."""
    file = tmp_path / "large.bin"
    file.write_bytes(b"x" * 700_000)

    async def large(session: AsyncSMTPSession) -> Receipt:
        attachment = Attachment.from_path(file)
        message = Message(sender="bad@example.com", to="bad@example.org", text="x", attachments=[attachment])
        return await session.send(message)

    async def one(server: SMTPServer, number: int) -> bool:
        async with session_to(server) as session:
            assert await send(session, 99)
            victim = asyncio.create_task(cancelled_at(large(session), number))
            await asyncio.wait([victim])
            receipts = {99: None, 98: await asyncio.wait_for(send(session, 98), 10)}
        del receipts[99]
        assert receipts[98], receipts[98]
        small = [mail for mail in server.messages if len(mail.content) < 1000]
        assert [mail.content for mail in small] == [content(99), content(98)]
        assert [(mail.sender, mail.recipients) for mail in small] == [
            ("ann@example.com", ("n99@example.org",)), ("ann@example.com", ("n98@example.org",)),
        ]  # fmt: skip
        assert all(mail.sender == "bad@example.com" for mail in server.messages if mail not in small)
        return victim.cancelled()

    for number in range(100):
        with SMTPServer(extensions=extensions) as server:
            if not asyncio.run(one(server, number)):
                break
    assert 10 < number < 99
