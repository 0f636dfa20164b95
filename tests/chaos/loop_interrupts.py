"""Exceptions at random places of an event loop in which senders and a worker run, as a signal handler raises them.

A round interrupts whatever task comes to one place of the library, ends the loop, and goes on in another one: all that
was kept is sent, once unless it is reported otherwise, and nothing waits for the end of a lease.
``python -m tests.chaos.loop_interrupts 500 [SEED]`` plays so many rounds of each kind.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

from tests.chaos.interrupts import LIBRARY, PATIENCE, Interrupt, SoftTimeLimit, outbox_of
from wlsmtp import AsyncSMTPSession, Message, PoolLimits, Receipt, RetryPolicy, Status
from wlsmtp.testing import SMTPServer

QUICK = RetryPolicy(attempts=8, backoff=0.02, max_backoff=0.05, jitter=0.0)
_RESUMED = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


class LoopInterrupt(Interrupt):
    """Not as a coroutine is resumed: what a profiler raises there passes by the handlers of its frame. Nor in errors,
    which the tests read."""

    def _look(self, frame: FrameType, event: str, argument: object) -> None:
        is_resumed = event == "call" and frame.f_code.co_flags & _RESUMED
        if not is_resumed and not _makes_an_error(frame):
            super()._look(frame, event, argument)


def _makes_an_error(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARY):
        if frame.f_code.co_filename.endswith("errors.py"):
            return True
        frame = frame.f_back
    return False


def message(numbers: Iterator[int]) -> Message:
    return Message("ann@example.com", "bob@example.org", text="x", message_id=f"<{next(numbers)}@loops.example>")


async def send_some(sessions: list[AsyncSMTPSession], interrupt: Interrupt, numbers: Iterator[int]) -> list[Receipt]:
    """Three senders of each session at once, one of which the interrupt may hit; gives what the others were told."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    kept: list[Receipt] = []

    async def send(session: AsyncSMTPSession) -> None:
        receipt = await session.send(message(numbers))
        kept.append(receipt)
        await receipt.wait(0.2)

    with interrupt.armed():
        await asyncio.gather(*(send(one) for one in 3 * sessions), return_exceptions=True)
    return kept


async def go_on(sessions: list[AsyncSMTPSession], numbers: Iterator[int]) -> dict[str | None, Receipt]:
    for session in sessions:
        await session.send(message(numbers), timeout=PATIENCE)
    for session in sessions:
        assert await session.flush(PATIENCE) == 0, "mail is left over"
    known = {receipt.message_id: receipt async for receipt in sessions[0].receipts()}
    for session in sessions:
        await session.close(timeout=PATIENCE)
    return known


def play(server: SMTPServer, mode: str, interrupt: Interrupt, numbers: Iterator[int]) -> None:
    """One round; raises ``AssertionError`` for what must not be."""
    with tempfile.TemporaryDirectory() as directory:
        options: dict[str, Any] = {"mode": "async", "outbox": outbox_of(mode, directory), "retry": QUICK}
        options |= {"pool": PoolLimits(max_connections=1)}
        width = 2 if mode == "shared" else 1
        sessions = [AsyncSMTPSession(server.host, server.port, **options) for _ in range(width)]
        before = len(server.messages)
        kept: list[Receipt] = []
        try:
            kept = asyncio.run(send_some(sessions, interrupt, numbers))
        except interrupt.kind:  # it came as the loop ended
            assert interrupt.place
        known = asyncio.run(go_on(sessions, numbers))
    counts = Counter(mail.header("Message-ID") for mail in server.messages[before:])
    assert {receipt.message_id for receipt in kept} | set(counts) <= set(known)
    for id, receipt in known.items():
        assert receipt.status in (Status.SENT, Status.UNKNOWN), f"{receipt}: {receipt.error}"
        assert counts[id] <= 1, f"{counts[id]} copies, {receipt.interruptions} interruptions"
        assert counts[id] == 1 or receipt.status is Status.UNKNOWN, f"{receipt} and it did not arrive"


def play_many(mode: str, seed: int, rounds: int) -> list[str]:
    """Rounds at random places; gives what failed, and where it was interrupted."""
    chance, failures, numbers = random.Random(seed), list[str](), iter(range(1, 1 << 62))
    with SMTPServer() as server:
        play(server, mode, LoopInterrupt(), numbers)  # imports
        count = LoopInterrupt()
        play(server, mode, count, numbers)
        for _ in range(rounds):
            interrupt = LoopInterrupt(chance.randrange(1, count.count + 1), SoftTimeLimit)
            try:
                play(server, mode, interrupt, numbers)
            except (AssertionError, OSError) as error:
                failures.append(f"{mode} at place {interrupt.number} ({interrupt.place}): {error}")
    return failures


if __name__ == "__main__":
    for kind in ("memory", "sqlite", "shared"):
        seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
        found = play_many(kind, seed, int(sys.argv[1]))
        sys.stdout.write(f"{kind}: seed {seed}, {len(found)} failures\n" + "".join(f"  {one}\n" for one in found))
