"""Every row of the fault table: blocking and asyncio, with the server's modes, in plain text and over TLS."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.content import CONTENT_FAULTS
from tests.faults.envelope import ENVELOPE
from tests.faults.keeping import KEEPING, Leaves
from tests.faults.login import LOGIN
from tests.faults.opening import OPENING
from tests.faults.securing import SECURING
from tests.faults.table import ACCEPTED, BOB, CLEO, SENDER, UNKNOWN, Again, Fault, Mode
from tests.worlds import Session, World
from wlsmtp import TLS, AuthenticationFailed, OutcomeUnknown, Receipt, RetryPolicy, SMTPError, Stage, Status
from wlsmtp.receipt import overall_status
from wlsmtp.testing import SMTPServer

ONCE = RetryPolicy(attempts=1)
AT_ONCE = RetryPolicy(attempts=3, backoff=0, jitter=0)
WARM = b"Subject: the one before all\r\n\r\nx\r\n"
FIRST, NEXT = b"Subject: the one before\r\n\r\nx\r\n", b"Subject: the next one\r\n\r\nx\r\n"
TABLE = [*OPENING, *SECURING, *LOGIN, *ENVELOPE, *CONTENT_FAULTS, *KEEPING]


@dataclass(frozen=True)
class Case:
    """A row, and the circumstances in which it is tried."""

    fault: Fault
    mode: Mode
    over_tls: bool

    @property
    def is_doubtful(self) -> bool:
        """Whether the end of the content has left when the fault strikes."""
        return self.mode in self.fault.doubtful

    def server(self) -> SMTPServer:
        options: dict[str, Any] = {"extensions": self.mode.extensions, **self.fault.options}
        if self.over_tls:
            options["security"] = "ssl"
        return SMTPServer(**options)

    def prepare(self, server: SMTPServer, session: Session) -> None:
        """Use the connection, if the row says so; from then on the server does what is in the row. With CHUNKING, the
        server has shown by then that whole messages may be sent at once."""
        if self.mode is Mode.CHUNKING:
            assert send(session, WARM) and send(session, WARM)
            server.drop_connections()
            while server.open_connections:
                threading.Event().wait(0.005)
        if self.fault.kept:
            leaves = Leaves(*self.fault.leaves)
            server.reply_to("STORED", leaves, 1)
            assert send(session, FIRST)
            assert leaves.event.wait(10)
        for says in self.fault.says:
            server.reply_to(says.stage, says.reply, says.times, after=says.after)
        if self.fault.does is not None:
            self.fault.does(server)

    def session(self, world: World, server: SMTPServer, retry: RetryPolicy) -> Session:
        settings: dict[str, Any] = {"tls": TLS(ca_file=server.ca_file) if server.ca_file else TLS()}
        if self.over_tls:
            settings["security"] = "ssl"
        return world.session(server.host, server.port, retry=retry, **{**settings, **self.fault.settings})


CASES = [
    pytest.param(Case(fault, mode, over_tls), id=f"{fault.what} - {mode}{' over TLS' if over_tls else ''}")
    for fault in TABLE
    for mode in fault.modes
    for over_tls in ([False, True] if fault.over_tls else [False])
    if not (over_tls and mode is Mode.PIPELINING and len(fault.modes) > 1)
]


def send(session: Session, content: bytes) -> Receipt:
    """Return the result of a message, whether it was raised or returned."""
    try:
        return session.send(content, sender=SENDER, recipients=[BOB, CLEO])
    except SMTPError as error:
        assert error.receipt is not None, "every error carries the receipt"
        assert error.receipt.error is error
        return error.receipt


def copies(server: SMTPServer, content: bytes) -> Counter[str]:
    """How often each recipient has a message, octet for octet."""
    return Counter(to for message in server.messages if message.content == content for to in message.recipients)


def said_by_client(server: SMTPServer) -> set[str]:
    return {line.split(b" ")[0].decode("ascii", "replace").upper() for _, who, line in server.transcript if who == "C"}


@pytest.mark.parametrize("case", CASES)
def test_the_caller_is_told_the_truth_and_the_next_send_works(world: World, case: Case) -> None:
    fault = case.fault
    with case.server() as server, case.session(world, server, ONCE) as session:
        normal = server.tls_context
        case.prepare(server, session)
        receipt = send(session, fault.content)
        check_receipt(case, receipt)
        check_account(receipt, copies(server, fault.content))
        assert said_by_client(server) & set(fault.never) == set()
        server.tls_context = normal
        while fault.hangs_up and server.open_connections:
            threading.Event().wait(0.005)
        check_the_next(case, session, server)


def check_receipt(case: Case, receipt: Receipt) -> None:
    """The error of the row, at its stage, and the state of each recipient."""
    fault, error = case.fault, receipt.error
    if case.is_doubtful:
        assert type(error) is OutcomeUnknown and error.stage is Stage.CONTENT and error.ambiguous
        assert {result.status for result in receipt.recipients} == {UNKNOWN}
        return
    assert isinstance(error, fault.errors) if fault.errors else error is None, repr(error)
    bob, cleo = receipt.recipients
    assert (bob.status, cleo.status) == (fault.bob, fault.cleo)
    assert receipt.status is overall_status(receipt.recipients)
    if error is None:
        return
    assert error.stage is fault.stage or (fault.stage is Stage.GREETING and is_reset_at_once(error))
    assert error.ambiguous is (UNKNOWN in (fault.bob, fault.cleo))
    if fault.code is not None:
        assert error.reply is not None and error.reply.code == fault.code
    assert (fault.hint or "") in str(error)


def is_reset_at_once(error: SMTPError) -> bool:
    """A reset that comes instead of the greeting may be there before the connection counts as made."""
    return error.stage is Stage.CONNECT and isinstance(error.__cause__, ConnectionResetError)


def check_account(receipt: Receipt, stored: Counter[str]) -> None:
    """Accepted is stored once; what is certainly not sent is not stored; in doubt may be either."""
    for result in receipt.recipients:
        if result.status is ACCEPTED:
            assert stored[result.address] == 1
        elif result.status is not UNKNOWN:
            assert stored[result.address] == 0


def check_the_next(case: Case, session: Session, server: SMTPServer) -> None:
    if AuthenticationFailed in case.fault.errors:
        session.verify()  # a send does not offer a secret again that was just refused
    receipt = send(session, NEXT)
    assert receipt.status is Status.SENT and receipt.attempts == 1, repr(receipt.error)
    assert copies(server, NEXT) == {BOB: 1, CLEO: 1}


@pytest.mark.parametrize("case", [case for case in CASES if case.values[0].fault.again is not Again.NEEDLESS])  # type: ignore[union-attr]
def test_what_is_certainly_not_sent_is_tried_again_and_nothing_else(world: World, case: Case) -> None:
    fault = case.fault
    with case.server() as server, case.session(world, server, AT_ONCE) as session:
        case.prepare(server, session)
        receipt = send(session, fault.content)
        stored = copies(server, fault.content)
    check_account(receipt, stored)
    if case.is_doubtful or fault.again is Again.NO:
        check_receipt(case, receipt)
        assert receipt.attempts == 1
        return
    assert receipt.attempts == 2
    if fault.again is Again.DELIVERED:
        assert receipt.status is Status.SENT and receipt.error is None and stored == {BOB: 1, CLEO: 1}
    else:
        assert CLEO in stored and max(stored.values()) == 1
