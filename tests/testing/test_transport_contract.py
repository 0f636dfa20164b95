"""The contract of transports finds those that break it."""

from __future__ import annotations

from textwrap import dedent

import pytest

BASE = """
from wlsmtp.errors import ConnectionFailed
from wlsmtp.receipt import Outcome, RecipientStatus
from wlsmtp.testing.transport_contract import TransportContract
from wlsmtp.transports import Transport, WholeTransport
from wlsmtp.transports.memory import StoredMessage

class Keeping(Transport):
    def __init__(self):
        self.messages = []

    def keep(self, envelope, content):
        self.messages.append(StoredMessage(str(envelope.sender or ""), envelope.addresses, content))

class Whole(Keeping, WholeTransport):
    async def carry(self, envelope, content, deadlines):
        self.keep(envelope, b"".join(content.chunks()))

class Failing(WholeTransport):
    async def carry(self, envelope, content, deadlines):
        raise ConnectionFailed("gone")
"""

BROKEN = {
    "nothing": ("class Broken(Whole): pass", set()),
    "loses the end of large contents": (
        """
        class Broken(Keeping, WholeTransport):
            async def carry(self, envelope, content, deadlines):
                self.keep(envelope, next(content.chunks(), b""))
        """,
        {"test_content_arrives_octet_for_octet", "test_content_that_breaks_off_is_told_and_not_delivered"},
    ),
    "keeps what breaks off": (
        """
        class Broken(Keeping, WholeTransport):
            async def carry(self, envelope, content, deadlines):
                octets = b""
                try:
                    for chunk in content.chunks():
                        octets += chunk
                finally:
                    self.keep(envelope, octets)
        """,
        {"test_content_that_breaks_off_is_told_and_not_delivered"},
    ),
    "raises what it should tell": (
        """
        class Broken(Whole):
            async def deliver(self, envelope, content, deadlines):
                await self.carry(envelope, content, deadlines)
                return Outcome.of(envelope.addresses, RecipientStatus.ACCEPTED)
        class Failing(Failing):
            async def deliver(self, envelope, content, deadlines):
                return await self.carry(envelope, content, deadlines)
        """,
        {"test_content_that_breaks_off_is_told_and_not_delivered", "test_a_failure_is_told_and_not_raised"},
    ),
    "reports nothing about the third recipient": (
        """
        class Broken(Whole):
            async def deliver(self, envelope, content, deadlines):
                outcome = await super().deliver(envelope, content, deadlines)
                return Outcome(outcome.recipients[:2], outcome.reply, outcome.error)
        """,
        {"test_each_recipient_has_its_result_in_order", "test_no_address_is_taken_for_anything_else"},
    ),
    "cannot be opened again": (
        """
        class Broken(Whole):
            is_open = True
            async def close(self, deadlines):
                self.is_open = False
            async def carry(self, envelope, content, deadlines):
                if not self.is_open:
                    raise ConnectionFailed("closed")
                await super().carry(envelope, content, deadlines)
        """,
        {"test_it_can_be_closed_and_opened_again"},
    ),
}
TESTS = """
class TestBroken(TransportContract):
    def make(self, directory):
        return Broken()

    def make_failing(self, directory):
        return Failing()

    def delivered(self, transport, directory):
        return transport.messages
"""


@pytest.mark.parametrize("fault", BROKEN)
def test_it_finds_a_transport_that(pytester: pytest.Pytester, fault: str) -> None:
    code, expected = BROKEN[fault]
    pytester.makepyfile(BASE + dedent(code) + TESTS)
    run = pytester.inline_run("-q", "-p", "no:cacheprovider")
    _, _, failed = run.listoutcomes()
    assert {report.nodeid.partition("::TestBroken::")[2].partition("[")[0] for report in failed} == expected
