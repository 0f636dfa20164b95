"""Ways to send many letters through a blocking or asyncio session, each of which records its results in the account."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from tests.chaos.account import Account
from tests.chaos.letters import Letter
from tests.worlds import Session, World
from wlsmtp import Receipt, SMTPError

WORKERS = 6
_IMPATIENT_AMONG = 50
_PATIENCE = 0.02

Sender = Callable[[World, Session, Iterable[Letter], Account], None]


def one_by_one(world: World, session: Session, letters: Iterable[Letter], account: Account) -> None:
    """``send`` from several threads or tasks that share the session."""
    if world.name == "asyncio":
        world.run(_tasks(session, iter(letters), account))
    else:
        _threads(session, _Shared(letters), account)


def in_a_stream(world: World, session: Session, letters: Iterable[Letter], account: Account) -> None:
    """``send_many``, gone on with after an error that stops it."""
    waiting = deque(letters)
    while waiting:
        try:
            for receipt in session.send_many([(letter.content, letter.envelope) for letter in waiting]):
                account.told(waiting.popleft(), receipt)
        except SMTPError:
            continue  # every message that was read has a receipt


def in_broken_streams(world: World, session: Session, letters: Iterable[Letter], account: Account) -> None:
    """``send_many``, left in the middle by a consumer that has seen enough: what was taken by then may be stored."""
    waiting, dice = deque(letters), random.Random("broken streams")
    while waiting:
        taken: deque[Letter] = deque()
        receipts = session.send_many(_taking(waiting, taken))
        try:
            for _ in range(dice.randrange(1, 40)):
                receipt = next(receipts, None)
                if receipt is None:
                    break
                account.told(taken.popleft(), receipt)
        except SMTPError:
            pass
        finally:
            receipts.close()
        for letter in taken:
            account.told(letter, None)


def _taking(waiting: deque[Letter], taken: deque[Letter]) -> Iterator[tuple[bytes, object]]:
    while waiting:
        taken.append(waiting.popleft())
        yield taken[-1].content, taken[-1].envelope


def _threads(session: Session, letters: Iterator[Letter], account: Account) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for letter in letters:
                try:
                    receipt = session.face.send(
                        letter.content, sender="ann@example.com", recipients=[*letter.recipients]
                    )
                    account.told(letter, receipt)  # type: ignore[arg-type]
                except SMTPError as error:
                    account.told(letter, _receipt_of(error))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, name=f"chaos-{number}") for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


async def _tasks(session: Session, letters: Iterator[Letter], account: Account) -> None:
    async def work() -> None:
        for letter in letters:
            patience = _PATIENCE if int(letter.message_id[1:].partition(".")[0]) % _IMPATIENT_AMONG == 0 else None
            try:
                sending = session.face.send(letter.content, sender="ann@example.com", recipients=[*letter.recipients])
                account.told(letter, await asyncio.wait_for(sending, patience))
            except SMTPError as error:
                account.told(letter, _receipt_of(error))
            except TimeoutError:  # cancelled midway: nobody knows the result
                account.told(letter, None)

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


def _receipt_of(error: SMTPError) -> Receipt:
    assert error.receipt is not None, "an error without a receipt"
    return error.receipt


class _Shared(Iterator[Letter]):
    """An iterator for several threads."""

    def __init__(self, letters: Iterable[Letter]) -> None:
        self._letters = iter(letters)
        self._lock = threading.Lock()

    def __next__(self) -> Letter:
        with self._lock:
            return next(self._letters)
