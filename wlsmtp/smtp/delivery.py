"""Writes a large content piece by piece and stops if the server refuses it midway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import ProtocolError, Stage
from wlsmtp.wire.content import DotStuffer, bdat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wlsmtp.io.base import IO
    from wlsmtp.message.content import Content
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.transaction import Transaction


async def write_content(link: Link, transaction: Transaction, deadlines: Deadlines, io: IO) -> None:
    """Write the content of a transaction, and record where its replies and its end are expected. No other sender may
    use the link. Raises ``SMTPError`` when the connection has failed."""
    if transaction.by_bdat:
        await _write_by_bdat(link, transaction, deadlines, io)
    else:
        await _write_by_data(link, transaction, deadlines, io)
    link.show_content(transaction.plan.content.size)
    transaction.content_written()


async def _write_by_data(link: Link, transaction: Transaction, deadlines: Deadlines, io: IO) -> None:
    transaction.chunks.append(link.expect(*(Stage.CONTENT,) * transaction.content_replies_due))
    stuffer = DotStuffer()
    block = b""
    async for chunk in _chunks(transaction.plan.content, io):
        if block:
            await link.write_content(block, deadlines("block"))
            if await _is_refused_early(link, transaction, deadlines):
                return
        block = stuffer.encode(chunk)
    if await _is_refused_early(link, transaction, deadlines):
        return
    block += stuffer.end()
    transaction.end_at = link.octets_queued + len(block)
    await link.write_content(block, deadlines("block"))


async def _is_refused_early(link: Link, transaction: Transaction, deadlines: Deadlines) -> bool:
    """Check for a reply before the end of the content. A server that refuses midway would read the next command as
    content, so the connection is unusable; it cannot accept what it has not received."""
    final = transaction.chunks[0]
    reply = await link.reply_if_begun(final, deadlines.soon, deadlines("content"))
    if reply is None:
        return False
    if any(reply.is_positive or reply.is_intermediate for reply in final.replies):
        words = f"{link.server} acknowledged content that it had not been sent yet"
        raise ProtocolError(words, stage=Stage.CONTENT, reply=reply)
    link.end(f"content refused in the middle: {reply}")
    return True


async def _write_by_bdat(link: Link, transaction: Transaction, deadlines: Deadlines, io: IO) -> None:
    """Write the content in BDAT chunks, each with its own reply. A refusal ends the content, and the connection stays
    usable (RFC 3030 §2)."""
    content = transaction.plan.content
    left, looked_at = content.size, 0
    async for chunk in _chunks(content, io):
        left -= len(chunk)
        transaction.chunks.append(link.expect(Stage.CONTENT))
        octets = bdat(len(chunk), left == 0) + chunk
        if left == 0:
            transaction.end_at = link.octets_queued + len(octets)
        await link.write_content(octets, deadlines("block"))
        while left and looked_at < len(transaction.chunks):
            reply = await link.reply_if_begun(transaction.chunks[looked_at], deadlines.soon, deadlines("content"))
            if reply is None:
                break
            looked_at += 1
            if not reply.is_positive:
                return
    if not transaction.chunks:
        transaction.chunks.append(link.expect(Stage.CONTENT))
        await link.write_content(bdat(0, True), deadlines("block"))
        transaction.end_at = link.octets_queued


async def _chunks(content: Content, io: IO) -> AsyncIterator[bytes]:
    """Yield the content. What is read from files is read without blocking others."""
    chunks = content.chunks()
    if not content.is_streamed:
        for chunk in chunks:
            yield chunk
        return
    while chunk := await io.run_in_thread(lambda: next(chunks, b"")):
        yield chunk
