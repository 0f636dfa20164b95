"""What is certain about a message whose delivery was interrupted, by an exception of a signal handler anywhere or by
the cancellation of its task: what a transport says of it agrees with what it has stored."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.interrupts import Interrupt
from tests.transports.test_cancellation import cancelled_at
from wlsmtp import AsyncSMTPSession, Envelope, RecipientStatus, SMTPSession, Transport
from wlsmtp.inbox import Inbox
from wlsmtp.io.blocking import run
from wlsmtp.message.content import BytesContent, Content
from wlsmtp.message.mail import Mail
from wlsmtp.transports.by_domain import ByDomainTransport
from wlsmtp.transports.combine import FailoverTransport, RoundRobinTransport
from wlsmtp.transports.console import ConsoleTransport
from wlsmtp.transports.directory import EmlTransport, MaildirTransport
from wlsmtp.transports.memory import MemoryTransport
from wlsmtp.transports.sendmail import SendmailTransport

RAW = b"Subject: once\r\n\r\nHello\r\n"
PROGRAM = """\
import sys, uuid, pathlib
content = sys.stdin.buffer.read()
pathlib.Path(__file__).with_name(uuid.uuid4().hex + ".mail").write_bytes(content)
"""


class Case:
    """A transport, and how many messages it has stored."""

    def __init__(self, transport: Transport, count: Callable[[], int], step: int = 1) -> None:
        self.transport = transport
        self.count = count
        self.step = step
        """Every which place is tried."""


def _memory(directory: Path) -> Case:
    transport = MemoryTransport()
    return Case(transport, lambda: len(transport.messages))


def _eml(directory: Path) -> Case:
    return Case(EmlTransport(directory), lambda: len(list(directory.glob("*.eml"))))


def _maildir(directory: Path) -> Case:
    return Case(MaildirTransport(directory), lambda: len(list(directory.glob("new/*"))))


def _console(directory: Path) -> Case:
    screen = StringIO()
    return Case(ConsoleTransport(screen), lambda: screen.getvalue().count("Subject: once"), 3)


def _inbox(directory: Path) -> Case:
    from wlsmtp.inbox import InboxTransport

    def count() -> int:
        with Inbox(f"{directory}/inbox.db") as inbox:
            return len(inbox.messages)

    return Case(InboxTransport(f"{directory}/inbox.db"), count, 29)


def _sendmail(directory: Path) -> Case:
    program = directory / "sendmail.py"
    program.write_text(PROGRAM)
    transport = SendmailTransport(sys.executable, [str(program)])
    return Case(transport, lambda: len(list(directory.glob("*.mail"))), 3)


def _failover(directory: Path) -> Case:
    first, second = MemoryTransport(), MemoryTransport()
    count = lambda: len(first.messages) + len(second.messages)  # noqa: E731
    return Case(FailoverTransport("smtp://127.0.0.1:1", first, second), count, 5)


def _round_robin(directory: Path) -> Case:
    one, other = MemoryTransport(), MemoryTransport()
    return Case(RoundRobinTransport(one, other), lambda: len(one.messages) + len(other.messages))


KINDS = [_memory, _eml, _maildir, _console, _inbox, _sendmail, _failover, _round_robin]
EACH = pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__.strip("_"))


def agrees(said: RecipientStatus, stored: int) -> bool:
    """Whether what is said of a message is true."""
    wanted = {RecipientStatus.NOT_SENT: {0}, RecipientStatus.ACCEPTED: {1}, RecipientStatus.UNKNOWN: {0, 1}}
    return stored in wanted[said]


def a_mail(*recipients: str) -> Mail:
    return Mail(Envelope("ann@example.com", [*recipients] or ["bob@example.org"]), BytesContent(RAW))


async def only(mail: Mail) -> AsyncIterator[Mail]:
    yield mail


async def delivered(session: SMTPSession | AsyncSMTPSession, mail: Mail) -> None:
    """The way of a mail from an outbox."""
    async for _ in session.transport.deliver_many(only(mail), session._mailer.deadlines):
        pass


@EACH
@pytest.mark.filterwarnings("ignore")  # a coroutine that was never begun, a file that was just opened
def test_by_an_exception_anywhere(make: Callable[[Path], Case], tmp_path: Path) -> None:
    case = make(tmp_path)
    session = SMTPSession(transport=case.transport)
    run(delivered(session, a_mail()))  # what is made at the first message is there
    said: Counter[RecipientStatus] = Counter()
    places = Interrupt()
    with places.armed():
        run(delivered(session, a_mail()))
    for number in range(1, places.count + 1, case.step):
        before, mail = case.count(), a_mail()
        interrupt = Interrupt(number)
        with interrupt.armed():
            run(delivered(session, mail))
        if mail.known is not None:
            [result] = mail.known.recipients
            said[result.status] += 1
            assert agrees(result.status, case.count() - before), f"{result.status}, at {interrupt.place}"
    assert said[RecipientStatus.NOT_SENT] * 2 > said[RecipientStatus.UNKNOWN] or make is _inbox, said
    assert said[RecipientStatus.ACCEPTED] or make not in (_eml, _maildir), said
    session.close()
    gc.collect()  # what warns of itself does it in this test


@EACH
def test_by_a_cancellation_at_any_await(make: Callable[[Path], Case], tmp_path: Path) -> None:
    case = make(tmp_path)
    session = AsyncSMTPSession(transport=case.transport)

    async def try_at(number: int) -> bool:
        before, mail = case.count(), a_mail()
        task = asyncio.create_task(cancelled_at(delivered(session, mail), number))
        await asyncio.wait([task])
        if task.cancelled():
            assert mail.known is not None
            [result] = mail.known.recipients
            assert agrees(result.status, case.count() - before), result
            assert result.status is not RecipientStatus.UNKNOWN or make is _sendmail
        return task.cancelled()

    async def try_all() -> None:
        number = 0
        while await try_at(number):
            number += 1
        await session.close()

    asyncio.run(try_all())


class Interrupting(MemoryTransport):
    """Is interrupted as it begins, or when it has the message."""

    def __init__(self, *, has_it: bool) -> None:
        super().__init__()
        self.has_it = has_it

    async def carry(self, envelope: Envelope, content: Content, deadlines: Any) -> None:
        if self.has_it:
            await super().carry(envelope, content, deadlines)
        else:
            deadlines.certain = RecipientStatus.NOT_SENT
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "has_it, last", [(False, RecipientStatus.NOT_SENT), (True, RecipientStatus.ACCEPTED)], ids=["begins", "has it"]
)
def test_each_recipient_of_several_transports_has_its_own(has_it: bool, last: RecipientStatus) -> None:
    routes: dict[str, Any] = {
        "example.org": MemoryTransport(),
        "example.net": Interrupting(has_it=has_it),
        "*": "null:",
    }
    session = SMTPSession(transport=ByDomainTransport(routes))
    mail = a_mail("a@example.org", "b@example.net", "c@example.com")
    with pytest.raises(KeyboardInterrupt):
        run(delivered(session, mail))
    assert mail.known is not None
    statuses = [result.status for result in mail.known.recipients]
    assert statuses == [RecipientStatus.ACCEPTED, last, RecipientStatus.NOT_SENT]
    assert mail.known.recipients[2].error is not None and mail.known.recipients[2].error.temporary


class Silent(Transport):
    """Of somebody else: says nothing of what it has done."""

    async def deliver(self, *_: Any) -> Any:
        raise KeyboardInterrupt


def test_of_a_transport_that_says_nothing_nothing_is_known() -> None:
    session, mail = SMTPSession(transport=Silent()), a_mail()
    with pytest.raises(KeyboardInterrupt):
        run(delivered(session, mail))
    assert mail.known is None
    routes: dict[str, Any] = {"example.org": "null:", "*": Silent()}
    session, mail = SMTPSession(transport=ByDomainTransport(routes)), a_mail("a@example.org", "b@example.com")
    with pytest.raises(KeyboardInterrupt):
        run(delivered(session, mail))
    assert mail.known is not None
    assert [result.status for result in mail.known.recipients] == [RecipientStatus.ACCEPTED, RecipientStatus.UNKNOWN]


@pytest.fixture(params=["memory:", "sqlite"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield request.param if request.param == "memory:" else f"sqlite:///{tmp_path}/outbox.db"


def test_mail_of_a_loop_that_ends_is_in_the_directory_once(tmp_path: Path, outbox: str) -> None:
    """The file is written in a thread, which cancelling the worker does not stop."""
    directory = tmp_path / "mail"
    session = AsyncSMTPSession(transport=EmlTransport(directory), mode="async", outbox=outbox)

    async def send(number: int) -> None:
        await session.send(RAW, sender="ann@example.com", recipients="bob@example.org")
        for _ in range(number):
            await asyncio.sleep(0)

    async def finish() -> None:
        assert await session.flush(20) == 0
        counts = await session.outbox_statistics()
        assert (counts.sent, counts.interruptions) == (12, 0)
        await session.close()

    for number in range(12):
        asyncio.run(send(3 * number))
    asyncio.run(finish())
    assert len(list(directory.glob("*.eml"))) == 12
