"""Runs a case in one world, through the public API, and asks the oracle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.space.cases import ATTEMPTS, WINDOW, Case, Sending
from tests.space.oracle import Told, faults_of
from tests.space.server import ScriptedServer
from tests.worlds import Session, World
from wlsmtp import Envelope, Pipelining, PoolLimits, Receipt, RetryPolicy, SMTPError, Timeouts

PATIENCE = Timeouts(**dict.fromkeys(("connect", "greeting", "command", "data", "block", "content"), 4.0), total=12.0)
"""A safety net: this server always answers or closes, so nothing ever waits as long."""
IMPATIENCE = Timeouts(command=0.3, data=0.3, total=12.0)
"""For a server that loses commands: it never answers them."""
NO_PATIENCE = Timeouts(command=0.3, data=0.3, content=0.3, total=12.0)
"""For one that sends a reply too few."""


def content(number: int) -> bytes:
    """Return a message that differs from all others."""
    return b"Subject: m%d\r\n\r\n.a line\r\nand another\r\n" % number


def recipients(number: int) -> list[str]:
    """Its two recipients."""
    return [f"m{number}a@example.test", f"m{number}b@example.test"]


def sender(number: int) -> str:
    """Its sender, by which the server knows it."""
    return f"m{number}@example.test"


def run(world: World, case: Case) -> tuple[list[str], ScriptedServer]:
    """Every promise that was broken, and the server with its record."""
    server = ScriptedServer(case.flow.keywords, case.all_rules, case.quirks)
    settings: dict[str, Any] = {"mode": "async"} if case.sending is Sending.OUTBOX else {}
    session = world.session(
        server.host,
        server.port,
        timeout=NO_PATIENCE if case.loses_replies else IMPATIENCE if case.quirks.discards else PATIENCE,
        retry=RetryPolicy(attempts=ATTEMPTS, backoff=0, jitter=0),
        pool=PoolLimits(max_connections=1),
        pipelining=Pipelining(max_in_flight=WINDOW),
        **settings,
    )
    told: Told = {}
    found: list[str] = []
    try:
        with session:
            if case.is_kept:
                told[0] = [_send(session, 0)]
            _SENDING[case.sending](world, session, case, told)
            told[case.count + 1] = [_send(session, case.count + 1)]
    except Exception as error:  # whatever was raised is a fault of its own, and the rest is looked at all the same
        found.append(f"raised {type(error).__name__}: {error}")
    if not server.settle():
        found.append("left a connection open")
    server.close()
    return found + faults_of(case, server.record, told), server


def _send(session: Session, number: int) -> Receipt:
    try:
        receipt = session.send(content(number), sender=sender(number), recipients=recipients(number))
        return session.wait(receipt)
    except SMTPError as error:
        return _receipt_of(error)


def _receipt_of(error: BaseException) -> Receipt:
    receipt = getattr(error, "receipt", None)
    if not isinstance(receipt, Receipt):
        raise error
    return receipt


def _one_by_one(world: World, session: Session, case: Case, told: Told) -> None:
    for number in case.messages:
        told[number] = [_send(session, number)]


def _in_a_stream(world: World, session: Session, case: Case, told: Told) -> None:
    items = [(content(number), Envelope(sender(number), recipients(number))) for number in case.messages]
    for number, receipt in enumerate(session.send_many(items), start=1):
        told.setdefault(number, []).append(receipt)


def _together(world: World, session: Session, case: Case, told: Told) -> None:
    def options(number: int) -> dict[str, Any]:
        return {"sender": sender(number), "recipients": recipients(number)}

    def work(number: int) -> Any:
        return session.face.send(content(number), **options(number))

    if world.name == "asyncio":
        results = world.together(*((None, _bound(work, number)) for number in case.messages))
    else:
        with ThreadPoolExecutor(case.count) as pool:
            futures = [pool.submit(work, number) for number in case.messages]
        results = [future.exception() or future.result() for future in futures]
    for number, result in zip(case.messages, results, strict=True):
        told[number] = [result if isinstance(result, Receipt) else _receipt_of(result)]


def _bound(work: Any, number: int) -> Any:
    return lambda: work(number)


def _by_outbox(world: World, session: Session, case: Case, told: Told) -> None:
    waiting = [session.send(content(n), sender=sender(n), recipients=recipients(n)) for n in case.messages]
    for number, receipt in zip(case.messages, waiting, strict=True):
        told[number] = [session.wait(receipt)]


_SENDING = {
    Sending.SEND: _one_by_one,
    Sending.MANY: _in_a_stream,
    Sending.SHARED: _together,
    Sending.OUTBOX: _by_outbox,
}


def complaint(case: Case, found: list[str]) -> str:
    """A paragraph about a case that failed."""
    return f"{case}\n" + "".join(f"      {fault}\n" for fault in found)
