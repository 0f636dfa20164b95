"""The contract of every transport, as tests to inherit: for those of this package, and for yours.

::

    from wlsmtp.testing.transport_contract import TransportContract

    class TestMine(TransportContract):
        def make(self, directory):
            return MyTransport(directory)

Each test runs with a blocking and with an asyncio session. ``wlsmtp.testing`` does not import it, as it needs pytest.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest

from wlsmtp.errors import MUST_NOT_RAISE, MessageError, SMTPError
from wlsmtp.message.content import BytesContent, Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import Outcome, Receipt, RecipientStatus, Status
from wlsmtp.session import AsyncSMTPSession, SMTPSession
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.base import Context, Transport
from wlsmtp.transports.memory import StoredMessage
from wlsmtp.transports.registry import make_transport

ANN, BOB, CLEO = "ann@example.com", "bob@example.org", "cleo@example.net"
HEADER = b"From: ann@example.com\r\nMessage-ID: <1@example.com>\r\nSubject: contract\r\n\r\n"
BODIES = {
    "text": b"Hello\r\n",
    "nothing": b"",
    "a lone dot": b".\r\n",
    "dots at line starts": b"..\r\n.a\r\n\r\n.\r\nend\r\n",
    "a line like an mbox's": b"From here on\r\n>From there\r\n",
    "octets above 127": "Grüße, 你好 🎈\r\n".encode(),
    "long lines": b"x" * 990 + b"\r\n" + b"y" * 998 + b"\r\n",
    "line ends at the borders of chunks": (b"z" * 126 + b"\r\n") * 1024 + b"a" * 65 + b"\r\n.\r\n" * 30_000,
}
ODD_ADDRESSES = (
    "-f@example.org",
    "--@example.org",
    '"a b"@example.org',
    "a/b@example.org",
    "`id`@example.org",
    "|cat@example.org",
)
WORLDS = ("blocking", "asyncio")


class World:
    """Runs sessions, blocking or asyncio, through blocking calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._runner = asyncio.Runner() if name == "asyncio" else None

    def session(self, transport: Transport | str) -> SMTPSession | AsyncSMTPSession:
        """Return a session that sends by ``transport``, and does not retry."""
        from wlsmtp.settings.limits import RetryPolicy

        face = AsyncSMTPSession if self._runner else SMTPSession
        return face(transport=transport, retry=RetryPolicy(attempts=1))

    def run(self, result: Any) -> Any:
        """Wait for the result and return it."""
        # A blocking receipt can be awaited too, and is the result.
        if self._runner is None or not inspect.isawaitable(result):
            return result

        async def wait() -> Any:
            return await result

        return self._runner.run(wait())

    def run_together(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """Return the results of all calls, made at once by as many threads or tasks."""
        if self._runner is None:
            with ThreadPoolExecutor(len(calls)) as threads:
                return [future.result() for future in [threads.submit(call) for call in calls]]

        async def gather() -> list[Any]:
            return await asyncio.gather(*(call() for call in calls))

        return self._runner.run(gather())

    def receipts(self, receipts: Any) -> list[Receipt]:
        """Return everything that ``send_many`` yields."""
        if isinstance(receipts, Iterator):
            return list(receipts)

        async def collect() -> list[Receipt]:
            return [receipt async for receipt in receipts]

        return self.run(collect())  # type: ignore[no-any-return]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._runner is not None:
            self._runner.close()


class TransportContract:
    """Inherit from it, name the class ``Test…``, and implement ``make``; the others if possible."""

    def make(self, directory: Path) -> Transport | str:
        """Return a transport, or its URL, that accepts every message; ``directory`` is empty and for this test only."""
        raise NotImplementedError

    def make_failing(self, directory: Path) -> Transport | str | None:
        """Return a transport that can accept no message, as its server or its disk is missing; None if it cannot
        fail."""
        return None

    def delivered(self, transport: Transport, directory: Path) -> Sequence[StoredMessage] | None:
        """Return the delivered messages, in any order, with CRLF; None if they cannot be seen."""
        return None

    @pytest.fixture(params=WORLDS)
    def contract_world(self, request: pytest.FixtureRequest) -> Iterator[World]:
        """Blocking or asyncio."""
        with World(request.param) as world:
            yield world

    @pytest.fixture
    def mail(self, contract_world: World, tmp_path: Path) -> Iterator[Mail]:
        """A session with the transport, and its delivered messages."""
        mail = Mail(self, contract_world, self.make(tmp_path), tmp_path)
        yield mail
        mail.close()

    def test_each_recipient_has_its_result_in_order(self, mail: Mail) -> None:
        receipt = mail.send(HEADER, to=(CLEO, BOB, ANN))
        assert receipt.status is Status.SENT and receipt.error is None
        assert [result.address for result in receipt.recipients] == [CLEO, BOB, ANN]
        assert {result.status for result in receipt.recipients} == {RecipientStatus.ACCEPTED}

    @pytest.mark.parametrize("body", BODIES)
    def test_content_arrives_octet_for_octet(self, mail: Mail, body: str) -> None:
        assert mail.send(HEADER + BODIES[body], to=(BOB, CLEO))
        mail.check_delivered([StoredMessage(ANN, (BOB, CLEO), HEADER + BODIES[body])])

    def test_the_null_sender_is_taken(self, mail: Mail) -> None:
        assert mail.send(HEADER, sender="")
        mail.check_delivered([StoredMessage("", (BOB,), HEADER)])

    def test_no_address_is_taken_for_anything_else(self, mail: Mail) -> None:
        assert mail.send(HEADER, sender="-X@example.com", to=ODD_ADDRESSES)
        mail.check_delivered([StoredMessage("-X@example.com", ODD_ADDRESSES, HEADER)])

    def test_many_messages_have_their_receipts_in_order(self, mail: Mail) -> None:
        items = [(b"Message-ID: <%d@example.com>\r\n\r\n" % number, Envelope(ANN, [BOB])) for number in range(10)]
        receipts = mail.world.receipts(mail.session.send_many(items))
        assert [receipt.message_id for receipt in receipts] == [f"<{number}@example.com>" for number in range(10)]
        assert all(receipts)
        mail.check_delivered([StoredMessage(ANN, (BOB,), content) for content, _ in items])

    def test_many_at_once_arrive_once_each(self, mail: Mail) -> None:
        contents = [b"Subject: %d\r\n\r\n" % number for number in range(12)]
        calls = [lambda content=content: mail.begin(content) for content in contents]
        assert all(mail.world.run_together(calls))
        mail.check_delivered([StoredMessage(ANN, (BOB,), content) for content in contents])

    def test_it_can_be_closed_and_opened_again(self, mail: Mail) -> None:
        assert mail.send(HEADER)
        for step in (mail.session.close, mail.session.close, mail.session.open):
            mail.world.run(step())
        assert mail.send(HEADER)

    def test_content_that_breaks_off_is_told_and_not_delivered(self, contract_world: World, tmp_path: Path) -> None:
        broken = BreakingOff(self.make(tmp_path))
        mail = Mail(self, contract_world, broken, tmp_path)
        error = mail.failure_of(HEADER + b"Hello\r\n")
        mail.close()
        assert isinstance(error, MessageError) and error.receipt is not None
        assert error.receipt.status is Status.ERROR and not error.receipt.accepted
        delivered = self.delivered(broken.inner, tmp_path)
        assert not delivered

    def test_a_failure_is_told_and_not_raised(self, contract_world: World, tmp_path: Path) -> None:
        failing = self.make_failing(tmp_path)
        if failing is None:
            pytest.skip("it cannot fail")
        mail = Mail(self, contract_world, failing, tmp_path)
        error = mail.failure_of(HEADER, to=(BOB, CLEO))
        mail.close()
        assert error.receipt is not None and error.receipt.error is error
        cause = error.__cause__
        assert MUST_NOT_RAISE not in getattr(cause, "__notes__", ()), f"it raised {cause!r}, and did not report it"
        assert [result.address for result in error.receipt.recipients] == [BOB, CLEO]
        assert not error.receipt.accepted


class Mail:
    """One session, and its delivered messages."""

    def __init__(self, contract: TransportContract, world: World, transport: Transport | str, directory: Path) -> None:
        self.world: World = world
        self._contract, self._directory = contract, directory
        self.session: SMTPSession | AsyncSMTPSession = world.session(transport)

    def begin(
        self, content: bytes, sender: str = ANN, to: Sequence[str] = (BOB,)
    ) -> Receipt | Coroutine[Any, Any, Receipt]:
        """Return the result of ``send``: a receipt, or an awaitable of one."""
        return self.session.send(content, sender=sender, recipients=list(to))

    def send(self, content: bytes, sender: str = ANN, to: Sequence[str] = (BOB,)) -> Receipt:
        """Send, and wait for the receipt."""
        return self.world.run(self.begin(content, sender, to))  # type: ignore[no-any-return]

    def failure_of(self, content: bytes, to: Sequence[str] = (BOB,)) -> SMTPError:
        """Return the error with which a message fails."""
        with pytest.raises(SMTPError) as caught:
            self.send(content, to=to)
        return caught.value

    def check_delivered(self, expected: Sequence[StoredMessage]) -> None:
        """Check that exactly these messages were delivered, in any order, if that can be seen."""
        delivered = self._contract.delivered(self.session.transport, self._directory)
        if delivered is not None:
            assert sorted(map(repr, delivered)) == sorted(map(repr, expected))

    def close(self) -> None:
        """Close the session."""
        self.world.run(self.session.close())


class BreakingOff(Transport):
    """Gives ``inner`` contents that break off, as when an attachment has changed."""

    def __init__(self, source: Transport | str) -> None:
        self._source = source

    def attach(self, context: Context) -> None:
        """Attach the inner transport."""
        super().attach(context)
        self.inner: Transport = make_transport(self._source, context)

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        """Deliver the message without its end."""
        return await self.inner.deliver(envelope, _Broken(b"".join(content.chunks())), deadlines)

    async def close(self, deadlines: Deadlines) -> None:
        """Close the inner transport."""
        await self.inner.close(deadlines)


class _Broken(BytesContent):
    def chunks(self) -> Iterator[bytes]:
        yield self.data[:-1]
        raise MessageError("The attachment has changed")
