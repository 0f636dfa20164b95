"""Exceptions at random places of the main thread, as a signal handler raises them, and what must hold all the same.

A round makes a session, interrupts one call of it at one place in the library, and goes on with the session: the next
message goes through, ``close`` ends, what the receipts say is what the server has, and nothing arrives twice that is
not reported as possible. ``python -m tests.chaos.interrupts 2000 [SEED]`` plays so many rounds of each kind.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import wlsmtp
from tests.postgres import Postgres
from wlsmtp import Message, PoolLimits, Receipt, SMTPSession, Status
from wlsmtp.events import Announcer
from wlsmtp.testing import SMTPServer

LIBRARY = str(Path(wlsmtp.__file__).parent)
PATIENCE = 20.0
"""Seconds after which a call that should end has not."""


class SoftTimeLimit(Exception):
    """What the handler of a task queue raises; libraries catch it more easily than ``KeyboardInterrupt``."""


@dataclass
class Interrupt:
    """Raises at the place ``number`` of the library where Python runs signal handlers in this thread: as a function
    begins, and as one that is written in C has returned. 0: only counts them."""

    number: int = 0
    kind: type[BaseException] = KeyboardInterrupt
    count: int = 0
    place: str = ""

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Under way in this thread. What it raised goes no further; other threads are left alone."""
        sys.setprofile(self._look)
        try:
            yield
        except self.kind:
            if not self.place:
                raise
        finally:
            sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event not in ("call", "c_return") or not code.co_filename.startswith(LIBRARY):
            return
        self.count += 1
        if self.count == self.number:
            self.place = f"{Path(code.co_filename).relative_to(LIBRARY)}:{frame.f_lineno} {code.co_qualname}, {event}"
            raise self.kind


@dataclass
class Round:
    """One session, and the messages that it was given."""

    server: SMTPServer
    session: SMTPSession
    numbers: Iterator[int]
    interrupt: Interrupt
    receipts: dict[str, Receipt] = field(default_factory=dict)
    """By Message-ID: the last word to the caller."""

    def message(self) -> Message:
        number = next(self.numbers)
        id = f"<{number}@interrupts.example>"
        return Message(sender="ann@example.com", to="bob@example.org", text="x", message_id=id)

    def send(self) -> Receipt:
        receipt = self.session.send(self.message(), timeout=PATIENCE)
        assert receipt.message_id is not None
        self.receipts[receipt.message_id] = receipt
        return receipt

    def send_many(self) -> None:
        for receipt in self.session.send_many([self.message() for _ in range(8)]):
            assert receipt.message_id is not None
            self.receipts[receipt.message_id] = receipt

    def close(self) -> None:
        self.session.close(timeout=PATIENCE)


Victim = Callable[[Round], object]
VICTIMS: dict[str, Victim] = {"send": Round.send, "send_many": Round.send_many, "close": Round.close}


postgres: Postgres | None = None
"""The server of the mode of that name, once it runs."""


def outbox_of(mode: str, directory: str) -> str:
    """An empty outbox of one round. That of ``shared`` is the file of two sessions."""
    if mode == "postgres":
        assert postgres is not None
        return postgres.outbox()
    return "memory:" if mode == "memory" else f"sqlite:///{directory}/outbox.db?synchronous=normal"


def play(server: SMTPServer, mode: str, victim: str, interrupt: Interrupt, numbers: Iterator[int]) -> None:
    """One round; raises ``AssertionError`` for what must not be."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        options: dict[str, Any] = {"pool": PoolLimits(max_connections=1), "timeout": PATIENCE}
        if mode != "sync":
            options |= {"mode": "async", "outbox": outbox_of(mode, directory)}
        session = SMTPSession(server.host, server.port, **options)
        one = Round(server, session, numbers, interrupt)
        before = len(server.messages)
        others = stack.enter_context(ExitStack())
        if mode == "shared":
            other = SMTPSession(server.host, server.port, **options)
            others.callback(other.close, timeout=PATIENCE)
            other.open()
            other.send(one.message())
        if victim == "close" or interrupt.number % 2:
            one.send()
        with interrupt.armed():
            VICTIMS[victim](one)
        if victim == "close":
            session.open()
        following = one.send()
        if mode != "sync":
            assert session.flush(PATIENCE) == 0, "mail is left over"
        counts = Counter(mail.header("Message-ID") for mail in server.messages[before:])
        if mode == "sync":
            check_answers(one.receipts, counts)
        else:
            check_outbox(session, counts)
            assert session.status(following.id) is Status.SENT
        one.close()
        others.close()
        assert session.statistics().connections_open == 0, "a connection was waited for in vain"
        assert not Announcer().muted, "a listener stays muted"


def check_answers(receipts: dict[str, Receipt], counts: Counter[str | None]) -> None:
    """Check that every report is true, and that nothing arrived twice."""
    assert all(count == 1 for count in counts.values()), f"twice: {counts}"
    for id, receipt in receipts.items():
        if receipt.status is Status.SENT:
            assert counts[id] == 1, f"{receipt} and it did not arrive"
        else:
            assert receipt.status is Status.UNKNOWN or counts[id] == 0, f"{receipt} and it arrived"


def check_outbox(session: SMTPSession, counts: Counter[str | None]) -> None:
    """All that was kept was sent, once, or as often as its interruptions say; and nothing else was."""
    known = {receipt.message_id: receipt for receipt in session.receipts()}
    assert set(counts) <= set(known)
    for id, receipt in known.items():
        assert receipt.status is Status.SENT, f"{receipt.id} is {receipt}"
        assert 1 <= counts[id] <= 1 + receipt.interruptions, f"{counts[id]} copies of {receipt.id}"


CASES = [("memory", "send"), ("memory", "send_many"), ("memory", "close"),
         ("sqlite", "send"), ("sqlite", "send_many"), ("sqlite", "close"),
         ("shared", "send"), ("shared", "send_many"), ("shared", "close"),
         ("postgres", "send"), ("postgres", "send_many"), ("postgres", "close"),
         ("sync", "send"), ("sync", "send_many"), ("sync", "close")]  # fmt: skip


def play_many(mode: str, victim: str, seed: int, rounds: int) -> list[str]:
    """Rounds at random places; gives what failed, and where it was interrupted."""
    chance = random.Random(seed)
    failures: list[str] = []
    numbers = iter(range(1, 1 << 62))
    with SMTPServer() as server:
        count = Interrupt()
        play(server, mode, victim, count, numbers)
        for _ in range(rounds):
            kind = chance.choice([KeyboardInterrupt, SoftTimeLimit])
            interrupt = Interrupt(chance.randrange(1, count.count + 1), kind)
            try:
                play(server, mode, victim, interrupt, numbers)
            except (Exception, KeyboardInterrupt) as error:
                words = f"{type(error).__name__}: {error}"
                failures.append(
                    f"{mode} {victim}, {kind.__name__} at place {interrupt.number} ({interrupt.place}): {words}"
                )
    return failures


def main() -> None:
    global postgres
    postgres = Postgres()
    postgres.start()
    try:
        _play_all()
    finally:
        postgres.remove()


def _play_all() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    for mode, victim in CASES:
        failures = play_many(mode, victim, seed, rounds)
        sys.stdout.write(f"{mode} {victim}: {rounds} rounds, seed {seed}, {len(failures)} failures\n")
        for failure in failures:
            sys.stdout.write(f"  {failure}\n")


if __name__ == "__main__":
    main()
